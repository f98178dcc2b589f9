//! Validators that come and go.

use std::sync::Arc;

use tonle_model::instruction::Instruction;
use tonle_model::joining::Joining;
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::leader::LeaderMarks;
use tonle_model::limits;
use tonle_model::number::View;
use tonle_model::receipt::{Outcome, RejectionCode as Code};
use tonle_model::vote::VoteKind;

use super::recall::{paid, recall};
use super::{applied, one};
use crate::state::CommittedBlock;
use crate::testing::{Net, account, finalization_by, next_header, pay};

fn key(name: &str) -> PublicKey {
    KeyPair::demo(name).public_key()
}

/// A block with one payment.
fn block(net: &mut Net) -> Arc<CommittedBlock> {
    let payment = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1").signed();
    net.block(vec![payment])
}

/// What shows that a key is there: it signed a block that three of the first four decided.
fn joining(net: &Net, block: &CommittedBlock, signer: &str) -> Joining {
    let chain = net.genesis.chain();
    let decided = finalization_by(&chain, &net.genesis.validators, block, &["v1", "v2", "v4"]);
    Joining::sign(&KeyPair::demo(signer), &chain, decided).unwrap()
}

fn register(name: &str, joining: &Joining) -> Instruction {
    Instruction::RegisterValidator {
        name: name.parse().unwrap(),
        public_key: key(name),
        joining: Box::new(joining.clone()),
    }
}

fn unregister(name: &str) -> Instruction {
    Instruction::UnregisterValidator { public_key: key(name) }
}

fn names(net: &Net) -> Vec<String> {
    let set = net.world.reader().validators();
    let mut names: Vec<_> = set.iter().map(|one| one.name.to_string()).collect();
    names.sort();
    names
}

#[test]
fn validators_change_from_the_next_height_on() {
    let mut net = Net::new();
    let first = block(&mut net);
    let before = net.world.reader().validators();
    let at = net.world.committed().height.next();
    let shown = joining(&net, &first, "x1");
    applied(&mut net, "nbc@nbc", register("x1", &shown));
    assert_eq!(names(&net), ["v1", "v2", "v3", "v4", "x1"]);
    let reader = net.world.reader();
    assert_eq!(reader.committed().result.next_validators, reader.validators().hash());
    applied(&mut net, "nbc@nbc", unregister("v2"));
    assert_eq!(names(&net), ["v1", "v3", "v4", "x1"]);

    let changes = [at, at.next()];
    for reopen in [false, true] {
        if reopen {
            net.reopen();
        }
        let reader = net.world.reader();
        assert_eq!(reader.validator_changes().unwrap(), changes);
        assert_eq!(reader.validators_at(first.header.height).unwrap(), before);
        assert_eq!(reader.validators_at(at).unwrap(), before, "it decided the change");
        assert_eq!(reader.validators_at(at.next()).unwrap().count(), 5);
        assert_eq!(reader.validators_at(at.next().next()).unwrap(), reader.validators());
    }
}

#[test]
fn who_changes_validators_and_what_it_needs() {
    let mut net = Net::new();
    let first = block(&mut net);
    let good = joining(&net, &first, "x1");
    one(&mut net, "bank@aclb", register("x1", &good), Code::PermissionDenied);
    one(&mut net, "bank@aclb", unregister("v1"), Code::PermissionDenied);
    let known = joining(&net, &first, "v1");
    one(&mut net, "nbc@nbc", register("v1", &known), Code::AlreadyExists);
    one(&mut net, "nbc@nbc", unregister("x1"), Code::UnknownValidator);
    let mut weak = register("x1", &good);
    if let Instruction::RegisterValidator { public_key, .. } = &mut weak {
        *public_key = PublicKey([0; 32]);
        public_key.0[0] = 1;
    }
    one(&mut net, "nbc@nbc", weak, Code::WeakKey);
    let permission = "manage_validators".parse().unwrap();
    let grant = Instruction::Grant { permission, account: account("bank@aclb") };
    applied(&mut net, "nbc@nbc", grant);
    applied(&mut net, "bank@aclb", register("x1", &good));
}

#[test]
fn absent_keys_do_not_join() {
    let mut net = Net::new();
    let first = block(&mut net);
    let good = joining(&net, &first, "x1");
    let of_another = joining(&net, &first, "x2");
    let undecided = {
        let mut joining = good.clone();
        joining.finalization.signatures = Default::default();
        joining
    };
    let notarized = {
        let mut joining = good.clone();
        joining.finalization.ballot.kind = VoteKind::Notarize { block: first.block };
        joining
    };
    for absent in [of_another, undecided, notarized] {
        one(&mut net, "nbc@nbc", register("x1", &absent), Code::AbsentKey);
    }
    // The last height at which the signature still counts, and the one after.
    let last = first.header.height.0 + limits::JOINING_HEIGHTS_MAX;
    while net.world.committed().height.0 + 1 < last {
        block(&mut net);
    }
    let long_ago = net.draft(vec![("nbc@nbc".into(), register("x1", &good))]).signed();
    let outcome = net.block(vec![long_ago]).receipts[0].outcome;
    assert_eq!(outcome, Outcome::Applied, "at height {last}");
    applied(&mut net, "nbc@nbc", unregister("x1"));
    one(&mut net, "nbc@nbc", register("x1", &good), Code::AbsentKey);
}

#[test]
fn one_change_in_a_block_and_never_the_last_one() {
    let mut net = Net::new();
    let two = ["v1", "v2"].map(|name| net.draft(vec![("nbc@nbc".into(), unregister(name))]));
    let block = net.block(two.iter().map(|draft| draft.signed()).collect());
    let changing = Outcome::Rejected { code: Code::ValidatorsChanging, step: 0 };
    let outcomes: Vec<_> = block.receipts.iter().map(|receipt| receipt.outcome).collect();
    assert_eq!(outcomes, [Outcome::Applied, changing]);
    applied(&mut net, "nbc@nbc", unregister("v2"));
    applied(&mut net, "nbc@nbc", unregister("v3"));
    one(&mut net, "nbc@nbc", unregister("v4"), Code::LastValidator);
    assert_eq!(names(&net), ["v4"]);
}

/// Marks name validators by their place among all.
#[test]
fn marks_do_not_pass_to_others_when_places_change() {
    let mut net = Net::new();
    let batches = vec![net.batch(vec![net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1").signed()])];
    let mut late = next_header(&net.world, &batches, net.next_ms());
    late.proposed_view = View(2);
    let executed = net.world.execute(&late, &batches).unwrap();
    net.world.commit(executed).unwrap();
    assert_ne!(*net.world.reader().marks(), LeaderMarks::default());
    applied(&mut net, "nbc@nbc", unregister("v1"));
    assert_eq!(*net.world.reader().marks(), LeaderMarks::default());
}

/// Who signed a payment then need not validate now.
#[test]
fn a_payment_is_recalled_by_the_word_of_those_who_validated_then() {
    let mut net = Net::new();
    let (proof, ..) = paid(&mut net);
    for name in ["v1", "v3"] {
        applied(&mut net, "nbc@nbc", unregister(name));
    }
    applied(&mut net, "nbc@nbc", recall(&proof, "5"));
    applied(&mut net, "sok@aclb", pay("sok@aclb", "dara@aclb", "khr#nbc", "1").1);
}
