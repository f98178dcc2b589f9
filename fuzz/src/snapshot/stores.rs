//! The two databases that a snapshot is restored into, which tell what is in them and how often
//! they were written to.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tonle_wsv::memory::MemoryStore;
use tonle_wsv::store::{Changes, Durability, ScanOrder, Store, StoreError, Table, Visit};

const STATE: &[Table] = &[
    Table::Slots,
    Table::Keys,
    Table::Subtrees,
    Table::Receipts,
    Table::Transactions,
    Table::History,
    Table::Expiries,
    Table::Holds,
    Table::Accounts,
    Table::Totals,
    Table::StateMeta,
];

const CHAIN: &[Table] = &[
    Table::Records,
    Table::Batches,
    Table::Undecided,
    Table::Blocks,
    Table::BlockHeights,
    Table::Evidence,
    Table::Seen,
    Table::ChainMeta,
];

/// A row of a database: where it stands, its key, its value.
pub type Row = (Table, Vec<u8>, Vec<u8>);

/// A database in memory that counts what is written to it.
#[derive(Default)]
pub struct Counted {
    store: MemoryStore,
    writes: AtomicUsize,
}

impl Store for Counted {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.store.get(table, key)
    }

    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.store.multi_get(table, keys)
    }

    fn scan(
        &self,
        table: Table,
        start: &[u8],
        order: ScanOrder,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        self.store.scan(table, start, order, visit)
    }

    fn write(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        self.store.write(changes, durability)
    }
}

/// A node's databases.
#[derive(Default)]
pub struct Stores {
    /// That of the state.
    pub state: Arc<Counted>,
    /// That of the chain.
    pub chain: Arc<Counted>,
}

impl Stores {
    /// How often something was written.
    pub fn writes(&self) -> usize {
        let of = |store: &Counted| store.writes.load(Ordering::Relaxed);
        of(&self.state) + of(&self.chain)
    }

    /// Every row.
    pub fn contents(&self) -> Vec<Row> {
        let mut rows = Vec::new();
        for (store, tables) in [(&self.state, STATE), (&self.chain, CHAIN)] {
            for table in tables {
                let scanned = store.scan(*table, &[], ScanOrder::Ascending, &mut |key, value| {
                    rows.push((*table, key.to_vec(), value.to_vec()));
                    ControlFlow::Continue(())
                });
                scanned.expect("memory does not fail");
            }
        }
        rows
    }
}
