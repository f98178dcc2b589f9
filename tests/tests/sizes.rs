//! Networks of one to ten validators: each settles payments, and goes on without as many as it can
//! do without (consensus.md: f of n), or waits for all if that is nobody.

use std::time::Duration;

use serde_json::Value;
use tonle_client::api::{BlocksQuery, TransactionStatus, Wait};
use tonle_client::{BlockId, Client};
use tonle_model::hash::TransactionHash;
use tonle_model::number::{Height, View};
use tonle_model::transaction::Transaction;
use tonle_model::validators::faults;
use tonle_tests::ledger::{assert_sound, supply_in_hands};
use tonle_tests::localnet::{Localnet, PATIENCE, runtime};
use tonle_tests::payments::payment;

/// Four time-outs of the first view, which last 3 Δ; the demo network's Δ is 400 ms.
const TIME_OUTS: Duration = Duration::from_millis(4 * 3 * 400);

/// Pause between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// Pays through one validator, and waits until it is decided.
fn pay(net: &Localnet, through: usize) -> TransactionHash {
    let transfer = ["transfer", "--from", "sok@aclb", "--to", "dara@wing", "--amount", "1"];
    let more = ["--asset", "khr#nbc", "--wait", "30s", "--url", &net.urls()[through]];
    let paid = net.json(&[&transfer[..], &more].concat());
    assert_eq!(paid["status"], "committed", "{paid}");
    hash_of(&paid)
}

fn hash_of(paid: &Value) -> TransactionHash {
    paid["hash"].as_str().expect("a hash").parse().expect("a hash")
}

fn settles_and_survives(validators: u16) {
    let net = Localnet::start(validators);
    let supply = runtime().block_on(supply_in_hands(&net.client(0)));
    let last = usize::from(validators) - 1;
    let mut paid = vec![pay(&net, 0), pay(&net, last)];
    let gone = faults(validators.into());
    assert!(gone > 0, "{validators} need all of them");
    (0..gone).for_each(|index| net.kill(index));
    (0..3).for_each(|_| paid.push(pay(&net, last)));
    (0..gone).for_each(|index| net.restart(index));
    paid.push(pay(&net, 0));
    net.agreed(net.height());
    runtime().block_on(assert_sound(&net, &paid, supply));
}

/// With f = 0 nothing is decided while one is gone, however many time-outs pass, and all is
/// decided when it is back.
fn waits_for_all(validators: u16) {
    let net = Localnet::start(validators);
    let supply = runtime().block_on(supply_in_hands(&net.client(0)));
    let last = usize::from(validators) - 1;
    let mut paid = vec![pay(&net, 0), pay(&net, last)];
    let height = Height(net.agreed(net.height()).height);
    net.kill(0);
    let payment = payment(net.chain(), "sok@aclb", "dara@wing", "1");
    if last > 0 {
        waits(&net.client(last), &payment, height, last == 1);
    }
    net.restart(0);
    let decided = net.wait_for("the payment that had to wait", || {
        runtime().block_on(decided(&net.client(last), &payment))
    });
    if last > 1 {
        assert_eq!(decided, height.next(), "the first thing that is decided");
        let block = runtime().block_on(net.client(last).block(BlockId::Height(decided)));
        let finalization = block.expect("a block").finalization.expect("somebody decided it");
        // Who gave up the first view never finalizes in it, and here everyone must.
        assert!(finalization.ballot.view > View(0), "no view timed out meanwhile");
    }
    paid.extend([payment.payload.hash(), pay(&net, 0)]);
    net.agreed(net.height());
    runtime().block_on(assert_sound(&net, &paid, supply));
}

/// A payment through one that is left stays undecided. If that one is alone, with nobody to pass it
/// on to, it is not even taken in.
fn waits(client: &Client, payment: &Transaction, height: Height, is_alone: bool) {
    let hash = payment.payload.hash();
    runtime().block_on(async {
        match is_alone {
            true => refuses(client, payment).await,
            false => drop(client.submit(payment).await.expect("it takes the payment")),
        }
        // The answer comes at once if anything is decided.
        let wait = Some(Wait::at_most(TIME_OUTS));
        let query = BlocksQuery { from: Some(height.next()), limit: None, wait };
        let blocks = client.blocks(&query).await.expect("it answers").items;
        assert!(blocks.is_empty(), "decided without all: {blocks:?}");
        let status = client.status(&hash, None).await;
        match is_alone {
            // It may have come in before the node noticed.
            true => assert!(!matches!(&status, Ok(status) if status.is_final()), "{status:?}"),
            false => assert_eq!(status.expect("it knows it"), TransactionStatus::Queued),
        }
        assert_eq!(client.node_status().await.expect("a status").height, height);
    });
}

/// Waits until a node has noticed that it is alone, which it says to whoever sends it something.
async fn refuses(client: &Client, payment: &Transaction) {
    let refusal = async {
        loop {
            if let Err(error) = client.submit(payment).await {
                return error;
            }
            tokio::time::sleep(LOOK).await;
        }
    };
    let refusal = tokio::time::timeout(PATIENCE, refusal).await;
    let refusal = refusal.expect("a node that is alone takes nothing in");
    assert_eq!((refusal.status(), refusal.code()), (Some(503), Some("not_ready")), "{refusal}");
}

/// Sends a payment, which may be there already; its height once it is decided.
async fn decided(client: &Client, payment: &Transaction) -> Option<Height> {
    let reply = client.submit(payment).await.ok()?;
    match client.status(&reply.hash, Some(TIME_OUTS)).await.ok()? {
        TransactionStatus::Committed { height, .. } => Some(height),
        _ => None,
    }
}

#[test]
fn one_two_and_three_need_all_of_them() {
    // Most of it is waiting, so all at once.
    std::thread::scope(|scope| {
        for validators in 1..=3 {
            scope.spawn(move || waits_for_all(validators));
        }
    });
}

#[test]
fn four_go_on_without_one() {
    settles_and_survives(4);
}

#[test]
fn five_go_on_without_one() {
    settles_and_survives(5);
}

#[test]
fn six_go_on_without_one() {
    settles_and_survives(6);
}

#[test]
fn seven_go_on_without_two() {
    settles_and_survives(7);
}

#[test]
fn eight_go_on_without_two() {
    settles_and_survives(8);
}

#[test]
fn nine_go_on_without_two() {
    settles_and_survives(9);
}

#[test]
fn ten_go_on_without_three() {
    settles_and_survives(10);
}
