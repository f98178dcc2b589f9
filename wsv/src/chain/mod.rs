//! The chain database: what consensus must not forget.
//!
//! The driver drains its inputs, steps the core, hands everything that must be durable to
//! [`ChainLog::append`] in one synced write, and only then sends or acts (consensus.md, What is
//! durable before what). Batches stand under local numbers that only grow, so the large values are
//! written once and moved by no compaction.

mod evidence;
mod mark;
mod open;
mod reader;
pub(crate) mod rows;
mod seen;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use parity_scale_codec::Encode;
use tonle_model::batch::Batch;
use tonle_model::block::Header;
use tonle_model::hash::{BatchDigest, BlockHash};
use tonle_model::key::PublicKey;
use tonle_model::number::{Height, View};
use tonle_model::verified::Verified;
use tonle_model::vote::{Certificate, Vote, VoteKind};

pub use evidence::{EvidencePlace, EvidencePlaceError, EvidenceRow, Signed, Statements};
pub use mark::{FileMark, Mark, MarkStore, MemoryMark};
pub use open::{ChainOpenError, Loss, OnLoss};
pub use reader::{BlockRecord, ChainReader};
pub use seen::VOTES_SEEN_MAX;

use reader::Shared;
use rows::BlockRow;
use seen::Seen;

use crate::store::{Changes, Durability, ScanOrder, StoreError, Table};

/// Most batches that are held and in no block. The pool bounds what it takes in far below this.
pub const UNDECIDED_BATCHES_MAX: usize = if cfg!(test) { 50 } else { 262_144 };
/// Consensus records of so many committed heights are kept for peers that are a little behind.
pub const RECORD_HEIGHTS_KEPT: u64 = 16;
/// Batches of recent blocks that are still found by their digest.
pub const DECIDED_BATCHES_KEPT: usize = if cfg!(test) { 10 } else { 8_192 };
/// Most evidence that is kept, about 300 bytes each: a validator that breaks the rules at every
/// height must not fill the disk.
pub const EVIDENCE_MAX: usize = if cfg!(test) { 10 } else { 1_024 };

/// Why the chain log did not do what was asked; by what the caller does about it.
#[derive(Debug, thiserror::Error)]
pub enum ChainError {
    /// It cannot be done, now or later; nothing was written.
    #[error("cannot append to the chain: {0}")]
    Invalid(String),
    /// A block names a batch that is not held; fetch it first. Nothing was written.
    #[error("batch {0} is not held")]
    Missing(BatchDigest),
    /// The disk failed: stop the process.
    #[error(transparent)]
    Fatal(#[from] StoreError),
}

/// What one turn of the driver makes durable.
#[derive(Debug, Default)]
pub struct ChainWrite {
    /// Opaque consensus records (votes, certificates, headers, proposals) by height, in order.
    pub records: Vec<(Height, Vec<u8>)>,
    /// Batches that are newly held. One that is held already is skipped.
    pub batches: Vec<Arc<Verified<Batch>>>,
    /// Decided blocks with their finalizations, ascending from the height after the last one.
    /// Their batches are held already or are in this write.
    pub committed: Vec<(Header, Certificate)>,
    /// Evidence that was found. What is kept about a validator and height already is not replaced,
    /// and past [`EVIDENCE_MAX`] nothing is kept.
    pub evidence: Vec<EvidenceRow>,
    /// The latest vote seen of each validator. It makes no write by itself: what was seen since the
    /// last one is lost with the power, and nothing was said since.
    pub seen: Vec<(PublicKey, Vote)>,
    /// The view the validator is in, for the mark.
    pub view: View,
}

/// The chain database with its one writer.
pub struct ChainLog {
    shared: Arc<Shared>,
    mark_store: Box<dyn MarkStore>,
    mark: Mark,
    loss: Option<Loss>,
    next_record: u64,
    next_batch: u64,
    records_pruned: Height,
    seen: Seen,
}

/// What a write will do to the index once it is on disk.
#[derive(Default)]
struct Staged {
    added: Vec<(BatchDigest, u64)>,
    decided: Vec<(BatchDigest, u64)>,
    evidence: Vec<EvidencePlace>,
    last: Option<(Height, BlockHash)>,
    records_pruned: Option<Height>,
}

impl ChainLog {
    /// Whether the log is all that this validator ever wrote. If not, it must not vote.
    pub fn is_whole(&self) -> bool {
        self.loss.is_none()
    }

