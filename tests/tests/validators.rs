//! Validators that leave and join by transaction, each a process of its own.

use std::ops::Range;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tonle_client::BlockId;
use tonle_client::api::{TransactionStatus, Validator};
use tonle_model::block::Header;
use tonle_model::hash::TransactionHash;
use tonle_model::instruction::Instruction;
use tonle_model::key::KeyPair;
use tonle_model::leader::LeaderMarks;
use tonle_model::number::{Height, View};
use tonle_model::transaction::Transaction;
use tonle_tests::ledger::{assert_sound, supply_in_hands};
use tonle_tests::load::Payments;
use tonle_tests::localnet::{Localnet, Row, runtime};
use tonle_tests::payments::{payload, payment};

/// Who comes and goes.
const GUEST: usize = 4;
/// Longest wait for a payment to be decided.
const WAIT: Duration = Duration::from_secs(30);

/// So many validators, of which the others let some in even when they are none.
fn network(validators: u16, guests: Range<usize>) -> Localnet {
    let net = Localnet::start(validators);
    net.ok(&["localnet", "down"]);
    let addresses: Vec<_> = guests.map(|guest| p2p(&net, guest)).collect();
    for index in 0..validators.into() {
        let path = net.validator(index).join("config.toml");
        let text = std::fs::read_to_string(&path).expect("a file");
        let mut config: toml::Table = text.parse().expect("TOML");
        let peers = config["peers"].as_array().expect("a list").iter();
        let guests = peers.filter(|peer| addresses.contains(&peer["address"]));
        let keys = guests.map(|guest| guest["public_key"].clone()).collect();
        config.insert("observers".into(), toml::Value::Array(keys));
        std::fs::write(path, config.to_string()).expect("written");
    }
    net.ok(&["localnet", "up", "--detach"]);
    net
}

fn pay(net: &Localnet) -> TransactionHash {
    let transfer = ["transfer", "--from", "sok@aclb", "--to", "dara@wing", "--amount", "1"];
    let paid = net.json(&[&transfer[..], &["--asset", "khr#nbc", "--wait", "30s"]].concat());
    assert_eq!(paid["status"], "committed", "{paid}");
    paid["hash"].as_str().expect("a hash").parse().expect("a hash")
}

fn validators(net: &Localnet) -> usize {
    net.json(&["validator", "list"]).as_array().expect("a list").len()
}

fn guest(net: &Localnet) -> Option<Row> {
    net.rows().into_iter().find(|row| row.index == GUEST as u64)
}

fn guest_is(net: &Localnet, role: &str) {
    let what = format!("the guest to be {role} with the others' blocks");
    net.wait_for(&what, || {
        let is_there = |row: &Row| row.role == role && row.height == net.height();
        guest(net).filter(is_there)
    });
}

/// Whoever was a validator joins again, under another name.
fn register(net: &Localnet, guest: usize) {
    let key = net.validator(guest).join("key").display().to_string();
    let file = net.path().join(format!("joining-{guest}.json")).display().to_string();
    net.ok(&["validator", "join", &key, "--out", &file]);
    let name = format!("guest_{guest}");
    let joined = net.json(&["validator", "register", &name, &file, "--wait", "30s"]);
    assert_eq!(joined["status"], "committed", "{joined}");
}

fn unregister(net: &Localnet, index: usize) {
    let name = format!("validator_{index}");
    let left = net.json(&["validator", "unregister", &name, "--wait", "30s"]);
    assert_eq!(left["status"], "committed", "{left}");
}

