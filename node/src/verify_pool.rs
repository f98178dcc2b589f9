//! Plain threads that check signatures: of transactions as they come, and of batches from others.
//!
//! Signatures are the budget of the whole system (architecture.md, Where the speed comes from), so
//! each is checked once per validator, many at a time, and never on the driver's thread.
//!
//! Batches go first: blocks wait for them, and every transaction that is let in is work for all
//! validators. A network that is offered more than it can do would otherwise check what is new
//! while it misses what it is about to decide, and decide less the more it is offered. A batch that
//! this node could not use is not checked at all, or whoever made such batches could fill the queue
//! with them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, select};
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

/// Most jobs of either kind waiting; each is at most one batch or one request.
const JOBS_MAX: usize = 64;
/// Of these, at most so many batches of one peer: whoever sends many has others wait for little.
const BATCHES_PER_PEER_MAX: usize = 8;
/// A request has its turn after so many batches, whatever peers send.
const BATCHES_IN_A_ROW_MAX: u32 = 8;

/// A transaction after its check.
#[derive(Debug)]
pub enum Checked {
    /// Every signature is valid.
    Valid(Verified<SignedTransaction>),
    /// At least one is not.
    Invalid(SignedTransaction),
}

/// A batch from a peer.
struct BatchJob {
    from: PublicKey,
    bytes: Bytes,
}

/// Transactions of a client.
struct RequestJob {
    transactions: Vec<SignedTransaction>,
    reply: oneshot::Sender<Vec<Checked>>,
}

enum Job {
    Batch(BatchJob),
    Request(RequestJob),
}

/// What the driver knows of batches that saves the workers their work. Before it said anything,
/// every batch is worth a check.
#[derive(Default)]
pub struct Interest {
    sets: Mutex<InterestSets>,
}

#[derive(Default)]
struct InterestSets {
    held: HashSet<BatchDigest>,
    certified: HashSet<BatchDigest>,
    /// Once it is known.
    use_of: Option<UseOf>,
}

/// Which batches a node can use.
#[derive(Debug, Default)]
pub struct UseOf {
    /// How many bytes of each other validator would be taken in. Shares are per validator: batches
    /// of anyone else are nobody's.
    pub room: HashMap<PublicKey, usize>,
    /// What blocks name is taken in whoever made it, and whenever it expired.
    pub named: HashSet<BatchDigest>,
    /// What expired before is in no new block.
    pub spent_before_ms: u64,
}

impl UseOf {
    fn takes(&self, batch: &Batch) -> bool {
        let fits = |room: &usize| batch.bytes().len() <= *room;
        let is_alive = batch.expires_ms() >= self.spent_before_ms;
        let is_named = self.named.contains(&batch.digest());
        is_named || (is_alive && self.room.get(batch.author()).is_some_and(fits))
    }
}

/// What was sent as a batch.
enum Found {
    Batch(Verified<Batch>),
    Useless(BatchDigest),
}

/// What a copy of a batch is worth.
enum Wanted {
    No,
    Decided,
    New,
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

    /// A finalization stands for the batch, so its members' signatures need no check
    /// (architecture.md).
    pub fn certify(&self, digest: BatchDigest) {
        self.lock().certified.insert(digest);
    }

    /// What can be used from now on.
    pub fn look_for(&self, use_of: UseOf) {
        self.lock().use_of = Some(use_of);
    }

    fn of(&self, batch: &Batch) -> Wanted {
        let digest = batch.digest();
        let sets = self.lock();
        match (sets.held.contains(&digest), sets.certified.contains(&digest)) {
            (true, _) => Wanted::No,
            (false, true) => Wanted::Decided,
            (false, false) if sets.use_of.as_ref().is_none_or(|use_of| use_of.takes(batch)) => {
                Wanted::New
            }
            (false, false) => Wanted::No,
        }
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
    batches: Sender<BatchJob>,
    requests: Sender<RequestJob>,
    waiting: Arc<Waiting>,
}

/// How many batches of each peer wait.
#[derive(Debug, Default)]
struct Waiting(Mutex<HashMap<PublicKey, usize>>);

impl Waiting {
    /// Counts one more, unless that is too many.
    fn enter(&self, peer: &PublicKey) -> Result<(), Busy> {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let count = waiting.entry(*peer).or_default();
        if *count >= BATCHES_PER_PEER_MAX {
            return Err(Busy);
        }
        *count += 1;
        Ok(())
    }

