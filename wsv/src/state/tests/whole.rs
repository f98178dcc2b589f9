//! Properties of the state as a whole, under random blocks.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;

use parity_scale_codec::Decode;
use proptest::prelude::*;
use tonle_model::bounded::Bounded;
use tonle_model::hash::Digest256;
use tonle_model::instruction::{Instruction, Signatory};
use tonle_model::key::KeyPair;
use tonle_model::merkle;
use tonle_model::number::{ValidatorIndex, View};
use tonle_model::receipt::Receipt;

use crate::memory::MemoryStore;
use crate::state::{StateError, tree};
use crate::store::{ScanOrder, Store, Table};
use crate::testing::{Net, account, next_header, pay};

/// The state root from the rows alone, checking on the way that each leaf names the key after its
/// own and that slots have no gaps.
pub fn naive_root(store: &dyn Store) -> Digest256 {
    let mut leaves = Vec::new();
    let mut next_of = BTreeMap::new();
    store
        .scan(Table::Slots, &[], ScanOrder::Ascending, &mut |slot, row| {
            assert_eq!(slot, (leaves.len() as u64).to_be_bytes());
            leaves.push(tree::leaf(row));
            let (key, _, next) = <(Vec<u8>, Vec<u8>, Vec<u8>)>::decode(&mut &row[..]).unwrap();
            if key.is_empty() {
                return ControlFlow::Continue(());
            }
            assert_eq!(store.get(Table::Keys, &key).unwrap(), Some(slot.to_vec()));
            assert_eq!(next_of.insert(key, next), None);
            ControlFlow::Continue(())
        })
        .unwrap();
    let following = next_of.keys().skip(1).cloned().chain([Vec::new()]);
    for ((key, next), expected) in next_of.iter().zip(following) {
        assert_eq!(*next, expected, "after {key:?}");
    }
    merkle::root(leaves)
}

#[test]
fn genesis_is_a_sound_state() {
    let net = Net::new();
    assert_eq!(net.world.committed().result.state_root, naive_root(&*net.store));
    assert_eq!(net.world.committed().height.0, 0);
    net.world.reader().audit().unwrap();
}

#[derive(Debug, Clone)]
enum Act {
    Pay(usize, usize, u32),
    Open(u8),
    Domain(u8),
    Mint(usize, u32),
}

const PEOPLE: [&str; 4] = ["sok@aclb", "dara@aclb", "bank@aclb", "nbc@nbc"];

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        4 => (0..4usize, 0..4usize, 0..700u32).prop_map(|(from, to, sum)| Act::Pay(from, to, sum)),
        2 => any::<u8>().prop_map(Act::Open),
        1 => any::<u8>().prop_map(Act::Domain),
        1 => (0..4usize, 0..50u32).prop_map(|(to, much)| Act::Mint(to, much)),
    ]
}

