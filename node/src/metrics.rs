//! What Prometheus reads.

use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use rustix::time::{ClockId, clock_gettime};
use tonle_model::receipt::Outcome;
use tonle_wsv::state::CommittedBlock;

use crate::board::Board;
use crate::network::NetworkHandle;
use crate::tracker::Tracker;

/// Walking the data directory is not free; its size is measured at most this often.
const DISK_MEASURED_EVERY: Duration = Duration::from_secs(1);

/// Counters that no one else keeps.
#[derive(Debug, Default)]
pub struct Metrics {
    blocks: AtomicU64,
    applied: AtomicU64,
    rejected: AtomicU64,
    void: AtomicU64,
    views_failed: AtomicU64,
    refused: AtomicU64,
    disk: Mutex<Option<(Instant, u64)>>,
}

impl Metrics {
    /// A block was committed.
    pub fn count_block(&self, block: &CommittedBlock) {
        let receipts = &block.receipts;
        let applied = receipts.iter().filter(|one| one.outcome == Outcome::Applied).count() as u64;
        self.blocks.fetch_add(1, Relaxed);
        self.applied.fetch_add(applied, Relaxed);
        self.rejected.fetch_add(receipts.len() as u64 - applied, Relaxed);
        self.void.fetch_add(block.voids.len() as u64, Relaxed);
        // A block proposed in view v had v leaders before it that brought nothing.
        self.views_failed.fetch_add(block.header.proposed_view.0.into(), Relaxed);
    }

    /// The gate refused transactions.
    pub fn count_refused(&self, count: u64) {
        self.refused.fetch_add(count, Relaxed);
    }

    fn disk_bytes(&self, directory: &PathBuf) -> u64 {
        let mut disk = self.disk.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        match *disk {
            Some((measured, bytes)) if measured.elapsed() < DISK_MEASURED_EVERY => bytes,
            _ => {
                let bytes = directory_bytes(directory);
                *disk = Some((Instant::now(), bytes));
                bytes
            }
        }
    }
}

/// Where the numbers come from.
pub struct Sources<'a> {
    /// The driver's.
    pub board: &'a Board,
    /// The gate's.
    pub tracker: &'a Tracker,
    /// The network's.
    pub network: &'a NetworkHandle,
    /// The databases.
    pub data_dir: &'a PathBuf,
    /// The last committed height.
    pub height: u64,
}

impl Metrics {
    /// All numbers in Prometheus' text form.
    pub fn render(&self, sources: &Sources<'_>) -> String {
        let mut registry = Registry::default();
        let Sources { board, tracker, network, data_dir, height } = sources;
        let (pool_batches, pool_bytes) = board.pool();
        let mut counter = |name: &str, help: &str, value: u64| {
            registry.register(name, help, ConstCounter::new(value));
        };
        counter("tonle_blocks", "Blocks committed since start", self.blocks.load(Relaxed));
        counter("tonle_transactions_applied", "Applied since start", self.applied.load(Relaxed));
        counter("tonle_transactions_rejected", "Rejected since start", self.rejected.load(Relaxed));
        counter("tonle_transactions_void", "Void in their block", self.void.load(Relaxed));
        counter("tonle_transactions_refused", "Refused at the gate", self.refused.load(Relaxed));
        counter(
            "tonle_views_failed",
            "Views left without a block",
            self.views_failed.load(Relaxed),
        );
        counter("tonle_synced_writes", "Synced writes of the chain", board.synced_writes());
        counter("tonle_bad_batches", "Invalid batches from peers", board.bad_batches());
        counter("tonle_bad_frames", "Frames that are no message", board.bad_frames());
        counter("tonle_evidence", "Contradicting signatures seen", board.evidence());
        counter("tonle_alarms", "Alarms", board.alarms());
        counter(
            "tonle_snapshot_sources_dropped",
            "Peers that lied or fell silent while this node joined",
            board.dropped_sources(),
        );
        let net = network.counters();
        for (name, help, one) in [
            ("refused_peers", "Peers that are not let in", &net.refused_peers),
            ("refused_connections", "Connections past a limit", &net.refused_connections),
            ("failed_handshakes", "Garbage, silence, scanners", &net.failed_handshakes),
            ("wrong_chain", "Peers of another network", &net.wrong_chain),
            ("oversized_frames", "Frames past the limit", &net.oversized_frames),
            ("broken_links", "Links closed for bad framing", &net.broken_links),
            ("bad_announcements", "Announcements rejected", &net.bad_announcements),
            ("dropped_consensus", "Frames dropped, queue full", &net.dropped_full_consensus),
            ("dropped_bulk", "Frames dropped, queue full", &net.dropped_full_bulk),
            ("frames_in", "Frames received", &net.frames_in),
            ("frames_out", "Frames sent", &net.frames_out),
            ("bytes_in", "Bytes received in frames", &net.bytes_in),
            ("bytes_out", "Bytes sent in frames", &net.bytes_out),
        ] {
            counter(&format!("tonle_network_{name}"), help, one.get());
        }
        let seconds = cpu_seconds();
        registry.register(
            "process_cpu_seconds",
            "User and system CPU time spent",
            ConstCounter::new(seconds),
        );
        let mut gauge = |name: &str, help: &str, value: u64| {
            registry.register(name, help, ConstGauge::new(value));
        };
        gauge("tonle_height", "Last committed height", *height);
        gauge("tonle_view", "View of the height being decided", board.view().0.into());
        gauge("tonle_pool_batches", "Undecided batches", pool_batches);
        gauge("tonle_pool_bytes", "Bytes of undecided batches", pool_bytes);
        gauge("tonle_authors_passed_over", "Their batches were mostly void", board.passed_over());
        gauge("tonle_queued", "Own transactions not yet decided", tracker.queued() as u64);
        gauge("tonle_blocks_ahead", "Sent as final, not yet here", board.blocks_ahead());
        gauge("tonle_peers", "Connected nodes", network.connected().len() as u64);
        gauge("tonle_disk_bytes", "Size of the databases", self.disk_bytes(data_dir));
        gauge("process_resident_memory_bytes", "Resident memory", resident_bytes());
        let mut text = String::new();
        // Writing to a string does not fail.
        let _infallible = encode(&mut text, &registry);
        text
    }
}

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Resident memory, where the system says; 0 elsewhere.
fn resident_bytes() -> u64 {
    let pages = || {
        let text = std::fs::read_to_string("/proc/self/statm").ok()?;
        text.split_whitespace().nth(1)?.parse::<u64>().ok()
    };
    pages().unwrap_or(0).saturating_mul(rustix::param::page_size() as u64)
}

/// The bytes of all files below a directory; files that go away meanwhile do not count.
fn directory_bytes(directory: &PathBuf) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => directory_bytes(&entry.path()),
        Ok(data) => data.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}
