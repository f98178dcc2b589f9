//! No honest validator contradicts itself, across all its restarts; and one that came back with an
//! old disk contradicts nothing that enough others remember.

use std::collections::BTreeMap;

use tonle_consensus::Message;
use tonle_model::hash::{BlockHash, ResultHash};
use tonle_model::vote::{Vote, VoteKind};

use super::memory::Memory;
use super::{Held, broken};

/// What a validator said in a view, and when.
#[derive(Debug, Default)]
struct Said {
    proposed: Option<(BlockHash, u64)>,
    notarized: Option<(BlockHash, u64)>,
    nullified: Option<u64>,
    finalized: Option<((BlockHash, ResultHash), u64)>,
}

/// A time when a validator came back with an old disk.
#[derive(Debug, Clone, Copy)]
struct Return {
    /// What was said after that is on its disk.
    at: u64,
    /// What was said up to then is on its old disk, or enough of the others remember it.
    known: u64,
}

/// What everybody said.
pub struct Votes {
    validators: usize,
    said: BTreeMap<(usize, u64, u32), Said>,
    returns: BTreeMap<usize, Return>,
    memory: Memory,
    /// Counts what is said.
    time: u64,
}

impl Votes {
    /// Of so many validators.
    pub fn new(validators: usize) -> Self {
        Self {
            validators,
            said: BTreeMap::new(),
            returns: BTreeMap::new(),
            memory: Memory::new(validators),
            time: 0,
        }
    }

    /// How often something was said until now.
    pub fn time(&self) -> u64 {
        self.time
    }

    /// A vote came to an honest node that was at its height.
    pub fn heard(&mut self, by: usize, vote: &Vote) {
        let place = (vote.signer.position(), vote.ballot.height.0, vote.ballot.view.0);
        let said = self.said.get(&place).and_then(|said| match vote.ballot.kind {
            VoteKind::Notarize { .. } => said.notarized.map(|(_, at)| at),
            VoteKind::Nullify => said.nullified,
            VoteKind::Finalize { .. } => said.finalized.map(|(_, at)| at),
        });
        if let Some(at) = said {
            self.memory.hears(by, vote, at);
        }
    }

    /// An honest node was restarted.
    pub fn restarted(&mut self, node: usize) {
        self.memory.restarts(node);
    }

    /// A node came back with a disk of an earlier time. It hears from q - 1 others before it votes,
    /// so of f + 1 honest ones who remember a vote at least one is heard, and it votes no more.
    pub fn returned(&mut self, node: usize, saved: u64, honest: &[usize]) {
        self.memory.forgets(node);
        let enough = (self.validators - 1) / 3 + 1;
        let known = self.memory.remembered(node, honest, enough).unwrap_or(0).max(saved);
        self.returns.insert(node, Return { at: self.time, known });
    }

    /// Whether a node may have forgotten what it said then.
    fn is_forgotten(&self, node: usize, at: u64) -> bool {
        self.returns.get(&node).is_some_and(|back| at > back.known && at <= back.at)
    }

    /// Who finalized a block in a view notarizes another one later only if that view was
    /// nullified: q nullify votes, of which f may be of liars, were sent.
    fn stepped_over(&self, node: usize, height: u64, view: u32, block: BlockHash) -> Option<u32> {
        let faulty = (self.validators - 1) / 3;
        let needed = self.validators - 2 * faulty;
        let nullified = |view: u32| {
            let said = (0..self.validators).filter_map(|node| self.said.get(&(node, height, view)));
            said.filter(|said| said.nullified.is_some()).count() >= needed
        };
        (0..view).find(|earlier| {
            let said = self.said.get(&(node, height, *earlier));
            let finalized = said.and_then(|said| said.finalized);
            let other = finalized
                .is_some_and(|((one, _), at)| one != block && !self.is_forgotten(node, at));
            other && !nullified(*earlier)
        })
    }

