//! `tonle bench` against a node that does its work, and against ones that do not.

use std::process::{Command, Output};

use serde_json::Value;

use crate::node::{Fault, Node};

fn bench(fault: Fault, arguments: &[&str]) -> (Output, Value) {
    let node = Node::start(fault);
    let mut command = Command::new(env!("CARGO_BIN_EXE_tonle"));
    let home = tempfile::tempdir().unwrap();
    command.env_clear().env("HOME", home.path()).current_dir(home.path());
    command.args(["--url", &node.url, "-o", "json", "bench", "--accounts", "40"]);
    let output = command.args(arguments).output().unwrap();
    let report = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    (output, report)
}

#[test]
fn a_good_run_has_every_figure_and_exits_with_0() {
    let (output, report) = bench(Fault::Nothing, &["--transactions", "1000", "--array", "70"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(report["transactions"]["applied"], 1000);
    assert_eq!(report["sums"]["before"], report["sums"]["after"]);
    assert_eq!(report["sums"]["before"], "40000000000");
    assert_eq!(report["synced"], true);
    assert_eq!(report["signers"], 40);
    assert_eq!(report["disk_bytes_per_transaction"], 300.0);
    assert_eq!(report["cpu_us_per_transaction"], 1e6);
    for figure in ["committed_per_second", "ceiling_per_second", "share_of_ceiling"] {
        assert!(report[figure].as_f64().unwrap() > 0.0, "{figure}");
    }
    for percentile in ["p50", "p95", "p99"] {
        assert!(report["latency_ms"][percentile].as_f64().unwrap() > 0.0, "{percentile}");
    }
}

#[test]
fn at_a_rate_it_takes_its_time() {
    let (output, report) = bench(Fault::Nothing, &["--rate", "200", "--transactions", "100"]);
    assert_eq!(output.status.code(), Some(0), "{output:?}");
    assert_eq!(report["transactions"]["applied"], 100);
    let rate = report["committed_per_second"].as_f64().unwrap();
    assert!((100.0..260.0).contains(&rate), "{rate}");
}

#[test]
fn what_a_node_puts_off_is_sent_again() {
    for fault in [Fault::Busy, Fault::NotReady] {
        let (output, report) = bench(fault, &["--transactions", "300", "--array", "100"]);
        assert_eq!(output.status.code(), Some(0), "{fault:?} {output:?}");
        assert_eq!(report["transactions"]["applied"], 300);
        assert!(report["transactions"]["posts_put_off"].as_u64().unwrap() > 0);
    }
}

#[test]
fn a_run_that_does_not_hold_exits_with_1() {
    for (fault, words) in [
        (Fault::Repeats, "in blocks more than once"),
        (Fault::Invents, "sum of all balances changed"),
        (Fault::Rejects, "nothing was applied"),
    ] {
        let (output, report) = bench(fault, &["--transactions", "200", "--array", "50"]);
        assert_eq!(output.status.code(), Some(1), "{fault:?} {output:?}");
        assert_eq!(report["ok"], false);
        let failures = report["failures"].to_string();
        assert!(failures.contains(words), "{fault:?}: {failures}");
    }
}

#[test]
fn a_forgotten_transfer_is_a_failure() {
    let arguments = ["--transactions", "200", "--array", "50", "--patience", "1s"];
    let (output, report) = bench(Fault::Forgets, &arguments);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert_eq!(report["transactions"]["lost"], 2);
    assert_eq!(report["transactions"]["applied"], 198);
}
