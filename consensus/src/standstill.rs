//! Rule 7: with work and without news, what one has is sent again, byte for byte.

use tonle_model::number::View;
use tonle_model::vote::{Certificate, Vote};

use crate::core::Core;
use crate::face::{Message, Output, Recipients};
use crate::limits;
use crate::slot::Slot;

impl Core {
    /// What time brings at the end of every step: standstill, status, block requests.
    pub(crate) fn keep_in_touch(&mut self, outputs: &mut Vec<Output>) {
        let work = self.has_work();
        if work && !self.had_work {
            // A quiet hour is no standstill: the second counts from the first work.
            self.learned();
        }
        self.had_work = work;
        if self.standstill_deadline().is_some_and(|due_ms| due_ms <= self.now_ms) {
            self.stand_still(outputs);
        }
        if self.status_is_due() {
            self.send_status_to_all(outputs);
        }
        self.request_blocks(outputs);
    }

    pub(crate) fn standstill_deadline(&self) -> Option<u64> {
        let active = self.had_work && !self.round.committing && !self.halted;
        active.then(|| self.round.learned_ms.saturating_add(limits::STANDSTILL_MS))
    }

    fn stand_still(&mut self, outputs: &mut Vec<Output>) {
        self.learned();
        let to_all = |message| Output::Send { to: Recipients::All, message };
        let certificates = self.certificates_to_resend();
        outputs.extend(certificates.into_iter().map(|one| to_all(Message::Certificate(one))));
        outputs.extend(self.own_proposal().map(|one| to_all(Message::Proposal(one))));
        outputs.extend(self.own_votes().into_iter().map(|one| to_all(Message::Vote(one))));
        outputs.push(Output::AnnounceBatches);
        self.send_status_to_all(outputs);
        self.round.fetching.clear();
        self.pursue(outputs);
    }

    /// The highest notarization and every nullification above it; of very many, the next part.
    fn certificates_to_resend(&mut self) -> Vec<Certificate> {
        let lowest = self.round.notarized.map_or(View(0), View::next);
        let first = lowest.max(self.round.resend_from);
        let nullified = |from: View| {
            let slots = self.round.slots.range(from..);
            slots.filter_map(|(view, slot)| Some((*view, slot.nullification.clone()?)))
        };
        let mut part: Vec<_> = nullified(first).take(limits::NULLIFICATIONS_SENT_MAX).collect();
        if part.is_empty() {
            part = nullified(lowest).take(limits::NULLIFICATIONS_SENT_MAX).collect();
        }
        self.round.resend_from = match part.last() {
            Some((last, _)) if part.len() == limits::NULLIFICATIONS_SENT_MAX => last.next(),
            _ => View(0),
        };
        let notarized = self.round.notarized.and_then(|view| self.round.slot(view));
        let notarization = notarized.and_then(|slot| slot.notarization.clone());
        notarization.into_iter().chain(part.into_iter().map(|(_, one)| one)).collect()
    }

    /// Our proposal of the current view: a crash may have kept it from leaving.
    fn own_proposal(&self) -> Option<tonle_model::vote::Proposal> {
        let slot = self.round.slot(self.round.view)?;
        slot.own.proposal.as_deref().cloned()
    }

    /// Own votes of the current view, own finalize votes, and own nullify votes of views without
    /// a certificate; of very many, the latest. They are votes that were made, not made again.
    fn own_votes(&self) -> Vec<Vote> {
        let Some(me) = self.config.me else { return Vec::new() };
        let of_view = |(view, slot): (&View, &Slot)| {
            let current = *view == self.round.view;
            let notarize = slot.notarize.get(me).filter(|_| current);
            let nullify = slot.nullify.get(me).filter(|_| current || !slot.is_certified());
            [notarize, nullify, slot.finalize.get(me)].map(Option::<&Vote>::copied)
        };
        let votes = self.round.slots.iter().rev().flat_map(of_view).flatten();
        votes.take(limits::OWN_VOTES_SENT_MAX).collect()
    }
}
