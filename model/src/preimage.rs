//! The secret of a hash-locked hold (ledger.md, Instructions).

use std::fmt;
use std::str::FromStr;

use parity_scale_codec::{Compact, Decode, Encode, Error, Input, Output};
use sha2::{Digest, Sha256};

use crate::hash::Digest256;
use crate::hex;

/// Bytes of a preimage that opens a lock.
pub const PREIMAGE_BYTES: usize = 32;
/// Most bytes of one that is read at all, so that one of a wrong length gets an answer.
pub const PREIMAGE_BYTES_MAX: usize = 64;

/// A text is no preimage.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a preimage is lower-case hex of at most {PREIMAGE_BYTES_MAX} bytes")]
pub struct PreimageError;

/// What someone shows to open a hash lock. Public once it stands in a transaction.
#[derive(Clone, PartialEq, Eq)]
pub struct Preimage(Vec<u8>);

impl Preimage {
    /// Bytes that may open a lock.
    pub fn new(bytes: &[u8]) -> Result<Self, PreimageError> {
        match bytes.len() <= PREIMAGE_BYTES_MAX {
            true => Ok(Self(bytes.to_vec())),
            false => Err(PreimageError),
        }
    }

    /// The lock that it opens: its SHA-256, as other networks have it.
    pub fn lock(&self) -> Digest256 {
        Digest256(Sha256::digest(&self.0).into())
    }

    /// Whether it opens a lock: 32 bytes, and the right ones. The length is part of the rule so
    /// that what opens a lock here opens it on every network.
    pub fn opens(&self, lock: &Digest256) -> bool {
        self.0.len() == PREIMAGE_BYTES && self.lock() == *lock
    }
}

impl fmt::Display for Preimage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(&self.0))
    }
}

impl fmt::Debug for Preimage {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Preimage {
    type Err = PreimageError;

    fn from_str(text: &str) -> Result<Self, PreimageError> {
        Self::new(&hex::decode(text).ok_or(PreimageError)?)
    }
}

impl Encode for Preimage {
    fn encode_to<O: Output + ?Sized>(&self, output: &mut O) {
        self.0.encode_to(output);
    }
}

impl Decode for Preimage {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let mut buffer = [0; PREIMAGE_BYTES_MAX];
        let length = Compact::<u32>::decode(input)?.0 as usize;
        let bytes = buffer.get_mut(..length).ok_or("preimage is too long")?;
        input.read(bytes)?;
        Ok(Self(bytes.to_vec()))
    }
}

crate::text::json_as_text!(Preimage);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_right_32_bytes_open_a_lock() {
        let preimage = Preimage::new(&[7; 32]).unwrap();
        assert!(preimage.opens(&preimage.lock()));
        assert!(!Preimage::new(&[8; 32]).unwrap().opens(&preimage.lock()));
        for length in [0, 31, 33, 64] {
            let other = Preimage::new(&vec![7; length]).unwrap();
            assert!(!other.opens(&other.lock()), "{length} bytes open nothing");
        }
        assert_eq!(Preimage::new(&[7; 65]), Err(PreimageError));
        assert!(Preimage::decode(&mut &vec![7u8; 65].encode()[..]).is_err());
    }

    #[test]
    fn the_lock_is_the_sha_256_that_everyone_has() {
        let zeros = "00".repeat(32).parse::<Preimage>().unwrap();
        let known = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
        assert_eq!(zeros.lock().to_string(), known);
    }
}
