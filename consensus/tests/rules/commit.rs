//! Rule 6: commits, divergence, and the height after.

use tonle_consensus::limits::EARLY_HEIGHTS;
use tonle_consensus::{Alarm, Input, Output, Record};
use tonle_model::block::Header;
use tonle_model::hash::ResultHash;
use tonle_model::number::{Height, View};
use tonle_model::vote::VoteKind;

use super::harness::*;

fn commits(output: &Output) -> bool {
    matches!(output, Output::Commit { .. })
}

#[test]
fn a_finalization_commits_after_our_own_execution_agrees() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    let finalization = node.finalization(0, &header);
    let outputs = node.tell_certificate(finalization.clone());
    assert!(has(&outputs, |output| matches!(output, Output::FetchHeader { .. })));
    let durable = Output::Persist(Record::Certificate(finalization.clone()));
    assert!(has(&outputs, |output| *output == durable));
    let outputs = node.tell(Input::Header(header.clone()));
    assert!(has(&outputs, |output| *output == Output::Persist(Record::Header(header.clone()))));
    let outputs = node.tell(Input::Available { block: header.hash() });
    assert!(has(&outputs, |output| matches!(output, Output::Execute { .. })));
    assert!(!has(&outputs, commits));
    let outputs = node.executed(&header);
    assert!(has(&outputs, |output| {
        *output == Output::Commit { header: header.clone(), finalization: finalization.clone() }
    }));
    assert!(!has(&node.live(3_000), commits), "once");
    assert_eq!(node.core.height(), HEIGHT, "until the state says what the next height is");
    node.tell(Input::Advance { config: config(4, Some(0)) });
    assert_eq!(node.core.height(), Height(6));
    assert_eq!(node.core.view(), View(0));
    assert_eq!(node.core.parent().hash, header.hash());
}

#[test]
fn finalize_votes_of_a_quorum_commit() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    node.executed(&header);
    for signer in [1, 2] {
        node.tell_vote(signer, 0, notarize(&header));
    }
    let outputs = node.tell_vote(1, 0, finalize(&header));
    assert!(!has(&outputs, commits), "two with us");
    let outputs = node.tell_vote(2, 0, finalize(&header));
    let certificate = |output: &Output| matches!(output, Output::Persist(Record::Certificate(_)));
    assert!(position(&outputs, certificate) < position(&outputs, commits));
}

#[test]
fn a_result_that_the_quorum_did_not_sign_stops_everything() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    let block = header.hash();
    node.propose_held(0, &header, node.justification(None, &[]));
    let own = ResultHash::default();
    node.tell(Input::Executed { block, result: own });
    let outputs = node.tell_certificate(node.finalization(0, &header));
    let certified = crate::common::result_of(block);
    let alarm = Alarm::Divergence { height: HEIGHT, block, own, certified };
    assert!(has(&outputs, |output| *output == Output::Alarm(alarm)));
    assert!(!has(&outputs, commits));
    assert!(!node.core.is_voting());
    let outputs = node.tell_certificate(node.nullification(0));
    assert!(signed(&outputs).is_empty() && !has(&outputs, commits));
    assert!(signed(&node.live(60_000)).is_empty());
}

#[test]
fn results_that_can_no_longer_reach_a_quorum_raise_the_alarm_at_once() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    let block = header.hash();
    let vote = |byte: u8| VoteKind::Finalize {
        block,
        result: ResultHash(tonle_model::hash::Digest256([byte; 32])),
    };
    let alarms = |output: &Output| matches!(output, Output::Alarm(Alarm::Split { .. }));
    assert!(!has(&node.tell_vote(1, 0, vote(1)), alarms));
    assert!(!has(&node.tell_vote(2, 0, vote(2)), alarms), "one may lie");
    assert!(has(&node.tell_vote(3, 0, vote(3)), alarms), "two can agree at most");

    // Those who nullify do not split results.
    let mut node = Harness::voting(4, 0);
    let silent = [(1, VoteKind::Nullify), (2, VoteKind::Nullify), (3, vote(1))];
    for (signer, kind) in silent {
        assert!(!has(&node.tell_vote(signer, 0, kind), alarms));
    }
}

#[test]
fn a_quorum_that_notarized_what_we_find_unusable_raises_an_alarm() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose(0, &header, node.justification(None, &[]));
    node.tell(Input::Unusable { block: header.hash() });
    let outputs = node.tell_certificate(node.notarization(0, &header));
    let alarms = |output: &Output| matches!(output, Output::Alarm(Alarm::Unusable { .. }));
    assert!(has(&outputs, alarms));
    assert!(!has(&node.wait(10), alarms), "once");
}

