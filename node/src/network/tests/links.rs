//! Honest nodes among themselves.

use std::time::Instant;

use bytes::Bytes;
use tonle_model::key::KeyPair;

use super::cable::Cable;
use super::harness::{Node, config, keys, localhost, pair, peer, runtime, silent_peer, wait_until};
use crate::network::link::QUEUE_FRAMES_MAX;
use crate::network::{FRAME_BYTES_MAX, Lane, SendError, Verdict};

fn numbered(number: u32, size: usize) -> Bytes {
    let mut bytes = vec![0; size.max(4)];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    Bytes::from(bytes)
}

/// Sends although the queue is full at times.
fn send(from: &Node, to: &KeyPair, lane: Lane, frame: &Bytes) {
    wait_until("sending", || match from.handle.send(&to.public_key(), lane, frame.clone()) {
        Ok(()) => true,
        Err(SendError::Full) => false,
        Err(error) => panic!("{error}"),
    });
}

#[test]
fn two_nodes_exchange_on_both_lanes_in_order() {
    let runtime = runtime();
    let (low, high) = pair(&runtime);
    let sizes = [4, 200, 70_000, FRAME_BYTES_MAX, 5, 8_192];
    for number in 0..300_u32 {
        for lane in Lane::ALL {
            let frame = numbered(number, sizes[number as usize % sizes.len()]);
            send(&low, &high.key, lane, &frame);
            send(&high, &low.key, lane, &frame);
        }
    }
    for (to, from) in [(&low, &high), (&high, &low)] {
        for lane in Lane::ALL {
            let frames = to.recorder.wait_frames(&from.key, lane, 300);
            for (number, frame) in frames.iter().enumerate() {
                assert_eq!(*frame, numbered(number as u32, sizes[number % sizes.len()]));
            }
        }
    }
    let counters = high.handle.counters();
    assert_eq!(counters.connections.get(), 1);
    assert_eq!(counters.frames_in.get(), 600);
    low.stop(&runtime);
    high.recorder.wait("disconnecting", |seen| seen.disconnected.len() == 1);
    assert_eq!(counters.connections.get(), 0);
    high.stop(&runtime);
}

#[test]
fn a_frame_to_nobody_or_of_bad_size_is_refused() {
    let runtime = runtime();
    let (low, high) = pair(&runtime);
    let stranger = KeyPair::demo("stranger").public_key();
    let frame = Bytes::from_static(b"vote");
    assert_eq!(low.handle.send(&stranger, Lane::Consensus, frame), Err(SendError::NotConnected));
    let oversized = Bytes::from(vec![0; FRAME_BYTES_MAX + 1]);
    let sent = low.handle.send(&high.key.public_key(), Lane::Bulk, oversized);
    assert_eq!(sent, Err(SendError::Size));
}

#[test]
fn broadcast_reaches_every_peer() {
    let runtime = runtime();
    let keys = keys(4);
    let mut nodes: Vec<Node> = Vec::new();
    for index in (0..4).rev() {
        let mut peers: Vec<_> = nodes.iter().map(Node::as_peer).collect();
        peers.extend(keys[..index].iter().map(silent_peer));
        nodes.push(Node::start(&runtime, config(&keys[index], peers)));
    }
    for node in &nodes {
        wait_until("connecting", || node.handle.connected().len() == 3);
    }
    for node in &nodes {
        assert_eq!(node.handle.broadcast(Lane::Consensus, &Bytes::from_static(b"vote")), 3);
    }
    for node in &nodes {
        for from in nodes.iter().filter(|from| from.key.public_key() != node.key.public_key()) {
            node.recorder.wait_frames(&from.key, Lane::Consensus, 1);
        }
        assert_eq!(node.handle.connected().len(), 3, "one link to each peer is left");
    }
    for node in nodes {
        node.stop(&runtime);
    }
}

