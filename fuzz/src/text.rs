//! Texts that clients write: keys, amounts, names. One value has one text and one encoding.

use std::fmt::{Debug, Display};
use std::str::FromStr;

use parity_scale_codec::{Decode, Encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonle_model::amount::{Amount, AmountError, Decimal, SCALE_MAX};
use tonle_model::decode;
use tonle_model::hash::Digest256;
use tonle_model::id::{AccountId, AssetId, DomainId, Name};
use tonle_model::key::{PublicKey, Signature};
use tonle_model::preimage::Preimage;
use tonle_model::string::Text;

/// What is read from a text prints as that text, also in JSON, and survives SCALE.
fn reads_one_way<T>(text: &str) -> Option<T>
where
    T: FromStr + Display + Debug + PartialEq + Encode + Decode + Serialize + DeserializeOwned,
{
    let json = serde_json::to_string(text).expect("a string has a JSON form");
    let value = text.parse::<T>().ok();
    assert_eq!(value, serde_json::from_str(&json).ok(), "JSON reads as text does: {text:?}");
    let value = value?;
    assert_eq!(value.to_string(), text);
    assert_eq!(serde_json::to_string(&value).ok(), Some(json));
    assert_eq!(decode::all::<T>(&value.encode()).as_ref(), Ok(&value));
    Some(value)
}

/// What is read from bytes has those bytes, and a text that reads as the same.
fn decodes_one_way<T>(bytes: &[u8]) -> Option<T>
where
    T: FromStr + Display + Debug + PartialEq + Encode + Decode,
{
    let value = decode::all::<T>(bytes).ok()?;
    assert_eq!(value.encode(), bytes, "one value has one encoding");
    assert_eq!(value.to_string().parse().ok().as_ref(), Some(&value));
    Some(value)
}

/// Multihash keys, signatures, hashes, preimages.
pub fn key(bytes: &[u8]) -> bool {
    if let Ok(bytes) = <[u8; 32]>::try_from(bytes) {
        let key = PublicKey(bytes);
        assert_eq!(key.to_string().parse(), Ok(key));
        // A key that may own something is a point with this one encoding, so it can sign nothing
        // but what its holder signed; here only that it is told without a panic.
        let _registrable = key.check_registrable();
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let key = reads_one_way::<PublicKey>(text);
    assert_eq!(key.is_some(), text.len() == 70 && is_hex(text) && text.starts_with("ed0120"));
    let signature = reads_one_way::<Signature>(text);
    assert_eq!(signature.is_some(), text.len() == 128 && is_hex(text));
    let digest = reads_one_way::<Digest256>(text);
    assert_eq!(digest.is_some(), text.len() == 64 && is_hex(text));
    let preimage = reads_one_way::<Preimage>(text);
    assert_eq!(
        preimage.is_some(),
        text.len() <= 128 && text.len().is_multiple_of(2) && is_hex(text)
    );
    key.is_some()
}

fn is_hex(text: &str) -> bool {
    text.chars().all(|c| c.is_ascii_digit() || ('a'..='f').contains(&c))
}

/// Amounts: exact under every scale, or refused for the one reason that there is.
pub fn amount(bytes: &[u8]) -> bool {
    decodes_one_way::<Decimal>(bytes);
    if let Ok(amount) = decode::all::<Amount>(bytes) {
        assert_eq!(amount.encode(), bytes);
        for scale in 0..=SCALE_MAX {
            assert_eq!(amount.to_decimal(scale).to_amount(scale), Ok(amount));
        }
    }
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Some(decimal) = reads_one_way::<Decimal>(text) else { return false };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    for scale in 0..=SCALE_MAX {
        // By digits, not by arithmetic: as many zeros behind as decimals are missing.
        let minor = match usize::from(scale).checked_sub(fraction.len()) {
            Some(missing) => Ok(format!("{whole}{fraction}{}", "0".repeat(missing))),
            None => Err(AmountError::TooManyDecimals { decimals: fraction.len() as u8, scale }),
        };
        let minor = minor.and_then(|digits| digits.parse().map_err(|_| AmountError::Overflow));
        assert_eq!(decimal.to_amount(scale).map(Amount::minor), minor, "{text} under {scale}");
    }
    true
}

/// Names of accounts, assets, domains, and the short texts beside them.
pub fn id(bytes: &[u8]) -> bool {
    decodes_one_way::<AccountId>(bytes);
    decodes_one_way::<AssetId>(bytes);
    decodes_one_way::<DomainId>(bytes);
    decodes_one_way::<Name>(bytes);
    decodes_one_way::<Text<64>>(bytes);
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let pair = |separator| {
        let parts: Vec<_> = text.split(separator).collect();
        parts.len() == 2 && parts.iter().all(|part| is_name(part)) && text.len() <= 64
    };
    let account = reads_one_way::<AccountId>(text);
    assert_eq!(account.is_some(), pair('@'), "{text:?}");
    let asset = reads_one_way::<AssetId>(text);
    assert_eq!(asset.is_some(), pair('#'), "{text:?}");
    assert_eq!(reads_one_way::<DomainId>(text).is_some(), is_name(text), "{text:?}");
    assert_eq!(reads_one_way::<Name>(text).is_some(), is_name(text), "{text:?}");
    let printable = text.len() <= 64 && !text.chars().any(char::is_control);
    assert_eq!(reads_one_way::<Text<64>>(text).is_some(), printable, "{text:?}");
    account.is_some() || asset.is_some()
}

fn is_name(text: &str) -> bool {
    let letters = "abcdefghijklmnopqrstuvwxyz0123456789_";
    !text.is_empty() && text.len() <= 32 && text.chars().all(|c| letters.contains(c))
}
