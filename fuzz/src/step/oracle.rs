//! What the core was told, and whether what it does follows from that. It shares no code with the
//! core.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::discriminant;

use tonle_consensus::{Config, Core, Evidence, Input, Message, Parent, PeerId, Record, limits};
use tonle_model::block::Header;
use tonle_model::hash::{BlockHash, ResultHash};
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::vote::{Ballot, Certificate, Proposal, Vote, VoteKind};

/// The history of one validator, over all its restarts.
#[derive(Default)]
pub struct Oracle {
    quorum: usize,
    votes: BTreeMap<Ballot, BTreeSet<ValidatorIndex>>,
    certificates: BTreeSet<Ballot>,
    /// In votes that came by themselves or in certificates.
    said: BTreeSet<(Ballot, ValidatorIndex)>,
    proposals: Vec<Proposal>,
    available: BTreeSet<BlockHash>,
    executed: BTreeSet<(BlockHash, ResultHash)>,
    signed: BTreeSet<Ballot>,
    proposed: BTreeMap<(Height, View), BlockHash>,
    committed: BTreeMap<Height, BlockHash>,
    answered: BTreeSet<PeerId>,
    may_vote: bool,
    paused: bool,
    /// It said that it votes no more.
    stopped: bool,
    /// And this time no operator helps.
    diverged: bool,
}

impl Oracle {
    /// Of a validator among those of whom so many decide.
    pub fn new(quorum: usize) -> Self {
        Self { quorum, ..Self::default() }
    }

    /// The process ended and began again: whoever was heard must be heard anew.
    pub fn restarted(&mut self) {
        (self.may_vote, self.paused) = (false, false);
        (self.stopped, self.diverged) = (false, false);
        self.answered.clear();
    }

    /// Whether a block was committed.
    pub fn has_committed(&self) -> bool {
        !self.committed.is_empty()
    }

    /// Takes note of what the core is told.
    pub fn told(&mut self, config: &Config, input: &Input) {
        match input {
            Input::Vote(vote) => self.saw_vote(vote),
            Input::Certificate(certificate) => self.saw(certificate),
            Input::Proposal(proposal) => {
                let justification = &proposal.justification;
                justification.notarization.iter().for_each(|one| self.saw(one));
                justification.nullifications.iter().for_each(|one| self.saw(one));
                self.proposals.push(proposal.clone());
            }
            Input::Synced { header, finalization } => {
                self.available.insert(header.hash());
                self.saw(finalization);
            }
            Input::Built { header } => {
                self.available.insert(header.hash());
            }
            Input::Available { block } => {
                self.available.insert(*block);
            }
            Input::Executed { block, result } => {
                self.executed.insert((*block, *result));
            }
            Input::Status { from, .. } => {
                self.answered.insert(*from);
            }
            Input::Paused(paused) => self.paused = *paused,
            Input::ResumeVoting { .. } => {
                (self.may_vote, self.stopped) = (true, false);
            }
            _ => {}
        }
        let me = config.me.map(|me| config.validators[me.position()]);
        let others = self.answered.iter().filter(|from| Some(**from) != me);
        self.may_vote |=
            others.filter(|from| config.validators.contains(from)).count() + 1 >= self.quorum;
    }

    fn saw_vote(&mut self, vote: &Vote) {
        self.votes.entry(vote.ballot).or_default().insert(vote.signer);
        self.said.insert((vote.ballot, vote.signer));
    }

    fn saw(&mut self, certificate: &Certificate) {
        self.certificates.insert(certificate.ballot);
        self.said.extend(certificate.signers().map(|signer| (certificate.ballot, signer)));
    }

    /// Whether a certificate was shown, or the votes that it is made of.
    fn is_certified(&self, ballot: &Ballot) -> bool {
        let signers = self.votes.get(ballot).map_or(0, BTreeSet::len);
        signers >= self.quorum || self.certificates.contains(ballot)
    }

    /// It said that it votes no more, until somebody vouches for it.
    pub fn stops(&mut self) {
        self.stopped = true;
    }

