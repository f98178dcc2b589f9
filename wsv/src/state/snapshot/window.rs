//! The blocks of the last window, from the certified one downward: what was used up follows from
//! them (ledger.md, Transaction).

use parity_scale_codec::{Decode, Encode};
use tonle_model::batch::{Batch, verify_author};
use tonle_model::block::{BatchRef, Header};
use tonle_model::bounded::Bounded;
use tonle_model::hash::{BlockHash, ResultHash};
use tonle_model::number::Height;
use tonle_model::proof::{CertifiedBlock, Succession};
use tonle_model::receipt::{Outcome, Receipt};
use tonle_model::{limits, merkle};

use super::manifest::Trust;
use super::{PartId, SnapshotError, WindowPlace};
use crate::chain::rows::{self, BlockRow};
use crate::state::check;
use crate::state::receipts::{
    ReceiptRow, ReceiptsRow, TransactionRecord, put_receipts, put_transaction,
};
use crate::store::{Changes, Table};

/// Most transactions of a block: it has bytes for fewer.
const OUTCOMES_MAX: usize = 1 << 17;

/// What a part of the window is a list of.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Item {
    /// A block; its batches follow.
    #[codec(index = 0)]
    Block(Box<BlockItem>),
    /// The next batch of the block, as its author encoded it.
    #[codec(index = 1)]
    Batch(Vec<u8>),
}

/// A block of the window.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BlockItem {
    /// The block, what it came to and who says so.
    pub block: CertifiedBlock,
    /// What became of each transaction of its batches; nothing for one that was void.
    pub outcomes: Bounded<Option<Outcome>, OUTCOMES_MAX>,
}

/// By how much a transaction outlives its block at most: the longest life and the drift. A second
/// drift is for the pool, which looks as much further back.
const OUTLIVED_MS: u64 = limits::TTL_MS_MAX + 2 * limits::DRIFT_MS;

/// Whether a block is the last one that a window needs: anything used up before it has expired.
pub fn is_last(header: &Header, until_ms: u64) -> bool {
    header.height == Height(1) || header.timestamp_ms.saturating_add(OUTLIVED_MS) < until_ms
}

/// Takes the items in order, and says what they come to.
#[derive(Clone)]
pub struct WindowTaker {
    /// What the next block must be, and must have come to.
    expected: (Height, BlockHash, ResultHash),
    /// The block whose batches are not all here.
    open: Option<(Box<BlockItem>, Vec<Batch>)>,
    /// Block time of the state.
    until_ms: u64,
    /// Block time of the last block that is here.
    reached_ms: u64,
    next_batch: u64,
    first: Option<Height>,
}

/// What a complete block writes into the two databases.
#[derive(Default)]
pub struct Written {
    pub state: Changes,
    pub chain: Changes,
}

/// What items are checked with.
pub struct Judge<'a> {
    pub trust: &'a Trust,
    pub succession: &'a Succession,
}

impl WindowTaker {
    /// Begins at the block whose state it is.
    pub fn new(block: &CertifiedBlock) -> Self {
        let header = &block.header;
        Self {
            expected: (header.height, header.hash(), block.result.hash()),
            open: None,
            until_ms: header.timestamp_ms,
            reached_ms: header.timestamp_ms,
            next_batch: 0,
            first: None,
        }
    }

    /// What comes next; nothing when all is here.
    pub fn wanted(&self) -> Option<PartId> {
        if self.first.is_some() {
            return None;
        }
        let (height, item) = match &self.open {
            Some((item, batches)) => (item.block.header.height, batches.len() + 1),
            None => (self.expected.0, 0),
        };
        // A header names fewer batches.
        let item = u16::try_from(item).unwrap_or(u16::MAX);
        Some(PartId::Window(WindowPlace { height, item }))
    }

    /// The first block of the window, once all are here.
    pub fn first(&self) -> Option<Height> {
        self.first
    }

    /// Milliseconds of the window that are not here yet, at most.
    pub fn left_ms(&self) -> u64 {
        let floor_ms = self.until_ms.saturating_sub(OUTLIVED_MS);
        match self.first {
            Some(_) => 0,
            None => self.reached_ms.saturating_sub(floor_ms),
        }
    }

    /// The number of the next batch in the chain database.
    pub fn next_batch(&self) -> u64 {
        self.next_batch
    }

    /// Takes all items of a part or none.
    pub fn take(&mut self, part: &[u8], judge: &Judge<'_>) -> Result<Written, SnapshotError> {
        let mut taker = self.clone();
        let written = taker.take_all(part, judge)?;
        *self = taker;
        Ok(written)
    }

    fn take_all(&mut self, part: &[u8], judge: &Judge<'_>) -> Result<Written, SnapshotError> {
        let mut written = Written::default();
        let mut rest = part;
        if rest.is_empty() {
            return Err(SnapshotError::Invalid("a part has nothing in it"));
        }
        while !rest.is_empty() {
            let item = tonle_model::decode::next(&mut rest);
            let item = item.map_err(|_| SnapshotError::Invalid("its blocks cannot be read"))?;
            self.take_item(item, judge)?;
            self.close(judge.trust, &mut written)?;
        }
        Ok(written)
    }

