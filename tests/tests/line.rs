//! Validators that are not all connected to each other: A - B - C - D. What A takes in must reach
//! D, to which only gossip leads, and be settled on all four.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tonle_client::api::TransactionStatus;
use tonle_tests::localnet::{Localnet, binary};
use tonle_tests::payments::payment;

/// Ends with the test.
struct Node(Child);

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended by itself, which the test has noticed then.
        let _ended = self.0.kill();
        let _reaped = self.0.wait();
    }
}

/// Starts a validator that knows only the neighbours given.
fn start(net: &Localnet, index: usize, neighbours: &[usize]) -> Node {
    let directory = net.validator(index);
    let path = directory.join("config.toml");
    let text = std::fs::read_to_string(&path).unwrap();
    let mut config: toml::Table = text.parse().unwrap();
    let addresses: Vec<toml::Value> = neighbours.iter().map(|other| address(net, *other)).collect();
    let peers = config["peers"].as_array_mut().unwrap();
    peers.retain(|peer| addresses.contains(&peer["address"]));
    assert_eq!(peers.len(), neighbours.len());
    std::fs::write(&path, config.to_string()).unwrap();
    let log = std::fs::File::create(directory.join("log")).unwrap();
    let mut command = Command::new(binary("tonled"));
    command.arg("--config").arg(&path).stdout(Stdio::null()).stderr(log);
    Node(command.spawn().unwrap())
}

fn address(net: &Localnet, index: usize) -> toml::Value {
    let text = std::fs::read_to_string(net.validator(index).join("config.toml")).unwrap();
    let config: toml::Table = text.parse().unwrap();
    config["p2p"].clone()
}

#[test]
fn what_one_end_takes_in_is_settled_at_the_other() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let net = Localnet::start(4);
    net.ok(&["localnet", "down"]);
    let line: [&[usize]; 4] = [&[1], &[0, 2], &[1, 3], &[2]];
    let _nodes: Vec<Node> =
        line.iter().enumerate().map(|(index, others)| start(&net, index, others)).collect();
    let peers = |index: usize| {
        runtime.block_on(net.client(index).node_status()).map_or(0, |status| status.peers)
    };
    net.wait_for("the line", || {
        (0..4).all(|index| peers(index) as usize == line[index].len()).then_some(())
    });

    let transaction = payment(net.chain(), "sok@aclb", "dara@wing", "1");
    let hash = transaction.payload.hash();
    net.wait_for("the first end to take it", || {
        runtime.block_on(net.client(0).submit(&transaction)).ok()
    });
    net.wait_for("the other end to settle it", || {
        let wait = Some(Duration::from_secs(5));
        let status = runtime.block_on(net.client(3).status(&hash, wait)).ok()?;
        matches!(status, TransactionStatus::Committed { .. }).then_some(())
    });
    (0..4).for_each(|index| {
        assert_eq!(peers(index) as usize, line[index].len(), "still a line");
    });
}
