//! The one signature rule: ZIP-215, single or batched (ledger.md, Transaction).
//!
//! A signature (R, S) over M under A is valid if S is canonical, A and R decompress (non-canonical
//! encodings included) and `[8]([S]B - R - [k]A) = 0` with `k = SHA-512(R ‖ A ‖ M)` over the bytes
//! as given. The cofactor makes a batch accept exactly what its members alone would be accepted
//! for, so that validators never disagree by how they grouped their work.

use std::sync::Mutex;

use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::{CompressedEdwardsY, EdwardsPoint};
use curve25519_dalek::scalar::Scalar;
use curve25519_dalek::traits::{IsIdentity, VartimeMultiscalarMul};
use sha2::{Digest, Sha512};

use crate::hash::TaggedHasher;
use crate::key::{PublicKey, Signature};
use crate::tags;

/// Most decompressed keys kept: about 15 MiB.
const CACHED_KEYS_MAX: usize = 65_536;

/// Signatures per equation: past this, a bigger one saves little and blames slower.
const EQUATION_MAX: usize = 256;

/// One signature to check.
#[derive(Debug, Clone, Copy)]
pub struct Claim<'a> {
    /// Who is said to have signed.
    pub public_key: &'a PublicKey,
    /// What is said to be signed.
    pub message: &'a [u8],
    /// The signature.
    pub signature: &'a Signature,
}

/// Checks signatures, and remembers the points of keys it has seen.
#[derive(Default)]
pub struct Verifier {
    points: Mutex<PointCache>,
}

#[derive(Default)]
struct PointCache {
    points: std::collections::HashMap<PublicKey, EdwardsPoint>,
}

/// A claim ready for an equation.
struct Term {
    key: EdwardsPoint,
    r: EdwardsPoint,
    s: Scalar,
    k: Scalar,
}

impl Verifier {
    /// A verifier that has seen nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether one signature is valid.
    pub fn verify(&self, public_key: &PublicKey, message: &[u8], signature: &Signature) -> bool {
        let claim = Claim { public_key, message, signature };
        self.prepare(&claim).is_some_and(|term| holds_alone(&term))
    }

    /// Checks many signatures at once. `Err` has the position of every invalid one, ascending, and
    /// of no other.
    pub fn verify_batch(&self, claims: &[Claim<'_>]) -> Result<(), Vec<usize>> {
        let mut invalid = Vec::new();
        for (chunk_index, chunk) in claims.chunks(EQUATION_MAX).enumerate() {
            let first = chunk_index * EQUATION_MAX;
            self.check_chunk(chunk, |position| invalid.push(first + position));
        }
        if invalid.is_empty() { Ok(()) } else { Err(invalid) }
    }

    fn check_chunk(&self, claims: &[Claim<'_>], mut blame: impl FnMut(usize)) {
        let terms: Vec<_> = claims.iter().map(|claim| self.prepare(claim)).collect();
        let all_decode = terms.iter().all(Option::is_some);
        let decoded: Vec<_> = terms.iter().flatten().collect();
        if all_decode && holds_together(claims, &decoded) {
            return;
        }
        for (position, term) in terms.iter().enumerate() {
            if !term.as_ref().is_some_and(holds_alone) {
                blame(position);
            }
        }
    }

    /// Decodes a claim; `None` if S is not canonical or a point does not exist.
    fn prepare(&self, claim: &Claim<'_>) -> Option<Term> {
        let (r_bytes, s_bytes) = claim.signature.0.split_at(32);
        let s = Option::from(Scalar::from_canonical_bytes(s_bytes.try_into().ok()?))?;
        let r = CompressedEdwardsY(r_bytes.try_into().ok()?).decompress()?;
        let key = self.point(claim.public_key)?;
        let hash = Sha512::new()
            .chain_update(r_bytes)
            .chain_update(claim.public_key.0)
            .chain_update(claim.message)
            .finalize();
        let k = Scalar::from_bytes_mod_order_wide(&hash.into());
        Some(Term { key, r, s, k })
    }

    fn point(&self, key: &PublicKey) -> Option<EdwardsPoint> {
        if let Some(point) = self.cache().points.get(key) {
            return Some(*point);
        }
        let point = CompressedEdwardsY(key.0).decompress()?;
        let mut cache = self.cache();
        if cache.points.len() >= CACHED_KEYS_MAX {
            // Rare and cheap to refill; an eviction order would cost more on every hit.
            cache.points.clear();
        }
        cache.points.insert(*key, point);
        Some(point)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, PointCache> {
        // Nothing panics while the map is borrowed; a poisoned cache is still a correct one.
        self.points.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

fn holds_alone(term: &Term) -> bool {
    let difference =
        EdwardsPoint::vartime_double_scalar_mul_basepoint(&-term.k, &term.key, &term.s) - term.r;
    difference.mul_by_cofactor().is_identity()
}

/// `[8]([Σ zS]B - Σ [z]R - Σ [zk]A) = 0` for unpredictable 128-bit z.
fn holds_together(claims: &[Claim<'_>], terms: &[&Term]) -> bool {
    let coefficients = coefficients(claims);
    let mut base = Scalar::ZERO;
    let mut scalars = Vec::with_capacity(2 * terms.len() + 1);
    let mut points = Vec::with_capacity(2 * terms.len() + 1);
    // Terms of one key share a multiplication: batches repeat their busy accounts.
    let mut key_positions = std::collections::HashMap::new();
    for ((term, claim), z) in terms.iter().zip(claims).zip(&coefficients) {
        base += z * term.s;
        scalars.push(-z);
        points.push(term.r);
        let share = -(z * term.k);
        let position = *key_positions.entry(claim.public_key).or_insert_with(|| {
            scalars.push(Scalar::ZERO);
            points.push(term.key);
            scalars.len() - 1
        });
        scalars[position] += share;
    }
    scalars.push(base);
    points.push(ED25519_BASEPOINT_POINT);
    EdwardsPoint::vartime_multiscalar_mul(&scalars, &points).mul_by_cofactor().is_identity()
}

/// Coefficients that whoever made the signatures could not foresee: derived from all of them.
fn coefficients(claims: &[Claim<'_>]) -> Vec<Scalar> {
    let mut transcript = TaggedHasher::new(tags::BATCH_CHECK);
    for claim in claims {
        let length = (claim.message.len() as u64).to_le_bytes();
        transcript = transcript
            .part(claim.public_key.0)
            .part(claim.signature.0)
            .part(length)
            .part(claim.message);
    }
    let seed = transcript.finish();
    let mut coefficients = Vec::with_capacity(claims.len());
    for counter in 0..claims.len().div_ceil(4) as u64 {
        let block = Sha512::new().chain_update(seed).chain_update(counter.to_le_bytes()).finalize();
        for quarter in block.chunks_exact(16) {
            let mut wide = [0u8; 32];
            wide[..16].copy_from_slice(quarter);
            coefficients.push(Scalar::from_bytes_mod_order(wide));
        }
    }
    coefficients.truncate(claims.len());
    coefficients
}
