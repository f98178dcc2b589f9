//! Rule 2: the leader proposes, once per view.

use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::hash::BlockHash;
use tonle_model::limits::JUSTIFICATION_NULLIFICATIONS_MAX;
use tonle_model::number::View;
use tonle_model::vote::Justification;

use crate::core::Core;
use crate::face::Output;
use crate::round::{Batches, Build, Timer};
use crate::slot::certified_block;

impl Core {
    /// Rule 2, level-triggered.
    pub(crate) fn propose(&mut self, outputs: &mut Vec<Output>) -> bool {
        if !self.may_propose() {
            return false;
        }
        match self.round.notarized {
            Some(_) => self.propose_again(outputs),
            None => self.ask_to_build(outputs),
        }
    }

    /// The leader of the current view that did not propose in it and can justify a proposal. The
    /// highest notarized view is below the current one, or we would have left it.
    fn may_propose(&self) -> bool {
        let view = self.round.view;
        let proposed = self.round.slot(view).is_some_and(|slot| slot.own.proposed.is_some());
        self.can_vote()
            && self.is_me(self.leader(view))
            && !proposed
            && self.round.all_nullified(self.round.notarized, view)
    }

    /// Proposes the notarized block again: the same header, the same hash. A leader that came by
    /// the notarization first gives the finalization its time.
    fn propose_again(&mut self, outputs: &mut Vec<Output>) -> bool {
        if self.round.awaits_finalization {
            return false;
        }
        let notarization = self.round.notarized.and_then(|view| self.round.slot(view));
        let notarized = notarization.and_then(|slot| slot.notarized_block());
        let header = notarized.and_then(|block| self.candidate(block)).map(|c| c.header.clone());
        match (notarized, header) {
            (Some(block), Some(header)) => {
                self.sign_proposal(block, header, outputs);
                true
            }
            _ => false,
        }
    }

    fn ask_to_build(&mut self, outputs: &mut Vec<Output>) -> bool {
        if self.round.build != Build::Unasked || !self.pool_work {
            return false;
        }
        self.round.build = Build::Asked;
        outputs.push(Output::Build { view: self.round.view, template: self.template() });
        true
    }

    /// A new header without batches.
    fn template(&self) -> Header {
        let after_parent = self.parent.timestamp_ms.saturating_add(1);
        Header {
            chain: self.chain,
            height: self.round.height,
            parent: self.parent.hash,
            parent_result: self.parent.result,
            timestamp_ms: after_parent.max(self.now_ms),
            proposer: self.leader(self.round.view),
            proposed_view: self.round.view,
            batches: Bounded::default(),
        }
    }

    /// The driver filled the template. Whatever happened meanwhile may have made it useless.
    pub(crate) fn on_built(&mut self, header: Header, outputs: &mut Vec<Output>) {
        let expected = Header { timestamp_ms: header.timestamp_ms, ..self.template() };
        let ours = Header { batches: Bounded::default(), ..header.clone() } == expected
            && header.timestamp_ms > self.parent.timestamp_ms
            && !header.batches.is_empty();
        let wanted = self.round.build == Build::Asked && self.round.notarized.is_none();
        if !ours || !wanted || !self.may_propose() {
            return;
        }
        let block = header.hash();
        let view = self.round.view;
        // The driver built it from batches that it holds and checked.
        self.round.hold(block, header.clone(), view).batches = Batches::Held;
        self.sign_proposal(block, header, outputs);
    }

    /// There was nothing to build from; more work makes us ask again.
    pub(crate) fn on_nothing_to_build(&mut self, view: View) {
        if view == self.round.view && self.round.build == Build::Asked {
            self.round.build = Build::Empty;
        }
    }

    pub(crate) fn on_work(&mut self, work: bool) {
        self.pool_work = work;
        if work && self.round.build == Build::Empty {
            self.round.build = Build::Unasked;
        }
    }

    /// Rule 5: a leader whose timer runs and who has nothing to propose lets the others go on.
    pub(crate) fn cannot_build(&self) -> bool {
        let lacks_batches = match self.round.build {
            Build::Unasked => !self.pool_work,
            Build::Asked => false,
            Build::Empty => true,
        };
        // Work that was there when the timer was armed may be gone: then there is nobody to let on.
        matches!(self.round.timer, Timer::Armed(_))
            && self.has_work()
            && self.round.notarized.is_none()
            && lacks_batches
            && self.may_propose()
    }

    /// Makes the proposal: header, then justification are durable before it leaves.
    fn sign_proposal(&mut self, block: BlockHash, header: Header, outputs: &mut Vec<Output>) {
        let view = self.round.view;
        let height = self.round.height;
        let justification = self.justification();
        self.log_header(block, outputs);
        self.round.slot_mut(view).own.proposed = Some(block);
        outputs.push(Output::SignProposal { height, view, header, justification });
    }

    /// The highest notarization and the nullifications since. Those that do not fit are the
    /// oldest; everyone gets them by standstill.
    fn justification(&self) -> Justification {
        let notarized = self.round.notarized.and_then(|view| self.round.slot(view));
        let notarization = notarized.and_then(|slot| slot.notarization.clone());
        debug_assert!(notarization.iter().all(|one| certified_block(one).is_some()));
        let first = self.round.notarized.map_or(View(0), View::next);
        let slots = self.round.slots.range(first..self.round.view);
        let held = slots.rev().filter_map(|(_, slot)| slot.nullification.clone());
        let mut nullifications: Vec<_> = held.take(JUSTIFICATION_NULLIFICATIONS_MAX).collect();
        nullifications.reverse();
        let nullifications = Bounded::new(nullifications).unwrap_or_default();
        Justification { notarization, nullifications }
    }
}
