//! Permissions, roles and delegation.

use tonle_model::instruction::{Instruction, Mintability, Parameter};
use tonle_model::permission::Permission as P;
use tonle_model::receipt::{Outcome, RejectionCode as Code};

use super::{applied, one};
use crate::testing::{Net, account, asset, pay};

fn grant(permission: &P, to: &str) -> Instruction {
    Instruction::Grant { permission: permission.clone(), account: account(to) }
}

fn revoke(permission: &P, of: &str) -> Instruction {
    Instruction::Revoke { permission: permission.clone(), account: account(of) }
}

fn mint(amount: &str) -> Instruction {
    let amount = amount.parse().unwrap();
    Instruction::Mint { asset: asset("khr#nbc"), to: account("dara@aclb"), amount }
}

fn role(id: &str, permissions: &[P]) -> Instruction {
    let permissions = permissions.to_vec().try_into().unwrap();
    Instruction::RegisterRole { id: id.parse().unwrap(), permissions }
}

fn give(role: &str, to: &str) -> Instruction {
    Instruction::GrantRole { role: role.parse().unwrap(), account: account(to) }
}

fn take(role: &str, of: &str) -> Instruction {
    Instruction::RevokeRole { role: role.parse().unwrap(), account: account(of) }
}

#[test]
fn rights_travel_but_never_grow() {
    let mut net = Net::new();
    let right = P::Mint(asset("khr#nbc"));
    one(&mut net, "sok@aclb", mint("1"), Code::PermissionDenied);
    one(&mut net, "sok@aclb", grant(&right, "sok@aclb"), Code::PermissionDenied);
    one(&mut net, "nbc@nbc", grant(&right, "none@aclb"), Code::UnknownAccount);
    applied(&mut net, "nbc@nbc", grant(&right, "sok@aclb"));
    one(&mut net, "nbc@nbc", grant(&right, "sok@aclb"), Code::AlreadyExists);
    applied(&mut net, "sok@aclb", mint("1"));
    applied(&mut net, "sok@aclb", grant(&right, "dara@aclb"));
    one(
        &mut net,
        "sok@aclb",
        grant(&P::Burn(asset("khr#nbc")), "dara@aclb"),
        Code::PermissionDenied,
    );
    // One's own last right can be laid down, and then handed on no more.
    applied(&mut net, "sok@aclb", revoke(&right, "sok@aclb"));
    one(&mut net, "sok@aclb", revoke(&right, "sok@aclb"), Code::NotGranted);
    one(&mut net, "sok@aclb", mint("1"), Code::PermissionDenied);
    one(&mut net, "sok@aclb", grant(&right, "sok@aclb"), Code::PermissionDenied);
    applied(&mut net, "nbc@nbc", revoke(&right, "dara@aclb"));
    one(&mut net, "nbc@nbc", revoke(&right, "none@aclb"), Code::UnknownAccount);
    one(&mut net, "dara@aclb", mint("1"), Code::PermissionDenied);
}

#[test]
fn a_role_is_its_permissions() {
    let mut net = Net::new();
    let issuing = [P::Mint(asset("khr#nbc")), P::Burn(asset("khr#nbc"))];
    one(&mut net, "sok@aclb", role("issuer", &issuing), Code::PermissionDenied);
    applied(&mut net, "nbc@nbc", grant(&P::ManageRoles, "bank@aclb"));
    one(&mut net, "bank@aclb", role("issuer", &issuing), Code::PermissionDenied);
    one(&mut net, "nbc@nbc", give("issuer", "sok@aclb"), Code::UnknownRole);
    one(&mut net, "nbc@nbc", take("issuer", "sok@aclb"), Code::UnknownRole);
    applied(&mut net, "nbc@nbc", role("issuer", &issuing));
    one(&mut net, "nbc@nbc", role("issuer", &[]), Code::AlreadyExists);
    one(&mut net, "bank@aclb", give("issuer", "sok@aclb"), Code::PermissionDenied);
    one(&mut net, "sok@aclb", give("issuer", "sok@aclb"), Code::PermissionDenied);
    one(&mut net, "nbc@nbc", give("issuer", "none@aclb"), Code::UnknownAccount);
    applied(&mut net, "nbc@nbc", give("issuer", "sok@aclb"));
    one(&mut net, "nbc@nbc", give("issuer", "sok@aclb"), Code::AlreadyExists);
    applied(&mut net, "sok@aclb", mint("1"));
    one(&mut net, "dara@aclb", take("issuer", "sok@aclb"), Code::PermissionDenied);
    one(&mut net, "bank@aclb", take("issuer", "dara@aclb"), Code::NotGranted);
    applied(&mut net, "bank@aclb", take("issuer", "sok@aclb"));
    one(&mut net, "sok@aclb", mint("1"), Code::PermissionDenied);
    applied(&mut net, "nbc@nbc", give("issuer", "sok@aclb"));
    applied(&mut net, "sok@aclb", take("issuer", "sok@aclb"));
    let roles = net.world.reader().roles(None, 10).unwrap();
    assert_eq!(roles.len(), 1);
    assert_eq!(roles[0].1.permissions.to_vec(), issuing);
}

