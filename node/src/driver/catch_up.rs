//! How fast a node that is behind catches up: for the log, and for whoever asks.

use tonle_client::api::{SyncPhase, SyncProgress};
use tonle_client::bar;
use tonle_model::block::Header;
use tonle_model::number::Height;

use crate::snapshot::BAR_WIDTH;

/// A node that is fewer blocks behind than this is not worth a word.
const BEHIND_MIN: u64 = 20;
/// Pause between two lines of the log.
const LOGGED_MS: u64 = 2_000;
/// When nobody has said for so long that there is more, there is none. A claim that brought no
/// blocks is forgotten, and made again with the next status.
const UNCLAIMED_MS: u64 = 15_000;

/// Where it began, and where it goes.
#[derive(Debug, Clone, Copy)]
struct Course {
    at_ms: u64,
    from: Height,
    transactions: u64,
    target: Height,
    /// When somebody last said so.
    claimed_ms: u64,
}

/// What is known of it.
#[derive(Debug, Default)]
pub(super) struct CatchUp {
    course: Option<Course>,
    /// Committed since the start.
    transactions: u64,
    logged_ms: u64,
}

impl CatchUp {
    /// Counts a committed block.
    pub(super) fn committed(&mut self, header: &Header) {
        self.transactions += header.transaction_count();
    }

    /// How far it is, if it is far behind: the node decides `height`, others say they decide
    /// `claimed`. Tells the log now and then, and when it is done.
    pub(super) fn look(
        &mut self,
        now_ms: u64,
        height: Height,
        claimed: Option<Height>,
    ) -> Option<SyncProgress> {
        let course = match (self.course, claimed) {
            (Some(course), Some(target)) => Course { target, claimed_ms: now_ms, ..course },
            (Some(course), None) if now_ms.saturating_sub(course.claimed_ms) < UNCLAIMED_MS => {
                course
            }
            (Some(_), None) => {
                self.course = None;
                return None;
            }
            (None, Some(target)) if target.0.saturating_sub(height.0) >= BEHIND_MIN => {
                self.logged_ms = now_ms;
                let (at_ms, transactions) = (now_ms, self.transactions);
                Course { at_ms, from: height, transactions, target, claimed_ms: now_ms }
            }
            (None, _) => return None,
        };
        let rates = self.rates(&course, now_ms, height);
        if height >= course.target {
            self.course = None;
            let (blocks, transactions_per_s) = (height.0 - course.from.0, rates.transactions_per_s);
            tracing::info!(%height, blocks, transactions_per_s, "caught up");
            return None;
        }
        self.course = Some(course);
        let (done, of) = (height.0, course.target.0);
        if now_ms.saturating_sub(self.logged_ms) >= LOGGED_MS {
            self.logged_ms = now_ms;
            let Rates { blocks_per_s, transactions_per_s, left_s } = rates;
            let bar = bar(done - course.from.0, of - course.from.0, BAR_WIDTH);
            tracing::info!(%height, of, blocks_per_s, transactions_per_s, ?left_s, "catching up {bar}");
        }
        let per_second = rates.transactions_per_s;
        Some(SyncProgress { phase: SyncPhase::Blocks, done, of, per_second, left_s: rates.left_s })
    }

    fn rates(&self, course: &Course, now_ms: u64, height: Height) -> Rates {
        let elapsed_ms = now_ms.saturating_sub(course.at_ms).max(1);
        let blocks = height.0.saturating_sub(course.from.0);
        let left = course.target.0.saturating_sub(height.0);
        let per_s = |count: u64| count.saturating_mul(1_000) / elapsed_ms;
        Rates {
            blocks_per_s: per_s(blocks),
            transactions_per_s: per_s(self.transactions - course.transactions),
            left_s: left.saturating_mul(elapsed_ms).checked_div(blocks).map(|ms| ms / 1_000),
        }
    }
}

struct Rates {
    blocks_per_s: u64,
    transactions_per_s: u64,
    left_s: Option<u64>,
}

#[cfg(test)]
mod tests {
    use tonle_model::block::BatchRef;
    use tonle_model::bounded::Bounded;
    use tonle_model::hash::{BatchDigest, ChainHash};
    use tonle_model::key::PublicKey;

    use super::*;

    fn block(transactions: u32) -> Header {
        let reference = BatchRef {
            digest: BatchDigest::default(),
            author: PublicKey([1; 32]),
            seq: 0,
            tx_count: transactions,
        };
        let batches = Bounded::new(vec![reference]).unwrap();
        Header { batches, ..Header::genesis(ChainHash::default(), 0) }
    }

    #[test]
    fn rate_and_rest_are_those_since_it_fell_behind() {
        let mut catch_up = CatchUp::default();
        catch_up.committed(&block(1_000));
        assert_eq!(catch_up.look(0, Height(10), Some(Height(29))), None, "nearly there");
        assert!(catch_up.look(1_000, Height(10), Some(Height(110))).is_some());
        (0..25).for_each(|_| catch_up.committed(&block(40)));
        let told = catch_up.look(3_000, Height(35), None).unwrap();
        assert_eq!((told.done, told.of), (35, 110), "a claim that is gone for a while was one");
        assert_eq!((told.per_second, told.left_s), (500, Some(6)));
        let told = catch_up.look(4_000, Height(50), Some(Height(120))).unwrap();
        assert_eq!(told.of, 120, "others go on");
        assert_eq!(catch_up.look(9_000, Height(120), None), None, "done");
        assert_eq!(catch_up.look(9_001, Height(121), Some(Height(122))), None);
    }

    #[test]
    fn a_claim_that_nobody_repeats_is_given_up() {
        let mut catch_up = CatchUp::default();
        assert!(catch_up.look(0, Height(10), Some(Height(1_000_000))).is_some());
        assert!(catch_up.look(UNCLAIMED_MS - 1, Height(11), None).is_some());
        assert_eq!(catch_up.look(UNCLAIMED_MS, Height(11), None), None);
    }
}
