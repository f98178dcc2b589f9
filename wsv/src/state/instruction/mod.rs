//! What each instruction does (ledger.md, Instructions).
//!
//! Each stands in a file of its own that begins with its rules: what it needs, in the order it is
//! checked, and what a failure is called. An instruction that fails may have changed something
//! before; the caller undoes the whole transaction.

mod burn;
mod mint;
mod register_account;
mod register_asset;
mod register_domain;
mod transfer;

use std::fmt::Display;
use std::sync::Arc;

use tonle_model::amount::{Amount, AmountError, Decimal};
use tonle_model::genesis::Parameters;
use tonle_model::id::{AccountId, AssetId, DomainId};
use tonle_model::limits;
use tonle_model::receipt::RejectionCode;
use tonle_model::string::Text;
use tonle_model::transaction::{Instruction, Step};

use super::entries::ReadEntries;
use super::history::Direction;
use super::key::Key;
use super::overlay::Overlay;
use super::value::{Account, Asset, Balance, Domain, Value};
use crate::store::StoreError;

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

/// One side of a change of balance, for the history.
#[derive(Debug, Clone)]
pub struct Movement {
    /// Whose balance.
    pub account: AccountId,
    /// Of what.
    pub asset: AssetId,
    /// In or out.
    pub direction: Direction,
    /// From or to whom.
    pub counterparty: AccountId,
    /// How much.
    pub amount: Amount,
    /// What the account owns afterwards, held included.
    pub balance: Amount,
    /// The memo of a transfer.
    pub memo: Text<{ limits::MEMO_BYTES_MAX }>,
}

/// What an instruction works on.
pub struct Ledger<'a> {
    /// The state with the block's changes so far.
    pub overlay: &'a mut Overlay,
    /// The parameters of this block.
    pub parameters: &'a Parameters,
    /// Whether rights are checked.
    pub rights: Rights,
    /// The step being executed.
    pub step: u16,
    /// Where changes of balance are noted, with their step.
    pub movements: &'a mut Vec<(u16, Movement)>,
}

impl Ledger<'_> {
    /// Executes one step.
    pub fn execute(&mut self, step: &Step) -> Result<(), Failure> {
        let authority = &step.authority;
        match &step.instruction {
            Instruction::RegisterDomain { id } => register_domain::execute(self, authority, id),
            Instruction::RegisterAccount { id, signatories, quorum } => {
                register_account::execute(self, authority, id, signatories, *quorum)
            }
            Instruction::RegisterAsset { id, scale, supply_cap } => {
                register_asset::execute(self, authority, id, *scale, *supply_cap)
            }
            Instruction::Mint { asset, to, amount } => {
                mint::execute(self, authority, asset, to, *amount)
            }
            Instruction::Burn { asset, amount } => burn::execute(self, authority, asset, *amount),
            Instruction::Transfer { asset, from, to, amount, memo } => {
                let payer = from.as_ref().unwrap_or(authority);
                transfer::execute(self, authority, asset, payer, to, *amount, memo)
            }
        }
    }

    /// Refuses unless the rule holds or rights are not checked.
    fn permit(&self, holds: bool, detail: impl Display) -> Result<(), Failure> {
        match holds || self.rights == Rights::All {
            true => Ok(()),
            false => reject(RejectionCode::PermissionDenied, detail),
        }
    }

    fn domain(&self, id: &DomainId) -> Result<Arc<Domain>, Failure> {
        match self.overlay.domain(id)? {
            Some(domain) => Ok(domain),
            None => reject(RejectionCode::UnknownDomain, format_args!("no domain {id}")),
        }
    }

    fn account(&self, id: &AccountId) -> Result<Arc<Account>, Failure> {
        match self.overlay.account(id)? {
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

    fn balance(&self, account: &AccountId, asset: &AssetId) -> Result<Balance, Failure> {
        Ok(self.overlay.balance(account, asset)?.unwrap_or_default())
    }

    fn set(&mut self, key: Key, value: Value) -> Result<(), Failure> {
        Ok(self.overlay.set(key, value)?)
    }

    /// Adds to an account's available balance and notes it in the history.
    fn credit(&mut self, movement: Movement) -> Result<(), Failure> {
        let before = self.balance(&movement.account, &movement.asset)?;
        let Some(available) = before.available.checked_add(movement.amount) else {
            return overflow(&movement.account);
        };
        self.put_balance(movement, Balance { available, ..before })
    }

    /// Takes from an account's available balance and notes it in the history.
    fn debit(&mut self, movement: Movement, scale: u8) -> Result<(), Failure> {
        let before = self.balance(&movement.account, &movement.asset)?;
        let Some(available) = before.available.checked_sub(movement.amount) else {
            let detail = format_args!(
                "{} has {} {} available, not {}",
                movement.account,
                before.available.to_decimal(scale),
                movement.asset,
                movement.amount.to_decimal(scale)
            );
            return reject(RejectionCode::InsufficientBalance, detail);
        };
        self.put_balance(movement, Balance { available, ..before })
    }

    fn put_balance(&mut self, mut movement: Movement, after: Balance) -> Result<(), Failure> {
        let Some(owned) = after.available.checked_add(after.held) else {
            return overflow(&movement.account);
        };
        movement.balance = owned;
        let key = Key::Balance(movement.account.clone(), movement.asset.clone());
        self.set(key, Value::Balance(after))?;
        self.movements.push((self.step, movement));
        Ok(())
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
