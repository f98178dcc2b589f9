//! How far a window goes back, and who decided its blocks.

use tonle_model::limits;
use tonle_model::number::Height;

use super::{Node, restore};
use crate::state::StateError;

/// Longer than anything used up lives.
const LONG_MS: u64 = limits::TTL_MS_MAX + 2 * limits::DRIFT_MS + 1;

fn pay_later(node: &mut Node, by_ms: u64) {
    let at_ms = node.net.world.committed().timestamp_ms + by_ms;
    let now = at_ms;
    let draft = node.net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1").window(now, now + 30_000);
    let batches = vec![node.net.batch(vec![draft.signed()])];
    let block = node.decide(batches, at_ms);
    assert_eq!(block.receipts.len(), 1);
}

#[test]
fn it_goes_back_to_the_first_block_that_is_too_old() {
    let mut node = Node::new();
    (0..3).for_each(|_| pay_later(&mut node, 1_000));
    pay_later(&mut node, LONG_MS);
    (0..2).for_each(|_| pay_later(&mut node, 1_000));
    let taken = restore(&node.file(), &node.net.genesis).unwrap();
    let mut joined = node.joined(&taken);
    let reader = joined.net.world.reader();
    assert_eq!(reader.joined().unwrap().first, Height(3), "the newest of those too old");
    assert_eq!(joined.chain.reader().first_height().unwrap(), Height(3));
    assert_eq!(reader.receipts(Height(2)).unwrap(), None);
    assert_eq!(joined.chain.reader().block(Height(2)).unwrap(), None);
    pay_later(&mut joined, 1_000);
    // A restart reads no further back than there is.
    joined.net.reopen();
    let world = &mut joined.net.world;
    assert_eq!(world.catch_up(&joined.chain.reader()).unwrap(), Height(7));
}

#[test]
fn a_state_ahead_of_its_chain_is_noticed_after_a_join_too() {
    let mut node = Node::new();
    node.pay("1");
    let taken = restore(&node.file(), &node.net.genesis).unwrap();
    let mut joined = node.joined(&taken);
    let other = super::open_chain(
        &node.net.genesis,
        std::sync::Arc::new(crate::memory::MemoryStore::new()),
    );
    let error = joined.net.world.catch_up(&other.reader()).unwrap_err();
    assert!(matches!(error, StateError::AheadOfChain { .. }));
}

#[test]
fn the_validators_are_followed_from_the_genesis_on() {
    let mut node = Node::new();
    node.pay("1");
    node.unregister("v4");
    node.pay("2");
    node.unregister("v3");
    node.pay("3");
    let file = node.file();
    let taken = restore(&file, &node.net.genesis).unwrap();
    let mut joined = node.joined(&taken);
    assert_eq!(joined.net.world.reader().validators().count(), 2);
    // What it remembers of changes in blocks that it lost serves the next snapshot.
    pay_later(&mut joined, LONG_MS);
    pay_later(&mut joined, LONG_MS);
    let again = restore(&joined.file(), &node.net.genesis).unwrap();
    assert_eq!(again.committed, joined.net.world.committed());
    let kept = joined.joined(&again);
    let kept = kept.net.world.reader().joined().unwrap().clone();
    assert_eq!((kept.first, kept.changes.len()), (Height(6), 2));
}

#[test]
fn the_block_that_changes_the_validators_can_be_the_last() {
    let mut node = Node::new();
    node.pay("1");
    node.unregister("v4");
    let taken = restore(&node.file(), &node.net.genesis).unwrap();
    let mut joined = node.joined(&taken);
    joined.pay("2");
    let again = restore(&joined.file(), &node.net.genesis).unwrap();
    assert_eq!(again.committed.height, Height(3));
}
