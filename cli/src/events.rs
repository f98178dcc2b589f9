//! `tonle events`: what is committed, as it happens.

use std::time::Duration;

use clap::{Args, Subcommand};
use tonle_client::api::{
    Direction, Event, EventData, EventKinds, EventsQuery, Evidence, HistoryEntry, TransactionEvent,
    TransactionOutcome,
};
use tonle_client::{Client, EventStream};
use tonle_model::hash::ChainHash;
use tonle_model::id::AccountId;
use tonle_model::key::KeyPair;
use tonle_model::number::Height;
use tonle_model::query::{Query, QueryPayload};

use crate::context::Context;
use crate::error::{CliError, Exit};
use crate::nodes::Nodes;
use crate::output::{printable, reader_gone, short};
use crate::{submit, time};

/// Between two tries to go on with a stream that broke.
const PAUSE: Duration = Duration::from_secs(1);
/// How often it is tried before it is said that no node can be reached.
const TRIES_MAX: u32 = 30;

const EXAMPLES: &str = "\
Examples:
  tonle events follow
  tonle events follow sok@aclb --account sok@aclb
  tonle events follow --from 0 --kinds block,transaction
  tonle events follow sok@aclb --kinds transfer --output json
  tonle events follow --kinds evidence

Nothing is left out: a stream that breaks goes on where it was, at any node. What the network does
not show to everyone is asked for with a signature. Evidence alone is of the node that tells it and
comes once, to whoever listens then: `tonle validator evidence` shows what is kept.";

/// What to do about events.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum EventsCommand {
    /// Each transaction, transfer and block as it is committed
    Follow(FollowArgs),
}

/// What to follow.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct FollowArgs {
    /// Whose transfers to tell [default: nobody's]
    id: Option<AccountId>,
    /// From this height on [default: the next]
    #[arg(long, value_name = "HEIGHT")]
    from: Option<u64>,
    /// Only these, with commas between: transaction, transfer, block, evidence [default: all there
    /// is]
    #[arg(long, value_name = "KINDS")]
    kinds: Option<EventKinds>,
}

/// Does it.
pub async fn run(command: EventsCommand, context: &Context) -> Result<(), CliError> {
    let EventsCommand::Follow(args) = command;
    let query = EventsQuery { account: args.id, kinds: args.kinds, from: args.from.map(Height) };
    let nodes = context.nodes()?;
    let mut follower = Follower { context, nodes, query, signer: None, last_id: None };
    tokio::select! {
        result = follower.follow() => result,
        () = reader_gone() => Ok(()),
    }
}

/// Who signs for a token.
struct Signer {
    chain: ChainHash,
    account: AccountId,
    keys: Vec<KeyPair>,
}

struct Follower<'a> {
    context: &'a Context,
    nodes: Nodes,
    query: EventsQuery,
    /// Once it is known that the network wants a signature.
    signer: Option<Signer>,
    last_id: Option<String>,
}

impl Follower<'_> {
    /// Prints events for as long as a node is there to tell them.
    async fn follow(&mut self) -> Result<(), CliError> {
        let mut stream = self.open().await?;
        loop {
            let broken = self.print(&mut stream).await;
            if let Some(error) = broken.err().filter(|error| !is_worth_a_try(error)) {
                return Err(error);
            }
            stream = self.open_again().await?;
        }
    }

    /// Prints until the stream ends or breaks.
    async fn print(&mut self, stream: &mut EventStream) -> Result<(), CliError> {
        loop {
            let next = stream.next().await;
            self.last_id = stream.last_id().map(ToOwned::to_owned).or(self.last_id.take());
            match next? {
                Some(event) => self.context.output.stream(&event, || line(&event))?,
                None => return Ok(()),
            }
        }
    }

    async fn open_again(&mut self) -> Result<EventStream, CliError> {
        let mut tries = 0;
        loop {
            tokio::time::sleep(PAUSE).await;
            tries += 1;
            match self.open().await {
                Err(error) if is_worth_a_try(&error) && tries < TRIES_MAX => {
                    self.context.output.note(&format!("{error}; trying again"));
                }
                opened => return opened,
            }
        }
    }

    /// Opens a stream that goes on where the one before was: unsigned, if the network shows that
    /// much.
    async fn open(&mut self) -> Result<EventStream, CliError> {
        if self.signer.is_none() {
            let (query, last_id) = (&self.query, self.last_id.as_deref());
            let unsigned = async |node: &Client| node.events(query, last_id, None).await;
            match self.nodes.ask(unsigned).await {
                Err(error) if error.code() == "reads_not_public" => {}
                opened => return opened,
            }
        }
        let signer = match self.signer.take() {
            Some(signer) => signer,
            None => self.signer().await?,
        };
        let signer = self.signer.insert(signer);
        let payload = QueryPayload {
            chain: signer.chain,
            account: signer.account.clone(),
            created_ms: time::now_ms(),
            nonce: submit::nonce()?,
            query: Query::Stream { account: self.query.account.clone() },
        };
        let question = payload.sign(&signer.keys.iter().collect::<Vec<_>>());
        let (query, last_id) = (&self.query, self.last_id.as_deref());
        // A token is good at the node that gave it.
        let signed = async |node: &Client| {
            let token = node.stream_token(&question).await?;
            node.events(query, last_id, Some(&token)).await
        };
        self.nodes.ask(signed).await
    }

    async fn signer(&self) -> Result<Signer, CliError> {
        let status = self.nodes.ask(Client::node_status).await?;
        let account = self.context.authority(None, &status, self.query.account.as_ref())?;
        let keys = self.context.keys(&account, status.demo)?;
        Ok(Signer { chain: status.chain, account, keys })
    }
}

