//! Validators as real processes on hosts of their own: a network namespace each, joined by a
//! bridge, with faults of links, processes, clocks and disks that can be switched on and off.

use std::time::{Duration, Instant};

pub mod book;
pub mod bridge;
pub mod clock;
pub mod delay;
pub mod disk;
pub mod liar;
pub mod load;
pub mod network;
pub mod people;
pub mod process;
pub mod sound;
pub mod system;

/// What came of something, or what went wrong in words.
pub type Outcome<T> = Result<T, String>;

/// Longest wait for anything that has no mark of its own.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at what is waited for.
const PACE: Duration = Duration::from_millis(10);

/// Looks again and again until there is something, and tells how long that took.
pub fn wait_for<T>(
    what: &str,
    patience: Duration,
    mut look: impl FnMut() -> Outcome<Option<T>>,
) -> Outcome<(T, Duration)> {
    let start = Instant::now();
    loop {
        if let Some(found) = look()? {
            return Ok((found, start.elapsed()));
        }
        if start.elapsed() >= patience {
            return Err(format!("waited {patience:?} for {what}"));
        }
        std::thread::park_timeout(PACE);
    }
}
