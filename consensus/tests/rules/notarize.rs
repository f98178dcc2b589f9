//! Rule 3: what a proposal must be.

use tonle_consensus::{Evidence, Input, Output, Record};
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::hash::{BlockHash, ChainHash, Digest256, ResultHash};
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::vote::VoteKind;

use super::harness::*;
use crate::common::batch_ref;

#[test]
fn a_valid_proposal_is_notarized_when_its_batches_are_held() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    let outputs = node.propose(0, &header, node.justification(None, &[]));
    assert!(has(&outputs, |output| *output == Output::Check { header: header.clone() }));
    assert_eq!(signed(&outputs), [], "batches are not held yet");
    let outputs = node.tell(Input::Available { block: header.hash() });
    assert_eq!(signed(&outputs), [(0, notarize(&header))]);
    let logged = Output::Persist(Record::Header(header.clone()));
    let persisted = position(&outputs, |output| *output == logged);
    let signs = position(&outputs, |output| matches!(output, Output::SignVote { .. }));
    assert!(persisted < signs, "the header is durable before the vote leaves");
    let executes =
        position(&outputs, |output| *output == Output::Execute { header: header.clone() });
    assert!(signs < executes, "execution overlaps with the travel of the vote");
    let outputs = node.tell(Input::Available { block: header.hash() });
    assert_eq!(signed(&outputs), [], "once per view");
}

#[test]
fn an_invalid_new_header_is_refused_and_its_view_nullified() {
    type Spoil = fn(&mut Header);
    let spoils: [(&str, Spoil); 10] = [
        ("chain", |header| header.chain = ChainHash(Digest256([9; 32]))),
        ("height", |header| header.height = Height(6)),
        ("parent", |header| header.parent = BlockHash::default()),
        ("parent result", |header| header.parent_result = ResultHash::default()),
        ("proposer", |header| header.proposer = ValidatorIndex(3)),
        ("view", |header| header.proposed_view = View(1)),
        ("no batch", |header| header.batches = Bounded::default()),
        ("a batch twice", |header| {
            header.batches = Bounded::new(vec![batch_ref(1), batch_ref(1)]).unwrap();
        }),
        ("not after its parent", |header| header.timestamp_ms = parent().timestamp_ms),
        ("behind our clock", |header| header.timestamp_ms = START_MS + 1_000 - DRIFT_MS - 1),
    ];
    for (what, spoil) in spoils {
        let mut node = Harness::voting(4, 0);
        // The parent must not hide that the block is behind our clock.
        node.now_ms = START_MS + 1_000;
        if what == "behind our clock" {
            node.now_ms = START_MS + 60_000;
        }
        let mut header = node.header(0);
        spoil(&mut header);
        if what == "behind our clock" {
            header.timestamp_ms = node.now_ms - DRIFT_MS - 1;
        }
        let mut proposal = node.proposal(0, &header, node.justification(None, &[]));
        proposal.height = HEIGHT;
        let outputs = node.tell(Input::Proposal(proposal));
        assert_eq!(signed(&outputs), [(0, VoteKind::Nullify)], "{what}");
        assert!(!has(&outputs, |output| matches!(output, Output::Check { .. })), "{what}");
    }
}

#[test]
fn a_header_whose_batches_break_a_rule_is_refused() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose(0, &header, node.justification(None, &[]));
    let outputs = node.tell(Input::Unusable { block: header.hash() });
    assert_eq!(signed(&outputs), [(0, VoteKind::Nullify)]);
}

#[test]
fn trap_a_proposal_that_steps_over_a_view_without_its_nullification() {
    // We know that view 2 was nullified; views 0 and 1 may have something final.
    for nullified in [vec![1, 2], vec![0, 2], vec![0, 1], vec![]] {
        let mut node = Harness::voting(4, 1);
        node.tell_certificate(node.nullification(2));
        let header = node.header(3);
        let outputs = node.propose(3, &header, node.justification(None, &nullified));
        let complete = nullified == [0, 1];
        assert_eq!(has(&outputs, |output| matches!(output, Output::Check { .. })), complete);
        let outputs = node.tell(Input::Available { block: header.hash() });
        assert_eq!(signed(&outputs).len(), usize::from(complete), "{nullified:?}");
    }
}

#[test]
fn a_proposal_waits_for_the_certificates_it_lacks() {
    let mut node = Harness::voting(4, 0);
    node.tell_certificate(node.nullification(1));
    let header = node.header(2);
    let outputs = node.propose(2, &header, node.justification(None, &[1]));
    assert!(!has(&outputs, |output| matches!(output, Output::Check { .. })));
    node.tell_certificate(node.nullification(0));
    let outputs = node.tell(Input::Available { block: header.hash() });
    assert_eq!(signed(&outputs), [(2, notarize(&header))]);
}

