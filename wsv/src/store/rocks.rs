//! Tables in RocksDB: the only file that names it.
//!
//! Which faults RocksDB notices is not obvious: the options below are chosen so that the chain
//! refuses to open when its log is damaged in the middle, and only a torn tail is forgiven
//! (consensus.md, What is durable before what).

use std::path::Path;

use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor, DB,
    DBCompactionStyle, DBCompressionType, DBRecoveryMode, IteratorMode, LruCacheOptions, Options,
    WriteBatch, WriteOptions,
};

use super::lock::FilesLock;
use super::logs::{self, Cut};
use super::{Change, Changes, Database, Durability, ScanOrder, Store, StoreError, Table, Visit};

// Together these bound what one database holds in memory (issue: RSS below 300 MB).
/// Bytes of unflushed writes of one table.
const TABLE_WRITE_BUFFER_BYTES: usize = 16 * 1024 * 1024;
/// Buffers of one table, the one being filled and those that wait to be flushed: with two, a slow
/// flush would stop every write.
const TABLE_WRITE_BUFFERS_MAX: i32 = 4;
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
/// Most bytes a second that flushes and compactions of one database write. With little to do
/// RocksDB lowers this, to a twentieth at least, and raises it again by 5 % for each second in
/// which it was used up: a compaction that takes all of the disk and the processor holds up votes
/// (docs/decisions/0016).
const BACKGROUND_BYTES_PER_SECOND_MAX: i64 = 160 * 1024 * 1024;
/// How often their share is dealt out; the limit is looked at again every hundredth time.
const BACKGROUND_REFILL_MICROSECONDS: i64 = 10_000;
/// One share in so many goes to compactions first, however much is to be flushed.
const BACKGROUND_FAIRNESS: i32 = 10;
/// Bits per key: about one false answer in a hundred.
const FILTER_BITS: f64 = 10.0;

/// A database on disk.
pub struct RocksStore {
    db: DB,
    place: Place,
    tables: &'static [Table],
    cut: Option<Cut>,
}

/// Which database, and where.
struct Place {
    database: Database,
    path: String,
}

impl Place {
    /// What went wrong there.
    fn failed(&self, reason: impl ToString) -> StoreError {
        let (database, path, reason) = (self.database, self.path.clone(), reason.to_string());
        match reason.contains("While lock file") {
            true => StoreError::InUse { path },
            false => StoreError::Failed { database, path, reason },
        }
    }
}

impl RocksStore {
    /// Opens or makes the database in a directory. Fails on damage to its logs, and on what else
    /// RocksDB can see, except a torn tail, and except lost writes of the state, which are redone.
    pub fn open(path: &Path, database: Database) -> Result<Self, StoreError> {
        let place = Place { database, path: path.display().to_string() };
        let lock = FilesLock::take(path)?;
        let cut = logs::check(path, database).map_err(|damage| place.failed(damage))?;
        drop(lock);
        let (tables, families) = families(database);
        let db = DB::open_cf_descriptors(&database_options(database), path, families)
            .map_err(|error| place.failed(error))?;
        Ok(Self { db, place, tables, cut })
    }

    /// The log whose end had to be given up, if any.
    pub fn cut(&self) -> Option<&Cut> {
        self.cut.as_ref()
    }

    /// Opens the database in a directory as it is now, beside whoever writes it; writes to this one
    /// fail. Every file is held open, so that it stays readable when the writer has done with it.
    /// `scratch` takes what RocksDB logs.
    pub fn open_view(path: &Path, database: Database, scratch: &Path) -> Result<Self, StoreError> {
        let place = Place { database, path: path.display().to_string() };
        let (tables, families) = families(database);
        let mut options = database_options(database);
        options.create_if_missing(false);
        options.create_missing_column_families(false);
        options.set_max_open_files(-1);
        // The writer may drop a log between the reading of the list and of the log.
        options.set_track_and_verify_wals_in_manifest(false);
        let db = DB::open_cf_descriptors_as_secondary(&options, path, scratch, families)
            .map_err(|error| place.failed(error))?;
        Ok(Self { db, place, tables, cut: None })
    }

    fn family(&self, table: Table) -> Result<&ColumnFamily, StoreError> {
        self.db.cf_handle(table.name()).ok_or_else(|| self.no_table(table))
    }

    fn no_table(&self, table: Table) -> StoreError {
        self.place.failed(format_args!("there is no table {}", table.name()))
    }
}

/// The tables of a database and how they are kept, with one cache for all.
fn families(database: Database) -> (&'static [Table], Vec<ColumnFamilyDescriptor>) {
    let tables = match database {
        Database::Chain => Table::CHAIN,
        Database::State => Table::STATE,
    };
    let mut cache = LruCacheOptions::default();
    cache.set_capacity(BLOCK_CACHE_BYTES);
    cache.set_num_shard_bits(BLOCK_CACHE_SHARD_BITS);
    let cache = Cache::new_lru_cache_opts(&cache);
    let family =
        |table: &Table| ColumnFamilyDescriptor::new(table.name(), table_options(*table, &cache));
    (tables, tables.iter().map(family).collect())
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
    options.set_auto_tuned_ratelimiter(
        BACKGROUND_BYTES_PER_SECOND_MAX,
        BACKGROUND_REFILL_MICROSECONDS,
        BACKGROUND_FAIRNESS,
    );
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
    options.set_max_write_buffer_number(TABLE_WRITE_BUFFERS_MAX);
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
        self.db.get_cf(self.family(table)?, key).map_err(|error| self.place.failed(error))
    }

    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        let values = self.db.batched_multi_get_cf(self.family(table)?, keys.iter().copied(), false);
        let value = |value: Result<Option<rocksdb::DBPinnableSlice<'_>>, _>| match value {
            Ok(slice) => Ok(slice.map(|slice| slice.to_vec())),
            Err(error) => Err(self.place.failed(error)),
        };
        values.into_iter().map(value).collect()
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
            let (key, value) = row.map_err(|error| self.place.failed(error))?;
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
        for (table, change) in changes.by_table_and_key() {
            let position = self.tables.iter().position(|known| *known == table);
            let family = position
                .and_then(|position| families.get(position))
                .ok_or_else(|| self.no_table(table))?;
            match change {
                Change::Put { key, value } => batch.put_cf(*family, key, value),
                Change::Delete { key } => batch.delete_cf(*family, key),
                Change::DeleteRange { from, to } => batch.delete_range_cf(*family, from, to),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(durability == Durability::Synced);
        self.db.write_opt(batch, &options).map_err(|error| self.place.failed(error))
    }
}
