//! Trap: maps keyed by a peer's number must not grow with it.

use tonle_consensus::limits::{EARLY_VIEWS, SPECULATIONS_MAX, VIEWS_AHEAD};
use tonle_consensus::{Input, Output};
use tonle_model::number::{Height, View};
use tonle_model::vote::VoteKind;

use super::harness::*;

#[test]
fn trap_votes_far_ahead_are_not_kept() {
    for (view, kept) in [(VIEWS_AHEAD, true), (VIEWS_AHEAD + 1, false), (u32::MAX, false)] {
        let mut node = Harness::voting(4, 0);
        for signer in [1, 2, 3] {
            node.tell_vote(signer, view, VoteKind::Nullify);
        }
        assert_eq!(node.core.view() > View(0), kept, "{view}");
    }
}

#[test]
fn trap_votes_far_behind_are_not_kept_but_certificates_are() {
    let mut node = Harness::voting(4, 0);
    for view in 1..400 {
        node.tell_certificate(node.nullification(view));
    }
    let nullify = VoteKind::Nullify;
    let outputs = [1, 2, 3].map(|signer| node.tell_vote(signer, 0, nullify)).concat();
    assert_eq!(outputs, []);
    // The leader of view 400 is validator 1.
    let header = node.header(400);
    let why = node.justification(None, &(145..400).collect::<Vec<_>>());
    node.propose(400, &header, why);
    let outputs = node.tell_certificate(node.nullification(0));
    assert!(has(&outputs, |output| matches!(output, Output::Check { .. })), "all held by now");
}

#[test]
fn early_votes_are_held_for_a_few_views_only() {
    let mut node = Harness::voting(4, 0);
    for signer in [1, 2, 3] {
        node.tell_vote_at(Height(6), signer, EARLY_VIEWS, VoteKind::Nullify);
    }
    let header = node.header(0);
    node.tell(Input::Synced {
        header: header.clone(),
        finalization: node.finalization(0, &header),
    });
    node.executed(&header);
    node.tell(Input::Advance { config: config(4, Some(0)) });
    assert_eq!(node.core.view(), View(0));
}

#[test]
fn only_a_few_blocks_are_executed_before_they_are_notarized() {
    let mut node = Harness::voting(4, 0);
    let mut executed = 0;
    for view in 0..8u32 {
        let header = node.header(view);
        let nulls: Vec<u32> = (0..view).collect();
        // A view led by us has no proposal of others.
        if node.core.leader(View(view)) == node.me {
            node.tell_certificate(node.nullification(view));
            continue;
        }
        let outputs = node.propose_held(view, &header, node.justification(None, &nulls));
        assert_eq!(signed(&outputs), [(view, notarize(&header))]);
        executed += outputs.iter().filter(|o| matches!(o, Output::Execute { .. })).count();
        node.tell_certificate(node.nullification(view));
    }
    assert_eq!(executed, SPECULATIONS_MAX);
}

#[test]
fn peers_are_bounded() {
    let mut node = Harness::voting(4, 0);
    for number in 0..10_000 {
        node.tell(Input::Connected { peer: peer(1_000 + number) });
    }
    let outputs = node.live(5_000);
    assert!(outputs.len() <= tonle_consensus::limits::PEERS_MAX);
}
