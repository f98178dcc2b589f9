//! Decoding what strangers send: a depth limit, no trailing bytes, and errors that say which.
//!
//! Lengths are capped by the types ([`crate::bounded::Bounded`], [`crate::string::Text`]) before
//! anything is allocated. SCALE as we use it is canonical: compact numbers, options and bools have
//! one accepted form, and no sets or maps stand on the wire.

use parity_scale_codec::{Decode, DecodeLimit};

/// Deepest nesting of a value that is worth reading.
const DEPTH_MAX: u32 = 16;

/// Why bytes are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not the SCALE form of what was expected.
    #[error("not canonical SCALE: {0}")]
    Scale(String),
    /// A complete value, then more.
    #[error("{bytes} bytes after the end")]
    Trailing {
        /// How many.
        bytes: usize,
    },
}

/// Reads exactly one value.
pub fn all<T: Decode>(bytes: &[u8]) -> Result<T, DecodeError> {
    let mut input = bytes;
    let value = next(&mut input)?;
    match input.len() {
        0 => Ok(value),
        bytes => Err(DecodeError::Trailing { bytes }),
    }
}

/// Reads one value off the front.
pub fn next<T: Decode>(input: &mut &[u8]) -> Result<T, DecodeError> {
    T::decode_with_depth_limit(DEPTH_MAX, input)
        .map_err(|error| DecodeError::Scale(error.to_string()))
}
