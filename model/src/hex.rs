//! Lower-case hex, the only spelling we print or accept: one value has one text.

use std::borrow::Cow;
use std::fmt::{self, Write};
use std::ops::Deref;

use parity_scale_codec::{Compact, Decode, Encode, Error, Input, Output};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// Prints bytes as lower-case hex.
pub fn encode(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut text, byte| {
        let _infallible = write!(text, "{byte:02x}");
        text
    })
}

/// Reads lower-case hex; `None` on an odd length or any other character.
pub fn decode(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) {
        return None;
    }
    text.as_bytes()
        .chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

/// Reads exactly `N` bytes of lower-case hex, checking the length first.
pub fn decode_array<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != N * 2 {
        return None;
    }
    decode(text)?.try_into().ok()
}

fn digit(character: u8) -> Option<u8> {
    match character {
        b'0'..=b'9' => Some(character - b'0'),
        b'a'..=b'f' => Some(character - b'a' + 10),
        _ => None,
    }
}

/// At most `MAX` bytes, as lower-case hex.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct HexBytes<const MAX: usize>(Vec<u8>);

impl<const MAX: usize> HexBytes<MAX> {
    /// Takes bytes if they are few enough.
    pub fn new(bytes: Vec<u8>) -> Option<Self> {
        (bytes.len() <= MAX).then_some(Self(bytes))
    }
}

impl<const MAX: usize> Deref for HexBytes<MAX> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<const MAX: usize> fmt::Debug for HexBytes<MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&encode(&self.0))
    }
}

impl<const MAX: usize> Serialize for HexBytes<MAX> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&encode(&self.0))
    }
}

impl<'de, const MAX: usize> Deserialize<'de> for HexBytes<MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        let bytes = if text.len() <= 2 * MAX { decode(&text) } else { None };
        bytes.map(Self).ok_or_else(|| de::Error::custom("not lower-case hex, or too long"))
    }
}

impl<const MAX: usize> Encode for HexBytes<MAX> {
    fn size_hint(&self) -> usize {
        self.0.size_hint()
    }

    fn encode_to<O: Output + ?Sized>(&self, output: &mut O) {
        self.0.encode_to(output);
    }
}

impl<const MAX: usize> Decode for HexBytes<MAX> {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let length = Compact::<u32>::decode(input)?.0 as usize;
        if length > MAX || input.remaining_len()?.is_some_and(|left| left < length) {
            return Err("more bytes than there may be, or are".into());
        }
        let mut bytes = vec![0; length];
        input.read(&mut bytes)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_keep_their_bound_by_every_way_in() {
        let three = HexBytes::<3>::new(vec![1, 2, 255]).unwrap();
        assert_eq!(HexBytes::<3>::decode(&mut &three.encode()[..]).unwrap(), three);
        assert_eq!(serde_json::to_string(&three).unwrap(), "\"0102ff\"");
        assert_eq!(HexBytes::<2>::new(three.to_vec()), None);
        assert!(HexBytes::<2>::decode(&mut &three.encode()[..]).is_err());
        assert!(HexBytes::<3>::decode(&mut &three.encode()[..3]).is_err());
        for bad in ["\"0102ff03\"", "\"0102F0\"", "\"010\""] {
            assert!(serde_json::from_str::<HexBytes<3>>(bad).is_err(), "{bad}");
        }
    }
}
