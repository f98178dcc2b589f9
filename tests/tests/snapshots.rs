//! Nodes that begin with a snapshot, each a process of its own.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::number::Height;
use tonle_node::network::{
    self, Flow, Lane, NetworkConfig, NetworkHandle, NetworkSink, NetworkTask, PeerAddress, Verdict,
};
use tonle_node::wire::{RawBytes, SnapshotMessage, Wire};
use tonle_tests::localnet::Localnet;
use tonle_wsv::state::snapshot::Offer;

/// Who loses its disk.
const NEW: usize = 3;
/// Who lies.
const LIAR: usize = 2;

fn pay(net: &Localnet, amount: &str) {
    let transfer = ["transfer", "--from", "sok@aclb", "--to", "dara@wing", "--amount", amount];
    net.ok(&[&transfer[..], &["--asset", "khr#nbc", "--wait", "30s"]].concat());
}

/// Ends the node and takes its disk away.
fn lose_disk(net: &Localnet) {
    net.kill(NEW);
    std::fs::remove_dir_all(net.validator(NEW).join("data")).expect("its data");
}

fn config(net: &Localnet, index: usize) -> toml::Table {
    let path = net.validator(index).join("config.toml");
    std::fs::read_to_string(path).expect("a file").parse().expect("TOML")
}

fn let_join(net: &Localnet) {
    let mut config = config(net, NEW);
    config.insert("join".into(), "snapshot".into());
    let path = net.validator(NEW).join("config.toml");
    std::fs::write(path, config.to_string()).expect("written");
}

fn log(net: &Localnet) -> String {
    std::fs::read_to_string(net.validator(NEW).join("log")).expect("a log")
}

/// A node that joined has no history of before, and says so where its own ends.
fn has_no_past(net: &Localnet) {
    let history = ["account", "history", "dara@wing", "--url", &net.urls()[NEW]];
    let page = net.json(&history);
    let next = page["next"].as_str().expect("the history goes on before the snapshot");
    let output = net.tonle(&[&history[..], &["--cursor", next]].concat());
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(1) && told.contains("not_held"), "{told}");
}

#[test]
fn a_file_that_was_made_beside_a_running_node_starts_another() {
    let net = Localnet::start(4);
    (0..3).for_each(|_| pay(&net, "7"));
    let path = |name: &str| net.path().join(name).display().to_string();
    let data = |index| net.validator(index).join("data").display().to_string();
    let (file, genesis) = (path("taken.snapshot"), path("genesis.json"));
    let made = net.json(&["snapshot", "create", "--data", &data(0), "--out", &file]);
    assert!(made["height"].as_u64() >= Some(3), "{made}");
    let again = net.tonle(&["snapshot", "create", "--data", &data(0), "--out", &file]);
    assert_eq!(again.status.code(), Some(2), "a file is never overwritten");
    pay(&net, "8");

    let restore = |file: &str, to: &str| {
        net.tonle(&["snapshot", "restore", file, "--data", to, "--genesis", &genesis, "-o", "json"])
    };
    let full = restore(&file, &data(NEW));
    assert_eq!(full.status.code(), Some(2), "a node's data is never touched");
    lose_disk(&net);
    let mut spoiled = std::fs::read(&file).expect("the file");
    let middle = spoiled.len() / 2;
    spoiled[middle] ^= 1;
    std::fs::write(path("spoiled.snapshot"), spoiled).expect("written");
    let refused = restore(&path("spoiled.snapshot"), &data(NEW));
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("invalid_snapshot"));

    let restored = restore(&file, &data(NEW));
    assert!(restored.status.success(), "{}", String::from_utf8_lossy(&restored.stderr));
    net.restart(NEW);
    net.agreed(net.height());
    pay(&net, "9");
    net.agreed(net.height());
    has_no_past(&net);
}

#[test]
fn a_node_joins_from_its_peers_and_follows() {
    let net = Localnet::start(4);
    (0..3).for_each(|_| pay(&net, "7"));
    lose_disk(&net);
    let_join(&net);
    pay(&net, "8");
    net.restart(NEW);
    net.agreed(net.height());
    assert!(log(&net).contains("joined from a snapshot"), "{}", log(&net));
    has_no_past(&net);
    // The setting does nothing to a node that has data.
    net.kill(NEW);
    pay(&net, "9");
    net.restart(NEW);
    net.agreed(net.height());
    assert_eq!(log(&net).matches("joined from a snapshot").count(), 1);
}