    fn leave(&self, peer: &PublicKey) {
        let mut waiting = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(peer) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                waiting.remove(peer);
            }
        }
    }
}

/// What checks. [`Checker::start`] gives it threads; a simulation has it work job by job.
#[derive(Clone)]
pub struct Checker {
    chain: ChainHash,
    verifier: Arc<Verifier>,
    interest: Arc<Interest>,
    events: EventSender,
    batches: Receiver<BatchJob>,
    requests: Receiver<RequestJob>,
    waiting: Arc<Waiting>,
    /// Batches done since the last request.
    in_a_row: u32,
}

impl VerifyPool {
    /// A pool and its way in. Checked batches go to `events`.
    pub fn new(
        chain: ChainHash,
        verifier: Arc<Verifier>,
        interest: Arc<Interest>,
        events: EventSender,
    ) -> (Self, Checker) {
        let (batches, waiting_batches) = bounded(JOBS_MAX);
        let (requests, waiting_requests) = bounded(JOBS_MAX);
        let checker = Checker {
            chain,
            verifier,
            interest,
            events,
            batches: waiting_batches,
            requests: waiting_requests,
            waiting: Arc::default(),
            in_a_row: 0,
        };
        let waiting = checker.waiting.clone();
        (Self { batches, requests, waiting }, checker)
    }

    /// Checks transactions; the answer keeps their order.
    pub fn transactions(
        &self,
        transactions: Vec<SignedTransaction>,
    ) -> Result<oneshot::Receiver<Vec<Checked>>, Busy> {
        let (reply, receiver) = oneshot::channel();
        put(&self.requests, RequestJob { transactions, reply }).map(|()| receiver)
    }

    /// Whether [`VerifyPool::transactions`] would refuse more right now.
    pub fn is_behind(&self) -> bool {
        self.requests.is_full()
    }

    /// Decodes and checks a batch that a peer sent.
    pub fn batch(&self, from: PublicKey, bytes: Bytes) -> Result<(), Busy> {
        self.waiting.enter(&from)?;
        put(&self.batches, BatchJob { from, bytes }).inspect_err(|Busy| self.waiting.leave(&from))
    }
}

fn put<T>(queue: &Sender<T>, job: T) -> Result<(), Busy> {
    match queue.try_send(job) {
        Ok(()) => Ok(()),
        Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => Err(Busy),
    }
}

impl Checker {
    /// Starts so many threads.
    pub fn start(&self, threads: usize) -> std::io::Result<()> {
        for number in 0..threads.max(1) {
            let mut checker = self.clone();
            std::thread::Builder::new().name(format!("verify-{number}")).spawn(move || {
                stand_back();
                while let Some(job) = checker.wait() {
                    checker.work(job);
                }
            })?;
        }
        Ok(())
    }

    /// Does one job, if one waits; says whether there was one.
    pub fn work_one(&mut self) -> bool {
        let job = self.next();
        let found = job.is_some();
        job.into_iter().for_each(|job| self.work(job));
        found
    }

    /// Whether a job waits.
    pub fn has_work(&self) -> bool {
        !(self.batches.is_empty() && self.requests.is_empty())
    }

    /// The next job, waiting for one; none when nobody can send any more.
    fn wait(&mut self) -> Option<Job> {
        if let Some(job) = self.next() {
            return Some(job);
        }
        // The two ways in are dropped together: when one is closed, no job comes on the other.
        let job = select! {
            recv(self.batches) -> job => job.ok().map(Job::Batch),
            recv(self.requests) -> job => job.ok().map(Job::Request),
        };
        job.or_else(|| self.next())
    }

    /// The next of those that wait.
    fn next(&mut self) -> Option<Job> {
        let batch = || self.batches.try_recv().ok().map(Job::Batch);
        let request = || self.requests.try_recv().ok().map(Job::Request);
        let job = match self.in_a_row < BATCHES_IN_A_ROW_MAX {
            true => batch().or_else(request),
            false => request().or_else(batch),
        };
        self.in_a_row = match job {
            Some(Job::Batch(_)) => self.in_a_row.saturating_add(1),
            Some(Job::Request(_)) | None => 0,
        };
        job
    }

