//! A node's clock, which may be wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use tonle_node::clock::Clock;

/// What the node reads.
#[derive(Debug, Clone, Default)]
pub struct Reading(Arc<AtomicU64>);

impl Clock for Reading {
    fn now_ms(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// A clock that keeps its own pace. It never goes back.
#[derive(Debug)]
pub struct SkewedClock {
    reading: Reading,
    /// True time, and what the clock said then.
    since: (u64, u64),
    rate_permille: u64,
}

impl SkewedClock {
    /// A clock that is right.
    pub fn new(now_ms: u64) -> Self {
        let reading = Reading::default();
        reading.0.store(now_ms, Relaxed);
        Self { reading, since: (now_ms, now_ms), rate_permille: 1_000 }
    }

    /// For the node.
    pub fn reading(&self) -> Reading {
        self.reading.clone()
    }

    /// Moves it to a true time.
    pub fn set(&mut self, now_ms: u64) {
        self.reading.0.store(self.at(now_ms), Relaxed);
    }

    /// Puts it forward.
    pub fn jump(&mut self, now_ms: u64, ahead_ms: u64) {
        self.since = (now_ms, self.at(now_ms) + ahead_ms);
    }

    /// Changes its pace.
    pub fn keep_pace(&mut self, now_ms: u64, rate_permille: u64) {
        self.since = (now_ms, self.at(now_ms));
        self.rate_permille = rate_permille;
    }

    /// How far from now the clock says so late a time, rounded up; at least a millisecond.
    pub fn until(&self, now_ms: u64, local_ms: u64) -> u64 {
        let ahead = local_ms.saturating_sub(self.at(now_ms));
        (ahead * 1_000).div_ceil(self.rate_permille).max(1)
    }

    fn at(&self, now_ms: u64) -> u64 {
        self.since.1 + (now_ms - self.since.0) * self.rate_permille / 1_000
    }
}
