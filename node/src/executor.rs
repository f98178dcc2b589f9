//! The executor: owns the world state, on a plain thread.
//!
//! It executes blocks off to the side while votes travel, and puts a block into the state once its
//! finalization is on disk (consensus.md rules 4 and 6).

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::sync::watch;
use tonle_client::api::TransactionStatus;
use tonle_model::block::Header;
use tonle_model::genesis::Parameters;
use tonle_model::leader::LeaderMarks;
use tonle_model::number::Height;
use tonle_model::receipt::Outcome;
use tonle_model::validators::ValidatorSet;
use tonle_wsv::state::{CommittedBlock, Executed, StateError, World};

use crate::driver::{DriverError, Event, EventSender};
use crate::metrics::Metrics;
use crate::pool::HeldBatch;
use crate::priority::stand_back;
use crate::tracker::Tracker;

/// Most jobs waiting: the core asks for a few candidates a height and commits one.
const JOBS_MAX: usize = 32;
/// Most outcomes of a height kept; the core works on fewer candidates than that at a time.
const OUTCOMES_MAX: usize = 4;

/// What the executor is asked to do.
#[derive(Debug)]
pub enum Job {
    /// Execute on top of the committed state, off to the side.
    Execute {
        /// The block.
        header: Header,
        /// Its batches in order.
        batches: Vec<HeldBatch>,
    },
    /// Put into the state: the finalization is on disk.
    Commit {
        /// The block.
        header: Header,
        /// Its batches in order.
        batches: Vec<HeldBatch>,
    },
}

/// What a committed block says about the next height.
#[derive(Debug)]
pub struct Advance {
    /// The committed block.
    pub header: Header,
    /// How many transactions of each batch were void, beside the header's batches.
    pub voids: Vec<u32>,
    /// The validators of the next height.
    pub validators: Arc<ValidatorSet>,
    /// The parameters of the next height.
    pub parameters: Arc<Parameters>,
    /// Who failed lately as leader.
    pub marks: Arc<LeaderMarks>,
}

/// The way to the executor; when it is dropped the executor ends.
#[derive(Debug, Clone)]
pub struct ExecutorHandle {
    jobs: Sender<Job>,
}

/// The executor is gone.
#[derive(Debug)]
pub struct Gone;

impl ExecutorHandle {
    /// Hands a job over, or gives it back if too many wait already.
    pub fn try_put(&self, job: Job) -> Result<Option<Job>, Gone> {
        match self.jobs.try_send(job) {
            Ok(()) => Ok(None),
            Err(TrySendError::Full(job)) => Ok(Some(job)),
            Err(TrySendError::Disconnected(_)) => Err(Gone),
        }
    }
}

/// Those who hear of every commit.
#[derive(Clone)]
pub struct Listeners {
    /// Clients that wait for a transaction.
    pub tracker: Arc<Tracker>,
    /// Whoever waits for a height.
    pub committed: watch::Sender<Height>,
    /// Numbers.
    pub metrics: Arc<Metrics>,
}

/// The executor. [`Executor::start`] gives it a thread; a simulation has it work job by job.
pub struct Executor {
    world: World,
    outcomes: Vec<Executed>,
    listeners: Listeners,
    events: EventSender,
    jobs: Receiver<Job>,
}

impl Executor {
    /// An executor of this world, and the way to it.
    pub fn new(world: World, listeners: Listeners, events: EventSender) -> (ExecutorHandle, Self) {
        let (sender, jobs) = bounded(JOBS_MAX);
        let executor = Self { world, outcomes: Vec::new(), listeners, events, jobs };
        (ExecutorHandle { jobs: sender }, executor)
    }

    /// Starts its thread.
    pub fn start(mut self) -> std::io::Result<JoinHandle<()>> {
        std::thread::Builder::new().name("executor".into()).spawn(move || {
            stand_back();
            while let Ok(job) = self.jobs.recv()
                && self.work(job).is_continue()
            {}
        })
    }

    /// Does one job, if one waits; says whether there was one.
    pub fn work_one(&mut self) -> bool {
        let Ok(job) = self.jobs.try_recv() else { return false };
        let _fatal_was_told = self.work(job);
        true
    }

    /// Whether a job waits.
    pub fn has_work(&self) -> bool {
        !self.jobs.is_empty()
    }

    fn work(&mut self, job: Job) -> ControlFlow<()> {
        match self.try_work(job) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                // The driver is gone only when the node ends.
                let _ended = self.events.send(Event::Fatal(DriverError::State(error)));
                ControlFlow::Break(())
            }
        }
    }

    fn try_work(&mut self, job: Job) -> Result<(), StateError> {
        match job {
            Job::Execute { header, batches } => {
                let executed = self.executed(&header, &batches)?;
                let event =
                    Event::Executed { block: executed.block, result: executed.result.hash() };
                self.outcomes.truncate(OUTCOMES_MAX - 1);
                self.outcomes.insert(0, executed);
                let _ended = self.events.send(event);
            }
            Job::Commit { header, batches } => {
                let executed = self.executed(&header, &batches)?;
                self.outcomes.clear();
                let committed = self.world.commit(executed)?;
                let advance = self.tell(&header, &committed);
                let _ended = self.events.send(Event::Committed(Box::new(advance)));
            }
        }
        Ok(())
    }

    /// The kept outcome of the block, or a new one.
    fn executed(&mut self, header: &Header, batches: &[HeldBatch]) -> Result<Executed, StateError> {
        let block = header.hash();
        match self.outcomes.iter().position(|outcome| outcome.block == block) {
            Some(position) => Ok(self.outcomes.remove(position)),
            None => self.world.execute(header, batches),
        }
    }

    fn tell(&self, header: &Header, committed: &CommittedBlock) -> Advance {
        let mut details: BTreeMap<u32, &String> =
            committed.details.iter().map(|(index, detail)| (*index, detail)).collect();
        let decided = committed.receipts.iter().zip(0u32..).map(|(receipt, index)| {
            let height = header.height;
            let status = match receipt.outcome {
                Outcome::Applied => TransactionStatus::Committed { height, index },
                Outcome::Rejected { code, step } => {
                    let detail = details.remove(&index).cloned().unwrap_or_default();
                    TransactionStatus::Rejected { code, detail, height, index, step }
                }
            };
            (receipt.transaction, status)
        });
        let void = committed.voids.iter().map(|(hash, _)| *hash);
        self.listeners.tracker.committed(header.timestamp_ms, decided, void);
        self.listeners.metrics.count_block(committed);
        self.listeners.committed.send_replace(header.height);
        Advance {
            header: header.clone(),
            voids: committed.voids_per_batch.clone(),
            validators: committed.next_validators.clone(),
            parameters: committed.parameters.clone(),
            marks: committed.marks.clone(),
        }
    }
}
