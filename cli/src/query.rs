//! `tonle query`: signed questions, for what a network does not show to everyone.

use clap::Args;
use tonle_client::Client;
use tonle_model::query::{Query, QueryPayload};

use crate::context::Context;
use crate::error::CliError;
use crate::{submit, time};

const EXAMPLES: &str = "\
Examples:
  tonle query '{\"account\": {\"id\": \"sok@aclb\"}}' --account bank@aclb
  tonle query '{\"history\": {\"account\": \"sok@aclb\", \"limit\": 10}}' --account sok@aclb
  tonle query '{\"accounts\": {\"domain\": \"aclb\"}}' --account governor@nbc

Accounts are read by themselves, by those with the permission read_accounts of their domain, and by
those with read_all_accounts. The book's chapter on the HTTP API lists the questions.";

/// What to ask.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct QueryArgs {
    /// The question, in JSON
    #[arg(value_name = "JSON")]
    question: String,
}

/// Signs the question, asks it and prints the answer, which is JSON.
pub async fn run(args: QueryArgs, context: &Context) -> Result<(), CliError> {
    let query: Query = serde_json::from_str(&args.question)
        .map_err(|error| CliError::usage(format!("the question: {error}")))?;
    let nodes = context.nodes()?;
    let status = nodes.ask(Client::node_status).await?;
    let account = context.authority(None, &status, None)?;
    let keys = context.keys(&account, status.demo)?;
    let payload = QueryPayload {
        chain: status.chain,
        account,
        created_ms: time::now_ms(),
        nonce: submit::nonce()?,
        query,
    };
    let query = payload.sign(&keys.iter().collect::<Vec<_>>());
    let answer = nodes.ask(async |node: &Client| node.query(&query).await).await?;
    let text = serde_json::to_string_pretty(&answer)
        .map_err(|error| CliError::failed(error.to_string()))?;
    context.output.show(&answer, || text)
}
