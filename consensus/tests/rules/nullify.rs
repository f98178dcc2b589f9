//! Rule 5: leaving a view.

use tonle_consensus::Input;
use tonle_model::number::View;
use tonle_model::vote::VoteKind;

use super::harness::*;

const NULLIFY: VoteKind = VoteKind::Nullify;

#[test]
fn a_timer_that_fires_with_work_nullifies_once() {
    let mut node = Harness::voting(4, 0);
    node.tell(Input::Work(true));
    assert_eq!(node.core.next_deadline(), Some(node.now_ms + 3 * DELTA_MS));
    assert_eq!(signed(&node.wait(3 * DELTA_MS - 1)), []);
    assert_eq!(signed(&node.wait(1)), [(0, NULLIFY)]);
    assert_eq!(signed(&node.live(60_000)), []);
    // The next view has a longer timer of its own.
    node.tell_certificate(node.nullification(0));
    assert_eq!(signed(&node.wait(3 * DELTA_MS * 3 / 2 - 1)), []);
    assert_eq!(signed(&node.wait(1)), [(1, NULLIFY)]);
}

#[test]
fn nothing_but_a_commit_resets_the_timer() {
    let mut node = Harness::voting(4, 0);
    node.tell(Input::Work(true));
    node.wait(3 * DELTA_MS - 1);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    node.tell_vote(2, 0, notarize(&header));
    node.tell(Input::Work(false));
    node.tell(Input::Work(true));
    assert_eq!(signed(&node.wait(1)), [(0, NULLIFY)]);
}

#[test]
fn a_leader_that_cannot_build_nullifies_once_its_timer_runs() {
    let mut node = Harness::voting(4, 1);
    assert_eq!(signed(&node.live(10_000)), [], "no timer runs");
    node.tell_vote(2, 0, NULLIFY);
    // f + 1 = 2 others go on, so there is work, and the leader has nothing for it.
    let header = node.header(1);
    let outputs = node.tell_vote(3, 1, notarize(&header));
    assert_eq!(signed(&outputs), [(0, NULLIFY)]);

    let mut node = Harness::voting(4, 1);
    node.tell(Input::Work(true));
    let outputs = node.tell(Input::NothingToBuild { view: View(0) });
    assert_eq!(signed(&outputs), [(0, NULLIFY)]);
}

#[test]
fn a_leader_whose_work_was_decided_meanwhile_does_not_nullify() {
    // The next height's leader is validator 2; the commit leaves the pool empty.
    let mut node = Harness::voting(4, 2);
    node.tell(Input::Work(true));
    let header = node.header(0);
    node.tell(Input::Synced {
        header: header.clone(),
        finalization: node.finalization(0, &header),
    });
    node.executed(&header);
    let outputs = node.tell(Input::Advance { config: config(4, Some(2)) });
    assert!(built(&outputs).is_some());
    node.tell(Input::Work(false));
    let outputs = node.tell(Input::NothingToBuild { view: View(0) });
    assert_eq!(signed(&outputs), []);
    assert_eq!(signed(&node.live(60_000)), []);
}

#[test]
fn f_plus_one_others_pull_us_along() {
    let mut node = Harness::voting(7, 0);
    assert_eq!(signed(&node.tell_vote(1, 0, NULLIFY)), []);
    assert_eq!(signed(&node.tell_vote(2, 0, NULLIFY)), [], "f = 2 may all lie");
    assert_eq!(signed(&node.tell_vote(3, 0, NULLIFY)), [(0, NULLIFY)]);
    assert_eq!(signed(&node.tell_vote(4, 0, NULLIFY)), []);
}

#[test]
fn f_plus_one_others_pull_us_along_for_an_earlier_view_without_certificate() {
    let mut node = Harness::voting(7, 0);
    node.tell_certificate(node.nullification(3));
    let header = node.header(1);
    node.tell_certificate(node.notarization(1, &header));
    node.tell_certificate(node.nullification(2));
    let mut outputs = Vec::new();
    for view in [0, 1, 2] {
        for signer in [1, 2, 3] {
            outputs.extend(node.tell_vote(signer, view, NULLIFY));
        }
    }
    assert_eq!(signed(&outputs), [(0, NULLIFY)], "1 is notarized, 2 is nullified");
    let outputs: Vec<_> = [1, 2, 3].map(|signer| node.tell_vote(signer, 6, NULLIFY)).concat();
    assert_eq!(signed(&outputs), [], "a later view is not ours to leave");
}

#[test]
fn trap_a_private_batch_isolating_one_validator() {
    // Only we have work: our view runs out alone. We stay, go on voting in it, and announce.
    let mut node = Harness::voting(4, 0);
    node.tell(Input::Work(true));
    let outputs = node.live(5_000);
    assert_eq!(signed(&outputs), [(0, NULLIFY)]);
    let announced = |output: &&tonle_consensus::Output| {
        matches!(output, tonle_consensus::Output::AnnounceBatches)
    };
    assert!(outputs.iter().filter(announced).count() >= 4, "every second");
    assert_eq!(node.core.view(), View(0));
    let header = node.header(0);
    let outputs = node.propose_held(0, &header, node.justification(None, &[]));
    assert_eq!(signed(&outputs), [(0, notarize(&header))]);
}
