//! The keys of state entries, and their order.
//!
//! A key is a tag byte, then names with a zero byte between them. Zero is below every character of
//! a name, so `a@b` and everything under it stands before `a@bc`. The order is part of the state:
//! a leaf of the state tree names the key after its own (ledger.md, What is certified).

use tonle_model::id::{AccountId, AssetId, DomainId};

/// Stands between names.
pub const SEPARATOR: u8 = 0;

/// What a state entry is about.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Key {
    /// What all agree on by configuration. The smallest key, and always there.
    Parameters,
    /// Who votes on the next block.
    Validators,
    /// Which leaders failed lately.
    LeaderMarks,
    /// A bank.
    Domain(DomainId),
    /// An account at a bank.
    Account(AccountId),
    /// An asset of an issuer.
    Asset(AssetId),
    /// What an account has of an asset.
    Balance(AccountId, AssetId),
}

impl Key {
    /// Tag of [`Key::Domain`].
    pub const DOMAIN: u8 = 4;
    /// Tag of [`Key::Account`].
    pub const ACCOUNT: u8 = 5;
    /// Tag of [`Key::Asset`].
    pub const ASSET: u8 = 6;
    /// Tag of [`Key::Balance`].
    pub const BALANCE: u8 = 7;

    /// The key as bytes, in the order of keys.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(80);
        self.write_to(&mut bytes);
        bytes
    }

    /// Appends the key's bytes.
    pub fn write_to(&self, bytes: &mut Vec<u8>) {
        let mut tagged = |tag: u8, name: &str| {
            bytes.push(tag);
            bytes.extend_from_slice(name.as_bytes());
        };
        match self {
            Self::Parameters => tagged(1, ""),
            Self::Validators => tagged(2, ""),
            Self::LeaderMarks => tagged(3, ""),
            Self::Domain(id) => tagged(Self::DOMAIN, id.as_str()),
            Self::Account(id) => tagged(Self::ACCOUNT, id.as_str()),
            Self::Asset(id) => tagged(Self::ASSET, id.as_str()),
            Self::Balance(account, asset) => {
                tagged(Self::BALANCE, account.as_str());
                bytes.push(SEPARATOR);
                bytes.extend_from_slice(asset.as_str().as_bytes());
            }
        }
    }

    /// Reads a key; `None` if these bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        let name = std::str::from_utf8(rest).ok()?;
        match (*tag, name) {
            (1, "") => Some(Self::Parameters),
            (2, "") => Some(Self::Validators),
            (3, "") => Some(Self::LeaderMarks),
            (Self::DOMAIN, name) => name.parse().ok().map(Self::Domain),
            (Self::ACCOUNT, name) => name.parse().ok().map(Self::Account),
            (Self::ASSET, name) => name.parse().ok().map(Self::Asset),
            (Self::BALANCE, names) => {
                let (account, asset) = names.split_once(char::from(SEPARATOR))?;
                Some(Self::Balance(account.parse().ok()?, asset.parse().ok()?))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<Key> {
        vec![
            Key::Parameters,
            Key::Validators,
            Key::LeaderMarks,
            Key::Domain("aclb".parse().unwrap()),
            Key::Account("sok@aclb".parse().unwrap()),
            Key::Asset("khr#nbc".parse().unwrap()),
            Key::Balance("sok@a".parse().unwrap(), "khr#nbc".parse().unwrap()),
            Key::Balance("sok@a".parse().unwrap(), "usd#nbc".parse().unwrap()),
            Key::Balance("sok@a0".parse().unwrap(), "khr#nbc".parse().unwrap()),
        ]
    }

    #[test]
    fn keys_read_back_and_keep_their_order() {
        for key in keys() {
            assert_eq!(Key::from_bytes(&key.to_bytes()), Some(key));
        }
        let bytes: Vec<_> = keys().iter().map(Key::to_bytes).collect();
        assert!(bytes.is_sorted(), "balances of one account stand together");
        for bad in [&[][..], &[0], &[1, 97], &[4], &[5, 97], &[7, 97, 64, 98], &[8]] {
            assert_eq!(Key::from_bytes(bad), None);
        }
    }
}
