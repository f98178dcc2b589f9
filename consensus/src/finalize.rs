//! Rules 4 and 6: finalize votes, what a certified block needs, and the commit.

use tonle_model::block::Header;
use tonle_model::hash::{BlockHash, ResultHash};
use tonle_model::number::{ValidatorIndex, View};
use tonle_model::planted::{Bug, is_planted};
use tonle_model::vote::{Certificate, VoteKind};

use crate::core::Core;
use crate::face::{Alarm, Config, Output, Parent};
use crate::round::{Batches, Execution, Round};
use crate::slot::certified_block;

impl Core {
    /// Sees to it that every block named by a certificate gets its header, then its batches, then
    /// its execution.
    pub(crate) fn pursue(&mut self, outputs: &mut Vec<Output>) -> bool {
        let blocks: Vec<BlockHash> = self.round.certified_blocks().collect();
        let mut changed = false;
        for block in blocks {
            changed |= self.pursue_block(block, outputs);
        }
        changed
    }

    fn pursue_block(&mut self, block: BlockHash, outputs: &mut Vec<Output>) -> bool {
        if self.candidate(block).is_none() {
            if !self.round.fetching.insert(block) {
                return false;
            }
            let holders = self.holders(block);
            outputs.push(Output::FetchHeader { block, holders });
            return true;
        }
        self.log_header(block, outputs);
        let height = self.round.height;
        let Some(candidate) = self.round.candidates.get_mut(&block) else { return false };
        match (candidate.batches, candidate.execution) {
            (Batches::Unasked, _) => self.check(block, outputs),
            (Batches::Unusable, _) if !candidate.alarmed => {
                candidate.alarmed = true;
                outputs.push(Output::Alarm(Alarm::Unusable { height, block }));
                true
            }
            (Batches::Held, Execution::Unasked) => {
                candidate.execution = Execution::Asked;
                outputs.push(Output::Execute { header: candidate.header.clone() });
                true
            }
            _ => false,
        }
    }

    /// Rule 4, level-triggered: for every notarized view, as soon as the block is executed, even
    /// if we have left the view.
    ///
    /// A finalization says what a notarization says, and does not spare us the vote: a liar may
    /// have given its own to us alone, and then the others are short of ours (decision 0020).
    pub(crate) fn finalize_views(&mut self, outputs: &mut Vec<Output>) -> bool {
        let notarized = self.round.slots.values().filter_map(|slot| slot.notarization.as_ref());
        let certified = notarized.chain(&self.round.finalization);
        let ready = certified.filter_map(|certificate| {
            let block = certified_block(certificate)?;
            match self.candidate(block)?.execution {
                Execution::Done(result) => Some((certificate.ballot.view, block, result)),
                _ => None,
            }
        });
        let ready: Vec<_> = ready.collect();
        let mut changed = false;
        for (view, block, result) in ready {
            changed |= self.finalize(view, block, result, outputs);
        }
        changed
    }

    /// Makes the finalize vote: once per view, never after an own nullify vote for it, never
    /// beside a finalization that says something else.
    ///
    /// To hold the notarization of a view without having nullified it *is* the decision of rule
    /// 4: from then on [`Core::nullify`] refuses the view, so the vote may wait for execution.
    fn finalize(
        &mut self,
        view: View,
        block: BlockHash,
        result: ResultHash,
        outputs: &mut Vec<Output>,
    ) -> bool {
        let kind = VoteKind::Finalize { block, result };
        let agrees = self.round.finalization.iter().all(|decided| decided.ballot.kind == kind);
        let own = &self.round.slot_mut(view).own;
        let nullified = own.nullified && !is_planted(Bug::FinalizeAfterNullify);
        let has_said = own.finalized.is_some();
        if !self.is_voting() || !agrees || nullified || has_said {
            return false;
        }
        self.cast(view, kind, outputs);
        true
    }

