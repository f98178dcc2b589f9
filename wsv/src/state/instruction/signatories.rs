//! What the keys of every account must be.

use std::collections::BTreeSet;

use tonle_model::instruction::Signatory;
use tonle_model::key::PublicKey;
use tonle_model::receipt::RejectionCode;

use super::{Failure, reject};

/// Every key once, no weight of zero, and a quorum that can be met.
pub fn check_quorum(signatories: &[Signatory], quorum: u16) -> Result<(), Failure> {
    let invalid = |detail: &str| reject(RejectionCode::InvalidQuorum, detail);
    let keys: BTreeSet<_> = signatories.iter().map(|signatory| signatory.public_key).collect();
    if keys.len() != signatories.len() {
        return invalid("a key stands twice among the signatories");
    }
    if signatories.iter().any(|signatory| signatory.weight == 0) {
        return invalid("a signatory has no weight");
    }
    let sum: u32 = signatories.iter().map(|signatory| u32::from(signatory.weight)).sum();
    match (1..=sum).contains(&u32::from(quorum)) {
        true => Ok(()),
        false => invalid("the quorum is not from 1 to the sum of the weights"),
    }
}

/// A key that only its owner can sign with.
pub fn check_key(key: &PublicKey) -> Result<(), Failure> {
    match key.check_registrable() {
        Ok(()) => Ok(()),
        Err(_) => reject(RejectionCode::WeakKey, format_args!("key {key} must not own anything")),
    }
}
