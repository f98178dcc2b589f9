//! Money set aside.

use tonle_model::amount::Decimal;
use tonle_model::hash::HoldId;
use tonle_model::id::AccountId;
use tonle_model::instruction::Instruction;
use tonle_model::preimage::Preimage;
use tonle_model::receipt::RejectionCode;

use super::money::Payment;
use super::{Done, Run, ensure, minor_units, positive, receives_nothing, sends_nothing};
use crate::reference::state::{DAY_MS, Hold};

/// Longest life of a hold: a year.
const HOLD_MS_MAX: u64 = 365 * DAY_MS;
/// Longest that a hold reserves an invoice: ten minutes.
const INVOICE_HOLD_MS_MAX: u64 = 10 * 60_000;

impl Run<'_> {
    pub(super) fn hold(&mut self, from: &AccountId, instruction: &Instruction) -> Done {
        let Instruction::Hold { asset: id, to, amount, expires_ms, hash_lock, arbiter, invoice } =
            instruction
        else {
            return Err(RejectionCode::Internal);
        };
        let asset = self.asset(id)?;
        let payer = self.account(from)?;
        let payee = self.account(to)?;
        arbiter.as_ref().map(|arbiter| self.account(arbiter)).transpose()?;
        ensure(from != to, RejectionCode::SameAccount)?;
        let amount = positive(*amount, asset.scale)?;
        let is_odd = match hash_lock {
            Some(_) => arbiter.is_some(),
            None => invoice.is_some(),
        };
        ensure(!is_odd, RejectionCode::InvalidHold)?;
        let longest_ms = if invoice.is_some() { INVOICE_HOLD_MS_MAX } else { HOLD_MS_MAX };
        let is_timely = *expires_ms > self.time_ms && expires_ms - self.time_ms <= longest_ms;
        ensure(is_timely, RejectionCode::InvalidExpiry)?;
        let is_frozen = sends_nothing(&payer) || receives_nothing(&payee);
        ensure(!is_frozen, RejectionCode::AccountFrozen)?;
        let (origin, place) = self.origin();
        let hold_id = HoldId::of(&origin, place);
        let payment = Payment { from, to, asset: id, amount };
        if let Some(invoice) = invoice {
            let key = payment.invoice_key(invoice.id.as_str(), invoice.expires_ms);
            self.take_invoice(key, from, Some(hold_id))?;
        }
        self.spend(&payment, &payer, &asset)?;
        // The payee's balance is there from now on, with nothing.
        self.state.balance_mut(to, id);
        let hold = Hold {
            from: from.clone(),
            to: to.clone(),
            asset: id.clone(),
            amount,
            expires_ms: *expires_ms,
            hash_lock: *hash_lock,
            arbiter: arbiter.clone(),
            invoice: invoice
                .as_ref()
                .map(|invoice| (invoice.id.as_str().to_owned(), invoice.expires_ms)),
            day: self.state.day(self.time_ms),
        };
        self.state.holds.insert(hold_id, hold);
        Ok(())
    }

    pub(super) fn settle(
        &mut self,
        by: &AccountId,
        id: &HoldId,
        amount: Option<Decimal>,
        preimage: Option<&Preimage>,
    ) -> Done {
        let hold = self.find_hold(id)?;
        ensure(self.time_ms <= hold.expires_ms, RejectionCode::HoldExpired)?;
        let scale = self.asset(&hold.asset)?.scale;
        let amount = match hold.hash_lock {
            Some(lock) => {
                let opens = preimage.is_some_and(|preimage| preimage.opens(&lock));
                ensure(opens, RejectionCode::WrongPreimage)?;
                let is_whole =
                    amount.is_none_or(|amount| minor_units(amount, scale) == Ok(hold.amount));
                ensure(is_whole, RejectionCode::PartialSettle)?;
                hold.amount
            }
            None => {
                ensure(preimage.is_none(), RejectionCode::WrongPreimage)?;
                let is_party = *by == hold.to || Some(by) == hold.arbiter.as_ref();
                ensure(is_party, RejectionCode::PermissionDenied)?;
                let asked = amount.map(|amount| positive(amount, scale)).transpose()?;
                let amount = asked.unwrap_or(hold.amount);
                ensure(amount <= hold.amount, RejectionCode::HoldExceeded)?;
                let payee = self.account(&hold.to)?;
                ensure(!receives_nothing(&payee), RejectionCode::AccountFrozen)?;
                amount
            }
        };
        self.give_back(id, &hold, hold.amount - amount);
        self.state.balance_mut(&hold.to, &hold.asset).available += amount;
        // The invoice may have expired and been forgotten.
        let key = hold.invoice_key();
        if let Some(reserved) = key.and_then(|key| self.state.invoices.get_mut(&key))
            && reserved.hold.as_ref() == Some(id)
        {
            reserved.hold = None;
            reserved.transaction = self.transaction;
        }
        Ok(())
    }

    pub(super) fn release(&mut self, by: &AccountId, id: &HoldId) -> Done {
        let hold = self.find_hold(id)?;
        let is_receiver = *by == hold.to || Some(by) == hold.arbiter.as_ref();
        ensure(is_receiver || *by == hold.from, RejectionCode::PermissionDenied)?;
        let is_over = self.time_ms > hold.expires_ms;
        ensure(is_receiver || is_over, RejectionCode::HoldNotExpired)?;
        self.give_back(id, &hold, hold.amount);
        // Someone may have taken it since the hold expired.
        if let Some(key) = hold.invoice_key()
            && self.state.invoices.get(&key).is_some_and(|taken| taken.hold.as_ref() == Some(id))
        {
            self.state.invoices.remove(&key);
        }
        Ok(())
    }

    fn find_hold(&self, id: &HoldId) -> Result<Hold, RejectionCode> {
        self.state.holds.get(id).cloned().ok_or(RejectionCode::UnknownHold)
    }

    /// Ends a hold; what of it goes back to the payer counts as sent no more, on the day on which
    /// the hold was made.
    fn give_back(&mut self, id: &HoldId, hold: &Hold, back: u128) {
        self.state.holds.remove(id);
        let today = self.state.day(self.time_ms);
        let balance = self.state.balance_mut(&hold.from, &hold.asset);
        balance.available += back;
        if balance.day == hold.day && hold.day == today {
            balance.sent = balance.sent.saturating_sub(back);
        }
    }
}
