//! No honest validator contradicts itself, across all its restarts.

use std::collections::BTreeMap;

use tonle_consensus::Message;
use tonle_model::hash::{BlockHash, ResultHash};
use tonle_model::vote::VoteKind;

use super::{Held, broken};

/// What a validator said in a view.
#[derive(Debug, Default)]
struct Said {
    proposed: Option<BlockHash>,
    notarized: Option<BlockHash>,
    nullified: bool,
    finalized: Option<(BlockHash, ResultHash)>,
}

/// What everybody said.
pub struct Votes {
    validators: usize,
    said: BTreeMap<(usize, u64, u32), Said>,
}

impl Votes {
    /// Of so many validators.
    pub fn new(validators: usize) -> Self {
        Self { validators, said: BTreeMap::new() }
    }

    /// Who finalized a block in a view notarizes another one later only if that view was
    /// nullified: q nullify votes, of which f may be of liars, were sent.
    fn stepped_over(&self, node: usize, height: u64, view: u32, block: BlockHash) -> Option<u32> {
        let faulty = (self.validators - 1) / 3;
        let needed = self.validators - 2 * faulty;
        let nullified = |view: u32| {
            let said = (0..self.validators).filter_map(|node| self.said.get(&(node, height, view)));
            said.filter(|said| said.nullified).count() >= needed
        };
        (0..view).find(|earlier| {
            let said = self.said.get(&(node, height, *earlier));
            let other = said.and_then(|said| said.finalized).is_some_and(|(one, _)| one != block);
            other && !nullified(*earlier)
        })
    }

    /// A validator says something.
    pub fn said(&mut self, node: usize, message: &Message) -> Held {
        match message {
            Message::Vote(vote) => {
                if vote.signer.position() != node {
                    return broken(format!("node {node} passes on a vote of {}", vote.signer));
                }
                let place = (node, vote.ballot.height.0, vote.ballot.view.0);
                if let VoteKind::Notarize { block } = vote.ballot.kind
                    && let Some(view) = self.stepped_over(node, place.1, place.2, block)
                {
                    return broken(format!("node {node} steps over view {view} at {place:?}"));
                }
                let said = self.said.entry(place).or_default();
                match vote.ballot.kind {
                    VoteKind::Notarize { block } => once(&mut said.notarized, block),
                    VoteKind::Finalize { block, result } => {
                        once(&mut said.finalized, (block, result))
                    }
                    VoteKind::Nullify => {
                        said.nullified = true;
                        true
                    }
                }
                .then_some(())
                .filter(|()| !(said.nullified && said.finalized.is_some()))
                .map_or_else(|| broken(format!("contradiction at {place:?}: {said:?}")), Ok)
            }
            Message::Proposal(proposal) => {
                let place = (node, proposal.height.0, proposal.view.0);
                let said = self.said.entry(place).or_default();
                match once(&mut said.proposed, proposal.header.hash()) {
                    true => Ok(()),
                    false => broken(format!("two proposals at {place:?}")),
                }
            }
            Message::Certificate(_) | Message::Status(_) => Ok(()),
        }
    }
}

/// Whether it is the first or the same.
fn once<T: PartialEq + Copy>(slot: &mut Option<T>, value: T) -> bool {
    *slot.get_or_insert(value) == value
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::hash::{ChainHash, Digest256};
    use tonle_model::key::KeyPair;
    use tonle_model::number::{Height, ValidatorIndex, View};
    use tonle_model::vote::{Ballot, Vote};

    fn vote(view: u32, kind: VoteKind) -> Message {
        let ballot = Ballot { height: Height(1), view: View(view), kind };
        let key = KeyPair::demo("validator");
        Message::Vote(Vote::sign(ballot, &ChainHash::default(), ValidatorIndex(0), &key))
    }

    fn block(number: u8) -> BlockHash {
        BlockHash(Digest256([number; 32]))
    }

    #[test]
    fn contradictions_are_found_and_honest_sequences_are_not() {
        let finalize = |number, result| VoteKind::Finalize {
            block: block(number),
            result: ResultHash(Digest256([result; 32])),
        };
        let notarize = |number| VoteKind::Notarize { block: block(number) };
        let mut votes = Votes::new(4);
        let honest = [
            vote(0, notarize(1)),
            vote(0, VoteKind::Nullify),
            vote(1, notarize(1)),
            vote(1, finalize(1, 1)),
            vote(1, finalize(1, 1)),
        ];
        honest.iter().for_each(|message| votes.said(0, message).unwrap());
        for message in [
            vote(0, notarize(2)),
            vote(0, finalize(1, 1)),
            vote(1, VoteKind::Nullify),
            vote(2, finalize(1, 1)),
        ] {
            let is_first = matches!(&message, Message::Vote(vote) if vote.ballot.view == View(2));
            assert_eq!(votes.said(0, &message).is_ok(), is_first, "{message:?}");
        }
        assert!(votes.said(0, &vote(2, finalize(1, 2))).is_err(), "two results");
        assert!(votes.said(1, &vote(3, VoteKind::Nullify)).is_err(), "another's vote");
        assert!(votes.said(0, &vote(4, notarize(1))).is_ok(), "the finalized block again");
        assert!(votes.said(0, &vote(4, notarize(2))).is_err(), "nobody nullified views 1 and 2");
    }
}
