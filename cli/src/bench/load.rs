//! Sending: as fast as the network takes it, or at a rate whatever it does.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::time::{Duration, Instant};

use futures::future::{self, Either};
use futures::stream::{FuturesUnordered, StreamExt};
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until, timeout};
use tonle_client::api::SubmitCode;
use tonle_client::{ClientError, encode_array};

use super::presign::Chunk;
use super::tracker::Tracker;
use super::{BenchArgs, Target, follow};
use crate::error::CliError;
use crate::output::Output;

/// Before trying again where nobody answered.
const PAUSE: Duration = Duration::from_millis(100);
/// How often the same transfers are tried.
const TRIES_MAX: u32 = 200;
/// How often it is told how far it is.
const TELL: Duration = Duration::from_secs(2);

/// What a run came to.
pub struct Outcome {
    /// Each transfer.
    pub tracker: Tracker,
    /// POSTs that a node put off with 429 or 503.
    pub put_off: u64,
    /// POSTs that nobody answered.
    pub unanswered: u64,
    /// Some reason why a transfer was refused.
    pub refusal: Option<String>,
}

/// A run under way. All of it lives on one thread, beside validators that need the cores.
struct Run<'a> {
    target: &'a Target,
    tracker: &'a RefCell<Tracker>,
    seen: &'a Notify,
    put_off: Cell<u64>,
    unanswered: Cell<u64>,
    refusal: RefCell<Option<String>>,
}

/// Sends all chunks and waits until all are seen in blocks, or nothing comes any more.
pub async fn run(
    target: &Target,
    args: &BenchArgs,
    chunks: Vec<Chunk>,
    output: &Output,
) -> Result<Outcome, CliError> {
    let tracker = RefCell::new(Tracker::new(&chunks)?);
    let seen = Notify::new();
    let run = Run {
        target,
        tracker: &tracker,
        seen: &seen,
        put_off: Cell::new(0),
        unanswered: Cell::new(0),
        refusal: RefCell::new(None),
    };
    let next = target.node(0)?.node_status().await?.height.next();
    let total = chunks.iter().map(|chunk| chunk.hashes.len()).sum();
    let sending = async {
        match args.rate {
            Some(rate) => run.at_rate(chunks, rate).await,
            None => run.as_fast_as_taken(chunks, args).await,
        }
        run.drain(args.patience.duration()).await;
    };
    let watching = future::select(
        Box::pin(follow::follow(target, next, &tracker, &seen)),
        Box::pin(tell(&tracker, total, output)),
    );
    match future::select(Box::pin(sending), watching).await {
        Either::Left(_) => {}
        Either::Right((Either::Left((error, _)), _)) => return Err(error),
        Either::Right((Either::Right(((), _)), _)) => {}
    }
    let (put_off, unanswered) = (run.put_off.get(), run.unanswered.get());
    let refusal = run.refusal.take();
    Ok(Outcome { tracker: tracker.into_inner(), put_off, unanswered, refusal })
}

async fn tell(tracker: &RefCell<Tracker>, total: usize, output: &Output) {
    let mut before = 0;
    loop {
        sleep(TELL).await;
        let (applied, in_flight) = {
            let tracker = tracker.borrow();
            (tracker.applied, tracker.in_flight)
        };
        let rate = (applied - before) / TELL.as_secs();
        output.progress(&format!("{applied} of {total} applied, {rate}/s, {in_flight} under way"));
        before = applied;
    }
}

