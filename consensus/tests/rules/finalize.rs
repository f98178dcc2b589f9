//! Rule 4: finalize votes.

use tonle_consensus::{Input, Output};
use tonle_model::hash::ResultHash;
use tonle_model::number::View;
use tonle_model::vote::VoteKind;

use super::harness::*;

#[test]
fn a_notarized_block_is_finalized_once_executed_even_if_the_view_was_left() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    let outputs = node.tell_certificate(node.notarization(0, &header));
    assert_eq!(signed(&outputs), [], "not executed yet");
    node.tell_certificate(node.nullification(1));
    node.tell_certificate(node.nullification(2));
    assert_eq!(node.core.view(), View(3));
    let outputs = node.executed(&header);
    assert_eq!(signed(&outputs), [(0, finalize(&header))]);
    assert_eq!(signed(&node.executed(&header)), [], "once");
}

/// Others may be short of exactly our vote: a liar can give us its own and keep it from them.
#[test]
fn a_finalization_that_comes_first_does_not_spare_the_vote() {
    for is_notarized in [true, false] {
        let mut node = Harness::voting(4, 0);
        let header = node.header(0);
        node.propose_held(0, &header, node.justification(None, &[]));
        if is_notarized {
            node.tell_certificate(node.notarization(0, &header));
        }
        node.tell_certificate(node.finalization(0, &header));
        let outputs = node.executed(&header);
        assert_eq!(signed(&outputs), [(0, finalize(&header))]);
        let votes = |output: &Output| matches!(output, Output::SignVote { .. });
        let commits = |output: &Output| matches!(output, Output::Commit { .. });
        assert!(position(&outputs, votes) < position(&outputs, commits));
    }
}

#[test]
fn a_finalization_of_a_view_that_we_nullified_gets_no_vote() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    node.executed(&header);
    assert_eq!(signed(&node.wait(3 * DELTA_MS)), [(0, VoteKind::Nullify)]);
    let outputs = node.tell_certificate(node.finalization(0, &header));
    assert_eq!(signed(&outputs), []);
    assert!(has(&outputs, |output| matches!(output, Output::Commit { .. })));
}

#[test]
fn a_finalization_of_another_result_gets_no_vote() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    let block = header.hash();
    node.propose_held(0, &header, node.justification(None, &[]));
    node.tell_certificate(node.finalization(0, &header));
    node.tell_certificate(node.notarization(0, &header));
    let outputs = node.tell(Input::Executed { block, result: ResultHash::default() });
    assert_eq!(signed(&outputs), []);
    assert!(has(&outputs, |output| matches!(output, Output::Alarm(_))));
}

#[test]
fn no_finalize_after_an_own_nullify_of_the_view() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    node.executed(&header);
    assert_eq!(signed(&node.wait(3 * DELTA_MS)), [(0, VoteKind::Nullify)]);
    let outputs = node.tell_certificate(node.notarization(0, &header));
    assert_eq!(signed(&outputs), []);
    // A later notarization of the same block may still be finalized in its view.
    let outputs = node.tell_certificate(node.notarization(1, &header));
    assert_eq!(signed(&outputs), [(1, finalize(&header))]);
}

#[test]
fn the_decision_to_finalize_refuses_a_later_nullify() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    node.tell_certificate(node.notarization(0, &header));
    for signer in [1, 2] {
        let outputs = node.tell_vote(signer, 0, VoteKind::Nullify);
        assert_eq!(signed(&outputs), [], "bound although the vote still waits for execution");
    }
    assert_eq!(signed(&node.executed(&header)), [(0, finalize(&header))]);
}

#[test]
fn a_notarization_of_any_view_counts() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    node.executed(&header);
    node.tell_certificate(node.nullification(3));
    let outputs = node.tell_certificate(node.notarization(2, &header));
    assert_eq!(signed(&outputs), [(2, finalize(&header))], "of an older view");
    let outputs = node.tell_certificate(node.notarization(4, &header));
    assert_eq!(signed(&outputs), [(4, finalize(&header))], "and of a newer one");
}

#[test]
fn a_notarized_block_that_we_do_not_know_is_fetched_and_executed() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    let block = header.hash();
    let outputs = node.tell_certificate(node.notarization(0, &header));
    let holders = vec![peer(1), peer(2), peer(3)];
    assert!(
        has(&outputs, |output| *output == Output::FetchHeader { block, holders: holders.clone() })
    );
    let mut other = header.clone();
    other.timestamp_ms += 1;
    assert_eq!(node.tell(Input::Header(other)), [], "nobody asked for this one");
    let outputs = node.tell(Input::Header(header.clone()));
    assert!(has(&outputs, |output| *output == Output::Check { header: header.clone() }));
    let outputs = node.tell(Input::Available { block });
    assert!(has(&outputs, |output| *output == Output::Execute { header: header.clone() }));
    assert_eq!(signed(&node.executed(&header)), [(0, finalize(&header))]);
}

#[test]
fn a_header_that_was_asked_for_in_vain_is_asked_for_again() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    let fetch = |output: &Output| matches!(output, Output::FetchHeader { .. });
    assert!(has(&node.tell_certificate(node.notarization(0, &header)), fetch));
    assert!(!has(&node.live(900), fetch));
    assert!(has(&node.live(1_100), fetch));
}
