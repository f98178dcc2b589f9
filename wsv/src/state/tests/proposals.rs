//! Approvals on the chain. `joint@aclb` has keys a (1), b (1) and c (2), and a quorum of 3.

use tonle_model::hash::ProposalId;
use tonle_model::instruction::{Instruction, Signatory};
use tonle_model::key::KeyPair;
use tonle_model::receipt::{Outcome, RejectionCode as Code};

use super::rejected;
use crate::testing::{Draft, Net, account, pay};

fn propose(net: &Net, instructions: Vec<Instruction>) -> Instruction {
    Instruction::Propose {
        account: account("joint@aclb"),
        instructions: instructions.try_into().unwrap(),
        expires_ms: net.next_ms() + 100_000,
    }
}

fn paying(amount: &str) -> Instruction {
    pay("joint@aclb", "sok@aclb", "khr#nbc", amount).1
}

/// A step that `sok@aclb` carries, signed also with other keys.
fn carried(net: &Net, instruction: Instruction, keys: &[&str]) -> Draft {
    let keys = [&["sok@aclb"], keys].concat();
    net.draft(vec![("sok@aclb".into(), instruction)]).by(&keys)
}

fn proposed(net: &mut Net, instructions: Vec<Instruction>, keys: &[&str]) -> ProposalId {
    let draft = carried(net, propose(net, instructions), keys);
    assert_eq!(net.outcome(draft.clone()), Outcome::Applied);
    ProposalId::of(&draft.signed().hash(), 0)
}

fn approve(net: &mut Net, id: ProposalId, keys: &[&str]) -> Outcome {
    let draft = carried(net, Instruction::Approve { id }, keys);
    net.outcome(draft)
}

#[test]
fn a_proposal_runs_once_its_quorum_approved() {
    let mut net = Net::new();
    let id = proposed(&mut net, vec![paying("100"), paying("50")], &["a"]);
    assert_eq!(net.world.reader().proposals_of(&account("joint@aclb")).unwrap().len(), 1);
    for keys in [&["a"][..], &[], &["dara@aclb"]] {
        let draft = carried(&net, Instruction::Approve { id }, keys);
        rejected(&mut net, draft, Code::NothingToApprove);
    }
    assert_eq!(approve(&mut net, id, &["b"]), Outcome::Applied);
    assert_eq!(net.available("joint@aclb", "khr#nbc"), 300);
    assert_eq!(approve(&mut net, id, &["c"]), Outcome::Applied);
    assert_eq!(net.available("joint@aclb", "khr#nbc"), 150);
    assert_eq!(net.world.reader().proposals_of(&account("joint@aclb")).unwrap(), []);
    let draft = carried(&net, Instruction::Approve { id }, &["c"]);
    rejected(&mut net, draft, Code::UnknownProposal);
    // Both lines of one step stand in the history.
    let query = crate::state::HistoryQuery {
        account: account("joint@aclb"),
        asset: None,
        direction: None,
        since_ms: None,
        until_ms: None,
        limit: 10,
        cursor: None,
    };
    let page = net.world.reader().history(&query).unwrap();
    let lines: Vec<_> = page.entries.iter().map(|line| line.balance.minor()).collect();
    assert_eq!(lines, [150, 200, 300]);
    // With all signatures at once it runs at once.
    proposed(&mut net, vec![paying("1")], &["a", "c"]);
    assert_eq!(net.available("joint@aclb", "khr#nbc"), 149);
}

#[test]
fn a_proposal_that_fails_can_be_tried_again() {
    let mut net = Net::new();
    let id = proposed(&mut net, vec![paying("300"), paying("1")], &["a"]);
    let draft = carried(&net, Instruction::Approve { id }, &["c"]);
    rejected(&mut net, draft, Code::InsufficientBalance);
    let more = net.pay("sok@aclb", "joint@aclb", "khr#nbc", "1");
    net.outcome(more);
    assert_eq!(approve(&mut net, id, &["c"]), Outcome::Applied);
    assert_eq!(net.available("joint@aclb", "khr#nbc"), 0);
}

