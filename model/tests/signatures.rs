//! One signature rule: single and batched checks agree with each other and with ed25519-zebra, an
//! independent implementation of ZIP-215, on everything.
//!
//! `TONLE_CASES` sets how many random cases run; `make signatures` runs a million.

use curve25519_dalek::constants::{ED25519_BASEPOINT_POINT, EIGHT_TORSION};
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use sha2::{Digest, Sha512};
use tonle_model::key::{PublicKey, Signature};
use tonle_model::verify::{Claim, Verifier};

const CASES: usize = 6_000;
const BATCH: usize = 64;

struct Case {
    public_key: PublicKey,
    message: Vec<u8>,
    signature: Signature,
}

impl Case {
    fn claim(&self) -> Claim<'_> {
        Claim { public_key: &self.public_key, message: &self.message, signature: &self.signature }
    }

    fn oracle(&self) -> bool {
        let signature = ed25519_zebra::Signature::from(self.signature.0);
        ed25519_zebra::VerificationKey::try_from(self.public_key.0)
            .is_ok_and(|key| key.verify(&signature, &self.message).is_ok())
    }
}

/// A stream of numbers from one seed.
struct Random {
    seed: u64,
    counter: u64,
}

impl Random {
    fn bytes(&mut self) -> [u8; 64] {
        self.counter += 1;
        let hash = Sha512::new().chain_update(self.seed.to_le_bytes());
        hash.chain_update(self.counter.to_le_bytes()).finalize().into()
    }

    fn below(&mut self, bound: usize) -> usize {
        let bytes = self.bytes();
        usize::from(u16::from_le_bytes([bytes[0], bytes[1]])) % bound
    }

    fn scalar(&mut self) -> Scalar {
        Scalar::from_bytes_mod_order_wide(&self.bytes())
    }
}

fn challenge(r: &[u8; 32], a: &[u8; 32], message: &[u8]) -> Scalar {
    let hash = Sha512::new().chain_update(r).chain_update(a).chain_update(message).finalize();
    Scalar::from_bytes_mod_order_wide(&hash.into())
}

fn join(r: &[u8; 32], s: &[u8; 32]) -> Signature {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(r);
    bytes[32..].copy_from_slice(s);
    Signature(bytes)
}

/// Signs so that the equation holds up to torsion: `a` and `r` are encodings as given.
fn sign_as(secret: &Scalar, nonce: &Scalar, a: [u8; 32], r: [u8; 32], message: Vec<u8>) -> Case {
    let s = nonce + challenge(&r, &a, &message) * secret;
    Case { public_key: PublicKey(a), message, signature: join(&r, s.as_bytes()) }
}

/// The 8 canonical and 6 non-canonical encodings of points of small order.
fn small_order_encodings() -> Vec<[u8; 32]> {
    let mut encodings: Vec<[u8; 32]> =
        EIGHT_TORSION.iter().map(|point| point.compress().0).collect();
    let with = |first: u8, middle: u8, last: u8| {
        let mut bytes = [middle; 32];
        bytes[0] = first;
        bytes[31] = last;
        bytes
    };
    // x = 0 with the sign bit set, for y = 1 and y = -1; then y = p and y = p + 1, either sign.
    encodings.extend([with(0x01, 0, 0x80), with(0xec, 0xff, 0xff)]);
    encodings.extend([with(0xed, 0xff, 0x7f), with(0xed, 0xff, 0xff)]);
    encodings.extend([with(0xee, 0xff, 0x7f), with(0xee, 0xff, 0xff)]);
    encodings
}

