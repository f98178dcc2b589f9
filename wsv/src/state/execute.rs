//! Executing a block on an overlay (ledger.md, Transaction).
//!
//! The outcome depends on the header, its batches and the committed state before it, on nothing
//! else. The committed state is left alone, so several candidates for a height can be executed.

use std::collections::HashSet;
use std::ops::Deref;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use parity_scale_codec::{Compact, Encode};
use tonle_model::batch::Batch;
use tonle_model::block::{BlockResult, Header};
use tonle_model::genesis::{Genesis, Parameters};
use tonle_model::hash::{BlockHash, ChainHash, Digest256, TaggedHasher, TransactionHash};
use tonle_model::leader::LeaderMarks;
use tonle_model::receipt::{Outcome, Receipt, RejectionCode, Void};
use tonle_model::transaction::SignedTransaction;
use tonle_model::validators::ValidatorSet;
use tonle_model::verified::Verified;
use tonle_model::{merkle, tags};

use super::check::{self, Used};
use super::entries::{EMPTY_ROW, ReadEntries};
use super::instruction::{Cause, Failure, Ledger, Movement, Rights, drop_proposal};
use super::key::Key;
use super::overlay::{Dirty, Fate, Overlay};
use super::receipts::ReceiptRow;
use super::tree::{self, StateTree, TreeUpdate};
use super::value::Value;
use super::window::{Trace, Window, trace};
use super::{Head, StateError};
use crate::store::{Store, StoreError, Table};

/// What a block came to.
#[derive(Debug)]
pub struct CommittedBlock {
    /// The block.
    pub header: Header,
    /// Its hash.
    pub block: BlockHash,
    /// What its finalization certifies.
    pub result: BlockResult,
    /// What became of each transaction that was not void; the position is the leaf in the
    /// receipts tree.
    pub receipts: Vec<Receipt>,
    /// Why transactions were rejected, in words for people, by position among the receipts.
    pub details: Vec<(u32, String)>,
    /// The void transactions, which left no trace.
    pub voids: Vec<(TransactionHash, Void)>,
    /// How many of each batch were void, beside the header's batches.
    pub voids_per_batch: Vec<u32>,
    /// The validators of the next height.
    pub next_validators: Arc<ValidatorSet>,
    /// The parameters of the next height.
    pub parameters: Arc<Parameters>,
    /// The leader marks of the next height.
    pub marks: Arc<LeaderMarks>,
}

/// An executed candidate for the next height.
pub struct Executed {
    /// What it would come to.
    pub summary: Arc<CommittedBlock>,
    pub(super) plan: Plan,
}

impl Deref for Executed {
    type Target = CommittedBlock;

    fn deref(&self) -> &CommittedBlock {
        &self.summary
    }
}

/// What committing the block writes.
pub(super) struct Plan {
    pub dirty: Vec<Dirty>,
    /// The rows of `dirty`, one after another, and where each ends.
    pub rows: (Vec<u8>, Vec<usize>),
    pub tree: TreeUpdate,
    pub receipts: Vec<ReceiptRow>,
    /// Beside the receipts: places among all transactions of the block.
    pub places: Vec<u32>,
    /// By position among the receipts.
    pub movements: Vec<(u32, Movement)>,
}

/// What is used up by committed blocks and by this one so far.
struct UsedSoFar<'a> {
    window: &'a Window,
    hashes: HashSet<Trace>,
    references: HashSet<Digest256>,
}

impl Used for UsedSoFar<'_> {
    fn has_hash(&self, hash: &TransactionHash, expires_ms: u64) -> bool {
        self.hashes.contains(&trace(hash)) || self.window.has_hash(hash, expires_ms)
    }

    fn has_reference(&self, reference: &Digest256, time_ms: u64) -> bool {
        self.references.contains(reference) || self.window.has_reference(reference, time_ms)
    }
}

