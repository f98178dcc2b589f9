//! What each instruction does (ledger.md, Instructions).
//!
//! Each stands in a file of its own that begins with its rules: what it needs, in the order it is
//! checked, and what a failure is called. An instruction that fails may have changed something
//! before; the caller undoes the whole transaction.
//!
//! What several share stands beside them: [`rights`] says who may do what, [`money`] moves
//! balances and counts limits, [`invoice`] makes payments single-use.

mod add_signatory;
mod approve;
mod burn;
mod freeze;
mod grant;
mod grant_role;
mod hold;
mod invoice;
mod metadata;
mod mint;
mod money;
mod proposal;
mod propose;
mod recall;
mod register_account;
mod register_asset;
mod register_domain;
mod register_role;
mod register_validator;
mod release;
mod remove_signatory;
mod rights;
mod set_limit;
mod set_parameter;
mod set_quorum;
mod set_tier;
mod settle;
mod signatories;
mod transfer;
mod unregister_account;
mod unregister_validator;
mod validators;
mod withdraw;

use std::fmt::Display;
use std::sync::Arc;

use tonle_model::amount::{Amount, AmountError, Decimal};
use tonle_model::genesis::Parameters;
use tonle_model::hash::{ChainHash, Digest256};
use tonle_model::id::{AccountId, AssetId, DomainId};
use tonle_model::instruction::Instruction;
use tonle_model::key::PublicKey;
use tonle_model::number::Height;
use tonle_model::receipt::RejectionCode;

use super::entries::ReadEntries;
use super::key::Key;
use super::overlay::Overlay;
use super::value::{Account, Asset, Domain, Value};
use crate::store::StoreError;

pub use money::{Movement, local_day};
pub use proposal::drop_proposal;
pub use rights::holds;
pub use validators::{changes, validators_at};

/// Why a step did not take effect.
#[derive(Debug)]
pub enum Failure {
    /// The ledger refuses it.
    Rejected {
        /// The certified code.
        code: RejectionCode,
        /// For people; not certified.
        detail: String,
    },
    /// The database failed: nothing can be said about the step.
    Fatal(StoreError),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Fatal(error)
    }
}

/// A rejection with words for people.
fn reject<T>(code: RejectionCode, detail: impl Display) -> Result<T, Failure> {
    Err(Failure::Rejected { code, detail: detail.to_string() })
}

/// Whether rights are checked: genesis is executed with every right (ledger.md, State).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rights {
    /// Only what the authority may do.
    Checked,
    /// Everything.
    All,
}

/// What runs an instruction, and where: a step of a transaction, or one instruction of a proposal.
#[derive(Debug, Clone, Copy)]
pub struct Cause<'a> {
    /// The transaction.
    pub transaction: Digest256,
    /// The step of the transaction.
    pub step: u16,
    /// The proposal that the step runs, and the place of the instruction in it.
    pub proposal: Option<(Digest256, u16)>,
    /// The keys that signed the transaction.
    pub signers: &'a [PublicKey],
}

impl Cause<'_> {
    /// What names whatever the instruction makes: unique in the network's whole life.
    fn origin(&self) -> (Digest256, u16) {
        self.proposal.unwrap_or((self.transaction, self.step))
    }
}

/// What an instruction works on.
pub struct Ledger<'a> {
    /// The state with the block's changes so far.
    pub overlay: &'a mut Overlay,
    /// The network.
    pub chain: ChainHash,
    /// The height of this block.
    pub height: Height,
    /// The parameters of this block.
    pub parameters: &'a Parameters,
    /// Block time.
    pub time_ms: u64,
    /// Whether rights are checked.
    pub rights: Rights,
    /// What is being executed.
    pub cause: Cause<'a>,
    /// Where changes of balance are noted.
    pub movements: &'a mut Vec<Movement>,
}

