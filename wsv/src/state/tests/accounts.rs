//! Keys, freezes and the end of accounts.

use tonle_model::instruction::{Instruction, Signatory};
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::permission::Permission;
use tonle_model::receipt::{Outcome, RejectionCode as Code, VoidCode};

use super::holds::{hold, id_of};
use super::{applied, one, rejected};
use crate::state::AccountStatus;
use crate::testing::{Net, account, asset, pay};

fn key(name: &str) -> PublicKey {
    KeyPair::demo(name).public_key()
}

fn add(who: &str, public_key: PublicKey, weight: u16) -> Instruction {
    let signatory = Signatory { public_key, weight };
    Instruction::AddSignatory { account: account(who), signatory }
}

fn remove(who: &str, name: &str) -> Instruction {
    Instruction::RemoveSignatory { account: account(who), public_key: key(name) }
}

fn quorum(who: &str, quorum: u16) -> Instruction {
    Instruction::SetQuorum { account: account(who), quorum }
}

fn freeze(who: &str, incoming: bool) -> Instruction {
    let reason = "order 7".parse().unwrap();
    Instruction::Freeze { account: account(who), incoming, reason }
}

fn close(who: &str) -> Instruction {
    Instruction::UnregisterAccount { id: account(who) }
}

#[test]
fn keys_change_and_the_quorum_can_always_be_met() {
    let mut net = Net::new();
    let mut weak = [0; 32];
    weak[0] = 1;
    for (instruction, code) in [
        (add("none@aclb", key("new"), 1), Code::UnknownAccount),
        (add("dara@aclb", key("new"), 1), Code::PermissionDenied),
        (add("sok@aclb", key("sok@aclb"), 2), Code::AlreadyExists),
        (add("sok@aclb", key("new"), 0), Code::InvalidQuorum),
        (add("sok@aclb", PublicKey(weak), 1), Code::WeakKey),
        (remove("dara@aclb", "dara@aclb"), Code::PermissionDenied),
        (remove("sok@aclb", "new"), Code::UnknownSignatory),
        (remove("sok@aclb", "sok@aclb"), Code::InvalidQuorum),
        (quorum("sok@aclb", 0), Code::InvalidQuorum),
        (quorum("sok@aclb", 2), Code::InvalidQuorum),
        (quorum("dara@aclb", 1), Code::PermissionDenied),
    ] {
        one(&mut net, "sok@aclb", instruction, code);
    }
    applied(&mut net, "sok@aclb", add("sok@aclb", key("new"), 2));
    applied(&mut net, "sok@aclb", quorum("sok@aclb", 2));
    let draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1");
    assert_eq!(net.void(&draft).code, VoidCode::QuorumNotMet);
    assert_eq!(net.outcome(draft.by(&["new"])), Outcome::Applied);
    let one_of_two = net.draft(vec![("sok@aclb".into(), remove("sok@aclb", "new"))]);
    rejected(&mut net, one_of_two.by(&["new"]), Code::InvalidQuorum);
    let old = net.draft(vec![("sok@aclb".into(), remove("sok@aclb", "sok@aclb"))]);
    assert_eq!(net.outcome(old.by(&["new"])), Outcome::Applied);
    for number in 1..32 {
        let more =
            net.draft(vec![("sok@aclb".into(), add("sok@aclb", key(&number.to_string()), 1))]);
        assert_eq!(net.outcome(more.by(&["new"])), Outcome::Applied);
    }
    let more = net.draft(vec![("sok@aclb".into(), add("sok@aclb", key("more"), 1))]);
    rejected(&mut net, more.by(&["new"]), Code::TooMany);
}

#[test]
fn a_bank_recovers_the_keys_of_its_customers_only() {
    let mut net = Net::new();
    one(&mut net, "nbc@nbc", add("sok@aclb", key("new"), 1), Code::PermissionDenied);
    one(&mut net, "bank@aclb", add("nbc@nbc", key("new"), 1), Code::PermissionDenied);
    applied(&mut net, "bank@aclb", add("sok@aclb", key("new"), 1));
    applied(&mut net, "bank@aclb", remove("sok@aclb", "sok@aclb"));
    let draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1");
    assert_eq!(net.void(&draft).code, VoidCode::QuorumNotMet);
    assert_eq!(net.outcome(draft.by(&["new"])), Outcome::Applied);
}