#[test]
fn lists_of_rights_are_bounded() {
    let mut net = Net::new();
    for number in 0..16 {
        applied(&mut net, "nbc@nbc", role(&format!("r{number}"), &[]));
        applied(&mut net, "nbc@nbc", give(&format!("r{number}"), "sok@aclb"));
    }
    applied(&mut net, "nbc@nbc", role("r16", &[]));
    one(&mut net, "nbc@nbc", give("r16", "sok@aclb"), Code::TooMany);
    let all: Vec<_> =
        (0..64).map(|number| P::TransferFrom(account(&format!("a{number}@aclb")))).collect();
    // Rights are checked one by one, so they are granted by the accounts that have them.
    let own = P::TransferFrom(account("dara@aclb"));
    let whose = |permission: &P| match permission {
        P::TransferFrom(id) => id.to_string(),
        other => panic!("{other}"),
    };
    for some in all.chunks(32) {
        let opening = some.iter().map(|permission| {
            ("bank@aclb".to_owned(), super::instructions::open(&whose(permission)))
        });
        let opening = net.draft(opening.collect());
        assert_eq!(net.outcome(opening), Outcome::Applied);
        let granting =
            some.iter().map(|permission| (whose(permission), grant(permission, "sok@aclb")));
        let granting = net.draft(granting.collect());
        assert_eq!(net.outcome(granting), Outcome::Applied);
    }
    one(&mut net, "dara@aclb", grant(&own, "sok@aclb"), Code::TooMany);
}

#[test]
fn ownership_brings_rights() {
    let mut net = Net::new();
    let reader = net.world.reader();
    let holds =
        |who: &str, permission: &P| reader.holds_permission(&account(who), permission).unwrap();
    let aclb = || "aclb".parse().unwrap();
    for (permission, who) in [
        (P::RegisterDomains, "nbc@nbc"),
        (P::ManageRoles, "nbc@nbc"),
        (P::ManageValidators, "nbc@nbc"),
        (P::SetParameters, "nbc@nbc"),
        (P::ReadAllAccounts, "nbc@nbc"),
        (P::Mint(asset("khr#nbc")), "nbc@nbc"),
        (P::Burn(asset("khr#nbc")), "nbc@nbc"),
        (P::Recall(asset("khr#nbc")), "nbc@nbc"),
        (P::RegisterAccounts(aclb()), "bank@aclb"),
        (P::ManageAccounts(aclb()), "bank@aclb"),
        (P::RegisterAssets(aclb()), "bank@aclb"),
        (P::ReadAccounts(aclb()), "bank@aclb"),
        (P::TransferFrom(account("sok@aclb")), "sok@aclb"),
    ] {
        assert!(holds(who, &permission), "{who} {permission}");
        for other in ["dara@aclb", "nbc@nbc", "bank@aclb"] {
            let regulator = matches!(permission, P::ReadAccounts(_)) && other == "nbc@nbc";
            assert_eq!(
                holds(other, &permission),
                who == other || regulator,
                "{other} {permission}"
            );
        }
    }
    applied(&mut net, "nbc@nbc", grant(&P::ReadAllAccounts, "sok@aclb"));
    assert!(
        net.world
            .reader()
            .holds_permission(&account("sok@aclb"), &P::ReadAccounts(aclb()))
            .unwrap()
    );
}

