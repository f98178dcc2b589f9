//! What a step of a transaction can do (ledger.md, Instructions).
//!
//! Here is the shape of each; its rules stand where it is executed, in `wsv`, and in the ledger
//! chapter of the book. Tags are for ever; groups leave gaps.

use parity_scale_codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::amount::Decimal;
use crate::bounded::Bounded;
use crate::genesis::PublicReads;
use crate::hash::{Digest256, HoldId, ProposalId, TransactionHash};
use crate::id::{AccountId, AssetId, DomainId, Name};
use crate::joining::Joining;
use crate::key::PublicKey;
use crate::limits;
use crate::permission::{Permission, Permissions};
use crate::preimage::Preimage;
use crate::proof::AppliedProof;
use crate::string::Text;

/// A key of an account and how much it counts toward the account's quorum.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signatory {
    /// The key; canonical and not of small order.
    pub public_key: PublicKey,
    /// At least 1.
    pub weight: u16,
}

/// The signatories of one account.
pub type Signatories = Bounded<Signatory, { limits::SIGNATORIES_MAX }>;
/// What the parties of a payment read.
pub type Memo = Text<{ limits::MEMO_BYTES_MAX }>;
/// Why an account was frozen or a payment recalled.
pub type Reason = Text<{ limits::REASON_BYTES_MAX }>;
/// What is noted with an account.
pub type MetadataValue = Text<{ limits::METADATA_BYTES_MAX }>;

/// Makes a payment single-use: of several that name the same payee, id, asset, amount and expiry,
/// one goes through.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Invoice {
    /// The payee's name for it; of a dynamic QR code its MD5.
    pub id: Text<{ limits::INVOICE_ID_BYTES_MAX }>,
    /// Not payable after, in milliseconds since 1970; at most a day ahead.
    pub expires_ms: u64,
}

/// How often an asset can be minted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mintability {
    /// As often as its supply cap allows.
    #[default]
    #[codec(index = 0)]
    Always,
    /// Once more.
    #[codec(index = 1)]
    Once,
    /// No more.
    #[codec(index = 2)]
    Never,
}

impl Mintability {
    /// For JSON that leaves out what goes without saying.
    pub fn is_always(&self) -> bool {
        *self == Self::Always
    }
}

/// A parameter and what it becomes. Each has the range of [`crate::genesis::Parameters`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Parameter {
    /// An upper guess at one message delay, in milliseconds.
    #[codec(index = 0)]
    DeltaMs(u32),
    /// Longest life of a transaction, in milliseconds.
    #[codec(index = 1)]
    MaxTtlMs(u32),
    /// What unsigned reads may see.
    #[codec(index = 2)]
    PublicReads(PublicReads),
    /// The account that owns the network.
    #[codec(index = 3)]
    Operator(AccountId),
    /// Minutes that local time is ahead of UTC.
    #[codec(index = 4)]
    UtcOffsetMin(i16),
}

