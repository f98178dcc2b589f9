//! Watching the disk (consensus.md, What is durable before what). Below the reserve of free space a
//! node takes nothing in and votes nothing, and goes on by itself when there is room again; a
//! failure ends it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tonle_wsv::store::{OnFailure, StoreError};

use crate::board::Board;
use crate::driver::{Event, EventSender};

/// How often the disk is asked.
const EVERY: Duration = Duration::from_millis(500);

/// For the databases to tell of their first failure, and for the node to hear of it.
pub fn failures() -> (OnFailure, watch::Receiver<Option<StoreError>>) {
    let (sender, receiver) = watch::channel(None);
    let tell = move |error: &StoreError| {
        sender.send_if_modified(|first: &mut Option<StoreError>| {
            let is_first = first.is_none();
            first.get_or_insert_with(|| error.clone());
            is_first
        });
    };
    (Arc::new(tell), receiver)
}

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

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;
    use std::path::Path;

    use super::*;

    /// Longer than a look at the disk ever takes.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn the_first_failure_is_the_one_that_is_told() {
        let (tell, told) = failures();
        assert!(told.borrow().is_none());
        tell(&StoreError::Io("one".into()));
        tell(&StoreError::Io("two".into()));
        assert_eq!(told.borrow().as_ref().unwrap().to_string(), "the disk failed: one");
    }

    fn lead(path: &Path, to: &Path) {
        let next = path.with_extension("next");
        symlink(to, &next).unwrap();
        std::fs::rename(&next, path).unwrap();
    }

    /// What is asked is the file system that the directory is on, each time anew: that of `/proc`
    /// never has a byte free.
    #[test]
    fn a_full_disk_pauses_and_room_goes_on() {
        let roomy = tempfile::tempdir().unwrap();
        let path = roomy.path().join("data");
        lead(&path, Path::new("/proc"));
        let board = Arc::new(Board::default());
        let (sender, events) = crossbeam_channel::unbounded();
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).enable_all().build().unwrap();
        let _watching = runtime.spawn(watch(path.clone(), 1, board.clone(), sender));
        let told = events.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(told, Event::Paused(true)) && board.is_disk_full(), "{told:?}");
        lead(&path, roomy.path());
        let told = events.recv_timeout(PATIENCE).unwrap();
        assert!(matches!(told, Event::Paused(false)) && !board.is_disk_full(), "{told:?}");
    }
}
