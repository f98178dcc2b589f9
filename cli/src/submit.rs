//! Signing, sending and waiting: what every command that changes the ledger shares.

use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use tonle_client::api::{NodeStatus, SubmitReply, TransactionStatus, Wait};
use tonle_client::{Client, ClientError};
use tonle_model::bounded::Bounded;
use tonle_model::hash::TransactionHash;
use tonle_model::id::AccountId;
use tonle_model::instruction::Instruction;
use tonle_model::limits;
use tonle_model::string::Text;
use tonle_model::transaction::{Payload, SignedTransaction, Step, Transaction};

use crate::context::Context;
use crate::error::CliError;
use crate::made::Made;
use crate::nodes::{Nodes, is_about_the_node};
use crate::place::Place;
use crate::time;

/// Between two questions that were answered at once.
const PACE: Duration = Duration::from_millis(50);

/// How to send.
#[derive(Debug, Clone, Args)]
pub struct SubmitArgs {
    /// Wait until it is final, for so long at most [10s if no time is given]
    #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "10s")]
    pub wait: Option<Wait>,
    /// Applies once: a second transaction of the account with it is refused as a duplicate
    #[arg(long, value_name = "TEXT")]
    pub reference: Option<Text<{ limits::REFERENCE_BYTES_MAX }>>,
    /// How long it may be committed
    #[arg(long, value_name = "TIME", default_value = "60s")]
    pub ttl: Wait,
}

/// A transaction and where it stands, as it is printed.
#[derive(Debug, Serialize)]
struct Shown<'a> {
    #[serde(flatten)]
    reply: &'a SubmitReply,
    #[serde(flatten)]
    made: &'a Made,
    #[serde(skip_serializing_if = "Option::is_none")]
    elapsed_ms: Option<u128>,
}

/// Does one thing as the account that was named; on a demo network, as the one whose place it is.
pub async fn act(
    context: &Context,
    place: Place,
    instruction: Instruction,
    args: &SubmitArgs,
) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    let status = nodes.ask(Client::node_status).await?;
    let natural = match status.demo && !context.names_account() {
        true => place.account(&nodes).await?,
        false => None,
    };
    let authority = context.authority(None, &status, natural.as_ref())?;
    send(context, &nodes, &status, authority, instruction, args).await
}

/// Signs one instruction as `authority`, sends it and tells what became of it.
pub async fn send(
    context: &Context,
    nodes: &Nodes,
    status: &NodeStatus,
    authority: AccountId,
    instruction: Instruction,
    args: &SubmitArgs,
) -> Result<(), CliError> {
    let keys = context.keys(&authority, status.demo)?;
    let steps = vec![Step { authority, instruction }];
    let created_ms = time::now_ms();
    let ttl_ms = u64::try_from(args.ttl.duration().as_millis()).unwrap_or(u64::MAX);
    let payload = Payload {
        chain: status.chain,
        created_ms,
        expires_ms: created_ms.saturating_add(ttl_ms),
        nonce: nonce()?,
        reference: args.reference.clone(),
        steps: Bounded::new(steps).map_err(|error| CliError::usage(error.to_string()))?,
    };
    let transaction = payload.sign(&keys.iter().collect::<Vec<_>>());
    deliver(context, nodes, &transaction, args.wait.map(Wait::duration)).await
}

/// Sends a signed transaction and tells what became of it.
pub async fn deliver(
    context: &Context,
    nodes: &Nodes,
    transaction: &Transaction,
    wait: Option<Duration>,
) -> Result<(), CliError> {
    SignedTransaction::from_transaction(transaction)
        .map_err(|error| CliError::usage(error.to_string()))?;
    let started = Instant::now();
    let mut reply = nodes.ask(async |node: &Client| node.submit(transaction).await).await?;
    if let (Some(wait), false) = (wait, reply.status.is_final()) {
        let deadline = started + wait;
        reply.status = wait_final(nodes, &reply.hash, Some(transaction), deadline).await?;
    }
    let made = Made::by(&transaction.payload);
    show_made(context, &reply, &made, Some(started.elapsed()))
}