/// A proof that spans the changes, checked by both who can.
fn proves(net: &Localnet) {
    let genesis = net.path().join("genesis.json").display().to_string();
    let proof = net.path().join(format!("proof-{}.json", net.height())).display().to_string();
    net.ok(&["proof", "get", "balance", "dara@wing", "khr#nbc", "--out", &proof]);
    net.ok(&["proof", "verify", &proof, "--genesis", &genesis]);
    let checker = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/check_proof.py");
    let output = Command::new("python3").arg("-B").arg(checker).args([&genesis, &proof]).output();
    let output = output.expect("python3 runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn a_validator_leaves_and_another_joins_without_a_pause() {
    let net = network(5, GUEST..GUEST + 1);
    pay(&net);
    unregister(&net, GUEST);
    assert_eq!(validators(&net), 4);
    for _ in 0..3 {
        pay(&net);
    }
    guest_is(&net, "observer");
    proves(&net);

    register(&net, GUEST);
    assert_eq!(validators(&net), 5);
    pay(&net);
    guest_is(&net, "validator");
    // Four of five decide, so without another one nothing is decided but with the guest's vote.
    net.kill(1);
    for _ in 0..3 {
        pay(&net);
    }
    proves(&net);

    // From nothing, through every set there was.
    std::fs::remove_dir_all(net.validator(1).join("data")).expect("its data");
    net.restart(1);
    net.agreed(net.height());
    pay(&net);

    // It lost its disk, so it does not vote any more (the others might have votes of its that it
    // does not know); it goes first. Then one that may be the next leader.
    let url = &net.urls()[3];
    for name in ["validator_1", "validator_0"] {
        net.ok(&["--url", url, "validator", "unregister", name, "--wait", "30s"]);
    }
    let left = net.json(&["--url", url, "validator", "list"]);
    assert_eq!(left.as_array().map(Vec::len), Some(3), "{left}");
    let transfer = ["transfer", "--from", "sok@aclb", "--to", "dara@wing", "--amount", "1"];
    let more = ["--asset", "khr#nbc", "--wait", "30s", "--url", url];
    (0..3).for_each(|_| drop(net.ok(&[&transfer[..], &more].concat())));
}

/// Every size there can be, each change by a transaction. Of one the next one makes two, and both
/// votes are needed at once.
#[test]
fn ten_become_one_and_ten_again() {
    const ALL: usize = 10;
    let net = network(10, 1..ALL);
    let supply = runtime().block_on(supply_in_hands(&net.client(0)));
    let mut paid = vec![pay(&net)];
    for gone in (1..ALL).rev() {
        unregister(&net, gone);
        assert_eq!(validators(&net), gone);
        paid.push(pay(&net));
    }
    let last = net.tonle(&["validator", "unregister", "validator_0", "--wait", "30s"]);
    let said = String::from_utf8_lossy(&last.stderr);
    assert!(last.status.code() == Some(1) && said.contains("last_validator"), "{said}");
    for new in 1..ALL {
        register(&net, new);
        assert_eq!(validators(&net), new + 1);
        paid.push(pay(&net));
    }
    net.agreed(net.height());
    proves(&net);
    runtime().block_on(assert_sound(&net, &paid, supply));
}

/// A validator of the same place and another key, on a new disk: votes under the old key bind it no
/// more, and it could not tell them from votes that it lost.
#[test]
fn a_key_is_rotated_while_payments_go_on() {
    const ROTATED: usize = 3;
    let net = Localnet::start(4);
    let supply = runtime().block_on(supply_in_hands(&net.client(0)));
    net.ok(&["localnet", "down"]);
    let directory = net.validator(ROTATED);
    let key = directory.join("new-key").display().to_string();
    let made = net.json(&["keys", "new", "--plain", "--out", &key]);
    let new_key = toml::Value::String(made["public_key"].as_str().expect("a key").to_owned());
    for index in 0..4 {
        expect_key(&net.validator(index).join("config.toml"), ROTATED == index, &new_key, || {
            p2p(&net, ROTATED)
        });
    }
    for index in 0..3 {
        net.tonle(&["localnet", "restart", &index.to_string()]);
    }
    net.wait_for("three to be ready", || {
        (0..3).all(|index| runtime().block_on(net.client(index).health()).is_ok()).then_some(())
    });
    let payments = Payments::start(&net, 0);
    net.wait_for("some blocks", || (net.height() > 5).then_some(()));
    std::fs::remove_dir_all(directory.join("data")).expect("its data");
    net.restart(ROTATED);
    let role = |role: &str| {
        net.wait_for(&format!("the new key's node to be {role}"), || {
            let rows = net.rows();
            rows.into_iter().find(|row| row.index == ROTATED as u64 && row.role == role)
        })
    };
    role("observer");

    let file = net.path().join("joining.json").display().to_string();
    let url = &net.urls()[0];
    net.ok(&["--url", url, "validator", "join", &key, "--out", &file]);
    let wait = ["--wait", "30s"];
    let register = ["--url", url, "validator", "register", "rotated", &file];
    net.ok(&[&register[..], &wait].concat());
    // Five now, one of which is nobody any more: the new one's vote is needed.
    assert_eq!(validators(&net), 5);
    role("validator");
    let old = ["--url", url, "validator", "unregister", "validator_3"];
    net.ok(&[&old[..], &wait].concat());
    assert_eq!(validators(&net), 4);
    net.kill(1);
    let height = net.height();
    net.wait_for("blocks by the new key's vote", || (net.height() > height + 3).then_some(()));
    net.restart(1);
    let settled = payments.stop();
    net.agreed(net.height());
    runtime().block_on(assert_sound(&net, &settled, supply));
}

/// It leads the very height that takes its vote away, and from the next one on nobody waits for it.
#[test]
fn the_leader_of_the_moment_is_removed_and_the_others_go_on() {
    // Where a view fails another one leads; each time there is one validator less.
    const TRIES: usize = 3;
    let net = network(5, 0..5);
    let supply = runtime().block_on(supply_in_hands(&net.client(0)));
    let mut settled = Vec::new();
    let mut changed = Height(0);
    for _ in 0..TRIES {
        let (height, leader) = next_leader(&net, changed);
        changed = remove(&net, &leader, &mut settled);
        if changed == height && header(&net, height).proposer == leader.index {
            runtime().block_on(assert_sound(&net, &settled, supply));
            return;
        }
    }
    panic!("none of {TRIES} led the block that removed it");
}

/// Removes a validator and pays through one that is left; at which height it was removed.
fn remove(net: &Localnet, validator: &Validator, settled: &mut Vec<TransactionHash>) -> Height {
    let others = validators_but(net, validator);
    let through = place(others.first().expect("others"));
    let mut settle = |transaction: &Transaction| {
        settled.push(transaction.payload.hash());
        decided(net, through, transaction)
    };
    let height = settle(&removal(net, validator));
    for _ in 0..3 {
        settle(&payment(net.chain(), "sok@aclb", "dara@wing", "1"));
    }
    net.agreed(net.height());
    assert_eq!(all_validators(net).len(), others.len());
    let follows = |row: &Row| row.index == place(validator) as u64 && row.role == "observer";
    assert!(net.rows().iter().any(follows), "it is none any more, and follows");
    height
}

/// The next height, and who leads its first view (consensus.md, Leader). Marks of failure began
/// anew when the validators changed.
fn next_leader(net: &Localnet, changed: Height) -> (Height, Validator) {
    let last = Height(net.agreed(net.height()).height);
    let validators = all_validators(net);
    let since = (changed.0 + 1..=last.0).map(|height| header(net, Height(height)));
    let marks = since.fold(LeaderMarks::default(), |marks, header| {
        marks.after_commit(&header, validators.len())
    });
    let leader = marks.leader(last.next(), View(0), validators.len());
    (last.next(), validators[leader.position()].clone())
}

fn header(net: &Localnet, height: Height) -> Header {
    let block = runtime().block_on(net.client(0).block(BlockId::Height(height)));
    block.expect("a block").header
}

fn all_validators(net: &Localnet) -> Vec<Validator> {
    runtime().block_on(net.client(0).validators()).expect("validators")
}

fn validators_but(net: &Localnet, one: &Validator) -> Vec<Validator> {
    let is_another = |other: &Validator| other.public_key != one.public_key;
    all_validators(net).into_iter().filter(is_another).collect()
}

/// Which process it is: the demo network's names count them.
fn place(validator: &Validator) -> usize {
    let number = validator.name.as_str().strip_prefix("validator_");
    number.and_then(|number| number.parse().ok()).expect("a name of the demo network")
}

fn removal(net: &Localnet, validator: &Validator) -> Transaction {
    let operator = "governor@nbc";
    let removal = Instruction::UnregisterValidator { public_key: validator.public_key };
    payload(net.chain(), operator, vec![removal]).sign(&[&KeyPair::demo(operator)])
}

/// Sends it through one validator and waits until it is applied; in which block that is.
fn decided(net: &Localnet, through: usize, transaction: &Transaction) -> Height {
    let client = net.client(through);
    let status = runtime().block_on(async {
        let reply = client.submit(transaction).await.expect("a validator takes it");
        client.status(&reply.hash, Some(WAIT)).await.expect("a validator answers")
    });
    match status {
        TransactionStatus::Committed { height, .. } => height,
        other => panic!("{other:?}"),
    }
}

fn p2p(net: &Localnet, index: usize) -> toml::Value {
    let text = std::fs::read_to_string(net.validator(index).join("config.toml")).expect("a file");
    text.parse::<toml::Table>().expect("TOML")["p2p"].clone()
}

/// Has a node use a new key, or let whoever has it in and look for it at an address.
fn expect_key(path: &Path, is_its: bool, key: &toml::Value, at: impl Fn() -> toml::Value) {
    let text = std::fs::read_to_string(path).expect("a file");
    let mut config: toml::Table = text.parse().expect("TOML");
    if is_its {
        config.insert("key_file".into(), "new-key".into());
    } else {
        config.insert("observers".into(), toml::Value::Array(vec![key.clone()]));
        let peers = config["peers"].as_array_mut().expect("a list");
        let address = at();
        let peer = peers.iter_mut().find(|peer| peer["address"] == address).expect("all know all");
        peer.as_table_mut().expect("a table").insert("public_key".into(), key.clone());
    }
    std::fs::write(path, config.to_string()).expect("written");
}