#[test]
fn who_changes_keys_must_hold_what_the_account_was_given() {
    let mut net = Net::new();
    let mint = Permission::Mint(asset("khr#nbc"));
    let grant = Instruction::Grant { permission: mint.clone(), account: account("sok@aclb") };
    applied(&mut net, "nbc@nbc", grant);
    for instruction in [
        add("sok@aclb", key("new"), 1),
        remove("sok@aclb", "sok@aclb"),
        quorum("sok@aclb", 1),
        close("sok@aclb"),
    ] {
        one(&mut net, "bank@aclb", instruction, Code::PermissionDenied);
    }
    let grant = Instruction::Grant { permission: mint, account: account("bank@aclb") };
    applied(&mut net, "nbc@nbc", grant);
    applied(&mut net, "bank@aclb", add("sok@aclb", key("new"), 1));
    // It is no shield: what somebody gave an account to put it out of reach, its managers take.
    let shield = Permission::TransferFrom(account("joint@aclb"));
    let giving = Instruction::Grant { permission: shield.clone(), account: account("dara@aclb") };
    let giving = net.draft(vec![("joint@aclb".into(), giving)]).by(&["a", "c"]);
    assert_eq!(net.outcome(giving), Outcome::Applied);
    one(&mut net, "bank@aclb", add("dara@aclb", key("new"), 1), Code::PermissionDenied);
    applied(&mut net, "bank@aclb", freeze("dara@aclb", true));
    let taking = Instruction::Revoke { permission: shield, account: account("dara@aclb") };
    one(&mut net, "sok@aclb", taking.clone(), Code::PermissionDenied);
    applied(&mut net, "bank@aclb", taking);
    applied(&mut net, "bank@aclb", add("dara@aclb", key("new"), 1));
    // Nor may anyone change the keys of an account that owns something: the account would follow.
    let manage = Permission::ManageAccounts("aclb".parse().unwrap());
    let grant = Instruction::Grant { permission: manage, account: account("nbc@nbc") };
    applied(&mut net, "bank@aclb", grant);
    one(&mut net, "nbc@nbc", add("bank@aclb", key("new"), 1), Code::PermissionDenied);
    applied(&mut net, "nbc@nbc", freeze("bank@aclb", false));
}

#[test]
fn a_frozen_account_neither_pays_nor_holds() {
    let mut net = Net::new();
    let making = hold(&net, "dara@aclb", "10");
    let promised = id_of(&applied(&mut net, "sok@aclb", making));
    let making = hold(&net, "sok@aclb", "10");
    let coming = id_of(&applied(&mut net, "dara@aclb", making));
    one(&mut net, "dara@aclb", freeze("sok@aclb", false), Code::PermissionDenied);
    one(&mut net, "bank@aclb", freeze("none@aclb", false), Code::UnknownAccount);
    applied(&mut net, "bank@aclb", freeze("sok@aclb", false));
    let paying = pay("sok@aclb", "dara@aclb", "khr#nbc", "1").1;
    one(&mut net, "sok@aclb", paying.clone(), Code::AccountFrozen);
    let making = hold(&net, "dara@aclb", "1");
    one(&mut net, "sok@aclb", making, Code::AccountFrozen);
    let unfreeze = Instruction::Unfreeze { account: account("sok@aclb") };
    one(&mut net, "sok@aclb", unfreeze.clone(), Code::PermissionDenied);
    // It receives, and what it promised before stands.
    let to_sok = pay("dara@aclb", "sok@aclb", "khr#nbc", "1").1;
    applied(&mut net, "dara@aclb", to_sok.clone());
    let settle = |id| Instruction::Settle { id, amount: None, preimage: None };
    applied(&mut net, "dara@aclb", settle(promised));
    applied(&mut net, "bank@aclb", freeze("sok@aclb", true));
    one(&mut net, "dara@aclb", to_sok.clone(), Code::AccountFrozen);
    let making = hold(&net, "sok@aclb", "1");
    one(&mut net, "dara@aclb", making, Code::AccountFrozen);
    one(&mut net, "sok@aclb", settle(coming), Code::AccountFrozen);
    let mint = |to: &str| Instruction::Mint {
        asset: asset("khr#nbc"),
        to: account(to),
        amount: "1".parse().unwrap(),
    };
    one(&mut net, "nbc@nbc", mint("sok@aclb"), Code::AccountFrozen);
    let status = net.world.reader().account(&account("sok@aclb")).unwrap().unwrap().status.clone();
    let reason = "order 7".parse().unwrap();
    assert_eq!(status, AccountStatus::Frozen { incoming: true, reason });
    applied(&mut net, "bank@aclb", unfreeze);
    applied(&mut net, "sok@aclb", settle(coming));
    applied(&mut net, "sok@aclb", paying);
    applied(&mut net, "dara@aclb", to_sok);
}

