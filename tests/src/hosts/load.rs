//! Clients: they pay at a rate or as much as is decided, and send each payment again, elsewhere, as
//! long as nobody says that it is decided and nobody has it.

use std::ops::Range;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use parity_scale_codec::Encode;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tonle_client::api::{BlocksQuery, SubmitCode, TransactionStatus, Wait};
use tonle_client::{Client, ClientError, encode_array};
use tonle_model::hash::{ChainHash, TransactionHash};
use tonle_model::number::Height;
use tonle_model::receipt::Outcome as Decision;

use super::book::{Book, Crowd};
use super::people::{Payment, People};
use super::{Outcome, wait_for};

/// How often payments are made.
const TICK: Duration = Duration::from_millis(20);
/// Payments in one POST.
const ARRAY: usize = 500;
/// Payments under way past which clients wait, as people do, whatever the rate.
const UNDER_WAY_MAX: usize = 100_000;
/// Accounts that one transaction opens, of two steps each.
const OPENED_BY_ONE: usize = 125;
/// Such transactions in one POST, and such POSTs under way.
const OPENED_IN_ARRAY: usize = 40;
const OPENED_AT_ONCE: usize = 8;
/// Before going to another validator.
const PAUSE: Duration = Duration::from_millis(100);
/// Before asking whoever took a payment what became of it.
const LOOK: Duration = Duration::from_millis(500);
/// How long a validator holds the question about a block to come.
const FOLLOW: Duration = Duration::from_secs(2);
/// Blocks in one answer.
const BLOCKS: u32 = 16;

/// How much is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// So many payments a second, whatever the network does.
    PerSecond(u32),
    /// As many as are decided, with so many under way.
    UnderWay(usize),
}

/// What a validator makes of a payment that is offered to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reception {
    /// It takes it, or knows it.
    TakesIn,
    /// It takes nothing in: HTTP 503.
    NotReady,
    /// It has too much to do: HTTP 429.
    Busy,
    /// Nobody is there.
    Nobody,
}

/// What all clients of a network share.
pub struct Clients {
    people: People,
    chain: ChainHash,
    nodes: Vec<Client>,
    book: Mutex<Book>,
    numbers: AtomicU64,
    turns: AtomicUsize,
    /// The first payment of all.
    first: OnceLock<Vec<u8>>,
}

/// A payment that is not known to be decided.
struct Pending {
    hash: TransactionHash,
    bytes: Vec<u8>,
    /// The validator that took it and may still have it.
    taker: Option<usize>,
}

/// Clients that pay until told to stop.
pub struct Load {
    clients: Arc<Clients>,
    crowd: Crowd,
    stop: Arc<AtomicBool>,
    paying: JoinHandle<()>,
}

impl Clients {
    /// Clients of these validators.
    pub fn new(people: People, chain: ChainHash, nodes: Vec<Client>) -> Self {
        let book = Mutex::new(Book::new(nodes.len()));
        let (numbers, turns) = (AtomicU64::new(0), AtomicUsize::new(0));
        Self { people, chain, nodes, book, numbers, turns, first: OnceLock::new() }
    }

    /// What they know.
    pub fn book(&self) -> MutexGuard<'_, Book> {
        // A panic elsewhere must not hide behind a second one.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who pays.
    pub fn people(&self) -> &People {
        &self.people
    }

    /// The validators.
    pub fn nodes(&self) -> &[Client] {
        &self.nodes
    }

    /// The network that they pay on.
    pub fn chain(&self) -> ChainHash {
        self.chain
    }

    /// Writes down every block of a validator as it shows it, for ever.
    pub async fn follow(self: Arc<Self>, validator: usize) {
        let mut next = Height(1);
        loop {
            match self.read_on(validator, next).await {
                Ok(unread) => next = unread,
                // Both questions are asked again: what was heard stands in the book already.
                Err(_) => tokio::time::sleep(PAUSE / 2).await,
            }
        }
    }

    /// Reads the names of the blocks from a height on, as soon as there are some, and then what is
    /// in them; returns the first height that is not read.
    async fn read_on(&self, validator: usize, from: Height) -> Result<Height, ClientError> {
        let node = &self.nodes[validator];
        let wait = Some(Wait::at_most(FOLLOW));
        let query = BlocksQuery { from: Some(from), limit: Some(BLOCKS), wait };
        let names = node.blocks(&query).await?.items;
        if names.is_empty() {
            return Ok(from);
        }
        {
            let mut book = self.book();
            names.iter().for_each(|block| book.name(block));
        }
        // No block whose name is not known.
        let limit = u32::try_from(names.len()).unwrap_or(BLOCKS);
        let query = BlocksQuery { from: Some(from), limit: Some(limit), wait: None };
        let blocks = node.receipts(&query).await?;
        let now = Instant::now();
        let mut book = self.book();
        blocks.iter().for_each(|block| book.show(validator, block, now));
        Ok(blocks.last().map_or(from, |block| block.height.next()))
    }