    /// It said that its state is not what a quorum signed.
    pub fn diverges(&mut self) {
        self.diverged = true;
    }

    fn is_voting(&self) -> bool {
        self.may_vote && !self.paused && !self.stopped && !self.diverged
    }

    /// A vote is to be signed: none like it was before, and it says what the validator may say.
    pub fn signs(&mut self, core: &Core, now_ms: u64, log: &[Record], ballot: Ballot) {
        let Ballot { height, view, kind } = ballot;
        assert_eq!(height, core.height(), "votes are about the height that is decided");
        assert!(core.config().me.is_some() && self.is_voting(), "it may not vote");
        assert!(self.signed.insert(ballot), "a vote is made once: {ballot:?}");
        let at_view = self.signed.iter().filter(|one| (one.height, one.view) == (height, view));
        let kinds: Vec<_> = at_view.map(|one| discriminant(&one.kind)).collect();
        let distinct = |one: &_| kinds.iter().filter(|kind| *kind == one).count() == 1;
        assert!(kinds.iter().all(distinct), "one vote of a kind in a view: {ballot:?}");
        let exclusive = self.signed.iter().filter(|one| {
            (one.height, one.view) == (height, view)
                && !matches!(one.kind, VoteKind::Notarize { .. })
        });
        assert!(exclusive.count() <= 1, "nullify and finalize exclude each other: {ballot:?}");
        match kind {
            VoteKind::Nullify => {}
            VoteKind::Notarize { block } => self.notarizes(core, now_ms, log, view, block),
            VoteKind::Finalize { block, result } => {
                let notarized = Ballot { kind: VoteKind::Notarize { block }, ..ballot };
                // A finalization stands in for the notarization (decision 0020).
                let shown = [notarized, ballot].map(|one| self.is_certified(&one));
                assert!(shown.contains(&true), "finalizes what was not notarized");
                let held = [notarized, ballot].map(|one| holds_certificate(log, &one));
                assert!(held.contains(&true), "the certificate is not durable");
                assert!(self.executed.contains(&(block, result)), "a result that it did not get");
            }
        }
    }

    /// Rule 3, as far as it needs no batch: a proposal with this block, whose justification has
    /// no gap.
    fn notarizes(&self, core: &Core, now_ms: u64, log: &[Record], view: View, block: BlockHash) {
        assert!(self.available.contains(&block), "batches are not held");
        let logged = |record: &Record| matches!(record, Record::Header(one) if one.hash() == block);
        assert!(log.iter().any(logged), "the header is not durable");
        let shown = self.proposals.iter().filter(|proposal| {
            (proposal.height, proposal.view) == (core.height(), view)
                && proposal.header.hash() == block
        });
        let mut shown = shown.filter(|one| self.is_justified(core.height(), one));
        let right = shown.any(|one| match one.justification.notarization {
            Some(_) => true,
            None => is_new(core, now_ms, &one.header, view),
        });
        assert!(right, "nobody may propose {block} in view {view}");
    }

    fn is_justified(&self, height: Height, proposal: &Proposal) -> bool {
        let first = match &proposal.justification.notarization {
            None => 0,
            Some(one) => {
                let block = proposal.header.hash();
                let again = one.ballot.kind == VoteKind::Notarize { block };
                if !again || one.ballot.height != height || one.ballot.view >= proposal.view {
                    return false;
                }
                one.ballot.view.0 + 1
            }
        };
        let shown = self.certificates.iter().chain(self.votes.keys());
        let nullified: BTreeSet<_> = shown
            .filter(|one| one.height == height && one.kind == VoteKind::Nullify)
            .filter(|one| (first..proposal.view.0).contains(&one.view.0))
            .filter(|one| self.is_certified(one))
            .map(|one| one.view)
            .collect();
        nullified.len() == proposal.view.0.saturating_sub(first) as usize
    }