#[test]
fn a_frozen_owner_burns_nothing() {
    let mut net = Net::new();
    applied(&mut net, "sok@aclb", pay("sok@aclb", "nbc@nbc", "khr#nbc", "10").1);
    applied(&mut net, "nbc@nbc", freeze("nbc@nbc", false));
    let burn = Instruction::Burn { asset: asset("khr#nbc"), amount: "1".parse().unwrap() };
    one(&mut net, "nbc@nbc", burn, Code::AccountFrozen);
}

#[test]
fn only_an_empty_account_is_closed_and_its_name_is_gone() {
    let mut net = Net::new();
    one(&mut net, "bank@aclb", close("none@aclb"), Code::UnknownAccount);
    one(&mut net, "sok@aclb", close("dara@aclb"), Code::PermissionDenied);
    one(&mut net, "bank@aclb", close("dara@aclb"), Code::AccountNotEmpty);
    one(&mut net, "bank@aclb", close("bank@aclb"), Code::AccountNotEmpty);
    one(&mut net, "nbc@nbc", close("nbc@nbc"), Code::AccountNotEmpty);
    applied(&mut net, "dara@aclb", pay("dara@aclb", "sok@aclb", "khr#nbc", "499").1);
    let making = hold(&net, "sok@aclb", "1");
    let held = id_of(&applied(&mut net, "dara@aclb", making));
    one(&mut net, "bank@aclb", close("dara@aclb"), Code::AccountNotEmpty);
    let settle = |id| Instruction::Settle { id, amount: None, preimage: None };
    applied(&mut net, "sok@aclb", settle(held));
    let making = hold(&net, "dara@aclb", "1");
    let coming = id_of(&applied(&mut net, "sok@aclb", making));
    one(&mut net, "bank@aclb", close("dara@aclb"), Code::AccountNotEmpty);
    applied(&mut net, "dara@aclb", Instruction::Release { id: coming });
    let role = Permission::ManageRoles;
    applied(
        &mut net,
        "nbc@nbc",
        Instruction::Grant { permission: role.clone(), account: account("dara@aclb") },
    );
    applied(&mut net, "dara@aclb", close("dara@aclb"));
    let reader = net.world.reader();
    assert!(reader.account(&account("dara@aclb")).unwrap().unwrap().is_closed());
    assert!(!reader.holds_permission(&account("dara@aclb"), &role).unwrap());
    let draft = net.pay("dara@aclb", "sok@aclb", "khr#nbc", "1");
    assert_eq!(net.void(&draft).code, VoidCode::UnknownAuthority);
    let to_dara = pay("sok@aclb", "dara@aclb", "khr#nbc", "1").1;
    one(&mut net, "sok@aclb", to_dara, Code::UnknownAccount);
    let again = Instruction::RegisterAccount {
        id: account("dara@aclb"),
        signatories: vec![Signatory { public_key: key("x"), weight: 1 }].try_into().unwrap(),
        quorum: 1,
        tier: None,
    };
    one(&mut net, "bank@aclb", again, Code::AlreadyExists);
    one(&mut net, "bank@aclb", close("dara@aclb"), Code::UnknownAccount);
}
