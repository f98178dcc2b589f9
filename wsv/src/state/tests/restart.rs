//! Restarts, crashes and what follows from the chain.

use std::sync::Arc;

use tonle_model::hash::ResultHash;
use tonle_model::number::Height;
use tonle_model::receipt::VoidCode;
use tonle_model::transaction::SignedTransaction;

use crate::chain::{ChainLog, ChainWrite, MemoryMark, OnLoss};
use crate::memory::MemoryStore;
use crate::state::{StateError, World};
use crate::store::{Changes, Database, Durability, RocksStore, Store, StoreError, Table};
use crate::testing::{Net, finalization, genesis, genesis_named, next_header};

#[test]
fn a_restart_opens_at_the_same_root() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Arc::new(RocksStore::open(dir.path(), Database::State).unwrap());
    let mut net = Net::on(open());
    for amount in ["1", "2", "3"] {
        let draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", amount);
        net.block(vec![draft.signed()]);
    }
    let before = net.world.committed();
    drop(net);
    let net = Net::on(open());
    assert_eq!(net.world.committed(), before);
    assert_eq!(net.available("sok@aclb", "khr#nbc"), 994);
    net.world.reader().audit().unwrap();
}

#[test]
fn another_genesis_is_refused() {
    let net = Net::new();
    let other = genesis_named("other");
    let error = World::open(net.store.clone(), &other).err().unwrap();
    assert!(matches!(error, StateError::OtherNetwork { .. }));
}

/// A chain and a state, as a node has them.
struct Node {
    chain: ChainLog,
    net: Net,
    state: Arc<MemoryStore>,
}

impl Node {
    fn new() -> Self {
        let state = Arc::new(MemoryStore::new());
        let net = Net::on(state.clone());
        let chain = open_chain(Arc::new(MemoryStore::new()));
        Self { chain, net, state }
    }

    /// Decides a block in the chain and commits it to the state.
    fn block(&mut self, members: Vec<SignedTransaction>) {
        let batches = vec![self.net.batch(members)];
        let header = next_header(&self.net.world, &batches, self.net.next_ms());
        let executed = self.net.world.execute(&header, &batches).unwrap();
        let certificate = finalization(&header, executed.result.hash());
        let committed = vec![(header, certificate)];
        let write = ChainWrite { batches, committed, ..Default::default() };
        self.chain.append(write).unwrap();
        self.net.world.commit(executed).unwrap();
    }
}

fn open_chain(store: Arc<dyn Store>) -> ChainLog {
    let mark = Box::new(MemoryMark::default());
    ChainLog::open(store, mark, &genesis().chain(), OnLoss::Refuse).unwrap()
}

#[test]
fn a_crash_is_redone_from_the_chain() {
    let mut lost_most = 0;
    for seed in 0..40 {
        let mut node = Node::new();
        let mut last = None;
        for amount in 1..=12 {
            let draft = node.net.pay("sok@aclb", "dara@aclb", "khr#nbc", &amount.to_string());
            node.block(vec![draft.signed()]);
            last = Some(draft);
        }
        let before = node.net.world.committed();
        lost_most = lost_most.max(node.state.crash(seed));
        node.net.reopen();
        assert!(node.net.world.committed().height <= before.height);
        node.net.world.reader().audit().unwrap();
        let height = node.net.world.catch_up(&node.chain.reader()).unwrap();
        assert_eq!(height, Height(12));
        assert_eq!(node.net.world.committed(), before, "seed {seed}");
        assert_eq!(node.net.available("sok@aclb", "khr#nbc"), 1000 - 78);
        // What was used stays used.
        let block = node.net.block(vec![last.unwrap().signed()]);
        assert_eq!(block.voids[0].1.code, VoidCode::Duplicate);
    }
    assert!(lost_most >= 10, "the crash loses something");
}

