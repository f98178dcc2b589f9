//! Setting a damaged database aside, so that its node can begin anew without it.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tonle_model::number::Height;

use crate::chain::{FileMark, Mark, MarkStore, rows};
use crate::store::lock::FilesLock;
use crate::store::{Database, RocksStore, StoreError};

/// A directory that has another name now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// What it was.
    pub from: PathBuf,
    /// What it is.
    pub to: PathBuf,
}

/// Gives a database that is not open another name. With the chain goes the state, which follows
/// from it; with a state that a snapshot brought goes the chain, from which it cannot be made anew.
/// The mark stays: it says that there was a log, so that the node does not vote from the next one
/// (consensus.md, What is durable before what).
pub fn set_aside(directory: &Path, database: Database) -> Result<Vec<Moved>, StoreError> {
    if database == Database::State && has_all_blocks(directory)? {
        return set_aside_state(directory);
    }
    let locked = lock(directory, &[Database::Chain, Database::State])?;
    if !locked.is_empty() {
        keep_mark(directory)?;
    }
    give_names(directory, &locked)
}

/// Gives a state that is not open another name. The chain beside it, which has all blocks, may be
/// open in this process: its files are not touched, for to close one of them that is locked would
/// end the lock.
pub fn set_aside_state(directory: &Path) -> Result<Vec<Moved>, StoreError> {
    give_names(directory, &lock(directory, &[Database::State])?)
}

/// Locks those of the databases that are there.
fn lock(directory: &Path, databases: &[Database]) -> Result<Vec<(PathBuf, FilesLock)>, StoreError> {
    let mut locked = Vec::new();
    for database in databases {
        let path = directory.join(database.name());
        if let Some(lock) = FilesLock::take(&path)? {
            locked.push((path, lock));
        }
    }
    Ok(locked)
}

fn give_names(directory: &Path, locked: &[(PathBuf, FilesLock)]) -> Result<Vec<Moved>, StoreError> {
    if locked.is_empty() {
        return Ok(Vec::new());
    }
    let mut moved = Vec::new();
    for (from, _lock) in locked {
        let to = free_name(from);
        std::fs::rename(from, &to).map_err(|error| failed(from, &error))?;
        moved.push(Moved { from: from.clone(), to });
    }
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| failed(directory, &error))?;
    Ok(moved)
}

/// Whether there is a chain, and it begins at the genesis and not with what a snapshot brought.
fn has_all_blocks(directory: &Path) -> Result<bool, StoreError> {
    let path = directory.join(Database::Chain.name());
    if !path.exists() {
        return Ok(false);
    }
    let first = rows::meta::<Height>(&RocksStore::open(&path, Database::Chain)?, rows::FIRST)?;
    Ok(first.is_none_or(|first| first <= Height(1)))
}

/// Without a mark, or with that of a log to which nothing was written since it was lost, the next
/// log would pass for the first one. A mark that cannot be read says enough.
fn keep_mark(directory: &Path) -> Result<(), StoreError> {
    let mut mark = FileMark::open(directory)?;
    let Ok(found) = mark.load() else { return Ok(()) };
    let found = found.unwrap_or_default();
    if found.counter > 0 {
        return Ok(());
    }
    mark.save(&Mark { counter: 1, ..found }).map_err(|error| failed(directory, &error))
}

fn free_name(path: &Path) -> PathBuf {
    let numbered = |number: u32| path.with_extension(format!("aside-{number}"));
    let mut number = 1;
    while numbered(number).exists() {
        number += 1;
    }
    numbered(number)
}