#[test]
fn above_a_notarization_only_its_block_may_be_proposed() {
    let mut node = Harness::voting(4, 0);
    let notarized = node.header(0);
    let new = node.header(1);
    let why = node.justification(Some((0, &notarized)), &[]);
    let outputs = node.propose(1, &new, why.clone());
    assert_eq!(node.core.view(), View(1), "the justification's certificates are taken");
    assert_eq!(signed(&outputs), [(1, VoteKind::Nullify)]);

    let mut node = Harness::voting(4, 0);
    let outputs = node.propose_held(1, &notarized, why);
    assert!(signed(&outputs).contains(&(1, notarize(&notarized))));
}

#[test]
fn a_notarization_of_the_same_view_justifies_nothing() {
    let mut node = Harness::voting(4, 0);
    node.tell_certificate(node.nullification(0));
    let header = node.header(1);
    let mut why = node.justification(Some((1, &header)), &[0]);
    let outputs = node.propose_held(1, &header, why.clone());
    assert!(!signed(&outputs).contains(&(1, notarize(&header))));
    // Nor does a certificate of another kind in its place.
    let mut node = Harness::voting(4, 0);
    why.notarization = Some(node.nullification(0));
    let outputs = node.propose_held(1, &header, why);
    assert_eq!(signed(&outputs), [(1, VoteKind::Nullify)]);
}

#[test]
fn a_re_proposed_block_keeps_its_old_time() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.wait(60_000);
    let why = node.justification(Some((0, &header)), &[]);
    let outputs = node.propose_held(1, &header, why);
    assert!(signed(&outputs).contains(&(1, notarize(&header))));
}

#[test]
fn trap_a_leader_clock_just_beyond_drift() {
    let mut node = Harness::voting(4, 0);
    let mut header = node.header(0);
    header.timestamp_ms = node.now_ms + DRIFT_MS + 40;
    let outputs = node.propose(0, &header, node.justification(None, &[]));
    assert!(!has(&outputs, |output| matches!(output, Output::Check { .. })));
    assert_eq!(signed(&outputs), [], "neither notarized nor rejected");
    assert_eq!(node.core.next_deadline(), Some(node.now_ms + 40));
    let outputs = node.wait(40);
    assert!(has(&outputs, |output| matches!(output, Output::Check { .. })));
    let outputs = node.tell(Input::Available { block: header.hash() });
    assert_eq!(signed(&outputs), [(0, notarize(&header))]);
}

#[test]
fn fetching_batches_slowly_does_not_make_a_block_too_old() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose(0, &header, node.justification(None, &[]));
    node.wait(DRIFT_MS + 2_000);
    let outputs = node.tell(Input::Available { block: header.hash() });
    assert!(signed(&outputs).contains(&(0, notarize(&header))));
}

#[test]
fn trap_refusing_a_notarization_after_ones_own_nullify() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose(0, &header, node.justification(None, &[]));
    let outputs = node.wait(3 * DELTA_MS);
    assert_eq!(signed(&outputs), [(0, VoteKind::Nullify)]);
    let outputs = node.tell(Input::Available { block: header.hash() });
    assert_eq!(signed(&outputs), [(0, notarize(&header))]);
}

#[test]
fn a_second_header_of_the_leader_is_evidence_and_never_a_second_notarize() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    let mut other = header.clone();
    other.timestamp_ms += 1;
    let outputs = node.propose_held(0, &other, node.justification(None, &[]));
    assert_eq!(signed(&outputs), [(0, VoteKind::Nullify)]);
    let proves = |output: &Output| match output {
        Output::Evidence(Evidence::Proposals(first, second)) => first.header != second.header,
        _ => false,
    };
    assert!(has(&outputs, proves));
    let outputs = node.propose_held(0, &header, node.justification(None, &[]));
    assert_eq!(signed(&outputs), []);
}

#[test]
fn only_the_current_view_is_notarized() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose(0, &header, node.justification(None, &[]));
    node.tell_certificate(node.nullification(0));
    let outputs = node.tell(Input::Available { block: header.hash() });
    assert_eq!(signed(&outputs), []);
    let outputs = node.propose_held(0, &header, node.justification(None, &[]));
    assert_eq!(signed(&outputs), []);
    let current = node.header(1);
    let outputs = node.propose_held(1, &current, node.justification(None, &[0]));
    assert_eq!(signed(&outputs), [(1, notarize(&current))], "the late one is not in its way");
}

/// A certificate names a block by its hash alone: what height the block is of, its header says.
#[test]
fn a_certified_header_of_another_height_is_not_taken() {
    let checks = |output: &Output| matches!(output, Output::Check { .. });
    let mut header = Harness::voting(4, 0).header(0);
    header.height = Height(6);

    let mut node = Harness::voting(4, 0);
    node.tell_certificate(node.notarization(0, &header));
    assert!(!has(&node.tell(Input::Header(header.clone())), checks));

    let mut node = Harness::voting(4, 0);
    let why = node.justification(Some((0, &header)), &[]);
    let mut proposal = node.proposal(1, &header, why);
    proposal.height = HEIGHT;
    let outputs = node.tell(Input::Proposal(proposal));
    assert_eq!(signed(&outputs), [(1, VoteKind::Nullify)]);
    assert!(!has(&outputs, checks));
}
