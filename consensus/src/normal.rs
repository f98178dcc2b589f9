//! The normal form of a core: what a model checker compares.

use std::collections::BTreeSet;

use tonle_model::bounded::Bounded;
use tonle_model::number::{ValidatorIndex, View};
use tonle_model::vote::Certificate;

use crate::core::Core;
use crate::peers::Peers;
use crate::round::{Round, Timer};
use crate::slot::Slot;

/// The time of every core in normal form. Not 0, which says that there was no step yet.
const PRESENT_MS: u64 = 1;

impl Core {
    /// This core without what none of its votes at this height depends on, as long as the pool has
    /// work and the driver answers at once: what time it is, who was heard of, who signed a
    /// certificate, and headers that neither a certificate nor the current proposal names.
    ///
    /// Clocks go back to millisecond 1, and waits that run go back with them. Two cores of equal
    /// normal form cast the same votes on the same inputs and, from deadline to deadline, on the
    /// same passing of time; a checker that told them apart would see many times as many states.
    /// It errs on one side only: of a view with a certificate it forgets who voted, so a vote by
    /// which a signer contradicts itself there counts, where the core itself would leave it out.
    /// A node has no use for any of this.
    #[must_use]
    pub fn into_normal_form(mut self) -> Self {
        let elapsed_ms = self.now_ms.saturating_sub(PRESENT_MS);
        self.now_ms = PRESENT_MS;
        self.peers = Peers::default();
        // Only a leader's wait for the finalization ends with a vote, its proposal (rule 2).
        let view = self.round.view;
        let proposed = self.round.slot(view).is_some_and(|slot| slot.own.proposed.is_some());
        self.round.awaits_finalization &= self.is_me(self.leader(view)) && !proposed;
        self.round.normalize(elapsed_ms, self.config.me);
        self
    }
}

impl Round {
    fn normalize(&mut self, elapsed_ms: u64, me: Option<ValidatorIndex>) {
        self.entered_ms = PRESENT_MS;
        self.learned_ms = PRESENT_MS;
        if let Timer::Armed(due_ms) = &mut self.timer {
            *due_ms = due_ms.saturating_sub(elapsed_ms);
        }
        self.voted_view.clear();
        self.accused.clear();
        self.speculations = 0;
        let mut named: BTreeSet<_> = self.certified_blocks().collect();
        named.extend(self.pending.as_ref().map(|pending| pending.block));
        self.candidates.retain(|block, _| named.contains(block));
        for candidate in self.candidates.values_mut() {
            candidate.view = View(0);
        }
        self.fetching.retain(|block| !self.candidates.contains_key(block));
        for slot in self.slots.values_mut() {
            slot.normalize(me);
        }
        self.slots.retain(|_, slot| *slot != Slot::default());
        self.finalization.iter_mut().for_each(forget_signers);
    }
}

impl Slot {
    /// Votes that became a certificate have done what they could.
    fn normalize(&mut self, me: Option<ValidatorIndex>) {
        if self.notarization.is_some() {
            self.notarize.forget_others(me);
        }
        if self.nullification.is_some() {
            self.nullify.forget_others(me);
        }
        self.notarization.iter_mut().for_each(forget_signers);
        self.nullification.iter_mut().for_each(forget_signers);
        self.own.proposal = None;
    }
}

fn forget_signers(certificate: &mut Certificate) {
    certificate.signers = Bounded::default();
    certificate.signatures = Bounded::default();
}
