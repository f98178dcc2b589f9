//! Look-ups beside the load: what a shop, a bank's desk and a customer's telephone ask of a node,
//! and how long they wait.

use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use futures::stream::{FuturesUnordered, StreamExt};
use serde::Serialize;
use tokio::sync::oneshot;
use tokio::time::{MissedTickBehavior, interval};
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

/// Look-ups under way, on a thread of their own: what holds up the load must not be taken for what
/// holds up an answer.
pub struct Asking {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<Result<LookUps, CliError>>,
}

impl Asking {
    /// Begins to ask so many questions a second, of all nodes in turn.
    pub fn start(target: &Target, people: &People, per_second: u32) -> Result<Self, CliError> {
        let nodes = target.nodes.clone();
        let accounts: Vec<_> = people.ids().cloned().collect();
        let (stop, stopped) = oneshot::channel();
        let failed = |error| CliError::failed(format!("cannot ask: {error}"));
        let ask = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            Ok(runtime.map_err(failed)?.block_on(ask(&nodes, &accounts, per_second, stopped)))
        };
        let thread = thread::Builder::new().name("look-ups".into()).spawn(ask).map_err(failed)?;
        Ok(Self { stop, thread })
    }

    /// Stops asking, and says how long the answers took.
    pub fn finish(self) -> Result<LookUps, CliError> {
        let _ended = self.stop.send(());
        self.thread.join().map_err(|_| CliError::failed("the asking thread failed"))?
    }
}

async fn ask(
    nodes: &[Client],
    accounts: &[AccountId],
    per_second: u32,
    mut stopped: oneshot::Receiver<()>,
) -> LookUps {
    let mut times: [Vec<Duration>; KINDS.len()] = Default::default();
    let mut failed = 0;
    let mut under_way = FuturesUnordered::new();
    let mut due = interval(Duration::from_secs(1) / per_second.max(1));
    due.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let turns = (0usize..).zip(accounts.iter().cycle()).zip(nodes.iter().cycle());
    for ((turn, account), node) in turns {
        let at = loop {
            tokio::select! {
                at = due.tick() => break Some(at.into_std()),
                Some(answer) = under_way.next() => note(answer, &mut times, &mut failed),
                _ = &mut stopped => break None,
            }
        };
        let Some(at) = at else { break };
        let number = turn % KINDS.len();
        let kind = KINDS.get(number).copied().unwrap_or(Kind::Balance);
        under_way.push(async move {
            let answer = question(node, account, kind).await;
            (number, answer.map(|()| Instant::now().saturating_duration_since(at)))
        });
    }
    while let Some(answer) = under_way.next().await {
        note(answer, &mut times, &mut failed);
    }
    let answered = times.iter().map(|times| times.len() as u64).sum();
    let [balance_ms, history_ms, invoice_ms] = times.map(Latency::of);
    LookUps { answered, failed, balance_ms, history_ms, invoice_ms }
}

fn note(
    (kind, answer): (usize, Result<Duration, ClientError>),
    times: &mut [Vec<Duration>],
    failed: &mut u64,
) {
    match (answer, times.get_mut(kind)) {
        (Ok(time), Some(times)) => times.push(time),
        _ => *failed += 1,
    }
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
