//! Nothing grows without end: whenever a node has executed something, what it says it holds is
//! within the limits that stand in the book.

use tonle_wsv::memory::MemoryStore;
use tonle_wsv::store::Table;

use super::super::machine::Running;
use super::{Held, broken};

/// What an author may have undecided, and the size of a block (ledger.md, Transaction).
const AUTHOR_BYTES_MAX: usize = 32 * 1024 * 1024;
const BLOCK_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Batches that are not decided yet, however small they are.
const BATCHES_MAX: u64 = 262_144;
/// Pairs of contradicting votes or proposals that are kept.
pub(super) const EVIDENCE_MAX: usize = 1_024;
/// Records of so many heights are kept.
const RECORD_HEIGHTS: u64 = 16;
/// Blocks that wait until their height comes.
const BLOCKS_AHEAD_MAX: u64 = 100;
/// Headers at a height that nothing certifies: what they name comes on top of authors' shares.
const NAMED_BLOCKS_MAX: usize = 16;

/// What a node holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sizes {
    /// Undecided batches.
    batches: u64,
    /// And their bytes.
    bytes: u64,
    /// Those of the node's own.
    own_bytes: u64,
    /// Payments that clients were told are queued.
    queued: usize,
    /// Blocks that others have decided.
    blocks_ahead: u64,
    /// Rows of evidence.
    evidence: usize,
    /// Records of heights that nobody needs any more.
    old_records: usize,
}

impl Sizes {
    /// What a process and its disk hold.
    pub fn of(running: &Running, disk: &MemoryStore) -> Self {
        let board = &running.assembly.board;
        let (batches, bytes) = board.pool();
        // Records are dropped some heights at a time.
        let old = running.world.committed().height.0.checked_sub(2 * RECORD_HEIGHTS);
        let records = |height: u64| disk.durable_values(Table::Records, &height.to_be_bytes());
        Self {
            batches,
            bytes,
            own_bytes: board.own_bytes(),
            queued: running.assembly.tracker.queued(),
            blocks_ahead: board.blocks_ahead(),
            evidence: running.chain.evidence_count(),
            old_records: old.map_or(0, |height| records(height).len()),
        }
    }

    /// Nothing is more than it may be for a node that is one of so many validators, and for which
    /// so many payments that were ever made are undecided.
    pub fn check(&self, node: usize, validators: usize, undecided: usize) -> Held {
        let shares = validators * AUTHOR_BYTES_MAX + NAMED_BLOCKS_MAX * BLOCK_BYTES_MAX;
        let holds = self.batches <= BATCHES_MAX
            && self.bytes <= shares as u64
            && self.own_bytes <= AUTHOR_BYTES_MAX as u64
            && self.queued <= undecided
            && self.blocks_ahead <= BLOCKS_AHEAD_MAX
            && self.evidence <= EVIDENCE_MAX
            && self.old_records == 0;
        match holds {
            true => Ok(()),
            false => broken(format!(
                "node {node} holds too much with {undecided} payments undecided: {self:?}"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_looked_at() {
        let most = Sizes {
            batches: BATCHES_MAX,
            bytes: (4 * AUTHOR_BYTES_MAX + NAMED_BLOCKS_MAX * BLOCK_BYTES_MAX) as u64,
            own_bytes: AUTHOR_BYTES_MAX as u64,
            queued: 3,
            blocks_ahead: BLOCKS_AHEAD_MAX,
            evidence: EVIDENCE_MAX,
            old_records: 0,
        };
        assert_eq!(most.check(0, 4, 3), Ok(()));
        for more in [
            Sizes { batches: most.batches + 1, ..most.clone() },
            Sizes { bytes: most.bytes + 1, ..most.clone() },
            Sizes { own_bytes: most.own_bytes + 1, ..most.clone() },
            Sizes { queued: most.queued + 1, ..most.clone() },
            Sizes { blocks_ahead: most.blocks_ahead + 1, ..most.clone() },
            Sizes { evidence: most.evidence + 1, ..most.clone() },
            Sizes { old_records: most.old_records + 1, ..most.clone() },
        ] {
            assert!(more.check(0, 4, 3).is_err(), "{more:?}");
        }
    }
}
