//! Who leads: a pure function of committed headers (consensus.md, Leader).
//!
//! The validators in canonical order, rotated to start at `height mod n`, those that failed lately
//! moved stably to the end; then the one at `view mod n`. The marks of failure are an entry of the
//! state, so a node that joins from a snapshot computes the same leader.

use parity_scale_codec::{Decode, Encode};

use crate::block::Header;
use crate::bounded::Bounded;
use crate::limits;
use crate::number::{Height, ValidatorIndex, View};

/// How many heights a mark lasts: those after the one whose commit set it.
pub const MARK_HEIGHTS: u64 = 64;

/// One validator failed as leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct LeaderMark {
    /// Who.
    pub validator: ValidatorIndex,
    /// The last height at which it counts.
    pub until: Height,
}

/// Which validators failed lately as leaders, ascending, none twice.
///
/// The marks name places in the validator set: a block that changes the set starts over with
/// `LeaderMarks::default()`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Encode, Decode)]
pub struct LeaderMarks(Bounded<LeaderMark, { limits::VALIDATORS_MAX }>);

impl LeaderMarks {
    /// The leader of a view at a height with `validators` validators, given the marks as they
    /// stand after the commit of the height before.
    pub fn leader(&self, height: Height, view: View, validators: usize) -> ValidatorIndex {
        let order = self.order(height, validators);
        let turn = usize::try_from(view.0).unwrap_or(0) % order.len().max(1);
        order.get(turn).copied().unwrap_or_default()
    }

    /// The marks after the commit of `header` by a set of `validators` validators: first the
    /// leaders of the views before its `proposed_view` are marked, then its proposer is cleared.
    #[must_use]
    pub fn after_commit(&self, header: &Header, validators: usize) -> Self {
        let height = header.height;
        // The schedule repeats after n views, so more failed views name nobody new.
        let failed_views = usize::try_from(header.proposed_view.0).unwrap_or(usize::MAX);
        let mut failed = self.order(height, validators);
        failed.truncate(failed_views);
        let until = Height(height.0.saturating_add(MARK_HEIGHTS));
        let marks = (0..).take(validators).map(ValidatorIndex).filter_map(|validator| {
            if validator == header.proposer {
                return None;
            }
            if failed.contains(&validator) {
                return Some(LeaderMark { validator, until });
            }
            self.0.iter().copied().find(|mark| mark.validator == validator && mark.until > height)
        });
        // At most one per validator of a set that has at most as many.
        Self(Bounded::new(marks.collect()).unwrap_or_default())
    }

    /// Whether the validator is passed over at this height.
    pub fn is_marked(&self, validator: ValidatorIndex, height: Height) -> bool {
        self.0.iter().any(|mark| mark.validator == validator && mark.until >= height)
    }

    /// All validators in the order of their turns at this height.
    fn order(&self, height: Height, validators: usize) -> Vec<ValidatorIndex> {
        let start = u64::try_from(validators)
            .ok()
            .and_then(|count| height.0.checked_rem(count))
            .and_then(|start| usize::try_from(start).ok())
            .unwrap_or(0);
        let rotated = (0..).take(validators).map(ValidatorIndex).cycle().skip(start);
        let (marked, mut order): (Vec<_>, Vec<_>) =
            rotated.take(validators).partition(|validator| self.is_marked(*validator, height));
        order.extend(marked);
        order
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::ChainHash;

    fn header(height: u64, proposed_view: u32, proposer: ValidatorIndex) -> Header {
        let mut header = Header::genesis(ChainHash::default(), 0);
        header.height = Height(height);
        header.proposed_view = View(proposed_view);
        header.proposer = proposer;
        header
    }

    fn leaders(marks: &LeaderMarks, height: u64, validators: usize) -> Vec<u16> {
        (0..8).map(|view| marks.leader(Height(height), View(view), validators).0).collect()
    }

    #[test]
    fn leaders_rotate_with_height_and_view() {
        let marks = LeaderMarks::default();
        assert_eq!(leaders(&marks, 0, 4), [0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!(leaders(&marks, 6, 4), [2, 3, 0, 1, 2, 3, 0, 1]);
        assert_eq!(leaders(&marks, 6, 1), [0; 8]);
    }

    #[test]
    fn a_failed_leader_goes_to_the_end_for_64_heights() {
        let marks = LeaderMarks::default().after_commit(&header(5, 1, ValidatorIndex(2)), 4);
        assert!(marks.is_marked(ValidatorIndex(1), Height(6)));
        assert_eq!(leaders(&marks, 6, 4), [2, 3, 0, 1, 2, 3, 0, 1]);
        assert_eq!(leaders(&marks, 9, 4), [2, 3, 0, 1, 2, 3, 0, 1]);
        assert_eq!(leaders(&marks, 5 + 64, 4), [2, 3, 0, 1, 2, 3, 0, 1]);
        assert_eq!(leaders(&marks, 5 + 65, 4), [2, 3, 0, 1, 2, 3, 0, 1]);
        assert_eq!(leaders(&marks, 5 + 68, 4), [1, 2, 3, 0, 1, 2, 3, 0]);

        let mut kept = marks;
        for height in 6..5 + 64 {
            let proposer = kept.leader(Height(height), View(0), 4);
            kept = kept.after_commit(&header(height, 0, proposer), 4);
            assert!(kept.is_marked(ValidatorIndex(1), Height(height + 1)), "{height}");
        }
        let after = kept.after_commit(&header(5 + 64, 0, ValidatorIndex(2)), 4);
        assert_eq!(after, LeaderMarks::default(), "expired marks leave the state");
    }

    #[test]
    fn the_proposer_is_cleared_after_the_failed_are_marked() {
        let marks = LeaderMarks::default().after_commit(&header(4, 3, ValidatorIndex(3)), 4);
        assert_eq!(leaders(&marks, 8, 4), [3, 0, 1, 2, 3, 0, 1, 2]);
        // All four views of a round failed and the first leader made it in the second round.
        let marks = marks.after_commit(&header(8, 4, ValidatorIndex(3)), 4);
        assert!(!marks.is_marked(ValidatorIndex(3), Height(9)));
        assert_eq!(leaders(&marks, 9, 4), [3, 1, 2, 0, 3, 1, 2, 0]);
    }

    #[test]
    fn a_huge_view_costs_no_more_than_a_round() {
        let marks = LeaderMarks::default().after_commit(&header(1, u32::MAX, ValidatorIndex(0)), 4);
        assert_eq!(leaders(&marks, 4, 4), [0, 1, 2, 3, 0, 1, 2, 3]);
        assert_eq!((1..4).filter(|i| marks.is_marked(ValidatorIndex(*i), Height(2))).count(), 3);
    }

    #[test]
    fn marks_round_trip() {
        let marks = LeaderMarks::default().after_commit(&header(9, 2, ValidatorIndex(3)), 4);
        assert_eq!(LeaderMarks::decode(&mut &marks.encode()[..]).unwrap(), marks);
    }
}
