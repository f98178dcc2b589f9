//! Proofs of a running network: ours and a checker that shares no code with us agree on them, and
//! on every one of them with one value changed.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tonle_client::Client;
use tonle_client::api::TransactionStatus;
use tonle_model::amount::Decimal;
use tonle_model::block::{BlockResult, Header};
use tonle_model::bounded::Bounded;
use tonle_model::genesis::Genesis;
use tonle_model::hash::{ChainHash, Digest256, TransactionHash};
use tonle_model::hex::HexBytes;
use tonle_model::instruction::{Instruction, Invoice};
use tonle_model::key::KeyPair;
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::proof::{
    CertifiedBlock, Claim, Entry, Fact, Proof, StateLeaf, ValidatorChange, Wanted,
};
use tonle_model::transaction::Transaction;
use tonle_model::validators::{Validator, ValidatorSet};
use tonle_model::vote::{Ballot, Certificate, Vote, VoteKind};
use tonle_tests::localnet::{Localnet, runtime};
use tonle_tests::payments::{now_ms, payload, payment, transfer};

const WAIT: Duration = Duration::from_secs(10);
const EXPIRES_IN_MS: u64 = 600_000;

async fn settled(client: &Client, transaction: &Transaction) -> TransactionHash {
    let reply = client.submit(transaction).await.expect("taken in");
    let status = client.status(&reply.hash, Some(WAIT)).await.expect("a status");
    assert!(matches!(status, TransactionStatus::Committed { .. }), "{status:?}");
    reply.hash
}

/// Pays the invoice `17` that expires then.
fn invoice_payment(net: &Localnet, expires_ms: u64) -> Transaction {
    let Instruction::Transfer { asset, from, to, amount, memo, .. } = transfer("dara@wing", "7")
    else {
        panic!("a transfer is one");
    };
    let invoice = Some(Invoice { id: "17".parse().unwrap(), expires_ms });
    let instruction = Instruction::Transfer { asset, from, to, amount, memo, invoice };
    payload(net.chain(), "sok@aclb", vec![instruction]).sign(&[&KeyPair::demo("sok@aclb")])
}

/// A proof of each kind, by name.
async fn proofs(net: &Localnet) -> Vec<(&'static str, Proof)> {
    let client = net.client(1);
    let khr = "khr#nbc".parse().unwrap();
    let (sok, dara) = ("sok@aclb".parse().unwrap(), "dara@wing".parse().unwrap());
    let (nobody, nothing) = ("nobody@aclb".parse().unwrap(), "gold#nbc".parse().unwrap());
    let expires_ms = now_ms() + EXPIRES_IN_MS;
    let paid = settled(&client, &payment(net.chain(), "sok@aclb", "dara@wing", "5")).await;
    settled(&client, &invoice_payment(net, expires_ms)).await;
    let invoice = async |amount: &str| {
        let amount: Decimal = amount.parse().unwrap();
        client.proof_invoice(&dara, "17", &khr, amount, expires_ms).await.unwrap()
    };
    vec![
        ("payment", client.proof_transaction(&paid, true).await.unwrap()),
        ("bare payment", client.proof_transaction(&paid, false).await.unwrap()),
        ("balance", client.proof_balance(&sok, &khr).await.unwrap()),
        ("no balance", client.proof_balance(&sok, &nothing).await.unwrap()),
        ("account", client.proof_account(&sok).await.unwrap()),
        ("no account", client.proof_account(&nobody).await.unwrap()),
        ("paid invoice", invoice("7").await),
        ("unpaid invoice", invoice("8").await),
    ]
}

