//! The state machine: dispatches an input, then applies the rules until none has more to do.

use std::collections::BTreeMap;

use tonle_model::block::Header;
use tonle_model::hash::{BlockHash, ChainHash};
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::vote::{Ballot, Vote, VoteKind};

use crate::face::{Config, Input, Output, Parent, PeerId};
use crate::peers::Peers;
use crate::recovery::Voter;
use crate::round::{Candidate, Round};

/// The BFT core of one node. See the crate documentation for its rules.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Core {
    pub(crate) chain: ChainHash,
    pub(crate) now_ms: u64,
    pub(crate) parent: Parent,
    pub(crate) config: Config,
    pub(crate) round: Round,
    pub(crate) voter: Voter,
    pub(crate) peers: Peers,
    /// The pool has work.
    pub(crate) pool_work: bool,
    /// There was work when the last step ended.
    pub(crate) had_work: bool,
    /// The driver asked for no votes.
    pub(crate) paused: bool,
    /// Rule 6: the state diverged. Nothing is voted or committed any more.
    pub(crate) halted: bool,
    /// Votes that came before the commit that they build on, one per signer, view and kind, and
    /// one that contradicts it.
    pub(crate) early: BTreeMap<(Height, ValidatorIndex, View, u8), Vote>,
    /// The height decided last, if its validators were those of this one: what was said in it.
    pub(crate) past: Option<Round>,
    /// What the replay of the log came to; goes out with the first step.
    pub(crate) startup: Vec<Output>,
}

impl Core {
    /// The height being decided.
    pub fn height(&self) -> Height {
        self.round.height
    }

    /// The view this node is in.
    pub fn view(&self) -> View {
        self.round.view
    }

    /// The last committed block.
    pub fn parent(&self) -> &Parent {
        &self.parent
    }

    /// The configuration of the height being decided.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Who leads a view of this height: whose signature a proposal must carry.
    pub fn leader(&self, view: View) -> ValidatorIndex {
        self.config.marks.leader(self.round.height, view, self.config.validators.len())
    }

    /// A validator that may vote: not an observer, not recovering, not paused, not halted.
    pub fn is_voting(&self) -> bool {
        self.config.me.is_some() && self.voter.may_vote() && !self.paused && !self.halted
    }

    /// Still waiting for q - 1 others to tell which vote of ours they saw last.
    pub fn is_recovering(&self) -> bool {
        self.voter.is_recovering()
    }

    /// The headers held of the height being decided: any of them may still be executed.
    pub fn headers(&self) -> impl Iterator<Item = &Header> {
        self.round.candidates.values().map(|candidate| &candidate.header)
    }

    /// The latest vote seen of each validator, this one included: what others are told when they
    /// have lost their log. The driver keeps it with every write (consensus.md, What is durable
    /// before what).
    pub fn votes_seen(&self) -> impl Iterator<Item = (PeerId, Vote)> {
        self.peers.votes_seen()
    }

    /// When `step` wants to be called again, in the milliseconds of `step`, if no input comes
    /// before. Only times after the last step's are given, so a driver cannot spin.
    pub fn next_deadline(&self) -> Option<u64> {
        let round = [self.timer_deadline(), self.finalization_deadline(), self.drift_deadline()];
        let peers = [self.standstill_deadline(), self.status_deadline(), self.sync_deadline()];
        round.into_iter().chain(peers).flatten().filter(|at_ms| *at_ms > self.now_ms).min()
    }

    /// Takes one input and appends what is to be done, in order.
    ///
    /// `now_ms` is in milliseconds since 1970 and must not run backwards: the driver adds
    /// monotonic time to the wall clock's reading at its start. An earlier time counts as the
    /// latest seen.
    pub fn step(&mut self, now_ms: u64, input: Input, outputs: &mut Vec<Output>) {
        if self.now_ms == 0 {
            self.round.start(now_ms);
        }
        self.now_ms = self.now_ms.max(now_ms);
        outputs.append(&mut self.startup);
        self.take(input, outputs);
        self.settle(outputs);
        self.keep_in_touch(outputs);
    }

    fn take(&mut self, input: Input, outputs: &mut Vec<Output>) {
        match input {
            Input::Tick => {}
            Input::Proposal(proposal) => self.on_proposal(proposal, outputs),
            Input::Vote(vote) => self.on_vote(vote, outputs),
            Input::Certificate(certificate) => self.on_certificate(certificate, outputs),
            Input::Seen { signer, vote } => self.peers.saw_vote(Some(&signer), vote),
            Input::Status { from, status } => self.on_status(from, &status, outputs),
            Input::Connected { peer } => self.on_connected(peer, outputs),
            Input::Disconnected { peer } => self.peers.disconnected(peer),
            Input::Header(header) => self.on_header(header),
            Input::Built { header } => self.on_built(header, outputs),
            Input::NothingToBuild { view } => self.on_nothing_to_build(view),
            Input::Available { block } => self.on_batches(block, true),
            Input::Unusable { block } => self.on_batches(block, false),
            Input::Work(work) => self.on_work(work),
            Input::Executed { block, result } => self.on_executed(block, result),
            Input::Synced { header, finalization } => {
                self.on_synced(header, finalization, outputs);
            }
            Input::Fetched { peer, from, count } => self.on_fetched(peer, from, count),
            Input::Advance { config } => self.on_advance(config, outputs),
            Input::Paused(paused) => self.paused = paused,
            Input::ResumeVoting { up_to } => self.voter.resume(up_to.max(self.round.height)),
        }
    }

    /// Applies the rules until nothing changes. Each returns whether it changed something, and
    /// each change is final within the height, so this ends.
    fn settle(&mut self, outputs: &mut Vec<Output>) {
        self.voter.settle(&self.config);
        self.fire_timer();
        while !self.halted
            && !self.round.committing
            && (self.pursue(outputs)
                || self.finalize_views(outputs)
                || self.decide(outputs)
                || self.arm_timer()
                || self.judge_pending(outputs)
                || self.notarize_pending(outputs)
                || self.nullify_views(outputs)
                || self.pass_on_notarization(outputs)
                || self.propose(outputs))
        {}
    }

    /// Whether a vote may be made at this moment. A decided height needs none but
    /// [`Core::finalize`]'s.
    pub(crate) fn can_vote(&self) -> bool {
        self.is_voting() && self.round.finalization.is_none()
    }

    /// Something new was learned (rule 7).
    pub(crate) fn learned(&mut self) {
        self.round.learned_ms = self.now_ms;
    }

    /// Records the decision and hands the ballot out for signing. Only the functions that make
    /// one kind of vote each call this: [`Core::notarize`], [`Core::nullify`], [`Core::finalize`].
    pub(crate) fn cast(&mut self, view: View, kind: VoteKind, outputs: &mut Vec<Output>) {
        let height = self.round.height;
        self.round.slot_mut(view).own.decide(kind);
        outputs.push(Output::SignVote { ballot: Ballot { height, view, kind } });
    }

    /// Whether this node is the signer.
    pub(crate) fn is_me(&self, signer: ValidatorIndex) -> bool {
        self.config.me == Some(signer)
    }

    /// The candidate, if its header is held.
    pub(crate) fn candidate(&self, block: BlockHash) -> Option<&Candidate> {
        self.round.candidates.get(&block)
    }
}
