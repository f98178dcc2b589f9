//! What goes through files: transactions that several people sign, secrets of holds, proposals.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use tonle_client::keyfile::KeyFile;
use tonle_model::hash::{HoldId, ProposalId, TransactionHash};
use tonle_model::key::KeyPair;
use tonle_model::preimage::Preimage;

use crate::node::{Fault, Node};

const STEP: &str =
    r#"sok@aclb:{"transfer":{"asset":"khr#nbc","to":"dara@wing","amount":"200","memo":"rice"}}"#;

/// A place of one's own with a node, where words of one line are run.
struct Desk {
    node: Node,
    home: tempfile::TempDir,
}

impl Desk {
    fn new() -> Self {
        Self { node: Node::start(Fault::Nothing), home: tempfile::tempdir().unwrap() }
    }

    fn path(&self) -> &Path {
        self.home.path()
    }

    fn run(&self, format: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tonle"));
        command.env_clear().env("HOME", self.path()).current_dir(self.path());
        command.args(["--url", &self.node.url, "-o", format]).args(arguments);
        command.output().unwrap()
    }

    /// What a command that goes well prints.
    fn json(&self, arguments: &[&str]) -> Value {
        let output = self.run("json", arguments);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// What a command says that exits with 2.
    fn usage(&self, arguments: &[&str]) -> String {
        let output = self.run("table", arguments);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    fn key(&self, name: &str, number: u8) -> String {
        let key = KeyPair::from_seed(&[number; 32]);
        let path = self.path().join(name);
        KeyFile::plain(key.clone()).write_new(&path).unwrap();
        key.public_key().to_string()
    }
}

#[test]
fn two_people_sign_copies_of_a_transaction() {
    let desk = Desk::new();
    let (one, two) = (desk.key("one.key", 1), desk.key("two.key", 2));
    let made = desk.json(&["tx", "new", "--out", "tx.json", "--step", STEP]);
    assert_eq!(made["signed_by"].as_array().unwrap().len(), 0);
    assert!(desk.usage(&["tx", "submit", "tx.json"]).contains("no signatures"));
    desk.json(&["tx", "sign", "tx.json", "--key-file", "one.key", "--out", "one.json"]);
    desk.json(&["tx", "sign", "tx.json", "--key-file", "two.key", "--out", "two.json"]);
    let all = desk.json(&["tx", "combine", "one.json", "two.json", "--out", "all.json"]);
    assert_eq!(all["hash"], made["hash"]);
    assert_eq!(all["signed_by"], serde_json::json!([one, two]));
    let sent = desk.json(&["tx", "submit", "all.json", "--wait"]);
    assert_eq!(sent["hash"], made["hash"]);
    assert_eq!(sent["status"], "committed");
    assert_eq!(desk.node.balance("dara@wing", "khr#nbc"), 200);
}

#[test]
fn who_signs_sees_what_is_signed() {
    let desk = Desk::new();
    desk.key("one.key", 1);
    desk.json(&["tx", "new", "--out", "tx.json", "--step", STEP]);
    let signed = desk.run("table", &["tx", "sign", "tx.json", "--key-file", "one.key"]);
    let said = String::from_utf8(signed.stderr).unwrap();
    for word in ["sok@aclb", "transfer", "to dara@wing", "amount 200", "memo rice", "nobody"] {
        assert!(said.contains(word), "{said}");
    }
    let shown = desk.run("table", &["tx", "show", "tx.json"]);
    assert!(String::from_utf8(shown.stdout).unwrap().contains("SIGNED BY"));
}

#[test]
fn files_that_do_not_go_together_are_refused() {
    let desk = Desk::new();
    desk.key("one.key", 1);
    for name in ["a.json", "b.json"] {
        desk.json(&["tx", "new", "--out", name, "--step", STEP]);
        desk.json(&["tx", "sign", name, "--key-file", "one.key"]);
    }
    let said = desk.usage(&["tx", "combine", "a.json", "b.json", "--out", "c.json"]);
    assert!(said.contains("two transactions") && said.contains("tonle tx show"), "{said}");
    assert!(!desk.path().join("c.json").exists());
    assert!(desk.usage(&["tx", "new", "--out", "a.json", "--step", STEP]).contains("exists"));
    assert!(desk.usage(&["tx", "sign", "a.json"]).contains("--key-file"));
    // Someone changes what was signed.
    let path = desk.path().join("a.json");
    let text = std::fs::read_to_string(&path).unwrap().replace("\"200\"", "\"300\"");
    std::fs::write(&path, text).unwrap();
    assert!(desk.usage(&["tx", "submit", "a.json"]).contains("not valid"));
}

#[test]
fn a_new_hold_tells_its_id_and_keeps_its_secret_in_a_file() {
    let desk = Desk::new();
    let money = ["hold", "new", "--to", "dara@wing", "--amount", "5", "--asset", "khr#nbc"];
    let lock = ["--expires-in", "1h", "--new-preimage", "secret.hex", "--wait"];
    let made = desk.json(&[&money[..], &lock[..]].concat());
    let hash: TransactionHash = made["hash"].as_str().unwrap().parse().unwrap();
    assert_eq!(made["holds"][0]["id"], HoldId::of(&hash.0, 0).to_string());
    let path = desk.path().join("secret.hex");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let preimage: Preimage = std::fs::read_to_string(path).unwrap().trim().parse().unwrap();
    assert_eq!(made["holds"][0]["hash_lock"], preimage.lock().to_string());
    let again = desk.usage(&[&money[..], &lock[..]].concat());
    assert!(again.contains("exists already"), "{again}");
    let bare = ["--expires-in", "1h", "--invoice-id", "17", "--invoice-expires-in", "5m"];
    let bare = desk.usage(&[&money[..], &bare[..]].concat());
    assert!(bare.contains("hash-locked"), "{bare}");
}

#[test]
fn a_new_proposal_tells_its_id() {
    let desk = Desk::new();
    let pay = r#"[{"transfer": {"asset": "khr#nbc", "to": "dara@wing", "amount": "1"}}]"#;
    std::fs::write(desk.path().join("pay.json"), pay).unwrap();
    let propose = ["proposal", "new", "sok@aclb", "--instructions"];
    let made = desk.json(&[&propose[..], &["pay.json", "--expires-in", "1d", "--wait"]].concat());
    let hash: TransactionHash = made["hash"].as_str().unwrap().parse().unwrap();
    assert_eq!(made["proposals"], serde_json::json!([ProposalId::of(&hash, 0)]));
    std::fs::write(desk.path().join("bad.json"), "{}").unwrap();
    let said = desk.usage(&[&propose[..], &["bad.json", "--expires-in", "1d"]].concat());
    assert!(said.contains("bad.json is no JSON array of instructions"), "{said}");
}
