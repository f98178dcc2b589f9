//! The demo network's genesis: readable, marked as demo, and pinned.

use std::collections::BTreeMap;

use tonle_model::amount::Decimal;
use tonle_model::genesis::Genesis;
use tonle_model::id::{AccountId, AssetId, Name};
use tonle_model::instruction::Instruction;
use tonle_model::key::KeyPair;
use tonle_model::permission::Permission;
use tonle_model::transaction::Step;

/// Changing the demo genesis makes another network: change this on purpose.
const CHAIN: &str = "d35f5f25909cc33efb2a7d2d037da56ea734e64da97fa01e04fc939455950bc5";

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
        if let Instruction::RegisterAccount { id, signatories, quorum, .. } = &step.instruction {
            let keys: Vec<_> = signatories.iter().map(|one| one.public_key).collect();
            assert_eq!(keys, [KeyPair::demo(id.as_str()).public_key()], "{id}");
            assert_eq!((signatories[0].weight, *quorum), (1, 1), "{id}");
        }
    }
}

/// What the steps of a genesis come to, as far as it is looked at here.
#[derive(Default)]
struct Outline {
    scales: BTreeMap<AssetId, u8>,
    balances: BTreeMap<AccountId, BTreeMap<AssetId, u128>>,
    tiers: BTreeMap<AccountId, Name>,
    limits: BTreeMap<(AssetId, Name), u128>,
    overseen: Vec<Permission>,
}

impl Outline {
    fn minor(&self, asset: &AssetId, amount: Decimal) -> u128 {
        amount.to_amount(self.scales[asset]).expect("within the scale").minor()
    }

    fn take(&mut self, step: &Step, operator: &AccountId) {
        match &step.instruction {
            Instruction::RegisterDomain { .. } => {}
            Instruction::RegisterAccount { id, tier, .. } => {
                assert_eq!(step.authority.domain(), id.domain(), "banks open their own accounts");
                assert!(self.balances.insert(id.clone(), BTreeMap::new()).is_none(), "{id} twice");
                let tier = tier.clone().unwrap_or_else(Name::basic_tier);
                self.tiers.insert(id.clone(), tier);
            }
            Instruction::RegisterAsset { id, scale, .. } => {
                assert_eq!(step.authority, *operator);
                self.scales.insert(id.clone(), *scale);
            }
            Instruction::SetLimit { tier, asset, per_day } => {
                assert_eq!(step.authority, *operator);
                let per_day = self.minor(asset, per_day.expect("a limit"));
                let place = (asset.clone(), tier.clone());
                assert!(self.limits.insert(place, per_day).is_none(), "{tier} twice");
            }
            Instruction::Grant { permission, account } => {
                assert_eq!(account, operator, "only the central bank oversees");
                let Permission::ManageAccounts(domain) = permission else {
                    panic!("oversight needs no {permission}")
                };
                assert_eq!(step.authority.domain(), *domain, "a bank grants what it owns");
                self.overseen.push(permission.clone());
            }
            Instruction::Mint { asset, to, amount } => {
                let amount = self.minor(asset, *amount);
                let held = self.balances.get_mut(to).expect("an account");
                *held.entry(asset.clone()).or_default() += amount;
            }
            other => panic!("a genesis needs no {other:?}"),
        }
    }

    fn of(genesis: &Genesis) -> Self {
        let mut outline = Self::default();
        genesis.steps.iter().for_each(|step| outline.take(step, &genesis.parameters.operator));
        outline
    }
}

#[test]
fn ten_people_and_shops_hold_both_currencies() {
    let genesis = demo();
    let outline = Outline::of(&genesis);
    let scales: Vec<_> = outline.scales.values().copied().collect();
    assert_eq!(scales, [0, 2], "khr#nbc, then usd#nbc");
    let customers: Vec<_> = outline
        .balances
        .iter()
        .filter(|(id, _)| !id.as_str().starts_with("bank@") && **id != genesis.parameters.operator)
        .collect();
    assert_eq!(customers.len(), 10);
    for (id, held) in customers {
        assert!(held.len() == 2 && held.values().all(|amount| *amount > 0), "{id}: {held:?}");
    }
}

#[test]
fn limits_are_those_of_2021_and_days_those_of_phnom_penh() {
    let genesis = demo();
    assert_eq!(genesis.parameters.utc_offset_min, 7 * 60);
    let outline = Outline::of(&genesis);
    let tiers = [
        ("basic", 2_000_000, 50_000),
        ("partial", 12_000_000, 300_000),
        ("full", 40_000_000, 1_000_000),
        ("bank", 200_000_000, 5_000_000),
    ];
    assert_eq!(outline.limits.len(), 2 * tiers.len());
    for (tier, riel, cents) in tiers {
        let limit = |asset: &str| {
            let place = (asset.parse().expect("an asset"), tier.parse().expect("a name"));
            outline.limits.get(&place).copied()
        };
        assert_eq!((limit("khr#nbc"), limit("usd#nbc")), (Some(riel), Some(cents)), "{tier}");
    }
    for (id, tier) in &outline.tiers {
        let is_limited = tiers.iter().any(|(name, ..)| *name == tier.as_str());
        let is_issuer = *id == genesis.parameters.operator;
        assert_eq!(is_limited, !is_issuer, "all but the issuer of the money: {id} has {tier}");
        assert_eq!(tier.as_str() == "bank", id.as_str().starts_with("bank@"), "{id}");
    }
}

#[test]
fn the_central_bank_oversees_every_bank() {
    let overseen: Vec<_> =
        Outline::of(&demo()).overseen.iter().map(Permission::to_string).collect();
    assert_eq!(overseen, ["manage_accounts:aclb", "manage_accounts:wing", "manage_accounts:devb"]);
}