    /// Whether a validator takes payments in: offers it the first payment of all, which is decided
    /// long since and does nothing more. An error if it answers with anything else than yes or
    /// not now.
    pub async fn takes_in(&self, validator: usize) -> Outcome<Reception> {
        let bytes = self.first.get().ok_or("nobody has paid yet")?;
        let body = encode_array(std::iter::once(bytes.as_slice()));
        let answer = self.nodes[validator].submit_encoded(body).await;
        let codes = answer.map(|all| all.into_iter().map(|(_, code)| code).collect());
        reception(codes)
            .map_err(|error| format!("validator {validator}, offered a payment: {error}"))
    }

    /// Pays until told to stop.
    async fn pay(
        self: Arc<Self>,
        pace: Pace,
        payers: Range<u16>,
        crowd: Crowd,
        stop: Arc<AtomicBool>,
    ) {
        let (start, mut passed) = (Instant::now(), 0);
        while !stop.load(Relaxed) {
            let under_way = self.book().under_way(crowd);
            let room = UNDER_WAY_MAX.saturating_sub(under_way);
            let wanted = match pace {
                Pace::PerSecond(rate) => {
                    let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as usize;
                    // What clients waited with is not made up for.
                    let wanted = due - passed;
                    passed = due;
                    wanted.min(room)
                }
                Pace::UnderWay(most) => most.saturating_sub(under_way),
            };
            let mut left = wanted;
            while left > 0 {
                let pending = self.make(left.min(ARRAY), &payers, crowd);
                left -= pending.len();
                tokio::spawn(self.clone().see_through(pending));
                // Signing is work: others have their turn between two arrays.
                tokio::task::yield_now().await;
            }
            tokio::time::sleep(TICK).await;
        }
    }

    /// Opens so many accounts beside those that pay; returns when all are there.
    pub async fn open_accounts(self: Arc<Self>, count: usize) {
        let numbers: Vec<usize> = (0..count).step_by(OPENED_BY_ONE * OPENED_IN_ARRAY).collect();
        let under_way = Arc::new(Semaphore::new(OPENED_AT_ONCE));
        let mut tasks = JoinSet::new();
        for first in numbers {
            let permit = under_way.clone().acquire_owned().await.expect("nobody closes it");
            let last = count.min(first + OPENED_BY_ONE * OPENED_IN_ARRAY);
            let clients = self.clone();
            tasks.spawn(async move {
                let pending = clients.make_accounts(first..last);
                clients.see_through(pending).await;
                drop(permit);
            });
        }
        tasks.join_all().await;
    }

    fn make_accounts(&self, numbers: Range<usize>) -> Vec<Pending> {
        let last = numbers.end;
        let parts = numbers.step_by(OPENED_BY_ONE);
        let parts = parts.map(|first| first..last.min(first + OPENED_BY_ONE));
        let signed = parts.map(|part| self.people.open(self.chain, part));
        let signed: Vec<_> = signed.map(|one| (one.payload.hash(), one.encode())).collect();
        let mut book = self.book();
        let pending = signed.into_iter().map(|(hash, bytes)| {
            book.make(hash, Payment::NONE, Crowd::Registrar);
            Pending { hash, bytes, taker: None }
        });
        pending.collect()
    }

    /// Signs some payments and writes them down.
    fn make(&self, count: usize, payers: &Range<u16>, crowd: Crowd) -> Vec<Pending> {
        let signed = (0..count).map(|_| {
            let number = self.numbers.fetch_add(1, Relaxed);
            let payment = Payment::of(number, payers);
            let transaction = self.people.sign(self.chain, payment, number);
            (transaction.payload.hash(), transaction.encode(), payment)
        });
        let signed: Vec<_> = signed.collect();
        let mut book = self.book();
        let pending = signed.into_iter().map(|(hash, bytes, payment)| {
            self.first.get_or_init(|| bytes.clone());
            book.make(hash, payment, crowd);
            Pending { hash, bytes, taker: None }
        });
        pending.collect()
    }

    /// Sends payments until all are decided, for as long as that takes.
    async fn see_through(self: Arc<Self>, mut pending: Vec<Pending>) {
        let mut turn = self.turns.fetch_add(1, Relaxed) % self.nodes.len();
        loop {
            {
                let book = self.book();
                pending.retain(|one| !book.is_committed(&one.hash));
            }
            if pending.is_empty() {
                return;
            }
            self.post(&mut pending, turn).await;
            if pending.iter().any(|one| one.taker.is_none()) {
                turn = (turn + 1) % self.nodes.len();
                tokio::time::sleep(PAUSE).await;
            } else {
                tokio::time::sleep(LOOK).await;
            }
            self.ask(&mut pending).await;
        }
    }

    /// Sends what nobody has to one validator.
    async fn post(&self, pending: &mut [Pending], turn: usize) {
        let mut free: Vec<_> = pending.iter_mut().filter(|one| one.taker.is_none()).collect();
        if free.is_empty() {
            return;
        }
        let body = encode_array(free.iter().map(|one| one.bytes.as_slice()));
        // Nobody there, or too busy: the next one, in a moment.
        let Ok(answers) = self.nodes[turn].submit_encoded(body).await else { return };
        for (one, (_, code)) in free.iter_mut().zip(answers) {
            match code {
                SubmitCode::Queued | SubmitCode::Committed | SubmitCode::Rejected => {
                    one.taker = Some(turn);
                }
                SubmitCode::Busy | SubmitCode::NotReady => {}
                SubmitCode::Expired | SubmitCode::BadSignature | SubmitCode::Unprocessable => {
                    self.book().refused(format!("validator {turn}: {code:?}"));
                }
            }
        }
    }

