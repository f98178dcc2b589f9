//! Rule 8: status, answers, and asking for blocks.

use tonle_consensus::limits::{ANSWER_MS, RANGE_MS, RANGES_MAX, STANDSTILL_MS, STATUS_MS};
use tonle_consensus::{Input, Message, Output, PeerId, Recovery};
use tonle_model::number::Height;
use tonle_model::vote::{Status, VoteKind};

use super::harness::*;

fn statuses(outputs: &[Output], to: u64) -> Vec<Status> {
    let statuses = sent_to(outputs, to).into_iter().filter_map(|message| match message {
        Message::Status(status) => Some(status),
        _ => None,
    });
    statuses.collect()
}

fn fetched(outputs: &[Output]) -> Vec<(PeerId, u64, u64)> {
    let requests = outputs.iter().filter_map(|output| match output {
        Output::FetchBlocks { peer, from, count } => Some((*peer, from.0, *count)),
        _ => None,
    });
    requests.collect()
}

#[test]
fn status_goes_out_on_connection_and_every_five_seconds_when_idle() {
    let mut node = Harness::voting(4, 0);
    let outputs = node.tell(Input::Connected { peer: peer(9) });
    assert_eq!(statuses(&outputs, 9).len(), 1);
    let outputs = node.live(10 * STATUS_MS);
    for to in [1, 2, 3, 9] {
        assert_eq!(statuses(&outputs, to).len(), 10, "to {to}");
    }
    node.tell(Input::Disconnected { peer: peer(9) });
    assert_eq!(statuses(&node.live(STATUS_MS), 9).len(), 0);
}

#[test]
fn status_tells_each_peer_its_own_latest_vote() {
    let mut node = Harness::voting(4, 0);
    node.tell_vote(1, 2, VoteKind::Nullify);
    node.tell_vote(1, 0, VoteKind::Nullify);
    node.tell_vote_at(Height(6), 2, 1, VoteKind::Nullify);
    let outputs = node.live(STATUS_MS);
    let latest = |to| {
        let status = statuses(&outputs, to)[0];
        status.latest_of_receiver.map(|vote| (vote.ballot.height.0, vote.ballot.view.0))
    };
    assert_eq!((latest(1), latest(2), latest(3)), (Some((5, 2)), Some((6, 1)), None));
}

/// What is sent again is no later than it was, and what a certificate is made of was said too.
#[test]
fn the_latest_vote_is_the_one_of_the_highest_view_and_the_last_kind() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(2);
    node.tell_vote(1, 2, VoteKind::Nullify);
    node.tell_vote(1, 2, notarize(&header));
    node.tell_vote(1, 1, VoteKind::Nullify);
    node.tell_vote(2, 2, notarize(&header));
    node.tell_certificate(node.nullification(3));
    let outputs = node.live(STATUS_MS);
    let latest = |to| {
        let status = statuses(&outputs, to)[0];
        status.latest_of_receiver.map(|vote| (vote.ballot.view.0, vote.ballot.kind))
    };
    assert_eq!(
        (latest(1), latest(2)),
        (Some((3, VoteKind::Nullify)), Some((3, VoteKind::Nullify)))
    );
    let mut node = Harness::voting(4, 0);
    node.tell_vote(1, 2, VoteKind::Nullify);
    node.tell_vote(1, 2, notarize(&header));
    let outputs = node.live(STATUS_MS);
    let status = statuses(&outputs, 1)[0];
    assert_eq!(status.latest_of_receiver.map(|vote| vote.ballot.kind), Some(VoteKind::Nullify));
}

#[test]
fn what_was_seen_before_a_restart_is_told_after_it() {
    let mut node = Harness::voting(4, 0);
    node.tell_vote(1, 2, VoteKind::Nullify);
    node.tell_vote_at(Height(6), 2, 1, VoteKind::Nullify);
    let seen: Vec<_> = node.core.votes_seen().collect();
    assert_eq!(seen.len(), 2);
    let mut node = Harness::starting(4, 0, Vec::new(), Recovery::AskPeers);
    for (signer, vote) in &seen {
        node.tell(Input::Seen { signer: *signer, vote: *vote });
    }
    for (signer, vote) in seen {
        let outputs = node.tell(Input::Connected { peer: signer });
        assert_eq!(statuses(&outputs, signer.0)[0].latest_of_receiver, Some(vote));
    }
}

