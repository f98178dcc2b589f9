//! Which transactions were used already, within their windows (ledger.md, Transaction).
//!
//! In memory. What has expired is void for that reason alone, so forgetting it late changes
//! nothing, and hashes are kept by when they expire, whole spans being dropped at once.
//!
//! Half of each hash is kept, which halves the memory. That is part of the rules: two transactions
//! that agree in 16 bytes count as one. To make a pair takes 2^64 hashes and voids but the second
//! of one's own; to hit another's takes 2^128.

use std::collections::{BTreeMap, HashMap, HashSet};

use tonle_model::hash::{Digest256, TaggedHasher, TransactionHash};
use tonle_model::id::AccountId;
use tonle_model::limits;
use tonle_model::string::Text;
use tonle_model::tags;

use parity_scale_codec::Encode;

/// Hashes are dropped together with those that expire within so many milliseconds.
const SPAN_MS: u64 = 8_192;

/// What is kept of a hash.
pub type Trace = [u8; 16];

/// What is kept of one.
pub fn trace(hash: &TransactionHash) -> Trace {
    hash.as_ref().first_chunk().copied().unwrap_or_default()
}

/// A reference, as something to compare: an authority uses each once within a window.
pub fn reference_digest(
    authority: &AccountId,
    reference: &Text<{ limits::REFERENCE_BYTES_MAX }>,
) -> Digest256 {
    TaggedHasher::new(tags::REFERENCE).part((authority, reference).encode()).finish()
}

/// What was used and has not expired.
#[derive(Debug, Default)]
pub struct Window {
    /// By span of expiry. A hash has one expiry, so it can stand in one span only.
    hashes: BTreeMap<u64, HashSet<Trace>>,
    /// With the expiry of the transaction that used them. Looked up, never iterated.
    references: HashMap<Digest256, u64>,
    /// References by span of expiry.
    reference_spans: BTreeMap<u64, Vec<Digest256>>,
}

impl Window {
    /// Whether a transaction that expires at `expires_ms` was used.
    pub fn has_hash(&self, hash: &TransactionHash, expires_ms: u64) -> bool {
        self.hashes.get(&(expires_ms / SPAN_MS)).is_some_and(|hashes| hashes.contains(&trace(hash)))
    }

    /// Whether a reference was used by a transaction that has not expired at `time_ms`.
    pub fn has_reference(&self, reference: &Digest256, time_ms: u64) -> bool {
        self.references.get(reference).is_some_and(|expires_ms| *expires_ms >= time_ms)
    }

    /// Notes a transaction as used.
    pub fn insert(&mut self, hash: TransactionHash, expires_ms: u64, references: &[Digest256]) {
        let span = expires_ms / SPAN_MS;
        self.hashes.entry(span).or_default().insert(trace(&hash));
        for reference in references {
            self.references.insert(*reference, expires_ms);
            self.reference_spans.entry(span).or_default().push(*reference);
        }
    }

    /// Forgets what has expired at a block time.
    pub fn evict(&mut self, time_ms: u64) {
        let span = time_ms / SPAN_MS;
        self.hashes = self.hashes.split_off(&span);
        let kept = self.reference_spans.split_off(&span);
        for reference in std::mem::replace(&mut self.reference_spans, kept).into_values().flatten()
        {
            // It may have been used again since, by a transaction that expires later.
            if !self.has_reference(&reference, span * SPAN_MS) {
                self.references.remove(&reference);
            }
        }
    }

    /// How many hashes are held.
    pub fn count(&self) -> usize {
        self.hashes.values().map(HashSet::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(number: u8) -> TransactionHash {
        TransactionHash(Digest256([number; 32]))
    }

    #[test]
    fn what_has_not_expired_is_remembered() {
        let mut window = Window::default();
        let reference = Digest256([7; 32]);
        window.insert(hash(1), 100_000, &[reference]);
        window.insert(hash(2), 200_000, &[]);
        window.evict(100_000);
        assert!(window.has_hash(&hash(1), 100_000));
        assert!(window.has_reference(&reference, 100_000));
        assert!(!window.has_reference(&reference, 100_001), "usable again after the window");
        window.evict(150_000);
        assert!(!window.has_hash(&hash(1), 100_000));
        assert!(window.has_hash(&hash(2), 200_000));
        assert_eq!(window.count(), 1);
        assert!(window.references.is_empty());
    }

    #[test]
    fn half_a_hash_is_what_counts() {
        let mut window = Window::default();
        let mut other = [1; 32];
        other[31] = 2;
        window.insert(hash(1), 100_000, &[]);
        assert!(window.has_hash(&TransactionHash(Digest256(other)), 100_000));
        other[15] = 2;
        assert!(!window.has_hash(&TransactionHash(Digest256(other)), 100_000));
    }

    #[test]
    fn a_reference_used_again_outlives_its_first_use() {
        let mut window = Window::default();
        let reference = Digest256([7; 32]);
        window.insert(hash(1), 100_000, &[reference]);
        window.insert(hash(2), 300_000, &[reference]);
        window.evict(200_000);
        assert!(window.has_reference(&reference, 200_000));
        window.evict(400_000);
        assert!(window.references.is_empty());
    }
}
