//! Rule 7: what is sent again, and that nothing is decided on the way.

use tonle_consensus::{Input, Message, Output};
use tonle_model::vote::VoteKind;

use super::harness::*;

fn votes(outputs: &[Output]) -> Vec<(u32, VoteKind)> {
    let votes = resent(outputs).into_iter().filter_map(|message| match message {
        Message::Vote(vote) => Some((vote.ballot.view.0, vote.ballot.kind)),
        _ => None,
    });
    votes.collect()
}

fn certificates(outputs: &[Output]) -> Vec<(u32, VoteKind)> {
    let votes = resent(outputs).into_iter().filter_map(|message| match message {
        Message::Certificate(one) => Some((one.ballot.view.0, one.ballot.kind)),
        _ => None,
    });
    votes.collect()
}

#[test]
fn after_a_second_without_news_everything_that_helps_is_sent_again() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.tell(Input::Work(true));
    node.wait(3 * DELTA_MS);
    node.tell_certificate(node.nullification(2));
    node.propose_held(1, &header, node.justification(Some((0, &header)), &[]));
    node.tell_certificate(node.notarization(0, &header));
    node.tell_certificate(node.notarization(1, &header));
    node.executed(&header);
    node.tell_certificate(node.nullification(3));
    node.now_ms += 999;
    assert_eq!(resent(&node.tell(Input::Tick)).iter().filter(is_certificate).count(), 0);
    let outputs = node.wait(1);
    assert_eq!(
        certificates(&outputs),
        [(1, notarize(&header)), (2, VoteKind::Nullify), (3, VoteKind::Nullify)],
        "the highest notarization and the nullifications above it"
    );
    assert_eq!(votes(&outputs), [(1, finalize(&header))], "view 0 has its certificate");
    assert!(has(&outputs, |output| *output == Output::AnnounceBatches));
    assert_eq!(sent_to(&outputs, 2).len(), 1, "status to every peer");
    assert_eq!(resent(&node.wait(999)).len(), 0);
    assert_eq!(certificates(&node.wait(1)).len(), 3, "every second");
}

fn is_certificate(message: &&Message) -> bool {
    matches!(message, Message::Certificate(_))
}

#[test]
fn own_nullify_votes_are_sent_until_there_is_a_certificate() {
    let mut node = Harness::voting(4, 0);
    node.tell(Input::Work(true));
    node.wait(3 * DELTA_MS);
    node.tell_certificate(node.nullification(1));
    assert_eq!(signed(&node.live(3 * DELTA_MS * 9 / 4)), [(2, VoteKind::Nullify)]);
    assert_eq!(votes(&node.wait(1_000)), [(2, VoteKind::Nullify), (0, VoteKind::Nullify)]);
    node.tell_certificate(node.nullification(0));
    assert_eq!(votes(&node.wait(1_000)), [(2, VoteKind::Nullify)]);
}

#[test]
fn trap_a_re_send_path_that_makes_a_finalize_without_the_nullify_check() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    node.executed(&header);
    node.wait(3 * DELTA_MS);
    node.tell_certificate(node.notarization(0, &header));
    let outputs = node.live(60_000);
    let finalizes = |(_, kind): &(u32, VoteKind)| matches!(kind, VoteKind::Finalize { .. });
    assert!(!votes(&outputs).iter().any(finalizes));
    assert!(!signed(&outputs).iter().any(finalizes));
}

#[test]
fn an_own_proposal_of_this_view_is_sent_again() {
    let mut node = Harness::voting(4, 1);
    let template = built(&node.tell(Input::Work(true))).unwrap();
    let batches = node.header(0).batches;
    let header = tonle_model::block::Header { batches, ..template };
    node.tell(Input::Built { header: header.clone() });
    let outputs = node.wait(1_000);
    let again = |message: &Message| match message {
        Message::Proposal(proposal) => proposal.header == header,
        _ => false,
    };
    assert!(resent(&outputs).iter().any(again));
    assert_eq!(proposed(&outputs), [], "not made again");
}

#[test]
fn a_quiet_hour_is_no_standstill() {
    let mut node = Harness::voting(4, 0);
    node.live(3_600_000);
    let outputs = node.tell(Input::Work(true));
    assert!(!has(&outputs, |output| *output == Output::AnnounceBatches));
    assert!(has(&node.live(2_000), |output| *output == Output::AnnounceBatches));
}

#[test]
fn very_many_nullifications_are_sent_in_parts() {
    let mut node = Harness::voting(4, 0);
    node.tell(Input::Work(true));
    for view in 0..100 {
        node.tell_certificate(node.nullification(view));
    }
    let first = certificates(&node.wait(1_000));
    let second = certificates(&node.wait(1_000));
    assert_eq!((first.len(), second.len()), (64, 36));
    assert_eq!((first[0].0, second[0].0), (0, 64));
    assert_eq!(certificates(&node.wait(1_000))[0].0, 0, "and again from the start");
}
