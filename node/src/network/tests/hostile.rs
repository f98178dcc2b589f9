//! A validator that breaks the rules: it has a key that is let in, and its own software.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use futures::{AsyncReadExt, AsyncWriteExt, StreamExt};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, StreamProtocol, noise, tcp, yamux};
use libp2p_stream::IncomingStreams;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tonle_model::key::KeyPair;

use super::harness::{CHAIN, Node, config, keys, runtime, silent_peer, wait_until};
use crate::network::identity::{key_pair, peer_id};
use crate::network::{FRAME_BYTES_MAX, Lane, SendError};

const CONSENSUS: StreamProtocol = StreamProtocol::new("/tonle/consensus/1");
const BULK: StreamProtocol = StreamProtocol::new("/tonle/bulk/1");

/// Two outbound substreams that write what the test says, and inbound ones that are held.
struct Hostile {
    consensus: mpsc::UnboundedSender<Vec<u8>>,
    bulk: mpsc::UnboundedSender<Vec<u8>>,
}

impl Hostile {
    /// Connects to `node`. `reads` is whether it reads what it is sent.
    fn connect(runtime: &Runtime, key: &KeyPair, node: &Node, reads: bool) -> Self {
        let (consensus, consensus_bytes) = mpsc::unbounded_channel::<Vec<u8>>();
        let (bulk, bulk_bytes) = mpsc::unbounded_channel::<Vec<u8>>();
        let remote = peer_id(&node.key.public_key()).expect("a key");
        let address = multiaddr(node.address());
        let identity = key_pair(key).expect("a key");
        runtime.spawn(async move {
            let mut swarm = libp2p::SwarmBuilder::with_existing_identity(identity)
                .with_tokio()
                .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
                .expect("a transport")
                .with_behaviour(|_| libp2p_stream::Behaviour::new())
                .expect("a behaviour")
                .build();
            let mut control = swarm.behaviour().new_control();
            for protocol in [CONSENSUS, BULK] {
                let incoming = control.accept(protocol).expect("not accepted yet");
                tokio::spawn(hold(incoming, reads));
            }
            swarm.dial(address).expect("it can dial");
            loop {
                if let SwarmEvent::ConnectionEstablished { .. } = swarm.select_next_some().await {
                    break;
                }
            }
            for (protocol, mut bytes) in [(CONSENSUS, consensus_bytes), (BULK, bulk_bytes)] {
                let mut control = control.clone();
                tokio::spawn(async move {
                    let Ok(mut stream) = control.open_stream(remote, protocol).await else {
                        return;
                    };
                    while let Some(bytes) = bytes.recv().await {
                        if stream.write_all(&bytes).await.is_err() || stream.flush().await.is_err()
                        {
                            return;
                        }
                    }
                    std::future::pending::<()>().await;
                });
            }
            loop {
                swarm.select_next_some().await;
            }
        });
        Self { consensus, bulk }
    }

    fn greet(&self) {
        for lane in [&self.consensus, &self.bulk] {
            lane.send(frame(CHAIN.as_ref())).expect("it runs");
        }
    }
}

async fn hold(mut incoming: IncomingStreams, reads: bool) {
    let mut held = Vec::new();
    while let Some((_, mut stream)) = incoming.next().await {
        match reads {
            true => {
                tokio::spawn(async move {
                    let mut buffer = vec![0; 65_536];
                    while stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
                });
            }
            false => held.push(stream),
        }
    }
}

fn multiaddr(address: SocketAddr) -> Multiaddr {
    format!("/ip4/{}/tcp/{}", address.ip(), address.port()).parse().expect("an address")
}

fn frame(bytes: &[u8]) -> Vec<u8> {
    [&(bytes.len() as u32).to_le_bytes(), bytes].concat()
}

/// A node that lets one hostile validator in.
fn node_and_key(runtime: &Runtime) -> (Node, KeyPair) {
    let keys = keys(2);
    (Node::start(runtime, config(&keys[1], vec![silent_peer(&keys[0])])), keys[0].clone())
}

