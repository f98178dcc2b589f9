//! Four validators, each a process of its own, settle payments and survive kills.
//!
//! `TONLE_KILL_CYCLES` sets how often all validators are killed under load (20 by default).

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::runtime::Runtime;
use tokio::task::JoinSet;
use tonle_client::Client;
use tonle_client::api::TransactionStatus;
use tonle_model::hash::{ChainHash, TransactionHash};
use tonle_tests::ledger::{assert_sound, supply_in_hands};
use tonle_tests::localnet::Localnet;
use tonle_tests::payments::{ACCOUNTS, payment};

const WAIT: Duration = Duration::from_secs(10);
const KILL_CYCLES: usize = 20;

/// Payers go on in it while the test does something else.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap()
}

/// Pays until told to stop; keeps what was reported committed.
struct Load {
    stop: Arc<AtomicBool>,
    payers: JoinSet<Vec<TransactionHash>>,
}

impl Load {
    /// One payer for each account, each asking the validators in turn and not minding errors.
    fn start(runtime: &Runtime, net: &Localnet) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let mut payers = JoinSet::new();
        for (number, from) in ACCOUNTS.into_iter().enumerate() {
            let clients = (0..net.urls().len()).map(|index| net.client(index)).collect();
            let to = ACCOUNTS[(number + 1) % ACCOUNTS.len()];
            let payer = pay(net.chain(), from, to, clients, stop.clone());
            payers.spawn_on(payer, runtime.handle());
        }
        Self { stop, payers }
    }

    /// Stops and tells which payments were reported committed.
    fn acknowledged(mut self, runtime: &Runtime) -> Vec<TransactionHash> {
        self.stop.store(true, Ordering::Relaxed);
        runtime.block_on(async {
            let mut all = Vec::new();
            while let Some(payer) = self.payers.join_next().await {
                all.extend(payer.expect("a payer does not panic"));
            }
            all
        })
    }
}

async fn pay(
    chain: ChainHash,
    from: &'static str,
    to: &'static str,
    clients: Vec<Client>,
    stop: Arc<AtomicBool>,
) -> Vec<TransactionHash> {
    let mut acknowledged = Vec::new();
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let client = &clients[turn % clients.len()];
        let Ok(reply) = client.submit(&payment(chain, from, to, "1")).await else { continue };
        let status = client.status(&reply.hash, Some(Duration::from_secs(2))).await;
        if let Ok(TransactionStatus::Committed { .. }) = status {
            acknowledged.push(reply.hash);
        }
    }
    acknowledged
}

fn committed(runtime: &Runtime, net: &Localnet, index: usize) {
    let client = net.client(index);
    let transaction = payment(net.chain(), "sok@aclb", "dara@wing", "1");
    let status = runtime.block_on(async {
        let reply = client.submit(&transaction).await.expect("taken in");
        client.status(&reply.hash, Some(WAIT)).await.expect("a status")
    });
    assert!(matches!(status, TransactionStatus::Committed { .. }), "{status:?}\n{}", net.logs());
}

#[test]
fn payments_through_every_validator_settle_on_all() {
    let runtime = runtime();
    let net = Localnet::start(4);
    let supply = runtime.block_on(supply_in_hands(&net.client(0)));
    (0..4).for_each(|index| committed(&runtime, &net, index));
    let agreed = net.agreed(1);
    assert!(agreed.height >= 1);
    let balances = net.json(&["account", "balance", "dara@wing"]);
    assert!(balances.to_string().contains("khr#nbc"), "{balances}");
    runtime.block_on(assert_sound(&net, &[], supply));
}

#[test]
fn one_killed_under_load_comes_back_and_nothing_is_lost() {
    let runtime = runtime();
    let net = Localnet::start(4);
    let supply = runtime.block_on(supply_in_hands(&net.client(0)));
    let load = Load::start(&runtime, &net);
    let height = net.height();
    net.wait_for("blocks", || (net.height() > height + 5).then_some(()));
    net.kill(2);
    let height = net.height();
    net.wait_for("blocks without validator 2", || (net.height() > height + 5).then_some(()));
    net.restart(2);
    committed(&runtime, &net, 0);
    let acknowledged = load.acknowledged(&runtime);
    assert!(!acknowledged.is_empty());
    committed(&runtime, &net, 2);
    net.agreed(height);
    runtime.block_on(assert_sound(&net, &acknowledged, supply));
}

#[test]
fn all_killed_under_load_again_and_again_lose_nothing() {
    let cycles = std::env::var("TONLE_KILL_CYCLES").map_or(KILL_CYCLES, |n| n.parse().unwrap());
    let runtime = runtime();
    let net = Localnet::start(4);
    let supply = runtime.block_on(supply_in_hands(&net.client(0)));
    let mut acknowledged = Vec::new();
    for cycle in 0..cycles {
        let load = Load::start(&runtime, &net);
        let height = net.height();
        net.wait_for("blocks", || (net.height() > height + 3).then_some(()));
        (0..4).for_each(|index| net.kill(index));
        acknowledged.extend(load.acknowledged(&runtime));
        (0..4).for_each(|index| net.restart(index));
        net.wait_for("four validators", || (net.rows().len() == 4).then_some(()));
        committed(&runtime, &net, cycle % 4);
    }
    assert!(!acknowledged.is_empty());
    net.agreed(1);
    runtime.block_on(assert_sound(&net, &acknowledged, supply));
}

#[test]
fn a_validator_with_an_empty_disk_catches_up_and_does_not_vote() {
    let runtime = runtime();
    let net = Localnet::start(4);
    (0..30).for_each(|number| committed(&runtime, &net, number % 4));
    net.kill(3);
    std::fs::remove_dir_all(net.validator(3).join("data")).unwrap();
    net.restart(3);
    let agreed = net.agreed(2);
    let lost = net.wait_for("validator 3", || net.rows().into_iter().find(|row| row.index == 3));
    assert_eq!(lost.height, agreed.height);
    // It knows nothing of the votes it sent before, so it must not vote again (consensus.md).
    net.wait_for("validator 3 to find out", || {
        net.rows().iter().any(|row| row.index == 3 && row.role == "recovering").then_some(())
    });
    committed(&runtime, &net, 0);
    committed(&runtime, &net, 3);
    net.agreed(agreed.height + 1);
}

#[test]
fn the_commands_of_the_book_end_in_agreement() {
    let net = Localnet::start(4);
    let pay = || {
        net.ok(&[
            "transfer",
            "--to",
            "dara@wing",
            "--amount",
            "100",
            "--asset",
            "khr#nbc",
            "--wait",
        ])
    };
    pay();
    net.kill(2);
    pay();
    net.restart(2);
    let status = net.wait_for("four validators in agreement", || {
        let rows = net.json(&["localnet", "status"]);
        let rows = rows.as_array()?.clone();
        let first = rows.first()?["hash"].as_str()?.to_owned();
        let same = rows.iter().all(|row| row["hash"].as_str() == Some(first.as_str()));
        (rows.len() == 4 && same).then_some(rows)
    });
    for row in &status {
        assert!(row["height"].as_u64() >= Some(2));
        assert_eq!(row["state_root"], status[0]["state_root"]);
    }
}
