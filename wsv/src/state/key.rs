//! The keys of state entries, and their order.
//!
//! A key is a tag byte, then names with a zero byte between them, then numbers and hashes of fixed
//! width. Zero is below every character of a name, so `a@b` and everything under it stands before
//! `a@bc`. The order is part of the state: a leaf of the state tree names the key after its own
//! (ledger.md, What is certified).

use std::str::FromStr;
use std::sync::Arc;

use tonle_model::amount::Amount;
use tonle_model::hash::{Digest256, HoldId, ProposalId, TransactionHash};
use tonle_model::id::{AccountId, AssetId, DomainId, Name};
use tonle_model::limits;
use tonle_model::number::Height;
use tonle_model::string::Text;

/// Stands between names.
pub const SEPARATOR: u8 = 0;

/// Which payment an invoice makes single-use. Amount and asset are part of it, so that nobody
/// blocks a code by paying one riel on it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct InvoiceKey {
    /// Who is paid.
    pub payee: AccountId,
    /// The payee's name for it.
    pub id: Text<{ limits::INVOICE_ID_BYTES_MAX }>,
    /// Of what.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
    /// Not payable after.
    pub expires_ms: u64,
}

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
    /// What an account may do beyond its own.
    Rights(AccountId),
    /// A named set of permissions.
    Role(Name),
    /// Money set aside.
    Hold(HoldId),
    /// A single-use payment that was made or is reserved.
    Invoice(Arc<InvoiceKey>),
    /// What an account's signatories may approve.
    Proposal(ProposalId),
    /// Which proposals an account has.
    Proposals(AccountId),
    /// What was noted with an account.
    Metadata(AccountId),
    /// What was recalled of the payment of a step.
    Recalled(TransactionHash, u16),
    /// After which heights others validated.
    ValidatorChanges,
    /// Who validated up to a height, and not after.
    PastValidators(Height),
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
    /// Tag of [`Key::Role`].
    pub const ROLE: u8 = 9;
    /// Tag of [`Key::Invoice`].
    pub const INVOICE: u8 = 11;

    /// The key as bytes, in the order of keys.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(80);
        self.write_to(&mut bytes);
        bytes
    }

    /// Appends the key's bytes.
    pub fn write_to(&self, bytes: &mut Vec<u8>) {
        let mut tagged = |tag: u8, rest: &[u8]| {
            bytes.push(tag);
            bytes.extend_from_slice(rest);
        };
        match self {
            Self::Parameters => tagged(1, b""),
            Self::Validators => tagged(2, b""),
            Self::LeaderMarks => tagged(3, b""),
            Self::Domain(id) => tagged(Self::DOMAIN, id.as_str().as_bytes()),
            Self::Account(id) => tagged(Self::ACCOUNT, id.as_str().as_bytes()),
            Self::Asset(id) => tagged(Self::ASSET, id.as_str().as_bytes()),
            Self::Balance(account, asset) => {
                tagged(Self::BALANCE, account.as_str().as_bytes());
                bytes.push(SEPARATOR);
                bytes.extend_from_slice(asset.as_str().as_bytes());
            }
            Self::Rights(id) => tagged(8, id.as_str().as_bytes()),
            Self::Role(id) => tagged(Self::ROLE, id.as_str().as_bytes()),
            Self::Hold(id) => tagged(10, id.as_ref()),
            Self::Invoice(invoice) => {
                bytes.extend_from_slice(&Self::invoices(&invoice.payee, invoice.id.as_str()));
                bytes.extend_from_slice(invoice.asset.as_str().as_bytes());
                bytes.push(SEPARATOR);
                bytes.extend_from_slice(&invoice.amount.minor().to_be_bytes());
                bytes.extend_from_slice(&invoice.expires_ms.to_be_bytes());
            }
            Self::Proposal(id) => tagged(12, id.as_ref()),
            Self::Proposals(id) => tagged(13, id.as_str().as_bytes()),
            Self::Metadata(id) => tagged(14, id.as_str().as_bytes()),
            Self::Recalled(transaction, step) => {
                tagged(15, transaction.as_ref());
                bytes.extend_from_slice(&step.to_be_bytes());
            }
            Self::ValidatorChanges => tagged(16, b""),
            Self::PastValidators(last) => tagged(17, &last.0.to_be_bytes()),
        }
    }

    /// What the keys of all balances of an account begin with.
    pub fn balances(account: &AccountId) -> Vec<u8> {
        [&[Self::BALANCE], account.as_str().as_bytes(), &[SEPARATOR]].concat()
    }

    /// What the keys of all invoices of a payee with an id begin with.
    pub fn invoices(payee: &AccountId, id: &str) -> Vec<u8> {
        let tag = [Self::INVOICE];
        let parts = [&tag[..], payee.as_str().as_bytes(), &[SEPARATOR], id.as_bytes()];
        let mut bytes = parts.concat();
        bytes.push(SEPARATOR);
        bytes
    }

    /// Reads a key; `None` if these bytes are none.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (tag, rest) = bytes.split_first()?;
        match (*tag, rest) {
            (1, []) => Some(Self::Parameters),
            (2, []) => Some(Self::Validators),
            (3, []) => Some(Self::LeaderMarks),
            (Self::DOMAIN, name) => id(name).map(Self::Domain),
            (Self::ACCOUNT, name) => id(name).map(Self::Account),
            (Self::ASSET, name) => id(name).map(Self::Asset),
            (Self::BALANCE, names) => {
                let (account, asset) = split(names)?;
                Some(Self::Balance(id(account)?, id(asset)?))
            }
            (8, name) => id(name).map(Self::Rights),
            (Self::ROLE, name) => id(name).map(Self::Role),
            (10, hash) => Some(Self::Hold(HoldId(digest(hash)?))),
            (Self::INVOICE, parts) => invoice(parts).map(|key| Self::Invoice(Arc::new(key))),
            (12, hash) => Some(Self::Proposal(ProposalId(digest(hash)?))),
            (13, name) => id(name).map(Self::Proposals),
            (14, name) => id(name).map(Self::Metadata),
            (15, payment) => {
                let (hash, step) = payment.split_last_chunk()?;
                Some(Self::Recalled(TransactionHash(digest(hash)?), u16::from_be_bytes(*step)))
            }
            (16, []) => Some(Self::ValidatorChanges),
            (17, last) => {
                Some(Self::PastValidators(Height(u64::from_be_bytes(last.try_into().ok()?))))
            }
            _ => None,
        }
    }
}

