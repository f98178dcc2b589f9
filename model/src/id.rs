//! Names of domains, accounts and assets (ledger.md, Names and numbers).
//!
//! Only `[a-z0-9_]` makes a name, so two ids that look alike are alike: no case, no accents, no
//! look-alike alphabets.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use parity_scale_codec::{Compact, Decode, Encode, Error, Input, Output};

/// Longest part of an id, in bytes.
pub const NAME_BYTES_MAX: usize = 32;
/// Longest id, in bytes.
pub const ID_BYTES_MAX: usize = 64;

/// Why a text is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not 1-32 of `[a-z0-9_]`.
    #[error("a name is 1 to 32 characters of a-z, 0-9 and _")]
    Name,
    /// Not `name@domain`.
    #[error("an account id is name@domain, each 1 to 32 characters of a-z, 0-9 and _, 64 in all")]
    Account,
    /// Not `name#domain`.
    #[error("an asset id is name#domain, each 1 to 32 characters of a-z, 0-9 and _, 64 in all")]
    Asset,
}

fn is_name(text: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

fn is_pair(text: &str, separator: char) -> bool {
    text.len() <= ID_BYTES_MAX
        && text.split_once(separator).is_some_and(|(name, domain)| is_name(name) && is_name(domain))
}

macro_rules! id_type {
    ($(#[$doc:meta])* $name:ident, $check:expr, $error:expr) => {
        $(#[$doc])*
        ///
        /// Cheap to clone. SCALE and JSON form: its text.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Arc<str>);

        impl $name {
            /// The id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;

            fn from_str(text: &str) -> Result<Self, IdError> {
                match $check(text) {
                    true => Ok(Self(text.into())),
                    false => Err($error),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl Encode for $name {
            fn size_hint(&self) -> usize {
                self.0.len() + 2
            }

            fn encode_to<O: Output + ?Sized>(&self, output: &mut O) {
                self.0.as_bytes().encode_to(output);
            }
        }

        impl Decode for $name {
            fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
                let mut buffer = [0u8; ID_BYTES_MAX];
                let length = Compact::<u32>::decode(input)?.0 as usize;
                let bytes = buffer.get_mut(..length).ok_or("id is too long")?;
                input.read(bytes)?;
                let text = std::str::from_utf8(bytes).map_err(|_| "id is not ASCII")?;
                text.parse().map_err(|_| "id is not well-formed".into())
            }
        }

        crate::text::json_as_text!($name);
    };
}

id_type!(
    /// One part of an id, such as `sok` or `aclb`.
    Name, is_name, IdError::Name
);
id_type!(
    /// A bank or the central bank: `aclb`, `nbc`.
    DomainId, is_name, IdError::Name
);
id_type!(
    /// An account at a bank: `sok@aclb`.
    AccountId, |text| is_pair(text, '@'), IdError::Account
);
id_type!(
    /// An asset of an issuer: `khr#nbc`.
    AssetId, |text| is_pair(text, '#'), IdError::Asset
);

impl Name {
    /// The tier of an account that was given none.
    pub fn basic_tier() -> Self {
        Self("basic".into())
    }
}

impl AccountId {
    /// The bank the account is at.
    pub fn domain(&self) -> DomainId {
        DomainId(part_after(&self.0, '@'))
    }
}

impl AssetId {
    /// The domain that issues the asset.
    pub fn domain(&self) -> DomainId {
        DomainId(part_after(&self.0, '#'))
    }
}

fn part_after(text: &str, separator: char) -> Arc<str> {
    // A constructed id has its separator; an empty name could never be registered.
    text.split_once(separator).map_or("", |(_, domain)| domain).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_have_one_spelling() {
        let long = "a".repeat(32);
        for good in ["sok@aclb", "a@b", "0_9@z", &format!("{}@{}", "a".repeat(31), long)] {
            let id: AccountId = good.parse().unwrap();
            assert_eq!(id.to_string(), good);
            assert_eq!(AccountId::decode(&mut &id.encode()[..]).unwrap(), id);
        }
        let too_long = format!("{long}@{long}");
        let part_too_long = format!("{long}a@b");
        for bad in [
            "",
            "sok",
            "sok@",
            "@aclb",
            "Sok@aclb",
            "sok@aclb@x",
            "sok#aclb",
            "s k@aclb",
            "ѕok@aclb",
            "sok@aclb ",
            &too_long,
            &part_too_long,
        ] {
            assert_eq!(bad.parse::<AccountId>(), Err(IdError::Account), "{bad}");
            assert!(AccountId::decode(&mut &bad.as_bytes().encode()[..]).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_domain_is_what_follows_the_separator() {
        assert_eq!("sok@aclb".parse::<AccountId>().unwrap().domain().as_str(), "aclb");
        assert_eq!("khr#nbc".parse::<AssetId>().unwrap().domain().as_str(), "nbc");
    }
}