    /// A proposal is to be signed.
    pub fn proposes(&mut self, core: &Core, log: &[Record], view: View, header: &Header) {
        let block = header.hash();
        assert_eq!(Some(core.leader(view)), core.config().me, "another leads");
        assert!(self.is_voting(), "it may not propose");
        let earlier = self.proposed.insert((core.height(), view), block);
        assert_eq!(earlier, None, "one proposal in a view");
        let logged = |record: &Record| matches!(record, Record::Header(one) if one == header);
        assert!(log.iter().any(logged), "the header is not durable");
    }

    /// A block is to be executed.
    pub fn executes(&self, header: &Header) {
        assert!(self.available.contains(&header.hash()), "batches are not held");
    }

    /// A block is to be committed.
    pub fn commits(&mut self, parent: &Parent, log: &[Record], header: &Header, by: &Certificate) {
        let VoteKind::Finalize { block, result } = by.ballot.kind else {
            panic!("committed by {by:?}");
        };
        assert!(!self.diverged, "its state is another");
        let signers: BTreeSet<_> = by.signers().collect();
        assert_eq!((signers.len(), by.signatures.len()), (self.quorum, self.quorum));
        assert!(self.is_certified(&by.ballot), "nobody finalized {by:?}");
        assert!(holds_certificate(log, &by.ballot), "the finalization is not durable");
        assert_eq!((header.hash(), header.height), (block, by.ballot.height));
        assert_eq!(header.height, parent.height.next(), "no height is left out");
        assert!(self.executed.contains(&(block, result)), "a result that it did not get");
        let first = *self.committed.entry(header.height).or_insert(block);
        assert_eq!(first, block, "one block at a height");
    }

    /// What is sent again was made before, and is durable.
    pub fn sends(&self, me: Option<ValidatorIndex>, log: &[Record], message: &Message) {
        let durable = match message {
            Message::Vote(vote) => Some(vote.signer) == me && log.contains(&Record::Vote(*vote)),
            Message::Proposal(proposal) => log.contains(&Record::Proposal(proposal.clone())),
            Message::Certificate(certificate) => holds_certificate(log, &certificate.ballot),
            Message::Status(_) => true,
        };
        assert!(durable, "{message:?}");
    }

    /// Whoever is accused did say both, which nobody honest says.
    pub fn accuses(&self, evidence: &Evidence) {
        match evidence {
            Evidence::Votes(one, other) => {
                let place = |vote: &Vote| (vote.signer, vote.ballot.height, vote.ballot.view);
                assert_eq!(place(one), place(other));
                let said = |vote: &Vote| self.said.contains(&(vote.ballot, vote.signer));
                assert!(said(one) && said(other), "it said no such thing");
                assert_ne!(one.ballot, other.ballot);
                let (one, other) = (one.ballot.kind, other.ballot.kind);
                let is_notarize = |kind| matches!(kind, VoteKind::Notarize { .. });
                assert_eq!(is_notarize(one), is_notarize(other), "these may stand together");
            }
            Evidence::Proposals(one, other) => {
                assert_eq!((one.height, one.view), (other.height, other.view));
                assert_ne!(one.header.hash(), other.header.hash());
            }
        }
    }

    /// Ranges that are asked for and sent are short.
    pub fn asks(&self, core: &Core, from: Height, count: u64) {
        assert!(from >= core.height() && (1..=limits::RANGE_BLOCKS_MAX).contains(&count));
    }
}

/// The checks of a new header that time does not undo.
fn is_new(core: &Core, now_ms: u64, header: &Header, view: View) -> bool {
    let parent = core.parent();
    let latest_ms = (now_ms + core.config().drift_ms).max(parent.timestamp_ms.saturating_add(1));
    header.height == core.height()
        && (header.parent, header.parent_result) == (parent.hash, parent.result)
        && (header.proposer, header.proposed_view) == (core.leader(view), view)
        && !header.batches.is_empty()
        && (parent.timestamp_ms.saturating_add(1)..=latest_ms).contains(&header.timestamp_ms)
}

fn holds_certificate(log: &[Record], ballot: &Ballot) -> bool {
    let holds = |record: &Record| match record {
        Record::Certificate(certificate) => certificate.ballot == *ballot,
        _ => false,
    };
    log.iter().any(holds)
}