    /// A handle for other threads.
    pub fn reader(&self) -> ChainReader {
        ChainReader::new(self.shared.clone())
    }

    /// Makes everything in `write` durable: one atomic write, on disk when this returns.
    pub fn append(&mut self, write: ChainWrite) -> Result<(), ChainError> {
        let mut changes = Changes::default();
        let mut staged = Staged::default();
        self.stage_batches(&write, &mut changes, &mut staged)?;
        self.stage_blocks(&write, &mut changes, &mut staged)?;
        self.stage_evidence(&write, &mut changes, &mut staged);
        let mut next_record = self.next_record;
        for (height, record) in &write.records {
            changes.put(Table::Records, &rows::record_key(*height, next_record), record);
            next_record += 1;
        }
        if changes.is_empty() {
            return Ok(());
        }
        let height = staged.last.map_or(self.mark.height, |(height, _)| height);
        let mark = Mark { height, view: write.view, counter: self.mark.counter + 1 };
        rows::put_meta(&mut changes, rows::MARK, &mark);
        let seen = self.seen.stage(&write.seen, &mut changes);
        self.shared.store.write(&changes, Durability::Synced)?;
        // After the database: the mark may lag it, never lead it.
        self.mark_store.save(&mark).map_err(|error| StoreError::Io(error.to_string()))?;
        self.mark = mark;
        self.next_record = next_record;
        self.next_batch += staged.added.len() as u64;
        self.records_pruned = staged.records_pruned.unwrap_or(self.records_pruned);
        self.seen = seen.unwrap_or_else(|| std::mem::take(&mut self.seen));
        self.shared.apply(staged);
        Ok(())
    }

    /// The latest vote of each validator that was seen when this log was last written to.
    pub fn votes_seen(&self) -> &BTreeMap<PublicKey, Vote> {
        self.seen.votes()
    }

    /// The records of a height in the order they were appended.
    pub fn records(&self, height: Height) -> Result<Vec<Vec<u8>>, ChainError> {
        let mut records = Vec::new();
        let prefix = height.0.to_be_bytes();
        self.shared.store.scan(
            Table::Records,
            &prefix,
            ScanOrder::Ascending,
            &mut |key, row| {
                match key.starts_with(&prefix) {
                    true => records.push(row.to_vec()),
                    false => return std::ops::ControlFlow::Break(()),
                }
                std::ops::ControlFlow::Continue(())
            },
        )?;
        Ok(records)
    }

    /// Drops undecided batches that can be in no block any more. Not synced: a batch that comes
    /// back after a crash is dropped again.
    pub fn forget(&mut self, digests: &[BatchDigest]) -> Result<(), ChainError> {
        let mut changes = Changes::default();
        let mut gone = Vec::new();
        {
            let index = self.shared.index();
            for digest in digests {
                if let Some(number) = index.undecided_number(digest) {
                    changes.delete(Table::Batches, &rows::number_key(number));
                    changes.delete(Table::Undecided, &rows::number_key(number));
                    gone.push((*digest, number));
                }
            }
        }
        self.shared.store.write(&changes, Durability::Unsynced)?;
        let mut index = self.shared.index_mut();
        gone.iter().for_each(|(digest, number)| index.forget(digest, *number));
        Ok(())
    }

