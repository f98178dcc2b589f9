//! Ordered tables of bytes with atomic writes: the only file that names RocksDB.
//!
//! [`Store`] is what the rest of the crate sees; [`crate::memory::MemoryStore`] is its twin for
//! tests and simulation. Which faults RocksDB notices is not obvious: the options below are chosen
//! so that the chain refuses to open when its log is damaged in the middle, and only a torn tail
//! is forgiven (consensus.md, What is durable before what).

use std::ops::ControlFlow;
use std::path::Path;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB,
    DBCompactionStyle, DBCompressionType, DBRecoveryMode, IteratorMode, LruCacheOptions, Options,
    WriteBatch, WriteOptions,
};

/// Which of a node's two databases (consensus.md, What is durable before what).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Database {
    /// Votes, certificates, headers and batches; synced before anything is said.
    Chain,
    /// The world state, receipts and indexes; redone from the chain after a crash.
    State,
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
    const CHAIN: &[Self] = &[
        Self::Records,
        Self::Batches,
        Self::Undecided,
        Self::Blocks,
        Self::BlockHeights,
        Self::ChainMeta,
    ];
    const STATE: &[Self] = &[
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

    fn name(self) -> &'static str {
        match self {
            Self::Records => "records",
            Self::Batches => "batches",
            Self::Undecided => "undecided",
            Self::Blocks => "blocks",
            Self::BlockHeights => "block_heights",
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
    /// Reading or writing failed, or the database is damaged.
    #[error("the database failed: {0}")]
    Io(String),
    /// A row is not what this program writes.
    #[error("the database has a row in {table:?} that cannot be read")]
    Row {
        /// Where.
        table: Table,
    },
}

impl From<rocksdb::Error> for StoreError {
    fn from(error: rocksdb::Error) -> Self {
        Self::Io(error.into_string())
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

// Together these bound what one database holds in memory (issue: RSS below 300 MB).
/// Bytes of unflushed writes of one table.
const TABLE_WRITE_BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// Bytes of unflushed writes of all tables of one database.
const WRITE_BUFFER_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of cached blocks, filters and indexes of one database.
const BLOCK_CACHE_BYTES: usize = 32 * 1024 * 1024;
/// The cache is 2 to this power of parts, each with a lock and its share of the bytes. A block
/// larger than a part is never held: by default there are 64, of half a MiB.
const BLOCK_CACHE_SHARD_BITS: i32 = 3;
/// Bytes of one part of an index or filter. Whole, they grow with the table, and one absent key
/// costs a read of a MiB.
const METADATA_BLOCK_BYTES: usize = 4 * 1024;
/// Open files of one database.
const OPEN_FILES_MAX: i32 = 256;
/// Bytes of log before tables are flushed so that it can go.
const WAL_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Bits per key: about one false answer in a hundred.
const FILTER_BITS: f64 = 10.0;

/// A database on disk.
pub struct RocksStore {
    db: DB,
    tables: &'static [Table],
}

impl RocksStore {
    /// Opens or makes the database in a directory. Fails on damage that RocksDB can see, except a
    /// torn tail of the log, and except lost writes of the state, which are redone.
    pub fn open(path: &Path, database: Database) -> Result<Self, StoreError> {
        let tables = match database {
            Database::Chain => Table::CHAIN,
            Database::State => Table::STATE,
        };
        let mut cache = LruCacheOptions::default();
        cache.set_capacity(BLOCK_CACHE_BYTES);
        cache.set_num_shard_bits(BLOCK_CACHE_SHARD_BITS);
        let cache = Cache::new_lru_cache_opts(&cache);
        let families = tables
            .iter()
            .map(|table| ColumnFamilyDescriptor::new(table.name(), table_options(*table, &cache)));
        let db = DB::open_cf_descriptors(&database_options(database), path, families)?;
        Ok(Self { db, tables })
    }

    fn family(&self, table: Table) -> Result<&ColumnFamily, StoreError> {
        self.db
            .cf_handle(table.name())
            .ok_or_else(|| StoreError::Io(format!("no table {} here", table.name())))
    }
}

fn database_options(database: Database) -> Options {
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);
    options.set_wal_recovery_mode(match database {
        // Damage in the middle fails the open: what follows it was synced and acted on.
        Database::Chain => DBRecoveryMode::TolerateCorruptedTailRecords,
        // Not synced, so a loss of power may leave holes anywhere: go back to before the first
        // one, which is a state at an earlier height, and redo the rest from the chain.
        Database::State => DBRecoveryMode::PointInTime,
    });
    options.set_paranoid_checks(true);
    options.set_track_and_verify_wals_in_manifest(true);
    options.set_db_write_buffer_size(WRITE_BUFFER_BYTES);
    options.set_max_total_wal_size(WAL_BYTES_MAX);
    options.set_max_open_files(OPEN_FILES_MAX);
    options.set_max_background_jobs(2);
    options.set_bytes_per_sync(1024 * 1024);
    options.set_keep_log_file_num(2);
    options.set_max_log_file_size(4 * 1024 * 1024);
    options.set_stats_dump_period_sec(0);
    options
}

fn table_options(table: Table, cache: &Cache) -> Options {
    let mut blocks = BlockBasedOptions::default();
    blocks.set_block_cache(cache);
    blocks.set_cache_index_and_filter_blocks(true);
    blocks.set_cache_index_and_filter_blocks_with_high_priority(true);
    blocks.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    blocks.set_partition_filters(true);
    blocks.set_metadata_block_size(METADATA_BLOCK_BYTES);
    blocks.set_pin_top_level_index_and_filter(true);
    blocks.set_format_version(5);
    if table.is_asked_for_absent_keys() {
        blocks.set_bloom_filter(FILTER_BITS, false);
    }
    let mut options = Options::default();
    options.set_block_based_table_factory(&blocks);
    options.set_write_buffer_size(TABLE_WRITE_BUFFER_BYTES);
    if table.is_archive() {
        options.set_compaction_style(DBCompactionStyle::Universal);
    }
    options.set_compression_type(match table.is_compressed() {
        true => DBCompressionType::Lz4,
        false => DBCompressionType::None,
    });
    options
}

impl Store for RocksStore {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        Ok(self.db.get_cf(self.family(table)?, key)?)
    }

    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let values = self.db.batched_multi_get_cf(self.family(table)?, keys.iter().copied(), false);
        values.into_iter().map(|value| Ok(value?.map(|slice| slice.to_vec()))).collect()
    }

    fn scan(
        &self,
        table: Table,
        start: &[u8],
        order: ScanOrder,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        let direction = match order {
            ScanOrder::Ascending => rocksdb::Direction::Forward,
            ScanOrder::Descending => rocksdb::Direction::Reverse,
        };
        let mode = IteratorMode::From(start, direction);
        for row in self.db.iterator_cf(self.family(table)?, mode) {
            let (key, value) = row?;
            if visit(&key, &value).is_break() {
                break;
            }
        }
        Ok(())
    }

    fn write(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError> {
        let families = self
            .tables
            .iter()
            .map(|table| self.family(*table))
            .collect::<Result<Vec<_>, StoreError>>()?;
        let mut batch = WriteBatch::with_capacity_bytes(changes.bytes.len() * 2);
        for (table, change) in changes.iter() {
            let position = self.tables.iter().position(|known| *known == table);
            let family = position
                .and_then(|position| families.get(position))
                .ok_or_else(|| StoreError::Io(format!("no table {} here", table.name())))?;
            match change {
                Change::Put { key, value } => batch.put_cf(*family, key, value),
                Change::Delete { key } => batch.delete_cf(*family, key),
                Change::DeleteRange { from, to } => batch.delete_range_cf(*family, from, to),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(durability == Durability::Synced);
        Ok(self.db.write_opt(batch, &options)?)
    }
}

/// Decodes a row that this program wrote.
pub(crate) fn decode_row<T: parity_scale_codec::Decode>(
    table: Table,
    bytes: &[u8],
) -> Result<T, StoreError> {
    tonle_model::decode::all(bytes).map_err(|_| StoreError::Row { table })
}