fn random_case(random: &mut Random) -> Case {
    let (secret, nonce) = (random.scalar(), random.scalar());
    let message = random.bytes()[..random.below(64)].to_vec();
    let point = |scalar: &Scalar| ED25519_BASEPOINT_POINT * scalar;
    let torsion = |random: &mut Random| -> EdwardsPoint { EIGHT_TORSION[random.below(8)] };
    let (a, r) = (point(&secret), point(&nonce));
    let (a_bytes, r_bytes) = (a.compress().0, r.compress().0);
    match random.below(8) {
        0 => {
            let mut case = sign_as(&secret, &nonce, a_bytes, r_bytes, message);
            let bit = random.below(512);
            case.signature.0[bit / 8] ^= 1 << (bit % 8);
            case
        }
        1 => {
            let mut case = sign_as(&secret, &nonce, a_bytes, r_bytes, message);
            case.message.push(0);
            case
        }
        2 => {
            let mut case = sign_as(&secret, &nonce, a_bytes, r_bytes, message);
            add_order(&mut case.signature);
            case
        }
        3 => {
            let torsioned = (a + torsion(random)).compress().0;
            sign_as(&secret, &nonce, torsioned, r_bytes, message)
        }
        4 => {
            let torsioned = (r + torsion(random)).compress().0;
            sign_as(&secret, &nonce, a_bytes, torsioned, message)
        }
        5 => {
            let encodings = small_order_encodings();
            let small = encodings[random.below(encodings.len())];
            sign_as(&secret, &Scalar::ZERO, a_bytes, small, message)
        }
        6 => {
            let key = random.bytes();
            let mut case = sign_as(&secret, &nonce, a_bytes, r_bytes, message);
            case.public_key.0.copy_from_slice(&key[..32]);
            case
        }
        _ => sign_as(&secret, &nonce, a_bytes, r_bytes, message),
    }
}

/// S + L, which satisfies the equation and must be refused as not canonical.
fn add_order(signature: &mut Signature) {
    let minus_one = (-Scalar::ONE).to_bytes();
    let mut carry = 1u16;
    for (byte, order) in signature.0[32..].iter_mut().zip(minus_one) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
}

fn assert_agreement(verifier: &Verifier, cases: &[Case]) -> usize {
    let expected: Vec<bool> = cases.iter().map(Case::oracle).collect();
    for (case, expected) in cases.iter().zip(&expected) {
        let claim = case.claim();
        let single = verifier.verify(claim.public_key, claim.message, claim.signature);
        assert_eq!(single, *expected, "single: {:?} {:?}", case.public_key, case.signature);
    }
    let claims: Vec<Claim<'_>> = cases.iter().map(Case::claim).collect();
    let bad: Vec<usize> = (0..cases.len()).filter(|position| !expected[*position]).collect();
    let batched = verifier.verify_batch(&claims);
    assert_eq!(batched.err().unwrap_or_default(), bad, "a batch blames exactly the bad ones");
    let good: Vec<Claim<'_>> =
        cases.iter().zip(&expected).filter(|(_, ok)| **ok).map(|(case, _)| case.claim()).collect();
    assert_eq!(verifier.verify_batch(&good), Ok(()), "a batch of good ones holds together");
    good.len()
}

#[test]
fn all_small_order_and_non_canonical_encodings_are_judged_alike() {
    let verifier = Verifier::new();
    let encodings = small_order_encodings();
    assert_eq!(encodings.len(), 14);
    let mut cases = Vec::new();
    for a in &encodings {
        for r in &encodings {
            cases.push(Case {
                public_key: PublicKey(*a),
                message: b"Zcash".to_vec(),
                signature: join(r, &[0; 32]),
            });
        }
    }
    assert_eq!(assert_agreement(&verifier, &cases), 14 * 14, "ZIP-215 accepts all of them");
}

#[test]
fn random_cases_are_judged_alike() {
    let count = std::env::var("TONLE_CASES").map_or(CASES, |text| text.parse().unwrap());
    let verifier = Verifier::new();
    let mut random = Random { seed: 215, counter: 0 };
    let mut accepted = 0;
    for _ in 0..count.div_ceil(BATCH) {
        let cases: Vec<Case> = (0..BATCH).map(|_| random_case(&mut random)).collect();
        accepted += assert_agreement(&verifier, &cases);
    }
    assert!(accepted * 10 >= count, "{accepted} of {count} accepted: too few to mean anything");
}

#[test]
fn a_batch_spanning_several_equations_blames_by_position() {
    let verifier = Verifier::new();
    let mut random = Random { seed: 7, counter: 0 };
    let mut cases: Vec<Case> = (0..600)
        .map(|_| {
            let (secret, nonce) = (random.scalar(), random.scalar());
            let a = (ED25519_BASEPOINT_POINT * secret).compress().0;
            let r = (ED25519_BASEPOINT_POINT * nonce).compress().0;
            sign_as(&secret, &nonce, a, r, vec![1, 2, 3])
        })
        .collect();
    for position in [0, 255, 256, 599] {
        cases[position].message.push(9);
    }
    let claims: Vec<Claim<'_>> = cases.iter().map(Case::claim).collect();
    assert_eq!(verifier.verify_batch(&claims), Err(vec![0, 255, 256, 599]));
    assert_eq!(verifier.verify_batch(&[]), Ok(()));
}
