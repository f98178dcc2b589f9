//! What the network counted, for metrics and for tests.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that many threads change and anyone reads.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// The value now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn add(&self, amount: usize) {
        self.0.fetch_add(amount as u64, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: usize) {
        self.0.store(value as u64, Ordering::Relaxed);
    }
}

/// Everything the network counts. All but [`connections`](Self::connections) only grow.
#[derive(Debug, Default)]
pub struct NetworkCounters {
    /// Peers connected and greeted now.
    pub connections: Counter,
    /// Connections refused because the peer is neither a validator nor a listed observer.
    pub refused_peers: Counter,
    /// Connections refused by a limit, or because the peer was blamed a moment ago.
    pub refused_connections: Counter,
    /// Inbound connections that never got through Noise and Yamux: garbage, silence, scanners.
    pub failed_handshakes: Counter,
    /// Connections closed because the peer greeted with another chain's hash.
    pub wrong_chain: Counter,
    /// Connections closed because a frame claimed more than the limit.
    pub oversized_frames: Counter,
    /// Connections closed for any other breach of the framing, or for silence.
    pub broken_links: Counter,
    /// Announcements that the node rejected.
    pub bad_announcements: Counter,
    /// Announcements of our own that found no subscribed peer or a full queue.
    pub dropped_announcements: Counter,
    /// Consensus frames dropped because the peer's queue was full.
    pub dropped_full_consensus: Counter,
    /// Bulk frames dropped because the peer's queue was full.
    pub dropped_full_bulk: Counter,
    /// Frames given to the node.
    pub frames_in: Counter,
    /// Frames taken from the queues for writing.
    pub frames_out: Counter,
    /// Bytes of frames given to the node.
    pub bytes_in: Counter,
    /// Bytes of frames taken from the queues for writing.
    pub bytes_out: Counter,
}
