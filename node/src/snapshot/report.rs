//! How far a node that joins or catches up is, for the log and for whoever asks.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tonle_client::api::{SyncPhase, SyncProgress};
use tonle_client::bar;
use tonle_wsv::state::snapshot::Progress;

/// Marks of a whole bar in the log.
pub const BAR_WIDTH: u8 = 20;
/// Pause between two lines of the log.
const LOGGED_EVERY: Duration = Duration::from_secs(2);

/// How far a join is. Written by one thread and read by any.
#[derive(Debug)]
pub struct JoinReport {
    started: Instant,
    latest: Mutex<(Progress, Option<Instant>)>,
}

impl Default for JoinReport {
    fn default() -> Self {
        Self { started: Instant::now(), latest: Mutex::default() }
    }
}

impl JoinReport {
    /// Notes how far it is, and tells the log now and then.
    pub fn update(&self, progress: Progress) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let (before, logged) = *latest;
        let is_due = logged.is_none_or(|at| at.elapsed() > LOGGED_EVERY);
        if before == progress || !is_due {
            latest.0 = progress;
            return;
        }
        *latest = (progress, Some(Instant::now()));
        drop(latest);
        let Progress { pieces, pieces_of, entries, bytes, window_left_ms } = progress;
        let seconds = self.started.elapsed().as_secs_f64().max(0.001);
        let rate = format!("{:.1} MB/s", bytes as f64 / 1e6 / seconds);
        let bar = bar(pieces.into(), pieces_of.into(), BAR_WIDTH);
        let window_left_s = window_left_ms / 1_000;
        tracing::info!(entries, rate, window_left_s, "joining from a snapshot {bar}");
    }

    /// How far it is, for whoever asks.
    pub fn progress(&self) -> SyncProgress {
        let (progress, _) = *self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        let millis = u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let (done, of) = (u64::from(progress.pieces), u64::from(progress.pieces_of));
        let left_ms = of.saturating_sub(done).saturating_mul(millis).checked_div(done);
        SyncProgress {
            phase: SyncPhase::Snapshot,
            done,
            of,
            per_second: progress.entries.saturating_mul(1_000) / millis,
            left_s: left_ms.map(|left_ms| left_ms / 1_000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_from_what_is_done() {
        let report = JoinReport::default();
        assert_eq!(report.progress().left_s, None);
        report.update(Progress { pieces: 10, pieces_of: 10, entries: 5, ..Progress::default() });
        let told = report.progress();
        assert_eq!((told.done, told.of, told.left_s), (10, 10, Some(0)));
    }
}
