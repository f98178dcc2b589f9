//! What became of a transaction: void, rejected or applied (ledger.md, Transaction).

use std::fmt;

use parity_scale_codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::hash::{Digest256, TaggedHasher, TransactionHash};
use crate::id::AccountId;
use crate::tags;

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $index:literal, $code:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
        pub enum $name {$(
            $(#[$variant_doc])*
            #[codec(index = $index)]
            #[serde(rename = $code)]
            $variant,
        )*}

        impl $name {
            /// Every code, for documentation and tests.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The stable code that clients match on.
            pub fn code(self) -> &'static str {
                match self {
                    $(Self::$variant => $code,)*
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(self.code())
            }
        }
    };
}

codes! {
    /// Why a transaction failed in execution. Codes are for ever; docs/ has cause and remedy.
    RejectionCode {
        /// A named account does not exist.
        UnknownAccount = 0, "unknown_account";
        /// A named asset does not exist.
        UnknownAsset = 1, "unknown_asset";
        /// A named domain does not exist.
        UnknownDomain = 2, "unknown_domain";
        /// The id to register is taken.
        AlreadyExists = 3, "already_exists";
        /// The authority has no right to do this.
        PermissionDenied = 4, "permission_denied";
        /// Less is available than the amount.
        InsufficientBalance = 5, "insufficient_balance";
        /// Amounts must be more than zero.
        ZeroAmount = 6, "zero_amount";
        /// More decimals than the asset's scale.
        TooManyDecimals = 7, "too_many_decimals";
        /// A sum would pass 128 bits.
        AmountOverflow = 8, "amount_overflow";
        /// The supply would pass the asset's cap.
        SupplyCapExceeded = 9, "supply_cap_exceeded";
        /// A key that must not own anything.
        WeakKey = 10, "weak_key";
        /// No signatories, one twice, a weight of zero, or a quorum that cannot be met.
        InvalidQuorum = 11, "invalid_quorum";
        /// More decimals than any asset may have.
        InvalidScale = 12, "invalid_scale";
        /// Payer and payee are the same.
        SameAccount = 13, "same_account";
        /// The account may not send, or not receive.
        AccountFrozen = 14, "account_frozen";
        /// The payer would send more than its tier may in a day.
        LimitExceeded = 15, "limit_exceeded";
        /// The invoice was paid before.
        InvoicePaid = 16, "invoice_paid";
        /// A hold reserves the invoice.
        InvoiceReserved = 17, "invoice_reserved";
        /// The invoice is past its expiry.
        InvoiceExpired = 18, "invoice_expired";
        /// An expiry in the past, or too far ahead.
        InvalidExpiry = 19, "invalid_expiry";
        /// There is no such hold, or it was settled or released.
        UnknownHold = 20, "unknown_hold";
        /// The hold is past its expiry: it can only be released.
        HoldExpired = 21, "hold_expired";
        /// The payer can take the hold back only after its expiry.
        HoldNotExpired = 22, "hold_not_expired";
        /// More than is held.
        HoldExceeded = 23, "hold_exceeded";
        /// A hash lock with an arbiter, or an invoice without a hash lock.
        InvalidHold = 24, "invalid_hold";
        /// No preimage, one that does not open the lock, or one where there is no lock.
        WrongPreimage = 25, "wrong_preimage";
        /// A hash-locked hold settles in full.
        PartialSettle = 26, "partial_settle";
        /// The account has money, incoming holds, or owns something.
        AccountNotEmpty = 27, "account_not_empty";
        /// The key is not among the account's signatories.
        UnknownSignatory = 28, "unknown_signatory";
        /// A list has no room for more.
        TooMany = 29, "too_many";
        /// The asset can be minted no more.
        NotMintable = 30, "not_mintable";
        /// There is no such role.
        UnknownRole = 31, "unknown_role";
        /// The account does not have the role or permission to revoke.
        NotGranted = 32, "not_granted";
        /// Nothing is noted under that name.
        UnknownMetadata = 33, "unknown_metadata";
        /// Something else is noted than was expected.
        MetadataChanged = 34, "metadata_changed";
        /// No instructions, or proposals among them.
        InvalidProposal = 35, "invalid_proposal";
        /// There is no such proposal, or it was run, withdrawn or forgotten.
        UnknownProposal = 36, "unknown_proposal";
        /// The proposal is past its expiry.
        ProposalExpired = 37, "proposal_expired";
        /// No signatory of the account that has not approved yet signed the transaction.
        NothingToApprove = 38, "nothing_to_approve";
        /// The parameter may not be that.
        OutOfRange = 39, "out_of_range";
        /// The proof does not show that the payment was made.
        UnprovenPayment = 40, "unproven_payment";
        /// More than was paid, less what was recalled of it.
        RecallExceeded = 41, "recall_exceeded";
        /// The key did not sign a block that was decided lately.
        AbsentKey = 42, "absent_key";
        /// No validator has that key.
        UnknownValidator = 43, "unknown_validator";
        /// Nobody would be left to decide.
        LastValidator = 44, "last_validator";
        /// The block changes the validators already.
        ValidatorsChanging = 45, "validators_changing";
        /// Execution itself failed; nothing was changed.
        Internal = 255, "internal";
    }
}

codes! {
    /// Why a transaction is void at its place in a block: it leaves no trace.
    VoidCode {
        /// Its hash, or an authority's reference, was used before.
        Duplicate = 0, "duplicate";
        /// Block time is past its window.
        Expired = 1, "expired";
        /// Block time is before its window.
        NotYetValid = 2, "not_yet_valid";
        /// Its window is longer than allowed.
        WindowTooLong = 3, "window_too_long";
        /// An authority does not exist.
        UnknownAuthority = 4, "unknown_authority";
        /// The signatures do not meet an authority's quorum.
        QuorumNotMet = 5, "quorum_not_met";
    }
}

/// What a block says of a transaction that was not void.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum Outcome {
    /// Every step took effect.
    #[codec(index = 0)]
    Applied,
    /// No step took effect.
    #[codec(index = 1)]
    Rejected {
        /// Why.
        code: RejectionCode,
        /// The step that failed, from 0.
        step: u16,
    },
}

/// A transaction's hash and outcome: a leaf of the receipts tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct Receipt {
    /// The transaction.
    pub transaction: TransactionHash,
    /// What became of it.
    pub outcome: Outcome,
}

impl Receipt {
    /// The leaf hash. Words meant for people are not certified, so they may be improved.
    pub fn leaf(&self) -> Digest256 {
        TaggedHasher::new(tags::RECEIPT).part(self.encode()).finish()
    }
}

/// A void transaction's reason, with the authority it is about, if it is about one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Void {
    /// Why.
    pub code: VoidCode,
    /// Whose existence or quorum is missing.
    pub authority: Option<AccountId>,
}
