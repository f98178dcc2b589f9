//! Entries of the state as proofs name and read them.
//!
//! Keys and values have the bytes that the ledger writes (the book, Encodings, State tree). Those
//! who keep the ledger have types of their own for them; a test there holds the two together.

use parity_scale_codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::amount::Amount;
use crate::hash::{Digest256, HoldId, TaggedHasher, TransactionHash};
use crate::hex::HexBytes;
use crate::id::{AccountId, AssetId, Name};
use crate::instruction::{Reason, Signatories};
use crate::string::Text;
use crate::{decode, limits, tags};

/// Longest key of an entry, in bytes: an invoice's is the longest, with three names, an amount
/// and a time.
pub const KEY_BYTES_MAX: usize = 256;
/// Longest value of an entry, in bytes. What stands before something absent may be any entry, and
/// none is longer than the transaction that made it, but for lists with bounds of their own.
pub const VALUE_BYTES_MAX: usize = 2 * limits::TRANSACTION_BYTES_MAX;

/// Tag of an account's key.
const ACCOUNT: u8 = 5;
/// Tag of a balance's key.
const BALANCE: u8 = 7;
/// Tag of an invoice's key.
const INVOICE: u8 = 11;
/// Stands between the names of a key.
const SEPARATOR: u8 = 0;

/// A leaf of the state tree: an entry, and the key of the one after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StateLeaf {
    /// The entry's key.
    pub key: HexBytes<KEY_BYTES_MAX>,
    /// Its value.
    pub value: HexBytes<VALUE_BYTES_MAX>,
    /// The next key in byte order; empty if there is none.
    pub next: HexBytes<KEY_BYTES_MAX>,
}

impl StateLeaf {
    /// Reads the row of a slot; `None` if it is none.
    pub fn from_row(row: &[u8]) -> Option<Self> {
        let (key, value, next): (Vec<u8>, Vec<u8>, Vec<u8>) = decode::all(row).ok()?;
        Some(Self {
            key: HexBytes::new(key)?,
            value: HexBytes::new(value)?,
            next: HexBytes::new(next)?,
        })
    }

    /// The leaf hash: over key, value and next key, each as SCALE bytes.
    pub fn hash(&self) -> Digest256 {
        let hasher = TaggedHasher::new(tags::STATE_LEAF).part(self.key.encode());
        hasher.part(self.value.encode()).part(self.next.encode()).finish()
    }

    /// Whether there is no entry with this key: it lies between this one and the next. The leaf of
    /// a removed entry has no key, and says nothing.
    pub fn skips(&self, key: &[u8]) -> bool {
        let after = self.next.is_empty() || key < &self.next[..];
        !self.key.is_empty() && self.key[..] < *key && after
    }
}

/// Amounts as decimal strings of minor units: a proof does not know an asset's decimals.
mod minor {
    use serde::{Deserialize, Deserializer, Serializer, de};

    use crate::amount::{Amount, Decimal};

    pub fn serialize<S: Serializer>(amount: &Amount, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&amount.minor())
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Amount, D::Error> {
        let decimal = Decimal::deserialize(deserializer)?;
        decimal.to_amount(0).map_err(de::Error::custom)
    }
}

/// Which payment an invoice makes single-use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InvoiceName {
    /// Who is paid.
    pub payee: AccountId,
    /// The payee's name for it.
    pub id: Text<{ limits::INVOICE_ID_BYTES_MAX }>,
    /// Of what.
    pub asset: AssetId,
    /// How much, in minor units.
    #[serde(with = "minor")]
    pub amount_minor: Amount,
    /// Not payable after, in milliseconds since 1970.
    pub expires_ms: u64,
}

/// Which entry of the state a proof is about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Wanted {
    /// What an account has of an asset.
    Balance {
        /// Whose.
        account: AccountId,
        /// Of what.
        asset: AssetId,
    },
    /// An account.
    Account {
        /// Which.
        id: AccountId,
    },
    /// A single-use payment that was made or is reserved.
    Invoice(InvoiceName),
}

impl Wanted {
    /// The key of the entry: a tag, names with a zero byte between them, then numbers.
    pub fn key(&self) -> Vec<u8> {
        match self {
            Self::Balance { account, asset } => {
                key_of(BALANCE, &[account.as_str(), asset.as_str()])
            }
            Self::Account { id } => key_of(ACCOUNT, &[id.as_str()]),
            Self::Invoice(invoice) => {
                let names = [invoice.payee.as_str(), invoice.id.as_str(), invoice.asset.as_str()];
                let mut key = key_of(INVOICE, &names);
                key.push(SEPARATOR);
                key.extend_from_slice(&invoice.amount_minor.minor().to_be_bytes());
                key.extend_from_slice(&invoice.expires_ms.to_be_bytes());
                key
            }
        }
    }

    /// Reads the value of the entry; `None` if it is not one that such an entry has.
    pub fn read(&self, value: &[u8]) -> Option<Entry> {
        Some(match self.clone() {
            Self::Balance { account, asset } => {
                Entry::Balance { account, asset, value: decode::all(value).ok()? }
            }
            Self::Account { id } => Entry::Account { id, value: decode::all(value).ok()? },
            Self::Invoice(invoice) => Entry::Invoice { invoice, value: decode::all(value).ok()? },
        })
    }
}

fn key_of(tag: u8, names: &[&str]) -> Vec<u8> {
    let mut key = vec![tag];
    for (position, name) in names.iter().enumerate() {
        if position > 0 {
            key.push(SEPARATOR);
        }
        key.extend_from_slice(name.as_bytes());
    }
    key
}

/// An entry of the state, read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// What an account has of an asset.
    Balance {
        /// Whose.
        account: AccountId,
        /// Of what.
        asset: AssetId,
        /// How much.
        value: BalanceEntry,
    },
    /// An account.
    Account {
        /// Which.
        id: AccountId,
        /// Who acts for it.
        value: AccountEntry,
    },
    /// A single-use payment.
    Invoice {
        /// Which.
        invoice: InvoiceName,
        /// By whom.
        value: InvoiceEntry,
    },
}

/// The value of a balance. Available and held is what the account owns, in minor units.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct BalanceEntry {
    /// Can be paid.
    #[serde(with = "minor")]
    pub available: Amount,
    /// Is promised.
    #[serde(with = "minor")]
    pub held: Amount,
    /// How many holds others have made for the account.
    #[codec(compact)]
    pub incoming: u32,
    /// The last local day on which the account sent any, in days since 1970.
    #[codec(compact)]
    pub day: u32,
    /// How much it sent on that day.
    #[serde(with = "minor")]
    pub sent: Amount,
}

/// The value of an account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct AccountEntry {
    /// Keys and weights.
    pub signatories: Signatories,
    /// Weight that must sign.
    pub quorum: u16,
    /// Which daily limits apply.
    pub tier: Name,
    /// Whether it may act.
    pub status: AccountStatus,
}

/// Whether an account may act.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum AccountStatus {
    /// It may.
    #[codec(index = 0)]
    Active,
    /// It neither pays nor holds.
    #[codec(index = 1)]
    Frozen {
        /// Whether it receives nothing either.
        incoming: bool,
        /// Why.
        reason: Reason,
    },
    /// It is gone; its name is never used again.
    #[codec(index = 2)]
    Closed,
}

/// The value of an invoice.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize)]
pub struct InvoiceEntry {
    /// Who paid or reserved it.
    pub payer: AccountId,
    /// The transaction that paid or reserved it.
    pub transaction: TransactionHash,
    /// The hold that reserves it; `None` once it is paid.
    pub hold: Option<HoldId>,
}
