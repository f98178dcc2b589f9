//! The values of state entries (ledger.md, State).

use std::sync::Arc;

use parity_scale_codec::{Decode, Encode};
use tonle_model::amount::Amount;
use tonle_model::bounded::Bounded;
use tonle_model::decode::{self, DecodeError};
use tonle_model::genesis::Parameters;
use tonle_model::hash::{Digest256, HoldId, ProposalId, TransactionHash};
use tonle_model::id::{AccountId, AssetId, Name};
use tonle_model::instruction::{
    Instruction, Invoice, MetadataValue, Mintability, Reason, Signatories,
};
use tonle_model::key::PublicKey;
use tonle_model::leader::LeaderMarks;
use tonle_model::limits;
use tonle_model::number::Height;
use tonle_model::permission::Permissions;
use tonle_model::validators::ValidatorSet;

use super::key::Key;

/// A bank.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Domain {
    /// The account that opens and manages accounts and makes assets in it.
    pub owner: AccountId,
}

/// Whether an account may act.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum AccountStatus {
    /// It may.
    #[codec(index = 0)]
    Active,
    /// It neither pays nor holds.
    #[codec(index = 1)]
    Frozen {
        /// Whether it receives nothing either.
        incoming: bool,
        /// Why, as whoever froze it said.
        reason: Reason,
    },
    /// It is gone; its name is never used again.
    #[codec(index = 2)]
    Closed,
}

/// Who acts for an account.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Account {
    /// Keys and weights.
    pub signatories: Signatories,
    /// Weight that must sign.
    pub quorum: u16,
    /// Which daily limits apply.
    pub tier: Name,
    /// Whether it may act.
    pub status: AccountStatus,
}

impl Account {
    /// Whether it was unregistered.
    pub fn is_closed(&self) -> bool {
        self.status == AccountStatus::Closed
    }

    /// How much some keys count toward the quorum, each once.
    pub fn weight_of(&self, mut has: impl FnMut(&PublicKey) -> bool) -> u32 {
        let counting = self.signatories.iter().filter(|signatory| has(&signatory.public_key));
        counting.map(|signatory| u32::from(signatory.weight)).sum()
    }
}

/// How much of an asset an account of a tier may send in a local day.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Limit {
    /// Whose.
    pub tier: Name,
    /// How much.
    pub per_day: Amount,
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
    /// How often it can be minted.
    pub mintability: Mintability,
    /// By tier, in order of name; what is not here is not limited. They stand with the asset, which
    /// every payment reads anyway.
    pub limits: Bounded<Limit, { limits::TIERS_MAX }>,
}

impl Asset {
    /// How much an account of a tier may send in a day; `None` if there is no limit.
    pub fn limit(&self, tier: &Name) -> Option<Amount> {
        self.limits.iter().find(|limit| limit.tier == *tier).map(|limit| limit.per_day)
    }
}

/// What an account has of an asset; available and held is what it owns. What it sent today stands
/// with it, so that a limit costs a payment no further entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Balance {
    /// Can be paid.
    pub available: Amount,
    /// Is promised.
    pub held: Amount,
    /// How many holds others have made for the account.
    #[codec(compact)]
    pub incoming: u32,
    /// The last local day on which the account sent any, in days since 1970.
    #[codec(compact)]
    pub day: u32,
    /// How much it sent on that day, at most what 128 bits hold.
    pub sent: Amount,
}

/// What an account may do beyond its own.
#[derive(Debug, Clone, PartialEq, Eq, Default, Encode, Decode)]
pub struct Rights {
    /// In order of name.
    pub roles: Bounded<Name, { limits::ROLES_PER_ACCOUNT_MAX }>,
    /// In order.
    pub permissions: Permissions,
    /// How many domains and assets it owns.
    #[codec(compact)]
    pub owned: u32,
}

/// A named set of permissions.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Role {
    /// What it allows.
    pub permissions: Permissions,
}

/// Money set aside.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Hold {
    /// Whose money it is.
    pub from: AccountId,
    /// For whom.
    pub to: AccountId,
    /// Of what.
    pub asset: AssetId,
    /// How much.
    pub amount: Amount,
    /// Settles until then.
    pub expires_ms: u64,
    /// SHA-256 of what settles it.
    pub hash_lock: Option<Digest256>,
    /// Who may settle or release it beside the payee.
    pub arbiter: Option<AccountId>,
    /// Which single-use payment it makes.
    pub invoice: Option<Invoice>,
    /// The local day on which it counted as sent.
    #[codec(compact)]
    pub day: u32,
}

