//! Rule 5: leaving a view that comes to nothing.

use tonle_model::number::View;
use tonle_model::vote::VoteKind;

use crate::core::Core;
use crate::face::Output;
use crate::round::Timer;

impl Core {
    /// Rule 5, level-triggered: the current view for any of its reasons, earlier ones because
    /// f + 1 others nullified them and nobody showed us a certificate.
    pub(crate) fn nullify_views(&mut self, outputs: &mut Vec<Output>) -> bool {
        let mut views = self.amplified();
        if self.gives_up() {
            views.push(self.round.view);
        }
        let mut changed = false;
        for view in views {
            changed |= self.nullify(view, outputs);
        }
        changed
    }

    /// The current view's timer fired, its proposal was refused, or its leader cannot build.
    fn gives_up(&self) -> bool {
        self.round.timer == Timer::Fired || self.round.refused || self.cannot_build()
    }

    /// Views up to the current one that f + 1 others nullified, at least one of them honest, and
    /// that are not nullified yet. Notarized ones among them are for [`Core::nullify`] to refuse.
    fn amplified(&self) -> Vec<View> {
        let enough = self.config.faults() + 1;
        let slots = self.round.slots.range(..=self.round.view);
        let open = slots.filter(|(_, slot)| slot.nullification.is_none() && !slot.own.nullified);
        open.filter(|(_, slot)| self.nullifiers(&slot.nullify) >= enough)
            .map(|(view, _)| *view)
            .collect()
    }

    /// Makes the nullify vote: once per view, never for a view whose notarization we hold, since
    /// that bound us to finalize it (rule 4).
    fn nullify(&mut self, view: View, outputs: &mut Vec<Output>) -> bool {
        let slot = self.round.slot_mut(view);
        let bound = slot.notarization.is_some() || slot.own.finalized.is_some();
        if slot.own.nullified || bound || !self.can_vote() {
            return false;
        }
        self.cast(view, VoteKind::Nullify, outputs);
        true
    }
}
