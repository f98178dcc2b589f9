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

/// A machine's clock, which keeps its own pace and may be put forward or back, and what a process
/// makes of it. As with the node's own clock (`node/src/clock.rs`) that never goes back: a clock
/// that was put back is waited for at half the pace. Only the next process begins where it is.
#[derive(Debug)]
pub struct SkewedClock {
    reading: Reading,
    /// The true time of the last reading.
    read_ms: u64,
    /// True time, and what the machine's clock said then.
    since: (u64, u64),
    rate_permille: u64,
}

impl SkewedClock {
    /// A clock that is right.
    pub fn new(now_ms: u64) -> Self {
        let reading = Reading::default();
        reading.0.store(now_ms, Relaxed);
        Self { reading, read_ms: now_ms, since: (now_ms, now_ms), rate_permille: 1_000 }
    }

    /// For the node.
    pub fn reading(&self) -> Reading {
        self.reading.clone()
    }

    /// A process starts, and knows nothing of what the one before it read.
    pub fn start(&mut self, now_ms: u64) {
        self.reading.0.store(self.machine_ms(now_ms), Relaxed);
        self.read_ms = now_ms;
    }

    /// The process reads it at a true time.
    pub fn set(&mut self, now_ms: u64) {
        let elapsed_ms = (now_ms - self.read_ms) * self.rate_permille / 1_000;
        if elapsed_ms == 0 {
            return;
        }
        let (last_ms, machine_ms) = (self.reading.now_ms(), self.machine_ms(now_ms));
        let is_ahead = machine_ms <= last_ms;
        let reads_ms = if is_ahead { last_ms + elapsed_ms.div_ceil(2) } else { machine_ms };
        self.reading.0.store(reads_ms, Relaxed);
        self.read_ms = now_ms;
    }

    /// Puts the machine's clock so far ahead of true time, or behind it. Says how far it jumped.
    pub fn put(&mut self, now_ms: u64, ahead_ms: i64) -> i64 {
        let before_ms = self.machine_ms(now_ms);
        let after_ms = now_ms.saturating_add_signed(ahead_ms);
        self.since = (now_ms, after_ms);
        after_ms.cast_signed() - before_ms.cast_signed()
    }

    /// Changes its pace.
    pub fn keep_pace(&mut self, now_ms: u64, rate_permille: u64) {
        self.set(now_ms);
        self.since = (now_ms, self.machine_ms(now_ms));
        self.rate_permille = rate_permille;
    }

    /// How long a process sleeps, in true time, that has just read the clock and wants to wake when
    /// it says this: rounded up; at least a millisecond.
    pub fn until(&self, local_ms: u64) -> u64 {
        let ahead_ms = local_ms.saturating_sub(self.reading.now_ms());
        (ahead_ms * 1_000).div_ceil(self.rate_permille).max(1)
    }

    fn machine_ms(&self, now_ms: u64) -> u64 {
        self.since.1 + (now_ms - self.since.0) * self.rate_permille / 1_000
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the process reads at a true time.
    fn read(clock: &mut SkewedClock, now_ms: u64) -> u64 {
        clock.set(now_ms);
        clock.reading().now_ms()
    }

    #[test]
    fn a_clock_that_is_put_back_goes_on_at_half_its_pace_until_the_next_start() {
        let mut clock = SkewedClock::new(10_000);
        assert_eq!(clock.put(10_000, 500), 500);
        assert_eq!(read(&mut clock, 10_100), 10_600);
        assert_eq!(clock.put(10_100, -500), -1_000);
        assert_eq!(read(&mut clock, 10_100), 10_600, "no time has passed");
        assert_eq!(read(&mut clock, 10_300), 10_700);
        assert_eq!(clock.until(10_750), 50, "it sleeps by its own pace, and looks again");
        assert_eq!(read(&mut clock, 12_100), 11_600, "caught up with");
        assert_eq!(read(&mut clock, 12_400), 11_900);
        assert_eq!(clock.put(12_400, -3_000), -2_500);
        clock.start(12_400);
        assert_eq!(read(&mut clock, 12_400), 9_400);
    }

    #[test]
    fn a_clock_keeps_its_own_pace() {
        let mut clock = SkewedClock::new(10_000);
        clock.keep_pace(10_000, 900);
        assert_eq!(read(&mut clock, 11_000), 10_900);
        assert_eq!(clock.until(11_800), 1_000);
        clock.keep_pace(11_000, 1_000);
        assert_eq!(read(&mut clock, 12_000), 11_900, "what it lost is lost");
    }
}
