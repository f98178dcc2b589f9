//! `tonle localnet status`, and what `up` shows when the network is ready.

use std::fmt::Write;
use std::time::{Duration, Instant};

use futures::future::join_all;
use serde::Serialize;
use tonle_client::Client;
use tonle_client::api::{Balance, NodeRole, NodeStatus};
use tonle_model::id::AccountId;
use tonle_model::instruction::Instruction;

use super::state::{Localnet, Validator};
use super::url;
use crate::context::Context;
use crate::error::CliError;
use crate::genesis;
use crate::output::{short, table};
use crate::status::role;

/// How long validators may take to agree on a height before what they say is printed as it is.
const AGREE_WITHIN: Duration = Duration::from_secs(2);
const PACE: Duration = Duration::from_millis(50);
/// How many accounts of the genesis are shown.
const ACCOUNTS_SHOWN: usize = 10;

/// What is known of one validator.
#[derive(Debug, Serialize)]
struct Row {
    index: u16,
    url: String,
    p2p: String,
    public_key: String,
    pid: Option<u32>,
    running: bool,
    /// Whether it answered: a running validator may still be starting.
    reachable: bool,
    #[serde(flatten)]
    node: Option<NodeStatus>,
}

/// Tells what each validator says.
pub async fn status(context: &Context) -> Result<(), CliError> {
    let localnet = Localnet::find(context.dir.as_deref())?;
    let rows = agreed_rows(&localnet).await?;
    context.output.show(&rows, || format!("{}\n{}", describe(&rows), verdict(&rows)))
}

/// Asks all until those that answer are at one height: a block reaches them a moment apart.
async fn agreed_rows(localnet: &Localnet) -> Result<Vec<Row>, CliError> {
    let deadline = Instant::now() + AGREE_WITHIN;
    loop {
        let rows = join_all(localnet.validators.iter().map(|v| row(localnet, v))).await;
        let rows = rows.into_iter().collect::<Result<Vec<_>, _>>()?;
        let awaited = rows.iter().any(|row| row.running && !row.reachable);
        if (one_height(&rows) && !awaited) || Instant::now() >= deadline {
            return Ok(rows);
        }
        tokio::time::sleep(PACE).await;
    }
}

fn one_height(rows: &[Row]) -> bool {
    let mut heights = rows.iter().filter_map(|row| row.node.as_ref()).map(|node| node.height);
    let first = heights.next();
    heights.all(|height| Some(height) == first)
}

async fn row(localnet: &Localnet, validator: &Validator) -> Result<Row, CliError> {
    let pid = localnet.running(validator);
    let url = url(validator.api);
    let answer = match pid {
        Some(_) => {
            let node = Client::new(&url)?;
            tokio::time::timeout(AGREE_WITHIN, node.node_status()).await.ok()
        }
        None => None,
    };
    let node = answer.and_then(Result::ok);
    Ok(Row {
        index: validator.index,
        url,
        p2p: validator.p2p.to_string(),
        public_key: validator.public_key.to_string(),
        pid,
        running: pid.is_some(),
        reachable: node.is_some(),
        node,
    })
}

fn describe(rows: &[Row]) -> String {
    let line = |row: &Row| {
        let of = |get: fn(&NodeStatus) -> String| row.node.as_ref().map_or("-".into(), get);
        let state = match (&row.node, row.running) {
            (Some(node), _) if node.syncing => "syncing".into(),
            (Some(node), _) => role_word(node.role),
            (None, true) => "starting".into(),
            (None, false) => "stopped".into(),
        };
        [
            row.index.to_string(),
            row.url.clone(),
            row.pid.map_or("-".into(), |pid| pid.to_string()),
            state,
            of(|node| node.height.to_string()),
            of(|node| short(&node.hash)),
            of(|node| short(&node.state_root)),
            of(|node| node.peers.to_string()),
        ]
    };
    let headings = [">#", "URL", ">PID", "STATE", ">HEIGHT", "BLOCK", "STATE ROOT", ">PEERS"];
    table(headings, rows.iter().map(line).collect())
}

fn role_word(of: NodeRole) -> String {
    role(of).into()
}

/// One sentence about agreement.
fn verdict(rows: &[Row]) -> String {
    let nodes: Vec<_> = rows.iter().filter_map(|row| row.node.as_ref()).collect();
    let Some(first) = nodes.first() else {
        return "none answers; `tonle localnet up` starts them".into();
    };
    let total = rows.len();
    let same = |node: &&NodeStatus| {
        (node.height, node.hash, node.state_root) == (first.height, first.hash, first.state_root)
    };
    match nodes.iter().copied().all(|node| same(&node)) {
        true => format!("{} of {total} agree on height {}", nodes.len(), first.height),
        false if one_height(rows) => "they DISAGREE at one height: please report this".into(),
        false => "not all are at one height yet; ask again".into(),
    }
}