impl Ledger<'_> {
    /// Executes one instruction of an authority that consents to it.
    pub fn execute(&mut self, by: &AccountId, instruction: &Instruction) -> Result<(), Failure> {
        use Instruction as I;
        match instruction {
            I::RegisterDomain { id } => register_domain::execute(self, by, id),
            I::RegisterAccount { id, signatories, quorum, tier } => {
                register_account::execute(self, by, id, signatories, *quorum, tier.as_ref())
            }
            I::RegisterAsset { id, scale, supply_cap, mintability } => {
                register_asset::execute(self, by, id, *scale, *supply_cap, *mintability)
            }
            I::UnregisterAccount { id } => unregister_account::execute(self, by, id),
            I::Mint { asset, to, amount } => mint::execute(self, by, asset, to, *amount),
            I::Burn { asset, amount } => burn::execute(self, by, asset, *amount),
            I::Transfer { .. } => transfer::execute(self, by, instruction),
            I::Hold { .. } => hold::execute(self, by, instruction),
            I::Settle { id, amount, preimage } => {
                settle::execute(self, by, id, *amount, preimage.as_ref())
            }
            I::Release { id } => release::execute(self, by, id),
            I::AddSignatory { account, signatory } => {
                add_signatory::execute(self, by, account, signatory)
            }
            I::RemoveSignatory { account, public_key } => {
                remove_signatory::execute(self, by, account, public_key)
            }
            I::SetQuorum { account, quorum } => set_quorum::execute(self, by, account, *quorum),
            I::Freeze { account, incoming, reason } => {
                freeze::freeze(self, by, account, *incoming, reason)
            }
            I::Unfreeze { account } => freeze::unfreeze(self, by, account),
            I::SetTier { account, tier } => set_tier::execute(self, by, account, tier),
            I::SetLimit { tier, asset, per_day } => {
                set_limit::execute(self, by, tier, asset, *per_day)
            }
            I::Recall { .. } => recall::execute(self, by, instruction),
            I::RegisterRole { id, permissions } => {
                register_role::execute(self, by, id, permissions)
            }
            I::GrantRole { role, account } => grant_role::grant(self, by, role, account),
            I::RevokeRole { role, account } => grant_role::revoke(self, by, role, account),
            I::Grant { permission, account } => grant::grant(self, by, permission, account),
            I::Revoke { permission, account } => grant::revoke(self, by, permission, account),
            I::SetMetadata { account, key, value, expected } => {
                metadata::set(self, by, account, key, value, expected.as_ref())
            }
            I::RemoveMetadata { account, key } => metadata::remove(self, by, account, key),
            I::Propose { account, instructions, expires_ms } => {
                propose::execute(self, by, account, instructions, *expires_ms)
            }
            I::Approve { id } => approve::execute(self, id),
            I::Withdraw { id } => withdraw::execute(self, by, id),
            I::RegisterValidator { name, public_key, joining } => {
                register_validator::execute(self, by, name, public_key, joining)
            }
            I::UnregisterValidator { public_key } => {
                unregister_validator::execute(self, by, public_key)
            }
            I::SetParameter(parameter) => set_parameter::execute(self, by, parameter),
        }
    }

    fn domain(&self, id: &DomainId) -> Result<Arc<Domain>, Failure> {
        match self.overlay.domain(id)? {
            Some(domain) => Ok(domain),
            None => reject(RejectionCode::UnknownDomain, format_args!("no domain {id}")),
        }
    }

    /// An account that is open.
    fn account(&self, id: &AccountId) -> Result<Arc<Account>, Failure> {
        match self.overlay.account(id)?.filter(|account| !account.is_closed()) {
            Some(account) => Ok(account),
            None => reject(RejectionCode::UnknownAccount, format_args!("no account {id}")),
        }
    }

    fn asset(&self, id: &AssetId) -> Result<Arc<Asset>, Failure> {
        match self.overlay.asset(id)? {
            Some(asset) => Ok(asset),
            None => reject(RejectionCode::UnknownAsset, format_args!("no asset {id}")),
        }
    }

    fn set(&mut self, key: Key, value: Value) -> Result<(), Failure> {
        Ok(self.overlay.set(key, value)?)
    }

    fn set_account(&mut self, id: &AccountId, account: Account) -> Result<(), Failure> {
        self.set(Key::Account(id.clone()), Value::Account(Arc::new(account)))
    }

    fn set_asset(&mut self, id: &AssetId, asset: Asset) -> Result<(), Failure> {
        self.set(Key::Asset(id.clone()), Value::Asset(Arc::new(asset)))
    }
}

fn overflow<T>(what: impl Display) -> Result<T, Failure> {
    let detail = format_args!("the sum for {what} would pass 128 bits");
    reject(RejectionCode::AmountOverflow, detail)
}

/// An amount as written, under the scale of its asset: more than zero and exact.
fn positive(amount: Decimal, asset: &AssetId, scale: u8) -> Result<Amount, Failure> {
    let exact = under_scale(amount, asset, scale)?;
    match exact.is_zero() {
        true => reject(RejectionCode::ZeroAmount, "the amount is zero"),
        false => Ok(exact),
    }
}

fn under_scale(amount: Decimal, asset: &AssetId, scale: u8) -> Result<Amount, Failure> {
    match amount.to_amount(scale) {
        Ok(amount) => Ok(amount),
        Err(AmountError::TooManyDecimals { .. }) => reject(
            RejectionCode::TooManyDecimals,
            format_args!("{amount} has more decimals than {asset}, which has {scale}"),
        ),
        Err(_) => overflow(asset),
    }
}
