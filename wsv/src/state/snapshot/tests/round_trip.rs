//! What was restored is what was taken, and goes on like it.

use std::ops::ControlFlow;

use proptest::prelude::*;
use tonle_model::hash::Digest256;
use tonle_model::id::DomainId;
use tonle_model::instruction::{Instruction, Invoice};
use tonle_model::number::Height;
use tonle_model::receipt::{Outcome, VoidCode};

use super::{Node, restore};
use crate::state::snapshot::{PartId, SnapshotError, Source};
use crate::state::tests::{hold, locked};
use crate::store::{ScanOrder, Store, Table};
use crate::testing::{asset, pay};

type Rows = Vec<(Vec<u8>, Vec<u8>)>;

fn rows(store: &dyn Store, table: Table) -> Rows {
    let mut rows = Vec::new();
    store
        .scan(table, &[], ScanOrder::Ascending, &mut |key, value| {
            rows.push((key.to_vec(), value.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    rows
}

/// Tables that a restored node has whole.
const WHOLE: [Table; 7] = [
    Table::Slots,
    Table::Keys,
    Table::Subtrees,
    Table::Expiries,
    Table::Holds,
    Table::Accounts,
    Table::Totals,
];

fn assert_same_state(one: &Node, other: &Node) {
    for table in WHOLE {
        assert_eq!(rows(&*one.net.store, table), rows(&*other.net.store, table), "{table:?}");
    }
    other.net.world.reader().audit().unwrap();
}

/// Blocks with a bit of everything that stands somewhere beside the state tree.
fn lively() -> Node {
    let mut node = Node::new();
    node.pay("1");
    let invoice = Invoice { id: "bill".parse().unwrap(), expires_ms: node.net.next_ms() + 50_000 };
    let mut steps = vec![("sok@aclb".into(), hold(&node.net, "dara@aclb", "7"))];
    steps.push(("sok@aclb".into(), locked(&node.net, "joint@aclb", "5", Some(invoice))));
    let draft = node.net.draft(steps);
    assert_eq!(node.block(vec![draft.signed()]).receipts[0].outcome, Outcome::Applied);
    // Rejected, void twice, applied with a reference.
    let poor = node.net.pay("dara@aclb", "sok@aclb", "khr#nbc", "1000000");
    let unsigned = node.net.pay("dara@aclb", "sok@aclb", "khr#nbc", "1").by(&["sok@aclb"]);
    let named = node.net.pay("sok@aclb", "dara@aclb", "usd#nbc", "0.50").reference("rent");
    let members = [&poor, &unsigned, &named, &named.clone().nonce(999)].map(|draft| draft.signed());
    let block = node.block(members.into());
    assert_eq!((block.receipts.len(), block.voids.len()), (2, 2));
    node
}

#[test]
fn a_restored_state_is_the_same_and_goes_on_to_the_same_roots() {
    let mut node = lively();
    node.open_accounts(1_200);
    assert!(node.source().piece_count() > 4, "subtrees are cut and joined");
    let taken = restore(&node.file(), &node.net.genesis).unwrap();
    assert_eq!(taken.committed, node.net.world.committed());
    let mut joined = node.joined(&taken);
    assert_same_state(&node, &joined);
    for amount in ["3", "4", "5"] {
        let at_ms = node.net.next_ms();
        let steps = vec![pay("sok@aclb", "dara@aclb", "khr#nbc", amount)];
        let batches = vec![node.net.batch(vec![node.net.draft(steps).signed()])];
        let block = node.decide(batches.clone(), at_ms);
        assert_eq!(joined.decide(batches, at_ms).result, block.result);
    }
    assert_same_state(&node, &joined);
}

#[test]
fn what_was_used_up_before_a_snapshot_is_used_up_after_it() {
    let mut node = Node::new();
    let old = node.pay("1");
    let named = node.net.pay("sok@aclb", "dara@aclb", "khr#nbc", "2").reference("rent");
    node.block(vec![named.signed()]);
    let taken = restore(&node.file(), &node.net.genesis).unwrap();
    let mut joined = node.joined(&taken);
    let again = node.net.pay("sok@aclb", "dara@aclb", "khr#nbc", "9").reference("rent");
    let block = joined.block(vec![old.signed(), again.signed()]);
    let codes: Vec<_> = block.voids.iter().map(|(_, void)| void.code).collect();
    assert_eq!(codes, [VoidCode::Duplicate, VoidCode::Duplicate]);
}

#[test]
fn transactions_and_blocks_of_the_window_are_on_record() {
    let mut node = lively();
    let draft = node.pay("4");
    let taken = restore(&node.file(), &node.net.genesis).unwrap();
    let joined = node.joined(&taken);
    let (before, after) = (node.net.world.reader(), joined.net.world.reader());
    let hash = draft.signed().hash();
    let record = after.transaction(&hash).unwrap();
    assert_eq!(record, before.transaction(&hash).unwrap());
    for height in (1..=node.net.world.committed().height.0).map(Height) {
        assert_eq!(after.receipts(height).unwrap(), before.receipts(height).unwrap());
        let (chain, expected) = (joined.chain.reader(), node.chain.reader());
        assert_eq!(chain.block(height).unwrap(), expected.block(height).unwrap());
        assert_eq!(chain.batches_of(height).unwrap(), expected.batches_of(height).unwrap());
    }
    let proof = after.prove_receipt(&hash).unwrap().unwrap();
    assert_eq!(proof.place, 0);
    let kept = after.joined().unwrap();
    assert_eq!((kept.first, kept.height), (Height(1), node.net.world.committed().height));
}

#[test]
fn a_restored_node_gives_the_same_snapshot() {
    let mut node = lively();
    node.open_accounts(300);
    let file = node.file();
    let taken = restore(&file, &node.net.genesis).unwrap();
    assert_eq!(node.joined(&taken).file(), file);
}

#[test]
fn a_snapshot_of_a_snapshot_goes_on() {
    let node = lively();
    let taken = restore(&node.file(), &node.net.genesis).unwrap();
    let mut joined = node.joined(&taken);
    joined.pay("11");
    let again = restore(&joined.file(), &node.net.genesis).unwrap();
    assert_same_state(&joined, &joined.joined(&again));
}

#[test]
fn genesis_alone_needs_no_snapshot() {
    let node = Node::new();
    let source = Source::new(node.net.store.clone(), node.chain_store.clone());
    assert!(matches!(source.err().unwrap(), SnapshotError::Nothing));
}

#[test]
fn there_are_no_other_parts() {
    let node = lively();
    let source = node.source();
    assert!(source.part(PartId::Manifest(1)).unwrap().is_none());
    let id = source.pieces().next().unwrap();
    assert!(source.part(id).unwrap().is_some());
    let PartId::Piece { first, level, root } = id else { panic!("a piece") };
    let places = [(0, level + 1), (1, level), (1u64 << level, level), (u64::MAX, 13), (0, u8::MAX)];
    let elsewhere = places.map(|(first, level)| PartId::Piece { first, level, root });
    let other = PartId::Piece { first, level, root: Digest256([1; 32]) };
    for id in elsewhere.into_iter().chain([other]) {
        assert!(source.part(id).unwrap().is_none(), "{id:?}");
    }
}

#[test]
fn totals_count_what_is_held() {
    let node = lively();
    let taken = restore(&node.file(), &node.net.genesis).unwrap();
    let joined = node.joined(&taken);
    let totals = |node: &Node| node.net.world.reader().totals(&asset("khr#nbc"), None, 10).unwrap();
    let aclb: DomainId = "aclb".parse().unwrap();
    assert_eq!(totals(&joined), totals(&node));
    assert_eq!(totals(&joined)[0].0, aclb);
    assert_eq!(totals(&joined)[0].1.minor(), 1_800);
}

/// What a random block does.
#[derive(Debug, Clone)]
enum Act {
    Pay(usize, usize, u32, bool),
    Hold(usize, usize, u32),
    Note(usize, u8),
}

const PEOPLE: [&str; 3] = ["sok@aclb", "dara@aclb", "bank@aclb"];

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..3usize, 0..3usize, 0..600u32, any::<bool>())
            .prop_map(|(from, to, sum, named)| Act::Pay(from, to, sum, named)),
        1 => (0..3usize, 0..3usize, 1..50u32).prop_map(|(from, to, sum)| Act::Hold(from, to, sum)),
        1 => (0..3usize, any::<u8>()).prop_map(|(who, name)| Act::Note(who, name)),
    ]
}

fn step(node: &Node, act: &Act) -> (String, Instruction) {
    match act {
        Act::Pay(from, to, sum, _) => pay(PEOPLE[*from], PEOPLE[*to], "khr#nbc", &sum.to_string()),
        Act::Hold(from, to, sum) => {
            (PEOPLE[*from].into(), hold(&node.net, PEOPLE[*to], &sum.to_string()))
        }
        Act::Note(who, name) => {
            let note = serde_json::json!({"set_metadata":
                {"account": PEOPLE[*who], "key": format!("n{name}"), "value": "x"}});
            (PEOPLE[*who].into(), serde_json::from_value(note).unwrap())
        }
    }
}

/// The batch of a block of these acts, each a transaction.
fn members(node: &Node, acts: &[Act]) -> Vec<tonle_model::transaction::SignedTransaction> {
    let draft = |act: &Act| {
        let draft = node.net.draft(vec![step(node, act)]);
        match act {
            Act::Pay(_, _, sum, true) => draft.reference(&format!("r{}", sum % 3)).signed(),
            _ => draft.signed(),
        }
    };
    acts.iter().map(draft).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn any_state_is_restored_as_it_was(
        before in prop::collection::vec(prop::collection::vec(act(), 1..6), 1..6),
        after in prop::collection::vec(prop::collection::vec(act(), 1..6), 1..4),
        pauses in prop::collection::vec(prop_oneof![Just(1_000u64), Just(400_000)], 10),
    ) {
        let mut node = Node::new();
        let mut pauses = pauses.into_iter();
        let mut pause = move || pauses.next().unwrap_or(1_000);
        for acts in &before {
            let batches = vec![node.net.batch(members(&node, acts))];
            let at_ms = node.net.world.committed().timestamp_ms + pause();
            node.decide(batches, at_ms.max(node.net.next_ms()));
        }
        let taken = restore(&node.file(), &node.net.genesis).unwrap();
        let mut joined = node.joined(&taken);
        assert_same_state(&node, &joined);
        for acts in &after {
            let at_ms = node.net.next_ms();
            let batches = vec![node.net.batch(members(&node, acts))];
            let block = node.decide(batches.clone(), at_ms);
            let same = joined.decide(batches, at_ms);
            prop_assert_eq!(&same.result, &block.result);
            prop_assert_eq!(&same.voids, &block.voids);
        }
        assert_same_state(&node, &joined);
    }
}
