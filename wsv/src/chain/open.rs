//! Opening the chain database, and noticing that it lost something.

use std::ops::ControlFlow;
use std::sync::Arc;

use tonle_model::hash::{BatchDigest, BlockHash, ChainHash, Digest256};
use tonle_model::number::Height;

use super::reader::{Index, Shared};
use super::seen::Seen;
use super::{ChainError, ChainLog, DECIDED_BATCHES_KEPT, EvidencePlace, Mark, MarkStore, rows};
use crate::store::{
    Changes, Durability, ScanOrder, Store, StoreError, Table, are_empty, decode_row,
};

/// So many blocks at most are read at the start to find recent batches by digest.
const DECIDED_BLOCKS_READ: u64 = 256;

/// What to do with a log that lost something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnLoss {
    /// Refuse to open it.
    Refuse,
    /// Open it for reading and following the chain. It stays known as lost.
    Observe,
    /// An operator says it may vote again.
    Forgive,
}

/// How it is known that a log lost something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Loss {
    /// The database is behind its mark, or lost it.
    #[error(
        "the chain database lost writes: it is at write {}, height {}, and was at {}",
        found.counter, found.height, describe(*marked)
    )]
    Behind {
        /// How far it once got; `None` if that record is itself missing or damaged.
        marked: Option<Mark>,
        /// How far it is.
        found: Mark,
    },
    /// The state is of blocks that the chain does not have.
    #[error(
        "the chain database lost blocks: it is at height {chain}, and the state was at {state}"
    )]
    StateAhead {
        /// Where the state was.
        state: Height,
        /// Where the chain is.
        chain: Height,
    },
    /// It was found so before.
    #[error("the chain database had lost writes when this node started before")]
    Earlier,
}

/// Why the chain database did not open.
#[derive(Debug, thiserror::Error)]
pub enum ChainOpenError {
    /// The log lost something: it must not be voted from.
    #[error("{0}; run as an observer, or restore the data")]
    Lost(Loss),
    /// The database belongs to another genesis.
    #[error("the chain database belongs to network {found}, not to {expected}")]
    OtherNetwork {
        /// The network asked for.
        expected: ChainHash,
        /// The network found.
        found: ChainHash,
    },
    /// The disk failed, or the database is damaged.
    #[error(transparent)]
    Fatal(#[from] StoreError),
}

fn describe(marked: Option<Mark>) -> String {
    marked.map_or("an unknown one".into(), |mark| {
        format!("write {}, height {}", mark.counter, mark.height)
    })
}

impl ChainLog {
    /// Opens a chain database beside its mark.
    pub fn open(
        store: Arc<dyn Store>,
        mut mark_store: Box<dyn MarkStore>,
        chain: &ChainHash,
        on_loss: OnLoss,
    ) -> Result<Self, ChainOpenError> {
        // The tables come and go together, in their order; the last one is never without a row.
        let meta_is_lost = are_empty(&*store, &[Table::ChainMeta])?;
        if meta_is_lost && !are_empty(&*store, Table::CHAIN)? {
            return Err(StoreError::Row { table: Table::ChainMeta }.into());
        }
        let found = rows::meta(&*store, rows::MARK)?.unwrap_or_default();
        let loss = find_loss(&*store, &*mark_store, found, on_loss)?;
        adopt(&*store, chain, loss.is_none())?;
        if loss.is_none() {
            mark_store.save(&found).map_err(|error| StoreError::Io(error.to_string()))?;
        }
        let (index, next_batch) = load_index(&*store)?;
        let next_record = next_record(&*store)?;
        let seen = Seen::load(&*store)?;
        Ok(Self {
            shared: Arc::new(Shared::new(store, index)),
            mark_store,
            mark: found,
            loss,
            next_record,
            next_batch,
            records_pruned: Height(0),
            seen,
        })
    }

    /// How it is known that the log is not all that this validator ever wrote, if it is not.
    pub fn loss(&self) -> Option<Loss> {
        self.loss
    }

