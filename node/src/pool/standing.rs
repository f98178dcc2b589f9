//! How the batches of each author did of late, and so whether leaders pass over it
//! (`docs/decisions/0012-passing-over-authors.md`).

use std::collections::BTreeMap;

use tonle_model::key::PublicKey;

/// So many void transactions are held against nobody: retries cross, windows pass.
const FORGIVEN: u32 = 64;
/// Beyond so many transactions both counts are halved, so that the past weighs less and less.
const REMEMBERED: u32 = 4_096;

/// What came of an author's transactions in the blocks of late.
#[derive(Debug, Default, Clone, Copy)]
struct Record {
    decided: u32,
    void: u32,
}

/// The authors that had void transactions of late: at most one record for each validator.
#[derive(Debug, Default)]
pub(super) struct Standings(BTreeMap<PublicKey, Record>);

impl Standings {
    /// Counts a batch of a block, and how many of its transactions were void there.
    pub(super) fn count(&mut self, author: &PublicKey, transactions: u32, void: u32) {
        let record = self.0.entry(*author).or_default();
        record.decided = record.decided.saturating_add(transactions);
        record.void = record.void.saturating_add(void);
        while record.decided > REMEMBERED {
            record.decided /= 2;
            record.void /= 2;
        }
        if record.void == 0 {
            self.0.remove(author);
        }
    }

    /// Whether more than half of what it sent of late was void.
    pub(super) fn is_poor(&self, author: &PublicKey) -> bool {
        let Some(Record { decided, void }) = self.0.get(author) else { return false };
        *void > FORGIVEN && *void > decided / 2
    }

    /// How many authors leaders pass over.
    pub(super) fn poor(&self) -> usize {
        self.0.keys().filter(|author| self.is_poor(author)).count()
    }
}