#[test]
fn a_node_a_little_behind_is_sent_the_blocks_and_one_far_behind_our_status() {
    let mut node = Harness::voting(4, 0);
    let outputs = node.status(1, Height(3), 0, None);
    let blocks = Output::SendBlocks { to: peer(1), from: Height(3), count: 2 };
    assert!(has(&outputs, |output| *output == blocks));
    let outputs = node.status(2, Height(1), 0, None);
    assert_eq!(statuses(&outputs, 2).len(), 1);
    assert!(!has(&outputs, |output| matches!(output, Output::SendBlocks { .. })));
}

#[test]
fn answers_are_rate_limited_per_peer() {
    let mut node = Harness::voting(4, 0);
    let blocks = |output: &Output| matches!(output, Output::SendBlocks { .. });
    assert!(has(&node.status(1, Height(4), 0, None), blocks));
    assert!(!has(&node.status(1, Height(4), 0, None), blocks));
    assert!(has(&node.status(2, Height(4), 0, None), blocks), "another peer");
    node.now_ms += ANSWER_MS;
    assert!(has(&node.status(1, Height(4), 0, None), blocks));
}

#[test]
fn a_node_at_an_earlier_view_is_sent_certificates() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(1);
    for certificate in [node.nullification(0), node.notarization(1, &header), node.nullification(2)]
    {
        node.tell_certificate(certificate);
    }
    let sent = |outputs: &[Output], to| {
        let views = sent_to(outputs, to).into_iter().filter_map(|message| match message {
            Message::Certificate(one) => Some(one.ballot.view.0),
            _ => None,
        });
        views.collect::<Vec<_>>()
    };
    assert_eq!(sent(&node.status(1, HEIGHT, 0, None), 1), [1, 2]);
    assert_eq!(sent(&node.status(2, HEIGHT, 2, None), 2), [2]);
    assert_eq!(sent(&node.status(3, HEIGHT, 3, None), 3), [0; 0]);
    node.tell_certificate(node.finalization(1, &header));
    node.now_ms += ANSWER_MS;
    assert_eq!(sent(&node.status(3, HEIGHT, 3, None), 3), [1], "the finalization");
}

#[test]
fn late_votes_are_never_answered() {
    let mut node = Harness::voting(4, 0);
    assert_eq!(node.tell_vote_at(Height(4), 1, 0, VoteKind::Nullify), []);
    assert_eq!(node.tell_vote_at(Height(7), 1, 0, VoteKind::Nullify), []);
}

#[test]
fn ranges_of_at_most_twenty_blocks_are_asked_of_several_peers() {
    let mut node = Harness::voting(7, 0);
    let mut asked = Vec::new();
    for from in [1, 2, 3, 4, 5, 6] {
        asked.extend(fetched(&node.status(from, Height(500), 0, None)));
    }
    assert_eq!(asked, [(peer(1), 5, 20), (peer(2), 25, 20), (peer(3), 45, 20), (peer(4), 65, 20)]);
    assert_eq!(asked.len(), RANGES_MAX);
    // A shorter answer counts for what it brought; work goes on as blocks commit.
    let outputs = node.tell(Input::Fetched { peer: peer(1), from: Height(5), count: 1 });
    assert_eq!(fetched(&outputs), []);
    let header = node.header(0);
    node.tell(Input::Synced {
        header: header.clone(),
        finalization: node.finalization(0, &header),
    });
    node.executed(&header);
    let outputs = node.tell(Input::Advance { config: config(7, Some(0)) });
    assert_eq!(fetched(&outputs), [(peer(1), 6, 19)], "the gap first");
}

#[test]
fn a_claim_that_proves_empty_is_dropped_after_one_request() {
    let mut node = Harness::voting(4, 0);
    assert_eq!(fetched(&node.status(1, Height(500), 0, None)), [(peer(1), 5, 20)]);
    let outputs = node.tell(Input::Fetched { peer: peer(1), from: Height(5), count: 0 });
    assert_eq!(fetched(&outputs), []);
    assert_eq!(fetched(&node.live(60_000)), []);
    // It is asked again on a new claim, but after those that did not disappoint.
    node.status(1, Height(500), 0, None);
    node.tell(Input::Fetched { peer: peer(1), from: Height(5), count: 0 });
    node.tell(Input::Paused(false));
    assert_eq!(fetched(&node.status(2, Height(10), 0, None)), [(peer(2), 5, 5)]);
}