    /// Asks each validator that took payments about one of them: whoever does not know it any more
    /// has lost the others too.
    async fn ask(&self, pending: &mut Vec<Pending>) {
        for taker in 0..self.nodes.len() {
            let taken = |one: &&Pending| one.taker == Some(taker);
            let first = {
                let book = self.book();
                pending.retain(|one| !book.is_committed(&one.hash));
                pending.iter().find(taken).map(|one| one.hash)
            };
            let Some(hash) = first else { continue };
            match self.nodes[taker].status(&hash, None).await {
                Ok(TransactionStatus::Queued) => {}
                Ok(TransactionStatus::Committed { .. }) => {
                    self.book().decided(&hash, Decision::Applied, Instant::now());
                }
                Ok(TransactionStatus::Rejected { code, step, .. }) => {
                    let decision = Decision::Rejected { code, step };
                    self.book().decided(&hash, decision, Instant::now());
                }
                Ok(TransactionStatus::Expired) | Err(_) => {
                    let lost = pending.iter_mut().filter(|one| one.taker == Some(taker));
                    lost.for_each(|one| one.taker = None);
                }
            }
        }
    }
}

/// What an answer to a single payment means.
fn reception(answer: Result<Vec<SubmitCode>, ClientError>) -> Outcome<Reception> {
    use SubmitCode::{Busy, Committed, NotReady, Queued};
    match answer {
        Ok(codes) => match codes.as_slice() {
            [Queued | Committed] => Ok(Reception::TakesIn),
            [NotReady] => Ok(Reception::NotReady),
            [Busy] => Ok(Reception::Busy),
            other => Err(format!("{other:?}")),
        },
        Err(ClientError::Unreachable { .. }) => Ok(Reception::Nobody),
        Err(error) => match error.status() {
            Some(503) => Ok(Reception::NotReady),
            Some(429) => Ok(Reception::Busy),
            _ => Err(error.to_string()),
        },
    }
}

impl Load {
    /// Clients begin to pay.
    pub fn start(
        clients: Arc<Clients>,
        runtime: &tokio::runtime::Handle,
        pace: Pace,
        payers: Range<u16>,
        crowd: Crowd,
    ) -> Self {
        let stop = Arc::<AtomicBool>::default();
        let paying = runtime.spawn(clients.clone().pay(pace, payers, crowd, stop.clone()));
        Self { clients, crowd, stop, paying }
    }

    /// No new payments.
    pub fn stop(&self) {
        self.stop.store(true, Relaxed);
    }

    /// No new payments; waits until all that were made are decided.
    pub fn finish(self, patience: Duration) -> Outcome<()> {
        self.stop();
        // A payment that is being signed right now is in no book yet.
        let none = || {
            let is_over = self.paying.is_finished();
            Ok((is_over && self.clients.book().under_way(self.crowd) == 0).then_some(()))
        };
        wait_for("all payments to be decided", patience, none).map(drop).map_err(|error| {
            let book = self.clients.book();
            let (refusals, reason) = book.refusals();
            let left = book.under_way(self.crowd);
            format!("{error}: {left} are not; {refusals} refusals, the last one {reason:?}")
        })
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_client::api::Problem;

    fn problem(status: u16) -> ClientError {
        ClientError::Problem(Box::new(Problem {
            kind: "about:blank".into(),
            title: String::new(),
            status,
            detail: String::new(),
            code: "some_code".into(),
            retry_after_s: None,
            results: Vec::new(),
        }))
    }

    #[test]
    fn only_503_is_a_refusal() {
        let said = |codes: &[SubmitCode]| reception(Ok(codes.to_vec()));
        let failed = |error| reception(Err(error));
        assert_eq!(failed(problem(503)), Ok(Reception::NotReady));
        assert_eq!(said(&[SubmitCode::NotReady]), Ok(Reception::NotReady));
        assert_eq!(failed(problem(429)), Ok(Reception::Busy));
        assert_eq!(said(&[SubmitCode::Busy]), Ok(Reception::Busy));
        assert_eq!(said(&[SubmitCode::Queued]), Ok(Reception::TakesIn));
        assert_eq!(said(&[SubmitCode::Committed]), Ok(Reception::TakesIn));
        let nobody = ClientError::Unreachable { url: String::new(), reason: String::new() };
        assert_eq!(failed(nobody), Ok(Reception::Nobody));
        for status in [400, 401, 413, 422, 500] {
            assert!(failed(problem(status)).is_err(), "{status}");
        }
        assert!(failed(ClientError::Timeout { url: String::new() }).is_err());
        assert!(said(&[SubmitCode::Unprocessable]).is_err() && said(&[]).is_err());
    }
}
