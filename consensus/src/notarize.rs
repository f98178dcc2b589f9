//! Rule 3: what a validator asks of a proposal before it notarizes.

use std::collections::BTreeSet;

use tonle_model::block::Header;
use tonle_model::hash::BlockHash;
use tonle_model::number::View;
use tonle_model::planted::{Bug, is_planted};
use tonle_model::vote::{Ballot, Certificate, Justification, Proposal, VoteKind};

use crate::core::Core;
use crate::face::{Evidence, Output, Record};
use crate::limits;
use crate::round::{Batches, Execution, Pending};

/// What is to be thought of a proposal, batches aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Verdict {
    /// Every check of rule 3 passes.
    Accepted,
    /// A certificate or time is missing; look again later.
    Later,
    /// The leader broke a rule.
    Invalid,
}

impl Core {
    /// A proposal of this height. Its certificates are worth having whatever becomes of it; they
    /// also bring us to its view.
    pub(crate) fn on_proposal(&mut self, proposal: Proposal, outputs: &mut Vec<Output>) {
        if proposal.height != self.round.height || self.round.finalization.is_some() {
            return;
        }
        let block = proposal.header.hash();
        if self.is_me(self.leader(proposal.view)) && !self.take_own_proposal(&proposal, block) {
            self.found_unknown_proposal(proposal.view, outputs);
            return;
        }
        let (notarization, nullifications) = certificates(&proposal.justification);
        for certificate in notarization.into_iter().chain(nullifications) {
            self.on_certificate(certificate.clone(), outputs);
        }
        if proposal.header.height == proposal.height && self.round.is_certified(block) {
            self.round.hold(block, proposal.header.clone(), proposal.view);
        }
        if proposal.view == self.round.view {
            self.consider(proposal, block, outputs);
        }
    }

    /// Keeps the first proposal of the current view; a second with another header proves the
    /// leader faulty (rule 5).
    fn consider(&mut self, proposal: Proposal, block: BlockHash, outputs: &mut Vec<Output>) {
        match &self.round.pending {
            None => {
                self.learned();
                self.round.pending = Some(Pending { proposal, block, accepted: false });
            }
            Some(pending) if pending.block != block => {
                let (first, second) = (bare(&pending.proposal), bare(&proposal));
                self.round.refused = true;
                let evidence = Evidence::Proposals(Box::new(first), Box::new(second));
                self.accuse(self.leader(proposal.view), evidence, outputs);
            }
            Some(_) => {}
        }
    }

    /// Our own proposal comes back durable. False if we never made it.
    fn take_own_proposal(&mut self, proposal: &Proposal, block: BlockHash) -> bool {
        let forgiven = self.voter.is_forgiven(proposal.height);
        let own = &mut self.round.slot_mut(proposal.view).own;
        if own.proposed != Some(block) {
            return forgiven;
        }
        if own.proposal.is_none() {
            own.proposal = Some(Box::new(proposal.clone()));
        }
        true
    }

    /// Judges the pending proposal, and asks for its batches once it is accepted.
    pub(crate) fn judge_pending(&mut self, outputs: &mut Vec<Output>) -> bool {
        let Some(pending) = &self.round.pending else { return false };
        if pending.accepted || self.round.refused || self.round.finalization.is_some() {
            return false;
        }
        match self.judge(&pending.proposal, pending.block) {
            Verdict::Later => return false,
            Verdict::Invalid => {
                self.round.refused = true;
                return true;
            }
            Verdict::Accepted => {}
        }
        let (block, header) = (pending.block, pending.proposal.header.clone());
        let view = pending.proposal.view;
        if let Some(pending) = &mut self.round.pending {
            pending.accepted = true;
        }
        self.round.hold(block, header, view);
        self.check(block, outputs);
        true
    }

    /// Asks the driver for the batches of a header, once.
    pub(crate) fn check(&mut self, block: BlockHash, outputs: &mut Vec<Output>) -> bool {
        match self.round.candidates.get_mut(&block) {
            Some(candidate) if candidate.batches == Batches::Unasked => {
                candidate.batches = Batches::Asked;
                outputs.push(Output::Check { header: candidate.header.clone() });
                true
            }
            _ => false,
        }
    }

    fn judge(&self, proposal: &Proposal, block: BlockHash) -> Verdict {
        let (notarization, nullifications) = certificates(&proposal.justification);
        let kinds_hold = nullifications.iter().all(|one| one.ballot.kind == VoteKind::Nullify);
        let heights_hold = notarization
            .into_iter()
            .chain(nullifications)
            .all(|one| one.ballot.height == proposal.height);
        if !kinds_hold || !heights_hold || proposal.header.height != proposal.height {
            return Verdict::Invalid;
        }
        let justified = match notarization.map(|one| one.ballot) {
            None => None,
            Some(Ballot { view, kind: VoteKind::Notarize { block }, .. })
                if view < proposal.view =>
            {
                Some((view, block))
            }
            Some(_) => return Verdict::Invalid,
        };
        // The gap check. Nullifications that we hold already count: they were verified, and a
        // justification has room for so many only.
        let unbroken = self.round.all_nullified(justified.map(|(view, _)| view), proposal.view);
        if !unbroken && !is_planted(Bug::SkipGapCheck) {
            return Verdict::Later;
        }
        match justified {
            Some((_, notarized)) if notarized == block => Verdict::Accepted,
            Some(_) => Verdict::Invalid,
            None => self.judge_new(&proposal.header, proposal.view),
        }
    }

