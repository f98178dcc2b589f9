//! Commands as a script sees them: what they print and how they exit.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use crate::node::{Fault, Node};

/// Runs `tonle` with nothing of the tester's own settings.
fn tonle(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tonle"));
    let home = tempfile::tempdir().unwrap();
    command.args(arguments).env_clear().env("HOME", home.path()).current_dir(home.path());
    command.output().unwrap()
}

fn out(output: &Output) -> Value {
    serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"))
}

fn error(output: &Output) -> Value {
    let text = String::from_utf8_lossy(&output.stderr);
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str::<Value>(last).unwrap_or_else(|_| panic!("{output:?}"))["error"].clone()
}

fn transfer(node: &Node, amount: &str, more: &[&str]) -> Output {
    let fixed = ["--url", &node.url, "-o", "json", "transfer", "--to", "dara@wing"];
    let money = ["--amount", amount, "--asset", "khr#nbc"];
    tonle(&[&fixed, &money[..], more].concat())
}

#[test]
fn a_transfer_is_signed_sent_and_waited_for() {
    let node = Node::start(Fault::Nothing);
    let output = transfer(&node, "200", &["--wait"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(out(&output)["status"], "committed");
    assert_eq!(out(&output)["height"], 1);
    assert_eq!(node.balance("dara@wing", "khr#nbc"), 200);
    let hash = out(&output)["hash"].as_str().unwrap().to_owned();
    let again = tonle(&["--url", &node.url, "-o", "json", "tx", "get", &hash]);
    assert_eq!(out(&again)["status"], "committed");
}

#[test]
fn a_rejection_exits_with_1_and_says_what_to_do() {
    let node = Node::start(Fault::Rejects);
    let output = transfer(&node, "200", &["--wait"]);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(out(&output)["status"], "rejected");
    assert_eq!(error(&output)["code"], "insufficient_balance");
    assert!(error(&output)["remedy"].is_string());
}

#[test]
fn usage_exits_with_2() {
    let node = Node::start(Fault::Nothing);
    assert_eq!(transfer(&node, "1e3", &[]).status.code(), Some(2));
    assert_eq!(tonle(&["localnet", "status"]).status.code(), Some(2));
    assert_eq!(tonle(&["--url", "ftp://x", "status"]).status.code(), Some(2));
}

#[test]
fn nobody_there_exits_with_3() {
    let output = tonle(&["--url", "http://127.0.0.1:1", "-o", "json", "status"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(error(&output)["remedy"].as_str().unwrap().contains("localnet up"));
}

#[test]
fn no_answer_in_time_exits_with_4() {
    let node = Node::start(Fault::Sleeps);
    let output = transfer(&node, "200", &["--wait", "200ms"]);
    assert_eq!(output.status.code(), Some(4), "{output:?}");
    assert!(error(&output)["remedy"].as_str().unwrap().contains("tonle tx wait"));
}

#[test]
fn the_next_node_is_asked_if_one_is_gone() {
    let node = Node::start(Fault::Nothing);
    let urls = format!("http://127.0.0.1:1,{}", node.url);
    let money = ["--amount", "200", "--asset", "khr#nbc", "--wait"];
    let output = tonle(&[&["--url", &urls, "transfer", "--to", "dara@wing"], &money[..]].concat());
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(node.balance("dara@wing", "khr#nbc"), 200);
}

#[test]
fn following_ends_when_nobody_reads_any_more() {
    let node = Node::start(Fault::Nothing);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tonle"));
    command.args(["--url", &node.url, "block", "follow", "--from", "1"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    drop(child.stdout.take());
    // No block ever comes: only the closed pipe can end it.
    assert!(child.wait().unwrap().success());
}

#[test]
fn keys_are_made_shown_and_never_overwritten() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("sok.key");
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tonle"));
        command.env_clear().env("HOME", home.path()).env("TONLE_PASSPHRASE", "mekong and tonle");
        command.args(["-o", "json", "keys"]).args(arguments).output().unwrap()
    };
    let path = path.to_str().unwrap();
    let made = run(&["new", "--out", path]);
    assert_eq!(made.status.code(), Some(0), "{made:?}");
    assert_eq!(run(&["new", "--out", path]).status.code(), Some(2));
    let shown = run(&["show", path]);
    assert_eq!(out(&shown)["public_key"], out(&made)["public_key"]);
    assert_eq!(out(&shown)["encrypted"], true);
    assert!(out(&shown).get("secret").is_none());
    assert_eq!(out(&run(&["show", path, "--secret"]))["secret"].as_str().unwrap().len(), 64);
}
