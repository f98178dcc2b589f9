//! The state: what the committed blocks come to (ledger.md).
//!
//! [`World`] has one owner, which executes blocks on overlays and commits one of them per height;
//! everyone else looks through a [`WorldReader`]. A commit is one atomic write that is not synced:
//! after a crash the state is behind the chain and [`World::catch_up`] redoes what is missing
//! (consensus.md, What is durable before what).

mod admit;
mod audit;
mod cache;
mod check;
mod commit;
mod entries;
mod execute;
mod history;
mod instruction;
mod key;
mod overlay;
mod proof;
mod reader;
mod receipts;
mod redo;
pub mod snapshot;
#[cfg(test)]
mod tests;
mod totals;
mod tree;
mod value;
mod window;

use std::sync::{Arc, PoisonError, RwLock};

use parity_scale_codec::{Decode, Encode};
use tonle_model::batch::Batch;
use tonle_model::block::{BlockResult, Header};
use tonle_model::genesis::{Genesis, Parameters};
use tonle_model::hash::{BlockHash, ChainHash};
use tonle_model::leader::LeaderMarks;
use tonle_model::number::Height;
use tonle_model::receipt::RejectionCode;
use tonle_model::validators::ValidatorSet;
use tonle_model::verified::Verified;

pub use admit::{AdmitError, Refusal};
pub use audit::AuditError;
pub use check::check_window;
pub use execute::{CommittedBlock, Executed};
pub use history::{
    CursorError, Direction, HistoryCursor, HistoryEntry, HistoryPage, HistoryQuery, PAGE_MAX,
};
pub use instruction::local_day;
pub use key::InvoiceKey;
pub use proof::{ReceiptProof, StateProof};
pub use reader::{TakenInvoice, WorldReader};
pub use receipts::TransactionRecord;
pub use value::{
    Account, AccountStatus, Asset, Balance, Domain, Hold, Limit, Metadata, PaidInvoice, Proposal,
    Rights, Role,
};

use cache::Cache;
use entries::Entries;
use overlay::Overlay;
use snapshot::Joined;
use tree::StateTree;
use window::Window;

use crate::store::{Store, StoreError, Table, are_empty};

/// Why the state did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// A step of the genesis fails, even with every right.
    #[error("step {step} of the genesis fails: {code}: {detail}")]
    Genesis {
        /// Which, from 0.
        step: u32,
        /// Why.
        code: RejectionCode,
        /// Why, in words.
        detail: String,
    },
    /// The database belongs to another genesis.
    #[error("the state database belongs to network {found}, not to {expected}")]
    OtherNetwork {
        /// The network asked for.
        expected: ChainHash,
        /// The network found.
        found: ChainHash,
    },
    /// The block is not one that can follow the committed one, or these are not its batches.
    #[error("the block does not follow the state at height {committed}: {reason}")]
    NotNext {
        /// Where the state is.
        committed: Height,
        /// What is wrong.
        reason: &'static str,
    },
    /// The state is ahead of the chain, or on another one: its chain was lost.
    #[error("the state is at height {state}, which the chain, at {chain}, does not have")]
    AheadOfChain {
        /// Where the state is.
        state: Height,
        /// Where the chain is.
        chain: Height,
    },
    /// What the quorum certified is not what executing the block comes to: stop, exit code 4
    /// (consensus.md rule 6).
    #[error("state divergence at height {height}: certified {certified}, executed {executed:?}")]
    Diverged {
        /// The block.
        height: Height,
        /// The result in its finalization.
        certified: tonle_model::hash::ResultHash,
        /// The result of executing it.
        executed: Box<BlockResult>,
    },
    /// The disk failed: stop the process, exit code 3.
    #[error(transparent)]
    Fatal(#[from] StoreError),
}

/// Where the state is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Committed {
    /// The last committed height.
    pub height: Height,
    /// Its block.
    pub block: BlockHash,
    /// What it came to.
    pub result: BlockResult,
    /// Its time.
    pub timestamp_ms: u64,
}

/// Where the state is, with what every block needs.
#[derive(Debug)]
struct Head {
    committed: Committed,
    validators: Arc<ValidatorSet>,
    parameters: Arc<Parameters>,
    marks: Arc<LeaderMarks>,
}

impl Head {
    /// The next block is later than the last one, whatever the local clock says.
    fn next_block_ms(&self, now_ms: u64) -> u64 {
        now_ms.max(self.committed.timestamp_ms.saturating_add(1))
    }
}

