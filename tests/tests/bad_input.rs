//! What clients get wrong, each answered as documented, on a real network through HTTP.

use std::time::Duration;

use tonle_client::api::TransactionStatus;
use tonle_client::{Client, ClientError};
use tonle_model::bounded::Bounded;
use tonle_model::hash::{ChainHash, TransactionHash};
use tonle_model::instruction::Instruction;
use tonle_model::key::KeyPair;
use tonle_model::transaction::{Payload, Transaction};
use tonle_tests::ledger::{assert_sound, supply_in_hands};
use tonle_tests::localnet::{Localnet, runtime};
use tonle_tests::payments::{payload, payment, transfer};

const WAIT: Duration = Duration::from_secs(10);

fn sok(payload: Payload) -> Transaction {
    payload.sign(&[&KeyPair::demo("sok@aclb")])
}

/// The answer to a transaction that the gate refuses: HTTP status and code.
async fn refusal(client: &Client, transaction: &Transaction) -> (u16, String) {
    match client.submit(transaction).await {
        Err(ClientError::Problem(problem)) => (problem.status, problem.code),
        other => panic!("refused, not {other:?}"),
    }
}

/// What becomes of a transaction that is taken in.
async fn outcome(client: &Client, transaction: &Transaction) -> TransactionStatus {
    let reply = client.submit(transaction).await.expect("taken in");
    client.status(&reply.hash, Some(WAIT)).await.expect("a status")
}

async fn rejected(client: &Client, instruction: Instruction) -> String {
    let payload = payload(chain(client).await, "sok@aclb", vec![instruction]);
    match outcome(client, &sok(payload)).await {
        TransactionStatus::Rejected { code, detail, .. } => {
            assert!(!detail.is_empty(), "words for people");
            code.to_string()
        }
        other => panic!("rejected, not {other:?}"),
    }
}

async fn chain(client: &Client) -> ChainHash {
    client.node_status().await.expect("a status").chain
}

fn edited(mut transaction: Payload, edit: impl FnOnce(&mut Payload)) -> Transaction {
    edit(&mut transaction);
    sok(transaction)
}

#[test]
fn the_gate_refuses_each_mistake_by_name() {
    let net = Localnet::start(1);
    let client = net.client(0);
    let pay = || payload(net.chain(), "sok@aclb", vec![transfer("dara@wing", "1")]);
    runtime().block_on(async {
        let wrong_chain = edited(pay(), |one| one.chain = ChainHash::default());
        assert_eq!(refusal(&client, &wrong_chain).await, (422, "wrong_chain".into()));
        let old = edited(pay(), |one| {
            one.created_ms -= 300_000;
            one.expires_ms -= 300_000;
        });
        assert_eq!(refusal(&client, &old).await, (422, "expired".into()));
        let early = edited(pay(), |one| {
            one.created_ms += 60_000;
            one.expires_ms += 60_000;
        });
        assert_eq!(refusal(&client, &early).await, (422, "not_yet_valid".into()));
        let long = edited(pay(), |one| one.expires_ms = one.created_ms + 600_001);
        assert_eq!(refusal(&client, &long).await, (422, "window_too_long".into()));
        let nobody = payload(net.chain(), "nobody@aclb", vec![transfer("dara@wing", "1")]);
        assert_eq!(refusal(&client, &sok(nobody)).await, (422, "unknown_authority".into()));
        let others = pay().sign(&[&KeyPair::demo("dara@wing")]);
        assert_eq!(refusal(&client, &others).await, (422, "quorum_not_met".into()));
        let mut forged = sok(pay());
        let mut signature = forged.signatures[0].clone();
        signature.signature.0[5] ^= 1;
        forged.signatures = Bounded::new(vec![signature]).unwrap();
        assert_eq!(refusal(&client, &forged).await, (401, "bad_signature".into()));
        let twice = pay().sign(&[&KeyPair::demo("sok@aclb"), &KeyPair::demo("sok@aclb")]);
        assert_eq!(refusal(&client, &twice).await, (401, "repeated_signature".into()));
        let unsigned = pay().sign(&[]);
        assert_eq!(refusal(&client, &unsigned).await, (401, "no_signatures".into()));
        let rich = payload(net.chain(), "sok@aclb", vec![transfer("dara@wing", "999999999999")]);
        assert_eq!(refusal(&client, &sok(rich)).await, (422, "insufficient_balance".into()));
        assert_eq!(client.node_status().await.unwrap().height.0, 0, "nothing of it made a block");
    });
}