    /// The checks of a new header that need no batch.
    fn judge_new(&self, header: &Header, view: View) -> Verdict {
        let follows = header.chain == self.chain
            && header.height == self.round.height
            && header.parent == self.parent.hash
            && header.parent_result == self.parent.result;
        let by_leader = header.proposed_view == view && header.proposer == self.leader(view);
        let digests: BTreeSet<_> = header.batches.iter().map(|batch| batch.digest).collect();
        let batches_hold = !digests.is_empty() && digests.len() == header.batches.len();
        let after_parent = self.parent.timestamp_ms.saturating_add(1);
        let earliest = after_parent.max(self.now_ms.saturating_sub(self.config.drift_ms));
        if !follows || !by_leader || !batches_hold || header.timestamp_ms < earliest {
            Verdict::Invalid
        } else if self.is_ahead(header.timestamp_ms) {
            // Looked at again when our clock has come that far, not rejected.
            Verdict::Later
        } else {
            Verdict::Accepted
        }
    }

    /// Whether a block time is too far ahead of our clock.
    fn is_ahead(&self, timestamp_ms: u64) -> bool {
        let after_parent = self.parent.timestamp_ms.saturating_add(1);
        timestamp_ms > after_parent.max(self.now_ms.saturating_add(self.config.drift_ms))
    }

    /// When a proposal whose leader's clock is ahead can be looked at again.
    pub(crate) fn drift_deadline(&self) -> Option<u64> {
        let pending = self.round.pending.as_ref().filter(|pending| !pending.accepted)?;
        let timestamp_ms = pending.proposal.header.timestamp_ms;
        self.is_ahead(timestamp_ms).then(|| timestamp_ms.saturating_sub(self.config.drift_ms))
    }

    /// Rule 3, level-triggered: votes for the pending proposal as soon as everything holds.
    pub(crate) fn notarize_pending(&mut self, outputs: &mut Vec<Output>) -> bool {
        let Some(pending) = self.round.pending.as_ref().filter(|pending| pending.accepted) else {
            return false;
        };
        let (view, block) = (pending.proposal.view, pending.block);
        let Some(candidate) = self.candidate(block) else { return false };
        match candidate.batches {
            Batches::Held => self.notarize(view, block, outputs),
            // Who notarized it before answers for it; a new one is the leader's fault (rule 5).
            Batches::Unusable if !self.round.refused && !self.round.is_certified(block) => {
                self.round.refused = true;
                true
            }
            _ => false,
        }
    }

    /// Makes the notarize vote: once per view, only in the current one. An own nullify vote for
    /// the view is no obstacle.
    fn notarize(&mut self, view: View, block: BlockHash, outputs: &mut Vec<Output>) -> bool {
        let decided = self.round.slot(view).is_some_and(|slot| slot.own.notarized.is_some());
        if !self.can_vote() || decided || view != self.round.view {
            return false;
        }
        self.log_header(block, outputs);
        self.cast(view, VoteKind::Notarize { block }, outputs);
        self.speculate(block, outputs);
        true
    }

    /// Executes while the notarize votes travel; only a few blocks per height get that credit.
    fn speculate(&mut self, block: BlockHash, outputs: &mut Vec<Output>) {
        if self.round.speculations >= limits::SPECULATIONS_MAX {
            return;
        }
        if let Some(candidate) = self.round.candidates.get_mut(&block)
            && candidate.execution == Execution::Unasked
        {
            candidate.execution = Execution::Asked;
            self.round.speculations += 1;
            outputs.push(Output::Execute { header: candidate.header.clone() });
        }
    }

    /// Puts a held header into the log, once.
    pub(crate) fn log_header(&mut self, block: BlockHash, outputs: &mut Vec<Output>) {
        if let Some(candidate) = self.round.candidates.get_mut(&block)
            && !candidate.logged
        {
            candidate.logged = true;
            outputs.push(Output::Persist(Record::Header(candidate.header.clone())));
        }
    }
}

/// The certificates of a justification.
fn certificates(justification: &Justification) -> (Option<&Certificate>, &[Certificate]) {
    (justification.notarization.as_ref(), &justification.nullifications)
}

/// A proposal without its justification: enough to prove a contradiction.
fn bare(proposal: &Proposal) -> Proposal {
    Proposal {
        height: proposal.height,
        view: proposal.view,
        header: proposal.header.clone(),
        justification: Justification::default(),
        signature: proposal.signature,
    }
}
