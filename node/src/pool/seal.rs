//! Sealing: when the transactions that came in become a batch.

use tonle_model::batch::Batch;
use tonle_model::hash::ChainHash;
use tonle_model::key::KeyPair;
use tonle_model::limits;
use tonle_model::transaction::SignedTransaction;
use tonle_model::verified::Verified;

/// A batch is sealed at this size even if more is waiting: several make better use of gossip and
/// verification than one of the largest size.
const SEAL_BYTES: usize = 128 * 1024;
/// A batch is sealed at this age, in milliseconds, while others of ours are undecided.
const SEAL_AFTER_MS: u64 = 4;
/// Bytes around the members: author, number, count, signature.
const OVERHEAD_BYTES: usize = 128;

/// Collects own transactions until they are worth a batch.
pub struct Sealer {
    chain: ChainHash,
    key: KeyPair,
    seq: u64,
    waiting: Vec<Verified<SignedTransaction>>,
    waiting_bytes: usize,
    waiting_since_ms: u64,
}

impl Sealer {
    /// A sealer whose batches are numbered from `first_seq`, which must be above all earlier ones:
    /// the start time in microseconds is.
    pub fn new(chain: ChainHash, key: KeyPair, first_seq: u64) -> Self {
        Self {
            chain,
            key,
            seq: first_seq,
            waiting: Vec::new(),
            waiting_bytes: 0,
            waiting_since_ms: 0,
        }
    }

    /// Adds transactions; returns the batches that are full.
    pub fn add(
        &mut self,
        now_ms: u64,
        transactions: Vec<Verified<SignedTransaction>>,
    ) -> Vec<Verified<Batch>> {
        let mut sealed = Vec::new();
        for transaction in transactions {
            let size = transaction.bytes().len();
            let full = self.waiting_bytes + size + OVERHEAD_BYTES > limits::BATCH_BYTES_MAX
                || self.waiting.len() >= limits::BATCH_TRANSACTIONS_MAX
                || self.waiting_bytes >= SEAL_BYTES;
            if full {
                sealed.extend(self.seal());
            }
            if self.waiting.is_empty() {
                self.waiting_since_ms = now_ms;
            }
            self.waiting_bytes += size;
            self.waiting.push(transaction);
        }
        sealed
    }

    /// Seals what waits if it is time: at once when nothing of ours is undecided, else by size or
    /// age (architecture.md, The way of a payment).
    pub fn seal_due(&mut self, now_ms: u64, idle: bool) -> Option<Verified<Batch>> {
        let due = idle || self.waiting_bytes >= SEAL_BYTES || self.deadline()? <= now_ms;
        if due { self.seal() } else { None }
    }

    /// When what waits is to be sealed at the latest.
    pub fn deadline(&self) -> Option<u64> {
        let waiting = !self.waiting.is_empty();
        waiting.then(|| self.waiting_since_ms.saturating_add(SEAL_AFTER_MS))
    }

    fn seal(&mut self) -> Option<Verified<Batch>> {
        if self.waiting.is_empty() {
            return None;
        }
        self.seq = self.seq.saturating_add(1);
        self.waiting_bytes = 0;
        let members = std::mem::take(&mut self.waiting);
        Some(Batch::seal(&self.chain, &self.key, self.seq, members))
    }
}
