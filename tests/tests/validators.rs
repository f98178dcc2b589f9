//! Validators that leave and join by transaction, each a process of its own.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tonle_tests::localnet::{Localnet, Row};

/// Who comes and goes.
const GUEST: usize = 4;

/// Five validators, of which the others let the last one in even when it is none.
fn network() -> Localnet {
    let net = Localnet::start(5);
    net.ok(&["localnet", "down"]);
    let path = |index| net.validator(index).join("config.toml");
    let read = |index| -> toml::Table {
        std::fs::read_to_string(path(index)).expect("a file").parse().expect("TOML")
    };
    let guest = read(GUEST)["p2p"].clone();
    for index in 0..GUEST {
        let mut config = read(index);
        let peers = config["peers"].as_array().expect("a list");
        let named = peers.iter().find(|peer| peer["address"] == guest).expect("all know all");
        let key = named["public_key"].clone();
        config.insert("observers".into(), toml::Value::Array(vec![key]));
        std::fs::write(path(index), config.to_string()).expect("written");
    }
    net.ok(&["localnet", "up", "--detach"]);
    net
}

fn pay(net: &Localnet) {
    let transfer = ["transfer", "--from", "sok@aclb", "--to", "dara@wing", "--amount", "1"];
    net.ok(&[&transfer[..], &["--asset", "khr#nbc", "--wait", "30s"]].concat());
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

fn register(net: &Localnet, file: &str) -> Value {
    let key = net.validator(GUEST).join("key").display().to_string();
    let file = net.path().join(file).display().to_string();
    net.ok(&["validator", "join", &key, "--out", &file]);
    net.json(&["validator", "register", "guest", &file, "--wait", "30s"])
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
    let net = network();
    pay(&net);
    let left = net.json(&["validator", "unregister", "validator_4", "--wait", "30s"]);
    assert_eq!(left["status"], "committed", "{left}");
    assert_eq!(validators(&net), 4);
    (0..3).for_each(|_| pay(&net));
    guest_is(&net, "observer");
    proves(&net);

    let joined = register(&net, "joining.json");
    assert_eq!(joined["status"], "committed", "{joined}");
    assert_eq!(validators(&net), 5);
    pay(&net);
    guest_is(&net, "validator");
    // Four of five decide, so without another one nothing is decided but with the guest's vote.
    net.kill(1);
    (0..3).for_each(|_| pay(&net));
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
