//! Ordered tables of bytes with atomic writes.
//!
//! [`Store`] is what the rest of the crate sees: RocksDB in a node, or its twin
//! [`crate::memory::MemoryStore`] in tests and simulation. Without the feature `disk` there is
//! the twin only, for whoever does not keep a node's data (docs/decisions/0015-fuzzing.md).

#[cfg(feature = "disk")]
pub(crate) mod lock;
#[cfg(feature = "disk")]
mod logs;
#[cfg(feature = "disk")]
mod rocks;
mod watched;

use std::fmt;
use std::ops::ControlFlow;

#[cfg(feature = "disk")]
pub use logs::Cut;
#[cfg(feature = "disk")]
pub use rocks::RocksStore;
pub use watched::{OnFailure, WatchedStore};

/// Which of a node's two databases (consensus.md, What is durable before what).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// Votes, certificates, headers and batches; synced before anything is said.
    Chain,
    /// The world state, receipts and indexes; redone from the chain after a crash.
    State,
}

impl Database {
    /// Its directory, and what people call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Chain => "chain",
            Self::State => "state",
        }
    }
}

impl fmt::Display for Database {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// One ordered table. Keys compare as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Table {
    /// Chain: (height, number) to one consensus record.
    Records,
    /// Chain: local number to the bytes of a batch.
    Batches,
    /// Chain: local number of a batch in no block to its digest.
    Undecided,
    /// Chain: height to header, finalization and the local numbers of the batches.
    Blocks,
    /// Chain: block hash to height.
    BlockHeights,
    /// Chain: (height, validator) to what the validator signed against the rules.
    Evidence,
    /// Chain: validator to its latest vote that was seen here.
    Seen,
    /// Chain: what stands once.
    ChainMeta,
    /// State: slot to a leaf of the state tree (key, value, next key).
    Slots,
    /// State: key of a state entry to its slot.
    Keys,
    /// State: number of a subtree to its root.
    Subtrees,
    /// State: height to the receipts of the block.
    Receipts,
    /// State: transaction hash to what became of it.
    Transactions,
    /// State: (account, asset, direction, time, index, step, part) to one line of history.
    History,
    /// State: (expiry, key of a state entry) of what can be forgotten then.
    Expiries,
    /// State: (account, hold) of the holds that an account is a party of.
    Holds,
    /// State: (domain, account) of every account.
    Accounts,
    /// State: (asset, domain) to what the accounts of the domain own of it together.
    Totals,
    /// State: what stands once.
    StateMeta,
}

impl Table {
    /// Those of the chain, the last of which has a row since before the others had any.
    pub(crate) const CHAIN: &[Self] = &[
        Self::Records,
        Self::Batches,
        Self::Undecided,
        Self::Blocks,
        Self::BlockHeights,
        Self::Evidence,
        Self::Seen,
        Self::ChainMeta,
    ];
    /// Those of the state; see [`Table::CHAIN`].
    pub(crate) const STATE: &[Self] = &[
        Self::Slots,
        Self::Keys,
        Self::Subtrees,
        Self::Receipts,
        Self::Transactions,
        Self::History,
        Self::Expiries,
        Self::Holds,
        Self::Accounts,
        Self::Totals,
        Self::StateMeta,
    ];

    /// Where it stands.
    pub fn database(self) -> Database {
        match Self::CHAIN.contains(&self) {
            true => Database::Chain,
            false => Database::State,
        }
    }
}

#[cfg(feature = "disk")]
impl Table {
    fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Batches => "batches",
            Self::Undecided => "undecided",
            Self::Blocks => "blocks",
            Self::BlockHeights => "block_heights",
            Self::Evidence => "evidence",
            Self::Seen => "seen",
            Self::ChainMeta => "chain_meta",
            Self::Slots => "slots",
            Self::Keys => "keys",
            Self::Subtrees => "subtrees",
            Self::Receipts => "receipts",
            Self::Transactions => "transactions",
            Self::History => "history",
            Self::Expiries => "expiries",
            Self::Holds => "holds",
            Self::Accounts => "accounts",
            Self::Totals => "totals",
            Self::StateMeta => "state_meta",
        }
    }

    /// Whether keys that are absent are looked up often: a filter then answers without a read.
    fn is_asked_for_absent_keys(self) -> bool {
        matches!(self, Self::Keys | Self::Transactions | Self::BlockHeights)
    }

    /// Whether rows come in no order and are hardly ever read or changed again. Merging runs of
    /// like size then writes each row some ten times less often than sorting it into levels.
    fn is_archive(self) -> bool {
        matches!(self, Self::Transactions | Self::History)
    }

    /// Whether rows shrink enough to pay for compressing them. Hashes and signatures do not;
    /// names, and the chain hash that every transaction repeats, do.
    fn is_compressed(self) -> bool {
        matches!(self, Self::Batches | Self::Slots | Self::History)
    }
}

/// What the disk said. Whoever gets this stops the process: what follows is unknown.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Reading or writing failed.
    #[error("the disk failed: {0}")]
    Io(String),
    /// A database failed, or its files are damaged.
    #[error("the {database} database in {path} failed: {reason}")]
    Failed {
        /// Which.
        database: Database,
        /// Its directory.
        path: String,
        /// Why.
        reason: String,
    },
    /// Another process has the database open.
    #[error("another process uses the database in {path}")]
    InUse {
        /// Its directory.
        path: String,
    },
    /// A row is not what this program writes.
    #[error("the {} database lacks a row in {table:?}, or has one that cannot be read",
        table.database())]
    Row {
        /// Where.
        table: Table,
    },
}

