//! Hold sets money of the authority's own aside for a payee.
//!
//! Without a lock the payee or the arbiter settles it, in part or whole. With a hash lock whoever
//! shows the preimage in time settles it in full, and that always succeeds (see `settle`): so limit
//! and invoice are taken here. The invoice is reserved until the hold expires.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the asset exists | `unknown_asset` |
//! | payer, payee and arbiter exist | `unknown_account` |
//! | payer and payee are two | `same_account` |
//! | no more decimals than the asset | `too_many_decimals` |
//! | more than zero | `zero_amount` |
//! | no arbiter beside a hash lock; no invoice without one | `invalid_hold` |
//! | it expires later than the block, within a year; with an invoice within 10 minutes | `invalid_expiry` |
//! | the payer is not frozen, nor the payee for what comes in | `account_frozen` |
//! | the invoice is free | as for a transfer |
//! | the payer has that much available | `insufficient_balance` |
//! | the payer stays within what its tier may send today | `limit_exceeded` |
//!
//! No line of history: what the payer owns is the same.

use std::sync::Arc;

use tonle_model::hash::HoldId;
use tonle_model::id::AccountId;
use tonle_model::instruction::{Instruction, Invoice, Memo};
use tonle_model::limits;
use tonle_model::receipt::RejectionCode;

use super::money::{Flow, check_receives, check_sends};
use super::{Failure, Ledger, invoice as invoices, overflow, positive, reject};
use crate::state::key::Key;
use crate::state::value::{Balance, Hold, Value};

pub fn execute(
    ledger: &mut Ledger<'_>,
    from: &AccountId,
    instruction: &Instruction,
) -> Result<(), Failure> {
    let Instruction::Hold { asset: id, to, amount, expires_ms, hash_lock, arbiter, invoice } =
        instruction
    else {
        return Ok(());
    };
    let asset = ledger.asset(id)?;
    let payer = ledger.account(from)?;
    let payee = ledger.account(to)?;
    if let Some(arbiter) = arbiter {
        ledger.account(arbiter)?;
    }
    if from == to {
        return reject(RejectionCode::SameAccount, format_args!("{from} holds for itself"));
    }
    let amount = positive(*amount, id, asset.scale)?;
    if hash_lock.is_some() && arbiter.is_some() {
        let detail = "an arbiter could take back what a preimage must always settle";
        return reject(RejectionCode::InvalidHold, detail);
    }
    if hash_lock.is_none() && invoice.is_some() {
        return reject(RejectionCode::InvalidHold, "only a hash-locked hold reserves an invoice");
    }
    check_expiry(ledger.time_ms, *expires_ms, invoice.as_ref())?;
    check_sends(from, &payer)?;
    check_receives(to, &payee)?;
    let (origin, number) = ledger.cause.origin();
    let hold_id = HoldId::of(&origin, number);
    if let Some(invoice) = invoice {
        let key = invoices::key(to, id, amount, invoice);
        ledger.take_invoice(key, invoice, from, Some(hold_id))?;
    }
    let flow = Flow { from, to, asset: id, amount, memo: &Memo::default() };
    let after = ledger.spend(flow, &payer, &asset)?;
    let Some(held) = after.held.checked_add(amount) else { return overflow(from) };
    ledger.set_balance(from, id, Balance { held, ..after })?;
    let theirs = ledger.balance(to, id)?;
    let Some(incoming) = theirs.incoming.checked_add(1) else { return overflow(to) };
    ledger.set_balance(to, id, Balance { incoming, ..theirs })?;
    let hold = Hold {
        from: from.clone(),
        to: to.clone(),
        asset: id.clone(),
        amount,
        expires_ms: *expires_ms,
        hash_lock: *hash_lock,
        arbiter: arbiter.clone(),
        invoice: invoice.clone(),
        day: ledger.day(),
    };
    ledger.set(Key::Hold(hold_id), Value::Hold(Arc::new(hold)))
}

fn check_expiry(time_ms: u64, expires_ms: u64, invoice: Option<&Invoice>) -> Result<(), Failure> {
    let longest = match invoice {
        Some(_) => limits::INVOICE_HOLD_MS_MAX,
        None => limits::HOLD_MS_MAX,
    };
    match expires_ms.checked_sub(time_ms) {
        Some(length) if (1..=longest).contains(&length) => Ok(()),
        _ => {
            let detail = format_args!("a hold like this expires from 1 to {longest} ms ahead");
            reject(RejectionCode::InvalidExpiry, detail)
        }
    }
}
