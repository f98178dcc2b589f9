//! Look-ups beside the load: what a shop, a bank's desk and a customer's telephone ask of a node,
//! and how long they wait.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::runtime::Runtime;
use tonle_client::api::HistoryQuery;
use tonle_client::{Client, ClientError};
use tonle_model::id::AccountId;

use super::Target;
use super::accounts::People;
use super::report::Latency;
use crate::error::CliError;

/// Lines of a page of history.
const LINES: u32 = 100;
/// The invoice that nobody paid: what a till asks about until somebody does.
const INVOICE: &str = "bench";

/// The kinds, in turn.
const KINDS: [Kind; 3] = [Kind::Balance, Kind::History, Kind::Invoice];

#[derive(Debug, Clone, Copy)]
enum Kind {
    Balance,
    History,
    Invoice,
}

/// How long they took, from when their time had come.
#[derive(Debug, Serialize)]
pub struct LookUps {
    /// How many were answered.
    pub answered: u64,
    /// How many were not.
    pub failed: u64,
    /// The balances of an account.
    pub balance_ms: Latency,
    /// The newest hundred lines of its history.
    pub history_ms: Latency,
    /// Whether an invoice of its was paid.
    pub invoice_ms: Latency,
}

/// Look-ups under way, of each node on a thread of their own: what holds up the load or another
/// node must not be taken for what holds up an answer.
pub struct Asking(Vec<Desk>);

/// Where one node is asked, one question after the other.
struct Desk {
    stop: mpsc::Sender<()>,
    thread: JoinHandle<Answers>,
}

/// What one node is asked, and when.
struct Plan {
    /// When the first question is due.
    first: Instant,
    /// From one question to the next.
    pause: Duration,
    /// Which of the kinds comes first.
    kind: usize,
    /// Whom to ask about, in turn.
    accounts: Vec<AccountId>,
}

#[derive(Default)]
struct Answers {
    times: [Vec<Duration>; KINDS.len()],
    failed: u64,
}

impl Asking {
    /// Begins to ask so many questions a second, of all nodes in turn.
    pub fn start(target: &Target, people: &People, per_second: u32) -> Result<Self, CliError> {
        let between = Duration::from_secs(1) / per_second.max(1);
        let nodes = target.nodes.len();
        let pause = between.saturating_mul(u32::try_from(nodes).unwrap_or(u32::MAX));
        let mut first = Instant::now();
        let open = |(number, node): (usize, &Client)| {
            first += between;
            let accounts = people.ids().skip(number).step_by(nodes).cloned().collect();
            Desk::open(node.url(), Plan { first, pause, kind: number, accounts })
        };
        target.nodes.iter().enumerate().map(open).collect::<Result<_, _>>().map(Self)
    }

    /// Stops asking, and says how long the answers took.
    pub fn finish(self) -> Result<LookUps, CliError> {
        let mut all = Answers::default();
        for Desk { stop, thread } in self.0 {
            drop(stop);
            let answers = thread.join().map_err(|_| CliError::failed("an asking thread failed"))?;
            all.failed += answers.failed;
            let kinds = all.times.iter_mut().zip(answers.times);
            kinds.for_each(|(times, more)| times.extend(more));
        }
        let answered = all.times.iter().map(|times| times.len() as u64).sum();
        let [balance_ms, history_ms, invoice_ms] = all.times.map(Latency::of);
        Ok(LookUps { answered, failed: all.failed, balance_ms, history_ms, invoice_ms })
    }
}

impl Desk {
    fn open(url: &str, plan: Plan) -> Result<Self, CliError> {
        let failed = |error| CliError::failed(format!("cannot ask: {error}"));
        // Connections of its own: those of the load are driven by the threads of the load.
        let node = Client::new(url)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(failed)?;
        let (stop, stopped) = mpsc::channel();
        let ask = move || ask(&runtime, &node, &plan, &stopped);
        let thread = thread::Builder::new().name("look-ups".into()).spawn(ask).map_err(failed)?;
        Ok(Self { stop, thread })
    }
}

/// Asks until told to stop. The time of an answer counts from when its question was due, so a late
/// answer also delays the next ones, as in a queue at a desk. The thread waits by itself and not in
/// the runtime, whose clock has milliseconds only.
fn ask(runtime: &Runtime, node: &Client, plan: &Plan, stopped: &Receiver<()>) -> Answers {
    let mut answers = Answers::default();
    let mut due = plan.first;
    for (turn, account) in (plan.kind..).zip(plan.accounts.iter().cycle()) {
        match stopped.recv_timeout(due.saturating_duration_since(Instant::now())) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
        let kind = turn % KINDS.len();
        let (Some(asked), Some(times)) = (KINDS.get(kind), answers.times.get_mut(kind)) else {
            break;
        };
        match runtime.block_on(question(node, account, *asked)) {
            Ok(()) => times.push(due.elapsed()),
            Err(_) => answers.failed += 1,
        }
        due += plan.pause;
    }
    answers
}

async fn question(node: &Client, account: &AccountId, kind: Kind) -> Result<(), ClientError> {
    match kind {
        Kind::Balance => node.balances(account).await.map(drop),
        Kind::History => {
            let query = HistoryQuery { limit: Some(LINES), ..HistoryQuery::default() };
            node.history(account, &query).await.map(drop)
        }
        Kind::Invoice => node.invoices(account, INVOICE).await.map(drop),
    }
}
