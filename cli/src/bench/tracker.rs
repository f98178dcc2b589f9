//! What became of each transfer, and how long it took.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use tonle_client::api::BlockReceipts;
use tonle_model::hash::TransactionHash;
use tonle_model::receipt::Outcome;

use super::presign::Chunk;
use crate::error::CliError;

/// Longest latency that is told apart, in microseconds.
const LATENCY_US_MAX: u64 = 600_000_000;

/// Where one transfer stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Still here.
    Waiting,
    /// Sent at so many microseconds; nobody said anything yet.
    Sent(u64),
    /// A node took it; sent at so many microseconds.
    Taken(u64),
    /// Refused for good.
    Refused,
    /// In a block, and in effect.
    Applied,
    /// In a block, without effect.
    Rejected,
}

/// All transfers of a run.
pub struct Tracker {
    start: Instant,
    stages: Vec<Stage>,
    hashes: Vec<TransactionHash>,
    /// From the first 8 bytes of a hash, which are as good as random, to its number.
    numbers: HashMap<u64, usize, BuildHasherDefault<Prefix>>,
    latency_us: Histogram<u64>,
    first_sent: Option<Instant>,
    last_seen: Option<Instant>,
    /// Sent and not yet in a block or refused.
    pub in_flight: usize,
    /// In effect.
    pub applied: u64,
    /// In a block without effect.
    pub rejected: u64,
    /// Refused for good by a node.
    pub refused: u64,
    /// In a block a second time: must never be.
    pub repeated: u64,
    /// Blocks with transfers of this run.
    pub blocks: u64,
}

/// A key that is random already needs no hashing.
#[derive(Default)]
pub struct Prefix(u64);

