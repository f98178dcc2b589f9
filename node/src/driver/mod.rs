//! The driver: feeds the consensus core and does what it says, in the order that is the contract.
//!
//! One turn: drain the events, step the core until it is quiet, put everything to keep into **one
//! synced write**, and only then send, execute and commit (consensus.md, What is durable before
//! what). Nothing a turn decided is visible to anyone before that write is on disk, so own votes
//! are fed back to the core within the turn.
//!
//! It runs on a plain thread and owns the core, the pool and the chain log; nothing here is locked
//! or awaited.

mod catch_up;
mod fetch;
mod heard;
mod input;
mod output;
mod pace;
mod peers;
mod sync;
mod turn;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use tonle_consensus::{Core, Input, Output, PeerId};
use tonle_model::batch::BatchError;
use tonle_model::block::Header;
use tonle_model::hash::{BatchDigest, BlockHash, ChainHash, ResultHash};
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::number::Height;
use tonle_model::transaction::SignedTransaction;
use tonle_model::validators::ValidatorSet;
use tonle_model::verified::Verified;
use tonle_model::verify::Verifier;
use tonle_model::vote::{Proposal, Vote};
use tonle_wsv::chain::{ChainError, ChainLog};
use tonle_wsv::state::{StateError, WorldReader};

use crate::board::Board;
use crate::clock::Clock;
use crate::executor::{Advance, ExecutorHandle, Job};
use crate::network::Lane;
use crate::pool::{HeldBatch, Pool, Sealer, spent_before};
use crate::verify_pool::{Interest, UseOf};
use crate::wire::{Announcement, Wire};

use catch_up::CatchUp;
use fetch::Fetcher;
use heard::Heard;
use pace::Pace;
pub use peers::{PeerBook, config_of};
use sync::RangeBuffer;
use turn::Turn;

/// Most events waiting for the driver; whoever finds it full waits or is refused.
pub const EVENTS_MAX: usize = 4_096;
/// Most events taken in one turn, so that the write after it stays small.
const EVENTS_PER_TURN_MAX: usize = 512;
/// How often what nobody can use any more is let go of, while a height lasts.
const SWEEP_MS: u64 = 5_000;
/// Longest sleep, so that nothing depends on a deadline being right.
const SLEEP_MS_MAX: u64 = 1_000;

/// The way to the driver.
pub type EventSender = Sender<Event>;

/// What happens to the driver.
#[derive(Debug)]
pub enum Event {
    /// A peer can be sent to.
    Connected(PublicKey),
    /// A peer is gone.
    Disconnected(PublicKey),
    /// A peer said something that is no batch.
    Message {
        /// Who.
        from: PublicKey,
        /// What.
        wire: Box<Wire>,
    },
    /// A batch with checked signatures.
    Batch {
        /// Who sent it.
        from: PublicKey,
        /// The batch.
        batch: HeldBatch,
    },
    /// A peer sent something as a batch that is none.
    BadBatch {
        /// Who.
        from: PublicKey,
        /// What is wrong with it.
        error: BatchError,
    },
    /// A peer sent a batch that this node cannot use.
    Useless(BatchDigest),
    /// A batch exists; its author's signature was checked.
    Announced {
        /// Who passed it on.
        from: PublicKey,
        /// The batch.
        announcement: Announcement,
    },
    /// Own clients' transactions with checked signatures.
    Transactions(Vec<Verified<SignedTransaction>>),
    /// The executor executed a block off to the side.
    Executed {
        /// Which.
        block: BlockHash,
        /// Its outcome.
        result: ResultHash,
    },
    /// The executor put a block into the state.
    Committed(Box<Advance>),
    /// The disk is too full to keep promises, or has room again.
    Paused(bool),
    /// The executor cannot go on.
    Fatal(DriverError),
    /// Please end.
    Shutdown,
}

/// Why the driver ended before it was asked to.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// The state database failed, or disagrees with the chain. Exit code 3, or 4.
    #[error(transparent)]
    State(#[from] StateError),
    /// The chain log did not take a write. Exit code 3.
    #[error(transparent)]
    Chain(#[from] ChainError),
    /// The quorum signed another state than ours. Exit code 4.
    #[error(
        "state divergence at height {height}: this node computed result {own}, the network \
         certified {certified}"
    )]
    Divergence {
        /// The height.
        height: u64,
        /// Our result.
        own: ResultHash,
        /// Theirs.
        certified: ResultHash,
    },
    /// The core was told that a batch is held, and it is not: a defect of this program.
    #[error("batch {0} of the block at hand is gone")]
    BatchGone(BatchDigest),
    /// A thread that everything needs is gone.
    #[error("the {0} ended unexpectedly")]
    Ended(&'static str),
}