/// Whether a node may be back, or another one there, in a while.
fn is_worth_a_try(error: &CliError) -> bool {
    matches!(error.exit(), Exit::Unreachable | Exit::TimedOut)
}

fn line(event: &Event) -> String {
    match &event.data {
        EventData::Transaction(event) => transaction(event),
        EventData::Transfer(line) => transfer(line),
        EventData::Block(block) => {
            let (time, hash) = (time::utc(block.timestamp_ms), short(&block.hash));
            let (height, count) = (block.height, block.transactions);
            format!("{time} block {height} {hash} transactions {count}")
        }
        EventData::Evidence(found) => evidence(found),
    }
}

fn evidence(evidence: &Evidence) -> String {
    let Evidence { height, view, public_key, name, statements, seen_ms, .. } = evidence;
    let time = time::utc(*seen_ms);
    let name = name.as_ref().map_or(String::new(), |name| format!("{name} "));
    let [first, second] = statements.map(|statement| statement.said.as_str());
    format!(
        "{time} evidence against {name}{public_key} height {height} view {view}: {first} and {second}"
    )
}

fn transaction(event: &TransactionEvent) -> String {
    let TransactionEvent { hash, height, index, outcome } = event;
    let outcome = match outcome {
        TransactionOutcome::Committed => "committed".into(),
        TransactionOutcome::Rejected { code, step } => format!("rejected: {code} in step {step}"),
    };
    format!("transaction {hash} height {height} index {index} {outcome}")
}

fn transfer(line: &HistoryEntry) -> String {
    let (sign, to) = match line.direction {
        Direction::In => ("+", "from"),
        Direction::Out => ("-", "to"),
    };
    let (time, amount, asset) = (time::utc(line.time_ms), line.amount, &line.asset);
    let with = line.counterparty.as_ref().map_or(String::new(), |with| format!(" {to} {with}"));
    let memo = match line.memo.is_empty() {
        true => String::new(),
        false => format!(" memo {}", printable(&line.memo)),
    };
    let (balance, hash) = (line.balance, short(&line.transaction));
    format!("{time} transfer {sign}{amount} {asset}{with} balance {balance} in {hash}{memo}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_lines_for_people() {
        let hash = "ab".repeat(32);
        let transfer = serde_json::json!({"height": 2, "index": 0, "step": 0, "time_ms": 1000,
            "transaction": hash, "direction": "in", "asset": "khr#nbc", "balance": "20005",
            "counterparty": "sok@aclb", "amount": "5", "memo": "for \u{1b}[31mlunch"});
        let rejected = serde_json::json!({"hash": hash, "height": 2, "index": 1,
            "status": "rejected", "code": "zero_amount", "step": 3});
        let block = serde_json::json!({"height": 2, "hash": hash, "timestamp_ms": 1000,
            "transactions": 2});
        let statement = serde_json::json!({"kind": "notarize", "block": hash,
            "signature": "0".repeat(128)});
        let evidence = serde_json::json!({"height": 2, "view": 1, "kind": "votes", "name": "b",
            "public_key": format!("ed0120{hash}"), "statements": [statement, statement],
            "seen_ms": 1000});
        let shown = |name: &str, data: serde_json::Value| {
            let event = serde_json::json!({"id": "2.0.0", "event": name, "data": data});
            line(&serde_json::from_value(event).unwrap())
        };
        assert_eq!(
            shown("transfer", transfer),
            "1970-01-01 00:00:01 transfer +5 khr#nbc from sok@aclb balance 20005 in \
             abababababab… memo for \u{fffd}[31mlunch"
        );
        assert_eq!(
            shown("transaction", rejected),
            format!("transaction {hash} height 2 index 1 rejected: zero_amount in step 3")
        );
        assert_eq!(
            shown("block", block),
            "1970-01-01 00:00:01 block 2 abababababab… transactions 2"
        );
        assert_eq!(
            shown("evidence", evidence),
            format!(
                "1970-01-01 00:00:01 evidence against b ed0120{hash} height 2 view 1: notarize and \
                 notarize"
            )
        );
    }
}