#[test]
fn an_announcement_passes_a_line_of_four() {
    let runtime = runtime();
    let keys = keys(4);
    let d = Node::start(&runtime, config(&keys[3], vec![silent_peer(&keys[2])]));
    let c = Node::start(&runtime, config(&keys[2], vec![d.as_peer(), silent_peer(&keys[1])]));
    let b = Node::start(&runtime, config(&keys[1], vec![c.as_peer(), silent_peer(&keys[0])]));
    let a = Node::start(&runtime, config(&keys[0], vec![b.as_peer()]));
    for (from, to) in [(&a, &b), (&b, &a), (&b, &c), (&c, &b), (&c, &d), (&d, &c)] {
        from.wait_connected(&to.key);
    }
    // Subscriptions follow the connection by a moment, so the first announcements may be lost.
    let mut number = 0;
    wait_until("relaying", || {
        number += 1;
        a.handle.announce(numbered(number, 100)).expect("there is room");
        !d.recorder.seen.lock().unwrap().announcements.is_empty()
    });
    assert_eq!(d.handle.connected(), [keys[2].public_key()], "it came through C");

    // What C does not accept goes no further; what it accepts later does.
    let silence = Bytes::from_static(b"ignored by C");
    c.recorder.set_verdict(Verdict::Ignore);
    a.handle.announce(silence.clone()).expect("there is room");
    c.recorder.wait("hearing", |seen| seen.announcements.contains(&silence));
    c.recorder.set_verdict(Verdict::Accept);
    let last = Bytes::from_static(b"accepted by C");
    a.handle.announce(last.clone()).expect("there is room");
    d.recorder.wait("relaying", |seen| seen.announcements.contains(&last));
    assert!(!d.recorder.seen.lock().unwrap().announcements.contains(&silence));
}

#[test]
fn a_line_whose_halves_met_first_still_relays() {
    let runtime = runtime();
    let keys = keys(4);
    let d = Node::start(&runtime, config(&keys[3], vec![silent_peer(&keys[2])]));
    let c = Node::start(&runtime, config(&keys[2], vec![d.as_peer(), silent_peer(&keys[1])]));
    c.wait_connected(&keys[3]);
    // B listens before it dials, and A reaches it before B knows of C.
    let b_first = Node::start(&runtime, config(&keys[1], vec![silent_peer(&keys[0])]));
    let b_address = b_first.address();
    b_first.stop(&runtime);
    let a = Node::start(&runtime, config(&keys[0], vec![peer(&keys[1], b_address)]));
    let mut b_config = config(&keys[1], vec![c.as_peer(), silent_peer(&keys[0])]);
    b_config.listen = b_address;
    let b = Node::start(&runtime, b_config);
    for (from, to) in [(&a, 1), (&b, 0), (&b, 2), (&c, 1), (&c, 3)] {
        from.wait_connected(&keys[to]);
    }
    for (from, to) in [(&a, &d), (&d, &a)] {
        let mut number = 0;
        wait_until("relaying", || {
            number += 1;
            from.handle.announce(numbered(number, 100)).expect("there is room");
            !to.recorder.seen.lock().unwrap().announcements.is_empty()
        });
    }
}

#[test]
fn a_rejected_announcement_costs_the_link() {
    let runtime = runtime();
    let (low, high) = pair(&runtime);
    high.recorder.set_verdict(Verdict::Reject);
    let mut number = 0;
    wait_until("rejecting", || {
        number += 1;
        low.handle.announce(numbered(number, 100)).expect("there is room");
        high.handle.counters().bad_announcements.get() > 0
    });
    high.recorder.wait("disconnecting", |seen| seen.disconnected.len() == 1);
}

#[test]
fn a_restarted_peer_is_connected_again() {
    let runtime = runtime();
    let (low, high) = pair(&runtime);
    let address = high.address();
    let high_key = high.key.clone();
    let mut high = Some(high);
    for round in 1..=3 {
        high.take().expect("it runs").stop(&runtime);
        low.recorder.wait("disconnecting", |seen| seen.disconnected.len() == round);
        let mut restarted = config(&high_key, vec![silent_peer(&low.key)]);
        restarted.listen = address;
        let again = Node::start(&runtime, restarted);
        low.recorder.wait("connecting again", |seen| seen.connected.len() == round + 1);
        send(&low, &high_key, Lane::Consensus, &Bytes::from_static(b"status"));
        again.recorder.wait_frames(&low.key, Lane::Consensus, 1);
        high = Some(again);
    }
}

/// After a cut nobody knows of, and however much waited to be sent.
#[test]
fn a_peer_that_was_cut_off_is_connected_again() {
    let runtime = runtime();
    let keys = keys(2);
    let high = Node::start(&runtime, config(&keys[1], vec![silent_peer(&keys[0])]));
    let cable = Cable::to(&runtime, high.address());
    let low = Node::start(&runtime, config(&keys[0], vec![peer(&keys[1], cable.address())]));
    for round in 0..3 {
        for node in [&low, &high] {
            node.recorder.wait("connecting again", |seen| seen.connected.len() == round + 1);
        }
        cable.cut();
        let frame = numbered(0, FRAME_BYTES_MAX);
        wait_until("filling", || {
            low.handle.send(&keys[1].public_key(), Lane::Bulk, frame.clone()) != Ok(())
        });
        for node in [&low, &high] {
            node.recorder.wait("noticing", |seen| seen.disconnected.len() == round + 1);
        }
    }
}