impl Run<'_> {
    /// Each connection sends the next chunk as soon as its last one was taken and the window
    /// allows.
    async fn as_fast_as_taken(&self, chunks: Vec<Chunk>, args: &BenchArgs) {
        let stop = args.stop_after().map(|duration| Instant::now() + duration);
        let window = args.in_flight as usize;
        let queue = RefCell::new(VecDeque::from(chunks));
        let connections = usize::from(args.connections) * self.target.nodes.len();
        let connection = async |number: usize| {
            loop {
                let Some(chunk) = queue.borrow_mut().pop_front() else { break };
                // A chunk larger than the window goes alone.
                let room = window.saturating_sub(chunk.hashes.len());
                self.wait_for_room(room).await;
                if stop.is_some_and(|stop| Instant::now() >= stop) {
                    break;
                }
                self.deliver(&chunk, number, Instant::now()).await;
            }
        };
        future::join_all((0..connections).map(connection)).await;
    }

    /// Sends each chunk when its time has come. Latency counts from that time, so that a network
    /// that stalls cannot hide it.
    async fn at_rate(&self, chunks: Vec<Chunk>, rate: u32) {
        let start = Instant::now();
        let mut under_way = FuturesUnordered::new();
        for (turn, chunk) in chunks.into_iter().enumerate() {
            let offset = Duration::from_secs_f64(chunk.first as f64 / f64::from(rate));
            let due = start + offset;
            let timer = sleep_until(due.into());
            tokio::pin!(timer);
            loop {
                tokio::select! {
                    () = &mut timer => break,
                    Some(()) = under_way.next() => {}
                }
            }
            under_way.push(async move { self.deliver(&chunk, turn, due).await });
        }
        while under_way.next().await.is_some() {}
    }

    async fn wait_for_room(&self, room: usize) {
        while self.tracker.borrow().in_flight > room {
            // Blocks that bring nothing do no harm, nor does a wake-up too many; one too few would
            // be noticed a moment later.
            let _late = timeout(PAUSE, self.seen.notified()).await;
        }
    }

    /// Sends one chunk until every transfer in it was taken or refused for good.
    async fn deliver(&self, chunk: &Chunk, mut turn: usize, at: Instant) {
        let numbers = chunk.first..chunk.first + chunk.hashes.len();
        numbers.for_each(|number| self.tracker.borrow_mut().sent(number, at));
        let mut body = chunk.body.clone();
        let mut pending: Vec<usize> = (0..chunk.hashes.len()).collect();
        for _ in 0..TRIES_MAX {
            let Ok(node) = self.target.node(turn) else { return };
            match node.submit_encoded(body.clone()).await {
                Ok(answers) => pending = self.sort(chunk, &pending, &answers),
                Err(error) => {
                    if !self.put_up_with(&error, chunk, &pending).await {
                        return;
                    }
                    if matches!(
                        error,
                        ClientError::Unreachable { .. } | ClientError::Timeout { .. }
                    ) {
                        turn += 1;
                    }
                    continue;
                }
            }
            if pending.is_empty() {
                return;
            }
            self.put_off.set(self.put_off.get() + 1);
            sleep(PAUSE).await;
            let again: Vec<_> =
                pending.iter().filter_map(|position| chunk.transaction(*position)).collect();
            body = encode_array(again.iter().map(AsRef::as_ref));
        }
    }

    /// Notes what was taken or refused; returns what should be sent again.
    fn sort(
        &self,
        chunk: &Chunk,
        pending: &[usize],
        answers: &[(tonle_model::hash::TransactionHash, SubmitCode)],
    ) -> Vec<usize> {
        let mut tracker = self.tracker.borrow_mut();
        let mut again = Vec::new();
        for (position, (hash, code)) in pending.iter().zip(answers) {
            let number = chunk.first + position;
            if chunk.hashes.get(*position) != Some(hash) {
                self.refusal.replace(Some("a node answered about other transactions".into()));
                tracker.refused(number);
                continue;
            }
            match code {
                SubmitCode::Queued | SubmitCode::Committed | SubmitCode::Rejected => {
                    tracker.taken(number);
                }
                SubmitCode::Busy | SubmitCode::NotReady => again.push(*position),
                SubmitCode::Expired | SubmitCode::BadSignature | SubmitCode::Unprocessable => {
                    self.refusal.replace(Some(format!("{code:?}")));
                    tracker.refused(number);
                }
            }
        }
        again
    }

    /// Waits as a node asks, or a moment if none answered. False if trying again is no use.
    async fn put_up_with(&self, error: &ClientError, chunk: &Chunk, pending: &[usize]) -> bool {
        if let Some(pause) = error.retry_after() {
            self.put_off.set(self.put_off.get() + 1);
            sleep(pause).await;
            return true;
        }
        if matches!(error, ClientError::Unreachable { .. } | ClientError::Timeout { .. }) {
            self.unanswered.set(self.unanswered.get() + 1);
            sleep(PAUSE).await;
            return true;
        }
        self.refusal.replace(Some(error.to_string()));
        let mut tracker = self.tracker.borrow_mut();
        pending.iter().for_each(|position| tracker.refused(chunk.first + position));
        false
    }

    /// Waits until all that was sent is in a block, or none comes for a while.
    async fn drain(&self, patience: Duration) {
        let mut quiet_since = Instant::now();
        let mut before = self.tracker.borrow().in_flight;
        while before > 0 && quiet_since.elapsed() < patience {
            let _late = timeout(PAUSE, self.seen.notified()).await;
            let now = self.tracker.borrow().in_flight;
            if now != before {
                quiet_since = Instant::now();
                before = now;
            }
        }
    }
}
