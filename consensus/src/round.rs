//! Everything that is known of the height being decided; a commit replaces it as a whole.

use std::collections::{BTreeMap, BTreeSet};

use tonle_model::block::Header;
use tonle_model::hash::{BlockHash, ResultHash};
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::vote::{Ballot, Certificate, Proposal, Vote};

use crate::limits;
use crate::slot::{Slot, contradict, votes_in};

/// Where the batches of a header are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Batches {
    Unasked,
    Asked,
    Held,
    Unusable,
}

/// Where the execution of a block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Execution {
    Unasked,
    Asked,
    Done(ResultHash),
}

/// A header that may become the block of this height.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Candidate {
    pub(crate) header: Header,
    /// It is in the log, or in the write that leads there.
    pub(crate) logged: bool,
    pub(crate) batches: Batches,
    pub(crate) execution: Execution,
    /// The view that it was last proposed in.
    pub(crate) view: View,
    /// That a quorum notarized what this node finds unusable was reported.
    pub(crate) alarmed: bool,
}

/// The timer of the current view (consensus.md, Idle).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Timer {
    /// There was no work yet.
    Disarmed,
    /// There was work; it fires then.
    Armed(u64),
    /// It fired with work.
    Fired,
}

/// How far the leader's new block is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Build {
    Unasked,
    Asked,
    /// The driver had nothing to put in.
    Empty,
}

/// The first proposal of the current view.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Pending {
    pub(crate) proposal: Proposal,
    pub(crate) block: BlockHash,
    /// All of rule 3 but the batches holds; time does not undo it.
    pub(crate) accepted: bool,
}

/// What became of a vote.
pub(crate) enum Taken {
    /// It is the signer's first of its kind in its view.
    New,
    /// It is known, or far from the view we are in.
    Passed,
    /// The signer said this, beside which no honest validator says the other.
    Contradicts(Vote),
}

/// The state of one height.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Round {
    pub(crate) height: Height,
    pub(crate) view: View,
    pub(crate) entered_ms: u64,
    /// Came to this view by the notarization of the one before, and waits for the finalization.
    pub(crate) awaits_finalization: bool,
    pub(crate) slots: BTreeMap<View, Slot>,
    /// The highest notarized view.
    pub(crate) notarized: Option<View>,
    pub(crate) candidates: BTreeMap<BlockHash, Candidate>,
    /// Headers asked for since the last standstill.
    pub(crate) fetching: BTreeSet<BlockHash>,
    pub(crate) pending: Option<Pending>,
    /// The leader's proposal is invalid, or there are two of them (rule 5).
    pub(crate) refused: bool,
    pub(crate) timer: Timer,
    pub(crate) build: Build,
    pub(crate) finalization: Option<Certificate>,
    /// The commit was handed out.
    pub(crate) committing: bool,
    /// The latest view that each signer voted in, whether or not the vote was kept.
    pub(crate) voted_view: BTreeMap<ValidatorIndex, View>,
    /// Signers whose contradiction was reported.
    pub(crate) accused: BTreeSet<ValidatorIndex>,
    /// When something new was last learned (rule 7).
    pub(crate) learned_ms: u64,
    /// Blocks executed before they were notarized.
    pub(crate) speculations: usize,
    /// Where the next standstill goes on with nullifications.
    pub(crate) resend_from: View,
}

impl Round {
    pub(crate) fn new(height: Height, now_ms: u64) -> Self {
        Self {
            height,
            view: View(0),
            entered_ms: now_ms,
            awaits_finalization: false,
            slots: BTreeMap::new(),
            notarized: None,
            candidates: BTreeMap::new(),
            fetching: BTreeSet::new(),
            pending: None,
            refused: false,
            timer: Timer::Disarmed,
            build: Build::Unasked,
            finalization: None,
            committing: false,
            voted_view: BTreeMap::new(),
            accused: BTreeSet::new(),
            learned_ms: now_ms,
            speculations: 0,
            resend_from: View(0),
        }
    }

    /// Starts the clock of a round that came from the log: waits begin with the first step.
    pub(crate) fn start(&mut self, now_ms: u64) {
        self.entered_ms = now_ms;
        self.learned_ms = now_ms;
    }

    /// What is known of a view.
    pub(crate) fn slot(&self, view: View) -> Option<&Slot> {
        self.slots.get(&view)
    }

    /// What is known of a view, to be added to.
    pub(crate) fn slot_mut(&mut self, view: View) -> &mut Slot {
        self.slots.entry(view).or_default()
    }

    /// Enters a view (rule 1). Timers and proposals belong to the view that is left.
    pub(crate) fn enter(&mut self, view: View, by_notarization: bool, now_ms: u64) {
        self.view = view;
        self.entered_ms = now_ms;
        self.awaits_finalization = by_notarization;
        self.pending = None;
        self.refused = false;
        self.timer = Timer::Disarmed;
        self.build = Build::Unasked;
    }

    /// Holds a vote, unless it contradicts another one: nobody counts on both sides.
    pub(crate) fn take_vote(&mut self, vote: Vote, me: Option<ValidatorIndex>) -> Taken {
        if let Some(earlier) = self.contradicted(&vote) {
            return Taken::Contradicts(earlier);
        }
        let Ballot { view, .. } = vote.ballot;
        // A peer's view number must not grow our maps: only a window of views is kept.
        let current = self.view.0;
        let in_window = view.0 <= current.saturating_add(limits::VIEWS_AHEAD)
            && view.0 >= current.saturating_sub(limits::VIEWS_BEHIND);
        let is_held = in_window || Some(vote.signer) == me;
        match is_held && self.slot_mut(view).insert(vote) {
            true => Taken::New,
            false => Taken::Passed,
        }
    }

