//! Short text for people: UTF-8 of bounded length without control characters.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use parity_scale_codec::{Compact, Decode, Encode, Error, Input, Output};

/// Why a text is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TextError {
    /// Past its bound.
    #[error("the text has {length} bytes of UTF-8 where at most {max} are allowed")]
    TooLong {
        /// Its length in bytes.
        length: usize,
        /// Its bound in bytes.
        max: usize,
    },
    /// A terminal, log or page could be made to misbehave by it.
    #[error("the text has a control character")]
    Control,
}

/// At most `MAX` bytes of UTF-8.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Text<const MAX: usize>(Arc<str>);

impl<const MAX: usize> Text<MAX> {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> Default for Text<MAX> {
    fn default() -> Self {
        Self("".into())
    }
}

impl<const MAX: usize> FromStr for Text<MAX> {
    type Err = TextError;

    fn from_str(text: &str) -> Result<Self, TextError> {
        if text.len() > MAX {
            return Err(TextError::TooLong { length: text.len(), max: MAX });
        }
        match text.chars().any(char::is_control) {
            true => Err(TextError::Control),
            false => Ok(Self(text.into())),
        }
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl<const MAX: usize> fmt::Debug for Text<MAX> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, formatter)
    }
}

impl<const MAX: usize> Encode for Text<MAX> {
    fn size_hint(&self) -> usize {
        self.0.len() + 2
    }

    fn encode_to<O: Output + ?Sized>(&self, output: &mut O) {
        self.0.as_bytes().encode_to(output);
    }
}

impl<const MAX: usize> Decode for Text<MAX> {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let length = Compact::<u32>::decode(input)?.0 as usize;
        if length > MAX {
            return Err("text is longer than its bound".into());
        }
        let mut bytes = vec![0; length];
        input.read(&mut bytes)?;
        let text = std::str::from_utf8(&bytes).map_err(|_| "text is not UTF-8")?;
        text.parse().map_err(|_| "text has a control character".into())
    }
}

impl<const MAX: usize> serde::Serialize for Text<MAX> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de, const MAX: usize> serde::Deserialize<'de> for Text<MAX> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        crate::text::from_text(deserializer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_bounded_in_bytes_and_free_of_control_characters() {
        assert_eq!("អរគុណ".parse::<Text<15>>().unwrap().as_str(), "អរគុណ");
        let too_long = TextError::TooLong { length: 15, max: 14 };
        assert_eq!("អរគុណ".parse::<Text<14>>(), Err(too_long));
        assert_eq!("a\u{1b}[31m".parse::<Text<20>>(), Err(TextError::Control));
        assert!(Text::<3>::decode(&mut &"abcd".encode()[..]).is_err());
        assert!(Text::<9>::decode(&mut &[0xffu8].encode()[..]).is_err());
    }
}