#[test]
fn the_higher_key_dials_when_the_lower_one_cannot() {
    let runtime = runtime();
    let keys = keys(2);
    let low = Node::start(&runtime, config(&keys[0], vec![silent_peer(&keys[1])]));
    let high = Node::start(&runtime, config(&keys[1], vec![low.as_peer()]));
    low.wait_connected(&high.key);
    high.wait_connected(&low.key);
}

#[test]
fn an_observer_is_let_in_and_dials_at_once() {
    let runtime = runtime();
    let keys = keys(2);
    let observers = vec![keys[1].public_key()];
    let mut validator = config(&keys[0], Vec::new());
    validator.observers.clone_from(&observers);
    let validator = Node::start(&runtime, validator);
    let mut observer = config(&keys[1], vec![validator.as_peer()]);
    observer.observers = observers;
    let started = Instant::now();
    let observer = Node::start(&runtime, observer);
    observer.wait_connected(&validator.key);
    assert!(started.elapsed().as_secs() < 3, "it did not wait to be dialed");
}

#[test]
fn a_removed_validator_is_disconnected_and_an_added_one_let_in() {
    let runtime = runtime();
    let (low, high) = pair(&runtime);
    high.handle.set_allowed(Vec::new());
    low.recorder.wait("disconnecting", |seen| seen.disconnected.len() == 1);
    wait_until("refusing", || high.handle.counters().refused_peers.get() > 0);
    high.handle.set_allowed(vec![low.key.public_key()]);
    high.recorder.wait("connecting again", |seen| seen.connected.len() == 2);
}

#[test]
fn a_blamed_peer_is_disconnected_and_kept_out_for_a_while() {
    let runtime = runtime();
    let (low, high) = pair(&runtime);
    high.handle.disconnect(&low.key.public_key());
    high.recorder.wait("disconnecting", |seen| seen.disconnected.len() == 1);
    wait_until("refusing", || high.handle.counters().refused_connections.get() > 0);
    assert_eq!(high.recorder.seen.lock().unwrap().connected.len(), 1);
    high.recorder.wait("connecting again", |seen| seen.connected.len() == 2);
}

#[test]
fn a_busy_sink_loses_nothing_and_holds_little() {
    let runtime = runtime();
    let (low, high) = pair(&runtime);
    high.recorder.set_busy(Some(Lane::Bulk));
    let frame_bytes = 64 * 1024;
    let mut sent = 0;
    // The sender is stopped by its own bound, not by the memory of either side.
    loop {
        let frame = numbered(sent, frame_bytes);
        match low.handle.send(&high.key.public_key(), Lane::Bulk, frame) {
            Ok(()) => sent += 1,
            Err(SendError::Full) => break,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(low.handle.counters().dropped_full_bulk.get(), 1);
    high.recorder.wait("offering", |seen| seen.busy_offers >= 3);
    // Meanwhile the other lane flows.
    send(&low, &high.key, Lane::Consensus, &Bytes::from_static(b"vote"));
    high.recorder.wait_frames(&low.key, Lane::Consensus, 1);
    assert!(high.recorder.frames(&low.key, Lane::Bulk).is_empty());

    high.recorder.set_busy(None);
    for number in sent..sent + 100 {
        send(&low, &high.key, Lane::Bulk, &numbered(number, frame_bytes));
    }
    let frames = high.recorder.wait_frames(&low.key, Lane::Bulk, sent as usize + 100);
    for (number, frame) in frames.iter().enumerate() {
        assert_eq!(*frame, numbered(number as u32, frame_bytes));
    }
}

#[test]
fn ten_thousand_small_frames() {
    let runtime = runtime();
    let (low, high) = pair(&runtime);
    let count = 10_000;
    let started = Instant::now();
    for number in 0..count {
        send(&low, &high.key, Lane::Consensus, &numbered(number, 250));
    }
    high.recorder.wait_frames(&low.key, Lane::Consensus, count as usize);
    let elapsed = started.elapsed();
    println!("{count} frames of 250 bytes in {elapsed:?}, {:?} each", elapsed / count);
    assert!(count as usize > QUEUE_FRAMES_MAX, "more than a queue holds");
}

#[test]
fn two_nodes_cannot_listen_on_one_address() {
    let runtime = runtime();
    let keys = keys(2);
    let first = Node::start(&runtime, config(&keys[0], Vec::new()));
    assert_ne!(first.address(), localhost());
    let mut second = config(&keys[1], Vec::new());
    second.listen = first.address();
    let sink = std::sync::Arc::clone(&first.recorder) as _;
    let outcome = runtime.block_on(crate::network::start(second, sink, runtime.handle()));
    assert!(outcome.is_err());
}