/// A single-use payment.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct PaidInvoice {
    /// Who paid or reserved it.
    pub payer: AccountId,
    /// The transaction that paid or reserved it.
    pub transaction: TransactionHash,
    /// The hold that reserves it; `None` once it is paid.
    pub hold: Option<HoldId>,
}

/// What an account's signatories may approve.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Proposal {
    /// Which account acts.
    pub account: AccountId,
    /// Who proposed it.
    pub proposer: AccountId,
    /// What it does.
    pub instructions: Bounded<Instruction, { limits::PROPOSAL_INSTRUCTIONS_MAX }>,
    /// Not to be approved after.
    pub expires_ms: u64,
    /// The keys that approved, in that order.
    pub approvals: Bounded<PublicKey, { limits::SIGNATORIES_MAX }>,
}

/// What was paid back of a payment without its payee.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Recalled {
    /// How much in all.
    pub amount: Amount,
}

/// The last height of each validator set that is no more, ascending.
pub type ValidatorChanges = Bounded<Height, { limits::VALIDATOR_CHANGES_MAX }>;

/// The proposals of an account.
pub type Proposals = Bounded<ProposalId, { limits::PROPOSALS_PER_ACCOUNT_MAX }>;
/// What was noted with an account, in order of name.
pub type Metadata = Bounded<(Name, MetadataValue), { limits::METADATA_ENTRIES_MAX }>;

/// Makes [`Value`] from the kinds of keys; the SCALE form of a value is that of what it wraps.
macro_rules! values {
    ($($(#[$doc:meta])* $name:ident($type:ty) of $key:pat,)*) => {
        /// The value of a state entry. Cheap to clone. Its SCALE form is that of what it wraps:
        /// the key says which that is.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Value {$(
            $(#[$doc])*
            $name(Arc<$type>),
        )*
            /// Of [`Key::Balance`].
            Balance(Balance),
        }

        impl Value {
            /// Reads the value of a key.
            pub fn decode(key: &Key, bytes: &[u8]) -> Result<Self, DecodeError> {
                match key {
                    $($key => decode::all(bytes).map(Arc::new).map(Self::$name),)*
                    Key::Balance(..) => decode::all(bytes).map(Self::Balance),
                }
            }

            /// The value's bytes.
            pub fn to_bytes(&self) -> Vec<u8> {
                match self {
                    $(Self::$name(value) => value.encode(),)*
                    Self::Balance(value) => value.encode(),
                }
            }
        }
    };
}

values! {
    /// Of [`Key::Parameters`].
    Parameters(Parameters) of Key::Parameters,
    /// Of [`Key::Validators`].
    Validators(ValidatorSet) of Key::Validators,
    /// Of [`Key::LeaderMarks`].
    LeaderMarks(LeaderMarks) of Key::LeaderMarks,
    /// Of [`Key::Domain`].
    Domain(Domain) of Key::Domain(_),
    /// Of [`Key::Account`].
    Account(Account) of Key::Account(_),
    /// Of [`Key::Asset`].
    Asset(Asset) of Key::Asset(_),
    /// Of [`Key::Rights`].
    Rights(Rights) of Key::Rights(_),
    /// Of [`Key::Role`].
    Role(Role) of Key::Role(_),
    /// Of [`Key::Hold`].
    Hold(Hold) of Key::Hold(_),
    /// Of [`Key::Invoice`].
    Invoice(PaidInvoice) of Key::Invoice(_),
    /// Of [`Key::Proposal`].
    Proposal(Proposal) of Key::Proposal(_),
    /// Of [`Key::Proposals`].
    Proposals(Proposals) of Key::Proposals(_),
    /// Of [`Key::Metadata`].
    Metadata(Metadata) of Key::Metadata(_),
    /// Of [`Key::Recalled`].
    Recalled(Recalled) of Key::Recalled(..),
    /// Of [`Key::ValidatorChanges`].
    ValidatorChanges(ValidatorChanges) of Key::ValidatorChanges,
    /// Of [`Key::PastValidators`].
    PastValidators(ValidatorSet) of Key::PastValidators(_),
}

/// When an entry can be forgotten: block time past this.
pub fn expiry(key: &Key, value: &Value) -> Option<u64> {
    match (key, value) {
        (Key::Invoice(invoice), _) => Some(invoice.expires_ms),
        (_, Value::Proposal(proposal)) => Some(proposal.expires_ms),
        _ => None,
    }
}