    fn stage_batches(
        &self,
        write: &ChainWrite,
        changes: &mut Changes,
        staged: &mut Staged,
    ) -> Result<(), ChainError> {
        let index = self.shared.index();
        let mut number = self.next_batch;
        for batch in &write.batches {
            let digest = batch.digest();
            let again = staged.added.iter().any(|(added, _)| *added == digest);
            if again || index.number(&digest).is_some() {
                continue;
            }
            let key = rows::number_key(number);
            changes.put(Table::Batches, &key, batch.bytes());
            changes.put(Table::Undecided, &key, digest.as_ref());
            staged.added.push((digest, number));
            number += 1;
        }
        match index.undecided_count() + staged.added.len() > UNDECIDED_BATCHES_MAX {
            true => Err(ChainError::Invalid("too many undecided batches".into())),
            false => Ok(()),
        }
    }

    fn stage_blocks(
        &self,
        write: &ChainWrite,
        changes: &mut Changes,
        staged: &mut Staged,
    ) -> Result<(), ChainError> {
        if write.committed.is_empty() {
            return Ok(());
        }
        let index = self.shared.index();
        let added: BTreeMap<_, _> = staged.added.iter().copied().collect();
        let mut last = index.last();
        for (header, finalization) in &write.committed {
            let block = header.hash();
            check_block(header, &block, finalization, last)?;
            let mut batches = Vec::new();
            for reference in &header.batches {
                let digest = reference.digest;
                let held = added.get(&digest).copied().or_else(|| index.number(&digest));
                let number = held.ok_or(ChainError::Missing(digest))?;
                batches.push(number);
                changes.delete(Table::Undecided, &rows::number_key(number));
                staged.decided.push((digest, number));
            }
            let row =
                BlockRow { header: header.clone(), finalization: finalization.clone(), batches };
            rows::put_block(changes, &block, &row);
            last = (header.height, block);
        }
        staged.last = Some(last);
        let added = staged.added.iter().map(|(_, number)| *number);
        let low_water = index.first_undecided_but(added, &staged.decided);
        rows::put_meta(changes, rows::LOW_WATER, &low_water.unwrap_or(self.next_batch));
        self.stage_prune(last.0, changes, staged);
        Ok(())
    }

    fn stage_evidence(&self, write: &ChainWrite, changes: &mut Changes, staged: &mut Staged) {
        let index = self.shared.index();
        for row in &write.evidence {
            let place = row.place();
            let known = index.evidence().contains(&place) || staged.evidence.contains(&place);
            let is_full = index.evidence().len() + staged.evidence.len() >= EVIDENCE_MAX;
            if !known && !is_full {
                changes.put(Table::Evidence, &place.to_key(), &row.encode());
                staged.evidence.push(place);
            }
        }
    }

    /// Drops the records of heights long decided, some heights at a time: a range deletion costs
    /// its readers something, and nobody waits for the space.
    fn stage_prune(&self, last: Height, changes: &mut Changes, staged: &mut Staged) {
        let until = Height(last.0.saturating_sub(RECORD_HEIGHTS_KEPT));
        if until.0 >= self.records_pruned.0 + RECORD_HEIGHTS_KEPT {
            let from = rows::record_key(self.records_pruned, 0);
            changes.delete_range(Table::Records, &from, &rows::record_key(until, 0));
            staged.records_pruned = Some(until);
        }
    }
}

/// A block follows the last one, and its finalization is about it. Signatures are the caller's.
fn check_block(
    header: &Header,
    block: &BlockHash,
    finalization: &Certificate,
    last: (Height, BlockHash),
) -> Result<(), ChainError> {
    if header.height != last.0.next() {
        let message = format!("block {} does not follow {}", header.height, last.0);
        return Err(ChainError::Invalid(message));
    }
    // The parent of block 1 is genesis, which is not in this database.
    if last.0 != Height(0) && header.parent != last.1 {
        let message = format!("block {} has another parent", header.height);
        return Err(ChainError::Invalid(message));
    }
    let ballot = finalization.ballot;
    let finalizes =
        matches!(ballot.kind, VoteKind::Finalize { block: finalized, .. } if finalized == *block);
    match finalizes && ballot.height == header.height {
        true => Ok(()),
        false => Err(ChainError::Invalid("the certificate is not of this block".into())),
    }
}
