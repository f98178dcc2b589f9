//! Contradictions come to light (consensus.md, Evidence): a process to which two votes of one
//! signer came that no honest validator makes both keeps evidence of that.
//!
//! What came is what the process took in and has to look at: votes of its height, of the one
//! before if it was there itself, and of the next few, all in the views that are kept. It must have
//! reported the two by the end of the turn in which the second came, or in which it came to their
//! height; a process that ended before owes nothing. What was reported is on the disk for good,
//! unless an old one is put in.

use std::collections::{BTreeMap, BTreeSet};

use tonle_model::key::PublicKey;
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::vote::{Ballot, Vote, VoteKind};
use tonle_wsv::chain::EvidenceRow;

use super::bounds::EVIDENCE_MAX;
use super::{Held, broken};

/// Votes of so many heights after the one being decided are held, in so many views.
const EARLY_HEIGHTS: u64 = 4;
const EARLY_VIEWS: u32 = 4;
/// Votes of so many views ahead are held.
const VIEWS_AHEAD: u32 = 16;

/// Who contradicted itself, and where.
type Place = (Height, ValidatorIndex);

/// What one node knows.
#[derive(Debug, Default)]
struct Hearer {
    /// The height at which the process began.
    since: Height,
    /// What each signer said in a view.
    heard: BTreeMap<(Height, View, ValidatorIndex), BTreeSet<VoteKind>>,
    /// What the process must report once it is at that height.
    due: BTreeSet<Place>,
    /// What it reported, or a process before it.
    reported: BTreeSet<Place>,
}

impl Hearer {
    /// Whether a process at the height `at` keeps such a vote. No height has so many views that old
    /// ones are forgotten.
    fn keeps(&self, ballot: &Ballot, at: Height) -> bool {
        let Ballot { height, view, .. } = *ballot;
        match height.0.checked_sub(at.0) {
            Some(0) => view.0 <= VIEWS_AHEAD,
            Some(1..=EARLY_HEIGHTS) => view.0 < EARLY_VIEWS,
            Some(_) => false,
            None => height.next() == at && height >= self.since && view.0 <= VIEWS_AHEAD,
        }
    }
}

/// What all of them know.
#[derive(Debug, Default)]
pub struct Contradictions {
    hearers: BTreeMap<usize, Hearer>,
}

impl Contradictions {
    /// A process begins at a height, and knows of nothing that came before.
    pub fn started(&mut self, node: usize, at: Height) {
        let hearer = self.hearers.entry(node).or_default();
        let reported = std::mem::take(&mut hearer.reported);
        *hearer = Hearer { since: at, reported, ..Hearer::default() };
    }

    /// A vote came to a process at the height `at`.
    pub fn heard(&mut self, by: usize, vote: &Vote, at: Height) {
        let hearer = self.hearers.entry(by).or_default();
        if vote.signer.position() == by || !hearer.keeps(&vote.ballot, at) {
            return;
        }
        let Ballot { height, view, kind } = vote.ballot;
        let said = hearer.heard.entry((height, view, vote.signer)).or_default();
        if said.iter().any(|other| contradict(*other, kind)) {
            hearer.due.insert((height, vote.signer));
        }
        said.insert(kind);
    }

    /// A process has taken a turn, and is at a height.
    pub fn turned(&mut self, node: usize, at: Height) {
        let Some(hearer) = self.hearers.get_mut(&node) else { return };
        let first_later = (at.next(), ValidatorIndex(0));
        let later = hearer.due.split_off(&first_later);
        hearer.reported.append(&mut std::mem::replace(&mut hearer.due, later));
        let before = Height(at.0.saturating_sub(1));
        if hearer.heard.first_key_value().is_some_and(|((height, ..), _)| *height < before) {
            hearer.heard = hearer.heard.split_off(&(before, View(0), ValidatorIndex(0)));
        }
    }

    /// A node has an old disk.
    pub fn returned(&mut self, node: usize) {
        self.hearers.remove(&node);
    }

    /// All that was reported is among a node's evidence, unless there is no room for more.
    pub fn check(&self, node: usize, rows: &[EvidenceRow], validators: &[PublicKey]) -> Held {
        if rows.len() >= EVIDENCE_MAX {
            return Ok(());
        }
        let is_kept = |(height, signer): &&Place| {
            let validator = validators.get(signer.position());
            rows.iter().any(|row| row.height == *height && Some(&row.validator) == validator)
        };
        let mut reported = self.hearers.get(&node).into_iter().flat_map(|hearer| &hearer.reported);
        match reported.find(|place| !is_kept(place)) {
            None => Ok(()),
            Some((height, signer)) => {
                broken(format!("node {node} has no evidence of what {signer} said at {height}"))
            }
        }
    }
}