#[test]
fn a_synced_block_is_executed_and_compared_before_it_commits() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(2);
    let finalization = node.finalization(2, &header);
    let outputs = node.tell(Input::Synced { header: header.clone(), finalization });
    assert!(has(&outputs, |output| matches!(output, Output::Execute { .. })));
    assert!(!has(&outputs, commits));
    assert!(has(&node.executed(&header), commits));

    let mut node = Harness::voting(4, 0);
    let other = node.header(1);
    let finalization = node.finalization(2, &other);
    assert_eq!(node.tell(Input::Synced { header, finalization }), [], "not its certificate");
}

#[test]
fn a_decided_height_needs_no_more_votes() {
    let mut node = Harness::voting(4, 0);
    let header = node.header(0);
    node.propose(0, &header, node.justification(None, &[]));
    node.tell_certificate(node.finalization(0, &header));
    let outputs = node.tell(Input::Available { block: header.hash() });
    assert_eq!(signed(&outputs), []);
    assert_eq!(signed(&node.live(60_000)), []);
    let outputs = node.executed(&header);
    assert_eq!(signed(&outputs), [(0, finalize(&header))], "but this one");
    assert!(has(&outputs, commits));
}

fn committed(node: &mut Harness) {
    let header = node.header(0);
    node.tell(Input::Synced {
        header: header.clone(),
        finalization: node.finalization(0, &header),
    });
    node.executed(&header);
}

#[test]
fn trap_votes_for_the_next_height_arriving_before_the_commit() {
    let mut node = Harness::voting(4, 0);
    for signer in [1, 2, 3] {
        let outputs = node.tell_vote_at(Height(6), signer, 0, VoteKind::Nullify);
        assert_eq!(outputs, []);
    }
    committed(&mut node);
    assert_eq!(node.core.view(), View(0));
    node.tell(Input::Advance { config: config(4, Some(0)) });
    assert_eq!((node.core.height(), node.core.view()), (Height(6), View(1)));
}

/// A pause of a few blocks must not cost a standstill: what came meanwhile is still there.
#[test]
fn trap_votes_for_several_heights_arriving_before_the_commit() {
    let mut node = Harness::voting(4, 0);
    let last = Height(5 + EARLY_HEIGHTS);
    for height in [Height(7), last, last.next()] {
        for signer in [1, 2, 3] {
            assert_eq!(node.tell_vote_at(height, signer, 0, VoteKind::Nullify), []);
        }
    }
    let mut views = Vec::new();
    for height in (5..=last.0).map(Height) {
        let header = Header { height, ..node.header(0) };
        let mut finalization = node.finalization(0, &header);
        finalization.ballot.height = height;
        node.tell(Input::Synced { header: header.clone(), finalization });
        node.executed(&header);
        node.tell(Input::Advance { config: config(4, Some(0)) });
        views.push((node.core.height().0 - 5, node.core.view().0));
    }
    assert_eq!(views, [(1, 0), (2, 1), (3, 0), (4, 1), (5, 0)]);
}

#[test]
fn early_votes_mean_nothing_to_another_validator_set() {
    let mut node = Harness::voting(4, 0);
    for signer in [1, 2, 3] {
        node.tell_vote_at(Height(6), signer, 0, VoteKind::Nullify);
    }
    committed(&mut node);
    let mut changed = config(4, Some(0));
    changed.validators = [7, 0, 1, 2].map(peer).to_vec();
    node.tell(Input::Advance { config: changed });
    assert_eq!((node.core.height(), node.core.view()), (Height(6), View(0)));
}

#[test]
fn one_validator_alone_decides() {
    let mut node = Harness::starting(1, 0, Vec::new(), tonle_consensus::Recovery::AskPeers);
    let template = built(&node.tell(Input::Work(true))).expect("votes at once");
    let batches = node.header(0).batches;
    let header = tonle_model::block::Header { batches, ..template };
    let outputs = node.tell(Input::Built { header: header.clone() });
    assert_eq!(signed(&outputs), [(0, notarize(&header))]);
    let outputs = node.executed(&header);
    assert_eq!(signed(&outputs), [(0, finalize(&header))]);
    assert!(has(&outputs, commits));
}
