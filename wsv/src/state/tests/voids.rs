//! What makes a transaction void at its place, and that it leaves no trace.

use tonle_model::receipt::{Outcome, RejectionCode, Void, VoidCode};

use crate::testing::{MAX_TTL_MS, Net, START_MS, account, pay};

fn because(code: VoidCode) -> Void {
    Void { code, authority: None }
}

#[test]
fn the_window_has_exact_bounds() {
    let mut net = Net::new();
    let now = START_MS + 1_000;
    let draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1");
    let cases = [
        (now - 2, now - 1, Some(VoidCode::Expired)),
        (now - 1, now, None),
        (now + 5_001, now + 6_000, Some(VoidCode::NotYetValid)),
        (now + 5_000, now + 6_000, None),
        (now, now + MAX_TTL_MS + 1, Some(VoidCode::WindowTooLong)),
        (now, now + MAX_TTL_MS, None),
    ];
    let members =
        cases.map(|(created, expires, _)| draft.clone().window(created, expires).signed());
    let block = net.block(members.to_vec());
    let expected = cases
        .iter()
        .zip(&members)
        .filter_map(|((_, _, code), member)| code.map(|code| (member.hash(), because(code))));
    assert_eq!(block.voids, expected.collect::<Vec<_>>());
    assert_eq!(block.receipts.len(), 3);
    assert!(block.receipts.iter().all(|receipt| receipt.outcome == Outcome::Applied));
}

#[test]
fn a_hash_applies_once() {
    let mut net = Net::new();
    let draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1");
    let other_signatures = draft.clone().by(&["sok@aclb", "other"]);
    assert_eq!(draft.signed().hash(), other_signatures.signed().hash());
    // Twice in one block, then in another one.
    let block = net.block(vec![draft.signed(), other_signatures.signed()]);
    assert_eq!((block.receipts.len(), block.voids.len()), (1, 1));
    let block = net.block(vec![draft.signed()]);
    assert_eq!(block.voids, [(draft.signed().hash(), because(VoidCode::Duplicate))]);
    net.reopen();
    let block = net.block(vec![draft.signed()]);
    assert_eq!(block.voids, [(draft.signed().hash(), because(VoidCode::Duplicate))]);
    assert_eq!(net.available("sok@aclb", "khr#nbc"), 999);
}

#[test]
fn a_rejected_transaction_used_its_hash_up() {
    let mut net = Net::new();
    let draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "2000");
    let code = RejectionCode::InsufficientBalance;
    assert_eq!(net.outcome(draft.clone()), Outcome::Rejected { code, step: 0 });
    net.reopen();
    let block = net.block(vec![draft.signed()]);
    assert_eq!(block.voids[0].1.code, VoidCode::Duplicate);
}

#[test]
fn a_reference_applies_once_per_authority_and_window() {
    let mut net = Net::new();
    let pay_with =
        |net: &Net, from: &str, to: &str| net.pay(from, to, "khr#nbc", "1").reference("invoice 7");
    let first = pay_with(&net, "sok@aclb", "dara@aclb");
    assert_eq!(net.outcome(first.clone()), Outcome::Applied);
    let again = pay_with(&net, "sok@aclb", "dara@aclb");
    assert_ne!(first.signed().hash(), again.signed().hash());
    assert_eq!(net.void(&again), because(VoidCode::Duplicate));
    net.reopen();
    let again = pay_with(&net, "sok@aclb", "dara@aclb");
    assert_eq!(net.void(&again), because(VoidCode::Duplicate));
    let of_other = pay_with(&net, "dara@aclb", "sok@aclb");
    assert_eq!(net.outcome(of_other), Outcome::Applied);
    // Free again once the first one's window is over.
    let over = first.payload.expires_ms + 1;
    let late = pay_with(&net, "sok@aclb", "dara@aclb").window(over, over + 1_000);
    assert_eq!(net.block_at(vec![late.signed()], over).receipts.len(), 1);
}

#[test]
fn two_uses_of_a_reference_in_one_block_are_one() {
    let mut net = Net::new();
    let first = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1").reference("r");
    let second = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "2").reference("r");
    let block = net.block(vec![first.signed(), second.signed()]);
    assert_eq!(block.voids, [(second.signed().hash(), because(VoidCode::Duplicate))]);
}

#[test]
fn a_rejected_transaction_leaves_its_reference_free() {
    let mut net = Net::new();
    let failing = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "2000").reference("r");
    assert_ne!(net.outcome(failing), Outcome::Applied);
    let retry = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "2").reference("r");
    assert_eq!(net.outcome(retry), Outcome::Applied);
}

#[test]
fn every_authority_exists() {
    let mut net = Net::new();
    let draft = net.draft(vec![
        pay("sok@aclb", "dara@aclb", "khr#nbc", "1"),
        pay("none@aclb", "dara@aclb", "khr#nbc", "1"),
    ]);
    let authority = Some(account("none@aclb"));
    assert_eq!(net.void(&draft), Void { code: VoidCode::UnknownAuthority, authority });
}

#[test]
fn every_authoritys_quorum_is_met() {
    let mut net = Net::new();
    let short = |who: &str| Void { code: VoidCode::QuorumNotMet, authority: Some(account(who)) };
    let single = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1");
    assert_eq!(net.void(&single.clone().by(&["dara@aclb"])), short("sok@aclb"));
    // A copy with the wrong signatures did not use the true one up.
    assert_eq!(net.outcome(single), Outcome::Applied);

    let joint = net.pay("joint@aclb", "sok@aclb", "khr#nbc", "1");
    for too_few in [&["a", "b"][..], &["c"], &["a", "sok@aclb", "dara@aclb"]] {
        assert_eq!(net.void(&joint.clone().by(too_few)), short("joint@aclb"));
    }
    assert_eq!(net.outcome(joint.clone().by(&["a", "c"])), Outcome::Applied);
    let all = joint.nonce(77).by(&["a", "b", "c", "sok@aclb"]);
    assert_eq!(net.outcome(all), Outcome::Applied);

    let both = net.draft(vec![
        pay("sok@aclb", "joint@aclb", "khr#nbc", "1"),
        pay("joint@aclb", "sok@aclb", "khr#nbc", "1"),
    ]);
    assert_eq!(net.void(&both.clone().by(&["sok@aclb", "c"])), short("joint@aclb"));
    assert_eq!(net.void(&both.clone().by(&["a", "c"])), short("sok@aclb"));
    assert_eq!(net.outcome(both.by(&["a", "c", "sok@aclb"])), Outcome::Applied);
}

#[test]
fn an_account_acts_in_the_block_that_opens_it() {
    let mut net = Net::new();
    let key = tonle_model::key::KeyPair::demo("rith@aclb").public_key();
    let signatory = tonle_model::instruction::Signatory { public_key: key, weight: 1 };
    let open = tonle_model::instruction::Instruction::RegisterAccount {
        id: account("rith@aclb"),
        signatories: tonle_model::bounded::Bounded::new(vec![signatory]).unwrap(),
        quorum: 1,
        tier: None,
    };
    let opening =
        net.draft(vec![("bank@aclb".into(), open), pay("sok@aclb", "rith@aclb", "khr#nbc", "5")]);
    let paying = net.pay("rith@aclb", "dara@aclb", "khr#nbc", "5");
    let block = net.block(vec![opening.signed(), paying.signed()]);
    assert_eq!(block.voids, []);
    assert_eq!(net.available("rith@aclb", "khr#nbc"), 0);
    assert_eq!(net.available("dara@aclb", "khr#nbc"), 505);
}
