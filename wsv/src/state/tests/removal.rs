//! Entries that go: their slots stay empty, and the order of keys closes over them.

use proptest::prelude::*;
use tonle_model::instruction::Instruction;

use super::whole::naive_root;
use crate::state::{World, WorldReader};
use crate::testing::{Net, account};

const PEOPLE: [&str; 3] = ["dara@aclb", "nbc@nbc", "sok@aclb"];

/// Notes with some accounts: the smallest entries that come and go.
fn step((who, key, set): (usize, u8, bool)) -> (String, Instruction) {
    let who = PEOPLE[who];
    let key = format!("k{key}").parse().unwrap();
    let account = account(who);
    let instruction = match set {
        true => {
            Instruction::SetMetadata { account, key, value: "v".parse().unwrap(), expected: None }
        }
        false => Instruction::RemoveMetadata { account, key },
    };
    (who.to_owned(), instruction)
}

fn notes(reader: &WorldReader) -> Vec<usize> {
    let count = |who: &&str| reader.metadata(&account(who)).unwrap().map_or(0, |notes| notes.len());
    PEOPLE.iter().map(count).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn the_tree_is_that_of_the_rows(
        blocks in prop::collection::vec(
            prop::collection::vec(
                prop::collection::vec((0..3usize, 0..2u8, any::<bool>()), 1..4),
                1..8,
            ),
            1..8,
        )
    ) {
        let mut net = Net::new();
        for transactions in blocks {
            let members = transactions
                .into_iter()
                .map(|steps| net.draft(steps.into_iter().map(step).collect()).signed())
                .collect();
            let block = net.block(members);
            prop_assert_eq!(block.result.state_root, naive_root(&*net.store));
            let reopened = World::open(net.store.clone(), &net.genesis).unwrap();
            prop_assert_eq!(reopened.committed(), net.world.committed());
            prop_assert_eq!(notes(&reopened.reader()), notes(&net.world.reader()));
        }
    }
}

#[test]
fn a_slot_is_never_used_again() {
    let mut net = Net::new();
    let mut slots = Vec::new();
    for set in [true, false, true] {
        let draft = net.draft(vec![step((0, 0, set))]);
        net.outcome(draft);
        slots.push(net.world.slots());
    }
    assert_eq!(slots[1], slots[0], "what goes leaves its slot");
    assert_eq!(slots[2], slots[0] + 1, "what comes again takes another");
    // What comes and goes within a block takes one too.
    let both = net.draft(vec![step((2, 0, true)), step((2, 0, false))]);
    let block = net.block(vec![both.signed()]);
    assert_eq!(net.world.slots(), slots[2] + 1);
    assert_eq!(block.result.state_root, naive_root(&*net.store));
}
