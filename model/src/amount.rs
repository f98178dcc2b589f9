//! Money. It never overflows, never rounds and never floats.
//!
//! [`Amount`] is what the ledger holds: minor units under the asset's scale. [`Decimal`] is what a
//! person writes and signs, `12.50`: it carries its own scale, so it has one meaning without
//! looking anything up (docs/decisions/0002).

use std::fmt;
use std::str::FromStr;

use parity_scale_codec::{Compact, Decode, Encode, Error, Input, Output};

/// Most decimals of an asset.
pub const SCALE_MAX: u8 = 18;

/// Why an amount is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not digits, with at most one point between them.
    #[error("an amount is written with digits and at most one point, such as 20000 or 12.50")]
    Malformed,
    /// More decimals than the asset has. Nothing is ever rounded.
    #[error("the amount has {decimals} decimals where the asset has {scale}")]
    TooManyDecimals {
        /// How many were written.
        decimals: u8,
        /// How many the asset has.
        scale: u8,
    },
    /// Past what 128 bits hold.
    #[error("the amount is too large")]
    Overflow,
}

/// Minor units of some asset: riel, cents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Encode, Decode)]
pub struct Amount(#[codec(compact)] u128);

impl Amount {
    /// Nothing.
    pub const ZERO: Self = Self(0);

    /// So many minor units.
    pub const fn from_minor(minor: u128) -> Self {
        Self(minor)
    }

    /// How many minor units.
    pub const fn minor(self) -> u128 {
        self.0
    }

    /// Whether it is nothing.
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// The sum, if 128 bits hold it.
    #[must_use]
    pub fn checked_add(self, other: Self) -> Option<Self> {
        self.0.checked_add(other.0).map(Self)
    }

    /// The difference, if there is that much.
    #[must_use]
    pub fn checked_sub(self, other: Self) -> Option<Self> {
        self.0.checked_sub(other.0).map(Self)
    }

    /// The amount as people write it under a scale: all decimals shown, `12.50`.
    pub fn to_decimal(self, scale: u8) -> Decimal {
        Decimal { units: self.0, scale: scale.min(SCALE_MAX) }
    }
}

/// An amount as written: `units` divided by 10 to the `scale`.
///
/// JSON form: a string. SCALE form: compact units, then one byte of scale, at most 18.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Decimal {
    units: u128,
    scale: u8,
}

impl Decimal {
    /// The amount under an asset's scale; exact or an error.
    pub fn to_amount(self, scale: u8) -> Result<Amount, AmountError> {
        let missing = scale
            .checked_sub(self.scale)
            .ok_or(AmountError::TooManyDecimals { decimals: self.scale, scale })?;
        let factor = 10u128.checked_pow(missing.into()).ok_or(AmountError::Overflow)?;
        self.units.checked_mul(factor).map(Amount).ok_or(AmountError::Overflow)
    }
}

impl fmt::Display for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = self.units.to_string();
        let decimals = usize::from(self.scale);
        if decimals == 0 {
            return formatter.pad(&digits);
        }
        let padded = format!("{digits:0>width$}", width = decimals + 1);
        let (whole, fraction) = padded.split_at(padded.len() - decimals);
        formatter.pad(&format!("{whole}.{fraction}"))
    }
}

impl fmt::Debug for Decimal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl FromStr for Decimal {
    type Err = AmountError;

    fn from_str(text: &str) -> Result<Self, AmountError> {
        let (whole, fraction) = match text.split_once('.') {
            Some((_, "")) => return Err(AmountError::Malformed),
            Some(parts) => parts,
            None => (text, ""),
        };
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        let padded = whole.len() > 1 && whole.starts_with('0');
        if whole.is_empty() || padded || !plain(whole) || !plain(fraction) {
            return Err(AmountError::Malformed);
        }
        let scale = u8::try_from(fraction.len()).unwrap_or(u8::MAX);
        if scale > SCALE_MAX {
            return Err(AmountError::TooManyDecimals { decimals: scale, scale: SCALE_MAX });
        }
        // All digits: the only way this fails is by being too large.
        let units = format!("{whole}{fraction}").parse().map_err(|_| AmountError::Overflow)?;
        Ok(Self { units, scale })
    }
}

impl Encode for Decimal {
    fn size_hint(&self) -> usize {
        18
    }

    fn encode_to<O: Output + ?Sized>(&self, output: &mut O) {
        Compact(self.units).encode_to(output);
        output.push_byte(self.scale);
    }
}

impl Decode for Decimal {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let units = Compact::<u128>::decode(input)?.0;
        match input.read_byte()? {
            scale if scale <= SCALE_MAX => Ok(Self { units, scale }),
            _ => Err("more decimals than any asset has".into()),
        }
    }
}

crate::text::json_as_text!(Decimal);

#[cfg(test)]
mod tests {
    use super::*;

    fn amount(text: &str, scale: u8) -> Result<u128, AmountError> {
        text.parse::<Decimal>()?.to_amount(scale).map(Amount::minor)
    }

    #[test]
    fn decimals_are_exact_or_refused() {
        assert_eq!(amount("20000", 0), Ok(20000));
        assert_eq!(amount("12.5", 2), Ok(1250));
        assert_eq!(amount("12.50", 2), Ok(1250));
        assert_eq!(amount("0.01", 2), Ok(1));
        let too_many = AmountError::TooManyDecimals { decimals: 3, scale: 2 };
        assert_eq!(amount("0.010", 2), Err(too_many));
        assert_eq!(amount(&u128::MAX.to_string(), 0), Ok(u128::MAX));
        assert_eq!(amount(&u128::MAX.to_string(), 1), Err(AmountError::Overflow));
        assert_eq!(
            amount("340282366920938463463374607431768211456", 0),
            Err(AmountError::Overflow)
        );
    }

    #[test]
    fn only_plain_digits_are_an_amount() {
        for bad in
            ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,000", " 1", "01", "1.2.3", "١", "0x1"]
        {
            assert_eq!(bad.parse::<Decimal>(), Err(AmountError::Malformed), "{bad:?}");
        }
    }

    #[test]
    fn every_decimal_prints_as_it_reads() {
        for text in ["0", "0.00", "0.05", "12.50", "340282366920938463463374607431768211455"] {
            let decimal: Decimal = text.parse().unwrap();
            assert_eq!(decimal.to_string(), text);
            assert_eq!(Decimal::decode(&mut &decimal.encode()[..]).unwrap(), decimal);
        }
        assert_eq!(Amount::from_minor(5).to_decimal(2).to_string(), "0.05");
        assert!(Decimal::decode(&mut &[4, 19][..]).is_err());
    }
}
