//! Lengths of time as people write them, and when something expires.

use std::str::FromStr;

use clap::Args;

use crate::time;

const UNITS: [(&str, u64); 5] =
    [("ms", 1), ("s", 1_000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// A length of time: `500ms`, `90s`, `15m`, `1h`, `2d`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    ms: u64,
}

/// Why a text is not a [`Span`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a length of time is written like 500ms, 90s, 15m, 1h or 2d")]
pub struct SpanError;

impl Span {
    /// How long, in milliseconds.
    pub fn ms(self) -> u64 {
        self.ms
    }

    /// The time that is so far ahead of this machine's.
    pub fn from_now(self) -> u64 {
        time::now_ms().saturating_add(self.ms)
    }
}

impl FromStr for Span {
    type Err = SpanError;

    fn from_str(text: &str) -> Result<Self, SpanError> {
        let digits = text.trim_end_matches(|c: char| c.is_ascii_lowercase());
        let unit = text.get(digits.len()..).unwrap_or_default();
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or(SpanError)?;
        let is_plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse::<u64>().ok().filter(|_| is_plain).ok_or(SpanError)?;
        number.checked_mul(*factor).map(|ms| Self { ms }).ok_or(SpanError)
    }
}

/// Until when; by either clock.
#[derive(Debug, Clone, Args)]
#[group(required = true, multiple = false)]
pub struct ExpiryArgs {
    /// Expires so long from now: 90s, 15m, 1h, 2d
    #[arg(long, value_name = "TIME")]
    expires_in: Option<Span>,
    /// Expires at this time, in milliseconds since 1970
    #[arg(long, value_name = "MS")]
    expires_ms: Option<u64>,
}

impl ExpiryArgs {
    /// The time, in milliseconds since 1970.
    pub fn at_ms(&self) -> u64 {
        at_ms(self.expires_in, self.expires_ms)
    }
}

/// A time given by distance or as it is; one of them is given.
pub fn at_ms(distance: Option<Span>, time_ms: Option<u64>) -> u64 {
    distance.map(Span::from_now).or(time_ms).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_units() {
        for (text, ms) in
            [("500ms", 500), ("90s", 90_000), ("15m", 900_000), ("1h", 3_600_000), ("0s", 0)]
        {
            assert_eq!(text.parse::<Span>().map(Span::ms), Ok(ms), "{text}");
        }
        assert_eq!("2d".parse::<Span>().map(Span::ms), Ok(172_800_000));
        for bad in ["", "5", "s", "1h30m", "-1s", "+1s", "1w", "1 h", "1.5h", "99999999999999999d"]
        {
            assert_eq!(bad.parse::<Span>(), Err(SpanError), "{bad:?}");
        }
    }
}
