//! Rule 2: the leader proposes.

use tonle_consensus::{Input, Output, Record};
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::number::View;

use super::harness::*;
use crate::common::batch_ref;

fn fill(template: Header) -> Header {
    Header { batches: Bounded::new(vec![batch_ref(1)]).unwrap(), ..template }
}

#[test]
fn the_leader_builds_a_new_block_from_its_work_once() {
    let mut node = Harness::voting(4, 1);
    let template = built(&node.tell(Input::Work(true))).expect("the leader of view 0 builds");
    assert_eq!(template.timestamp_ms, node.now_ms);
    let header = fill(template.clone());
    let outputs = node.tell(Input::Built { header: header.clone() });
    assert_eq!(proposed(&outputs), [(0, header.hash())]);
    assert_eq!(signed(&outputs), [(0, notarize(&header))], "its own batches are held");
    let logged = Output::Persist(Record::Header(header.clone()));
    let persisted = position(&outputs, |output| *output == logged);
    let signs = |output: &Output| matches!(output, Output::SignProposal { .. });
    assert!(persisted < position(&outputs, signs), "durable before it leaves");

    let outputs = node.tell(Input::Work(true));
    assert_eq!(built(&outputs), None);
    let mut second = fill(template);
    second.timestamp_ms += 1;
    assert_eq!(proposed(&node.tell(Input::Built { header: second })), []);
}

#[test]
fn only_the_leader_builds_and_only_with_work() {
    let mut node = Harness::voting(4, 0);
    assert_eq!(built(&node.tell(Input::Work(true))), None);
    let mut node = Harness::voting(4, 1);
    assert_eq!(built(&node.live(10_000)), None);
}

#[test]
fn a_built_header_that_is_not_the_template_is_refused() {
    let mut node = Harness::voting(4, 1);
    let template = built(&node.tell(Input::Work(true))).unwrap();
    let mut other_view = fill(template.clone());
    other_view.proposed_view = View(9);
    for header in [other_view, template.clone()] {
        assert_eq!(proposed(&node.tell(Input::Built { header })), []);
    }
    assert_eq!(proposed(&node.tell(Input::Built { header: fill(template) })).len(), 1);
}

#[test]
fn block_time_runs_ahead_of_a_clock_behind_the_parent() {
    let mut node = Harness::voting(4, 1);
    node.now_ms = parent().timestamp_ms + 1_000;
    let mut late = Harness::starting(4, 1, Vec::new(), tonle_consensus::Recovery::AskPeers);
    late.now_ms = parent().timestamp_ms - 10_000;
    late.hear_statuses();
    let template = built(&late.tell(Input::Work(true))).unwrap();
    assert_eq!(template.timestamp_ms, parent().timestamp_ms + 1);
}

#[test]
fn a_notarized_block_is_proposed_again_as_it_is() {
    // The leader of view 2 is validator 3.
    let mut node = Harness::voting(4, 3);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    node.tell_certificate(node.notarization(0, &header));
    node.tell(Input::Work(true));
    let outputs = node.tell_certificate(node.nullification(1));
    assert_eq!(proposed(&outputs), [(2, header.hash())], "at once: it came by a nullification");
    assert_eq!(built(&outputs), None);
    let why = outputs.iter().find_map(|output| match output {
        Output::SignProposal { justification, .. } => Some(justification.clone()),
        _ => None,
    });
    assert_eq!(why, Some(node.justification(Some((0, &header)), &[1])));
}

#[test]
fn a_leader_that_came_by_the_notarization_waits_for_the_finalization() {
    let mut node = Harness::voting(4, 2);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    let outputs = node.tell_certificate(node.notarization(0, &header));
    assert_eq!(proposed(&outputs), []);
    let wait_ms = DELTA_MS * 3 / 2;
    assert_eq!(node.core.next_deadline(), Some(node.now_ms + wait_ms));
    assert_eq!(proposed(&node.wait(wait_ms - 1)), []);
    assert_eq!(proposed(&node.wait(1)), [(1, header.hash())]);
    assert_eq!(proposed(&node.wait(1)), [], "once");
}

#[test]
fn the_wait_for_the_finalization_grows_with_the_view() {
    // The leader of view 5 is validator 2.
    let mut node = Harness::voting(4, 2);
    let header = node.header(0);
    node.propose_held(0, &header, node.justification(None, &[]));
    node.tell_certificate(node.notarization(4, &header));
    assert_eq!(node.core.view(), View(5));
    let grown_ms = DELTA_MS * 243 / 32;
    assert_eq!(proposed(&node.wait(grown_ms - 1)), []);
    assert_eq!(proposed(&node.wait(1)), [(5, header.hash())]);
}

#[test]
fn a_leader_does_not_step_over_a_view_without_its_nullification() {
    let mut node = Harness::voting(4, 3);
    node.tell(Input::Work(true));
    let outputs = node.tell_certificate(node.nullification(1));
    assert_eq!(node.core.view(), View(2));
    assert_eq!(built(&outputs), None, "the nullification of view 0 is missing");
    let outputs = node.tell_certificate(node.nullification(0));
    assert!(built(&outputs).is_some());
}

#[test]
fn a_block_built_for_a_view_that_is_over_is_dropped() {
    let mut node = Harness::voting(4, 1);
    let template = built(&node.tell(Input::Work(true))).unwrap();
    node.tell_certificate(node.nullification(0));
    assert_eq!(proposed(&node.tell(Input::Built { header: fill(template) })), []);
}
