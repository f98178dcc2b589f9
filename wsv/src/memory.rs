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
    /// Writes from now on fail, as on a full or broken disk.
    broken: bool,
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

    /// Makes every later write fail.
    pub fn break_writes(&self) {
        self.contents().broken = true;
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
        if contents.broken {
            return Err(StoreError::Io("the disk is full".into()));
        }
        apply(&mut contents.current, changes);
        match durability {
            Durability::Unsynced => contents.unsynced.push(changes.clone()),
            Durability::Synced => {
                let unsynced = std::mem::take(&mut contents.unsynced);
                unsynced.iter().for_each(|earlier| apply(&mut contents.synced, earlier));
                apply(&mut contents.synced, changes);
            }
        }
        Ok(())
    }
}
