//! What the reference ledger knows: plain maps.
//!
//! What follows from other entries is worked out each time and kept nowhere: what is held, how many
//! holds come in, how much an account owns. So a counter in the real ledger that drifts is seen.

use std::collections::{BTreeMap, BTreeSet};

use tonle_model::genesis::Parameters;
use tonle_model::hash::{Digest256, HoldId, ProposalId, TransactionHash};
use tonle_model::id::{AccountId, AssetId, DomainId, Name};
use tonle_model::instruction::{Instruction, Mintability, Signatory};
use tonle_model::key::PublicKey;
use tonle_model::permission::Permission;
use tonle_model::validators::ValidatorSet;

/// Milliseconds of a day.
pub const DAY_MS: u64 = 86_400_000;

/// Whether an account may act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Status {
    /// It may.
    Active,
    /// It neither pays nor holds.
    Frozen {
        /// Whether it receives nothing either.
        incoming: bool,
        /// Why.
        reason: String,
    },
    /// It is gone.
    Closed,
}

/// Who acts for an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Keys and weights, in the order in which they came.
    pub signatories: Vec<Signatory>,
    /// Weight that must sign.
    pub quorum: u16,
    /// Which daily limits apply.
    pub tier: Name,
    /// Whether it may act.
    pub status: Status,
}

impl Account {
    /// How much some keys count, each once.
    pub fn weight_of(&self, keys: &[PublicKey]) -> u64 {
        let counting = self.signatories.iter().filter(|known| keys.contains(&known.public_key));
        counting.map(|known| u64::from(known.weight)).sum()
    }

    /// Whether a key acts for it.
    pub fn has_key(&self, key: &PublicKey) -> bool {
        self.signatories.iter().any(|known| known.public_key == *key)
    }
}

/// An asset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asset {
    /// Who made it.
    pub owner: AccountId,
    /// Decimals of its minor unit.
    pub scale: u8,
    /// All that was minted and not burned.
    pub supply: u128,
    /// The most there may be.
    pub supply_cap: Option<u128>,
    /// How often it can be minted.
    pub mintability: Mintability,
    /// How much an account of a tier may send in a day.
    pub limits: BTreeMap<Name, u128>,
}

/// What an account can pay of an asset, and what it sent lately.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// Can be paid.
    pub available: u128,
    /// The last local day on which it sent any.
    pub day: u32,
    /// How much on that day.
    pub sent: u128,
}

/// Money set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Whose.
    pub from: AccountId,
    /// For whom.
    pub to: AccountId,
    /// Of what.
    pub asset: AssetId,
    /// How much.
    pub amount: u128,
    /// Settles until then.
    pub expires_ms: u64,
    /// What opens it, hashed.
    pub hash_lock: Option<Digest256>,
    /// Who settles or releases it beside the payee.
    pub arbiter: Option<AccountId>,
    /// Id and expiry of the invoice that it reserves.
    pub invoice: Option<(String, u64)>,
    /// The local day on which it counted as sent.
    pub day: u32,
}

impl Hold {
    /// The single-use payment that the hold reserves.
    pub fn invoice_key(&self) -> Option<InvoiceKey> {
        let (id, expires_ms) = self.invoice.clone()?;
        Some(InvoiceKey {
            payee: self.to.clone(),
            id,
            asset: self.asset.clone(),
            amount: self.amount,
            expires_ms,
        })
    }
}

/// Names a single-use payment.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct InvoiceKey {
    /// Who is paid.
    pub payee: AccountId,
    /// The payee's name for it.
    pub id: String,
    /// Of what.
    pub asset: AssetId,
    /// How much.
    pub amount: u128,
    /// Not payable after.
    pub expires_ms: u64,
}

/// A single-use payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaidInvoice {
    /// Who paid or reserved it.
    pub payer: AccountId,
    /// The transaction that did.
    pub transaction: TransactionHash,
    /// The hold that reserves it.
    pub hold: Option<HoldId>,
}

/// What an account was given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Given {
    /// Roles.
    pub roles: BTreeSet<Name>,
    /// Rights without a role.
    pub permissions: BTreeSet<Permission>,
}

/// What an account's signatories may approve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposal {
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
}

/// The whole state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// Domains and their owners.
    pub domains: BTreeMap<DomainId, AccountId>,
    /// Accounts, closed ones too.
    pub accounts: BTreeMap<AccountId, Account>,
    /// Assets.
    pub assets: BTreeMap<AssetId, Asset>,
    /// Balances; one that is nothing may be there.
    pub balances: BTreeMap<(AccountId, AssetId), Balance>,
    /// Holds that were neither settled nor released.
    pub holds: BTreeMap<HoldId, Hold>,
    /// Single-use payments that have not been forgotten.
    pub invoices: BTreeMap<InvoiceKey, PaidInvoice>,
    /// Roles and what they allow.
    pub roles: BTreeMap<Name, Vec<Permission>>,
    /// What accounts were given; those that own something are there with nothing, too.
    pub given: BTreeMap<AccountId, Given>,
    /// Open proposals.
    pub proposals: BTreeMap<ProposalId, Proposal>,
    /// Those of each account, in the order in which they were made.
    pub proposals_of: BTreeMap<AccountId, Vec<ProposalId>>,
    /// What was noted with accounts; none of them empty.
    pub metadata: BTreeMap<AccountId, BTreeMap<Name, String>>,
    /// What was recalled of the payments of steps.
    pub recalled: BTreeMap<(TransactionHash, u16), u128>,
    /// The validators of the next height, by key.
    pub validators: BTreeMap<PublicKey, Name>,
    /// Those of the past, by the last height at which they were.
    pub past_validators: BTreeMap<u64, BTreeMap<PublicKey, Name>>,
    /// The parameters of the block being executed.
    pub parameters: Parameters,
    /// Those of the next one.
    pub next_parameters: Parameters,
}

