//! The clock at the edge of the node: the only place where time is read for the protocol.

use std::sync::Mutex;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// Where the driver and the gate get the time from. The simulator has its own.
pub trait Clock: Send + Sync + 'static {
    /// Milliseconds since 1970; never less than before.
    fn now_ms(&self) -> u64;
}

/// The system's clock without its jumps back: timers must not stand still because an operator or
/// NTP moved the hands.
pub struct SystemClock {
    state: Mutex<State>,
}

struct State {
    measured_at: Instant,
    now_ms: u64,
}

impl Default for SystemClock {
    fn default() -> Self {
        Self { state: Mutex::new(State { measured_at: Instant::now(), now_ms: wall_ms() }) }
    }
}

impl Clock for SystemClock {
    fn now_ms(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let elapsed_ms = u64::try_from(state.measured_at.elapsed().as_millis()).unwrap_or(u64::MAX);
        if elapsed_ms > 0 {
            state.now_ms = advance(state.now_ms, elapsed_ms, wall_ms());
            state.measured_at = Instant::now();
        }
        state.now_ms
    }
}

/// Follows the wall clock forward; while the wall clock is behind, goes at half its pace until it
/// is caught up with.
fn advance(now_ms: u64, elapsed_ms: u64, wall_ms: u64) -> u64 {
    match wall_ms > now_ms {
        true => wall_ms,
        false => now_ms.saturating_add(elapsed_ms.div_ceil(2)),
    }
}

fn wall_ms() -> u64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_jump_back_slows_the_clock_and_does_not_stop_it() {
        assert_eq!(advance(1_000, 5, 1_005), 1_005);
        assert_eq!(advance(1_000, 10, 400), 1_005);
        assert_eq!(advance(1_000, 1, 400), 1_001);
        assert_eq!(advance(1_000, 10, 9_000), 9_000);
    }
}
