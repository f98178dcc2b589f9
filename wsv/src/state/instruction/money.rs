//! Balances, their history, and what an account may send in a day.

use tonle_model::amount::Amount;
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::Memo;
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, overflow, reject};
use crate::state::entries::ReadEntries;
use crate::state::history::Direction;
use crate::state::key::Key;
use crate::state::value::{Account, AccountStatus, Asset, Balance, Value};

const MINUTE_MS: i64 = 60_000;
const DAY_MIN: i64 = 24 * 60;

/// The local day of a time, in days since 1970, as limits count it (ledger.md, Limits); no day is
/// before the first.
pub fn local_day(time_ms: u64, utc_offset_min: i16) -> u32 {
    let minutes = i64::try_from(time_ms).unwrap_or(i64::MAX) / MINUTE_MS;
    let local = minutes.saturating_add(utc_offset_min.into());
    u32::try_from(local.div_euclid(DAY_MIN)).unwrap_or(0)
}

/// One side of a change of what an account owns, for the history.
#[derive(Debug, Clone)]
pub struct Movement {
    /// The step of the transaction.
    pub step: u16,
    /// The place of the instruction in the proposal that the step runs; 0 without one.
    pub part: u16,
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
    pub memo: Memo,
}

/// Money on its way: who gives, who gets, of what and how much.
#[derive(Debug, Clone, Copy)]
pub struct Flow<'a> {
    /// Who gives; on minting, whoever minted.
    pub from: &'a AccountId,
    /// Who gets; on burning, whoever burned.
    pub to: &'a AccountId,
    /// Of what.
    pub asset: &'a AssetId,
    /// How much.
    pub amount: Amount,
    /// For the parties.
    pub memo: &'a Memo,
}

impl Ledger<'_> {
    pub(super) fn balance(&self, account: &AccountId, asset: &AssetId) -> Result<Balance, Failure> {
        Ok(self.overlay.balance(account, asset)?.unwrap_or_default())
    }

    pub(super) fn set_balance(
        &mut self,
        account: &AccountId,
        asset: &AssetId,
        balance: Balance,
    ) -> Result<(), Failure> {
        self.set(Key::Balance(account.clone(), asset.clone()), Value::Balance(balance))
    }

    /// The local day of the block.
    pub(super) fn day(&self) -> u32 {
        local_day(self.time_ms, self.parameters.utc_offset_min)
    }

    /// The balance of a payer less what it sends: it must have that much available, and stay
    /// within what its tier may send of the asset today.
    pub(super) fn spend(
        &self,
        flow: Flow<'_>,
        payer: &Account,
        asset: &Asset,
    ) -> Result<Balance, Failure> {
        let before = self.balance(flow.from, flow.asset)?;
        let available = available_less(before, flow, asset.scale)?;
        let day = self.day();
        let sent = if before.day == day { before.sent } else { Amount::ZERO };
        let sent = Amount::from_minor(sent.minor().saturating_add(flow.amount.minor()));
        if let Some(limit) = asset.limit(&payer.tier).filter(|limit| sent > *limit) {
            let (sent, limit) = (sent.to_decimal(asset.scale), limit.to_decimal(asset.scale));
            let detail = format_args!(
                "{} would have sent {sent} {} today, where tier {} may send {limit}",
                flow.from, flow.asset, payer.tier
            );
            return reject(RejectionCode::LimitExceeded, detail);
        }
        Ok(Balance { available, day, sent, ..before })
    }

    /// Takes from the available balance, whatever the limits: burning sends nobody anything.
    pub(super) fn debit(&mut self, flow: Flow<'_>, scale: u8) -> Result<(), Failure> {
        let before = self.balance(flow.from, flow.asset)?;
        let available = available_less(before, flow, scale)?;
        self.paid_out(flow, Balance { available, ..before })
    }

    /// Notes that a payer's balance is this after money left it.
    pub(super) fn paid_out(&mut self, flow: Flow<'_>, after: Balance) -> Result<(), Failure> {
        self.set_balance(flow.from, flow.asset, after)?;
        self.note(flow, Direction::Out, after)
    }

    /// Adds to the payee's available balance.
    pub(super) fn credit(&mut self, flow: Flow<'_>) -> Result<(), Failure> {
        let before = self.balance(flow.to, flow.asset)?;
        let Some(available) = before.available.checked_add(flow.amount) else {
            return overflow(flow.to);
        };
        let after = Balance { available, ..before };
        self.set_balance(flow.to, flow.asset, after)?;
        self.note(flow, Direction::In, after)
    }

    fn note(
        &mut self,
        flow: Flow<'_>,
        direction: Direction,
        after: Balance,
    ) -> Result<(), Failure> {
        let (account, counterparty) = match direction {
            Direction::In => (flow.to, flow.from),
            Direction::Out => (flow.from, flow.to),
        };
        let Some(balance) = after.available.checked_add(after.held) else {
            return overflow(account);
        };
        self.movements.push(Movement {
            step: self.cause.step,
            part: self.cause.proposal.map_or(0, |(_, part)| part),
            account: account.clone(),
            asset: flow.asset.clone(),
            direction,
            counterparty: counterparty.clone(),
            amount: flow.amount,
            balance,
            memo: flow.memo.clone(),
        });
        Ok(())
    }
}

fn available_less(before: Balance, flow: Flow<'_>, scale: u8) -> Result<Amount, Failure> {
    if let Some(available) = before.available.checked_sub(flow.amount) {
        return Ok(available);
    }
    let detail = format_args!(
        "{} has {} {} available, not {}",
        flow.from,
        before.available.to_decimal(scale),
        flow.asset,
        flow.amount.to_decimal(scale)
    );
    reject(RejectionCode::InsufficientBalance, detail)
}

/// Refuses if an account may not send (ledger.md, Freeze).
pub fn check_sends(id: &AccountId, account: &Account) -> Result<(), Failure> {
    match &account.status {
        AccountStatus::Frozen { reason, .. } => frozen(id, reason.as_str()),
        AccountStatus::Active | AccountStatus::Closed => Ok(()),
    }
}

/// Refuses if an account may not receive.
pub fn check_receives(id: &AccountId, account: &Account) -> Result<(), Failure> {
    match &account.status {
        AccountStatus::Frozen { incoming: true, reason } => frozen(id, reason.as_str()),
        _ => Ok(()),
    }
}

fn frozen(id: &AccountId, reason: &str) -> Result<(), Failure> {
    reject(RejectionCode::AccountFrozen, format_args!("{id} is frozen: {reason}"))
}