#[test]
fn a_request_without_progress_is_given_up() {
    let mut node = Harness::voting(4, 0);
    node.status(1, Height(500), 0, None);
    let outputs = node.live(RANGE_MS);
    assert_eq!(fetched(&outputs), [], "its claim is gone");
    assert_eq!(fetched(&node.status(2, Height(8), 0, None)), [(peer(2), 5, 3)]);
}

#[test]
fn what_was_asked_of_a_peer_that_is_gone_is_asked_of_another_at_once() {
    let mut node = Harness::voting(4, 0);
    node.status(1, Height(500), 0, None);
    assert_eq!(fetched(&node.status(2, Height(10), 0, None)), [], "peer 1 was asked for it");
    let outputs = node.tell(Input::Disconnected { peer: peer(1) });
    assert_eq!(fetched(&outputs), [(peer(2), 5, 5)]);
    node.tell(Input::Fetched { peer: peer(2), from: Height(5), count: 5 });
    assert_eq!(fetched(&node.status(3, Height(9), 0, None)), [], "peer 2 has answered");
    let outputs = node.tell(Input::Disconnected { peer: peer(2) });
    assert_eq!(fetched(&outputs), [(peer(3), 5, 4)], "its answer may be why it is gone");
}

/// Whoever is cut off for a lie would else be the first to be asked whenever it is back.
#[test]
fn who_left_a_request_without_use_comes_after_the_others_also_when_it_is_back() {
    for lies in [false, true] {
        let mut node = Harness::voting(4, 0);
        if lies {
            node.status(1, Height(500), 0, None);
            node.tell(Input::Fetched { peer: peer(1), from: Height(5), count: 20 });
        }
        node.tell(Input::Disconnected { peer: peer(1) });
        node.tell(Input::Connected { peer: peer(1) });
        for from in [1, 2] {
            node.status(from, Height(6), 0, None);
        }
        let asked = if lies { peer(2) } else { peer(1) };
        assert_eq!(fetched(&node.live(STANDSTILL_MS)), [(asked, 5, 1)]);
    }
}

#[test]
fn who_was_ahead_is_asked_how_far_it_is_by_now_when_that_is_reached() {
    let mut node = Harness::voting(4, 0);
    node.status(1, Height(6), 0, None);
    node.status(2, Height(90), 0, None);
    let header = node.header(0);
    node.tell(Input::Synced {
        header: header.clone(),
        finalization: node.finalization(0, &header),
    });
    node.executed(&header);
    let outputs = node.tell(Input::Advance { config: config(4, Some(0)) });
    assert_eq!(statuses(&outputs, 1).iter().map(|status| status.height.0).max(), Some(6));
    assert_eq!(statuses(&outputs, 2), [], "it is known to be further");
}

#[test]
fn one_block_behind_waits_a_moment_before_it_asks() {
    let mut node = Harness::voting(4, 0);
    assert_eq!(fetched(&node.status(1, Height(6), 0, None)), []);
    assert_eq!(fetched(&node.live(999)), []);
    assert_eq!(fetched(&node.live(1)), [(peer(1), 5, 1)]);
}

#[test]
fn a_removed_validator_goes_on_serving_and_votes_no_more() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.tell(Input::Synced {
        header: header.clone(),
        finalization: node.finalization(0, &header),
    });
    node.executed(&header);
    let mut changed = config(4, None);
    changed.validators = [1, 2, 3].map(peer).to_vec();
    node.tell(Input::Advance { config: changed });
    node.tell(Input::Work(true));
    let outputs = node.live(STATUS_MS);
    assert_eq!(signed(&outputs), []);
    assert!(!statuses(&outputs, 1).is_empty());
    let outputs = node.status(2, Height(5), 0, None);
    assert!(has(&outputs, |output| matches!(output, Output::SendBlocks { .. })));
}

#[test]
fn how_far_others_are_is_believed_of_more_than_f_or_of_all() {
    let mut node = Harness::voting(4, 0);
    assert_eq!(node.core.claimed_height(), None);
    node.status(1, Height(1_000_000), 0, None);
    assert_eq!(node.core.claimed_height(), None, "one of four may lie");
    node.status(2, Height(90), 0, None);
    assert_eq!(node.core.claimed_height(), Some(Height(90)));
    node.status(3, Height(80), 0, None);
    assert_eq!(node.core.claimed_height(), Some(Height(90)), "the highest but f");
    node.tell(Input::Disconnected { peer: peer(2) });
    node.tell(Input::Disconnected { peer: peer(3) });
    assert_eq!(node.core.claimed_height(), Some(Height(1_000_000)), "there is nobody else");
}
