//! `tonle events follow` on a real node: one run that lives through the loss of the right to listen
//! unsigned, and through the loss of the node.

use std::io::{BufRead, BufReader};
use std::process::Child;
use std::sync::mpsc::{Receiver, channel};

use serde_json::Value;
use tonle_tests::localnet::{Localnet, PATIENCE};

/// A command that prints a JSON value a line, until the test ends.
struct Follower {
    child: Child,
    events: Receiver<Value>,
}

impl Follower {
    fn start(net: &Localnet, arguments: &[&str]) -> Self {
        let mut child = net.spawn(&[arguments, &["--output", "json"]].concat());
        let printed = BufReader::new(child.stdout.take().expect("a pipe"));
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in printed.lines().map_while(Result::ok) {
                let event = serde_json::from_str(&line).expect("a JSON value a line");
                if sender.send(event).is_err() {
                    return;
                }
            }
        });
        Self { child, events }
    }

    fn next(&self) -> Value {
        self.events.recv_timeout(PATIENCE).expect("an event comes")
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // It has no end of its own.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn pay(net: &Localnet, amount: &str) {
    net.ok(&["transfer", "--to", "dara@wing", "--amount", amount, "--asset", "khr#nbc", "--wait"]);
}

#[test]
fn following_goes_on_signed_and_across_a_restart() {
    let net = Localnet::start(1);
    let arguments = ["events", "follow", "sok@aclb", "--kinds", "transfer", "--from", "1"];
    let follower = Follower::start(&net, &arguments);
    pay(&net, "1");
    let mut events = vec![follower.next()];
    net.ok(&["parameter", "set", "public_reads", "none", "--wait"]);
    pay(&net, "2");
    pay(&net, "3");
    events.extend([follower.next(), follower.next()]);
    net.kill(0);
    net.restart(0);
    net.agreed(1);
    pay(&net, "4");
    events.push(follower.next());

    let question = r#"{"history": {"account": "sok@aclb", "since_ms": 1, "limit": 4}}"#;
    let history = net.json(&["query", question, "--account", "sok@aclb"]);
    let lines: Vec<_> = events.iter().map(|event| &event["data"]).collect();
    let expected: Vec<_> = history["items"].as_array().expect("a list").iter().rev().collect();
    assert_eq!(lines, expected);
    let amounts: Vec<_> = lines.iter().map(|line| line["amount"].as_str()).collect();
    assert_eq!(amounts, [Some("1"), Some("2"), Some("3"), Some("4")]);
    assert!(events.iter().all(|event| event["event"] == "transfer" && event["id"].is_string()));
}