    /// What the signer said in the same view that this vote contradicts: in a vote that came by
    /// itself, or in one that a certificate is made of.
    pub(crate) fn contradicted(&self, vote: &Vote) -> Option<Vote> {
        let Ballot { view, kind, .. } = vote.ballot;
        let slot = self.slot(view);
        let voted = slot.into_iter().flat_map(|slot| slot.votes_of(vote.signer));
        let decided = self.finalization.iter().filter(|one| one.ballot.view == view);
        let certificates = slot.into_iter().flat_map(Slot::certificates).chain(decided);
        let certificates = certificates.filter(|one| contradict(one.ballot.kind, kind));
        let certified = certificates.flat_map(votes_in).filter(|said| said.signer == vote.signer);
        let mut said = voted.filter(|said| contradict(said.ballot.kind, kind)).chain(certified);
        said.next()
    }

    /// Drops votes of others that the window has left behind.
    pub(crate) fn forget_old_votes(&mut self, me: Option<ValidatorIndex>) {
        let oldest = View(self.view.0.saturating_sub(limits::VIEWS_BEHIND));
        for (_, slot) in self.slots.range_mut(..oldest) {
            slot.forget_votes(me);
        }
    }

    /// Whether a certificate names this block.
    pub(crate) fn is_certified(&self, block: BlockHash) -> bool {
        self.certified_blocks().any(|certified| certified == block)
    }

    /// The blocks that certificates name: only the final one once there is one.
    pub(crate) fn certified_blocks(&self) -> impl Iterator<Item = BlockHash> {
        let finalized = self.finalization.as_ref().and_then(crate::slot::certified_block);
        let notarized = self.slots.values().filter_map(Slot::notarized_block);
        let notarized = notarized.filter(move |_| finalized.is_none());
        finalized.into_iter().chain(notarized)
    }

    /// Whether every view in (`after`, `until`) has its nullification: the gap check, without
    /// which two blocks can become final (rules 2 and 3).
    pub(crate) fn all_nullified(&self, after: Option<View>, until: View) -> bool {
        let first = after.map_or(View(0), View::next);
        if first >= until {
            return true;
        }
        let held = self.slots.range(first..until).filter(|(_, slot)| slot.nullification.is_some());
        u32::try_from(held.count()).ok() == until.0.checked_sub(first.0)
    }

    /// Holds a header. Those that no certificate names are bounded; the oldest goes.
    pub(crate) fn hold(&mut self, block: BlockHash, header: Header, view: View) -> &mut Candidate {
        if !self.candidates.contains_key(&block) {
            self.evict();
        }
        let candidate = self.candidates.entry(block).or_insert_with(|| Candidate {
            header,
            logged: false,
            batches: Batches::Unasked,
            execution: Execution::Unasked,
            view,
            alarmed: false,
        });
        candidate.view = candidate.view.max(view);
        candidate
    }

    fn evict(&mut self) {
        let certified: BTreeSet<BlockHash> = self.certified_blocks().collect();
        let current = self.pending.as_ref().map(|pending| pending.block);
        let spare = |block: &&BlockHash| !certified.contains(*block) && current != Some(**block);
        let spare: Vec<BlockHash> = self.candidates.keys().filter(spare).copied().collect();
        if spare.len() < limits::CANDIDATES_MAX {
            return;
        }
        let oldest = spare
            .into_iter()
            .min_by_key(|block| self.candidates.get(block).map(|candidate| candidate.view));
        if let Some(block) = oldest {
            self.candidates.remove(&block);
        }
    }
}

#[cfg(test)]
mod tests {
    use tonle_model::hash::ChainHash;
    use tonle_model::vote::{Ballot, VoteKind};

    use super::*;

    fn header(number: u64) -> Header {
        Header::genesis(ChainHash::default(), number)
    }

    #[test]
    fn headers_that_no_certificate_names_are_bounded_and_the_oldest_goes() {
        let mut round = Round::new(Height(1), 0);
        let certified = header(0).hash();
        let kind = VoteKind::Notarize { block: certified };
        let ballot = Ballot { height: Height(1), view: View(0), kind };
        round.slot_mut(View(0)).notarization = Some(Certificate::assemble(ballot, &[], 0));
        for number in 0..100u32 {
            let header = header(number.into());
            round.hold(header.hash(), header, View(number));
        }
        assert_eq!(round.candidates.len(), limits::CANDIDATES_MAX + 1);
        assert!(round.candidates.contains_key(&certified));
        assert!(round.candidates.contains_key(&header(99).hash()));
        assert!(!round.candidates.contains_key(&header(1).hash()));
    }

    #[test]
    fn the_gap_check_counts_every_view_between() {
        let mut round = Round::new(Height(1), 0);
        let kind = VoteKind::Nullify;
        for view in [0, 1, 3].map(View) {
            let ballot = Ballot { height: Height(1), view, kind };
            round.slot_mut(view).nullification = Some(Certificate::assemble(ballot, &[], 0));
        }
        assert!(round.all_nullified(None, View(0)));
        assert!(round.all_nullified(None, View(2)));
        assert!(!round.all_nullified(None, View(3)));
        assert!(!round.all_nullified(Some(View(0)), View(4)));
        assert!(round.all_nullified(Some(View(2)), View(4)));
        assert!(round.all_nullified(Some(View(9)), View(4)), "nothing between");
    }
}