#[test]
fn damage_in_the_log_of_the_state_is_redone_from_the_chain() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Arc::new(RocksStore::open(dir.path(), Database::State).unwrap());
    let mut node = Node::new();
    node.net = Net::on(open());
    for amount in 1..=50 {
        let draft = node.net.pay("sok@aclb", "dara@aclb", "khr#nbc", &amount.to_string());
        node.block(vec![draft.signed()]);
    }
    let before = node.net.world.committed();
    node.net = Net::new();
    let files = std::fs::read_dir(dir.path()).unwrap().map(|file| file.unwrap().path());
    let is_log = |path: &std::path::PathBuf| path.extension().is_some_and(|end| end == "log");
    let log = files.into_iter().find(is_log).unwrap();
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() * 2 / 3;
    bytes[middle] ^= 0xff;
    std::fs::write(&log, bytes).unwrap();
    node.net = Net::on(open());
    let reopened = node.net.world.committed().height;
    assert!(Height(0) < reopened && reopened < before.height, "{reopened}");
    node.net.world.catch_up(&node.chain.reader()).unwrap();
    assert_eq!(node.net.world.committed(), before);
    node.net.world.reader().audit().unwrap();
}

#[test]
fn a_failed_write_leaves_the_state_where_it_was() {
    let mut node = Node::new();
    let draft = node.net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1");
    let batches = vec![node.net.batch(vec![draft.signed()])];
    let header = next_header(&node.net.world, &batches, node.net.next_ms());
    let before = node.net.world.committed();
    let executed = node.net.world.execute(&header, &batches).unwrap();
    node.state.break_writes();
    assert!(matches!(node.net.world.commit(executed), Err(StateError::Fatal(_))));
    assert_eq!(node.net.world.committed(), before);
    assert_eq!(node.net.available("sok@aclb", "khr#nbc"), 1000);
}

#[test]
fn a_result_that_the_quorum_did_not_sign_stops_it() {
    let mut node = Node::new();
    let draft = node.net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1");
    let batches = vec![node.net.batch(vec![draft.signed()])];
    let header = next_header(&node.net.world, &batches, node.net.next_ms());
    let certificate = finalization(&header, ResultHash::default());
    let committed = vec![(header, certificate)];
    node.chain.append(ChainWrite { batches, committed, ..Default::default() }).unwrap();
    let error = node.net.world.catch_up(&node.chain.reader()).unwrap_err();
    assert!(matches!(error, StateError::Diverged { height: Height(1), .. }), "{error}");
    assert_eq!(node.net.world.committed().height, Height(0));
}

#[test]
fn a_state_without_its_chain_is_noticed() {
    let mut node = Node::new();
    let draft = node.net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1");
    node.block(vec![draft.signed()]);
    let empty = open_chain(Arc::new(MemoryStore::new()));
    let error = node.net.world.catch_up(&empty.reader()).unwrap_err();
    assert!(matches!(error, StateError::AheadOfChain { .. }), "{error}");
}

/// A shortened manifest has RocksDB make the tables anew that it does not know of.
#[test]
fn what_is_left_of_a_state_is_not_taken_for_none() {
    let mut node = Node::new();
    let draft = node.net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1");
    node.block(vec![draft.signed()]);
    let mut changes = Changes::default();
    changes.delete(Table::StateMeta, b"committed");
    node.state.write(&changes, Durability::Synced).unwrap();
    let Err(error) = World::open(node.state.clone(), &genesis()) else { panic!("opened") };
    let lacks = StateError::from(StoreError::Row { table: Table::StateMeta });
    assert_eq!(error.to_string(), lacks.to_string());
}

#[test]
fn what_is_used_is_remembered_for_a_window_and_forgotten_after() {
    let mut net = Net::new();
    let used: Vec<_> = (0..5).map(|_| net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1")).collect();
    net.block(used.iter().map(|draft| draft.signed()).collect());
    net.reopen();
    assert_eq!(net.world.reader().used_count(), 5);
    let later = used[0].payload.expires_ms + 10_000;
    let draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1").window(later, later + 1_000);
    net.block_at(vec![draft.signed()], later);
    assert_eq!(net.world.reader().used_count(), 1);
    net.reopen();
    assert_eq!(net.world.reader().used_count(), 1);
}
