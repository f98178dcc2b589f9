//! The in-memory twin of the database, which can lose what was not synced.
//!
//! It loses the way RocksDB does: writes reach the disk in order, so a crash drops a suffix of the
//! unsynced ones; a torn last record is dropped whole; a synced write takes everything before it
//! to the disk.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::store::{Change, Changes, Durability, ScanOrder, Store, StoreError, Table, Visit};

type Rows = BTreeMap<(Table, Vec<u8>), Vec<u8>>;

#[derive(Default)]
struct Contents {
    /// What readers see.
    current: Rows,
    /// What a crash leaves at least.
    synced: Rows,
    /// What was written since, in order.
    unsynced: Vec<Changes>,
    disk: Disk,
    failure: Option<Failure>,
}

/// How the disk is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Disk {
    #[default]
    Sound,
    /// Every write fails.
    Broken,
    /// Power fails in the next write that is to be synced, which is on the disk then or is not.
    LosingPower { lands: bool },
}

/// What became of a write that did not succeed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// The disk reported an error.
    Error,
    /// Power failed in the middle of it.
    PowerLost,
}

impl Contents {
    /// Puts these changes, and all before them, on the disk.
    fn sync(&mut self, changes: &Changes) {
        let unsynced = std::mem::take(&mut self.unsynced);
        unsynced.iter().for_each(|earlier| apply(&mut self.synced, earlier));
        apply(&mut self.synced, changes);
    }
}

/// A database in memory. It may hold tables of both databases.
#[derive(Default)]
pub struct MemoryStore {
    contents: Mutex<Contents>,
}

impl MemoryStore {
    /// An empty database.
    pub fn new() -> Self {
        Self::default()
    }

    /// Loses power: a suffix of the unsynced writes, chosen by `seed`, is gone. What is left is on
    /// disk. Returns how many writes were lost.
    pub fn crash(&self, seed: u64) -> usize {
        let mut contents = self.contents();
        let unsynced = std::mem::take(&mut contents.unsynced);
        let count = unsynced.len() as u64;
        // One multiplication spreads neighbouring seeds; the remainder is in 0..=count.
        let mixed = seed.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 17;
        let kept = usize::try_from(mixed % (count + 1)).unwrap_or(0);
        for changes in unsynced.iter().take(kept) {
            apply(&mut contents.synced, changes);
        }
        contents.current = contents.synced.clone();
        unsynced.len() - kept
    }

    /// Makes every later write fail, as on a full or broken disk.
    pub fn break_writes(&self) {
        self.contents().disk = Disk::Broken;
    }

    /// Makes writes succeed again.
    pub fn repair(&self) {
        self.contents().disk = Disk::Sound;
    }

    /// Lets power fail in the next synced write, which reports an error; whether it `lands` on the
    /// disk nobody can tell from that. Every later write fails until [`MemoryStore::repair`].
    pub fn lose_power_in_next_sync(&self, lands: bool) {
        self.contents().disk = Disk::LosingPower { lands };
    }

    /// Whether writes fail, or the next one will.
    pub fn is_broken(&self) -> bool {
        self.contents().disk != Disk::Sound
    }

    /// How the first write failed of those that did since this was last asked, if any did.
    pub fn take_failure(&self) -> Option<Failure> {
        self.contents().failure.take()
    }

    /// What is on the disk now, on another disk.
    pub fn backup(&self) -> Self {
        let synced = self.contents().synced.clone();
        let contents = Contents { current: synced.clone(), synced, ..Contents::default() };
        Self { contents: Mutex::new(contents) }
    }

