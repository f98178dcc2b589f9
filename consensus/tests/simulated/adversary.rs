//! One member that breaks every rule it can: two proposals for a view, justifications with gaps,
//! contradicting votes to different nodes, certificates shown to few. It sees everything that is
//! sent to it and forges nothing but its own signature.

use std::collections::{BTreeMap, BTreeSet};

use tonle_consensus::Message;
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::hash::{BlockHash, ChainHash, ResultHash};
use tonle_model::key::Signature;
use tonle_model::leader::LeaderMarks;
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::validators::quorum;
use tonle_model::vote::{Ballot, Certificate, Justification, Proposal, VoteKind};

use super::Wire;
use super::random::Random;
use crate::common::{batch_ref, result_of, signature, vote};

type Deeds = Vec<(usize, Message)>;

pub struct Adversary {
    validators: usize,
    me: ValidatorIndex,
    height: Height,
    marks: BTreeMap<Height, LeaderMarks>,
    votes: BTreeMap<Ballot, BTreeMap<ValidatorIndex, Signature>>,
    certificates: BTreeMap<Ballot, Certificate>,
    headers: BTreeMap<BlockHash, Header>,
    led: BTreeSet<View>,
    pub silent: bool,
}

impl Adversary {
    pub fn new(validators: usize) -> Self {
        Self {
            validators,
            me: ValidatorIndex(validators as u16 - 1),
            height: Height(0),
            marks: BTreeMap::from([(Height(0), LeaderMarks::default())]),
            votes: BTreeMap::new(),
            certificates: BTreeMap::new(),
            headers: BTreeMap::new(),
            led: BTreeSet::new(),
            silent: false,
        }
    }

    pub fn react(
        &mut self,
        wire: &Wire,
        chain: &BTreeMap<Height, Header>,
        now_ms: u64,
        random: &mut Random,
    ) -> Deeds {
        let Wire::Message(message) = wire else { return Vec::new() };
        let Some((height, view)) = self.observe(message) else { return Vec::new() };
        if self.silent || height != self.height || !self.follow(height, chain) {
            return Vec::new();
        }
        let mut deeds = Vec::new();
        for view in [view, view.next()] {
            let leads =
                self.marks[&height.previous().unwrap()].leader(height, view, self.validators);
            if leads == self.me && !self.led.contains(&view) && random.chance(300) {
                self.led.insert(view);
                self.lead(view, chain, now_ms, random, &mut deeds);
            }
        }
        if random.chance(300) {
            self.vote_somehow(view, random, &mut deeds);
        }
        if random.chance(200) {
            self.certify_somehow(random, &mut deeds);
        }
        deeds
    }

    /// Takes note of a message; a new height clears the notes.
    fn observe(&mut self, message: &Message) -> Option<(Height, View)> {
        let (height, view) = match message {
            Message::Vote(vote) => (vote.ballot.height, vote.ballot.view),
            Message::Certificate(one) => (one.ballot.height, one.ballot.view),
            Message::Proposal(one) => (one.height, one.view),
            Message::Status(_) => return None,
        };
        if height > self.height {
            self.height = height;
            self.votes.clear();
            self.certificates.clear();
            self.headers.clear();
            self.led.clear();
        }
        match message {
            Message::Vote(vote) => {
                let votes = self.votes.entry(vote.ballot).or_default();
                votes.insert(vote.signer, vote.signature);
            }
            Message::Certificate(one) => {
                self.certificates.insert(one.ballot, one.clone());
            }
            Message::Proposal(one) => {
                self.headers.insert(one.header.hash(), one.header.clone());
                let nullifications = one.justification.nullifications.iter();
                for held in one.justification.notarization.iter().chain(nullifications) {
                    self.certificates.insert(held.ballot, held.clone());
                }
            }
            Message::Status(_) => {}
        }
        Some((height, view))
    }

    /// Computes who leads at this height; false if the chain is not known so far.
    fn follow(&mut self, height: Height, chain: &BTreeMap<Height, Header>) -> bool {
        for (at, header) in chain.range(..height) {
            if !self.marks.contains_key(at) {
                let before = self.marks[&at.previous().unwrap()].clone();
                self.marks.insert(*at, before.after_commit(header, self.validators));
            }
        }
        height.previous().is_some_and(|parent| self.marks.contains_key(&parent))
    }

    fn some_nodes(&self, random: &mut Random) -> Vec<usize> {
        (0..self.validators - 1).filter(|_| random.chance(500)).collect()
    }