    fn take_item(&mut self, item: Item, judge: &Judge<'_>) -> Result<(), SnapshotError> {
        match (item, &mut self.open) {
            (Item::Block(item), None) if self.first.is_none() => {
                let CertifiedBlock { header, result, .. } = &item.block;
                if (header.height, header.hash(), result.hash()) != self.expected {
                    return Err(SnapshotError::Invalid("a block is not the one before the next"));
                }
                let validators = judge.succession.at(header.height);
                item.block.check(&judge.trust.chain, validators, &judge.trust.verifier)?;
                if item.outcomes.len() as u64 != header.transaction_count() {
                    return Err(SnapshotError::Invalid("a block has more or fewer outcomes"));
                }
                self.open = Some((item, Vec::new()));
                Ok(())
            }
            (Item::Batch(bytes), Some((item, batches))) => {
                let wanted = item.block.header.batches.get(batches.len());
                batches.push(checked_batch(bytes, wanted, judge.trust)?);
                Ok(())
            }
            _ => Err(SnapshotError::Invalid("a block or a batch is out of place")),
        }
    }

    /// Writes the block once all of its batches are here, and goes on to the one before it.
    fn close(&mut self, trust: &Trust, written: &mut Written) -> Result<(), SnapshotError> {
        let is_whole = |(item, batches): &mut (Box<BlockItem>, Vec<Batch>)| {
            batches.len() == item.block.header.batches.len()
        };
        let Some((item, batches)) = self.open.take_if(is_whole) else { return Ok(()) };
        self.write_receipts(&item, &batches, written)?;
        let header = &item.block.header;
        self.write_block(&item.block, &batches, written);
        self.reached_ms = header.timestamp_ms;
        if is_last(header, self.until_ms) {
            self.first = Some(header.height);
            if header.height == Height(1) && header.parent != trust.genesis {
                return Err(SnapshotError::Invalid("its first block does not follow the genesis"));
            }
        } else if let Some(below) = header.height.previous() {
            self.expected = (below, header.parent, header.parent_result);
        }
        Ok(())
    }

    /// What was used up follows from the transactions; what became of them is certified.
    fn write_receipts(
        &self,
        item: &BlockItem,
        batches: &[Batch],
        written: &mut Written,
    ) -> Result<(), SnapshotError> {
        let CertifiedBlock { header, result, .. } = &item.block;
        let mut receipts = Vec::new();
        let members = batches.iter().flat_map(|batch| batch.transactions());
        for ((place, member), outcome) in (0u32..).zip(members).zip(&item.outcomes) {
            let Some(outcome) = outcome else { continue };
            let receipt = Receipt { transaction: member.hash(), outcome: *outcome };
            let index = u32::try_from(receipts.len()).unwrap_or(u32::MAX);
            let (height, detail) = (header.height, String::new());
            let record = TransactionRecord { height, index, place, receipt, detail };
            put_transaction(&mut written.state, record);
            let references = match outcome {
                Outcome::Applied => check::references(member.payload()),
                Outcome::Rejected { .. } => Vec::new(),
            };
            let expires_ms = member.payload().expires_ms;
            receipts.push(ReceiptRow { receipt, expires_ms, references });
        }
        let leaves = receipts.iter().map(|row| row.receipt.leaf()).collect();
        if merkle::root(leaves) != result.receipts_root {
            return Err(SnapshotError::Invalid("what became of transactions is not certified"));
        }
        let row = ReceiptsRow { timestamp_ms: header.timestamp_ms, result: *result, receipts };
        put_receipts(&mut written.state, header.height, &row);
        Ok(())
    }

    fn write_block(&mut self, block: &CertifiedBlock, batches: &[Batch], written: &mut Written) {
        let mut numbers = Vec::with_capacity(batches.len());
        for batch in batches {
            let key = rows::number_key(self.next_batch);
            written.chain.put(Table::Batches, &key, batch.bytes());
            numbers.push(self.next_batch);
            self.next_batch += 1;
        }
        let row = BlockRow {
            header: block.header.clone(),
            finalization: block.finalization.clone(),
            batches: numbers,
        };
        rows::put_block(&mut written.chain, &block.header.hash(), &row);
    }
}

/// The batch that a header names. Its digest covers all of it but the author's signature.
fn checked_batch(
    bytes: Vec<u8>,
    wanted: Option<&BatchRef>,
    trust: &Trust,
) -> Result<Batch, SnapshotError> {
    let batch = Batch::decode(&trust.chain, bytes.into()).ok();
    let named = batch.filter(|batch| wanted == Some(&batch.reference())).filter(|batch| {
        verify_author(&trust.chain, &batch.reference(), batch.signature(), &trust.verifier)
    });
    named.ok_or(SnapshotError::Invalid("a batch is not the one that a block names"))
}
