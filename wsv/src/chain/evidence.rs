//! What a validator signed against the rules, kept so that anyone can check it.

use std::fmt;
use std::str::FromStr;

use parity_scale_codec::{Decode, Encode};
use tonle_model::hash::BlockHash;
use tonle_model::key::{PublicKey, Signature};
use tonle_model::number::{Height, View};
use tonle_model::vote::VoteKind;

/// A statement and its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Signed<T> {
    /// What was signed.
    pub said: T,
    /// The signature over what the statement stands for at its height and view.
    pub signature: Signature,
}

/// Two statements that no honest validator makes both in one view.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Statements {
    /// Two votes, signed as [`tonle_model::vote::Ballot::signing_hash`] says.
    #[codec(index = 0)]
    Votes([Signed<VoteKind>; 2]),
    /// Two blocks that a leader proposed, signed as
    /// [`tonle_model::vote::Proposal::signing_hash`] says.
    #[codec(index = 1)]
    Proposals([Signed<BlockHash>; 2]),
}

/// Evidence against a validator. Its key and not its place in the set: that changes with the set.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct EvidenceRow {
    /// Where it happened.
    pub height: Height,
    /// In which view.
    pub view: View,
    /// Who signed both.
    pub validator: PublicKey,
    /// What it signed.
    pub statements: Statements,
    /// When this node had seen both, in milliseconds since 1970 by its clock.
    pub seen_ms: u64,
}

impl EvidenceRow {
    /// Its place: one row per validator and height.
    pub fn place(&self) -> EvidencePlace {
        EvidencePlace { height: self.height, validator: self.validator }
    }
}

/// What evidence is kept under. Text form: `HEIGHT.KEY`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EvidencePlace {
    /// Where it happened.
    pub height: Height,
    /// Who did it.
    pub validator: PublicKey,
}

/// Bytes of a place in a key: height, then public key.
const PLACE_BYTES: usize = 8 + 32;

impl EvidencePlace {
    /// After all others.
    pub(super) const LAST: Self =
        Self { height: Height(u64::MAX), validator: PublicKey([u8::MAX; 32]) };

    /// The key of its row.
    pub(super) fn to_key(self) -> [u8; PLACE_BYTES] {
        let mut key = [0; PLACE_BYTES];
        let (height, validator) = key.split_at_mut(8);
        height.copy_from_slice(&self.height.0.to_be_bytes());
        validator.copy_from_slice(&self.validator.0);
        key
    }

    /// The place that is a key.
    pub(super) fn from_key(key: &[u8]) -> Option<Self> {
        let (height, validator) = key.split_first_chunk()?;
        let validator = PublicKey(validator.try_into().ok()?);
        Some(Self { height: Height(u64::from_be_bytes(*height)), validator })
    }
}

impl fmt::Display for EvidencePlace {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}", self.height, self.validator)
    }
}

/// A text names no place of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a height, a point and a public key")]
pub struct EvidencePlaceError;

impl FromStr for EvidencePlace {
    type Err = EvidencePlaceError;

    fn from_str(text: &str) -> Result<Self, EvidencePlaceError> {
        let (height, validator) = text.split_once('.').ok_or(EvidencePlaceError)?;
        let height = height.parse().map(Height).map_err(|_| EvidencePlaceError)?;
        let validator = validator.parse().map_err(|_| EvidencePlaceError)?;
        Ok(Self { height, validator })
    }
}