/// Whether no honest validator says both in one view.
fn contradict(one: VoteKind, other: VoteKind) -> bool {
    use VoteKind::{Finalize, Notarize, Nullify};
    match (one, other) {
        (Notarize { block }, Notarize { block: other }) => block != other,
        (Finalize { block, result }, Finalize { block: other, result: another }) => {
            (block, result) != (other, another)
        }
        (Finalize { .. }, Nullify) | (Nullify, Finalize { .. }) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::hash::{BlockHash, Digest256, ResultHash};
    use tonle_model::key::{KeyPair, Signature};
    use tonle_wsv::chain::{Signed, Statements};

    fn vote(height: u64, view: u32, kind: VoteKind) -> Vote {
        let ballot = Ballot { height: Height(height), view: View(view), kind };
        Vote { ballot, signer: ValidatorIndex(3), signature: Signature([0; 64]) }
    }

    fn notarize(number: u8) -> VoteKind {
        VoteKind::Notarize { block: BlockHash(Digest256([number; 32])) }
    }

    fn finalize(number: u8) -> VoteKind {
        let block = BlockHash(Digest256([number; 32]));
        VoteKind::Finalize { block, result: ResultHash::default() }
    }

    fn validators() -> Vec<PublicKey> {
        (0..4).map(|number| KeyPair::demo(&format!("validator_{number}")).public_key()).collect()
    }

    /// What one process that began at height 5 owes when the votes have come while it was at these
    /// heights, and it goes on to height 20.
    fn owes(votes: [(u64, Vote); 2]) -> bool {
        let mut contradictions = Contradictions::default();
        contradictions.started(0, Height(5));
        for (at, vote) in votes {
            contradictions.turned(0, Height(at));
            contradictions.heard(0, &vote, Height(at));
            contradictions.turned(0, Height(at));
        }
        (0..=20).for_each(|at| contradictions.turned(0, Height(at)));
        contradictions.check(0, &[], &validators()).is_err()
    }

    #[test]
    fn evidence_is_due_of_two_votes_that_no_honest_validator_makes_both() {
        let pairs = [
            (notarize(1), notarize(2), true),
            (notarize(1), notarize(1), false),
            (finalize(1), finalize(2), true),
            (VoteKind::Nullify, finalize(1), true),
            (finalize(1), VoteKind::Nullify, true),
            (VoteKind::Nullify, notarize(1), false),
            (notarize(1), finalize(2), false),
        ];
        for (one, other, is_due) in pairs {
            let votes = [(7, vote(7, 0, one)), (7, vote(7, 0, other))];
            assert_eq!(owes(votes), is_due, "{one:?} {other:?}");
            assert!(!owes([(7, vote(7, 0, one)), (7, vote(7, 1, other))]), "two views");
        }
    }

    #[test]
    fn evidence_is_due_only_of_votes_that_a_process_keeps() {
        let pair =
            |height, view| (vote(height, view, notarize(1)), vote(height, view, notarize(2)));
        for (first_at, second_at, (one, other), is_due) in [
            (7, 7, pair(7, VIEWS_AHEAD), true),
            (7, 7, pair(7, VIEWS_AHEAD + 1), false),
            (3, 7, pair(7, EARLY_VIEWS - 1), true),
            (3, 7, pair(7, EARLY_VIEWS), false),
            (2, 7, pair(7, 0), false),
            (3, 3, pair(7, 0), true),
            (7, 8, pair(7, 0), true),
            (7, 9, pair(7, 0), false),
            (6, 6, pair(5, 0), true),
            (5, 5, pair(4, 0), false),
        ] {
            let votes = [(first_at, one), (second_at, other)];
            assert_eq!(owes(votes), is_due, "{first_at} {second_at} {one:?}");
        }
    }

    #[test]
    fn who_ended_before_it_could_report_owes_nothing_and_who_reported_keeps_it() {
        let mut contradictions = Contradictions::default();
        let hear = |contradictions: &mut Contradictions, number| {
            contradictions.heard(0, &vote(7, 0, notarize(number)), Height(7));
        };
        let owes =
            |contradictions: &Contradictions| contradictions.check(0, &[], &validators()).is_err();
        contradictions.started(0, Height(7));
        hear(&mut contradictions, 1);
        hear(&mut contradictions, 2);
        contradictions.started(0, Height(7));
        contradictions.turned(0, Height(7));
        hear(&mut contradictions, 3);
        contradictions.turned(0, Height(7));
        assert!(!owes(&contradictions), "it never had two at once");
        hear(&mut contradictions, 2);
        contradictions.turned(0, Height(7));
        contradictions.started(0, Height(8));
        assert!(owes(&contradictions));
        let signed = |number| Signed { said: notarize(number), signature: Signature([0; 64]) };
        let row = EvidenceRow {
            height: Height(7),
            view: View(0),
            validator: validators()[3],
            statements: Statements::Votes([signed(2), signed(3)]),
            seen_ms: 0,
        };
        assert_eq!(contradictions.check(0, &[row], &validators()), Ok(()));
        contradictions.returned(0);
        assert!(!owes(&contradictions), "an old disk may be older");
    }
}