#[test]
fn delegates_pay_for_another_as_long_as_they_may() {
    let mut net = Net::new();
    let right = P::TransferFrom(account("sok@aclb"));
    let paying = || match pay("dara@aclb", "bank@aclb", "khr#nbc", "5").1 {
        Instruction::Transfer { asset, to, amount, memo, invoice, .. } => {
            let from = Some(account("sok@aclb"));
            Instruction::Transfer { asset, from, to, amount, memo, invoice }
        }
        other => other,
    };
    one(&mut net, "dara@aclb", paying(), Code::PermissionDenied);
    applied(&mut net, "sok@aclb", grant(&right, "dara@aclb"));
    applied(&mut net, "dara@aclb", paying());
    assert_eq!(net.available("sok@aclb", "khr#nbc"), 995);
    applied(&mut net, "sok@aclb", revoke(&right, "dara@aclb"));
    one(&mut net, "dara@aclb", paying(), Code::PermissionDenied);
}

#[test]
fn parameters_keep_their_ranges_and_the_operator_hands_on_the_network() {
    let mut net = Net::new();
    let set = Instruction::SetParameter;
    one(&mut net, "sok@aclb", set(Parameter::DeltaMs(100)), Code::PermissionDenied);
    for bad in [
        Parameter::DeltaMs(9),
        Parameter::MaxTtlMs(600_001),
        Parameter::UtcOffsetMin(841),
        Parameter::UtcOffsetMin(-721),
    ] {
        one(&mut net, "nbc@nbc", set(bad), Code::OutOfRange);
    }
    let two = net.draft(vec![
        ("nbc@nbc".into(), set(Parameter::DeltaMs(100))),
        ("nbc@nbc".into(), set(Parameter::MaxTtlMs(50_000))),
    ]);
    net.outcome(two);
    let parameters = net.world.reader().parameters();
    assert_eq!((parameters.delta_ms, parameters.max_ttl_ms), (100, 50_000));
    applied(&mut net, "nbc@nbc", grant(&P::SetParameters, "bank@aclb"));
    let operator = |id: &str| set(Parameter::Operator(account(id)));
    one(&mut net, "bank@aclb", operator("bank@aclb"), Code::PermissionDenied);
    one(&mut net, "nbc@nbc", operator("none@nbc"), Code::UnknownAccount);
    // Who becomes operator is out of its manager's hands in that very block.
    let manager = Instruction::SetParameter(Parameter::Operator(account("sok@aclb")));
    let close = Instruction::UnregisterAccount { id: account("sok@aclb") };
    let taking = net.draft(vec![("nbc@nbc".into(), manager), ("bank@aclb".into(), close)]);
    super::rejected(&mut net, taking, Code::PermissionDenied);
    applied(&mut net, "nbc@nbc", operator("bank@aclb"));
    one(&mut net, "nbc@nbc", grant(&P::ManageRoles, "sok@aclb"), Code::PermissionDenied);
    applied(&mut net, "bank@aclb", grant(&P::ManageRoles, "sok@aclb"));
}

#[test]
fn an_asset_is_minted_as_often_as_it_may() {
    let mut net = Net::new();
    for (id, mintability) in [("once#aclb", Mintability::Once), ("never#aclb", Mintability::Never)]
    {
        let make =
            Instruction::RegisterAsset { id: asset(id), scale: 0, supply_cap: None, mintability };
        applied(&mut net, "bank@aclb", make);
        let mint = Instruction::Mint {
            asset: asset(id),
            to: account("sok@aclb"),
            amount: "1".parse().unwrap(),
        };
        if mintability == Mintability::Once {
            applied(&mut net, "bank@aclb", mint.clone());
        }
        one(&mut net, "bank@aclb", mint, Code::NotMintable);
    }
}
