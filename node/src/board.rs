//! What the driver shows to the rest of the node: numbers, and why it does not vote; written by one
//! thread and read by any.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};

use tonle_client::api::SyncProgress;
use tonle_model::number::{Height, View};

/// The board. Each number stands alone; readers need no consistent picture.
#[derive(Debug, Default)]
pub struct Board {
    height: AtomicU64,
    view: AtomicU64,
    pool_batches: AtomicU64,
    pool_bytes: AtomicU64,
    own_bytes: AtomicU64,
    passed_over: AtomicU64,
    blocks_ahead: AtomicU64,
    synced_writes: AtomicU64,
    bad_batches: AtomicU64,
    bad_frames: AtomicU64,
    evidence: AtomicU64,
    alarms: AtomicU64,
    dropped_sources: AtomicU64,
    observer: OnceLock<String>,
    /// Not before the driver said so.
    settled: AtomicBool,
    disk_full: AtomicBool,
    sync: Mutex<Option<SyncProgress>>,
}

macro_rules! counters {
    ($($(#[$doc:meta])* $count:ident, $get:ident, $field:ident;)*) => {
        impl Board {$(
            $(#[$doc])*
            pub fn $count(&self) {
                self.$field.fetch_add(1, Relaxed);
            }

            $(#[$doc])*
            pub fn $get(&self) -> u64 {
                self.$field.load(Relaxed)
            }
        )*}
    };
}

counters! {
    /// Synced writes of the chain database.
    count_synced_write, synced_writes, synced_writes;
    /// Batches that broke a rule.
    count_bad_batch, bad_batches, bad_batches;
    /// Frames that are no message.
    count_bad_frame, bad_frames, bad_frames;
    /// Validators caught contradicting themselves.
    count_evidence, evidence, evidence;
    /// Alarms that an operator must hear of.
    count_alarm, alarms, alarms;
    /// Peers that were dropped while this node joined from a snapshot.
    count_dropped_source, dropped_sources, dropped_sources;
}

impl Board {
    /// Where the driver is after a turn.
    pub(crate) fn update(
        &self,
        height: Height,
        view: View,
        pool_batches: usize,
        pool_bytes: usize,
        blocks_ahead: u64,
    ) {
        self.height.store(height.0, Relaxed);
        self.view.store(view.0.into(), Relaxed);
        self.pool_batches.store(pool_batches as u64, Relaxed);
        self.pool_bytes.store(pool_bytes as u64, Relaxed);
        self.blocks_ahead.store(blocks_ahead, Relaxed);
    }

    /// The height being decided.
    pub fn height(&self) -> Height {
        Height(self.height.load(Relaxed))
    }

    /// The view of that height.
    pub fn view(&self) -> View {
        View(u32::try_from(self.view.load(Relaxed)).unwrap_or(u32::MAX))
    }

    /// Undecided batches and their bytes.
    pub fn pool(&self) -> (u64, u64) {
        (self.pool_batches.load(Relaxed), self.pool_bytes.load(Relaxed))
    }

    /// Undecided bytes of this node's own batches.
    pub fn own_bytes(&self) -> u64 {
        self.own_bytes.load(Relaxed)
    }

    pub(crate) fn set_own_bytes(&self, bytes: usize) {
        self.own_bytes.store(bytes as u64, Relaxed);
    }

    /// Authors whose batches were mostly void of late.
    pub fn passed_over(&self) -> u64 {
        self.passed_over.load(Relaxed)
    }

    pub(crate) fn set_passed_over(&self, authors: usize) {
        self.passed_over.store(authors as u64, Relaxed);
    }

    /// Blocks that wait until their height comes: those who sent them say that they are final.
    pub fn blocks_ahead(&self) -> u64 {
        self.blocks_ahead.load(Relaxed)
    }

    /// So many peers were dropped while this node joined.
    #[cfg(feature = "disk")]
    pub(crate) fn add_dropped_sources(&self, count: u64) {
        (0..count).for_each(|_| self.count_dropped_source());
    }

    /// This validator does not vote any more, for the first of the reasons that are given.
    pub(crate) fn set_observer(&self, reason: String) {
        self.observer.get_or_init(|| reason);
    }

    /// Whether it does not.
    pub fn is_observer(&self) -> bool {
        self.observer.get().is_some()
    }

    /// Why it does not.
    pub fn why_observer(&self) -> Option<&str> {
        self.observer.get().map(String::as_str)
    }

    /// Whether the node still asks others for its own latest vote.
    pub(crate) fn set_recovering(&self, recovering: bool) {
        self.settled.store(!recovering, Relaxed);
    }

    /// Whether it does.
    pub fn is_recovering(&self) -> bool {
        !self.settled.load(Relaxed)
    }

    /// How far the node is with catching up, if it is far behind.
    pub(crate) fn set_sync(&self, sync: Option<SyncProgress>) {
        *self.sync.lock().unwrap_or_else(PoisonError::into_inner) = sync;
    }

    /// How far it is.
    pub fn sync(&self) -> Option<SyncProgress> {
        *self.sync.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the disk has less free space than the reserve.
    pub fn set_disk_full(&self, full: bool) {
        self.disk_full.store(full, Relaxed);
    }

    /// Whether it has.
    pub fn is_disk_full(&self) -> bool {
        self.disk_full.load(Relaxed)
    }
}
