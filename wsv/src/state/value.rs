//! The values of state entries (ledger.md, State).

use std::sync::Arc;

use parity_scale_codec::{Decode, Encode};
use tonle_model::amount::Amount;
use tonle_model::decode::{self, DecodeError};
use tonle_model::genesis::Parameters;
use tonle_model::id::AccountId;
use tonle_model::leader::LeaderMarks;
use tonle_model::transaction::Signatories;
use tonle_model::validators::ValidatorSet;

use super::key::Key;

/// A bank.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Domain {
    /// The account that opens accounts and makes assets in it.
    pub owner: AccountId,
}

/// Who acts for an account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Account {
    /// Keys and weights.
    pub signatories: Signatories,
    /// Weight that must sign.
    pub quorum: u16,
}

/// An asset and how much of it there is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Asset {
    /// The account that mints and burns it.
    pub owner: AccountId,
    /// Decimals of its minor unit.
    pub scale: u8,
    /// All that was minted and not burned.
    pub supply: Amount,
    /// The most there may be.
    pub supply_cap: Option<Amount>,
}

/// What an account has of an asset; the sum is what it owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Balance {
    /// Can be paid.
    pub available: Amount,
    /// Is promised.
    pub held: Amount,
}

/// The value of a state entry. Cheap to clone. Its SCALE form is that of what it wraps: the key
/// says which that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// Of [`Key::Parameters`].
    Parameters(Arc<Parameters>),
    /// Of [`Key::Validators`].
    Validators(Arc<ValidatorSet>),
    /// Of [`Key::LeaderMarks`].
    LeaderMarks(Arc<LeaderMarks>),
    /// Of [`Key::Domain`].
    Domain(Arc<Domain>),
    /// Of [`Key::Account`].
    Account(Arc<Account>),
    /// Of [`Key::Asset`].
    Asset(Arc<Asset>),
    /// Of [`Key::Balance`].
    Balance(Balance),
}

impl Value {
    /// Reads the value of a key.
    pub fn decode(key: &Key, bytes: &[u8]) -> Result<Self, DecodeError> {
        fn shared<T: Decode>(bytes: &[u8]) -> Result<Arc<T>, DecodeError> {
            decode::all(bytes).map(Arc::new)
        }
        match key {
            Key::Parameters => shared(bytes).map(Self::Parameters),
            Key::Validators => shared(bytes).map(Self::Validators),
            Key::LeaderMarks => shared(bytes).map(Self::LeaderMarks),
            Key::Domain(_) => shared(bytes).map(Self::Domain),
            Key::Account(_) => shared(bytes).map(Self::Account),
            Key::Asset(_) => shared(bytes).map(Self::Asset),
            Key::Balance(..) => decode::all(bytes).map(Self::Balance),
        }
    }

    /// The value's bytes.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::Parameters(value) => value.encode(),
            Self::Validators(value) => value.encode(),
            Self::LeaderMarks(value) => value.encode(),
            Self::Domain(value) => value.encode(),
            Self::Account(value) => value.encode(),
            Self::Asset(value) => value.encode(),
            Self::Balance(value) => value.encode(),
        }
    }
}