fn step(act: &Act) -> (String, Instruction) {
    match act {
        Act::Pay(from, to, much) => pay(PEOPLE[*from], PEOPLE[*to], "khr#nbc", &much.to_string()),
        Act::Open(number) => {
            let public_key = KeyPair::demo("x").public_key();
            let signatories = Bounded::new(vec![Signatory { public_key, weight: 1 }]).unwrap();
            let id = account(&format!("a{number}@aclb"));
            let open = Instruction::RegisterAccount { id, signatories, quorum: 1, tier: None };
            ("bank@aclb".into(), open)
        }
        Act::Domain(number) => {
            let id = format!("d{number}").parse().unwrap();
            ("nbc@nbc".into(), Instruction::RegisterDomain { id })
        }
        Act::Mint(to, much) => {
            let to = account(PEOPLE[*to]);
            let amount = much.to_string().parse().unwrap();
            let asset = "usd#nbc".parse().unwrap();
            ("nbc@nbc".into(), Instruction::Mint { asset, to, amount })
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn the_root_is_that_of_the_rows_and_the_same_everywhere(
        blocks in prop::collection::vec(
            (prop::collection::vec(prop::collection::vec(act(), 1..4), 1..12), any::<bool>()),
            1..6,
        )
    ) {
        let (mut net, mut other) = (Net::new(), Net::new());
        for (transactions, reopen) in blocks {
            let members: Vec<_> = transactions
                .iter()
                .map(|acts| net.draft(acts.iter().map(step).collect()).signed())
                .collect();
            let block = net.block(members.clone());
            prop_assert_eq!(block.result.state_root, naive_root(&*net.store));
            let receipts = block.receipts.iter().map(Receipt::leaf).collect();
            prop_assert_eq!(block.result.receipts_root, merkle::root(receipts));
            // One that starts anew between blocks comes to the same.
            if reopen {
                other.reopen();
            }
            prop_assert_eq!(other.block(members).result, block.result);
        }
    }
}

#[test]
fn candidates_leave_the_state_alone() {
    let mut net = Net::new();
    let [one, two] =
        ["1", "2"].map(|amount| net.pay("sok@aclb", "dara@aclb", "khr#nbc", amount).signed());
    let at = net.next_ms();
    let before = net.world.committed();
    let batches = [vec![net.batch(vec![one])], vec![net.batch(vec![two])]];
    let headers = batches.each_ref().map(|batches| next_header(&net.world, batches, at));
    let first = net.world.execute(&headers[0], &batches[0]).unwrap();
    let second = net.world.execute(&headers[1], &batches[1]).unwrap();
    assert_ne!(first.result, second.result);
    assert_eq!(net.world.committed(), before);
    assert_eq!(naive_root(&*net.store), before.result.state_root);
    assert_eq!(net.world.execute(&headers[0], &batches[0]).unwrap().result, first.result);
    net.world.commit(second).unwrap();
    assert_eq!(net.available("sok@aclb", "khr#nbc"), 998);
    assert!(matches!(net.world.commit(first), Err(StateError::NotNext { .. })));
}

#[test]
fn a_block_that_does_not_follow_is_refused() {
    let mut net = Net::new();
    let member = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1").signed();
    let batches = vec![net.batch(vec![member])];
    let good = next_header(&net.world, &batches, net.next_ms());
    let mut bad = vec![good.clone(); 6];
    bad[0].chain = Default::default();
    bad[1].height = bad[1].height.next();
    bad[2].parent = Default::default();
    bad[3].parent_result = Default::default();
    bad[4].timestamp_ms = net.world.committed().timestamp_ms;
    bad[5].batches = Default::default();
    for header in bad {
        let error = net.world.execute(&header, &batches).err().unwrap();
        assert!(matches!(error, StateError::NotNext { .. }), "{error}");
    }
    assert!(net.world.execute(&good, &batches).is_ok());
}

#[test]
fn leader_marks_are_part_of_the_state() {
    let mut net = Net::new();
    let member = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1").signed();
    let batches = vec![net.batch(vec![member])];
    let mut header = next_header(&net.world, &batches, net.next_ms());
    header.proposed_view = View(1);
    header.proposer = ValidatorIndex(2);
    let executed = net.world.execute(&header, &batches).unwrap();
    let expected = net.world.reader().marks().after_commit(&header, 4);
    assert_eq!(*executed.marks, expected);
    assert!(expected.is_marked(ValidatorIndex(1), header.height.next()));
    net.world.commit(executed).unwrap();
    net.reopen();
    assert_eq!(*net.world.reader().marks(), expected);
    assert_eq!(naive_root(&*net.store), net.world.committed().result.state_root);
}

#[test]
fn the_audit_sees_money_out_of_nowhere() {
    let store = Arc::new(MemoryStore::new());
    let net = Net::on(store.clone());
    let mut rows = Vec::new();
    store
        .scan(Table::Slots, &[], ScanOrder::Ascending, &mut |slot, row| {
            rows.push((slot.to_vec(), row.to_vec()));
            ControlFlow::Continue(())
        })
        .unwrap();
    // The first balance: its available amount is the first byte of its value.
    let (slot, row) = rows.iter_mut().find(|(_, row)| row[1] == 7).unwrap();
    let value_at = 1 + usize::from(row[0] >> 2) + 1;
    row[value_at] ^= 4;
    let mut changes = crate::store::Changes::default();
    changes.put(Table::Slots, slot, row);
    store.write(&changes, crate::store::Durability::Unsynced).unwrap();
    let error = net.world.reader().audit().unwrap_err();
    assert!(matches!(error, crate::state::AuditError::Unequal { .. }), "{error}");
}
