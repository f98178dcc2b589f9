//! Rule 1: votes become certificates, certificates move the view.

use tonle_consensus::{Input, Message, Output, Record};
use tonle_model::number::View;
use tonle_model::vote::VoteKind;

use super::harness::*;

#[test]
fn a_certificate_of_this_or_a_later_view_moves_us_past_it() {
    let mut node = Harness::voting(4, 0);
    node.tell_certificate(node.nullification(0));
    assert_eq!(node.core.view(), View(1));
    let header = node.header(1);
    node.tell_certificate(node.notarization(1, &header));
    assert_eq!(node.core.view(), View(2));
    node.tell_certificate(node.nullification(6));
    assert_eq!(node.core.view(), View(7));
    node.tell_certificate(node.nullification(3));
    assert_eq!(node.core.view(), View(7), "older ones move nobody");
}

#[test]
fn q_votes_make_a_certificate_and_it_is_durable_before_use() {
    let mut node = Harness::voting(4, 0);
    node.tell_vote(1, 0, VoteKind::Nullify);
    let outputs = node.tell_vote(2, 0, VoteKind::Nullify);
    // f + 1 others nullified, so we did: the third vote is our own.
    assert_eq!(signed(&outputs), [(0, VoteKind::Nullify)]);
    assert_eq!(node.core.view(), View(1));
    let certificate = |output: &Output| matches!(output, Output::Persist(Record::Certificate(_)));
    assert!(has(&outputs, certificate));
}

#[test]
fn trap_a_signer_counted_twice() {
    let mut node = Harness::voting(7, 0);
    for signer in [1, 1, 1, 2, 2, 2, 1, 2] {
        let outputs = node.tell_vote(signer, 0, VoteKind::Nullify);
        assert_eq!(signed(&outputs), [], "two others are not f + 1 = 3");
    }
    node.tell_vote(3, 0, VoteKind::Nullify);
    assert_eq!(node.core.view(), View(0), "four with us are not q = 5");
    node.tell_vote(3, 0, VoteKind::Nullify);
    assert_eq!(node.core.view(), View(0));
    node.tell_vote(4, 0, VoteKind::Nullify);
    assert_eq!(node.core.view(), View(1));
}

#[test]
fn votes_of_different_content_do_not_add_up() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    let mut other = header.clone();
    other.timestamp_ms += 1;
    node.tell_vote(1, 0, notarize(&header));
    node.tell_vote(2, 0, notarize(&header));
    node.tell_vote(3, 0, notarize(&other));
    assert_eq!(node.core.view(), View(0));
}

#[test]
fn trap_a_signer_out_of_range() {
    let mut node = Harness::voting(4, 0);
    for signer in [4, 5, 6, 7, 99, u16::MAX] {
        assert_eq!(node.tell_vote(signer, 0, VoteKind::Nullify), []);
    }
    assert_eq!(node.core.view(), View(0));
}

#[test]
fn trap_both_a_notarization_and_a_nullification_of_one_view() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.tell_certificate(node.nullification(0));
    let outputs = node.tell_certificate(node.notarization(0, &header));
    assert_eq!(node.core.view(), View(1), "one view, one move");
    assert!(has(&outputs, |output| matches!(output, Output::FetchHeader { .. })));
    // The notarization is the higher certificate of that view: it justifies a proposal again.
    let why = node.justification(Some((0, &header)), &[]);
    let outputs = node.propose_held(1, &header, why);
    assert!(signed(&outputs).contains(&(1, notarize(&header))));
}

/// What was passed on to all: the certificates among it.
fn passed_on(outputs: &[Output]) -> Vec<Message> {
    let is_certificate = |message: &Message| matches!(message, Message::Certificate(_));
    resent(outputs).into_iter().filter(is_certificate).collect()
}

#[test]
fn a_notarization_without_a_finalization_is_passed_on_once() {
    for view in [0, 4] {
        let mut node = Harness::voting(4, 0);
        let header = node.header(view);
        let notarization = node.notarization(view, &header);
        let outputs = node.tell_certificate(notarization.clone());
        assert_eq!(passed_on(&outputs), [], "the others have the votes as well");
        let wait_ms = DELTA_MS * 3u64.pow(view + 1) / 2u64.pow(view + 1);
        assert_eq!(node.core.next_deadline(), Some(node.now_ms + wait_ms.min(1_000)));
        assert_eq!(passed_on(&node.wait(wait_ms - 1)), []);
        assert_eq!(passed_on(&node.wait(1)), [Message::Certificate(notarization)]);
        assert_eq!(passed_on(&node.wait(1)), [], "once");
    }
}

#[test]
fn what_is_final_or_was_left_by_a_nullification_is_not_passed_on() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.tell_certificate(node.notarization(0, &header));
    node.tell_certificate(node.finalization(0, &header));
    assert_eq!(passed_on(&node.wait(DELTA_MS * 2)), []);
    let mut node = Harness::voting(4, 0);
    node.tell_certificate(node.notarization(0, &header));
    node.tell_certificate(node.nullification(1));
    assert_eq!(passed_on(&node.wait(DELTA_MS * 2)), []);
}

/// The leader died when its proposal had reached two of the others, and its vote one of them.
#[test]
fn trap_a_vote_that_only_one_received_fails_no_view() {
    let mut holder = Harness::voting(4, 0);
    let mut other = Harness::voting(4, 2);
    let header = other.header(0);
    for node in [&mut holder, &mut other] {
        node.propose_held(0, &header, node.justification(None, &[]));
        node.executed(&header);
    }
    holder.tell_vote(1, 0, notarize(&header));
    holder.tell_vote(2, 0, notarize(&header));
    other.tell_vote(0, 0, notarize(&header));
    assert_eq!((holder.core.view(), other.core.view()), (View(1), View(0)));
    let passed_on = passed_on(&holder.live(DELTA_MS * 3 / 2));
    let voted = signed(&other.live(DELTA_MS * 3 / 2));
    assert_eq!(voted, [], "its timer has not fired yet");
    for message in passed_on {
        let Message::Certificate(certificate) = message else { unreachable!("filtered") };
        let outputs = other.tell(Input::Certificate(certificate));
        assert_eq!(signed(&outputs), [(0, finalize(&header))]);
    }
    assert_eq!(other.core.view(), View(1));
}
