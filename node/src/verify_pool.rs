//! Plain threads that check signatures: of transactions as they come, and of batches from others.
//!
//! Signatures are the budget of the whole system (architecture.md, Where the speed comes from), so
//! each is checked once per validator, many at a time, and never on the driver's thread.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use tokio::sync::oneshot;
use tonle_model::batch::{Batch, BatchError};
use tonle_model::hash::{BatchDigest, ChainHash};
use tonle_model::key::PublicKey;
use tonle_model::planted::{Bug, is_planted};
use tonle_model::transaction::SignedTransaction;
use tonle_model::verified::Verified;
use tonle_model::verify::{Claim, Verifier};

use crate::driver::{Event, EventSender};
use crate::priority::stand_back;

/// Most jobs waiting; each is at most one batch or one request.
const JOBS_MAX: usize = 64;

/// A transaction after its check.
#[derive(Debug)]
pub enum Checked {
    /// Every signature is valid.
    Valid(Verified<SignedTransaction>),
    /// At least one is not.
    Invalid(SignedTransaction),
}

enum Job {
    Transactions { transactions: Vec<SignedTransaction>, reply: oneshot::Sender<Vec<Checked>> },
    Batch { from: PublicKey, bytes: Bytes },
}

/// What the driver knows of batches that saves the workers their work.
#[derive(Default)]
pub struct Interest {
    sets: Mutex<InterestSets>,
}

#[derive(Default)]
struct InterestSets {
    held: HashSet<BatchDigest>,
    certified: HashSet<BatchDigest>,
}

impl Interest {
    /// The batch is held or decided: another copy is not worth checking.
    pub fn hold(&self, digest: BatchDigest) {
        let mut sets = self.lock();
        sets.certified.remove(&digest);
        sets.held.insert(digest);
    }

    /// The batch is neither held nor remembered as decided any more.
    pub fn release(&self, digest: &BatchDigest) {
        self.lock().held.remove(digest);
    }

    /// A finalization stands for the batch, so its signatures need no check (architecture.md).
    pub fn certify(&self, digest: BatchDigest) {
        self.lock().certified.insert(digest);
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, InterestSets> {
        self.sets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every worker is busy and enough waits.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy;

/// The way in. Cheap to clone; when the last one is dropped the workers end.
#[derive(Clone)]
pub struct VerifyPool {
    jobs: Sender<Job>,
}

/// What checks. [`Checker::start`] gives it threads; a simulation has it work job by job.
#[derive(Clone)]
pub struct Checker {
    chain: ChainHash,
    verifier: Arc<Verifier>,
    interest: Arc<Interest>,
    events: EventSender,
    jobs: Receiver<Job>,
}

impl VerifyPool {
    /// A pool and its way in. Checked batches go to `events`.
    pub fn new(
        chain: ChainHash,
        verifier: Arc<Verifier>,
        interest: Arc<Interest>,
        events: EventSender,
    ) -> (Self, Checker) {
        let (sender, jobs) = bounded(JOBS_MAX);
        (Self { jobs: sender }, Checker { chain, verifier, interest, events, jobs })
    }

    /// Checks transactions; the answer keeps their order.
    pub fn transactions(
        &self,
        transactions: Vec<SignedTransaction>,
    ) -> Result<oneshot::Receiver<Vec<Checked>>, Busy> {
        let (reply, receiver) = oneshot::channel();
        self.put(Job::Transactions { transactions, reply }).map(|()| receiver)
    }

    /// Decodes and checks a batch that a peer sent.
    pub fn batch(&self, from: PublicKey, bytes: Bytes) -> Result<(), Busy> {
        self.put(Job::Batch { from, bytes })
    }

    fn put(&self, job: Job) -> Result<(), Busy> {
        match self.jobs.try_send(job) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Busy),
        }
    }
}

impl Checker {
    /// Starts so many threads.
    pub fn start(&self, threads: usize) -> std::io::Result<()> {
        for number in 0..threads.max(1) {
            let checker = self.clone();
            std::thread::Builder::new().name(format!("verify-{number}")).spawn(move || {
                stand_back();
                checker.jobs.iter().for_each(|job| checker.work(job));
            })?;
        }
        Ok(())
    }

    /// Does one job, if one waits; says whether there was one.
    pub fn work_one(&self) -> bool {
        let job = self.jobs.try_recv();
        let found = job.is_ok();
        job.into_iter().for_each(|job| self.work(job));
        found
    }

    /// Whether a job waits.
    pub fn has_work(&self) -> bool {
        !self.jobs.is_empty()
    }

    fn work(&self, job: Job) {
        match job {
            Job::Transactions { transactions, reply } => {
                // A client that hung up needs no answer.
                let _gone = reply.send(check_transactions(&self.verifier, transactions));
            }
            Job::Batch { from, bytes } => {
                let event = match self.check_batch(bytes) {
                    Ok(Some(batch)) => Event::Batch { from, batch: Arc::new(batch) },
                    Ok(None) => return,
                    Err(error) => Event::BadBatch { from, error },
                };
                // The driver is gone only when the node ends.
                let _ended = self.events.send(event);
            }
        }
    }

    fn check_batch(&self, bytes: Bytes) -> Result<Option<Verified<Batch>>, BatchError> {
        let batch = Batch::decode(&self.chain, bytes)?;
        {
            let sets = self.interest.lock();
            if sets.held.contains(&batch.digest()) {
                return Ok(None);
            }
            if sets.certified.contains(&batch.digest()) || is_planted(Bug::UncheckedSignatures) {
                return Ok(Some(Verified::vouch(batch)));
            }
        }
        batch.verify(&self.chain, &self.verifier).map(Some)
    }
}

/// Checks all signatures of all transactions together, and blames exactly the bad ones.
fn check_transactions(verifier: &Verifier, transactions: Vec<SignedTransaction>) -> Vec<Checked> {
    let mut owners = Vec::new();
    let mut claims: Vec<Claim<'_>> = Vec::new();
    for (position, transaction) in transactions.iter().enumerate() {
        for claim in transaction.claims() {
            owners.push(position);
            claims.push(claim);
        }
    }
    let invalid = verifier.verify_batch(&claims).err().unwrap_or_default();
    let blamed: HashSet<usize> =
        invalid.iter().filter_map(|claim| owners.get(*claim)).copied().collect();
    let check = |(position, transaction)| match blamed.contains(&position) {
        true => Checked::Invalid(transaction),
        false => Checked::Valid(Verified::vouch(transaction)),
    };
    transactions.into_iter().enumerate().map(check).collect()
}