#[test]
fn execution_rejects_each_mistake_by_name_and_changes_nothing() {
    let net = Localnet::start(1);
    let client = net.client(0);
    let domain = Instruction::RegisterDomain { id: "thief".parse().unwrap() };
    let mint = Instruction::Mint {
        asset: "khr#nbc".parse().unwrap(),
        to: "sok@aclb".parse().unwrap(),
        amount: "1".parse().unwrap(),
    };
    let other_asset = |id: &str| match transfer("dara@wing", "1") {
        Instruction::Transfer { from, to, amount, memo, .. } => Instruction::Transfer {
            asset: id.parse().unwrap(),
            from,
            to,
            amount,
            memo,
            invoice: None,
        },
        other => other,
    };
    let theft = match transfer("sok@aclb", "1") {
        Instruction::Transfer { asset, to, amount, memo, .. } => {
            let from = Some("dara@wing".parse().unwrap());
            Instruction::Transfer { asset, from, to, amount, memo, invoice: None }
        }
        other => other,
    };
    runtime().block_on(async {
        let supply = supply_in_hands(&client).await;
        let expected = [
            (transfer("nobody@wing", "1"), "unknown_account"),
            (other_asset("gold#nbc"), "unknown_asset"),
            (transfer("dara@wing", "0"), "zero_amount"),
            (transfer("dara@wing", "1.5"), "too_many_decimals"),
            (transfer("sok@aclb", "1"), "same_account"),
            (theft, "permission_denied"),
            (mint, "permission_denied"),
            (domain, "permission_denied"),
        ];
        for (instruction, code) in expected {
            let words = format!("{instruction:?}");
            assert_eq!(rejected(&client, instruction).await, code, "{words}");
        }
        assert_eq!(supply_in_hands(&client).await, supply);
    });
}

#[test]
fn a_transaction_counts_once_however_often_it_is_sent() {
    let runtime = runtime();
    let net = Localnet::start(4);
    let supply = runtime.block_on(supply_in_hands(&net.client(0)));
    let transaction = payment(net.chain(), "sok@aclb", "dara@wing", "1");
    let hash = transaction.payload.hash();
    runtime.block_on(async {
        for _ in 0..3 {
            for index in 0..4 {
                let reply = net.client(index).submit(&transaction).await.expect("known or new");
                assert_eq!(reply.hash, hash);
            }
        }
        for index in 0..4 {
            let status = net.client(index).status(&hash, Some(WAIT)).await.unwrap();
            assert!(matches!(status, TransactionStatus::Committed { .. }), "{status:?}");
        }
    });
    net.agreed(1);
    runtime.block_on(assert_sound(&net, &[hash], supply));
}

/// Two of four are gone, so nothing is decided and what comes in can only wait.
#[test]
fn a_flood_is_told_to_come_back_and_what_was_taken_is_settled() {
    let runtime = runtime();
    let net = Localnet::start(4);
    let supply = runtime.block_on(supply_in_hands(&net.client(0)));
    [2, 3].into_iter().for_each(|index| net.kill(index));
    let client = net.client(0);
    let mut taken: Vec<TransactionHash> = Vec::new();
    let refused = net.wait_for("the flood to be refused", || {
        let pay = |_| payment(net.chain(), "sok@aclb", "dara@wing", "1");
        let flood: Vec<Transaction> = (0..2_000).map(pay).collect();
        match runtime.block_on(client.submit_all(&flood)) {
            Ok(items) => {
                taken.extend(items.iter().map(|item| item.hash));
                None
            }
            Err(error) => Some(error),
        }
    });
    assert!(matches!(refused.status(), Some(429 | 503)), "{refused}");
    assert!(refused.retry_after().is_some());
    assert!(runtime.block_on(client.node_status()).is_ok(), "it answers all the same");
    [2, 3].into_iter().for_each(|index| net.restart(index));
    net.wait_for("all that was taken to be settled", || {
        let last = taken.last()?;
        let status = runtime.block_on(client.status(last, Some(WAIT))).ok()?;
        matches!(status, TransactionStatus::Committed { .. }).then_some(())
    });
    net.agreed(1);
    runtime.block_on(assert_sound(&net, &taken, supply));
}