impl Hasher for Prefix {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

fn prefix(hash: &TransactionHash) -> u64 {
    hash.as_ref().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

impl Tracker {
    /// Nothing is sent yet.
    pub fn new(chunks: &[Chunk]) -> Result<Self, CliError> {
        let hashes: Vec<_> = chunks.iter().flat_map(|chunk| chunk.hashes.iter().copied()).collect();
        let numbers: HashMap<_, _, _> =
            hashes.iter().enumerate().map(|(number, hash)| (prefix(hash), number)).collect();
        if numbers.len() != hashes.len() {
            return Err(CliError::failed("two transfers look alike; try again"));
        }
        let latency_us = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)
            .map_err(|error| CliError::failed(error.to_string()))?;
        Ok(Self {
            start: Instant::now(),
            stages: vec![Stage::Waiting; hashes.len()],
            hashes,
            numbers,
            latency_us,
            first_sent: None,
            last_seen: None,
            in_flight: 0,
            applied: 0,
            rejected: 0,
            refused: 0,
            repeated: 0,
            blocks: 0,
        })
    }

    fn micros(&self, at: Instant) -> u64 {
        let since = at.saturating_duration_since(self.start);
        u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
    }

    /// A transfer goes out. What is sent again keeps its first time.
    pub fn sent(&mut self, number: usize, at: Instant) {
        let micros = self.micros(at);
        self.first_sent.get_or_insert(at);
        if let Some(stage @ Stage::Waiting) = self.stages.get_mut(number) {
            *stage = Stage::Sent(micros);
            self.in_flight += 1;
        }
    }

    /// A node took it.
    pub fn taken(&mut self, number: usize) {
        if let Some(stage) = self.stages.get_mut(number)
            && let Stage::Sent(at) = *stage
        {
            *stage = Stage::Taken(at);
        }
    }

    /// A node refused it for good.
    pub fn refused(&mut self, number: usize) {
        if let Some(stage) = self.stages.get_mut(number)
            && let Stage::Sent(_) = *stage
        {
            *stage = Stage::Refused;
            self.in_flight -= 1;
            self.refused += 1;
        }
    }

    /// A block was seen.
    pub fn block(&mut self, block: &BlockReceipts, at: Instant) {
        let now = self.micros(at);
        let mut ours = false;
        for receipt in &block.receipts {
            let Some(number) = self.number(&receipt.transaction) else { continue };
            let Some(stage) = self.stages.get_mut(number) else { continue };
            ours = true;
            match *stage {
                Stage::Sent(sent) | Stage::Taken(sent) => {
                    self.in_flight -= 1;
                    let latency = now.saturating_sub(sent).max(1);
                    match receipt.outcome {
                        Outcome::Applied => {
                            *stage = Stage::Applied;
                            self.applied += 1;
                            // Saturating at ten minutes, when transfers have expired anyway.
                            self.latency_us.saturating_record(latency);
                        }
                        Outcome::Rejected { .. } => {
                            *stage = Stage::Rejected;
                            self.rejected += 1;
                        }
                    }
                }
                // Refused and yet in a block would be as wrong as twice in one.
                _ => self.repeated += 1,
            }
        }
        if ours {
            self.blocks += 1;
            self.last_seen = Some(at);
        }
    }

    fn number(&self, hash: &TransactionHash) -> Option<usize> {
        let number = *self.numbers.get(&prefix(hash))?;
        (self.hashes.get(number) == Some(hash)).then_some(number)
    }

    /// How many were sent.
    pub fn sent_count(&self) -> u64 {
        self.stages.iter().filter(|stage| **stage != Stage::Waiting).count() as u64
    }

    /// How many a node took that are in no block.
    pub fn lost(&self) -> u64 {
        self.stages.iter().filter(|stage| matches!(stage, Stage::Taken(_))).count() as u64
    }

    /// The numbers of those in effect.
    pub fn applied_numbers(&self) -> impl Iterator<Item = usize> {
        let stages = self.stages.iter().enumerate();
        stages.filter(|(_, stage)| **stage == Stage::Applied).map(|(number, _)| number)
    }

    /// From the first transfer sent to the last one seen in a block.
    pub fn duration(&self) -> Duration {
        match (self.first_sent, self.last_seen) {
            (Some(first), Some(last)) => last.saturating_duration_since(first),
            _ => Duration::ZERO,
        }
    }

    /// A percentile of the latency, in milliseconds.
    pub fn latency_ms(&self, percentile: f64) -> f64 {
        self.latency_us.value_at_percentile(percentile) as f64 / 1000.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::hash::Digest256;
    use tonle_model::number::Height;
    use tonle_model::receipt::{Receipt, RejectionCode};

    fn tracker(count: u8) -> Tracker {
        let hashes = (0..count).map(|n| TransactionHash(Digest256([n; 32]))).collect();
        let chunk = Chunk { first: 0, body: bytes::Bytes::new(), ends: Vec::new(), hashes };
        Tracker::new(&[chunk]).unwrap()
    }

    fn block(receipts: &[(u8, Outcome)]) -> BlockReceipts {
        let receipt = |(n, outcome): &(u8, Outcome)| Receipt {
            transaction: TransactionHash(Digest256([*n; 32])),
            outcome: *outcome,
        };
        BlockReceipts { height: Height(1), receipts: receipts.iter().map(receipt).collect() }
    }

    const REJECTED: Outcome = Outcome::Rejected { code: RejectionCode::Internal, step: 0 };

    #[test]
    fn only_what_was_applied_counts() {
        let mut tracker = tracker(5);
        let start = tracker.start;
        (0..4).for_each(|n| tracker.sent(n, start));
        (0..4).for_each(|n| tracker.taken(n));
        let at = start + Duration::from_millis(80);
        tracker.block(&block(&[(0, Outcome::Applied), (1, REJECTED), (9, Outcome::Applied)]), at);
        assert_eq!((tracker.applied, tracker.rejected, tracker.in_flight), (1, 1, 2));
        assert_eq!((tracker.sent_count(), tracker.lost(), tracker.blocks), (4, 2, 1));
        assert_eq!(tracker.applied_numbers().collect::<Vec<_>>(), [0]);
        assert_eq!(tracker.duration(), Duration::from_millis(80));
        assert!((79.0..81.0).contains(&tracker.latency_ms(50.0)));
    }

    #[test]
    fn twice_in_a_block_is_noticed() {
        let mut tracker = tracker(1);
        tracker.sent(0, tracker.start);
        let at = tracker.start;
        tracker.block(&block(&[(0, Outcome::Applied)]), at);
        tracker.block(&block(&[(0, Outcome::Applied)]), at);
        assert_eq!((tracker.applied, tracker.repeated, tracker.in_flight), (1, 1, 0));
    }

    #[test]
    fn what_is_sent_again_keeps_its_first_time() {
        let mut tracker = tracker(1);
        let start = tracker.start;
        tracker.sent(0, start);
        tracker.sent(0, start + Duration::from_secs(1));
        tracker.block(&block(&[(0, Outcome::Applied)]), start + Duration::from_secs(2));
        assert!(tracker.latency_ms(50.0) > 1_990.0);
        assert_eq!(tracker.in_flight, 0);
    }

    #[test]
    fn a_refusal_is_final_and_never_lost() {
        let mut tracker = tracker(1);
        tracker.sent(0, tracker.start);
        tracker.refused(0);
        assert_eq!((tracker.refused, tracker.lost(), tracker.in_flight), (1, 0, 0));
    }
}