/// What the driver needs of the network.
pub trait Outbox: Send {
    /// Sends a frame to one peer; it is lost if the peer is gone or far behind.
    fn send(&self, to: &PublicKey, lane: Lane, frame: Bytes);
    /// Sends a frame to every connected peer.
    fn broadcast(&self, lane: Lane, frame: Bytes);
    /// Gossips that a batch exists.
    fn announce(&self, announcement: &Announcement);
    /// Lets these in from now on.
    fn set_validators(&self, validators: &ValidatorSet);
    /// Cuts a peer off that broke the protocol.
    fn blame(&self, peer: &PublicKey);
}

/// Everything the driver is made from.
pub struct Parts {
    /// The network's name.
    pub chain_hash: ChainHash,
    /// This node's key.
    pub key: KeyPair,
    /// The core at the height to decide.
    pub core: Core,
    /// The validators of that height.
    pub validators: Arc<ValidatorSet>,
    /// The peers the core knows by number.
    pub peers: PeerBook,
    /// The log.
    pub chain: ChainLog,
    /// What is undecided.
    pub pool: Pool,
    /// The committed state.
    pub world: WorldReader,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// The network.
    pub outbox: Box<dyn Outbox>,
    /// The executor.
    pub executor: ExecutorHandle,
    /// Headers of the height to decide, from the log.
    pub headers: Vec<Header>,
    /// The latest votes of others that were seen before the start.
    pub seen: Vec<(PeerId, Vote)>,
    /// How far an operator vouches for what this validator said ([`Input::ResumeVoting`]).
    pub vouched: Option<Height>,
    /// Checks votes and certificates.
    pub verifier: Arc<Verifier>,
    /// What the verify pool need not check.
    pub interest: Arc<Interest>,
    /// What the rest of the node sees of the driver.
    pub board: Arc<Board>,
}

/// The driver.
pub struct Driver {
    parts: Parts,
    sealer: Sealer,
    fetcher: Fetcher,
    ranges: RangeBuffer,
    catch_up: CatchUp,
    /// Headers of the current height that the core asked to check and that are not judged yet.
    unchecked: BTreeMap<BlockHash, Header>,
    /// Headers of the current height, for peers that ask.
    headers: BTreeMap<BlockHash, Header>,
    /// Early proposals for the next heights: one per peer and height, checked when the leader is
    /// known.
    early: BTreeMap<(Height, PublicKey), Proposal>,
    heard: Heard,
    pace: Pace,
    /// For the executor, in order: a few candidates a height.
    jobs: VecDeque<Job>,
    turn: Turn,
    outputs: Vec<Output>,
    now_ms: u64,
    /// When the pool was last looked through for what has expired, at a commit or since.
    swept_ms: u64,
    /// What the core was last told; nothing if it must be told again.
    work: Option<bool>,
}

impl Driver {
    /// A driver about to take its first turn.
    pub fn new(parts: Parts) -> Self {
        let now_ms = parts.clock.now_ms();
        // Above every number of an earlier run, which sealed far less than a batch a microsecond.
        let first_seq = now_ms.saturating_mul(1_000);
        let headers = parts.headers.iter().map(|header| (header.hash(), header.clone())).collect();
        let sealer = Sealer::new(parts.chain_hash, parts.key.clone(), first_seq);
        Self {
            parts,
            sealer,
            fetcher: Fetcher::default(),
            ranges: RangeBuffer::default(),
            catch_up: CatchUp::default(),
            unchecked: BTreeMap::new(),
            headers,
            early: BTreeMap::new(),
            heard: Heard::default(),
            pace: Pace::default(),
            jobs: VecDeque::new(),
            turn: Turn::default(),
            outputs: Vec::new(),
            now_ms,
            swept_ms: 0,
            work: None,
        }
    }

    /// Takes turns until asked to end.
    pub fn run(mut self, events: &Receiver<Event>) -> Result<(), DriverError> {
        self.begin()?;
        loop {
            let now_ms = self.parts.clock.now_ms();
            let sleep_ms = self.next_turn_ms().saturating_sub(now_ms);
            let first = match events.recv_timeout(Duration::from_millis(sleep_ms)) {
                Ok(first) => Some(first),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Err(DriverError::Ended("node")),
            };
            let events = first.into_iter().chain(events.try_iter().take(EVENTS_PER_TURN_MAX));
            if self.take_turn(events)?.is_break() {
                return Ok(());
            }
        }
    }

    /// The first turn. It replays the log: alone on a network, nothing else would cause one.
    pub fn begin(&mut self) -> Result<(), DriverError> {
        self.parts.outbox.set_validators(&self.parts.validators);
        for (signer, vote) in std::mem::take(&mut self.parts.seen) {
            self.step(Input::Seen { signer, vote });
        }
        if let Some(up_to) = self.parts.vouched {
            self.step(Input::ResumeVoting { up_to });
            self.forgive();
        } else {
            self.step(Input::Tick);
        }
        self.finish_turn()
    }