#[test]
fn weights_are_read_when_it_runs() {
    let mut net = Net::new();
    let id = proposed(&mut net, vec![paying("10")], &["a"]);
    let change = |net: &mut Net, instruction| {
        let draft = net.draft(vec![("joint@aclb".into(), instruction)]).by(&["a", "c"]);
        assert_eq!(net.outcome(draft), Outcome::Applied);
    };
    let signatory = Signatory { public_key: KeyPair::demo("d").public_key(), weight: 5 };
    let joint = || account("joint@aclb");
    change(&mut net, Instruction::AddSignatory { account: joint(), signatory });
    let public_key = KeyPair::demo("a").public_key();
    change(&mut net, Instruction::RemoveSignatory { account: joint(), public_key });
    // The key that is gone counts no more: c alone has 2 of 3.
    assert_eq!(approve(&mut net, id, &["c"]), Outcome::Applied);
    assert_eq!(net.available("joint@aclb", "khr#nbc"), 300);
    assert_eq!(approve(&mut net, id, &["d"]), Outcome::Applied);
    assert_eq!(net.available("joint@aclb", "khr#nbc"), 290);
}

#[test]
fn what_a_proposal_needs() {
    let mut net = Net::new();
    let mut bad = |instruction: Instruction, keys: &[&str], code| {
        let draft = carried(&net, instruction, keys);
        rejected(&mut net, draft, code);
    };
    let expires_ms = crate::testing::START_MS + 90_000;
    let make = |instructions: Vec<Instruction>, expires_ms| Instruction::Propose {
        account: account("joint@aclb"),
        instructions: instructions.try_into().unwrap(),
        expires_ms,
    };
    let nested = make(vec![paying("1")], expires_ms);
    let withdraw = Instruction::Withdraw { id: ProposalId::default() };
    bad(make(Vec::new(), expires_ms), &["a"], Code::InvalidProposal);
    bad(make(vec![nested], expires_ms), &["a"], Code::InvalidProposal);
    bad(make(vec![withdraw.clone()], expires_ms), &["a"], Code::InvalidProposal);
    bad(make(vec![paying("1")], 0), &["a"], Code::InvalidExpiry);
    bad(make(vec![paying("1")], expires_ms + 31 * 86_400_000), &["a"], Code::InvalidExpiry);
    bad(make(vec![paying("1")], expires_ms), &["dara@aclb"], Code::NothingToApprove);
    bad(withdraw, &["a"], Code::UnknownProposal);
    let unknown = Instruction::Propose {
        account: account("none@aclb"),
        instructions: vec![paying("1")].try_into().unwrap(),
        expires_ms,
    };
    bad(unknown, &["a"], Code::UnknownAccount);
    for _ in 0..32 {
        proposed(&mut net, vec![paying("1")], &["a"]);
    }
    let one_more = propose(&net, vec![paying("1")]);
    let draft = carried(&net, one_more, &["a"]);
    rejected(&mut net, draft, Code::TooMany);
}

#[test]
fn proposals_are_withdrawn_by_proposer_or_account_and_expire() {
    let mut net = Net::new();
    let id = proposed(&mut net, vec![paying("1")], &["a"]);
    let withdraw = |id| Instruction::Withdraw { id };
    let thief = net.draft(vec![("dara@aclb".into(), withdraw(id))]).by(&["dara@aclb", "a", "c"]);
    rejected(&mut net, thief, Code::PermissionDenied);
    let proposer = net.draft(vec![("sok@aclb".into(), withdraw(id))]);
    assert_eq!(net.outcome(proposer), Outcome::Applied);
    let id = proposed(&mut net, vec![paying("1")], &["a"]);
    let owner = net.draft(vec![("joint@aclb".into(), withdraw(id))]).by(&["a", "c"]);
    assert_eq!(net.outcome(owner), Outcome::Applied);

    let id = proposed(&mut net, vec![paying("1")], &["a"]);
    let expires_ms = net.world.reader().proposal(&id).unwrap().unwrap().expires_ms;
    let late =
        carried(&net, Instruction::Approve { id }, &["c"]).window(expires_ms, expires_ms + 9);
    let block = net.block_at(vec![late.signed()], expires_ms + 1);
    let expired = Outcome::Rejected { code: Code::ProposalExpired, step: 0 };
    assert_eq!(block.receipts[0].outcome, expired);
    assert_eq!(net.world.reader().proposal(&id).unwrap(), None, "and forgotten");
    assert_eq!(net.world.reader().proposals_of(&account("joint@aclb")).unwrap(), []);
}
