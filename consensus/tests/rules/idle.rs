//! Idle: without work, nothing runs.

use tonle_consensus::{Input, Message, Output};
use tonle_model::number::View;
use tonle_model::vote::VoteKind;

use super::harness::*;

fn only_status(outputs: &[Output]) -> bool {
    let quiet =
        |output: &Output| matches!(output, Output::Send { message: Message::Status(_), .. });
    outputs.iter().all(quiet)
}

#[test]
fn without_work_only_status_is_sent() {
    let mut node = Harness::voting(4, 1);
    assert!(only_status(&node.live(600_000)));
}

#[test]
fn a_timer_that_fires_without_work_disarms() {
    let mut node = Harness::voting(4, 0);
    node.tell(Input::Work(true));
    node.tell(Input::Work(false));
    assert!(only_status(&node.live(60_000)));
    node.tell(Input::Work(true));
    assert_eq!(signed(&node.wait(3 * DELTA_MS)), [(0, VoteKind::Nullify)], "and arms again");
}

#[test]
fn trap_one_byzantine_proposal_that_keeps_timers_running_for_ever() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    // Its batches never come.
    node.propose(0, &header, node.justification(None, &[]));
    assert_eq!(signed(&node.wait(3 * DELTA_MS)), [(0, VoteKind::Nullify)]);
    node.live(1_000);
    assert!(only_status(&node.live(60_000)), "given up: no work");
    node.tell_certificate(node.nullification(0));
    assert!(only_status(&node.live(60_000)), "nor in the next view");
    assert_eq!(node.core.view(), View(1));
}

#[test]
fn a_proposal_for_the_current_view_is_work() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    let outputs = node.live(3 * DELTA_MS);
    assert_eq!(signed(&outputs), [(0, VoteKind::Nullify)]);
}

#[test]
fn a_notarization_is_work_until_the_height_is_decided() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.tell_certificate(node.notarization(0, &header));
    assert_eq!(signed(&node.live(5_000)), [(1, VoteKind::Nullify)]);
    node.tell_certificate(node.nullification(1));
    assert_eq!(signed(&node.live(5_000)), [(2, VoteKind::Nullify)]);
}

#[test]
fn votes_of_f_plus_one_others_are_work_but_not_those_of_f() {
    for (voters, expected) in [(vec![1, 2], 0), (vec![1, 2, 3], 1)] {
        let mut node = Harness::voting(7, 0);
        let header = node.header(0);
        for voter in voters {
            node.tell_vote(voter, 4, notarize(&header));
        }
        assert_eq!(signed(&node.live(5_000)).len(), expected);
    }
}

#[test]
fn votes_for_views_behind_ours_are_no_work() {
    let mut node = Harness::voting(7, 0);
    let header = node.header(0);
    for voter in [1, 2, 3] {
        node.tell_vote(voter, 0, notarize(&header));
    }
    node.tell_certificate(node.nullification(0));
    assert_eq!(signed(&node.live(60_000)), []);
}
