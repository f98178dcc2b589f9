//! What goes into a block, and whether what another leader put into one may stand.

use std::collections::{BTreeMap, HashSet};

use tonle_model::block::{BatchRef, Header};
use tonle_model::bounded::Bounded;
use tonle_model::hash::BatchDigest;
use tonle_model::key::PublicKey;
use tonle_model::limits;

use super::{Decided, HeldBatch, Pool, in_window};

/// What the pool says of a header's batches (consensus.md rule 3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Held, and as they should be.
    Available,
    /// These are not held.
    Missing(Vec<BatchDigest>),
    /// Whoever holds them all finds a rule broken.
    Unusable(&'static str),
}

/// What is left of a block's limits.
struct Room {
    batches: usize,
    bytes: usize,
    signatures: usize,
}

impl Default for Room {
    fn default() -> Self {
        Self {
            batches: limits::HEADER_BATCHES_MAX,
            bytes: limits::BLOCK_BYTES_MAX,
            signatures: limits::BLOCK_SIGNATURES_MAX,
        }
    }
}

impl Room {
    /// Takes a batch's share, if there is enough.
    fn take(&mut self, batch: &HeldBatch) -> Option<()> {
        let batches = self.batches.checked_sub(1)?;
        let bytes = self.bytes.checked_sub(batch.bytes().len())?;
        let signatures = self.signatures.checked_sub(batch.signature_count())?;
        *self = Self { batches, bytes, signatures };
        Some(())
    }
}

impl Pool {
    /// Fills a header's batches with work, in turns among authors by bytes; `None` if there is
    /// none. Who comes first among equals changes with the height.
    pub fn fill(&mut self, template: &Header, state: &impl Decided) -> Option<Header> {
        let mut room = Room::default();
        let mut queues: Vec<Queue> = self.queues.iter().map(|entry| self.queue(entry)).collect();
        let count = queues.len().max(1) as u64;
        queues.rotate_left(usize::try_from(template.height.0 % count).unwrap_or(0));
        let mut chosen: Vec<BatchRef> = Vec::new();
        while let Some(queue) = next_turn(&mut queues) {
            let Some(digest) = queue.left.pop() else { break };
            let Some(batch) = self.live(&digest, template.timestamp_ms, state) else { continue };
            let fits = room.take(&batch).is_some();
            if fits {
                queue.taken += batch.bytes().len();
                chosen.push(batch.reference());
            }
            if !fits || queue.is_poor {
                // This author's next batch waits for the next block; a smaller one of another
                // author may still fit.
                queue.left.clear();
            }
        }
        let batches = Bounded::new(chosen).ok().filter(|batches| !batches.is_empty())?;
        Some(Header { batches, ..template.clone() })
    }

    fn queue(
        &self,
        (author, waiting): (&PublicKey, &BTreeMap<(u64, BatchDigest), usize>),
    ) -> Queue {
        let left = waiting.keys().rev().map(|(_, digest)| *digest).collect();
        Queue { is_poor: self.standings.is_poor(author), taken: 0, left }
    }

    /// Judges the batches of a proposed header.
    pub fn check(&self, header: &Header) -> Verdict {
        let mut room = Room::default();
        let mut seen = HashSet::new();
        let mut missing = Vec::new();
        for reference in &header.batches {
            if !seen.insert(reference.digest) {
                return Verdict::Unusable("a batch stands in the block twice");
            }
            if self.is_decided(&reference.digest) {
                return Verdict::Unusable("a batch is in the chain already");
            }
            let Some(batch) = self.get(&reference.digest) else {
                missing.push(reference.digest);
                continue;
            };
            if batch.reference() != *reference {
                return Verdict::Unusable("a batch's author, number or count is not the batch's");
            }
            if room.take(batch).is_none() {
                return Verdict::Unusable("the batches pass the block limits");
            }
            let timely = |member: &tonle_model::transaction::SignedTransaction| {
                in_window(member.payload(), header.timestamp_ms)
            };
            if !batch.transactions().iter().any(timely) {
                return Verdict::Unusable("a batch has no transaction in its time window");
            }
        }
        if missing.is_empty() { Verdict::Available } else { Verdict::Missing(missing) }
    }

    fn live(
        &mut self,
        digest: &BatchDigest,
        timestamp_ms: u64,
        state: &impl Decided,
    ) -> Option<HeldBatch> {
        let held = self.held.get_mut(digest)?;
        if !held.find_live(timestamp_ms, state) {
            return None;
        }
        let live = held.batch.transactions().get(held.first_live..).unwrap_or_default();
        let timely = live.iter().any(|member| in_window(member.payload(), timestamp_ms));
        timely.then(|| held.batch.clone())
    }
}

/// What an author has waiting while a block is filled.
struct Queue {
    /// Leaders pass over it: it gets one batch, of the room that the others leave.
    is_poor: bool,
    /// Its bytes in the block so far.
    taken: usize,
    /// Its batches, the next one last.
    left: Vec<BatchDigest>,
}

/// The author with the fewest bytes in the block so far, of those that have a batch left; those
/// of poor standing after all others.
fn next_turn(queues: &mut [Queue]) -> Option<&mut Queue> {
    let waiting = queues.iter_mut().filter(|queue| !queue.left.is_empty());
    waiting.min_by_key(|queue| (queue.is_poor, queue.taken))
}
