//! Release gives back what was held.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the hold exists | `unknown_hold` |
//! | the authority is the payee, the arbiter or the payer | `permission_denied` |
//! | the payer waits until block time is past `expires_ms` | `hold_not_expired` |
//!
//! An invoice that the hold reserved can be paid again. On the day on which the hold was made, it
//! no longer counts toward the payer's limit.

use std::sync::Arc;

use tonle_model::hash::HoldId;
use tonle_model::id::AccountId;
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, overflow, reject};
use crate::state::entries::ReadEntries;
use crate::state::key::Key;
use crate::state::value::{Balance, Hold, Value};
use tonle_model::amount::Amount;

pub fn execute(ledger: &mut Ledger<'_>, authority: &AccountId, id: &HoldId) -> Result<(), Failure> {
    let hold = ledger.hold(id)?;
    let is_receiver = *authority == hold.to || hold.arbiter.as_ref() == Some(authority);
    if !is_receiver && *authority != hold.from {
        let detail = format_args!("{authority} is not a party of the hold");
        return reject(RejectionCode::PermissionDenied, detail);
    }
    if !is_receiver && ledger.time_ms <= hold.expires_ms {
        let detail = format_args!("{authority} can take it back after it expires");
        return reject(RejectionCode::HoldNotExpired, detail);
    }
    let after = ledger.unhold(id, &hold, hold.amount)?;
    ledger.set_balance(&hold.from, &hold.asset, after)?;
    ledger.invoice_released(id, &hold)
}

impl Ledger<'_> {
    pub(super) fn hold(&self, id: &HoldId) -> Result<Arc<Hold>, Failure> {
        match self.overlay.value(&Key::Hold(*id))? {
            Some(Value::Hold(hold)) => Ok(hold),
            _ => reject(RejectionCode::UnknownHold, format_args!("no hold {id}")),
        }
    }

    /// Takes a hold away. Returns the payer's balance without it, with `back` available again and,
    /// on the day of the hold, no longer counted as sent.
    pub(super) fn unhold(
        &mut self,
        id: &HoldId,
        hold: &Hold,
        back: Amount,
    ) -> Result<Balance, Failure> {
        self.overlay.remove(&Key::Hold(*id))?;
        let theirs = self.balance(&hold.to, &hold.asset)?;
        let incoming = theirs.incoming.saturating_sub(1);
        self.set_balance(&hold.to, &hold.asset, Balance { incoming, ..theirs })?;
        let before = self.balance(&hold.from, &hold.asset)?;
        // What is held is part of the supply, so these fail only if the state is not what it
        // should be.
        let held = before.held.checked_sub(hold.amount);
        let available = before.available.checked_add(back);
        let (Some(held), Some(available)) = (held, available) else {
            return overflow(&hold.from);
        };
        let counts_today = before.day == hold.day && hold.day == self.day();
        let sent = match counts_today {
            true => Amount::from_minor(before.sent.minor().saturating_sub(back.minor())),
            false => before.sent,
        };
        Ok(Balance { available, held, sent, ..before })
    }
}
