//! What is durable, and when a restarted validator votes.

use tonle_consensus::{Input, ObserverReason, Output, Record, Recovery};
use tonle_model::number::{Height, View};
use tonle_model::vote::{Ballot, Vote, VoteKind};

use super::harness::*;
use crate::common::vote;

fn own_vote(height: u64, view: u32, kind: VoteKind) -> Vote {
    let ballot = Ballot { height: Height(height), view: View(view), kind };
    vote(ballot, tonle_model::number::ValidatorIndex(0))
}

fn observes(outputs: &[Output]) -> bool {
    has(outputs, |output| matches!(output, Output::Observer(_)))
}

#[test]
fn before_its_first_vote_a_validator_hears_from_q_minus_one_others() {
    let mut node = Harness::starting(4, 0, Vec::new(), Recovery::AskPeers);
    node.tell(Input::Work(true));
    let outputs = node.tell(Input::Connected { peer: peer(1) });
    assert_eq!(sent_to(&outputs, 1).len(), 1, "status is served meanwhile");
    assert_eq!(signed(&node.live(5_000)), []);
    node.status(1, HEIGHT, 0, None);
    node.status(1, HEIGHT, 0, None);
    node.status(9, HEIGHT, 0, None);
    assert!(node.core.is_recovering(), "one validator heard, and a stranger");
    assert_eq!(signed(&node.status(2, HEIGHT, 0, None)), [(0, VoteKind::Nullify)]);
    assert!(node.core.is_voting());
}

#[test]
fn a_vote_of_ours_that_the_log_does_not_hold_makes_an_observer() {
    for (seen, expected) in [
        (own_vote(5, 0, VoteKind::Nullify), true),
        (own_vote(9, 0, VoteKind::Nullify), true),
        (own_vote(4, 7, VoteKind::Nullify), false),
    ] {
        let mut node = Harness::starting(4, 0, Vec::new(), Recovery::AskPeers);
        node.tell(Input::Work(true));
        node.status(1, HEIGHT, 0, None);
        let outputs = node.status(2, HEIGHT, 0, Some(seen));
        assert_eq!(observes(&outputs), expected, "{seen:?}");
        assert_eq!(node.core.is_voting(), !expected);
        assert_eq!(signed(&node.live(5_000)).is_empty(), expected);
    }
}

#[test]
fn an_operator_lets_an_observer_vote_again() {
    let mut node = Harness::starting(4, 0, Vec::new(), Recovery::AskPeers);
    let seen = Some(own_vote(7, 0, VoteKind::Nullify));
    assert!(observes(&node.status(1, HEIGHT, 0, seen)));
    assert!(!observes(&node.status(2, HEIGHT, 0, seen)), "said once");
    node.tell(Input::ResumeVoting { up_to: Height(0) });
    assert!(node.core.is_voting());
    assert!(!observes(&node.status(1, HEIGHT, 0, seen)), "vouched for");
    let newer = Some(own_vote(8, 0, VoteKind::Nullify));
    assert!(observes(&node.status(1, HEIGHT, 0, newer)));
    node.tell(Input::ResumeVoting { up_to: Height(9) });
    let [last, after] = [9, 10].map(|height| Some(own_vote(height, 0, VoteKind::Nullify)));
    assert!(!observes(&node.status(1, HEIGHT, 0, last)), "vouched for up to there");
    assert!(observes(&node.status(1, HEIGHT, 0, after)));
}

#[test]
fn a_certificate_or_vote_with_our_unknown_signature_makes_an_observer() {
    let mut node = Harness::voting(4, 0);
    let outputs = node.tell(Input::Vote(own_vote(5, 0, VoteKind::Nullify)));
    assert!(observes(&outputs));
    let other = Harness::voting(4, 3);
    let mut node = Harness::voting(4, 0);
    assert!(observes(&node.tell_certificate(other.nullification(0))));
    let mut leader = Harness::voting(4, 1);
    let header = leader.header(0);
    let outputs = leader.propose(0, &header, leader.justification(None, &[]));
    let reason = ObserverReason::UnknownOwnProposal(HEIGHT, View(0));
    assert!(has(&outputs, |output| *output == Output::Observer(reason)));
}

#[test]
fn a_lost_log_makes_an_observer_until_an_operator_says_otherwise() {
    let mut node = Harness::starting(4, 0, Vec::new(), Recovery::LogLost);
    let outputs = node.hear_statuses();
    assert!(has(&outputs, |output| *output == Output::Observer(ObserverReason::LogLost)));
    node.tell(Input::Work(true));
    assert_eq!(signed(&node.live(5_000)), []);
    let outputs = node.tell(Input::ResumeVoting { up_to: Height(0) });
    assert_eq!(signed(&outputs), [(0, VoteKind::Nullify)]);
}