    /// A validator says something.
    pub fn said(&mut self, node: usize, message: &Message) -> Held {
        match message {
            Message::Vote(vote) => self.voted(node, vote),
            Message::Proposal(proposal) => {
                let place = (node, proposal.height.0, proposal.view.0);
                self.time += 1;
                let before = self.said.get(&place).and_then(|said| said.proposed);
                let before = before.filter(|(_, at)| !self.is_forgotten(node, *at));
                let block = proposal.header.hash();
                match before {
                    Some((other, _)) if other != block => {
                        broken(format!("two proposals at {place:?}"))
                    }
                    _ => {
                        let proposed = before.unwrap_or((block, self.time));
                        self.said.entry(place).or_default().proposed = Some(proposed);
                        Ok(())
                    }
                }
            }
            Message::Certificate(_) | Message::Status(_) => Ok(()),
        }
    }

    fn voted(&mut self, node: usize, vote: &Vote) -> Held {
        if vote.signer.position() != node {
            return broken(format!("node {node} passes on a vote of {}", vote.signer));
        }
        let place = (node, vote.ballot.height.0, vote.ballot.view.0);
        if let VoteKind::Notarize { block } = vote.ballot.kind
            && let Some(view) = self.stepped_over(node, place.1, place.2, block)
        {
            return broken(format!("node {node} steps over view {view} at {place:?}"));
        }
        self.time += 1;
        let now = self.time;
        let mut said = self.said.remove(&place).unwrap_or_default();
        // What it forgot it may contradict; it is one of the f.
        said.notarized = said.notarized.filter(|(_, at)| !self.is_forgotten(node, *at));
        said.nullified = said.nullified.filter(|at| !self.is_forgotten(node, *at));
        said.finalized = said.finalized.filter(|(_, at)| !self.is_forgotten(node, *at));
        let at = match vote.ballot.kind {
            VoteKind::Notarize { block } => once(&mut said.notarized, block, now),
            VoteKind::Finalize { block, result } => once(&mut said.finalized, (block, result), now),
            VoteKind::Nullify => Some(*said.nullified.get_or_insert(now)),
        };
        let contradicts = said.nullified.is_some() && said.finalized.is_some();
        let held = match at {
            Some(at) if !contradicts => {
                if at == now {
                    self.memory.votes(node);
                }
                Ok(())
            }
            _ => broken(format!("contradiction at {place:?}: {said:?}")),
        };
        self.said.insert(place, said);
        held
    }
}

/// When it was said first, if it is the first or the same.
fn once<T: PartialEq + Copy>(slot: &mut Option<(T, u64)>, value: T, now: u64) -> Option<u64> {
    let (first, at) = *slot.get_or_insert((value, now));
    (first == value).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::hash::{ChainHash, Digest256};
    use tonle_model::key::KeyPair;
    use tonle_model::number::{Height, ValidatorIndex, View};
    use tonle_model::vote::Ballot;

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
    #[test]
    fn only_what_too_few_remember_may_be_contradicted_by_an_old_disk() {
        let notarize = |number| vote(0, VoteKind::Notarize { block: block(number) });
        let of = |message: &Message, signer: u16| match message {
            Message::Vote(vote) => Vote { signer: ValidatorIndex(signer), ..*vote },
            _ => unreachable!(),
        };
        for (hearers, saved, holds) in [(1, 0, true), (2, 0, false), (0, 9, false)] {
            let mut votes = Votes::new(4);
            votes.said(0, &notarize(1)).unwrap();
            for hearer in 1..=hearers {
                let Message::Vote(heard) = notarize(1) else { unreachable!() };
                votes.heard(hearer, &heard);
                let own = of(&notarize(1), hearer as u16);
                votes.said(hearer, &Message::Vote(own)).unwrap();
            }
            votes.returned(0, saved, &[1, 2, 3]);
            assert_eq!(
                votes.said(0, &notarize(2)).is_ok(),
                holds,
                "{hearers} heard, {saved} saved"
            );
            assert!(!holds || votes.said(0, &notarize(3)).is_err(), "it knows its votes since");
        }
    }
}
