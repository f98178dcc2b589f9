//! Keys and signatures: ed25519, printed as multihash hex as Iroha does.

use std::fmt;
use std::str::FromStr;

use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_dalek::{Signer, SigningKey};
use parity_scale_codec::{Decode, Encode, MaxEncodedLen};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::hash::TaggedHasher;
use crate::{hex, tags};

/// Multihash head of an ed25519 public key: code 0xed as a varint, then length 32.
const MULTIHASH_HEAD: &str = "ed0120";

/// Why a text is not a key or signature.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not `ed0120` and 64 hex digits.
    #[error("a public key is `ed0120` followed by 64 lower-case hex digits")]
    PublicKey,
    /// Not 128 hex digits.
    #[error("a signature is 128 lower-case hex digits")]
    Signature,
    /// Not 64 hex digits.
    #[error("a secret key is 64 lower-case hex digits")]
    SecretKey,
    /// A point that must not own anything.
    #[error("the public key is not a canonical point of large order")]
    Weak,
}

/// An ed25519 public key as its 32 bytes; whether they are a point is checked on use.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, MaxEncodedLen)]
pub struct PublicKey(pub [u8; 32]);

/// An ed25519 signature: R, then S.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Encode, Decode, MaxEncodedLen)]
pub struct Signature(pub [u8; 64]);

/// A secret key with its public key. Wiped when dropped, never printed.
#[derive(Clone)]
pub struct KeyPair {
    signing: SigningKey,
}

impl PublicKey {
    /// Whether the key may be registered: canonical encoding, not of small order (ledger.md,
    /// Transaction).
    pub fn check_registrable(&self) -> Result<(), KeyError> {
        let point = CompressedEdwardsY(self.0).decompress().ok_or(KeyError::Weak)?;
        match point.compress().0 == self.0 && !point.is_small_order() {
            true => Ok(()),
            false => Err(KeyError::Weak),
        }
    }
}

impl KeyPair {
    /// A fresh key from the operating system's randomness.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let mut seed = Zeroizing::new([0; 32]);
        getrandom::fill(seed.as_mut())?;
        Ok(Self::from_seed(&seed))
    }

    /// The key of a 32-byte seed (RFC 8032 private key).
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self { signing: SigningKey::from_bytes(seed) }
    }

    /// The demo key of a name. Everyone can compute it: nodes refuse it unless the genesis says
    /// `"demo": true`.
    pub fn demo(name: &str) -> Self {
        Self::from_seed(&TaggedHasher::new(tags::DEMO_KEY).part(name).finish().0)
    }

    /// Reads a seed as 64 hex digits.
    pub fn from_hex(text: &str) -> Result<Self, KeyError> {
        let mut seed = hex::decode_array(text.trim()).ok_or(KeyError::SecretKey)?;
        let key = Self::from_seed(&seed);
        seed.zeroize();
        Ok(key)
    }

    /// The seed, for writing it to a key file; wiped when dropped.
    pub fn seed(&self) -> Zeroizing<[u8; 32]> {
        Zeroizing::new(self.signing.to_bytes())
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        PublicKey(self.signing.verifying_key().to_bytes())
    }

    /// Signs a message.
    pub fn sign(&self, message: &[u8]) -> Signature {
        Signature(self.signing.sign(message).to_bytes())
    }
}

// `SigningKey` wipes itself on drop; this keeps it so if the field ever changes.
const _: fn() = || {
    fn wiped<T: ZeroizeOnDrop>() {}
    wiped::<SigningKey>();
};

impl fmt::Debug for KeyPair {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "KeyPair({})", self.public_key())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{MULTIHASH_HEAD}{}", hex::encode(&self.0))
    }
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        let digits = text.strip_prefix(MULTIHASH_HEAD).ok_or(KeyError::PublicKey)?;
        hex::decode_array(digits).map(Self).ok_or(KeyError::PublicKey)
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(&self.0))
    }
}

impl FromStr for Signature {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        hex::decode_array(text).map(Self).ok_or(KeyError::Signature)
    }
}

macro_rules! debug_as_display {
    ($($name:ty),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, formatter)
            }
        }
    )*};
}
debug_as_display!(PublicKey, Signature);
crate::text::json_as_text!(PublicKey);
crate::text::json_as_text!(Signature);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_print_as_multihash_and_read_back() {
        let key = KeyPair::demo("sok@aclb").public_key();
        assert!(key.to_string().starts_with("ed0120"));
        assert_eq!(key.to_string().parse(), Ok(key));
        assert_eq!("ed0121".parse::<PublicKey>(), Err(KeyError::PublicKey));
    }

    #[test]
    fn small_order_and_non_canonical_keys_cannot_be_registered() {
        let mut identity = [0; 32];
        identity[0] = 1;
        let mut non_canonical_identity = [0xff; 32];
        non_canonical_identity[0] = 0xee;
        non_canonical_identity[31] = 0x7f;
        for weak in [identity, non_canonical_identity, [0; 32], [0xff; 32]] {
            assert_eq!(PublicKey(weak).check_registrable(), Err(KeyError::Weak));
        }
        assert_eq!(KeyPair::demo("x").public_key().check_registrable(), Ok(()));
    }

    #[test]
    fn a_secret_is_never_printed() {
        let key = KeyPair::from_seed(&[7; 32]);
        assert!(!format!("{key:?}").contains(&hex::encode(&[7; 32])));
    }
}
