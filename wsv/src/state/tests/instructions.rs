//! Each instruction's rules: what it needs, and what a failure is called.

use tonle_model::bounded::Bounded;
use tonle_model::instruction::{Instruction, Signatory};
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::receipt::{Outcome, RejectionCode};

use super::{applied, one, rejected};
use crate::testing::{Net, account, asset, pay};

fn domain(id: &str) -> Instruction {
    Instruction::RegisterDomain { id: id.parse().unwrap() }
}

fn open_with(id: &str, keys: &[(PublicKey, u16)], quorum: u16) -> Instruction {
    let signatories = keys
        .iter()
        .map(|(public_key, weight)| Signatory { public_key: *public_key, weight: *weight });
    let signatories = Bounded::new(signatories.collect()).unwrap();
    Instruction::RegisterAccount { id: account(id), signatories, quorum, tier: None }
}

pub fn open(id: &str) -> Instruction {
    open_with(id, &[(KeyPair::demo(id).public_key(), 1)], 1)
}

fn make(id: &str, scale: u8, cap: Option<&str>) -> Instruction {
    let supply_cap = cap.map(|cap| cap.parse().unwrap());
    Instruction::RegisterAsset { id: asset(id), scale, supply_cap, mintability: Default::default() }
}

fn mint(id: &str, to: &str, amount: &str) -> Instruction {
    Instruction::Mint { asset: asset(id), to: account(to), amount: amount.parse().unwrap() }
}

fn burn(id: &str, amount: &str) -> Instruction {
    Instruction::Burn { asset: asset(id), amount: amount.parse().unwrap() }
}

#[test]
fn register_domain() {
    let mut net = Net::new();
    one(&mut net, "sok@aclb", domain("wing"), RejectionCode::PermissionDenied);
    one(&mut net, "nbc@nbc", domain("aclb"), RejectionCode::AlreadyExists);
    applied(&mut net, "nbc@nbc", domain("wing"));
    let wing = net.world.reader().domain(&"wing".parse().unwrap()).unwrap().unwrap();
    assert_eq!(wing.owner, account("nbc@nbc"));
}

#[test]
fn register_account() {
    let mut net = Net::new();
    let [a, b] = ["a", "b"].map(|name| KeyPair::demo(name).public_key());
    let mut weak = [0; 32];
    weak[0] = 1;
    for (who, instruction, code) in [
        ("bank@aclb", open("rith@none"), RejectionCode::UnknownDomain),
        ("sok@aclb", open("rith@aclb"), RejectionCode::PermissionDenied),
        ("nbc@nbc", open("rith@aclb"), RejectionCode::PermissionDenied),
        ("bank@aclb", open("sok@aclb"), RejectionCode::AlreadyExists),
        ("bank@aclb", open_with("rith@aclb", &[], 1), RejectionCode::InvalidQuorum),
        ("bank@aclb", open_with("rith@aclb", &[(a, 1)], 0), RejectionCode::InvalidQuorum),
        ("bank@aclb", open_with("rith@aclb", &[(a, 1)], 2), RejectionCode::InvalidQuorum),
        ("bank@aclb", open_with("rith@aclb", &[(a, 0), (b, 1)], 1), RejectionCode::InvalidQuorum),
        ("bank@aclb", open_with("rith@aclb", &[(a, 1), (a, 1)], 2), RejectionCode::InvalidQuorum),
        ("bank@aclb", open_with("rith@aclb", &[(PublicKey(weak), 1)], 1), RejectionCode::WeakKey),
    ] {
        one(&mut net, who, instruction, code);
    }
    let most = open_with("rith@aclb", &[(a, u16::MAX), (b, u16::MAX)], u16::MAX);
    applied(&mut net, "bank@aclb", most);
    let rith = net.world.reader().account(&account("rith@aclb")).unwrap().unwrap();
    assert_eq!((rith.quorum, rith.signatories.len()), (u16::MAX, 2));
}

