//! Reading the chain from other threads.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use bytes::Bytes;
use tonle_model::block::Header;
use tonle_model::hash::{BatchDigest, BlockHash};
use tonle_model::number::Height;
use tonle_model::vote::Certificate;

use super::rows::{self, BlockRow};
use super::{ChainError, DECIDED_BATCHES_KEPT, EvidencePlace, EvidenceRow, Staged};
use crate::store::{ScanOrder, Store, StoreError, Table, decode_row};

/// A decided block: its header and what decided it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockRecord {
    /// The header.
    pub header: Header,
    /// A quorum's finalize votes.
    pub finalization: Certificate,
}

/// Which batches are held, under which local numbers.
#[derive(Default)]
pub(super) struct Index {
    /// Undecided ones and those of recent blocks. Looked up, never iterated.
    numbers: HashMap<BatchDigest, u64>,
    /// In order of arrival.
    undecided: BTreeMap<u64, BatchDigest>,
    /// Those of recent blocks, oldest first.
    decided: VecDeque<BatchDigest>,
    /// Where evidence is kept: what was there at the start, then the rest as it came.
    evidence: Vec<EvidencePlace>,
    last: (Height, BlockHash),
}

impl Index {
    pub fn number(&self, digest: &BatchDigest) -> Option<u64> {
        self.numbers.get(digest).copied()
    }

    pub fn undecided_number(&self, digest: &BatchDigest) -> Option<u64> {
        self.number(digest).filter(|number| self.undecided.contains_key(number))
    }

    pub fn undecided_count(&self) -> usize {
        self.undecided.len()
    }

    pub fn last(&self) -> (Height, BlockHash) {
        self.last
    }

    pub fn set_last(&mut self, last: (Height, BlockHash)) {
        self.last = last;
    }

    /// The smallest undecided number once `added` came and `decided` went.
    pub fn first_undecided_but(
        &self,
        added: impl Iterator<Item = u64>,
        decided: &[(BatchDigest, u64)],
    ) -> Option<u64> {
        let decided: std::collections::BTreeSet<_> =
            decided.iter().map(|(_, number)| *number).collect();
        let mut numbers = self.undecided.keys().copied().chain(added);
        numbers.find(|number| !decided.contains(number))
    }

    pub fn add(&mut self, digest: BatchDigest, number: u64) {
        self.numbers.insert(digest, number);
        self.undecided.insert(number, digest);
    }

    pub fn decide(&mut self, digest: BatchDigest, number: u64) {
        self.numbers.insert(digest, number);
        self.undecided.remove(&number);
        self.decided.push_back(digest);
        while self.decided.len() > DECIDED_BATCHES_KEPT {
            if let Some(oldest) = self.decided.pop_front() {
                self.numbers.remove(&oldest);
            }
        }
    }

    pub fn evidence(&self) -> &[EvidencePlace] {
        &self.evidence
    }

    pub fn add_evidence(&mut self, place: EvidencePlace) {
        self.evidence.push(place);
    }

    pub fn forget(&mut self, digest: &BatchDigest, number: u64) {
        self.numbers.remove(digest);
        self.undecided.remove(&number);
    }
}

/// What the writer and its readers share.
pub(super) struct Shared {
    pub store: Arc<dyn Store>,
    index: RwLock<Index>,
}

impl Shared {
    pub fn new(store: Arc<dyn Store>, index: Index) -> Self {
        Self { store, index: RwLock::new(index) }
    }