    fn vote_somehow(&mut self, view: View, random: &mut Random, deeds: &mut Deeds) {
        let blocks: Vec<BlockHash> = self.headers.keys().copied().collect();
        let block = random.pick(&blocks).copied();
        let kind = match (random.between(0, 3), block) {
            (0, Some(block)) => VoteKind::Notarize { block },
            (1, Some(block)) => VoteKind::Finalize { block, result: result_of(block) },
            (2, Some(block)) => VoteKind::Finalize { block, result: ResultHash::default() },
            _ => VoteKind::Nullify,
        };
        let view = if random.chance(50) { View(random.next() as u32) } else { view };
        let ballot = Ballot { height: self.height, view, kind };
        for node in self.some_nodes(random) {
            deeds.push((node, Message::Vote(vote(ballot, self.me))));
        }
    }

    /// Completes certificates with its own vote and shows one to some.
    fn certify_somehow(&mut self, random: &mut Random, deeds: &mut Deeds) {
        self.complete_certificates();
        let all: Vec<Certificate> = self.certificates.values().cloned().collect();
        if let Some(one) = random.pick(&all) {
            for node in self.some_nodes(random) {
                deeds.push((node, Message::Certificate(one.clone())));
            }
        }
    }

    fn complete_certificates(&mut self) {
        let quorum = quorum(self.validators);
        for (ballot, votes) in &self.votes {
            let mut votes = votes.clone();
            votes.insert(self.me, signature(self.me));
            if votes.len() >= quorum && !self.certificates.contains_key(ballot) {
                let votes: Vec<_> = votes.into_iter().rev().take(quorum).collect();
                let votes: Vec<_> = votes.into_iter().rev().collect();
                let made = Certificate::assemble(*ballot, &votes, self.validators);
                self.certificates.insert(*ballot, made);
            }
        }
    }

    /// Proposes different things to different nodes, justified as far as it can or less.
    fn lead(
        &mut self,
        view: View,
        chain: &BTreeMap<Height, Header>,
        now_ms: u64,
        random: &mut Random,
        deeds: &mut Deeds,
    ) {
        self.complete_certificates();
        for node in 0..self.validators - 1 {
            if random.chance(200) {
                continue;
            }
            let (header, justification) = self.proposal(view, chain, now_ms, random);
            let signature = signature(self.me);
            let height = self.height;
            self.headers.insert(header.hash(), header.clone());
            let proposal = Proposal { height, view, header, justification, signature };
            deeds.push((node, Message::Proposal(proposal)));
        }
    }

    fn proposal(
        &self,
        view: View,
        chain: &BTreeMap<Height, Header>,
        now_ms: u64,
        random: &mut Random,
    ) -> (Header, Justification) {
        let notarizations: Vec<&Certificate> = self
            .certificates
            .values()
            .filter(|one| matches!(one.ballot.kind, VoteKind::Notarize { .. }))
            .filter(|one| one.ballot.view < view)
            .collect();
        let notarization = match random.chance(500) {
            true => random.pick(&notarizations).map(|one| (*one).clone()),
            false => None,
        };
        let nullifications: Vec<Certificate> = self
            .certificates
            .values()
            .filter(|one| one.ballot.kind == VoteKind::Nullify && one.ballot.view < view)
            .cloned()
            .collect();
        let again = notarization.as_ref().and_then(|one| match one.ballot.kind {
            VoteKind::Notarize { block } => self.headers.get(&block).cloned(),
            _ => None,
        });
        let header = match again {
            Some(header) if random.chance(800) => header,
            _ => self.new_header(view, chain, now_ms, random),
        };
        let nullifications = Bounded::new(nullifications).unwrap();
        (header, Justification { notarization, nullifications })
    }

    fn new_header(
        &self,
        view: View,
        chain: &BTreeMap<Height, Header>,
        now_ms: u64,
        random: &mut Random,
    ) -> Header {
        let parent = self.height.previous().and_then(|height| chain.get(&height));
        let committed: BTreeSet<u64> = chain
            .values()
            .flat_map(|header| header.batches.iter().map(|batch| batch.seq))
            .collect();
        let mut header = Header::genesis(ChainHash::default(), now_ms + random.between(0, 1_500));
        if let Some(parent) = parent {
            header.parent = parent.hash();
            header.parent_result = result_of(header.parent);
            header.timestamp_ms = header.timestamp_ms.max(parent.timestamp_ms + 1);
        }
        header.height = self.height;
        header.proposer = self.me;
        header.proposed_view = view;
        // Batches that others proposed are held by somebody.
        let known = self.headers.values().flat_map(|header| header.batches.iter());
        let mut open: Vec<u64> = known.map(|batch| batch.seq).collect();
        open.retain(|batch| !committed.contains(batch));
        open.sort_unstable();
        open.dedup();
        open.retain(|_| random.chance(700));
        header.batches = Bounded::new(open.into_iter().map(batch_ref).collect()).unwrap();
        header
    }
}