/// What the other checker says of each.
fn python(genesis: &Path, proofs: &[String]) -> Vec<String> {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/check_proof.py");
    // -B: no __pycache__ in the source tree.
    let mut child = Command::new("python3")
        .arg("-B")
        .arg(script)
        .args([genesis, Path::new("-")])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 runs; `make test` installs it where it is missing");
    let mut input = child.stdin.take().unwrap();
    let lines = proofs.join("\n") + "\n";
    let writer = std::thread::spawn(move || input.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    assert!(output.status.success());
    let said: Vec<_> = String::from_utf8(output.stdout).unwrap().lines().map(Into::into).collect();
    assert_eq!(said.len(), proofs.len());
    said
}

/// Every copy of a value with one thing in it changed, and where that is.
fn mutations(value: &Value, at: &str) -> Vec<(String, Value)> {
    let here = |value| vec![(at.to_owned(), value)];
    match value {
        Value::Null => vec![],
        Value::Bool(it) => here(json!(!it)),
        Value::Number(it) => here(json!(it.as_u64().expect("no fractions, no signs") ^ 1)),
        Value::String(it) => {
            let mut bytes = it.clone().into_bytes();
            let middle = bytes.len() / 2;
            let Some(byte) = bytes.get_mut(middle) else { return here(json!("00")) };
            *byte = if *byte == b'1' { b'2' } else { b'1' };
            here(json!(String::from_utf8(bytes).expect("ASCII")))
        }
        Value::Array(items) => {
            let put = |index: usize, item| {
                let mut items = items.clone();
                items[index] = item;
                Value::Array(items)
            };
            let inner = items.iter().enumerate().flat_map(|(index, item)| {
                let changed = mutations(item, &format!("{at}/{index}"));
                changed.into_iter().map(move |(at, item)| (at, put(index, item)))
            });
            let shorter = items.split_last().map(|(_, rest)| (at.to_owned(), json!(rest)));
            inner.chain(shorter).collect()
        }
        Value::Object(fields) => {
            let put = |name: &str, field| {
                let mut fields = fields.clone();
                fields.insert(name.to_owned(), field);
                Value::Object(fields)
            };
            let inner = fields.iter().flat_map(|(name, field)| {
                let changed = mutations(field, &format!("{at}/{name}"));
                changed.into_iter().map(move |(at, field)| (at, put(name, field)))
            });
            let other_side = [("left", "right"), ("right", "left")].into_iter();
            let swapped = other_side.filter_map(|(side, other)| {
                Some((format!("{at}/{side}"), json!({ (other): fields.get(side)? })))
            });
            inner.chain(swapped).collect()
        }
    }
}

fn ours(genesis: &Genesis, text: &str) -> Result<Fact, String> {
    let proof = Proof::from_json(text).map_err(|error| error.to_string())?;
    proof.verify(genesis).map(|proven| proven.fact).map_err(|error| error.to_string())
}

/// Both accept the proofs, and refuse every one with one value changed.
fn assert_agreement(path: &Path, proofs: &[(&str, Proof)]) {
    let genesis = Genesis::from_json(&std::fs::read_to_string(path).unwrap()).unwrap();
    let mut cases = Vec::new();
    for (name, proof) in proofs {
        let value = serde_json::to_value(proof).unwrap();
        // The name of something absent is the question: with another one, another answer is true.
        let is_question = |at: &str| {
            matches!(proof.claim, Claim::Absence { .. }) && at.starts_with("/claim/wanted")
        };
        let changed = mutations(&value, "");
        assert!(changed.len() > 30, "{name}: {}", changed.len());
        cases.push((format!("{name} as it is"), value.to_string(), Some(true)));
        cases.extend(changed.into_iter().map(|(at, value)| {
            let expected = if is_question(&at) { None } else { Some(false) };
            (format!("{name} with another {at}"), value.to_string(), expected)
        }));
    }
    let texts: Vec<_> = cases.iter().map(|(_, text, _)| text.clone()).collect();
    let theirs = python(path, &texts);
    for ((name, text, expected), said) in cases.iter().zip(theirs) {
        let fact = ours(&genesis, text);
        assert_eq!(said.starts_with("proven"), fact.is_ok(), "{name}: {said}; ours: {fact:?}");
        if let Some(expected) = expected {
            assert_eq!(fact.is_ok(), *expected, "{name}: {said}; ours: {fact:?}");
        } else if let Ok(fact) = fact {
            assert!(matches!(fact, Fact::Absent(_)), "{name}: {fact:?}");
        }
    }
}

#[test]
fn two_checkers_agree_on_proofs_and_on_every_changed_one() {
    let net = Localnet::start(4);
    let proofs = runtime().block_on(proofs(&net));
    let path = net.path().join("genesis.json");
    assert_agreement(&path, &proofs);

    let genesis = Genesis::from_json(&std::fs::read_to_string(&path).unwrap()).unwrap();
    let text = serde_json::to_string(&proofs[2].1).unwrap();
    let Ok(Fact::Present(Entry::Balance { value, .. })) = ours(&genesis, &text) else {
        panic!("a balance");
    };
    let amounts = format!(": {} {}", value.available.minor(), value.held.minor());
    let said = python(&path, &[text]).remove(0);
    assert!(said.ends_with(&amounts), "{said} where ours is {amounts}");
}

fn set(keys: &[KeyPair]) -> ValidatorSet {
    let validator =
        |key: &KeyPair| Validator { name: "v".parse().unwrap(), public_key: key.public_key() };
    ValidatorSet::new(keys.iter().map(validator).collect()).unwrap()
}

fn certified(
    chain: ChainHash,
    height: u64,
    keys: &[KeyPair],
    result: BlockResult,
) -> CertifiedBlock {
    let header = Header { height: Height(height), ..Header::genesis(chain, 1_000) };
    let kind = VoteKind::Finalize { block: header.hash(), result: result.hash() };
    let ballot = Ballot { height: header.height, view: View(1), kind };
    let set = set(keys);
    let votes = (0..).map(ValidatorIndex).zip(set.iter()).map(|(index, validator)| {
        let key = keys.iter().find(|key| key.public_key() == validator.public_key).unwrap();
        (index, Vote::sign(ballot, &chain, index, key).signature)
    });
    let votes: Vec<_> = votes.take(set.quorum()).collect();
    CertifiedBlock {
        header,
        result,
        finalization: Certificate::assemble(ballot, &votes, set.count()),
    }
}

/// Four validators, of whom one leaves after height 2, and a proof of height 5.
#[test]
fn two_checkers_agree_on_changes_of_validators() {
    let keys = ["a", "b", "c", "d"].map(KeyPair::demo);
    let left = &keys[1..];
    let genesis = json!({
        "name": "test", "demo": true, "created_ms": 1, "steps": [], "validators": set(&keys),
        "parameters": {"delta_ms": 100, "max_ttl_ms": 600_000, "public_reads": "all",
            "operator": "governor@nbc"},
    });
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("genesis.json");
    std::fs::write(&path, genesis.to_string()).unwrap();
    let chain = Genesis::from_json(&genesis.to_string()).unwrap().chain();

    let key = HexBytes::new(vec![1]).unwrap();
    let leaf = StateLeaf { key, value: HexBytes::default(), next: HexBytes::default() };
    let result = BlockResult {
        state_root: leaf.hash(),
        receipts_root: Digest256([7; 32]),
        next_validators: set(left).hash(),
    };
    let list = Bounded::new(set(left).iter().cloned().collect::<Vec<_>>()).unwrap();
    let change = ValidatorChange {
        block: certified(chain, 2, &keys, result),
        next_validators: list.clone(),
    };
    let proof = Proof {
        chain,
        claim: Claim::Absence {
            wanted: Wanted::Account { id: "nobody@aclb".parse().unwrap() },
            leaf,
        },
        path: Bounded::default(),
        block: certified(chain, 5, left, result),
        validators: list,
        validator_changes: Bounded::new(vec![change]).unwrap(),
    };
    assert_agreement(&path, &[("change of validators", proof)]);
}

#[test]
fn the_commands_prove_and_check_without_a_node() {
    let net = Localnet::start(4);
    let client = net.client(0);
    let transaction = payment(net.chain(), "sok@aclb", "dara@wing", "5");
    let hash = runtime().block_on(settled(&client, &transaction)).to_string();
    let file = |name: &str| net.path().join(name).to_str().unwrap().to_owned();
    let (genesis, paid, held) = (file("genesis.json"), file("paid.json"), file("held.json"));
    net.ok(&["proof", "get", "transaction", &hash, "--payload", "--out", &paid]);
    net.ok(&["proof", "get", "balance", "sok@aclb", "khr#nbc", "--out", &held]);

    let refused = payment(net.chain(), "sok@aclb", "dara@wing", "5");
    let unknown = refused.payload.hash().to_string();
    assert_eq!(net.tonle(&["proof", "get", "transaction", &unknown]).status.code(), Some(1));

    net.ok(&["localnet", "down"]);
    let said = net.ok(&["proof", "verify", &paid, "--genesis", &genesis]);
    assert!(said.contains(&hash) && said.contains("dara@wing"), "{said}");
    let said = net.json(&["proof", "verify", &held, "--genesis", &genesis]);
    assert_eq!(said["fact"]["present"]["balance"]["account"], "sok@aclb", "{said}");
    assert_eq!(said["signers"], 3);

    let text = std::fs::read_to_string(&held).unwrap();
    std::fs::write(&held, text.replacen("sok@aclb", "dara@wing", 1)).unwrap();
    for damaged in [&held, &genesis] {
        let output = net.tonle(&["proof", "verify", damaged, "--genesis", &genesis]);
        assert_eq!(output.status.code(), Some(1), "{damaged}");
    }
}
