//! Many seeds, on all cores.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::time::Instant;

use super::fault::Tally;
use super::simulation::{Outcome, run};

/// So much faster than real time a campaign is at least, all cores together.
pub const SPEED_MIN: f64 = 200.0;
/// A campaign of fewer seeds says nothing about speed.
pub const MEASURED_SEEDS_MIN: u64 = 1_000;

/// What many runs came to.
#[derive(Debug, Default)]
pub struct Summary {
    /// How many seeds ran.
    pub seeds: u64,
    /// Virtual time of all of them.
    pub virtual_ms: u64,
    /// Blocks.
    pub blocks: u64,
    /// Applied payments.
    pub applied: u64,
    /// The least blocks, and the least payments, of a seed.
    pub least: Option<(u64, u64)>,
    /// What struck.
    pub struck: Tally,
    /// The run with the lowest seed of those that went wrong.
    pub failed: Option<Outcome>,
    /// Real time.
    pub seconds: f64,
}

impl Summary {
    fn add(&mut self, outcome: Outcome) {
        self.seeds += 1;
        self.virtual_ms += outcome.virtual_ms;
        self.blocks += outcome.blocks;
        self.applied += outcome.applied;
        self.struck.add(&outcome.struck);
        if outcome.violation.is_some() {
            let earlier = |failed: &Outcome| failed.seed < outcome.seed;
            if !self.failed.as_ref().is_some_and(earlier) {
                self.failed = Some(outcome);
            }
            return;
        }
        let (blocks, applied) = self.least.unwrap_or((u64::MAX, u64::MAX));
        self.least = Some((blocks.min(outcome.blocks), applied.min(outcome.applied)));
    }

    /// How much faster than real time, all cores together.
    pub fn speed(&self) -> f64 {
        self.virtual_ms as f64 / 1_000.0 / self.seconds
    }

    /// Whether there were enough seeds to say that they took too long.
    pub fn is_too_slow(&self) -> bool {
        self.seeds >= MEASURED_SEEDS_MIN && self.speed() < SPEED_MIN
    }
}

/// Runs seeds until all are done or one fails. Each thread begins with `begin`; `tell` hears of
/// progress.
pub fn run_seeds(
    first: u64,
    count: u64,
    begin: impl Fn() + Sync,
    tell: impl Fn(u64) + Sync,
) -> Summary {
    let start = Instant::now();
    let (next, stop) = (AtomicU64::new(0), AtomicBool::new(false));
    let summary = Mutex::new(Summary::default());
    let work = || {
        begin();
        while !stop.load(Relaxed) {
            let number = next.fetch_add(1, Relaxed);
            if number >= count {
                break;
            }
            let outcome = run(first + number, false);
            if outcome.violation.is_some() {
                stop.store(true, Relaxed);
            }
            let mut summary = summary.lock().expect("no run panicked");
            summary.add(outcome);
            tell(summary.seeds);
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..cores).for_each(|_| drop(scope.spawn(work))));
    let mut summary = summary.into_inner().expect("no run panicked");
    summary.seconds = start.elapsed().as_secs_f64();
    summary
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_campaign_of_many_seeds_is_too_slow() {
        let summary = |seeds: u64, seconds: f64| Summary {
            seeds,
            virtual_ms: seeds * 60_000,
            seconds,
            ..Summary::default()
        };
        assert!(!summary(1_000, 300.0).is_too_slow(), "200 times real time");
        assert!(summary(1_000, 301.0).is_too_slow());
        assert!(!summary(999, 1_000.0).is_too_slow());
    }
}
