//! Starting from the log, and whether this validator may vote at all (consensus.md, What is
//! durable before what).

use std::collections::{BTreeMap, BTreeSet};

use tonle_model::hash::ChainHash;
use tonle_model::number::{Height, View};
use tonle_model::vote::{Ballot, Proposal, Vote};

use crate::core::Core;
use crate::face::{Config, ObserverReason, Output, Parent, PeerId, Record, Recovery};
use crate::limits;
use crate::peers::Peers;
use crate::round::{Pending, Round};

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum State {
    /// Asking others which vote of ours they saw last.
    Recovering,
    Voting,
    /// Own votes exist that are not in our log: another vote could contradict them.
    Observing,
}

/// Whether this validator may vote.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Voter {
    state: State,
    /// Who told us the latest vote of ours that they saw.
    answered: BTreeSet<PeerId>,
    /// The highest height of an own vote that our log does not hold.
    unknown: Height,
    /// An operator vouched for the votes up to here.
    forgiven: Option<Height>,
}

impl Voter {
    fn new(recovery: Recovery) -> Self {
        let state = match recovery {
            Recovery::AskPeers => State::Recovering,
            Recovery::LogLost => State::Observing,
        };
        Self { state, answered: BTreeSet::new(), unknown: Height(0), forgiven: None }
    }

    pub(crate) fn may_vote(&self) -> bool {
        self.state == State::Voting
    }

    pub(crate) fn is_recovering(&self) -> bool {
        self.state == State::Recovering
    }

    pub(crate) fn is_forgiven(&self, height: Height) -> bool {
        self.forgiven.is_some_and(|forgiven| height <= forgiven)
    }

    /// A peer told us the latest vote of ours that it saw, if any.
    pub(crate) fn answered_by(&mut self, peer: PeerId) {
        if self.answered.len() < limits::PEERS_MAX {
            self.answered.insert(peer);
        }
    }

    /// Votes once q - 1 other validators have answered: with us they are a quorum, and every
    /// quorum that one of our votes was part of shares an honest validator with them.
    pub(crate) fn settle(&mut self, config: &Config) {
        if self.state != State::Recovering {
            return;
        }
        let me = config.me.and_then(|me| config.validators.get(me.position()));
        let others = config.validators.iter().filter(|validator| Some(*validator) != me);
        let answers = others.filter(|validator| self.answered.contains(validator)).count();
        if answers + 1 >= config.quorum() {
            self.state = State::Voting;
            self.answered.clear();
        }
    }

    /// An operator vouches for what we do not know.
    pub(crate) fn resume(&mut self, height: Height) {
        self.state = State::Voting;
        self.forgiven = Some(height.max(self.unknown));
    }

    /// Stops voting for good. False if it had stopped before.
    fn observe(&mut self, height: Height) -> bool {
        self.unknown = self.unknown.max(height);
        let stops = self.state != State::Observing;
        self.state = State::Observing;
        stops
    }
}

impl Core {
    /// A core at the height after `parent`, as the log of that height left it.
    ///
    /// `log` holds the records in the order they were persisted; those of another height are
    /// passed over. Votes in it are taken as they are, never decided again.
    pub fn new(
        chain: ChainHash,
        parent: Parent,
        config: Config,
        log: Vec<Record>,
        recovery: Recovery,
    ) -> Self {
        let mut core = Self {
            chain,
            now_ms: 0,
            parent,
            config,
            round: Round::new(parent.height.next(), 0),
            voter: Voter::new(recovery),
            peers: Peers::default(),
            pool_work: false,
            had_work: false,
            paused: false,
            halted: false,
            early: BTreeMap::new(),
            past: None,
            startup: Vec::new(),
        };
        let mut outputs = Vec::new();
        if recovery == Recovery::LogLost {
            outputs.push(Output::Observer(ObserverReason::LogLost));
        }
        core.replay(log, &mut outputs);
        core.startup = outputs;
        core
    }

    /// Certificates first: they say how far we were, and so which votes make sense.
    fn replay(&mut self, log: Vec<Record>, outputs: &mut Vec<Output>) {
        let (mut votes, mut proposals) = (Vec::new(), Vec::new());
        for record in log {
            match record {
                Record::Certificate(certificate) => {
                    if certificate.ballot.height == self.round.height {
                        self.install(certificate, false, outputs);
                    }
                }
                Record::Header(header) => {
                    if header.height == self.round.height {
                        let view = header.proposed_view;
                        self.round.hold(header.hash(), header, view).logged = true;
                    }
                }
                Record::Proposal(proposal) => proposals.push(proposal),
                Record::Vote(vote) => votes.push(vote),
            }
        }
        let height = self.round.height;
        let mut consistent = true;
        for vote in votes.into_iter().filter(|vote| vote.ballot.height == height) {
            consistent &= self.replay_vote(vote, outputs);
        }
        for proposal in proposals.into_iter().filter(|proposal| proposal.height == height) {
            self.replay_proposal(proposal);
        }
        if !consistent && self.voter.observe(height) {
            outputs.push(Output::Observer(ObserverReason::LogInconsistent));
        }
    }

    /// Takes an own vote as it stands. False if it cannot have been ours at that point: a log
    /// with a hole in it.
    fn replay_vote(&mut self, vote: Vote, outputs: &mut Vec<Output>) -> bool {
        let Ballot { view, kind, .. } = vote.ballot;
        if !self.is_me(vote.signer) {
            return false;
        }
        self.round.slot_mut(view).own.decide(kind);
        let reached = view <= self.round.view;
        self.accept_vote(vote, outputs);
        reached
    }

    fn replay_proposal(&mut self, proposal: Proposal) {
        let block = proposal.header.hash();
        let view = proposal.view;
        self.round.hold(block, proposal.header.clone(), view).logged = true;
        let own = &mut self.round.slot_mut(view).own;
        own.proposed = Some(block);
        own.proposal = Some(Box::new(proposal.clone()));
        if view == self.round.view && self.round.finalization.is_none() {
            self.round.pending = Some(Pending { proposal, block, accepted: false });
        }
    }

    /// Whether this node decided to cast this vote. Heights below ours are decided: no vote there
    /// can do harm any more.
    pub(crate) fn knows_own(&self, ballot: &Ballot) -> bool {
        let slot = self.round.slot(ballot.view);
        ballot.height < self.round.height
            || (ballot.height == self.round.height
                && slot.is_some_and(|slot| slot.own.decided(ballot.kind)))
    }

    /// Somebody holds a vote with our signature that our log does not hold.
    pub(crate) fn found_unknown_vote(&mut self, ballot: Ballot, outputs: &mut Vec<Output>) {
        if !self.voter.is_forgiven(ballot.height) && self.voter.observe(ballot.height) {
            outputs.push(Output::Observer(ObserverReason::UnknownOwnVote(ballot)));
        }
    }

    /// Somebody holds a proposal with our signature that our log does not hold.
    pub(crate) fn found_unknown_proposal(&mut self, view: View, outputs: &mut Vec<Output>) {
        let height = self.round.height;
        if self.voter.observe(height) {
            outputs.push(Output::Observer(ObserverReason::UnknownOwnProposal(height, view)));
        }
    }
}