#[test]
fn register_asset() {
    let mut net = Net::new();
    let overflowing = u128::MAX.to_string();
    for (who, instruction, code) in [
        ("nbc@nbc", make("gold#none", 0, None), RejectionCode::UnknownDomain),
        ("nbc@nbc", make("gold#aclb", 0, None), RejectionCode::PermissionDenied),
        ("nbc@nbc", make("khr#nbc", 0, None), RejectionCode::AlreadyExists),
        ("nbc@nbc", make("gold#nbc", 19, None), RejectionCode::InvalidScale),
        ("nbc@nbc", make("gold#nbc", 2, Some("1.001")), RejectionCode::TooManyDecimals),
        ("nbc@nbc", make("gold#nbc", 2, Some(&overflowing)), RejectionCode::AmountOverflow),
    ] {
        one(&mut net, who, instruction, code);
    }
    applied(&mut net, "bank@aclb", make("gold#aclb", 18, Some("1.5")));
    let gold = net.world.reader().asset(&asset("gold#aclb")).unwrap().unwrap();
    assert_eq!(gold.supply_cap.unwrap().minor(), 1_500_000_000_000_000_000);
    assert_eq!((gold.owner.as_str(), gold.scale), ("bank@aclb", 18));
}

#[test]
fn mint_rules() {
    let mut net = Net::new();
    let nearly_all = (u128::MAX - 1799).to_string();
    for (who, instruction, code) in [
        ("nbc@nbc", mint("gold#nbc", "sok@aclb", "1"), RejectionCode::UnknownAsset),
        ("bank@aclb", mint("khr#nbc", "sok@aclb", "1"), RejectionCode::PermissionDenied),
        ("nbc@nbc", mint("khr#nbc", "none@aclb", "1"), RejectionCode::UnknownAccount),
        ("nbc@nbc", mint("khr#nbc", "sok@aclb", "1.5"), RejectionCode::TooManyDecimals),
        ("nbc@nbc", mint("khr#nbc", "sok@aclb", "0"), RejectionCode::ZeroAmount),
        ("nbc@nbc", mint("khr#nbc", "sok@aclb", &nearly_all), RejectionCode::AmountOverflow),
        ("nbc@nbc", mint("usd#nbc", "sok@aclb", "987.51"), RejectionCode::SupplyCapExceeded),
    ] {
        one(&mut net, who, instruction, code);
    }
    applied(&mut net, "nbc@nbc", mint("usd#nbc", "dara@aclb", "987.50"));
    assert_eq!(net.available("dara@aclb", "usd#nbc"), 98_750);
    let usd = net.world.reader().asset(&asset("usd#nbc")).unwrap().unwrap();
    assert_eq!(usd.supply.minor(), 100_000);
}

#[test]
fn burn_rules() {
    let mut net = Net::new();
    for (who, instruction, code) in [
        ("nbc@nbc", burn("gold#nbc", "1"), RejectionCode::UnknownAsset),
        ("sok@aclb", burn("khr#nbc", "1"), RejectionCode::PermissionDenied),
        ("nbc@nbc", burn("khr#nbc", "0.1"), RejectionCode::TooManyDecimals),
        ("nbc@nbc", burn("khr#nbc", "0"), RejectionCode::ZeroAmount),
        ("nbc@nbc", burn("khr#nbc", "1"), RejectionCode::InsufficientBalance),
    ] {
        one(&mut net, who, instruction, code);
    }
    let draft = net.pay("sok@aclb", "nbc@nbc", "khr#nbc", "400");
    assert_eq!(net.outcome(draft), Outcome::Applied);
    applied(&mut net, "nbc@nbc", burn("khr#nbc", "150"));
    assert_eq!(net.available("nbc@nbc", "khr#nbc"), 250);
    let khr = net.world.reader().asset(&asset("khr#nbc")).unwrap().unwrap();
    assert_eq!(khr.supply.minor(), 1650);
}