    /// Something outside of the log shows that it lost something. It stays known as lost.
    pub fn lose(&mut self, loss: Loss) -> Result<(), ChainError> {
        let mut changes = Changes::default();
        rows::put_meta(&mut changes, rows::LOST, &true);
        self.shared.store.write(&changes, Durability::Synced)?;
        self.loss.get_or_insert(loss);
        Ok(())
    }
}

fn find_loss(
    store: &dyn Store,
    mark_store: &dyn MarkStore,
    found: Mark,
    on_loss: OnLoss,
) -> Result<Option<Loss>, ChainOpenError> {
    let (marked, is_behind) = match mark_store.load() {
        Ok(Some(mark)) => (Some(mark), mark.counter > found.counter),
        // The mark is made before the first write, so a database that was written to had one.
        Ok(None) => (None, found.counter > 0),
        Err(_) => (None, true),
    };
    let is_known = rows::meta::<bool>(store, rows::LOST)?.unwrap_or(false);
    let loss = match is_behind {
        true => Some(Loss::Behind { marked, found }),
        false => is_known.then_some(Loss::Earlier),
    };
    match (loss, on_loss) {
        (None, _) | (Some(_), OnLoss::Forgive) => Ok(None),
        (Some(loss), OnLoss::Observe) => Ok(Some(loss)),
        (Some(loss), OnLoss::Refuse) => Err(ChainOpenError::Lost(loss)),
    }
}

/// Checks that the database is of this network, and notes whether it is whole: a log that lost
/// something stays so even when its count has caught up with the mark.
fn adopt(store: &dyn Store, chain: &ChainHash, whole: bool) -> Result<(), ChainOpenError> {
    let mut changes = Changes::default();
    match rows::meta::<ChainHash>(store, rows::CHAIN)? {
        Some(found) if found != *chain => {
            return Err(ChainOpenError::OtherNetwork { expected: *chain, found });
        }
        Some(_) => {}
        None => rows::put_meta(&mut changes, rows::CHAIN, chain),
    }
    let known_lost = rows::meta::<bool>(store, rows::LOST)?.unwrap_or(false);
    if known_lost == whole {
        rows::put_meta(&mut changes, rows::LOST, &!whole);
    }
    match changes.is_empty() {
        true => Ok(()),
        false => Ok(store.write(&changes, Durability::Synced)?),
    }
}

fn load_index(store: &dyn Store) -> Result<(Index, u64), StoreError> {
    let mut index = Index::default();
    if let Some(height) = last_number(store, Table::Blocks)? {
        load_decided(store, &mut index, Height(height))?;
    }
    let low_water = rows::meta::<u64>(store, rows::LOW_WATER)?.unwrap_or(0);
    let mut undecided = Vec::new();
    let start = rows::number_key(low_water);
    store.scan(Table::Undecided, &start, ScanOrder::Ascending, &mut |key, row| {
        undecided.push((rows::number_of(Table::Undecided, key), row.to_vec()));
        ControlFlow::Continue(())
    })?;
    for (number, row) in undecided {
        index.add(BatchDigest(decode_row::<Digest256>(Table::Undecided, &row)?), number?);
    }
    load_evidence(store, &mut index)?;
    let next_batch = last_number(store, Table::Batches)?.map_or(0, |last| last + 1);
    // A forgotten batch may have been the last one: numbers only grow, so start past low water.
    Ok((index, next_batch.max(low_water)))
}

fn load_decided(store: &dyn Store, index: &mut Index, last: Height) -> Result<(), StoreError> {
    let missing = StoreError::Row { table: Table::Blocks };
    let first = rows::meta(store, rows::FIRST)?.unwrap_or(Height(1));
    let mut rows_read = Vec::new();
    let mut count = 0;
    let mut height = Some(last);
    let is_read = |at: &Height| *at >= first && last.0 - at.0 < DECIDED_BLOCKS_READ;
    while let Some(at) = height.filter(is_read) {
        let row = rows::block(store, at)?.ok_or_else(|| missing.clone())?;
        count += row.batches.len();
        rows_read.push(row);
        if count >= DECIDED_BATCHES_KEPT {
            break;
        }
        height = at.previous();
    }
    let hash = rows_read.first().map_or(BlockHash::default(), |row| row.header.hash());
    for row in rows_read.iter().rev() {
        for (reference, number) in row.header.batches.iter().zip(&row.batches) {
            index.decide(reference.digest, *number);
        }
    }
    index.set_last((last, hash));
    Ok(())
}

fn load_evidence(store: &dyn Store, index: &mut Index) -> Result<(), StoreError> {
    let mut readable = Ok(());
    store.scan(Table::Evidence, &[], ScanOrder::Ascending, &mut |key, _| {
        match EvidencePlace::from_key(key) {
            Some(place) => index.add_evidence(place),
            None => readable = Err(StoreError::Row { table: Table::Evidence }),
        }
        ControlFlow::Continue(())
    })?;
    readable
}

fn last_number(store: &dyn Store, table: Table) -> Result<Option<u64>, StoreError> {
    let mut last = None;
    store.scan(table, &[0xff; 8], ScanOrder::Descending, &mut |key, _| {
        last = Some(rows::number_of(table, key));
        ControlFlow::Break(())
    })?;
    last.transpose()
}

fn next_record(store: &dyn Store) -> Result<u64, StoreError> {
    let mut next = 0;
    store.scan(Table::Records, &[], ScanOrder::Ascending, &mut |key, _| {
        next = next.max(rows::record_number(key).map_or(0, |number| number + 1));
        ControlFlow::Continue(())
    })?;
    Ok(next)
}
