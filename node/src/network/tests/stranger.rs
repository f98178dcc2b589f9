//! Who must not get in: strangers, other networks, and things that are no peers at all.

use std::io::{Read, Write};
use std::net::TcpStream;

use bytes::Bytes;
use tonle_model::hash::{ChainHash, Digest256};
use tonle_model::key::KeyPair;

use super::harness::{DEADLINE, Node, config, keys, pair, runtime, silent_peer, wait_until};
use crate::network::Lane;

#[test]
fn a_stranger_is_refused_and_counted() {
    let runtime = runtime();
    let (low, high) = pair(&runtime);
    let stranger = KeyPair::demo("stranger");
    let mut observer = config(&stranger, vec![high.as_peer()]);
    observer.observers = vec![stranger.public_key()];
    let stranger = Node::start(&runtime, observer);
    wait_until("refusing", || high.handle.counters().refused_peers.get() > 0);
    assert!(stranger.handle.connected().is_empty());
    assert!(!high.handle.connected().contains(&stranger.key.public_key()));
    assert_eq!(high.handle.connected(), [low.key.public_key()], "the others are not disturbed");
}

#[test]
fn a_peer_of_another_chain_is_dropped() {
    let runtime = runtime();
    let keys = keys(2);
    let high = Node::start(&runtime, config(&keys[1], vec![silent_peer(&keys[0])]));
    let mut other = config(&keys[0], vec![high.as_peer()]);
    other.chain = ChainHash(Digest256([8; 32]));
    let low = Node::start(&runtime, other);
    // Whichever side reads the other's greeting first closes the connection.
    wait_until("dropping", || {
        high.handle.counters().wrong_chain.get() + low.handle.counters().wrong_chain.get() >= 2
    });
    for node in [&low, &high] {
        assert!(node.recorder.seen.lock().unwrap().connected.is_empty());
        assert!(node.handle.connected().is_empty());
    }
}

#[test]
fn garbage_on_the_port_is_dropped_and_counted() {
    let runtime = runtime();
    let (low, high) = pair(&runtime);
    let garbage: Vec<u8> = (0..100_000_u32).map(|number| ((number * 7_919) >> 3) as u8).collect();
    for start in [&garbage[..], b"GET / HTTP/1.1\r\n\r\n", b"\x13/multistream/1.0.0\n\xff\xff\xff"]
    {
        let before = high.handle.counters().failed_handshakes.get();
        let mut stream = TcpStream::connect(high.address()).expect("it listens");
        // The node may close before it read everything.
        let _ = stream.write_all(start);
        let _ = stream.shutdown(std::net::Shutdown::Write);
        wait_until("dropping", || high.handle.counters().failed_handshakes.get() > before);
    }
    low.handle
        .send(&high.key.public_key(), Lane::Consensus, Bytes::from_static(b"vote"))
        .expect("the link is not disturbed");
    high.recorder.wait_frames(&low.key, Lane::Consensus, 1);
}

#[test]
fn a_connection_that_says_nothing_is_dropped() {
    let runtime = runtime();
    let node = Node::start(&runtime, config(&KeyPair::demo("validator"), Vec::new()));
    let mut streams: Vec<TcpStream> =
        (0..200).map(|_| TcpStream::connect(node.address()).expect("it listens")).collect();
    for stream in &mut streams {
        stream.set_read_timeout(Some(DEADLINE)).expect("a socket");
        let mut bytes = [0; 64];
        while stream.read(&mut bytes).is_ok_and(|count| count > 0) {}
    }
    // The limit took some of them, the time-out the others.
    wait_until("counting", || {
        let counters = node.handle.counters();
        counters.failed_handshakes.get() + counters.refused_connections.get() >= 200
    });
    assert!(node.handle.counters().refused_connections.get() > 0);
}