/// The validators of a set, by key.
pub fn by_key(set: &ValidatorSet) -> BTreeMap<PublicKey, Name> {
    set.iter().map(|validator| (validator.public_key, validator.name.clone())).collect()
}

impl State {
    /// Nothing but parameters and validators.
    pub fn new(parameters: Parameters, validators: &ValidatorSet) -> Self {
        Self {
            domains: BTreeMap::new(),
            accounts: BTreeMap::new(),
            assets: BTreeMap::new(),
            balances: BTreeMap::new(),
            holds: BTreeMap::new(),
            invoices: BTreeMap::new(),
            roles: BTreeMap::new(),
            given: BTreeMap::new(),
            proposals: BTreeMap::new(),
            proposals_of: BTreeMap::new(),
            metadata: BTreeMap::new(),
            recalled: BTreeMap::new(),
            validators: by_key(validators),
            past_validators: BTreeMap::new(),
            next_parameters: parameters.clone(),
            parameters,
        }
    }

    /// An account that was not closed.
    pub fn open_account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.get(id).filter(|account| account.status != Status::Closed)
    }

    /// What an account can pay.
    pub fn balance(&self, account: &AccountId, asset: &AssetId) -> Balance {
        self.balances.get(&(account.clone(), asset.clone())).copied().unwrap_or_default()
    }

    /// The balance, to be changed; there from now on.
    pub fn balance_mut(&mut self, account: &AccountId, asset: &AssetId) -> &mut Balance {
        self.balances.entry((account.clone(), asset.clone())).or_default()
    }

    /// What an account has promised of an asset.
    pub fn held(&self, account: &AccountId, asset: &AssetId) -> u128 {
        let holds = self.holds.values();
        let own = holds.filter(|hold| hold.from == *account && hold.asset == *asset);
        own.map(|hold| hold.amount).sum()
    }

    /// How many holds of an asset others have made for an account.
    pub fn incoming(&self, account: &AccountId, asset: &AssetId) -> usize {
        self.holds.values().filter(|hold| hold.to == *account && hold.asset == *asset).count()
    }

    /// How many domains and assets an account owns.
    pub fn owned(&self, account: &AccountId) -> usize {
        let domains = self.domains.values().filter(|owner| *owner == account).count();
        let assets = self.assets.values().filter(|asset| asset.owner == *account).count();
        domains + assets
    }

    /// The local day of a time, in days since 1970.
    pub fn day(&self, time_ms: u64) -> u32 {
        let offset_ms = i128::from(self.parameters.utc_offset_min) * 60_000;
        let day = (i128::from(time_ms) + offset_ms).div_euclid(i128::from(DAY_MS));
        u32::try_from(day).unwrap_or(0)
    }

    /// Every right that an account was given, by a role or without.
    pub fn rights_given(&self, account: &AccountId) -> BTreeSet<Permission> {
        let Some(given) = self.given.get(account) else { return BTreeSet::new() };
        let by_role = given.roles.iter().filter_map(|role| self.roles.get(role)).flatten();
        given.permissions.iter().chain(by_role).cloned().collect()
    }

    /// Whether an account holds a right: it owns what the right is about, or was given it.
    pub fn holds_right(&self, account: &AccountId, right: &Permission) -> bool {
        let given = self.rights_given(account);
        let reads_all = matches!(right, Permission::ReadAccounts(_))
            && given.contains(&Permission::ReadAllAccounts);
        self.owns(account, right) || given.contains(right) || reads_all
    }

    fn owns(&self, account: &AccountId, right: &Permission) -> bool {
        use Permission as P;
        let is_operator = *account == self.parameters.operator;
        match right {
            P::RegisterDomains
            | P::ReadAllAccounts
            | P::ManageRoles
            | P::ManageValidators
            | P::SetParameters => is_operator,
            P::ReadAccounts(domain) => is_operator || self.domains.get(domain) == Some(account),
            P::RegisterAccounts(domain) | P::ManageAccounts(domain) | P::RegisterAssets(domain) => {
                self.domains.get(domain) == Some(account)
            }
            P::Mint(asset) | P::Burn(asset) | P::Recall(asset) => {
                self.assets.get(asset).is_some_and(|asset| asset.owner == *account)
            }
            P::TransferFrom(payer) => payer == account,
        }
    }

    /// Takes an open proposal away.
    pub fn drop_proposal(&mut self, id: &ProposalId) {
        let Some(proposal) = self.proposals.remove(id) else { return };
        if let Some(open) = self.proposals_of.get_mut(&proposal.account) {
            open.retain(|other| other != id);
        }
        self.proposals_of.retain(|_, open| !open.is_empty());
    }
}