/// What the owner of the state shares with its readers.
struct Shared {
    chain: ChainHash,
    store: Arc<dyn Store>,
    entries: Entries,
    head: RwLock<Arc<Head>>,
    window: RwLock<Window>,
    /// The snapshot that brought this state, if one did.
    joined: Option<Joined>,
}

impl Shared {
    // Nothing panics half-way through a change of what these locks guard.
    fn head(&self) -> Arc<Head> {
        self.head.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The state with its one writer.
pub struct World {
    shared: Arc<Shared>,
    tree: StateTree,
}

impl World {
    /// Opens a state, at the height where it was last committed; executes the genesis if there is
    /// none.
    pub fn open(store: Arc<dyn Store>, genesis: &Genesis) -> Result<Self, StateError> {
        let chain = genesis.chain();
        let meta = match commit::read_meta(&*store)? {
            Some(meta) => meta,
            // A genesis on top of what is left of a state would be neither.
            None if !are_empty(&*store, Table::STATE)? => {
                return Err(StoreError::Row { table: Table::StateMeta }.into());
            }
            None => {
                commit::write_genesis(store.clone(), genesis, chain)?;
                commit::read_meta(&*store)?.ok_or(StoreError::Row { table: Table::StateMeta })?
            }
        };
        if meta.chain != chain {
            return Err(StateError::OtherNetwork { expected: chain, found: meta.chain });
        }
        let entries = Entries::new(store.clone(), Arc::new(Cache::new(cache::CACHED_ENTRIES_MAX)));
        let head = Head {
            committed: meta.committed,
            validators: execute::validators(&entries)?,
            parameters: execute::parameters(&entries)?,
            marks: execute::marks(&entries)?,
        };
        let tree = StateTree::open(&*store, meta.slots)?;
        if tree.root() != meta.committed.result.state_root {
            return Err(StoreError::Row { table: Table::Subtrees }.into());
        }
        let joined = Joined::read(&*store)?;
        let first = joined.as_ref().map_or(Height(0), |joined| joined.first);
        let window = redo::load_window(&*store, &meta.committed, first)?;
        let shared = Shared {
            chain,
            store,
            entries,
            head: RwLock::new(Arc::new(head)),
            window: RwLock::new(window),
            joined,
        };
        Ok(Self { shared: Arc::new(shared), tree })
    }

    /// Where the state is.
    pub fn committed(&self) -> Committed {
        self.shared.head().committed
    }

    /// How many slots the state tree has, empty ones included.
    pub fn slots(&self) -> u64 {
        self.tree.slots()
    }

    /// A handle for other threads.
    pub fn reader(&self) -> WorldReader {
        WorldReader::new(self.shared.clone())
    }

    /// Executes a candidate for the next height. The state stays as it is.
    pub fn execute(
        &mut self,
        header: &Header,
        batches: &[Arc<Verified<Batch>>],
    ) -> Result<Executed, StateError> {
        let head = self.shared.head();
        check_next(header, batches, &head.committed, &self.shared.chain)?;
        let overlay = Overlay::new(self.shared.entries.clone(), self.tree.slots());
        let window = self.shared.window.read().unwrap_or_else(PoisonError::into_inner);
        let store = &*self.shared.store;
        execute::execute(header, batches, &head, overlay, &window, store, &mut self.tree)
    }
}

/// Checks what execution relies on. Whether the block is valid in every other way is decided by
/// those who vote (consensus.md rule 3).
fn check_next(
    header: &Header,
    batches: &[Arc<Verified<Batch>>],
    committed: &Committed,
    chain: &ChainHash,
) -> Result<(), StateError> {
    let refuse = |reason| Err(StateError::NotNext { committed: committed.height, reason });
    if header.chain != *chain {
        return refuse("it is of another network");
    }
    if header.height != committed.height.next() {
        return refuse("it has another height");
    }
    if header.parent != committed.block || header.parent_result != committed.result.hash() {
        return refuse("it has another parent");
    }
    if header.timestamp_ms <= committed.timestamp_ms {
        return refuse("it is not later");
    }
    let named = header.batches.iter().map(|reference| reference.digest);
    match named.eq(batches.iter().map(|batch| batch.digest())) {
        true => Ok(()),
        false => refuse("these are not its batches"),
    }
}