#[derive(Serialize)]
struct Ready<'a> {
    dir: String,
    detached: bool,
    validators: &'a [Row],
    accounts: &'a [Holder],
}

#[derive(Serialize)]
struct Holder {
    account: AccountId,
    balances: Vec<Balance>,
}

/// Shows a network that is ready: where it is, who has what, and what to try.
pub async fn ready(localnet: &Localnet, detached: bool, context: &Context) -> Result<(), CliError> {
    let rows = agreed_rows(localnet).await?;
    let accounts = holders(localnet).await?;
    let dir = localnet.directory.display().to_string();
    let shown = Ready { dir, detached, validators: &rows, accounts: &accounts };
    context.output.show(&shown, || {
        let mut text = format!("\n{}: {}\n\n", localnet.name, localnet.directory.display());
        let _infallible = write!(text, "{}\n\n{}\n", describe(&rows), describe_holders(&accounts));
        if let [payer, .., payee] = accounts.as_slice()
            && let Some(balance) = payer.balances.first()
        {
            let _infallible = write!(
                text,
                "\nTry:\n  tonle transfer --from {} --to {} --amount 1 --asset {} --wait\n",
                payer.account, payee.account, balance.asset
            );
        }
        text.push_str("  tonle localnet status\n");
        text.push_str(match detached {
            true => "  tonle localnet down\n",
            false => "\nCtrl-C stops it.\n",
        });
        text
    })
}

/// Accounts that the genesis gave money to, with what they have now.
async fn holders(localnet: &Localnet) -> Result<Vec<Holder>, CliError> {
    let genesis = genesis::read(&localnet.directory.join("genesis.json"))?;
    let mut ids: Vec<AccountId> = Vec::new();
    for step in &genesis.steps {
        if let Instruction::Mint { to, .. } = &step.instruction
            && !ids.contains(to)
            && ids.len() < ACCOUNTS_SHOWN
        {
            ids.push(to.clone());
        }
    }
    let nodes = crate::nodes::Nodes::new(&localnet.urls())?;
    let mut holders = Vec::new();
    for account in ids {
        let balances = nodes.ask(async |node: &Client| node.balances(&account).await).await?;
        holders.push(Holder { account, balances });
    }
    Ok(holders)
}

fn describe_holders(holders: &[Holder]) -> String {
    let row = |holder: &Holder| {
        let balances = holder.balances.iter().map(|b| format!("{} {}", b.available, b.asset));
        [holder.account.to_string(), balances.collect::<Vec<_>>().join("   ")]
    };
    table(["ACCOUNT", "HAS"], holders.iter().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_client::api::PoolStatus;
    use tonle_model::hash::{BlockHash, ChainHash, Digest256};
    use tonle_model::number::{Height, View};

    fn node(height: u64, root: u8) -> NodeStatus {
        NodeStatus {
            chain: ChainHash::default(),
            name: "validator_0".into(),
            role: NodeRole::Validator,
            not_voting: None,
            height: Height(height),
            hash: BlockHash::default(),
            state_root: Digest256([root; 32]),
            timestamp_ms: 0,
            view: View(0),
            peers: 3,
            pool: PoolStatus::default(),
            version: "0.1.0".into(),
            syncing: false,
            sync: None,
            uptime_ms: 1,
            synced_writes: true,
            demo: true,
        }
    }

    fn row(index: u16, node: Option<NodeStatus>) -> Row {
        Row {
            index,
            url: format!("http://127.0.0.1:{}", 8080 + index),
            p2p: "127.0.0.1:9080".into(),
            public_key: "ed0120".into(),
            pid: node.is_some().then_some(1),
            running: node.is_some(),
            reachable: node.is_some(),
            node,
        }
    }

    #[test]
    fn the_verdict_tells_agreement_lag_and_disagreement_apart() {
        let agreed = [row(0, Some(node(5, 1))), row(1, Some(node(5, 1))), row(2, None)];
        assert_eq!(verdict(&agreed), "2 of 3 agree on height 5");
        let behind = [row(0, Some(node(5, 1))), row(1, Some(node(4, 2)))];
        assert!(verdict(&behind).contains("not all are at one height"));
        let diverged = [row(0, Some(node(5, 1))), row(1, Some(node(5, 2)))];
        assert!(verdict(&diverged).contains("DISAGREE"));
        assert!(verdict(&[row(0, None)]).contains("none answers"));
    }

    #[test]
    fn a_stopped_validator_has_a_row_without_height() {
        let json = serde_json::to_value([row(0, Some(node(5, 1))), row(1, None)]).unwrap();
        assert_eq!(json[0]["height"], 5);
        assert_eq!(json[0]["running"], true);
        assert_eq!(json[0]["state_root"], "01".repeat(32));
        assert_eq!(json[1]["running"], false);
        assert!(json[1].get("height").is_none());
    }
}