    fn work(&self, job: Job) {
        match job {
            Job::Request(RequestJob { transactions, reply }) => {
                // A client that hung up needs no answer.
                let _gone = reply.send(check_transactions(&self.verifier, transactions));
            }
            Job::Batch(BatchJob { from, bytes }) => {
                self.waiting.leave(&from);
                let event = match self.check_batch(bytes) {
                    Ok(Found::Batch(batch)) => Event::Batch { from, batch: Arc::new(batch) },
                    Ok(Found::Useless(digest)) => Event::Useless(digest),
                    Err(error) => Event::BadBatch { from, error },
                };
                // The driver is gone only when the node ends.
                let _ended = self.events.send(event);
            }
        }
    }

    fn check_batch(&self, bytes: Bytes) -> Result<Found, BatchError> {
        let batch = Batch::decode(&self.chain, bytes)?;
        if is_planted(Bug::UncheckedSignatures) {
            return Ok(Found::Batch(Verified::vouch(batch)));
        }
        let verified = match self.interest.of(&batch) {
            // Nobody is to blame: its author may have been a validator when it was sent.
            Wanted::No => return Ok(Found::Useless(batch.digest())),
            Wanted::Decided => batch.verify_decided(&self.chain, &self.verifier),
            Wanted::New => batch.verify(&self.chain, &self.verifier),
        };
        verified.map(Found::Batch)
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

#[cfg(test)]
mod tests {
    use tonle_model::bounded::Bounded;
    use tonle_model::instruction::Instruction;
    use tonle_model::key::KeyPair;
    use tonle_model::transaction::{Payload, Step};

    use super::*;

    fn batch() -> Batch {
        let instruction = Instruction::RegisterDomain { id: "wing".parse().unwrap() };
        let step = Step { authority: "a@b".parse().unwrap(), instruction };
        let payload = Payload {
            chain: ChainHash::default(),
            created_ms: 1,
            expires_ms: 2,
            nonce: 1,
            reference: None,
            steps: Bounded::new(vec![step]).unwrap(),
        };
        let signed = payload.sign(&[&KeyPair::demo("a@b")]);
        let member = Verified::vouch(SignedTransaction::from_transaction(&signed).unwrap());
        let author = KeyPair::demo("author");
        Batch::seal(&ChainHash::default(), &author, 1, vec![member]).into_inner()
    }

    fn with_flipped_bit(batch: &Batch, from_the_end: usize) -> Bytes {
        let mut bytes = batch.bytes().to_vec();
        let position = bytes.len() - from_the_end;
        bytes[position] ^= 1;
        bytes.into()
    }

    /// What a pool says of bytes after it was told of `batch`.
    fn check(tell: fn(&Interest, BatchDigest), batch: &Batch, bytes: Bytes) -> Option<Event> {
        let interest = Interest::default();
        tell(&interest, batch.digest());
        check_with(interest, bytes)
    }

    fn check_with(interest: Interest, bytes: Bytes) -> Option<Event> {
        let (events, inbox) = bounded(1);
        let (interest, verifier) = (Arc::new(interest), Arc::new(Verifier::new()));
        let (pool, mut checker) = VerifyPool::new(ChainHash::default(), verifier, interest, events);
        assert_eq!(pool.batch(KeyPair::demo("peer").public_key(), bytes), Ok(()));
        assert!(checker.work_one());
        inbox.try_recv().ok()
    }

    fn error(event: Option<Event>) -> BatchError {
        match event {
            Some(Event::BadBatch { error, .. }) => error,
            other => panic!("not blamed: {other:?}"),
        }
    }

    #[test]
    fn a_batch_passes_unless_it_is_held() {
        let batch = batch();
        for tell in [|_: &Interest, _| {}, |interest: &Interest, digest| interest.certify(digest)] {
            let event = check(tell, &batch, batch.bytes().clone());
            let Some(Event::Batch { batch: passed, .. }) = event else { panic!("not passed") };
            assert_eq!(passed.digest(), batch.digest());
        }
        let hold = |interest: &Interest, digest| interest.hold(digest);
        assert!(is_useless(&check(hold, &batch, batch.bytes().clone())));
    }

    fn is_useless(event: &Option<Event>) -> bool {
        matches!(event, Some(Event::Useless(_)))
    }

    /// The copy has a wrong signature: whoever checked it would blame the sender for it.
    #[test]
    fn a_batch_that_cannot_be_used_is_dropped_before_any_signature_is_checked() {
        let batch = batch();
        let (author, size, digest) = (*batch.author(), batch.bytes().len(), batch.digest());
        let looking_for = |room: &[(PublicKey, usize)], named: &[BatchDigest], spent_before_ms| {
            let interest = Interest::default();
            let (room, named) = (room.iter().copied().collect(), named.iter().copied().collect());
            interest.look_for(UseOf { room, named, spent_before_ms });
            interest
        };
        let check = |interest| check_with(interest, with_flipped_bit(&batch, 1));
        let (expires_ms, fits) = (batch.expires_ms(), &[(author, size)][..]);
        assert!(is_useless(&check(looking_for(&[], &[], 0))), "its author is no validator");
        let full = looking_for(&[(author, size - 1)], &[], 0);
        assert!(is_useless(&check(full)), "its share is full");
        assert!(is_useless(&check(looking_for(fits, &[], expires_ms + 1))), "it has expired");
        let decided = looking_for(&[], &[], u64::MAX);
        decided.certify(digest);
        let named = looking_for(&[], &[digest], u64::MAX);
        for interest in [looking_for(fits, &[], expires_ms), named, decided] {
            assert!(matches!(error(check(interest)), BatchError::AuthorSignature));
        }
    }

    #[test]
    fn one_peer_fills_a_part_of_the_queue_only() {
        let batch = batch();
        let (events, inbox) = bounded(JOBS_MAX);
        let verifier = Arc::new(Verifier::new());
        let (pool, mut checker) =
            VerifyPool::new(ChainHash::default(), verifier, Arc::default(), events);
        let send = |peer| pool.batch(KeyPair::demo(peer).public_key(), batch.bytes().clone());
        for _ in 0..BATCHES_PER_PEER_MAX {
            assert_eq!(send("many"), Ok(()));
        }
        assert_eq!((send("many"), send("few")), (Err(Busy), Ok(())));
        assert!(checker.work_one());
        assert_eq!((send("many"), send("many")), (Ok(()), Err(Busy)));
        while checker.work_one() {}
        assert_eq!(inbox.try_iter().count(), BATCHES_PER_PEER_MAX + 2);
        assert!(pool.waiting.0.lock().unwrap().is_empty());
    }

    #[test]
    fn batches_go_first_and_a_request_has_its_turn_among_them() {
        let batch = batch();
        let (events, inbox) = bounded(JOBS_MAX);
        let verifier = Arc::new(Verifier::new());
        let (pool, mut checker) =
            VerifyPool::new(ChainHash::default(), verifier, Arc::default(), events);
        let mut answer = pool.transactions(Vec::new()).unwrap();
        for number in 0..JOBS_MAX {
            let from = KeyPair::demo(&format!("peer {}", number / BATCHES_PER_PEER_MAX));
            let from = from.public_key();
            assert_eq!(pool.batch(from, batch.bytes().clone()), Ok(()), "requests take no room");
        }
        let mut batches_before_the_answer = 0;
        while answer.try_recv().is_err() {
            batches_before_the_answer += inbox.try_iter().count();
            assert!(checker.work_one());
        }
        assert_eq!(batches_before_the_answer, BATCHES_IN_A_ROW_MAX as usize);
        while checker.has_work() {
            assert!(checker.work_one());
        }
        assert_eq!(batches_before_the_answer + inbox.try_iter().count(), JOBS_MAX);
    }

    #[test]
    fn the_pool_is_behind_exactly_when_it_takes_no_more_requests() {
        let (events, _inbox) = bounded(JOBS_MAX);
        let verifier = Arc::new(Verifier::new());
        let (pool, mut checker) =
            VerifyPool::new(ChainHash::default(), verifier, Arc::default(), events);
        let mut answers = Vec::new();
        while !pool.is_behind() {
            answers.push(pool.transactions(Vec::new()).unwrap());
        }
        assert_eq!(answers.len(), JOBS_MAX);
        assert_eq!(pool.transactions(Vec::new()).unwrap_err(), Busy);
        assert!(checker.work_one());
        assert!(!pool.is_behind() && pool.transactions(Vec::new()).is_ok());
    }

    /// The digest that a quorum signs covers the members' signatures, but not the author's: whoever
    /// took a decided batch with another one would hand it on, and be blamed for it.
    #[test]
    fn the_authors_signature_counts_in_a_decided_batch_too() {
        let batch = batch();
        for tell in [|_: &Interest, _| {}, |interest: &Interest, digest| interest.certify(digest)] {
            let event = check(tell, &batch, with_flipped_bit(&batch, 1));
            assert!(matches!(error(event), BatchError::AuthorSignature));
        }
    }
}
