//! Rule 1: votes become certificates, certificates move the view.

use tonle_model::hash::BlockHash;
use tonle_model::number::{Height, ValidatorIndex};
use tonle_model::vote::{Ballot, Certificate, Vote, VoteKind};

use crate::core::Core;
use crate::face::{Alarm, Evidence, Output, Record};
use crate::limits;
use crate::slot::{Inserted, Tally};

impl Core {
    /// A vote of anyone: for this height, or held for one of the next. Late votes are never
    /// answered.
    pub(crate) fn on_vote(&mut self, vote: Vote, outputs: &mut Vec<Output>) {
        let height = vote.ballot.height;
        if vote.signer.position() >= self.config.validators.len() {
            return;
        }
        if self.is_me(vote.signer) && !self.knows_own(&vote.ballot) {
            self.found_unknown_vote(vote.ballot, outputs);
            return;
        }
        self.peers.saw_vote(self.config.validators.get(vote.signer.position()), vote);
        match height.0.checked_sub(self.round.height.0) {
            Some(0) => self.accept_vote(vote, outputs),
            Some(1..=limits::EARLY_HEIGHTS) => self.hold_early(vote),
            _ => {}
        }
    }

    /// A height starts at its own time: votes for the next ones wait, one per signer, view and
    /// kind of a few views. More come again by standstill.
    fn hold_early(&mut self, vote: Vote) {
        if vote.ballot.view.0 >= limits::EARLY_VIEWS {
            return;
        }
        let kind = match vote.ballot.kind {
            VoteKind::Notarize { .. } => 0,
            VoteKind::Nullify => 1,
            VoteKind::Finalize { .. } => 2,
        };
        let Ballot { height, view, .. } = vote.ballot;
        self.early.entry((height, vote.signer, view, kind)).or_insert(vote);
    }

    /// Counts a vote of this height; with the q-th, there is a certificate.
    pub(crate) fn accept_vote(&mut self, vote: Vote, outputs: &mut Vec<Output>) {
        let Ballot { view, kind, .. } = vote.ballot;
        let voted = self.round.voted_view.entry(vote.signer).or_default();
        *voted = (*voted).max(view);
        // A peer's view number must not grow our maps: only a window of views is kept.
        let current = self.round.view.0;
        let in_window = view.0 <= current.saturating_add(limits::VIEWS_AHEAD)
            && view.0 >= current.saturating_sub(limits::VIEWS_BEHIND);
        if self.round.finalization.is_some() || !(in_window || self.is_me(vote.signer)) {
            return;
        }
        match self.round.slot_mut(view).insert(vote) {
            Inserted::Known => return,
            Inserted::Contradicts(earlier) => {
                self.accuse(vote.signer, Evidence::Votes(earlier, vote), outputs);
                return;
            }
            // What we say ourselves is no news (rule 7).
            Inserted::New if !self.is_me(vote.signer) => self.learned(),
            Inserted::New => {}
        }
        if let VoteKind::Finalize { .. } = kind {
            self.watch_split(vote.ballot, outputs);
        }
        if let Some(certificate) = self.assemble(vote.ballot) {
            self.install(certificate, true, outputs);
        }
    }

    /// The certificate of a ballot, if exactly now a quorum of votes is there.
    fn assemble(&self, ballot: Ballot) -> Option<Certificate> {
        let tally = self.round.slot(ballot.view)?.tally(ballot.kind);
        let votes = tally.of_kind(ballot.kind).map(|vote| (vote.signer, vote.signature));
        let votes: Vec<_> = votes.take(self.config.quorum()).collect();
        let complete = votes.len() == self.config.quorum();
        complete.then(|| Certificate::assemble(ballot, &votes, self.config.validators.len()))
    }

    /// A certificate that somebody sent.
    pub(crate) fn on_certificate(&mut self, certificate: Certificate, outputs: &mut Vec<Output>) {
        if certificate.ballot.height != self.round.height {
            return;
        }
        // A finalized height is decided: what we voted there can do no more harm.
        let decides = matches!(certificate.ballot.kind, VoteKind::Finalize { .. });
        let names_me = certificate.signers().any(|signer| self.is_me(signer));
        if !decides && names_me && !self.knows_own(&certificate.ballot) {
            self.found_unknown_vote(certificate.ballot, outputs);
        }
        self.install(certificate, true, outputs);
    }

    /// Holds a certificate of this height and moves on it. It is durable before anything that
    /// follows from it (`persist` is false for what comes from the log).
    pub(crate) fn install(
        &mut self,
        certificate: Certificate,
        persist: bool,
        outputs: &mut Vec<Output>,
    ) {
        let Ballot { view, kind, .. } = certificate.ballot;
        let held = match kind {
            VoteKind::Notarize { .. } => &mut self.round.slot_mut(view).notarization,
            VoteKind::Nullify => &mut self.round.slot_mut(view).nullification,
            VoteKind::Finalize { .. } => &mut self.round.finalization,
        };
        if held.is_some() {
            return;
        }
        if persist {
            outputs.push(Output::Persist(Record::Certificate(certificate.clone())));
        }
        *held = Some(certificate);
        self.learned();
        let by_notarization = matches!(kind, VoteKind::Notarize { .. });
        if by_notarization {
            self.round.notarized = self.round.notarized.max(Some(view));
        }
        let moves = !matches!(kind, VoteKind::Finalize { .. });
        if moves && view >= self.round.view {
            self.round.enter(view.next(), by_notarization, self.now_ms);
            self.round.forget_old_votes(self.config.me);
        }
    }

    /// Rule 6: if validators signed results so different that none can reach q, nothing will ever
    /// be final in this view, and somebody must know.
    fn watch_split(&mut self, ballot: Ballot, outputs: &mut Vec<Output>) {
        let (validators, quorum) = (self.config.validators.len(), self.config.quorum());
        let height: Height = self.round.height;
        let slot = self.round.slot_mut(ballot.view);
        let (voted, best) = slot.finalize.split();
        let reachable = best + validators.saturating_sub(voted) >= quorum;
        if !reachable && !slot.split_alarmed {
            slot.split_alarmed = true;
            outputs.push(Output::Alarm(Alarm::Split { height, view: ballot.view }));
        }
    }

    /// Reports a contradiction, once per signer and height.
    pub(crate) fn accuse(
        &mut self,
        signer: ValidatorIndex,
        evidence: Evidence,
        outputs: &mut Vec<Output>,
    ) {
        if self.round.accused.insert(signer) {
            outputs.push(Output::Evidence(evidence));
        }
    }

    /// Others who voted to leave a view.
    pub(crate) fn nullifiers(&self, tally: &Tally) -> usize {
        tally.others(self.config.me)
    }

    /// The signers of the certificate that names this block.
    pub(crate) fn holders(&self, block: BlockHash) -> Vec<crate::face::PeerId> {
        let notarizations = self.round.slots.values().filter_map(|slot| slot.notarization.as_ref());
        let certificates = self.round.finalization.iter().chain(notarizations);
        let certificate =
            certificates.into_iter().find(|one| crate::slot::certified_block(one) == Some(block));
        let signers = certificate.into_iter().flat_map(Certificate::signers);
        let others = signers.filter(|signer| !self.is_me(*signer));
        others.filter_map(|s| self.config.validators.get(s.position()).copied()).collect()
    }
}
