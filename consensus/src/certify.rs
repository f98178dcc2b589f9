//! Rule 1: votes become certificates, certificates move the view.

use tonle_model::hash::BlockHash;
use tonle_model::number::{Height, ValidatorIndex};
use tonle_model::planted::{Bug, is_planted};
use tonle_model::vote::{Ballot, Certificate, Vote, VoteKind};

use crate::core::Core;
use crate::face::{Alarm, Evidence, Message, Output, Recipients, Record};
use crate::idle::patience_ms;
use crate::limits;
use crate::round::Taken;
use crate::slot::{Tally, votes_in};

impl Core {
    /// A vote of anyone: for this height, or held for one of the next. Late votes are never
    /// answered; those of the height before may still prove something.
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
            Some(_) => {}
            None => self.on_late_vote(vote, outputs),
        }
    }

    /// A height starts at its own time: votes for the next ones wait, one per signer, view and
    /// kind of a few views, and a second one that contradicts it: it is evidence when its height
    /// begins. More come again by standstill.
    fn hold_early(&mut self, vote: Vote) {
        if vote.ballot.view.0 >= limits::EARLY_VIEWS {
            return;
        }
        let kind = match vote.ballot.kind {
            VoteKind::Notarize { .. } => 0,
            VoteKind::Nullify => 2,
            VoteKind::Finalize { .. } => 4,
        };
        let Ballot { height, view, .. } = vote.ballot;
        let first = *self.early.entry((height, vote.signer, view, kind)).or_insert(vote);
        if first.ballot != vote.ballot {
            self.early.entry((height, vote.signer, view, kind + 1)).or_insert(vote);
        }
    }

    /// A vote for the height decided last changes nothing there. Whoever contradicts itself with
    /// it is reported all the same.
    fn on_late_vote(&mut self, vote: Vote, outputs: &mut Vec<Output>) {
        let Some(past) = self.past.as_mut().filter(|past| past.height == vote.ballot.height) else {
            return;
        };
        if let Taken::Contradicts(earlier) = past.take_vote(vote, self.config.me)
            && past.accused.insert(vote.signer)
        {
            outputs.push(Output::Evidence(Evidence::Votes(earlier, vote)));
        }
    }

    /// Counts a vote of this height; with the q-th, there is a certificate.
    pub(crate) fn accept_vote(&mut self, vote: Vote, outputs: &mut Vec<Output>) {
        let Ballot { view, kind, .. } = vote.ballot;
        let voted = self.round.voted_view.entry(vote.signer).or_default();
        *voted = (*voted).max(view);
        match self.round.take_vote(vote, self.config.me) {
            Taken::Contradicts(earlier) => {
                self.accuse(vote.signer, Evidence::Votes(earlier, vote), outputs);
                return;
            }
            // Votes of a decided height are held for nothing but what they may contradict.
            Taken::New if self.is_decided() => return,
            // What we say ourselves is no news (rule 7).
            Taken::New if !self.is_me(vote.signer) => self.learned(),
            Taken::New => {}
            Taken::Passed => return,
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
        let needed = self.config.quorum() - usize::from(is_planted(Bug::CountSignerTwice));
        let votes: Vec<_> = votes.take(needed).collect();
        let complete = votes.len() == needed;
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
        self.compare(&certificate, outputs);
        let Ballot { view, kind, .. } = certificate.ballot;
        let held = match kind {
            VoteKind::Notarize { .. } => &mut self.round.slot_mut(view).notarization,
            VoteKind::Nullify => &mut self.round.slot_mut(view).nullification,
            VoteKind::Finalize { .. } => &mut self.round.finalization,
        };
        if held.is_some() {
            return;
        }
        for vote in votes_in(&certificate) {
            self.peers.saw_vote(self.config.validators.get(vote.signer.position()), vote);
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

    /// Until when whoever came to its view by a notarization waits for the finalization: longer in
    /// every view, or slow execution would make views pass for nothing (rule 2).
    pub(crate) fn finalization_deadline(&self) -> Option<u64> {
        let waits = self.round.awaits_finalization && !self.is_decided();
        let wait_ms = patience_ms(self.config.delta_ms, self.round.view);
        waits.then(|| self.round.entered_ms.saturating_add(wait_ms))
    }

    /// Rule 1, level-triggered: without a finalization in that time, others may lack the
    /// notarization, for whoever failed may have voted to us alone. Mostly they can still finalize
    /// when they get it: their timer of its view is three times Δ (decision 0021).
    pub(crate) fn pass_on_notarization(&mut self, outputs: &mut Vec<Output>) -> bool {
        if self.finalization_deadline().is_none_or(|at_ms| at_ms > self.now_ms) {
            return false;
        }
        self.round.awaits_finalization = false;
        let notarized = self.round.notarized.and_then(|view| self.round.slot(view));
        let notarization = notarized.and_then(|slot| slot.notarization.clone());
        let message = notarization.map(Message::Certificate);
        outputs.extend(message.map(|message| Output::Send { to: Recipients::All, message }));
        true
    }

    /// Compares what a certificate's signers say in it with what else they said.
    fn compare(&mut self, certificate: &Certificate, outputs: &mut Vec<Output>) {
        for vote in votes_in(certificate) {
            if let Some(earlier) = self.round.contradicted(&vote) {
                self.accuse(vote.signer, Evidence::Votes(earlier, vote), outputs);
            }
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
