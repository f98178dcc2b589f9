//! Evidence: whoever signs what no honest validator signs beside it is reported, however and
//! whenever the two came.

use tonle_consensus::{Evidence, Input, Output};
use tonle_model::block::Header;
use tonle_model::hash::{Digest256, ResultHash};
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::vote::{Ballot, Vote, VoteKind};

use super::harness::*;
use crate::common::vote;

/// The votes that prove something against somebody.
fn proofs(outputs: &[Output]) -> Vec<(Vote, Vote)> {
    let proofs = outputs.iter().filter_map(|output| match output {
        Output::Evidence(Evidence::Votes(first, second)) => Some((*first, *second)),
        _ => None,
    });
    proofs.collect()
}

fn vote_at(height: Height, signer: u16, view: u32, kind: VoteKind) -> Vote {
    vote(Ballot { height, view: View(view), kind }, ValidatorIndex(signer))
}

/// A vote for the height being decided.
fn vote_of(signer: u16, view: u32, kind: VoteKind) -> Vote {
    vote_at(HEIGHT, signer, view, kind)
}

/// A block that differs from the other.
fn other(header: &Header) -> Header {
    Header { timestamp_ms: header.timestamp_ms + 1, ..header.clone() }
}

fn with_another_result(header: &Header) -> VoteKind {
    VoteKind::Finalize { block: header.hash(), result: ResultHash(Digest256([9; 32])) }
}

/// The block of view 0 is final and in the state.
fn commit(node: &mut Harness, validators: [u64; 4]) {
    let header = node.header(0);
    let finalization = node.finalization(0, &header);
    node.tell(Input::Synced { header: header.clone(), finalization });
    node.executed(&header);
    let mut config = config(4, Some(0));
    config.validators = validators.map(peer).to_vec();
    node.tell(Input::Advance { config });
    assert_eq!(node.core.height(), HEIGHT.next());
}

const SAME_SET: [u64; 4] = [0, 1, 2, 3];

#[test]
fn every_pair_that_no_honest_validator_signs_is_evidence() {
    let header = Harness::voting(4, 0).header(0);
    let pairs = [
        (notarize(&header), notarize(&other(&header)), true),
        (finalize(&header), finalize(&other(&header)), true),
        (finalize(&header), with_another_result(&header), true),
        (finalize(&header), VoteKind::Nullify, true),
        (notarize(&header), VoteKind::Nullify, false),
        (notarize(&header), finalize(&header), false),
        (notarize(&other(&header)), finalize(&header), false),
        (notarize(&header), notarize(&header), false),
        (finalize(&header), finalize(&header), false),
    ];
    let both_ways = |(one, two, proves)| [(one, two, proves), (two, one, proves)];
    for (first, second, proves) in pairs.into_iter().flat_map(both_ways) {
        let mut node = Harness::voting(4, 0);
        assert_eq!(proofs(&node.tell_vote(1, 3, first)), []);
        let elsewhere = [node.tell_vote(1, 4, second), node.tell_vote(2, 3, second)].concat();
        assert_eq!(proofs(&elsewhere), [], "another view, another signer");
        let found = proofs(&node.tell_vote(1, 3, second));
        let expected = (vote_of(1, 3, first), vote_of(1, 3, second));
        assert_eq!(found, Vec::from_iter(proves.then_some(expected)), "{first:?}, {second:?}");
    }
}

#[test]
fn a_signer_is_reported_once_a_height() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.tell_vote(1, 0, notarize(&header));
    assert_eq!(proofs(&node.tell_vote(1, 0, notarize(&other(&header)))).len(), 1);
    node.tell_vote(1, 1, finalize(&header));
    for kind in [VoteKind::Nullify, with_another_result(&header), VoteKind::Nullify] {
        assert_eq!(proofs(&node.tell_vote(1, 1, kind)), []);
    }
    node.tell_vote(2, 1, finalize(&header));
    assert_eq!(proofs(&node.tell_vote(2, 1, VoteKind::Nullify)).len(), 1);
}

#[test]
fn nobody_counts_on_both_sides() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.tell_vote(1, 0, finalize(&header));
    for signer in [1, 2] {
        assert_eq!(
            signed(&node.tell_vote(signer, 0, VoteKind::Nullify)),
            [],
            "f + 1 would move us"
        );
    }
    assert_eq!(signed(&node.tell_vote(3, 0, VoteKind::Nullify)), [(0, VoteKind::Nullify)]);
}

#[test]
fn votes_of_views_that_were_left_are_compared() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.tell_vote(1, 0, finalize(&header));
    node.tell_certificate(node.certificate(7, VoteKind::Nullify));
    assert_eq!(node.core.view(), View(8));
    let found = proofs(&node.tell_vote(1, 0, VoteKind::Nullify));
    assert_eq!(found, [(vote_of(1, 0, finalize(&header)), vote_of(1, 0, VoteKind::Nullify))]);
    // Neither came while the view lasted.
    node.tell_vote(2, 3, notarize(&header));
    assert_eq!(proofs(&node.tell_vote(2, 3, notarize(&other(&header)))).len(), 1);
}