/// A block while it is executed.
struct Execution<'a> {
    header: &'a Header,
    parameters: Arc<Parameters>,
    overlay: Overlay,
    used: UsedSoFar<'a>,
    receipts: Vec<ReceiptRow>,
    places: Vec<u32>,
    details: Vec<(u32, String)>,
    voids: Vec<(TransactionHash, Void)>,
    voids_per_batch: Vec<u32>,
    movements: Vec<(u32, Movement)>,
    /// Of the transaction being executed.
    scratch: Vec<Movement>,
}

impl<'a> Execution<'a> {
    fn new(
        header: &'a Header,
        parameters: Arc<Parameters>,
        overlay: Overlay,
        window: &'a Window,
    ) -> Self {
        let count = usize::try_from(header.transaction_count()).unwrap_or(0).min(COUNT_MAX);
        Self {
            header,
            parameters,
            overlay,
            used: UsedSoFar {
                window,
                hashes: HashSet::with_capacity(count),
                references: HashSet::new(),
            },
            receipts: Vec::with_capacity(count),
            places: Vec::with_capacity(count),
            details: Vec::new(),
            voids: Vec::new(),
            voids_per_batch: Vec::new(),
            movements: Vec::with_capacity(2 * count),
            scratch: Vec::new(),
        }
    }

    fn transaction(
        &mut self,
        transaction: &SignedTransaction,
        place: u32,
    ) -> Result<(), StoreError> {
        let references = check::references(transaction.payload());
        let void = check::check_void(
            transaction,
            &references,
            self.header.timestamp_ms,
            self.parameters.max_ttl_ms,
            &self.used,
            &self.overlay,
        )?;
        if let Some(void) = void {
            self.voids.push((transaction.hash(), void));
            return Ok(());
        }
        let index = u32::try_from(self.receipts.len()).unwrap_or(u32::MAX);
        let (outcome, detail) = self.run(transaction)?;
        // What was rejected used its hash up, but not its reference: a retry may still succeed.
        let references = match outcome {
            Outcome::Applied => references,
            Outcome::Rejected { .. } => Vec::new(),
        };
        let scratch = self.scratch.drain(..);
        self.movements.extend(scratch.map(|movement| (index, movement)));
        self.used.hashes.insert(trace(&transaction.hash()));
        self.used.references.extend(references.iter().copied());
        self.details.extend(detail.map(|detail| (index, detail)));
        self.receipts.push(ReceiptRow {
            receipt: Receipt { transaction: transaction.hash(), outcome },
            expires_ms: transaction.payload().expires_ms,
            references,
        });
        self.places.push(place);
        Ok(())
    }

    /// Runs all steps or leaves nothing of them. A panic rejects the transaction as internal and
    /// drops what it did (consensus.md, What is durable before what).
    fn run(
        &mut self,
        transaction: &SignedTransaction,
    ) -> Result<(Outcome, Option<String>), StoreError> {
        let signers: Vec<_> = transaction.signers().copied().collect();
        let hash = transaction.hash().0;
        let mut number = 0;
        let run = catch_unwind(AssertUnwindSafe(|| {
            for (place, step) in (0u16..).zip(&transaction.payload().steps) {
                number = place;
                let cause =
                    Cause { transaction: hash, step: place, proposal: None, signers: &signers };
                self.ledger(cause, Rights::Checked).execute(&step.authority, &step.instruction)?;
            }
            Ok(())
        }));
        let (code, detail) = match run {
            Ok(Ok(())) => {
                self.overlay.keep();
                return Ok((Outcome::Applied, None));
            }
            Ok(Err(Failure::Fatal(error))) => return Err(error),
            Ok(Err(Failure::Rejected { code, detail })) => (code, detail),
            Err(_) => (RejectionCode::Internal, "execution failed".to_owned()),
        };
        self.overlay.roll_back();
        self.scratch.clear();
        Ok((Outcome::Rejected { code, step: number }, Some(detail)))
    }