fn failed(path: &Path, error: &io::Error) -> StoreError {
    StoreError::Io(format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::chain::{ChainLog, ChainWrite, Loss, OnLoss};
    use crate::store::{Changes, Durability, Store};
    use crate::testing::genesis;

    fn open(directory: &Path) -> ChainLog {
        let store = RocksStore::open(&directory.join("chain"), Database::Chain).unwrap();
        let mark = Box::new(FileMark::open(directory).unwrap());
        ChainLog::open(Arc::new(store), mark, &genesis().chain(), OnLoss::Observe).unwrap()
    }

    fn write(log: &mut ChainLog) {
        let records = vec![(Height(1), b"vote".to_vec())];
        log.append(ChainWrite { records, ..Default::default() }).unwrap();
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = std::fs::read_dir(directory).unwrap();
        let name = |entry: io::Result<std::fs::DirEntry>| entry.unwrap().file_name();
        let mut names: Vec<_> = entries.map(|entry| name(entry).into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_chain_goes_with_its_state_and_the_next_one_is_known_as_lost() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        for (round, with_mark) in [(1, true), (2, true), (3, false)] {
            write(&mut open(directory));
            std::fs::create_dir(directory.join("state")).unwrap();
            if !with_mark {
                std::fs::remove_file(directory.join("chain.mark")).unwrap();
            }
            let moved = set_aside(directory, Database::Chain).unwrap();
            let to = |name: &str| directory.join(format!("{name}.aside-{round}"));
            assert_eq!(
                moved.iter().map(|one| &one.to).collect::<Vec<_>>(),
                [&to("chain"), &to("state")]
            );
            assert_eq!(open(directory).records(Height(1)).unwrap(), [] as [Vec<u8>; 0]);
            assert!(matches!(open(directory).loss(), Some(Loss::Behind { .. } | Loss::Earlier)));
        }
    }

    #[test]
    fn a_state_goes_alone() {
        let directory = tempfile::tempdir().unwrap();
        write(&mut open(directory.path()));
        std::fs::create_dir(directory.path().join("state")).unwrap();
        set_aside(directory.path(), Database::State).unwrap();
        assert_eq!(names(directory.path()), ["chain", "chain.mark", "state.aside-1"]);
        assert_eq!(open(directory.path()).loss(), None);
        assert_eq!(set_aside(directory.path(), Database::State).unwrap(), []);
    }

    /// A restart that found neither chain nor mark made both anew, and the state told that they
    /// were lost. With that chain goes the only note of it.
    #[test]
    fn a_lost_log_without_a_write_leaves_one_that_is_known_as_lost() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        let mut log = open(directory);
        log.lose(Loss::StateAhead { state: Height(5), chain: Height(0) }).unwrap();
        drop(log);
        set_aside(directory, Database::Chain).unwrap();
        assert!(matches!(open(directory).loss(), Some(Loss::Behind { .. })));
    }

    #[test]
    fn a_state_without_a_chain_tells_of_one_that_is_lost() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("state")).unwrap();
        set_aside(directory.path(), Database::State).unwrap();
        assert_eq!(names(directory.path()), ["chain.mark", "state.aside-1"]);
        assert!(matches!(open(directory.path()).loss(), Some(Loss::Behind { .. })));
    }

    #[test]
    fn where_nothing_is_nothing_is_made() {
        let directory = tempfile::tempdir().unwrap();
        for database in [Database::Chain, Database::State] {
            assert_eq!(set_aside(directory.path(), database).unwrap(), []);
            assert_eq!(set_aside(&directory.path().join("none"), database).unwrap(), []);
        }
        assert_eq!(names(directory.path()), [] as [&str; 0]);
        assert_eq!(open(directory.path()).loss(), None, "it never had a log");
    }

    #[test]
    fn a_state_goes_beside_a_chain_that_is_open() {
        let directory = tempfile::tempdir().unwrap();
        let mut log = open(directory.path());
        std::fs::create_dir(directory.path().join("state")).unwrap();
        set_aside_state(directory.path()).unwrap();
        write(&mut log);
        assert_eq!(names(directory.path()), ["chain", "chain.mark", "state.aside-1"]);
    }

    #[test]
    fn a_state_that_a_snapshot_brought_does_not_go_without_its_chain() {
        let directory = tempfile::tempdir().unwrap();
        write(&mut open(directory.path()));
        let store = RocksStore::open(&directory.path().join("chain"), Database::Chain).unwrap();
        let mut changes = Changes::default();
        rows::put_meta(&mut changes, rows::FIRST, &Height(7));
        store.write(&changes, Durability::Synced).unwrap();
        drop(store);
        std::fs::create_dir(directory.path().join("state")).unwrap();
        set_aside(directory.path(), Database::State).unwrap();
        assert_eq!(names(directory.path()), ["chain.aside-1", "chain.mark", "state.aside-1"]);
    }
}
