//! `tonle block`: the chain.

use std::str::FromStr;
use std::time::Duration;

use clap::Subcommand;
use tonle_client::api::{Block, BlockBrief, BlockTransaction, BlocksQuery, Wait};
use tonle_client::{BlockId, Client};
use tonle_model::number::Height;
use tonle_model::receipt::Outcome;

use crate::context::Context;
use crate::error::CliError;
use crate::output::{fields, reader_gone, short, table};
use crate::time;

/// How long a node holds a question about a block to come.
const FOLLOW_WAIT: Duration = Duration::from_secs(30);

const EXAMPLES: &str = "\
Examples:
  tonle block get
  tonle block get 12 --output json
  tonle block follow";

/// What to do about blocks.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum BlockCommand {
    /// One block
    Get {
        /// Its height, its hash, or `latest`
        #[arg(default_value = "latest")]
        which: Which,
    },
    /// Each block as it is committed
    Follow {
        /// From this height on [default: the next]
        #[arg(long)]
        from: Option<u64>,
    },
}

/// Which block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The last one committed.
    Latest,
    /// This one.
    Block(BlockId),
}

impl FromStr for Which {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "latest" {
            return Ok(Self::Latest);
        }
        // A hash of digits alone is a hash: heights have at most 20.
        let height = (text.len() <= 20).then(|| text.parse().ok()).flatten();
        match (height, text.parse()) {
            (Some(height), _) => Ok(Self::Block(BlockId::Height(Height(height)))),
            (None, Ok(hash)) => Ok(Self::Block(BlockId::Hash(hash))),
            (None, Err(_)) => Err("it is a height, a hash of 64 hex digits, or `latest`".into()),
        }
    }
}

/// Does it.
pub async fn run(command: BlockCommand, context: &Context) -> Result<(), CliError> {
    match command {
        BlockCommand::Get { which } => {
            let nodes = context.nodes()?;
            let block = nodes
                .ask(async |node: &Client| {
                    let id = match &which {
                        Which::Block(id) => *id,
                        Which::Latest => BlockId::Height(node.node_status().await?.height),
                    };
                    node.block(id).await
                })
                .await?;
            context.output.show(&block, || describe(&block))
        }
        BlockCommand::Follow { from } => tokio::select! {
            result = follow(from, context) => result,
            () = reader_gone() => Ok(()),
        },
    }
}

fn describe(block: &Block) -> String {
    let header = &block.header;
    let root = |of: fn(&tonle_model::block::BlockResult) -> String| {
        block.result.as_ref().map_or("-".into(), of)
    };
    let decided = block.finalization.as_ref().map(|certificate| {
        format!("view {}, {} signatures", certificate.ballot.view, certificate.signatures.len())
    });
    let head = fields(&[
        ("height", block.height.to_string()),
        ("hash", block.hash.to_string()),
        ("parent", header.parent.to_string()),
        ("time", format!("{} UTC", time::utc(header.timestamp_ms))),
        ("proposer", format!("{} in view {}", header.proposer, header.proposed_view)),
        ("decided", decided.unwrap_or_else(|| "by genesis".into())),
        ("batches", header.batches.len().to_string()),
        ("state root", root(|result| result.state_root.to_string())),
        ("receipts root", root(|result| result.receipts_root.to_string())),
    ]);
    let Some(transactions) = &block.transactions else {
        return format!("{head}\n\nthis network does not show transactions");
    };
    let row = |transaction: &BlockTransaction| {
        let outcome = match transaction.outcome {
            Outcome::Applied => "applied".into(),
            Outcome::Rejected { code, step } => format!("rejected: {code} in step {step}"),
        };
        [transaction.hash.to_string(), outcome, transaction.detail.clone().unwrap_or_default()]
    };
    let rows = transactions.iter().map(row).collect();
    format!("{head}\n\n{}", table(["TRANSACTION", "OUTCOME", "DETAIL"], rows))
}

async fn follow(from: Option<u64>, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    let mut next = match from {
        Some(height) => Height(height),
        None => nodes.ask(Client::node_status).await?.height.next(),
    };
    loop {
        let wait = Some(Wait::at_most(FOLLOW_WAIT));
        let query = BlocksQuery { from: Some(next), limit: None, wait };
        let page = nodes.ask(async |node: &Client| node.blocks(&query).await).await?;
        for block in page.items {
            context.output.stream(&block, || line(&block))?;
            next = block.height.next();
        }
    }
}

fn line(block: &BlockBrief) -> String {
    let (time, hash) = (time::utc(block.timestamp_ms), short(&block.hash));
    let view = block.view.map_or(String::new(), |view| format!(" view {view}"));
    format!("{time} height {} {hash}{view} transactions {}", block.height, block.transactions)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_is_named_by_height_hash_or_latest() {
        let digits = "1".repeat(64);
        assert_eq!("latest".parse(), Ok(Which::Latest));
        assert_eq!("12".parse(), Ok(Which::Block(BlockId::Height(Height(12)))));
        assert_eq!(digits.parse(), Ok(Which::Block(BlockId::Hash(digits.parse().unwrap()))));
        for bad in ["", "-1", "1.5", "newest", "abc", "111111111111111111111"] {
            assert!(bad.parse::<Which>().is_err(), "{bad}");
        }
    }
}