#[test]
fn an_oversized_frame_ends_the_link_and_is_counted() {
    for bulk in [false, true] {
        let runtime = runtime();
        let (node, key) = node_and_key(&runtime);
        let hostile = Hostile::connect(&runtime, &key, &node, true);
        hostile.greet();
        node.wait_connected(&key);
        let lane = if bulk { &hostile.bulk } else { &hostile.consensus };
        let mut bytes = frame(b"the last good one");
        bytes.extend((FRAME_BYTES_MAX as u32 + 1).to_le_bytes());
        lane.send(bytes).expect("it runs");
        node.recorder.wait("disconnecting", |seen| seen.disconnected.len() == 1);
        assert_eq!(node.handle.counters().oversized_frames.get(), 1);
        let lane = if bulk { Lane::Bulk } else { Lane::Consensus };
        assert_eq!(node.recorder.frames(&key, lane), [&b"the last good one"[..]]);
    }
}

#[test]
fn a_bad_greeting_never_makes_a_link() {
    let oversized = 33_u32.to_le_bytes().to_vec();
    for greeting in [frame(b"hello"), frame(b""), oversized] {
        let runtime = runtime();
        let (node, key) = node_and_key(&runtime);
        let hostile = Hostile::connect(&runtime, &key, &node, true);
        hostile.consensus.send(greeting).expect("it runs");
        wait_until("dropping", || {
            let counters = node.handle.counters();
            counters.broken_links.get() + counters.oversized_frames.get() == 1
        });
        assert!(node.recorder.seen.lock().unwrap().connected.is_empty());
    }
}

#[test]
fn a_peer_that_does_not_greet_is_dropped() {
    let runtime = runtime();
    let (node, key) = node_and_key(&runtime);
    let hostile = Hostile::connect(&runtime, &key, &node, true);
    hostile.consensus.send(frame(CHAIN.as_ref())).expect("it runs");
    wait_until("dropping", || node.handle.counters().broken_links.get() == 1);
    assert!(node.recorder.seen.lock().unwrap().connected.is_empty());
}

#[test]
fn an_empty_frame_is_not_given_to_the_node() {
    let runtime = runtime();
    let (node, key) = node_and_key(&runtime);
    let hostile = Hostile::connect(&runtime, &key, &node, true);
    hostile.greet();
    hostile.consensus.send([frame(b""), frame(b"vote")].concat()).expect("it runs");
    assert_eq!(node.recorder.wait_frames(&key, Lane::Consensus, 1), [&b"vote"[..]]);
}

#[test]
fn a_peer_that_falls_silent_is_dropped_and_one_that_only_lives_is_not() {
    let runtime = runtime();
    let keys = keys(4);
    let peers = keys[..3].iter().map(silent_peer).collect();
    let node = Node::start(&runtime, config(&keys[3], peers));
    let quiet = Node::start(&runtime, config(&keys[0], vec![node.as_peer()]));
    node.wait_connected(&quiet.key);
    let silent = Hostile::connect(&runtime, &keys[1], &node, true);
    silent.greet();
    let alive = Hostile::connect(&runtime, &keys[2], &node, true);
    alive.greet();
    node.wait_connected(&keys[1]);
    node.wait_connected(&keys[2]);
    let beats = alive.bulk.clone();
    runtime.spawn(async move {
        while beats.send(frame(b"")).is_ok() {
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    });
    node.recorder.wait("dropping", |seen| !seen.disconnected.is_empty());
    assert_eq!(node.recorder.seen.lock().unwrap().disconnected, [keys[1].public_key()]);
    let expected = [keys[0].public_key(), keys[2].public_key()];
    assert_eq!(node.handle.connected(), expected, "an idle node keeps its links alive");
}

#[test]
fn a_peer_that_never_reads_fills_its_queue_and_nothing_else() {
    let runtime = runtime();
    let (node, key) = node_and_key(&runtime);
    let hostile = Hostile::connect(&runtime, &key, &node, false);
    hostile.greet();
    node.wait_connected(&key);
    let frame_bytes = Bytes::from(vec![1; FRAME_BYTES_MAX]);
    let mut sent = 0;
    let to = key.public_key();
    // Until the queue is full and stays so: the bound plus what the transport holds.
    wait_until("filling", || match node.handle.send(&to, Lane::Bulk, frame_bytes.clone()) {
        Ok(()) => {
            sent += 1;
            assert!(sent < 64, "the queue is bounded");
            false
        }
        Err(error) => error == SendError::Full && sent >= 32,
    });
    assert!(node.handle.counters().dropped_full_bulk.get() > 0);
    hostile.bulk.send(frame(b"it still speaks")).expect("it runs");
    node.recorder.wait_frames(&key, Lane::Bulk, 1);
    node.stop(&runtime);
}