impl StoreError {
    /// The database that failed, if it is one.
    pub fn database(&self) -> Option<Database> {
        match self {
            Self::Io(_) | Self::InUse { .. } => None,
            Self::Failed { database, .. } => Some(*database),
            Self::Row { table } => Some(table.database()),
        }
    }
}

/// Which way a scan goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanOrder {
    /// From small keys to large ones.
    Ascending,
    /// From large keys to small ones.
    Descending,
}

/// Whether a write must survive the loss of power before it returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Durability {
    /// On disk when the call returns.
    Synced,
    /// On disk some time later, in order; it survives the end of the process.
    Unsynced,
}

/// What a [`Changes`] does to one row or range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// The row has this value from now on.
    Put {
        /// The row.
        key: &'a [u8],
        /// Its value.
        value: &'a [u8],
    },
    /// The row is gone.
    Delete {
        /// The row.
        key: &'a [u8],
    },
    /// Every row of a range is gone.
    DeleteRange {
        /// The first row.
        from: &'a [u8],
        /// The row after the last.
        to: &'a [u8],
    },
}

impl Change<'_> {
    /// The row, or the first row of the range.
    fn first_key(&self) -> &[u8] {
        match self {
            Self::Put { key, .. } | Self::Delete { key } => key,
            Self::DeleteRange { from, .. } => from,
        }
    }
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    Put,
    Delete,
    DeleteRange,
}

/// Changes that take effect together or not at all. All bytes stand in one buffer.
#[derive(Debug, Clone, Default)]
pub struct Changes {
    bytes: Vec<u8>,
    /// Table, kind, end of the first and end of the second part in `bytes`.
    entries: Vec<(Table, Kind, usize, usize)>,
}

impl Changes {
    /// Sets a row.
    pub fn put(&mut self, table: Table, key: &[u8], value: &[u8]) {
        self.push(table, Kind::Put, key, value);
    }

    /// Removes a row.
    pub fn delete(&mut self, table: Table, key: &[u8]) {
        self.push(table, Kind::Delete, key, &[]);
    }

    /// Removes the rows from `from` up to but without `to`.
    pub fn delete_range(&mut self, table: Table, from: &[u8], to: &[u8]) {
        self.push(table, Kind::DeleteRange, from, to);
    }

    /// Whether nothing changes.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every change in order.
    pub fn iter(&self) -> impl Iterator<Item = (Table, Change<'_>)> {
        let mut start = 0;
        self.entries.iter().map(move |(table, kind, middle, end)| {
            // Ends were taken from this buffer, which only grows.
            let key = self.bytes.get(start..*middle).unwrap_or_default();
            let value = self.bytes.get(*middle..*end).unwrap_or_default();
            start = *end;
            let change = match kind {
                Kind::Put => Change::Put { key, value },
                Kind::Delete => Change::Delete { key },
                Kind::DeleteRange => Change::DeleteRange { from: key, to: value },
            };
            (*table, change)
        })
    }

    /// Every change by table, then key; changes of one row keep their order. Ranges are never
    /// moved past rows, so with one of them everything stays in order. Neighbours cost a sorted
    /// table less than strangers.
    pub fn by_table_and_key(&self) -> Vec<(Table, Change<'_>)> {
        let mut changes: Vec<_> = self.iter().collect();
        let is_range = |change: &Change<'_>| matches!(change, Change::DeleteRange { .. });
        if !changes.iter().any(|(_, change)| is_range(change)) {
            changes.sort_by(|(table, one), (other_table, other)| {
                (table, one.first_key()).cmp(&(other_table, other.first_key()))
            });
        }
        changes
    }

    fn push(&mut self, table: Table, kind: Kind, first: &[u8], second: &[u8]) {
        self.bytes.extend_from_slice(first);
        let middle = self.bytes.len();
        self.bytes.extend_from_slice(second);
        self.entries.push((table, kind, middle, self.bytes.len()));
    }
}

/// What a scan hands each row to; it says whether to go on.
pub type Visit<'a> = &'a mut dyn FnMut(&[u8], &[u8]) -> ControlFlow<()>;

/// Ordered tables with atomic writes.
pub trait Store: Send + Sync {
    /// The value of a row.
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// The values of many rows, in the order asked.
    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError>;

    /// Visits rows from `start` (included) on until told to stop or the table ends.
    fn scan(
        &self,
        table: Table,
        start: &[u8],
        order: ScanOrder,
        visit: Visit<'_>,
    ) -> Result<(), StoreError>;

    /// Applies all changes or none.
    fn write(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError>;
}

/// Whether none of these tables has a row.
pub(crate) fn are_empty(store: &dyn Store, tables: &[Table]) -> Result<bool, StoreError> {
    let mut found = false;
    for table in tables {
        store.scan(*table, &[], ScanOrder::Ascending, &mut |_, _| {
            found = true;
            ControlFlow::Break(())
        })?;
    }
    Ok(!found)
}

/// Decodes a row that this program wrote.
pub(crate) fn decode_row<T: parity_scale_codec::Decode>(
    table: Table,
    bytes: &[u8],
) -> Result<T, StoreError> {
    tonle_model::decode::all(bytes).map_err(|_| StoreError::Row { table })
}
