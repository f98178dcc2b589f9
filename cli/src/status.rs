//! `tonle status`: what a node says of itself.

use tonle_client::Client;
use tonle_client::api::{NodeRole, NodeStatus};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{count, fields};
use crate::time;

/// Asks the first node that answers.
pub async fn run(context: &Context) -> Result<(), CliError> {
    let status = context.nodes()?.ask(Client::node_status).await?;
    context.output.show(&status, || describe(&status))
}

/// The word for a role.
pub fn role(role: NodeRole) -> &'static str {
    match role {
        NodeRole::Validator => "validator",
        NodeRole::Observer => "observer",
        NodeRole::Recovering => "recovering",
    }
}

fn describe(status: &NodeStatus) -> String {
    let pool = &status.pool;
    let waiting = count(pool.transactions, "transaction", "transactions");
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_string();
    fields(&[
        ("node", format!("{} ({})", status.name, role(status.role))),
        ("version", status.version.clone()),
        ("up", format!("{} s", status.uptime_ms / 1000)),
        ("chain", format!("{}{}", status.chain, if status.demo { " (demo)" } else { "" })),
        ("height", status.height.to_string()),
        ("block", status.hash.to_string()),
        ("block time", format!("{} UTC", time::utc(status.timestamp_ms))),
        ("state root", status.state_root.to_string()),
        ("view", status.view.to_string()),
        ("peers", status.peers.to_string()),
        ("waiting", format!("{waiting}, {} bytes", pool.bytes)),
        ("syncing", yes(status.syncing)),
        ("synced writes", yes(status.synced_writes)),
    ])
}
