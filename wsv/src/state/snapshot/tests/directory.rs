//! Directories of nodes, one of them at work.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::Node;
use crate::state::World;
use crate::state::snapshot::{
    FileError, Target, TargetError, is_unfinished, open_source, read_file, write_file,
};
use crate::store::{Database, RocksStore, Store};

fn open(directory: &Path) -> Node {
    let store = |name, database| -> Arc<dyn Store> {
        Arc::new(RocksStore::open(&directory.join(name), database).unwrap())
    };
    Node::on(store("state", Database::State), store("chain", Database::Chain))
}

fn fill(target: Target, file: &[u8], node: &Node) -> Result<(), FileError> {
    let (state, chain) = target.stores();
    let mut input = file;
    match read_file(&mut input, &node.net.genesis, state, chain, &mut |_| {}) {
        Ok(_) => target.complete().unwrap(),
        Err(error) => {
            target.abandon().unwrap();
            return Err(error);
        }
    }
    Ok(())
}

#[test]
fn a_snapshot_is_taken_beside_a_node_that_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let mut node = open(home.path());
    node.open_accounts(600);
    let genesis = node.net.genesis.clone();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let taker = scope.spawn(|| {
            let mut heights = Vec::new();
            while !done.load(Ordering::Relaxed) || heights.len() < 2 {
                let scratch = tempfile::tempdir().unwrap();
                let source = open_source(home.path(), scratch.path()).unwrap();
                let mut file = Vec::new();
                write_file(&source, &mut file, &mut |_| {}).unwrap();
                let taken = super::restore(&file, &genesis).unwrap();
                heights.push(taken.committed.height);
            }
            heights
        });
        for _ in 0..60 {
            node.pay("1");
        }
        done.store(true, Ordering::Relaxed);
        let heights = taker.join().unwrap();
        assert!(heights.is_sorted() && heights.first() < heights.last(), "{heights:?}");
    });
    assert_eq!(node.net.world.committed().height.0, 66);
}

#[test]
fn an_empty_directory_is_filled_and_opens() {
    let mut node = Node::new();
    node.open_accounts(1_200);
    let home = tempfile::tempdir().unwrap();
    fill(Target::prepare(home.path()).unwrap(), &node.file(), &node).unwrap();
    assert!(!is_unfinished(home.path()));
    let joined = open(home.path());
    assert_eq!(joined.net.world.committed(), node.net.world.committed());
    assert_eq!(joined.chain.reader().last_height(), node.net.world.committed().height);
    assert!(joined.chain.is_whole(), "it never voted");
    let again = Target::prepare(home.path()).err().unwrap();
    assert!(matches!(again, TargetError::NotEmpty(_)));
}

#[test]
fn what_a_crash_left_in_the_middle_is_seen_and_thrown_away() {
    let mut node = Node::new();
    node.pay("1");
    let file = node.file();
    let home = tempfile::tempdir().unwrap();
    let target = Target::prepare(home.path()).unwrap();
    let (state, chain) = target.stores();
    let mut input = &file[..file.len() - 10];
    let read = read_file(&mut input, &node.net.genesis, state, chain, &mut |_| {});
    assert!(read.is_err());
    drop(target);
    assert!(is_unfinished(home.path()));
    fill(Target::prepare(home.path()).unwrap(), &file, &node).unwrap();
    let state = RocksStore::open(&home.path().join("state"), Database::State).unwrap();
    let world = World::open(Arc::new(state), &node.net.genesis).unwrap();
    assert_eq!(world.committed(), node.net.world.committed());
}

fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<_> = names.collect();
    names.sort();
    names
}

#[test]
fn two_do_not_fill_one_directory() {
    let mut node = Node::new();
    node.pay("1");
    let home = tempfile::tempdir().unwrap();
    let target = Target::prepare(home.path()).unwrap();
    for _ in 0..2 {
        let error = Target::prepare(home.path()).err().unwrap();
        assert!(matches!(error, TargetError::Busy(_)), "{error}");
    }
    fill(target, &node.file(), &node).unwrap();
    assert_eq!(names(home.path()), ["chain", "state"]);
    assert_eq!(open(home.path()).net.world.committed(), node.net.world.committed());
}

#[test]
fn a_lock_that_a_crash_left_is_taken_by_the_next() {
    let mut node = Node::new();
    node.pay("1");
    let home = tempfile::tempdir().unwrap();
    std::fs::write(home.path().join("restoring"), "").unwrap();
    std::fs::write(home.path().join("restoring.lock"), "").unwrap();
    fill(Target::prepare(home.path()).unwrap(), &node.file(), &node).unwrap();
    assert_eq!(names(home.path()), ["chain", "state"]);
}

#[test]
fn what_was_refused_leaves_nothing() {
    let mut node = Node::new();
    node.pay("1");
    let home = tempfile::tempdir().unwrap();
    let target = Target::prepare(home.path()).unwrap();
    assert!(fill(target, b"something else", &node).is_err());
    assert_eq!(names(home.path()), [] as [&str; 0]);
}
