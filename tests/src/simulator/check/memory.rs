//! What validators remember of each other's votes, whatever happens to them
//! (docs/decisions/0018-votes-seen-are-kept.md): for each of the others the highest vote that came,
//! on the disk at the latest when they make a vote of their own.

use std::collections::BTreeMap;

use tonle_model::number::{Height, View};
use tonle_model::vote::{Vote, VoteKind};

/// The highest vote of one validator that another one heard of, and when it was first said.
type Heard = ((Height, View, u8), u64);

/// What one validator heard of the others, by their numbers.
#[derive(Debug, Default, Clone)]
struct Notes(BTreeMap<usize, Heard>);

/// What all of them heard.
#[derive(Debug)]
pub struct Memory {
    /// By validator: what it knows, and what it knows after a restart at least.
    notes: Vec<(Notes, Notes)>,
}

impl Memory {
    /// Of so many validators.
    pub fn new(validators: usize) -> Self {
        Self { notes: vec![Default::default(); validators] }
    }

    /// A vote came to somebody who was at its height; `said` is when it was first said.
    pub fn hears(&mut self, who: usize, vote: &Vote, said: u64) {
        let kind = match vote.ballot.kind {
            VoteKind::Notarize { .. } => 0,
            VoteKind::Nullify => 1,
            VoteKind::Finalize { .. } => 2,
        };
        let heard = ((vote.ballot.height, vote.ballot.view, kind), said);
        let highest = self.notes[who].0.0.entry(vote.signer.position()).or_insert(heard);
        if heard.0 > highest.0 {
            *highest = heard;
        }
    }

    /// Somebody made a vote: its disk has what it heard before.
    pub fn votes(&mut self, who: usize) {
        let (knows, keeps) = &mut self.notes[who];
        *keeps = knows.clone();
    }

    /// Somebody was restarted.
    pub fn restarts(&mut self, who: usize) {
        let (knows, keeps) = &mut self.notes[who];
        *knows = keeps.clone();
    }

    /// Somebody came back with an old disk.
    pub fn forgets(&mut self, who: usize) {
        self.notes[who] = Default::default();
    }

    /// Up to when at least `enough` of these validators remember what another one said.
    pub fn remembered(&self, of: usize, by: &[usize], enough: usize) -> Option<u64> {
        let known = by.iter().filter_map(|who| self.notes[*who].1.0.get(&of));
        let mut times: Vec<u64> = known.map(|(_, said)| *said).collect();
        times.sort_unstable_by(|one, other| other.cmp(one));
        times.get(enough - 1).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::key::Signature;
    use tonle_model::number::ValidatorIndex;
    use tonle_model::vote::Ballot;

    fn vote(view: u32) -> Vote {
        let ballot = Ballot { height: Height(1), view: View(view), kind: VoteKind::Nullify };
        Vote { ballot, signer: ValidatorIndex(3), signature: Signature([0; 64]) }
    }

    #[test]
    fn what_enough_heard_before_they_voted_is_remembered() {
        let mut memory = Memory::new(4);
        memory.hears(0, &vote(1), 10);
        memory.hears(1, &vote(2), 20);
        memory.hears(1, &vote(1), 30);
        memory.votes(0);
        assert_eq!(memory.remembered(3, &[0, 1, 2], 2), None, "1 made no vote since");
        memory.votes(1);
        memory.hears(0, &vote(5), 40);
        memory.restarts(0);
        memory.votes(0);
        assert_eq!(memory.remembered(3, &[0, 1, 2], 2), Some(10), "0 lost what came last");
        assert_eq!(memory.remembered(3, &[0, 1, 2], 1), Some(20), "1 keeps the highest view");
        memory.forgets(1);
        assert_eq!(memory.remembered(3, &[0, 1, 2], 1), Some(10));
    }
}