    /// One turn: takes these events in and does what is due. Breaks if it was asked to end.
    pub fn take_turn(
        &mut self,
        events: impl Iterator<Item = Event>,
    ) -> Result<ControlFlow<()>, DriverError> {
        self.now_ms = self.parts.clock.now_ms();
        for event in events {
            match event {
                Event::Shutdown => return Ok(ControlFlow::Break(())),
                Event::Fatal(error) => return Err(error),
                event => self.take(event),
            }
        }
        self.finish_turn()?;
        Ok(ControlFlow::Continue(()))
    }

    /// Does all that is due, writes once, then acts.
    fn finish_turn(&mut self) -> Result<(), DriverError> {
        self.seal_due();
        self.sweep();
        self.update_work();
        if self.parts.core.next_deadline().is_some_and(|deadline_ms| deadline_ms <= self.now_ms) {
            self.step(Input::Tick);
        }
        self.build_due();
        self.work_off_outputs()?;
        self.ask_for_batches();
        self.tell_workers();
        self.write_then_act()?;
        self.report();
        Ok(())
    }

    /// Steps the core; its outputs queue up.
    fn step(&mut self, input: Input) {
        self.parts.core.step(self.now_ms, input, &mut self.outputs);
    }

    fn seal_due(&mut self) {
        let own = self.parts.key.public_key();
        let idle = self.parts.pool.author_bytes(&own) == 0;
        if let Some(batch) = self.sealer.seal_due(self.now_ms, idle) {
            self.take_own_batch(Arc::new(batch));
        }
    }

    /// Lets go of what expired while the height lasts. What a header names that may still be
    /// decided stays: what the core holds, what this validator may have voted for, and what others
    /// decided (decision 0022).
    fn sweep(&mut self) {
        if self.now_ms < self.swept_ms.saturating_add(SWEEP_MS) {
            return;
        }
        self.swept_ms = self.now_ms;
        let held = self.parts.core.headers();
        let headers = held.chain(self.headers.values()).chain(self.unchecked.values());
        let headers = headers.chain(self.ranges.headers());
        let named = headers.flat_map(|header| header.batches.iter());
        let named: HashSet<BatchDigest> = named.map(|reference| reference.digest).collect();
        let spent = self.parts.pool.drop_spent(spent_before(self.now_ms), &named);
        self.let_go(&spent);
    }

    /// Batches that left the pool undecided leave the disk, and may be checked again.
    fn let_go(&mut self, dropped: &[BatchDigest]) {
        let parts = &mut self.parts;
        dropped.iter().for_each(|digest| parts.interest.release(digest));
        self.turn.write.batches.retain(|batch| !dropped.contains(&batch.digest()));
        if let Err(error) = parts.chain.forget(dropped) {
            // Nothing depends on it: they are dropped again after the next start.
            tracing::warn!(%error, "could not drop dead batches");
        }
    }

    fn update_work(&mut self) {
        // By the time of the gate and of blocks: what a clock that is behind let in is work too.
        let time_ms = self.parts.world.next_block_ms(self.now_ms);
        let work = self.parts.pool.has_work(time_ms, &self.parts.world);
        if self.work != Some(work) {
            self.work = Some(work);
            self.step(Input::Work(work));
        }
    }

    fn ask_for_batches(&mut self) {
        let requests = self.fetcher.requests(self.now_ms, self.parts.peers.connected());
        for (peer, list) in requests {
            if let Ok(list) = list.try_into() {
                self.turn.send(&peer, Lane::Consensus, &Wire::GetBatches(list));
            }
        }
    }

    /// Says which batches this node could use, so that no other is checked.
    fn tell_workers(&self) {
        let Parts { pool, validators, interest, key, .. } = &self.parts;
        let keys = validators.iter().map(|validator| validator.public_key);
        // What this node made it has, or let go of.
        let others = keys.filter(|validator| *validator != key.public_key());
        let room = others.map(|key| (key, pool.room(&key))).collect();
        let use_of = UseOf {
            room,
            named: self.fetcher.named().copied().collect(),
            spent_before_ms: spent_before(self.now_ms),
        };
        interest.look_for(use_of);
    }

    /// When the next turn is due if nothing happens.
    pub fn next_turn_ms(&self) -> u64 {
        let deadlines = [
            self.parts.core.next_deadline(),
            self.fetcher.deadline(),
            self.sealer.deadline(),
            self.pace.deadline(),
        ];
        let latest = self.now_ms.saturating_add(SLEEP_MS_MAX);
        deadlines.into_iter().flatten().min().unwrap_or(u64::MAX).min(latest)
    }

    fn report(&mut self) {
        let (height, claimed) = (self.parts.core.height(), self.parts.core.claimed_height());
        self.parts.board.set_sync(self.catch_up.look(self.now_ms, height, claimed));
        let (batches, bytes) = self.parts.pool.size();
        let core = &self.parts.core;
        let board = &self.parts.board;
        board.update(core.height(), core.view(), batches, bytes, self.ranges.behind());
        board.set_recovering(core.is_recovering());
        board.set_passed_over(self.parts.pool.passed_over());
        board.set_own_bytes(self.parts.pool.author_bytes(&self.parts.key.public_key()));
    }
}
