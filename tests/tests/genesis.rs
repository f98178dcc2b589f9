//! The demo network's genesis: readable, marked as demo, and pinned.

use std::collections::BTreeMap;

use tonle_model::genesis::Genesis;
use tonle_model::id::{AccountId, AssetId};
use tonle_model::key::KeyPair;
use tonle_model::transaction::Instruction;

/// Changing the demo genesis makes another network: change this on purpose.
const CHAIN: &str = "c284c4bbd774074c02e6a97a3f5d700479099205a52390d4487a54f8b0dd383e";

const GENESIS: &str = include_str!("../../genesis.json");

fn demo() -> Genesis {
    Genesis::from_json(GENESIS).expect("the committed genesis is valid")
}

#[test]
fn the_demo_chain_is_pinned() {
    let genesis = demo();
    assert!(genesis.demo, "its keys are known to everyone");
    assert_eq!(genesis.name.as_str(), "Tonle demo Cambodia");
    assert_eq!(genesis.chain().to_string(), CHAIN);
}

#[test]
fn every_key_is_the_demo_key_of_its_name() {
    let genesis = demo();
    let mut names: Vec<_> = genesis.validators.iter().map(|v| v.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["validator_0", "validator_1", "validator_2", "validator_3"]);
    for validator in genesis.validators.iter() {
        let expected = KeyPair::demo(validator.name.as_str()).public_key();
        assert_eq!(validator.public_key, expected, "{}", validator.name);
    }
    for step in &genesis.steps {
        if let Instruction::RegisterAccount { id, signatories, quorum } = &step.instruction {
            let keys: Vec<_> = signatories.iter().map(|one| one.public_key).collect();
            assert_eq!(keys, [KeyPair::demo(id.as_str()).public_key()], "{id}");
            assert_eq!((signatories[0].weight, *quorum), (1, 1), "{id}");
        }
    }
}

#[test]
fn ten_people_and_shops_hold_both_currencies() {
    let genesis = demo();
    let mut scales: BTreeMap<AssetId, u8> = BTreeMap::new();
    let mut balances: BTreeMap<AccountId, BTreeMap<AssetId, u128>> = BTreeMap::new();
    for step in &genesis.steps {
        match &step.instruction {
            Instruction::RegisterDomain { .. } => {}
            Instruction::RegisterAccount { id, .. } => {
                assert_eq!(step.authority.domain(), id.domain(), "banks open their own accounts");
                assert!(balances.insert(id.clone(), BTreeMap::new()).is_none(), "{id} twice");
            }
            Instruction::RegisterAsset { id, scale, .. } => {
                assert_eq!(step.authority, genesis.parameters.operator);
                scales.insert(id.clone(), *scale);
            }
            Instruction::Mint { asset, to, amount } => {
                let amount = amount.to_amount(scales[asset]).expect("within the scale").minor();
                *balances.get_mut(to).expect("an account").entry(asset.clone()).or_default() +=
                    amount;
            }
            other => panic!("a genesis needs no {other:?}"),
        }
    }
    assert_eq!(scales.values().copied().collect::<Vec<_>>(), [0, 2], "khr#nbc, then usd#nbc");
    let customers: Vec<_> = balances
        .iter()
        .filter(|(id, _)| !id.as_str().starts_with("bank@") && **id != genesis.parameters.operator)
        .collect();
    assert_eq!(customers.len(), 10);
    for (id, held) in customers {
        assert!(held.len() == 2 && held.values().all(|amount| *amount > 0), "{id}: {held:?}");
    }
}