/// What a step does.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Instruction {
    /// Makes a domain that the authority owns.
    #[codec(index = 0)]
    RegisterDomain {
        /// Its name, not yet taken.
        id: DomainId,
    },
    /// Opens an account.
    #[codec(index = 1)]
    RegisterAccount {
        /// Its name, never used before.
        id: AccountId,
        /// Whose signatures act for it.
        signatories: Signatories,
        /// Weight that must sign: at least 1, at most the sum of all weights.
        quorum: u16,
        /// Which daily limits apply; `basic` if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tier: Option<Name>,
    },
    /// Makes an asset that the authority owns.
    #[codec(index = 2)]
    RegisterAsset {
        /// Its name, not yet taken.
        id: AssetId,
        /// Decimals of its minor unit, at most 18: riel 0, dollar 2.
        scale: u8,
        /// The most there may ever be.
        #[serde(default)]
        supply_cap: Option<Decimal>,
        /// How often it can be minted.
        #[serde(default, skip_serializing_if = "Mintability::is_always")]
        mintability: Mintability,
    },
    /// Closes an account that has nothing.
    #[codec(index = 3)]
    UnregisterAccount {
        /// Which; its name is never used again.
        id: AccountId,
    },
    /// Makes money.
    #[codec(index = 10)]
    Mint {
        /// What.
        asset: AssetId,
        /// For whom.
        to: AccountId,
        /// How much, more than zero.
        amount: Decimal,
    },
    /// Unmakes money out of the authority's own balance.
    #[codec(index = 11)]
    Burn {
        /// What.
        asset: AssetId,
        /// How much, more than zero.
        amount: Decimal,
    },
    /// Pays.
    #[codec(index = 12)]
    Transfer {
        /// What.
        asset: AssetId,
        /// Whose; the authority's own if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        from: Option<AccountId>,
        /// To whom.
        to: AccountId,
        /// How much, more than zero.
        amount: Decimal,
        /// For the parties to read; it decides nothing.
        #[serde(default)]
        memo: Memo,
        /// Makes it single-use.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invoice: Option<Invoice>,
    },
    /// Promises money of the authority's own: sets it aside until it is settled or released.
    #[codec(index = 20)]
    Hold {
        /// What.
        asset: AssetId,
        /// For whom.
        to: AccountId,
        /// How much, more than zero.
        amount: Decimal,
        /// Settles until then, releases to the payer after; milliseconds since 1970.
        expires_ms: u64,
        /// SHA-256 of the 32 bytes that settle it.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        hash_lock: Option<Digest256>,
        /// Who may settle or release it beside the payee.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        arbiter: Option<AccountId>,
        /// Makes it single-use; with a hash lock only.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        invoice: Option<Invoice>,
    },
    /// Pays what was held.
    #[codec(index = 21)]
    Settle {
        /// Which hold.
        id: HoldId,
        /// How much of it, the rest going back; all if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        amount: Option<Decimal>,
        /// Opens the hash lock.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        preimage: Option<Preimage>,
    },
    /// Gives back what was held.
    #[codec(index = 22)]
    Release {
        /// Which hold.
        id: HoldId,
    },
    /// Adds a key to an account.
    #[codec(index = 30)]
    AddSignatory {
        /// Whose.
        account: AccountId,
        /// The key and its weight.
        signatory: Signatory,
    },
    /// Takes a key from an account.
    #[codec(index = 31)]
    RemoveSignatory {
        /// Whose.
        account: AccountId,
        /// The key.
        public_key: PublicKey,
    },
    /// Changes the weight that must sign for an account.
    #[codec(index = 32)]
    SetQuorum {
        /// Whose.
        account: AccountId,
        /// From 1 to the sum of the weights.
        quorum: u16,
    },
    /// Stops an account from paying and holding, or changes what of it is stopped.
    #[codec(index = 40)]
    Freeze {
        /// Which.
        account: AccountId,
        /// Whether it receives nothing either.
        incoming: bool,
        /// Why, for the record.
        reason: Reason,
    },
    /// Lets a frozen account go on.
    #[codec(index = 41)]
    Unfreeze {
        /// Which.
        account: AccountId,
    },
    /// Says which daily limits apply to an account.
    #[codec(index = 42)]
    SetTier {
        /// Which.
        account: AccountId,
        /// The name of the tier.
        tier: Name,
    },
    /// Says how much of an asset an account of a tier may send in a local day.
    #[codec(index = 43)]
    SetLimit {
        /// The name of the tier.
        tier: Name,
        /// Of what.
        asset: AssetId,
        /// How much; any amount if absent.
        #[serde(default)]
        per_day: Option<Decimal>,
    },
    /// Pays a transfer back without its payee: what of it is still there.
    #[codec(index = 44)]
    Recall {
        /// Its payee, who gives it back.
        from: AccountId,
        /// Its payer, who gets it back.
        to: AccountId,
        /// Of what.
        asset: AssetId,
        /// How much at most, more than zero; in all no more than was paid.
        amount: Decimal,
        /// The transaction that paid.
        transaction: TransactionHash,
        /// The step of it that did.
        step: u16,
        /// Why, for the record.
        reason: Reason,
        /// Shows that the transaction was applied.
        proof: Box<AppliedProof>,
    },
    /// Makes a role.
    #[codec(index = 50)]
    RegisterRole {
        /// Its name, not yet taken.
        id: Name,
        /// What it allows.
        permissions: Permissions,
    },
    /// Gives an account a role.
    #[codec(index = 51)]
    GrantRole {
        /// Which.
        role: Name,
        /// Whom.
        account: AccountId,
    },
    /// Takes a role from an account.
    #[codec(index = 52)]
    RevokeRole {
        /// Which.
        role: Name,
        /// Whose.
        account: AccountId,
    },
    /// Gives an account a right.
    #[codec(index = 53)]
    Grant {
        /// Which.
        permission: Permission,
        /// Whom.
        account: AccountId,
    },
    /// Takes a right from an account.
    #[codec(index = 54)]
    Revoke {
        /// Which.
        permission: Permission,
        /// Whose.
        account: AccountId,
    },
    /// Notes something with an account. No personal data belongs here.
    #[codec(index = 60)]
    SetMetadata {
        /// Whose.
        account: AccountId,
        /// Under which name.
        key: Name,
        /// What.
        value: MetadataValue,
        /// What must stand there now, if that matters; an empty text for nothing.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expected: Option<MetadataValue>,
    },
    /// Forgets what was noted.
    #[codec(index = 61)]
    RemoveMetadata {
        /// Whose.
        account: AccountId,
        /// Under which name.
        key: Name,
    },
    /// Proposes that an account do something, for its signatories to approve on the chain. The
    /// keys of the account that signed the transaction approve it at once.
    #[codec(index = 70)]
    Propose {
        /// Which account acts.
        account: AccountId,
        /// What it does; no proposals among it.
        instructions: Bounded<Instruction, { limits::PROPOSAL_INSTRUCTIONS_MAX }>,
        /// Not to be approved after, in milliseconds since 1970.
        expires_ms: u64,
    },
    /// Approves a proposal with the keys that signed the transaction; runs it once the account's
    /// quorum has approved.
    #[codec(index = 71)]
    Approve {
        /// Which proposal.
        id: ProposalId,
    },
    /// Takes a proposal back: its proposer, or the account.
    #[codec(index = 72)]
    Withdraw {
        /// Which proposal.
        id: ProposalId,
    },
    /// Lets a key vote, from the next height on.
    #[codec(index = 80)]
    RegisterValidator {
        /// A name for people.
        name: Name,
        /// Signs votes, proposals and batches, and is the identity on the network.
        public_key: PublicKey,
        /// Shows that the key is there.
        joining: Box<Joining>,
    },
    /// Ends a validator's vote, from the next height on.
    #[codec(index = 81)]
    UnregisterValidator {
        /// Its key.
        public_key: PublicKey,
    },
    /// Changes a parameter of the network, from the next block on.
    #[codec(index = 82)]
    SetParameter(Parameter),
}
