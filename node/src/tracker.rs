//! What became of the transactions that this node took in, and who waits to hear it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;
use tonle_client::api::TransactionStatus;
use tonle_model::hash::TransactionHash;

/// Most transactions taken in and not yet decided.
pub const QUEUED_MAX: usize = 200_000;
/// Most requests waiting for one transaction.
const WAITERS_PER_TRANSACTION_MAX: usize = 64;
/// Most requests waiting at once.
const WAITERS_MAX: usize = 20_000;
/// How long `expired` is remembered, in block time.
const EXPIRED_KEPT_MS: u64 = 600_000;
/// How often the list is swept, in block time.
const SWEEP_MS: u64 = 5_000;

/// What became of an attempt to note a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Take {
    /// It is noted now.
    Taken,
    /// It was noted before.
    Known,
    /// There is no room.
    Full,
}

#[derive(Default)]
struct Inner {
    /// By transaction, when it expires.
    taken: HashMap<TransactionHash, u64>,
    waiters: HashMap<TransactionHash, Vec<oneshot::Sender<TransactionStatus>>>,
    block_time_ms: u64,
    swept_ms: u64,
    /// When room was last made, by the clock.
    cleared_ms: u64,
}

/// The list. Shared by the gate, which adds, the executor, which decides, and Torii, which asks.
#[derive(Default)]
pub struct Tracker {
    inner: Mutex<Inner>,
}

impl Tracker {
    /// The node starts with the chain at this block time: what has expired by then is not queued.
    pub fn start(&self, block_time_ms: u64) {
        self.lock().block_time_ms = block_time_ms;
    }

    /// Notes a transaction as taken in. Only once its signatures are checked: a forged copy must
    /// not keep the true one out.
    pub fn take(&self, hash: TransactionHash, expires_ms: u64) -> Take {
        let mut inner = self.lock();
        if inner.taken.contains_key(&hash) {
            return Take::Known;
        }
        if inner.taken.len() >= QUEUED_MAX {
            return Take::Full;
        }
        inner.taken.insert(hash, expires_ms);
        Take::Taken
    }

    /// Takes a note back: the transaction did not get in after all.
    pub fn drop_taken(&self, hash: &TransactionHash) {
        self.lock().taken.remove(hash);
    }

    /// How many more would fit. While a height lasts, block time passes nothing: what expired long
    /// ago by the clock then makes room, and is not remembered as expired.
    pub fn room(&self, clock_ms: u64) -> usize {
        let mut inner = self.lock();
        let is_due = clock_ms >= inner.cleared_ms.saturating_add(SWEEP_MS);
        if inner.taken.len() >= QUEUED_MAX && is_due {
            inner.cleared_ms = clock_ms;
            inner.forget(clock_ms);
        }
        QUEUED_MAX.saturating_sub(inner.taken.len())
    }

    /// How many are undecided.
    pub fn queued(&self) -> usize {
        self.lock().taken.len()
    }

    /// `queued` or `expired`, if this node took the transaction in and it is not in a block.
    pub fn status(&self, hash: &TransactionHash) -> Option<TransactionStatus> {
        let inner = self.lock();
        let expires_ms = *inner.taken.get(hash)?;
        Some(inner.status(expires_ms))
    }

    /// A receiver that hears of the transaction's end; `None` if too many wait already. Whoever
    /// waits looks once more after this, since the end may have come just before.
    pub fn wait(&self, hash: TransactionHash) -> Option<oneshot::Receiver<TransactionStatus>> {
        let mut inner = self.lock();
        if inner.waiters.len() >= WAITERS_MAX {
            inner.drop_closed_waiters();
        }
        if inner.waiters.len() >= WAITERS_MAX {
            return None;
        }
        let waiters = inner.waiters.entry(hash).or_default();
        waiters.retain(|waiter| !waiter.is_closed());
        if waiters.len() >= WAITERS_PER_TRANSACTION_MAX {
            return None;
        }
        let (sender, receiver) = oneshot::channel();
        waiters.push(sender);
        Some(receiver)
    }