    /// The values of the rows whose keys begin so, as a loss of power now would leave them.
    pub fn durable_values(&self, table: Table, prefix: &[u8]) -> Vec<Vec<u8>> {
        let contents = self.contents();
        let rows = contents.synced.range((table, prefix.to_vec())..);
        rows.take_while(|((of, key), _)| *of == table && key.starts_with(prefix))
            .map(|(_, value)| value.clone())
            .collect()
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        // Nothing panics half-way through a change of the rows.
        self.contents.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn apply(rows: &mut Rows, changes: &Changes) {
    for (table, change) in changes.iter() {
        match change {
            Change::Put { key, value } => {
                rows.insert((table, key.to_vec()), value.to_vec());
            }
            Change::Delete { key } => {
                rows.remove(&(table, key.to_vec()));
            }
            Change::DeleteRange { from, to } => {
                let range = (table, from.to_vec())..(table, to.to_vec());
                let gone: Vec<_> = rows.range(range).map(|(key, _)| key.clone()).collect();
                for key in gone {
                    rows.remove(&key);
                }
            }
        }
    }
}

impl Store for MemoryStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.contents().current.get(&(table, key.to_vec())).cloned())
    }

    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        keys.iter().map(|key| self.get(table, key)).collect()
    }

    fn scan(
        &self,
        table: Table,
        start: &[u8],
        order: ScanOrder,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        let mut bound = Bound::Included(start.to_vec());
        loop {
            // One row at a time, so that the visitor may use the store.
            let row = {
                let contents = self.contents();
                let at = bound.map(|key| (table, key));
                let row = match order {
                    ScanOrder::Ascending => contents.current.range((at, Bound::Unbounded)).next(),
                    ScanOrder::Descending => {
                        contents.current.range((Bound::Unbounded, at)).next_back()
                    }
                };
                row.filter(|((of, _), _)| *of == table)
                    .map(|((_, key), value)| (key.clone(), value.clone()))
            };
            let Some((key, value)) = row else { return Ok(()) };
            if visit(&key, &value) == ControlFlow::Break(()) {
                return Ok(());
            }
            bound = Bound::Excluded(key);
        }
    }

    fn write(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError> {
        let mut contents = self.contents();
        let failed = Err(StoreError::Io("the disk failed".into()));
        match (contents.disk, durability) {
            (Disk::Broken, _) => {
                contents.failure.get_or_insert(Failure::Error);
                return failed;
            }
            (Disk::LosingPower { lands }, Durability::Synced) => {
                contents.disk = Disk::Broken;
                contents.failure.get_or_insert(Failure::PowerLost);
                if lands {
                    contents.sync(changes);
                }
                return failed;
            }
            (Disk::LosingPower { .. }, Durability::Unsynced) | (Disk::Sound, _) => {}
        }
        apply(&mut contents.current, changes);
        match durability {
            Durability::Unsynced => contents.unsynced.push(changes.clone()),
            Durability::Synced => contents.sync(changes),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(store: &MemoryStore, durability: Durability) -> bool {
        let mut changes = Changes::default();
        changes.put(Table::Records, b"key", b"value");
        store.write(&changes, durability).is_ok()
    }

    fn is_on_disk(store: &MemoryStore) -> bool {
        !store.durable_values(Table::Records, b"key").is_empty()
    }

    #[test]
    fn a_disk_that_nothing_was_written_to_did_not_fail() {
        let store = MemoryStore::new();
        store.break_writes();
        assert!(store.is_broken());
        assert_eq!(store.take_failure(), None);
        assert!(!write(&store, Durability::Unsynced));
        assert_eq!(store.take_failure(), Some(Failure::Error));
        assert_eq!(store.take_failure(), None, "it was told once");
        store.repair();
        assert!(write(&store, Durability::Synced));
        assert_eq!(store.take_failure(), None);
    }

    #[test]
    fn power_fails_in_a_synced_write_alone_and_errors_follow() {
        for lands in [false, true] {
            let store = MemoryStore::new();
            store.lose_power_in_next_sync(lands);
            assert!(write(&store, Durability::Unsynced));
            assert_eq!(store.take_failure(), None);
            assert!(!write(&store, Durability::Synced));
            assert!(!write(&store, Durability::Synced));
            assert_eq!(store.take_failure(), Some(Failure::PowerLost), "the first");
            assert_eq!(is_on_disk(&store), lands);
        }
    }
}