    /// Rule 6: a finalization commits its block, if our own execution says the same.
    pub(crate) fn decide(&mut self, outputs: &mut Vec<Output>) -> bool {
        let Some(finalization) = &self.round.finalization else { return false };
        let VoteKind::Finalize { block, result: certified } = finalization.ballot.kind else {
            return false;
        };
        let Some(candidate) = self.round.candidates.get(&block) else { return false };
        let Execution::Done(own) = candidate.execution else { return false };
        if own == certified {
            let (header, finalization) = (candidate.header.clone(), finalization.clone());
            self.round.committing = true;
            outputs.push(Output::Commit { header, finalization });
        } else {
            let height = self.round.height;
            self.halted = true;
            outputs.push(Output::Alarm(Alarm::Divergence { height, block, own, certified }));
        }
        true
    }

    /// The answer to a fetched header; only what a certificate names is taken.
    pub(crate) fn on_header(&mut self, header: Header) {
        let block = header.hash();
        let is_wanted = header.height == self.round.height && self.round.is_certified(block);
        if is_wanted && !self.round.committing {
            let view = header.proposed_view.min(self.round.view);
            self.round.hold(block, header, view);
            self.learned();
        }
    }

    pub(crate) fn on_batches(&mut self, block: BlockHash, usable: bool) {
        if let Some(candidate) = self.round.candidates.get_mut(&block)
            && candidate.batches == Batches::Asked
        {
            candidate.batches = if usable { Batches::Held } else { Batches::Unusable };
            self.learned();
        }
    }

    pub(crate) fn on_executed(&mut self, block: BlockHash, result: ResultHash) {
        if let Some(candidate) = self.round.candidates.get_mut(&block)
            && candidate.execution == Execution::Asked
        {
            candidate.execution = Execution::Done(result);
            self.learned();
        }
    }

    /// A finalized block from block sync, batches and all.
    pub(crate) fn on_synced(
        &mut self,
        header: Header,
        finalization: Certificate,
        outputs: &mut Vec<Output>,
    ) {
        let block = header.hash();
        let fits = header.height == self.round.height
            && finalization.ballot.height == self.round.height
            && matches!(finalization.ballot.kind, VoteKind::Finalize { .. })
            && certified_block(&finalization) == Some(block);
        if !fits || self.round.committing || self.halted {
            return;
        }
        self.install(finalization, true, outputs);
        let view = self.round.view;
        self.round.hold(block, header, view).batches = Batches::Held;
    }

    /// The commit is in the state: the next height begins, with the votes that came early.
    pub(crate) fn on_advance(&mut self, config: Config, outputs: &mut Vec<Output>) {
        let Some(parent) = self.committed().filter(|_| self.round.committing) else { return };
        // A new set gives the signers' numbers another meaning.
        let same_set = config.validators == self.config.validators;
        self.parent = parent;
        self.config = config;
        let next = Round::new(parent.height.next(), self.now_ms);
        let mut past = std::mem::replace(&mut self.round, next);
        past.candidates.clear();
        self.past = same_set.then_some(past);
        let reached = self.peers.committed(parent.height, &self.config.validators, self.now_ms);
        // They went on meanwhile; without a word a node that catches up would stand still here.
        reached.into_iter().for_each(|peer| self.send_status(peer, outputs));
        if !same_set {
            self.early.clear();
        }
        let later = (self.round.height.next(), ValidatorIndex(0), View(0), 0);
        let later = self.early.split_off(&later);
        for vote in std::mem::replace(&mut self.early, later).into_values() {
            self.accept_vote(vote, outputs);
        }
    }

    /// The block of the finalization, as the next height's parent.
    fn committed(&self) -> Option<Parent> {
        let finalization = self.round.finalization.as_ref()?;
        let VoteKind::Finalize { block, result } = finalization.ballot.kind else { return None };
        let header = &self.candidate(block)?.header;
        let timestamp_ms = header.timestamp_ms;
        Some(Parent { height: header.height, hash: block, result, timestamp_ms })
    }
}