    /// A block was committed: tells those who wait for its transactions, and of those that can no
    /// longer be in any block because block time has passed their window.
    pub fn committed(
        &self,
        block_time_ms: u64,
        decided: impl Iterator<Item = (TransactionHash, TransactionStatus)>,
        void: impl Iterator<Item = TransactionHash>,
    ) {
        let mut inner = self.lock();
        inner.block_time_ms = block_time_ms;
        for (hash, status) in decided {
            inner.taken.remove(&hash);
            inner.tell(&hash, &status);
        }
        // A void one left no trace and must take up no room; it may be sent again.
        void.for_each(|hash| {
            inner.taken.remove(&hash);
        });
        if block_time_ms >= inner.swept_ms.saturating_add(SWEEP_MS) {
            inner.sweep();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn status(&self, expires_ms: u64) -> TransactionStatus {
        match self.block_time_ms > expires_ms {
            true => TransactionStatus::Expired,
            false => TransactionStatus::Queued,
        }
    }

    fn tell(&mut self, hash: &TransactionHash, status: &TransactionStatus) {
        for waiter in self.waiters.remove(hash).unwrap_or_default() {
            // Whoever gave up waiting is gone.
            let _gone = waiter.send(status.clone());
        }
    }

    fn sweep(&mut self) {
        let now_ms = self.block_time_ms;
        self.swept_ms = now_ms;
        self.forget(now_ms);
        let waiting: Vec<TransactionHash> = self.waiters.keys().copied().collect();
        for hash in waiting {
            if self.taken.get(&hash).is_some_and(|expires_ms| now_ms > *expires_ms) {
                self.tell(&hash, &TransactionStatus::Expired);
            }
        }
        self.drop_closed_waiters();
    }

    /// Forgets what expired long before a time.
    fn forget(&mut self, now_ms: u64) {
        self.taken.retain(|_, expires_ms| expires_ms.saturating_add(EXPIRED_KEPT_MS) > now_ms);
    }

    fn drop_closed_waiters(&mut self) {
        self.waiters.retain(|_, waiters| {
            waiters.retain(|waiter| !waiter.is_closed());
            !waiters.is_empty()
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::hash::Digest256;

    fn hash(number: u8) -> TransactionHash {
        TransactionHash(Digest256([number; 32]))
    }

    #[test]
    fn a_transaction_is_taken_once_and_expires_by_block_time_alone() {
        let tracker = Tracker::default();
        assert_eq!(tracker.take(hash(1), 100), Take::Taken);
        assert_eq!(tracker.take(hash(1), 100), Take::Known);
        assert_eq!(tracker.status(&hash(1)), Some(TransactionStatus::Queued));
        tracker.committed(100, std::iter::empty(), std::iter::empty());
        assert_eq!(tracker.status(&hash(1)), Some(TransactionStatus::Queued));
        tracker.committed(101, std::iter::empty(), std::iter::empty());
        assert_eq!(tracker.status(&hash(1)), Some(TransactionStatus::Expired));
        tracker.committed(101 + EXPIRED_KEPT_MS, std::iter::empty(), std::iter::empty());
        assert_eq!(tracker.status(&hash(1)), None);
    }

    #[test]
    fn what_expired_before_the_start_is_not_queued_after_it() {
        let tracker = Tracker::default();
        tracker.start(101);
        for (number, expires_ms) in [(1, 100), (2, 101)] {
            assert_eq!(tracker.take(hash(number), expires_ms), Take::Taken);
        }
        assert_eq!(tracker.status(&hash(1)), Some(TransactionStatus::Expired));
        assert_eq!(tracker.status(&hash(2)), Some(TransactionStatus::Queued));
    }

    #[test]
    fn what_expired_long_ago_makes_room_while_no_block_comes() {
        let tracker = Tracker::default();
        let name = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&number.to_le_bytes());
            TransactionHash(Digest256(bytes))
        };
        for number in 0..QUEUED_MAX {
            assert_eq!(tracker.take(name(number), 1_000), Take::Taken);
        }
        assert_eq!(tracker.take(name(QUEUED_MAX), 1_000), Take::Full);
        let forgotten_ms = 1_000 + EXPIRED_KEPT_MS;
        assert_eq!(tracker.room(forgotten_ms - SWEEP_MS), 0);
        assert_eq!(tracker.room(forgotten_ms - 1), 0, "it was looked through a moment ago");
        assert_eq!(tracker.room(forgotten_ms), QUEUED_MAX);
    }

    #[test]
    fn whoever_waits_hears_the_end() {
        let tracker = Tracker::default();
        tracker.take(hash(1), 100);
        tracker.take(hash(2), 100);
        let mut first = tracker.wait(hash(1)).unwrap();
        let mut second = tracker.wait(hash(2)).unwrap();
        let end = TransactionStatus::Expired;
        tracker.committed(50, std::iter::once((hash(1), end.clone())), std::iter::empty());
        assert_eq!(first.try_recv().unwrap(), end);
        assert!(second.try_recv().is_err());
        tracker.committed(100_000, std::iter::empty(), std::iter::empty());
        assert_eq!(second.try_recv().unwrap(), TransactionStatus::Expired);
    }
}