    fn ledger<'l>(&'l mut self, cause: Cause<'l>, rights: Rights) -> Ledger<'l> {
        Ledger {
            overlay: &mut self.overlay,
            chain: self.header.chain,
            height: self.header.height,
            parameters: &self.parameters,
            time_ms: self.header.timestamp_ms,
            rights,
            cause,
            movements: &mut self.scratch,
        }
    }

    /// Forgets what expired before this block (ledger.md, Invoice): a bounded number, the oldest
    /// first, so that one block's work is bounded too.
    fn forget_expired(&mut self) -> Result<(), StoreError> {
        for key in self.overlay.expired(self.header.timestamp_ms)? {
            if let Some(Value::Proposal(proposal)) = self.overlay.value(&key)? {
                let Key::Proposal(id) = &key else { continue };
                drop_proposal(&mut self.overlay, id, &proposal.account)?;
            }
            self.overlay.remove(&key)?;
        }
        self.overlay.keep();
        Ok(())
    }

    /// Works out the result, beside the tree as it is.
    fn finish(self, store: &dyn Store, tree: &mut StateTree) -> Result<Executed, StoreError> {
        let next_validators = validators(&self.overlay)?;
        let parameters = parameters(&self.overlay)?;
        let marks = marks(&self.overlay)?;
        let slots = self.overlay.slots();
        let dirty = self.overlay.finish()?;
        let rows = encode_rows(&dirty);
        let mut leaves: Vec<_> = dirty
            .iter()
            .zip(each_row(&rows))
            .map(|(entry, row)| (entry.slot, tree::leaf(row)))
            .collect();
        leaves.sort_unstable_by_key(|(slot, _)| *slot);
        let tree = tree.preview(store, leaves, slots)?;
        let receipts: Vec<_> = self.receipts.iter().map(|row| row.receipt).collect();
        let result = BlockResult {
            state_root: tree.root(),
            receipts_root: merkle::root(receipts.iter().map(Receipt::leaf).collect()),
            next_validators: next_validators.hash(),
        };
        let summary = CommittedBlock {
            header: self.header.clone(),
            block: self.header.hash(),
            result,
            receipts,
            details: self.details,
            voids: self.voids,
            voids_per_batch: self.voids_per_batch,
            next_validators,
            parameters,
            marks,
        };
        let plan = Plan {
            dirty,
            rows,
            tree,
            receipts: self.receipts,
            places: self.places,
            movements: self.movements,
        };
        Ok(Executed { summary: Arc::new(summary), plan })
    }
}

/// Most room that is made on the word of a header.
const COUNT_MAX: usize = 1 << 16;

/// Executes a block that follows the committed one.
pub(super) fn execute(
    header: &Header,
    batches: &[Arc<Verified<Batch>>],
    head: &Head,
    overlay: Overlay,
    window: &Window,
    store: &dyn Store,
    tree: &mut StateTree,
) -> Result<Executed, StateError> {
    let mut execution = Execution::new(header, head.parameters.clone(), overlay, window);
    let mut place = 0;
    for batch in batches {
        let voids_before = execution.voids.len();
        for transaction in batch.transactions() {
            execution.transaction(transaction, place)?;
            place += 1;
        }
        let voids = execution.voids.len() - voids_before;
        execution.voids_per_batch.push(u32::try_from(voids).unwrap_or(u32::MAX));
    }
    execution.forget_expired()?;
    let marks = match validators(&execution.overlay)? == head.validators {
        true => head.marks.after_commit(header, head.validators.count()),
        // Marks name validators by their place, and the places changed.
        false => LeaderMarks::default(),
    };
    if marks != *head.marks {
        execution.overlay.set(Key::LeaderMarks, Value::LeaderMarks(Arc::new(marks)))?;
    }
    Ok(execution.finish(store, tree)?)
}

