//! What stands in the ledger: accounts, balances, holds, invoices, proposals, assets, roles.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use tonle_model::amount::Decimal;
use tonle_model::hash::{Digest256, HoldId, ProposalId, TransactionHash};
use tonle_model::id::{AccountId, AssetId, DomainId, Name};
use tonle_model::instruction::{
    Instruction, Invoice, MetadataValue, Mintability, Reason, Signatory,
};
use tonle_model::key::PublicKey;
use tonle_model::permission::Permission;

/// An account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// Its name.
    pub id: AccountId,
    /// Weight that must sign for it.
    pub quorum: u16,
    /// Whose signatures act for it.
    pub signatories: Vec<Signatory>,
    /// Which daily limits apply.
    #[serde(default = "Name::basic_tier")]
    pub tier: Name,
    /// Whether it may act.
    #[serde(default)]
    pub status: AccountStatus,
    /// Its roles, in order of name.
    #[serde(default)]
    pub roles: Vec<Name>,
    /// What it was given beside its roles, in order.
    #[serde(default)]
    pub permissions: Vec<Permission>,
    /// What was noted with it.
    #[serde(default)]
    pub metadata: BTreeMap<Name, MetadataValue>,
}

/// Whether an account may act. JSON form: an object whose `state` says which.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum AccountStatus {
    /// It may.
    #[default]
    Active,
    /// It neither pays nor holds.
    Frozen {
        /// Whether it receives nothing either.
        incoming: bool,
        /// Why, as whoever froze it said.
        reason: Reason,
    },
    /// It is gone; its name is never used again.
    Closed,
}

/// What an account has of one asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Balance {
    /// Of what.
    pub asset: AssetId,
    /// What can be spent.
    pub available: Decimal,
    /// What is held for payments under way.
    pub held: Decimal,
    /// How many holds others have made for the account.
    #[serde(default)]
    pub incoming_holds: u32,
    /// How much it sent on the local day that it is, holds included.
    #[serde(default = "nothing")]
    pub sent_today: Decimal,
    /// How much its tier may send of the asset in a local day; `null` if there is no limit.
    #[serde(default)]
    pub limit: Option<Decimal>,
}

fn nothing() -> Decimal {
    tonle_model::amount::Amount::ZERO.to_decimal(0)
}

/// What an account owned of an asset at a time of the past.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastBalance {
    /// Of what.
    pub asset: AssetId,
    /// When.
    pub time_ms: u64,
    /// Available and held.
    pub balance: Decimal,
    /// Block time of the movement that it is the balance after; absent if there was none before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<u64>,
    /// Whether no later block can change the answer.
    pub is_final: bool,
}

/// Money set aside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Its name.
    pub id: HoldId,
    /// Whose money it is.
    pub from: AccountId,
    /// For whom.
    pub to: AccountId,
    /// Of what.
    pub asset: AssetId,
    /// How much.
    pub amount: Decimal,
    /// Settles until then, releases to the payer after.
    pub expires_ms: u64,
    /// SHA-256 of the 32 bytes that settle it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash_lock: Option<Digest256>,
    /// Who may settle or release it beside the payee.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub arbiter: Option<AccountId>,
    /// The single-use payment that it reserves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invoice: Option<Invoice>,
}

/// Whether an invoice was paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum InvoiceStatus {
    /// It was.
    Paid,
    /// A hold reserves it.
    Reserved,
}

/// A payment, made or reserved, of one invoice. Amount, asset and expiry are part of what makes it
/// single-use, so an id can have several; a payee looks for the one it asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InvoicePayment {
    /// Of what.
    pub asset: AssetId,
    /// How much.
    pub amount: Decimal,
    /// Not payable after; the ledger forgets it then.
    pub expires_ms: u64,
    /// Paid or reserved.
    pub status: InvoiceStatus,
    /// Who paid or reserved it.
    pub payer: AccountId,
    /// The transaction that paid or reserved it.
    pub transaction: TransactionHash,
    /// The hold that reserves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<HoldId>,
}

/// What an account's signatories may approve.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// Its name.
    pub id: ProposalId,
    /// Which account acts.
    pub account: AccountId,
    /// Who proposed it.
    pub proposer: AccountId,
    /// What it does.
    pub instructions: Vec<Instruction>,
    /// Not to be approved after.
    pub expires_ms: u64,
    /// The keys that approved, in that order.
    pub approvals: Vec<PublicKey>,
    /// How much they weigh now.
    pub weight: u32,
    /// How much must approve.
    pub quorum: u16,
}

/// An asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Asset {
    /// Its name.
    pub id: AssetId,
    /// Decimals of its minor unit.
    pub scale: u8,
    /// How much there is.
    pub supply: Decimal,
    /// The most there may ever be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supply_cap: Option<Decimal>,
    /// Who may make and unmake it.
    pub owner: AccountId,
    /// How often it can be minted.
    #[serde(default)]
    pub mintability: Mintability,
    /// By tier, in order of name; a tier that is not here is not limited.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// How much of an asset an account of a tier may send in a local day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Limit {
    /// Whose.
    pub tier: Name,
    /// How much.
    pub per_day: Decimal,
}

/// How much there is of an asset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Supply {
    /// Of what.
    pub asset: AssetId,
    /// All that was minted and not burned.
    pub supply: Decimal,
    /// The most there may ever be.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub supply_cap: Option<Decimal>,
}

/// What the accounts of a domain own of an asset together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DomainTotal {
    /// Whose accounts.
    pub domain: DomainId,
    /// How much, held included.
    pub amount: Decimal,
}

/// A domain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Domain {
    /// Its name.
    pub id: DomainId,
    /// Who may register accounts and assets in it.
    pub owner: AccountId,
}

/// A named set of permissions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// Its name.
    pub id: Name,
    /// What it allows, in order.
    pub permissions: Vec<Permission>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_says_which_it_is_in_one_place() {
        let reason = "lost phone".parse().unwrap();
        for (status, json) in [
            (AccountStatus::Active, serde_json::json!({"state": "active"})),
            (
                AccountStatus::Frozen { incoming: true, reason },
                serde_json::json!({"state": "frozen", "incoming": true, "reason": "lost phone"}),
            ),
            (AccountStatus::Closed, serde_json::json!({"state": "closed"})),
        ] {
            assert_eq!(serde_json::to_value(&status).unwrap(), json);
            assert_eq!(serde_json::from_value::<AccountStatus>(json).unwrap(), status);
        }
    }

    #[test]
    fn an_account_reads_what_an_older_node_wrote() {
        let json = serde_json::json!({"id": "sok@aclb", "quorum": 1, "signatories": []});
        let account: Account = serde_json::from_value(json).unwrap();
        assert_eq!(account.tier, Name::basic_tier());
        assert_eq!(account.status, AccountStatus::Active);
        let json = serde_json::to_value(&account).unwrap();
        assert_eq!(serde_json::from_value::<Account>(json).unwrap(), account);
    }
}
