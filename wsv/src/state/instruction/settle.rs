//! Settle pays what was held.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the hold exists | `unknown_hold` |
//! | it has not expired: block time up to `expires_ms` | `hold_expired` |
//! | with a hash lock: the preimage opens it | `wrong_preimage` |
//! | and nothing less than the whole is asked | `partial_settle` |
//! | without one: no preimage is shown | `wrong_preimage` |
//! | the authority is the payee or the arbiter | `permission_denied` |
//! | no more decimals than the asset | `too_many_decimals` |
//! | more than zero | `zero_amount` |
//! | no more than is held | `hold_exceeded` |
//! | the payee is not frozen for what comes in | `account_frozen` |
//!
//! **A preimage in time always settles**, whoever shows it and whatever was frozen, limited or paid
//! since: otherwise the preimage would be out and the money not. The payee cannot have been closed,
//! for it has an incoming hold.
//!
//! What is not settled of an unlocked hold goes back to the payer. Both parties' histories have a
//! line for what was paid.

use tonle_model::amount::{Amount, Decimal};
use tonle_model::hash::HoldId;
use tonle_model::id::AccountId;
use tonle_model::instruction::Memo;
use tonle_model::preimage::Preimage;
use tonle_model::receipt::RejectionCode;

use super::money::{Flow, check_receives};
use super::{Failure, Ledger, positive, reject};
use crate::state::value::Hold;

pub fn execute(
    ledger: &mut Ledger<'_>,
    authority: &AccountId,
    id: &HoldId,
    amount: Option<Decimal>,
    preimage: Option<&Preimage>,
) -> Result<(), Failure> {
    let hold = ledger.hold(id)?;
    if ledger.time_ms > hold.expires_ms {
        return reject(RejectionCode::HoldExpired, "the hold has expired; it can be released");
    }
    let amount = match (&hold.hash_lock, preimage) {
        (Some(lock), Some(preimage)) if preimage.opens(lock) => whole(ledger, &hold, amount)?,
        (None, None) => {
            permit_party(authority, &hold)?;
            let amount = part(ledger, &hold, amount)?;
            check_receives(&hold.to, &*ledger.account(&hold.to)?)?;
            amount
        }
        (Some(_), _) => {
            let detail = "the hold has a hash lock: show the 32 bytes whose SHA-256 it is";
            return reject(RejectionCode::WrongPreimage, detail);
        }
        (None, Some(_)) => return reject(RejectionCode::WrongPreimage, "the hold has no lock"),
    };
    let back = hold.amount.checked_sub(amount).unwrap_or_default();
    let after = ledger.unhold(id, &hold, back)?;
    let memo = Memo::default();
    let flow = Flow { from: &hold.from, to: &hold.to, asset: &hold.asset, amount, memo: &memo };
    ledger.paid_out(flow, after)?;
    ledger.invoice_settled(id, &hold)?;
    ledger.credit(flow)
}

fn permit_party(authority: &AccountId, hold: &Hold) -> Result<(), Failure> {
    match *authority == hold.to || hold.arbiter.as_ref() == Some(authority) {
        true => Ok(()),
        false => {
            let detail = format_args!("{authority} is neither payee nor arbiter of the hold");
            reject(RejectionCode::PermissionDenied, detail)
        }
    }
}

/// What a hash-locked hold settles: all of it, which may be said.
fn whole(ledger: &Ledger<'_>, hold: &Hold, amount: Option<Decimal>) -> Result<Amount, Failure> {
    let scale = ledger.asset(&hold.asset)?.scale;
    let is_whole = amount.is_none_or(|amount| amount.to_amount(scale) == Ok(hold.amount));
    match is_whole {
        true => Ok(hold.amount),
        false => reject(RejectionCode::PartialSettle, "a hash-locked hold settles in full"),
    }
}

/// What an unlocked hold settles: what is asked, up to all of it.
fn part(ledger: &Ledger<'_>, hold: &Hold, amount: Option<Decimal>) -> Result<Amount, Failure> {
    let Some(amount) = amount else { return Ok(hold.amount) };
    let scale = ledger.asset(&hold.asset)?.scale;
    let amount = positive(amount, &hold.asset, scale)?;
    match amount <= hold.amount {
        true => Ok(amount),
        false => {
            let held = hold.amount.to_decimal(scale);
            reject(RejectionCode::HoldExceeded, format_args!("the hold is of {held}"))
        }
    }
}