/// Who tells one validator this and another one that is found out by the certificate that the
/// other one shows.
#[test]
fn what_was_signed_in_a_certificate_is_compared_with_votes() {
    let header = Harness::voting(4, 0).header(0);
    let pairs = [
        (notarize(&header), notarize(&other(&header))),
        (VoteKind::Nullify, finalize(&header)),
        (finalize(&header), VoteKind::Nullify),
        (finalize(&header), with_another_result(&header)),
    ];
    for (certified, voted) in pairs {
        let mut node = Harness::voting(4, 0);
        node.tell_vote(2, 1, voted);
        let found = proofs(&node.tell_certificate(node.certificate(1, certified)));
        assert_eq!(found, [(vote_of(2, 1, voted), vote_of(2, 1, certified))]);
        let mut node = Harness::voting(4, 0);
        assert_eq!(proofs(&node.tell_certificate(node.certificate(1, certified))), []);
        let found = proofs(&node.tell_vote(2, 1, voted));
        assert_eq!(found, [(vote_of(2, 1, certified), vote_of(2, 1, voted))]);
    }
}

#[test]
fn certificates_of_one_view_are_compared() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.tell_certificate(node.nullification(0));
    assert_eq!(proofs(&node.tell_certificate(node.notarization(0, &header))), []);
    // Never with f faults; all three of its signers are named.
    assert_eq!(proofs(&node.tell_certificate(node.finalization(0, &header))).len(), 3);
    let mut node = Harness::voting(4, 0);
    node.tell_certificate(node.notarization(0, &header));
    let second = node.notarization(0, &other(&header));
    assert_eq!(proofs(&node.tell_certificate(second)).len(), 3, "although one is held");
}

#[test]
fn votes_of_a_decided_height_are_compared() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.tell_vote(1, 1, notarize(&header));
    node.tell_certificate(node.finalization(0, &header));
    assert_eq!(proofs(&node.tell_vote(1, 1, notarize(&other(&header)))).len(), 1);
    assert_eq!(proofs(&node.tell_vote(3, 1, VoteKind::Nullify)), [], "it finalized another view");
    assert_eq!(proofs(&node.tell_vote(2, 1, notarize(&header))), []);
    assert_eq!(proofs(&node.tell_vote(2, 1, notarize(&other(&header)))).len(), 1, "both came then");
    let nullify = |signer| node.tell_vote(signer, 2, VoteKind::Nullify);
    assert_eq!([1, 2, 3].map(nullify).concat(), [], "they make no certificate");
}

#[test]
fn votes_that_come_before_their_height_are_compared_when_it_begins() {
    let mut node = Harness::voting(4, 0);
    let next = HEIGHT.next();
    let kinds = [notarize(&node.header(0)), notarize(&other(&node.header(0)))];
    for kind in [kinds[0], kinds[1], kinds[0]] {
        assert_eq!(proofs(&node.tell_vote_at(next, 2, 1, kind)), []);
    }
    let header = node.header(0);
    let finalization = node.finalization(0, &header);
    node.tell(Input::Synced { header: header.clone(), finalization });
    node.executed(&header);
    let outputs = node.tell(Input::Advance { config: config(4, Some(0)) });
    assert_eq!(proofs(&outputs), [(vote_at(next, 2, 1, kinds[0]), vote_at(next, 2, 1, kinds[1]))]);
}

#[test]
fn votes_that_come_after_the_commit_are_compared() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.tell_vote(1, 0, finalize(&header));
    commit(&mut node, SAME_SET);
    let found = proofs(&node.tell_vote(1, 0, VoteKind::Nullify));
    assert_eq!(found, [(vote_of(1, 0, finalize(&header)), vote_of(1, 0, VoteKind::Nullify))]);
    assert_eq!(proofs(&node.tell_vote(1, 0, VoteKind::Nullify)), [], "once");
    // Against the certificate that decided, and two of which none came before.
    assert_eq!(proofs(&node.tell_vote(3, 0, VoteKind::Nullify)).len(), 1);
    node.tell_vote(2, 1, notarize(&header));
    assert_eq!(proofs(&node.tell_vote(2, 1, notarize(&other(&header)))).len(), 1);
    assert_eq!(node.core.view(), View(0), "they change nothing");
}

#[test]
fn late_votes_mean_nothing_to_another_validator_set() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.tell_vote(1, 0, finalize(&header));
    commit(&mut node, [0, 2, 1, 3]);
    assert_eq!(proofs(&node.tell_vote(1, 0, VoteKind::Nullify)), []);
}
