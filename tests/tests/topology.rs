//! Validators that are not all connected to each other.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tonle_client::api::TransactionStatus;
use tonle_tests::localnet::{Localnet, binary, runtime};
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

fn start_with(net: &Localnet, links: [&[usize]; 4]) -> Vec<Node> {
    net.ok(&["localnet", "down"]);
    let start = |(index, others): (usize, &&[usize])| start(net, index, others);
    let nodes = links.iter().enumerate().map(start).collect();
    net.wait_for("the links", || linked(net, links).then_some(()));
    nodes
}

fn linked(net: &Localnet, links: [&[usize]; 4]) -> bool {
    let peers = |index| runtime().block_on(net.client(index).node_status()).map(|one| one.peers);
    (0..4).all(|index| peers(index).is_ok_and(|peers| peers as usize == links[index].len()))
}

fn metric(net: &Localnet, index: usize, name: &str) -> Option<u64> {
    let text = runtime().block_on(net.client(index).metrics()).ok()?;
    let line = text.lines().find(|line| line.split(' ').next() == Some(name))?;
    line.split(' ').nth(1)?.parse().ok()
}

/// A line of four: only gossip leads from one end to the other, and each hop pulls the batch from
/// the one before. (No end hears from the two others that a restarted validator must hear before
/// it votes, so nothing is decided here.)
#[test]
fn a_batch_reaches_validators_that_its_author_is_not_connected_to() {
    let net = Localnet::start(4);
    let line: [&[usize]; 4] = [&[1], &[0, 2], &[1, 3], &[2]];
    let _nodes = start_with(&net, line);
    let transaction = payment(net.chain(), "sok@aclb", "dara@wing", "1");
    net.wait_for("the first end to take it", || {
        runtime().block_on(net.client(0).submit(&transaction)).ok()
    });
    for index in 1..4 {
        net.wait_for("the batch", || {
            metric(&net, index, "tonle_pool_batches").filter(|batches| *batches > 0)
        });
    }
    assert!(linked(&net, line), "still a line");
}

/// A ring of four: nobody hears everybody, and payments settle all the same.
#[test]
fn a_ring_settles_what_its_members_take_in() {
    let net = Localnet::start(4);
    let ring: [&[usize]; 4] = [&[1, 3], &[0, 2], &[1, 3], &[0, 2]];
    let _nodes = start_with(&net, ring);
    for index in 0..4 {
        let transaction = payment(net.chain(), "sok@aclb", "dara@wing", "1");
        let hash = transaction.payload.hash();
        net.wait_for("a member to take it", || {
            runtime().block_on(net.client(index).submit(&transaction)).ok()
        });
        let opposite = net.client((index + 2) % 4);
        net.wait_for("the opposite member to settle it", || {
            let wait = Some(Duration::from_secs(5));
            let status = runtime().block_on(opposite.status(&hash, wait)).ok()?;
            matches!(status, TransactionStatus::Committed { .. }).then_some(())
        });
    }
    assert!(linked(&net, ring), "still a ring");
}
