//! `tonle status`: what a node says of itself.

use tonle_client::Client;
use tonle_client::api::{NodeRole, NodeStatus, SyncPhase, SyncProgress};

use crate::bar::WIDTH;
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

/// How far a node that is behind is.
fn syncing(sync: &SyncProgress) -> String {
    let (what, unit) = match sync.phase {
        SyncPhase::Snapshot => ("piece", "entries"),
        SyncPhase::Blocks => ("block", "transactions"),
    };
    let bar = tonle_client::bar(sync.done, sync.of, WIDTH);
    let left = sync.left_s.map_or_else(String::new, |left_s| format!(", {left_s} s left"));
    let SyncProgress { done, of, per_second, .. } = sync;
    format!("{bar}, {what} {done} of {of}, {per_second} {unit}/s{left}")
}

fn describe(status: &NodeStatus) -> String {
    let pool = &status.pool;
    let waiting = count(pool.transactions, "transaction", "transactions");
    let yes = |yes: bool| if yes { "yes" } else { "no" }.to_string();
    let voting = match (&status.not_voting, status.role) {
        (Some(reason), _) => format!("no: {reason}"),
        (None, of) => yes(of == NodeRole::Validator),
    };
    fields(&[
        ("node", format!("{} ({})", status.name, role(status.role))),
        ("votes", voting),
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
        ("syncing", status.sync.as_ref().map_or_else(|| yes(status.syncing), syncing)),
        ("synced writes", yes(status.synced_writes)),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_that_is_behind_says_how_far() {
        let sync = SyncProgress {
            phase: SyncPhase::Blocks,
            done: 50,
            of: 100,
            per_second: 15_000,
            left_s: Some(4),
        };
        assert_eq!(
            syncing(&sync),
            "[###############...............] 50 %, block 50 of 100, 15000 transactions/s, 4 s left"
        );
    }
}