#[test]
fn a_log_with_a_hole_makes_an_observer() {
    let log = vec![Record::Vote(own_vote(5, 3, VoteKind::Nullify))];
    let mut node = Harness::starting(4, 0, log, Recovery::AskPeers);
    let outputs = node.hear_statuses();
    let reason = ObserverReason::LogInconsistent;
    assert!(has(&outputs, |output| *output == Output::Observer(reason)));
}

#[test]
fn a_nullify_in_the_log_still_forbids_finalize() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    node.wait(3 * DELTA_MS);
    let mut node = node.restarted();
    node.tell_certificate(node.notarization(0, &header));
    node.tell(Input::Available { block: header.hash() });
    assert_eq!(signed(&node.executed(&header)), []);
}

#[test]
fn a_notarize_in_the_log_is_not_made_again_or_contradicted() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    let mut node = node.restarted();
    let mut other = header.clone();
    other.timestamp_ms += 1;
    for header in [&other, &header] {
        let outputs = node.propose_held(0, header, node.justification(None, &[]));
        assert!(!signed(&outputs).iter().any(|(_, kind)| *kind == notarize(header)));
    }
    // It is sent again as it was.
    node.tell(Input::Work(true));
    let again = resent(&node.live(2_000)).into_iter().any(|message| match message {
        tonle_consensus::Message::Vote(vote) => vote.ballot.kind == notarize(&header),
        _ => false,
    });
    assert!(again);
}

#[test]
fn a_notarization_in_the_log_still_binds() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    node.tell_certificate(node.notarization(0, &header));
    let mut node = node.restarted();
    assert_eq!(node.core.view(), View(1));
    for signer in [1, 2] {
        assert_eq!(signed(&node.tell_vote(signer, 0, VoteKind::Nullify)), []);
    }
    let outputs = node.tell(Input::Available { block: header.hash() });
    assert!(has(&outputs, |output| matches!(output, Output::Execute { .. })));
    assert_eq!(signed(&node.executed(&header)), [(0, finalize(&header))]);
}

#[test]
fn an_own_proposal_in_the_log_is_not_made_again() {
    let mut node = Harness::voting(4, 1);
    let template = built(&node.tell(Input::Work(true))).unwrap();
    let batches = node.header(0).batches;
    let header = tonle_model::block::Header { batches, ..template };
    node.tell(Input::Built { header: header.clone() });
    let votes = |record: &Record| !matches!(record, Record::Vote(_));
    node.log.retain(votes);
    let mut node = node.restarted();
    let outputs = node.tell(Input::Work(true));
    assert_eq!(built(&outputs), None);
    let outputs = node.tell(Input::Available { block: header.hash() });
    assert_eq!(signed(&outputs), [(0, notarize(&header))], "it is voted for");
}

#[test]
fn a_finalization_in_the_log_commits() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose(0, &header, node.justification(None, &[]));
    node.tell_certificate(node.finalization(0, &header));
    let mut node = node.restarted();
    node.tell(Input::Available { block: header.hash() });
    let outputs = node.executed(&header);
    assert!(has(&outputs, |output| matches!(output, Output::Commit { .. })));
}

#[test]
fn trap_replaying_the_log_of_an_earlier_height() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    let mut log = node.log.clone();
    let mut earlier = node.nullification(0);
    earlier.ballot.height = Height(4);
    log.push(Record::Certificate(earlier));
    log.push(Record::Vote(own_vote(4, 0, VoteKind::Nullify)));
    log.push(Record::Vote(own_vote(4, 9, VoteKind::Nullify)));
    node.log = log;
    let mut node = node.restarted();
    assert_eq!(node.core.view(), View(0));
    assert!(node.core.is_voting());
    node.propose_held(0, &header, node.justification(None, &[]));
    node.executed(&header);
    let outputs = node.tell_certificate(node.notarization(0, &header));
    assert_eq!(signed(&outputs), [(0, finalize(&header))], "no nullify binds at this height");
}

#[test]
fn a_paused_node_votes_nothing_and_resumes_by_itself() {
    let mut node = Harness::voting(4, 0);
    node.tell(Input::Paused(true));
    node.tell(Input::Work(true));
    assert_eq!(signed(&node.live(5_000)), []);
    assert_eq!(signed(&node.tell(Input::Paused(false))), [(0, VoteKind::Nullify)]);
}