fn id<T: FromStr>(bytes: &[u8]) -> Option<T> {
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

fn digest(bytes: &[u8]) -> Option<Digest256> {
    bytes.try_into().ok().map(Digest256)
}

/// What stands before the first separator, and after it.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.iter().position(|byte| *byte == SEPARATOR)?;
    let (name, rest) = bytes.split_at(at);
    Some((name, rest.get(1..)?))
}

fn invoice(bytes: &[u8]) -> Option<InvoiceKey> {
    let (payee, rest) = split(bytes)?;
    let (name, rest) = split(rest)?;
    let (asset, numbers) = split(rest)?;
    let (amount, expires_ms) = numbers.split_first_chunk()?;
    Some(InvoiceKey {
        payee: id(payee)?,
        id: id(name)?,
        asset: id(asset)?,
        amount: Amount::from_minor(u128::from_be_bytes(*amount)),
        expires_ms: u64::from_be_bytes(expires_ms.try_into().ok()?),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys() -> Vec<Key> {
        let invoice = |id: &str, amount| {
            Key::Invoice(Arc::new(InvoiceKey {
                payee: "sok@a".parse().unwrap(),
                id: id.parse().unwrap(),
                asset: "khr#nbc".parse().unwrap(),
                amount: Amount::from_minor(amount),
                expires_ms: 7,
            }))
        };
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
            Key::Rights("sok@a".parse().unwrap()),
            Key::Role("teller".parse().unwrap()),
            Key::Hold(HoldId(Digest256([0; 32]))),
            Key::Hold(HoldId(Digest256([9; 32]))),
            invoice("", 3),
            invoice("a", 1),
            invoice("a", 256),
            invoice("a b", 1),
            Key::Proposal(ProposalId(Digest256([0; 32]))),
            Key::Proposals("sok@a".parse().unwrap()),
            Key::Metadata("sok@a".parse().unwrap()),
            Key::Recalled(TransactionHash(Digest256([9; 32])), 1),
            Key::Recalled(TransactionHash(Digest256([9; 32])), 256),
            Key::ValidatorChanges,
            Key::PastValidators(Height(255)),
            Key::PastValidators(Height(256)),
        ]
    }

    #[test]
    fn keys_read_back_and_keep_their_order() {
        for key in keys() {
            assert_eq!(Key::from_bytes(&key.to_bytes()), Some(key));
        }
        let bytes: Vec<_> = keys().iter().map(Key::to_bytes).collect();
        assert!(bytes.is_sorted(), "what belongs together stands together");
        for bad in [
            &[][..],
            &[0],
            &[1, 97],
            &[4],
            &[5, 97],
            &[7, 97, 64, 98],
            &[10, 1],
            &[15],
            &[17],
            &[18],
        ] {
            assert_eq!(Key::from_bytes(bad), None);
        }
    }
}
