//! Free space: below the reserve a node takes nothing in and votes nothing, and goes on by itself
//! when there is room again (consensus.md, What is durable before what).

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::board::Board;
use crate::driver::{Event, EventSender};

/// How often the disk is asked.
const EVERY: Duration = Duration::from_millis(500);

/// Watches the disk of a directory until the driver is gone.
pub async fn watch(directory: PathBuf, reserve: u64, board: Arc<Board>, events: EventSender) {
    let mut interval = tokio::time::interval(EVERY);
    let mut paused = false;
    loop {
        interval.tick().await;
        let full = free_bytes(&directory).is_some_and(|free| free < reserve);
        board.set_disk_full(full);
        if full == paused {
            continue;
        }
        match events.try_send(Event::Paused(full)) {
            Ok(()) if full => tracing::error!(reserve, "disk nearly full: taking nothing in"),
            Ok(()) => tracing::info!("there is room on the disk again"),
            Err(crossbeam_channel::TrySendError::Disconnected(_)) => return,
            // Said again at the next tick.
            Err(crossbeam_channel::TrySendError::Full(_)) => continue,
        }
        paused = full;
    }
}

/// Free bytes for this process; `None` if the system does not say.
fn free_bytes(directory: &PathBuf) -> Option<u64> {
    let found = rustix::fs::statvfs(directory).ok()?;
    Some(found.f_bavail.saturating_mul(found.f_frsize))
}
