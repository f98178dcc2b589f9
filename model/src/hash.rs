//! Hashes: Blake2b-256 with a domain tag, and the newtypes that keep one kind from standing for
//! another.

use std::fmt;
use std::str::FromStr;

use blake2::digest::consts::U32;
use blake2::{Blake2b, Digest};
use parity_scale_codec::{Decode, Encode, MaxEncodedLen};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::tags;

/// Why a text is not a hash.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a hash is 64 lower-case hex digits")]
pub struct HashError;

/// 32 bytes of Blake2b-256.
#[derive(
    Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode, MaxEncodedLen,
)]
pub struct Digest256(pub [u8; 32]);

/// Hashes the concatenation of its parts under a domain tag.
///
/// The tag goes in first, as a SCALE string (length, then bytes), so that no two domains share an
/// input. Parts are not delimited: whoever calls passes fixed-width parts or self-delimiting SCALE.
pub struct TaggedHasher(Blake2b<U32>);

impl TaggedHasher {
    /// A hasher for the domain `tag`; tags stand in [`crate::tags`].
    pub fn new(tag: &'static str) -> Self {
        debug_assert!(tag.len() < 64, "a SCALE length below 64 is one byte");
        let mut hasher = Blake2b::<U32>::new();
        hasher.update([(tag.len() as u8) << 2]);
        hasher.update(tag.as_bytes());
        Self(hasher)
    }

    /// Appends one part.
    #[must_use]
    pub fn part(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.update(bytes.as_ref());
        self
    }

    /// The hash of all parts.
    pub fn finish(self) -> Digest256 {
        Digest256(self.0.finalize().into())
    }
}

impl AsRef<[u8]> for Digest256 {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Digest256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(formatter, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest256 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{self}")
    }
}

impl FromStr for Digest256 {
    type Err = HashError;

    fn from_str(text: &str) -> Result<Self, HashError> {
        crate::hex::decode_array(text).map(Self).ok_or(HashError)
    }
}

impl Serialize for Digest256 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Digest256 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::from_text(deserializer)
    }
}

macro_rules! hash_type {
    ($($(#[$doc:meta])* $name:ident;)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[derive(Encode, Decode, MaxEncodedLen, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Digest256);

        impl AsRef<[u8]> for $name {
            fn as_ref(&self) -> &[u8] {
                self.0.as_ref()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }

        impl FromStr for $name {
            type Err = HashError;

            fn from_str(text: &str) -> Result<Self, HashError> {
                text.parse().map(Self)
            }
        }
    )*};
}

hash_type! {
    /// Names a network: the hash of its genesis.
    ChainHash;
    /// Names a transaction: the hash of its payload, which is what its signatures sign.
    TransactionHash;
    /// Names a batch: the hash of its author, number, count and complete signed transactions.
    BatchDigest;
    /// Names a block: the hash of its header.
    BlockHash;
    /// The outcome of executing a block: state, receipts and next validators.
    ResultHash;
    /// Names a hold: the hash of what made it, a transaction or a proposal, and of its place there.
    HoldId;
    /// Names a proposal: the hash of the transaction that made it and of the step.
    ProposalId;
}

impl HoldId {
    /// The hold that the instruction at a place of a transaction, or of a proposal, makes.
    pub fn of(origin: &Digest256, place: u16) -> Self {
        Self(TaggedHasher::new(tags::HOLD).part(origin).part(place.encode()).finish())
    }
}

impl ProposalId {
    /// The proposal that a step of a transaction makes.
    pub fn of(transaction: &TransactionHash, step: u16) -> Self {
        Self(
            TaggedHasher::new(tags::ACCOUNT_PROPOSAL)
                .part(transaction)
                .part(step.encode())
                .finish(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_separate_domains() {
        let one = TaggedHasher::new("a").part("bc").finish();
        let other = TaggedHasher::new("ab").part("c").finish();
        assert_ne!(one, other);
    }

    #[test]
    fn text_round_trips_and_rejects_what_is_not_a_hash() {
        let hash = TaggedHasher::new("test").finish();
        assert_eq!(hash.to_string().parse(), Ok(hash));
        for bad in ["", "00", &"0".repeat(63), &"0".repeat(66), &"G".repeat(64), &"A".repeat(64)] {
            assert_eq!(bad.parse::<Digest256>(), Err(HashError), "{bad}");
        }
    }
}