    // Nothing panics half-way through a change of the index.
    pub fn index(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn index_mut(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn apply(&self, staged: Staged) {
        let mut index = self.index_mut();
        for (digest, number) in staged.added {
            index.add(digest, number);
        }
        for (digest, number) in staged.decided {
            index.decide(digest, number);
        }
        for place in staged.evidence {
            index.add_evidence(place);
        }
        if let Some(last) = staged.last {
            index.set_last(last);
        }
    }
}

/// A cheap handle for reading the chain from any thread.
#[derive(Clone)]
pub struct ChainReader {
    shared: Arc<Shared>,
}

impl ChainReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// A batch's place among all that came, as long as it is undecided or was decided lately.
    pub fn arrival(&self, digest: &BatchDigest) -> Option<u64> {
        self.shared.index().number(digest)
    }

    /// The last decided height; 0 before the first block after genesis.
    pub fn last_height(&self) -> Height {
        self.shared.index().last().0
    }

    /// The first block that is held: 1, unless this node joined from a snapshot.
    pub fn first_height(&self) -> Result<Height, ChainError> {
        Ok(rows::meta(self.store(), rows::FIRST)?.unwrap_or(Height(1)))
    }

    /// A decided block; `None` above the last one, below the first, and for genesis, which is not
    /// stored here.
    pub fn block(&self, height: Height) -> Result<Option<BlockRecord>, ChainError> {
        let row = rows::block(self.store(), height)?;
        Ok(row.map(|row| BlockRecord { header: row.header, finalization: row.finalization }))
    }

    /// The height of a decided block.
    pub fn height_of(&self, block: &BlockHash) -> Result<Option<Height>, ChainError> {
        let row = self.store().get(Table::BlockHeights, block.as_ref())?;
        let number = row.map(|row| rows::number_of(Table::BlockHeights, &row)).transpose()?;
        Ok(number.map(Height))
    }

    /// Whether [`ChainReader::batch`] finds the batch.
    pub fn has_batch(&self, digest: &BatchDigest) -> bool {
        self.shared.index().number(digest).is_some()
    }

    /// Whether the batch is held and in no block.
    pub fn is_undecided(&self, digest: &BatchDigest) -> bool {
        self.shared.index().undecided_number(digest).is_some()
    }

    /// The bytes of a batch that is undecided, or in one of the recent blocks.
    pub fn batch(&self, digest: &BatchDigest) -> Result<Option<Bytes>, ChainError> {
        let number = self.shared.index().number(digest);
        match number {
            // None if it was forgotten meanwhile.
            Some(number) => Ok(self.batch_bytes(number)?),
            None => Ok(None),
        }
    }

    /// The bytes of a decided block's batch.
    pub fn batch_at(&self, height: Height, position: usize) -> Result<Option<Bytes>, ChainError> {
        match self.numbers(height)?.and_then(|numbers| numbers.get(position).copied()) {
            Some(number) => Ok(Some(self.decided_bytes(number)?)),
            None => Ok(None),
        }
    }

    /// The bytes of all batches of a decided block, in order.
    pub fn batches_of(&self, height: Height) -> Result<Option<Vec<Bytes>>, ChainError> {
        let Some(numbers) = self.numbers(height)? else { return Ok(None) };
        numbers
            .into_iter()
            .map(|number| self.decided_bytes(number))
            .collect::<Result<_, _>>()
            .map(Some)
    }

    /// The batches that are held and in no block, in order of arrival.
    pub fn undecided(&self) -> Vec<BatchDigest> {
        self.shared.index().undecided.values().copied().collect()
    }

    /// Evidence in pages, that of the highest heights first: at most `limit` rows after a place in
    /// this order, or from its beginning.
    pub fn evidence(
        &self,
        after: Option<&EvidencePlace>,
        limit: usize,
    ) -> Result<Vec<EvidenceRow>, ChainError> {
        let start = after.unwrap_or(&EvidencePlace::LAST).to_key();
        let mut page = Vec::new();
        self.store().scan(Table::Evidence, &start, ScanOrder::Descending, &mut |key, row| {
            if page.len() >= limit {
                return ControlFlow::Break(());
            }
            if after.is_none() || key != start {
                page.push(decode_row(Table::Evidence, row));
            }
            ControlFlow::Continue(())
        })?;
        Ok(page.into_iter().collect::<Result<_, _>>()?)
    }

    /// How many rows of evidence there are; they are never dropped.
    pub fn evidence_count(&self) -> usize {
        self.shared.index().evidence().len()
    }

    /// The rows that came since there were `count`, in the order they came.
    pub fn evidence_since(&self, count: usize) -> Result<Vec<EvidenceRow>, ChainError> {
        let places = self.shared.index().evidence().get(count..).unwrap_or_default().to_vec();
        let missing = StoreError::Row { table: Table::Evidence };
        let row = |place: EvidencePlace| {
            let row = self.store().get(Table::Evidence, &place.to_key())?;
            decode_row(Table::Evidence, &row.ok_or_else(|| missing.clone())?)
        };
        Ok(places.into_iter().map(row).collect::<Result<_, StoreError>>()?)
    }

    /// The database, for whoever hands a snapshot out.
    pub fn shared_store(&self) -> Arc<dyn Store> {
        self.shared.store.clone()
    }

    fn store(&self) -> &dyn Store {
        &*self.shared.store
    }

    fn numbers(&self, height: Height) -> Result<Option<Vec<u64>>, StoreError> {
        Ok(rows::block(self.store(), height)?.map(|row: BlockRow| row.batches))
    }

    fn batch_bytes(&self, number: u64) -> Result<Option<Bytes>, StoreError> {
        let row = self.store().get(Table::Batches, &rows::number_key(number))?;
        Ok(row.map(Bytes::from))
    }

    /// A batch of a decided block is never deleted.
    fn decided_bytes(&self, number: u64) -> Result<Bytes, ChainError> {
        let bytes = self.batch_bytes(number)?;
        Ok(bytes.ok_or(StoreError::Row { table: Table::Batches })?)
    }
}