#[test]
fn transfer_rules() {
    let mut net = Net::new();
    let from_other = Instruction::Transfer {
        asset: asset("khr#nbc"),
        from: Some(account("dara@aclb")),
        to: account("sok@aclb"),
        amount: "1".parse().unwrap(),
        memo: Default::default(),
        invoice: None,
    };
    one(&mut net, "sok@aclb", from_other, RejectionCode::PermissionDenied);
    let huge = u128::MAX.to_string();
    for (to, of, amount, code) in [
        ("dara@aclb", "gold#nbc", "1", RejectionCode::UnknownAsset),
        ("none@aclb", "khr#nbc", "1", RejectionCode::UnknownAccount),
        ("sok@aclb", "khr#nbc", "1", RejectionCode::SameAccount),
        ("dara@aclb", "khr#nbc", "1.0", RejectionCode::TooManyDecimals),
        ("dara@aclb", "khr#nbc", "0", RejectionCode::ZeroAmount),
        ("dara@aclb", "khr#nbc", "1001", RejectionCode::InsufficientBalance),
        ("dara@aclb", "usd#nbc", "12.51", RejectionCode::InsufficientBalance),
        ("dara@aclb", "usd#nbc", &huge, RejectionCode::AmountOverflow),
    ] {
        one(&mut net, "sok@aclb", pay("sok@aclb", to, of, amount).1, code);
    }
    let draft = net.pay("sok@aclb", "dara@aclb", "usd#nbc", "12.5");
    assert_eq!(net.outcome(draft), Outcome::Applied);
    assert_eq!(net.available("sok@aclb", "usd#nbc"), 0);
    assert_eq!(net.available("dara@aclb", "usd#nbc"), 1250);
}

#[test]
fn all_steps_or_none() {
    let mut net = Net::new();
    let draft = net.draft(vec![
        pay("sok@aclb", "dara@aclb", "khr#nbc", "100"),
        ("bank@aclb".into(), open("rith@aclb")),
        pay("dara@aclb", "rith@aclb", "khr#nbc", "600"),
        pay("dara@aclb", "sok@aclb", "khr#nbc", "1"),
    ]);
    rejected(&mut net, draft, RejectionCode::InsufficientBalance);
    assert_eq!(net.world.reader().account(&account("rith@aclb")).unwrap(), None);

    let draft = net.draft(vec![
        pay("sok@aclb", "dara@aclb", "khr#nbc", "100"),
        pay("dara@aclb", "sok@aclb", "usd#nbc", "0.00"),
    ]);
    rejected(&mut net, draft, RejectionCode::ZeroAmount);

    // Payment versus payment: what the first step brings, the second one may pay.
    let draft = net.draft(vec![
        pay("sok@aclb", "dara@aclb", "khr#nbc", "1000"),
        pay("dara@aclb", "sok@aclb", "khr#nbc", "1500"),
    ]);
    assert_eq!(net.outcome(draft), Outcome::Applied);
    assert_eq!(net.available("sok@aclb", "khr#nbc"), 1500);
}

#[test]
fn a_panic_rejects_the_transaction_and_leaves_the_rest() {
    let mut net = Net::new();
    let mut draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "10");
    let mut steps = draft.payload.steps.to_vec();
    if let Instruction::Transfer { memo, .. } = &mut steps[0].instruction {
        *memo = "panic between debit and credit".parse().unwrap();
    }
    draft.payload.steps = Bounded::new(steps).unwrap();
    rejected(&mut net, draft.clone(), RejectionCode::Internal);
    let good = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "10");
    let block = net.block(vec![draft.nonce(99).signed(), good.signed()]);
    assert_eq!(block.receipts[1].outcome, Outcome::Applied);
    assert_eq!(net.available("sok@aclb", "khr#nbc"), 990);
}

#[test]
fn a_failed_creation_gives_its_slots_back() {
    // Two nodes: one sees a rejected transaction that had made entries, the other does not.
    let (mut with, mut without) = (Net::new(), Net::new());
    let failing = with.draft(vec![
        ("nbc@nbc".into(), domain("wing")),
        ("nbc@nbc".into(), domain("devb")),
        ("nbc@nbc".into(), domain("wing")),
    ]);
    let good = with.draft(vec![("nbc@nbc".into(), domain("sath"))]);
    let root = with.block(vec![failing.signed(), good.signed()]).result.state_root;
    assert_eq!(without.block(vec![good.signed()]).result.state_root, root);
}