/// Stands for the transaction of a step of the genesis, which has none.
fn genesis_step(chain: ChainHash, number: u32) -> Digest256 {
    TaggedHasher::new(tags::GENESIS_STEP).part(chain).part(number.encode()).finish()
}

/// Executes block 0: the parameters, the validators, no marks, then every step with every right.
pub(super) fn execute_genesis(
    header: &Header,
    genesis: &Genesis,
    mut overlay: Overlay,
    store: &dyn Store,
) -> Result<Executed, StateError> {
    let chain = header.chain;
    let parameters = Arc::new(genesis.parameters.clone());
    let validators = Arc::new(genesis.validators.clone());
    overlay.set(Key::Parameters, Value::Parameters(parameters.clone()))?;
    overlay.set(Key::Validators, Value::Validators(validators))?;
    overlay.set(Key::LeaderMarks, Value::LeaderMarks(Arc::default()))?;
    let window = Window::default();
    let mut execution = Execution::new(header, parameters, overlay, &window);
    for (number, step) in (0u32..).zip(&genesis.steps) {
        let cause = Cause {
            transaction: genesis_step(chain, number),
            step: 0,
            proposal: None,
            signers: &[],
        };
        let done = execution.ledger(cause, Rights::All).execute(&step.authority, &step.instruction);
        done.map_err(|failure| match failure {
            Failure::Fatal(error) => StateError::Fatal(error),
            Failure::Rejected { code, detail } => {
                StateError::Genesis { step: number, code, detail }
            }
        })?;
        execution.overlay.keep();
        let scratch = execution.scratch.drain(..);
        execution.movements.extend(scratch.map(|movement| (number, movement)));
    }
    Ok(execution.finish(store, &mut StateTree::default())?)
}

/// The validators in a state that has genesis.
pub(super) fn validators(entries: &impl ReadEntries) -> Result<Arc<ValidatorSet>, StoreError> {
    match entries.value(&Key::Validators)? {
        Some(Value::Validators(value)) => Ok(value),
        _ => Err(StoreError::Row { table: Table::Slots }),
    }
}

/// The parameters in a state that has genesis.
pub(super) fn parameters(entries: &impl ReadEntries) -> Result<Arc<Parameters>, StoreError> {
    match entries.value(&Key::Parameters)? {
        Some(Value::Parameters(value)) => Ok(value),
        _ => Err(StoreError::Row { table: Table::Slots }),
    }
}

/// The leader marks in a state that has genesis.
pub(super) fn marks(entries: &impl ReadEntries) -> Result<Arc<LeaderMarks>, StoreError> {
    match entries.value(&Key::LeaderMarks)? {
        Some(Value::LeaderMarks(value)) => Ok(value),
        _ => Err(StoreError::Row { table: Table::Slots }),
    }
}

/// The rows of changed entries in one buffer, and where each ends.
fn encode_rows(dirty: &[Dirty]) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::with_capacity(dirty.len() * 128);
    let mut ends = Vec::with_capacity(dirty.len());
    let mut key = Vec::new();
    for entry in dirty {
        if matches!(entry.fate, Fate::Removed | Fate::Passed) {
            bytes.extend_from_slice(EMPTY_ROW);
            ends.push(bytes.len());
            continue;
        }
        key.clear();
        entry.key.write_to(&mut key);
        for part in [&key[..], &entry.value.to_bytes(), &entry.next] {
            Compact(u32::try_from(part.len()).unwrap_or(u32::MAX)).encode_to(&mut bytes);
            bytes.extend_from_slice(part);
        }
        ends.push(bytes.len());
    }
    (bytes, ends)
}

/// The rows of such a buffer.
pub(super) fn each_row(rows: &(Vec<u8>, Vec<usize>)) -> impl Iterator<Item = &[u8]> {
    let (bytes, ends) = rows;
    let mut start = 0;
    ends.iter().map(move |end| {
        // Ends are those of this buffer, ascending.
        let row = bytes.get(start..*end).unwrap_or_default();
        start = *end;
        row
    })
}