/// A peer that offers the highest snapshot of all and sends what it made up.
struct Liar {
    network: OnceLock<NetworkHandle>,
}

impl NetworkSink for Liar {
    fn connected(&self, _peer: PublicKey) {}

    fn disconnected(&self, _peer: PublicKey) {}

    fn frame(&self, peer: PublicKey, _lane: Lane, frame: Bytes) -> Flow {
        let lie = match Wire::from_frame(&frame) {
            Ok(Wire::Snapshot(SnapshotMessage::GetOffer)) => {
                let chain = *CHAIN.get().expect("set before it is asked");
                let (height, manifest_parts) = (Height(1_000_000), 3);
                SnapshotMessage::Offer(Some(Offer { chain, height, manifest_parts }))
            }
            Ok(Wire::Snapshot(SnapshotMessage::GetPart(height, id))) => {
                SnapshotMessage::Part(height, id, RawBytes(vec![7; 1_000].into()))
            }
            _ => return Flow::Accepted,
        };
        if let Some(network) = self.network.get() {
            let _gone = network.send(&peer, Lane::Bulk, Wire::Snapshot(lie).to_frame());
        }
        Flow::Accepted
    }

    fn announcement(&self, _from: PublicKey, _bytes: Bytes) -> Verdict {
        Verdict::Ignore
    }
}

static CHAIN: OnceLock<tonle_model::hash::ChainHash> = OnceLock::new();

/// Puts a liar in the place of a validator, with its key and address.
fn start_liar(net: &Localnet, runtime: &tokio::runtime::Runtime) -> (NetworkHandle, NetworkTask) {
    let _first = CHAIN.set(net.chain());
    let config = config(net, LIAR);
    let text = |value: &toml::Value| value.as_str().expect("a text").to_owned();
    let peers = config["peers"].as_array().expect("a list").iter().map(|peer| PeerAddress {
        public_key: text(&peer["public_key"]).parse().expect("a key"),
        address: text(&peer["address"]),
    });
    let network_config = NetworkConfig {
        key: KeyPair::demo(&format!("validator_{LIAR}")),
        chain: net.chain(),
        listen: text(&config["p2p"]).parse().expect("an address"),
        peers: peers.collect(),
        observers: Vec::new(),
    };
    let liar = Arc::new(Liar { network: OnceLock::new() });
    let started = network::start(network_config, liar.clone(), runtime.handle());
    let (handle, task) = runtime.block_on(started).expect("the liar listens");
    let _first = liar.network.set(handle.clone());
    (handle, task)
}

fn metric(net: &Localnet, runtime: &tokio::runtime::Runtime, name: &str) -> Option<u64> {
    let text = runtime.block_on(net.client(NEW).metrics()).ok()?;
    let line = text.lines().find(|line| line.starts_with(&format!("{name} ")))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[test]
fn a_peer_that_lies_is_dropped_and_counted() {
    let net = Localnet::start(4);
    (0..3).for_each(|_| pay(&net, "7"));
    net.agreed(net.height());
    let height = net.height();
    lose_disk(&net);
    let_join(&net);
    // Nobody else answers until the liar was believed.
    (0..NEW).for_each(|index| net.kill(index));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let (liar, task) = start_liar(&net, &runtime);
    net.restart(NEW);
    let is_dropped = || log(&net).contains("lied about a snapshot").then_some(());
    net.wait_for("the liar to be dropped", is_dropped);
    (0..LIAR).for_each(|index| net.restart(index));
    let new = || net.rows().into_iter().find(|row| row.index == NEW as u64);
    net.wait_for("the new node to join", || new().filter(|row| row.height == height));
    let name = "tonle_snapshot_sources_dropped_total";
    net.wait_for("the count", || metric(&net, &runtime, name).filter(|count| *count == 1));
    liar.shutdown();
    runtime.block_on(task.join()).expect("it ends");
    net.restart(LIAR);
    pay(&net, "9");
    net.agreed(height + 1);
}