/// A number that tells apart transactions that are otherwise the same.
pub fn nonce() -> Result<u64, CliError> {
    getrandom::u64().map_err(|error| CliError::failed(format!("no randomness: {error}")))
}

/// Prints where a transaction stands; one that changed nothing is an error after that.
pub fn show(context: &Context, reply: &SubmitReply) -> Result<(), CliError> {
    show_made(context, reply, &Made::default(), None)
}

fn show_made(
    context: &Context,
    reply: &SubmitReply,
    made: &Made,
    elapsed: Option<Duration>,
) -> Result<(), CliError> {
    let nothing = Made::default();
    let made = match &reply.status {
        TransactionStatus::Queued | TransactionStatus::Committed { .. } => made,
        TransactionStatus::Rejected { .. } | TransactionStatus::Expired => &nothing,
    };
    let shown = Shown { reply, made, elapsed_ms: elapsed.map(|elapsed| elapsed.as_millis()) };
    context.output.show(&shown, || describe(reply, elapsed) + &made.describe())?;
    match &reply.status {
        TransactionStatus::Rejected { code, detail, height, step, .. } => {
            let detail = format!("{detail} (step {step}, height {height})");
            Err(CliError::refused(code.code(), detail))
        }
        TransactionStatus::Expired => Err(CliError::refused(
            "expired",
            "it was not committed within its time, and cannot be any more",
        )),
        TransactionStatus::Queued | TransactionStatus::Committed { .. } => Ok(()),
    }
}

fn describe(reply: &SubmitReply, elapsed: Option<Duration>) -> String {
    let hash = reply.hash;
    let after =
        elapsed.map_or(String::new(), |elapsed| format!(" after {} ms", elapsed.as_millis()));
    match &reply.status {
        TransactionStatus::Queued => {
            format!("queued {hash}\nnothing is promised yet: `tonle tx wait {hash}`")
        }
        TransactionStatus::Committed { height, index } => {
            format!("committed {hash}\nat height {height}, index {index}{after}")
        }
        TransactionStatus::Rejected { height, index, .. } => {
            format!("rejected {hash}\nat height {height}, index {index}{after}; nothing changed")
        }
        TransactionStatus::Expired => format!("expired {hash}"),
    }
}

/// Waits until a transaction is final. If the node that took it is gone, and `transaction` is at
/// hand, another one gets it: a hash applies once, so sending twice is safe (api.md).
pub async fn wait_final(
    nodes: &Nodes,
    hash: &TransactionHash,
    transaction: Option<&Transaction>,
    deadline: Instant,
) -> Result<TransactionStatus, CliError> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let answer = status_anywhere(nodes, hash, Some(left)).await?;
        match &answer {
            Some(status) if status.is_final() => return Ok(status.clone()),
            None => {
                if let Some(transaction) = transaction {
                    nodes.ask(async |node: &Client| node.submit(transaction).await).await?;
                }
            }
            Some(_) => {}
        }
        if Instant::now() >= deadline {
            return Err(not_in_time(hash, answer.is_some()));
        }
        tokio::time::sleep(PACE).await;
    }
}

fn not_in_time(hash: &TransactionHash, known: bool) -> CliError {
    match known {
        true => CliError::timed_out(format!("{hash} is still queued"))
            .help(format!("it may yet be committed: `tonle tx wait {hash}`")),
        false => CliError::refused("not_found", format!("no node knows {hash}")),
    }
}

/// Where a transaction stands, as the first node says that knows it. A node that is waiting to
/// hear of it is asked with `wait`; `None` if no node knows it.
pub async fn status_anywhere(
    nodes: &Nodes,
    hash: &TransactionHash,
    wait: Option<Duration>,
) -> Result<Option<TransactionStatus>, CliError> {
    let mut failure = None;
    let mut answered = false;
    for node in nodes.iter() {
        match node.status(hash, wait).await {
            Ok(status) => return Ok(Some(status)),
            Err(error) if error.status() == Some(404) => answered = true,
            Err(error) if is_about_the_node(&error) => failure = Some(error),
            Err(error) => return Err(error.into()),
        }
    }
    match failure {
        Some(error) if !answered => Err(ClientError::into(error)),
        _ => Ok(None),
    }
}
