//! Transfer pays.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the authority is the payer, or holds `transfer_from` of it | `permission_denied` |
//! | the asset exists | `unknown_asset` |
//! | payer and payee exist | `unknown_account` |
//! | payer and payee are two | `same_account` |
//! | no more decimals than the asset | `too_many_decimals` |
//! | more than zero | `zero_amount` |
//! | the payer is not frozen, nor the payee for what comes in | `account_frozen` |
//! | the invoice, if there is one, has not expired | `invoice_expired` |
//! | and expires within a day | `invalid_expiry` |
//! | and was not paid, nor reserved by a hold | `invoice_paid`, `invoice_reserved` |
//! | the payer has that much available | `insufficient_balance` |
//! | the payer stays within what its tier may send today | `limit_exceeded` |
//!
//! Both parties' histories name the other and carry the memo.

use tonle_model::id::AccountId;
use tonle_model::instruction::Instruction;
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::money::{Flow, check_receives, check_sends};
use super::{Failure, Ledger, invoice as invoices, positive, reject};

pub fn execute(
    ledger: &mut Ledger<'_>,
    authority: &AccountId,
    instruction: &Instruction,
) -> Result<(), Failure> {
    let Instruction::Transfer { asset: id, from, to, amount, memo, invoice } = instruction else {
        return Ok(());
    };
    let from = from.as_ref().unwrap_or(authority);
    if from != authority {
        ledger.permit(authority, Permission::TransferFrom(from.clone()))?;
    }
    let asset = ledger.asset(id)?;
    let payer = ledger.account(from)?;
    let payee = ledger.account(to)?;
    if from == to {
        return reject(RejectionCode::SameAccount, format_args!("{from} pays itself"));
    }
    let amount = positive(*amount, id, asset.scale)?;
    check_sends(from, &payer)?;
    check_receives(to, &payee)?;
    if let Some(invoice) = invoice {
        ledger.take_invoice(invoices::key(to, id, amount, invoice), invoice, from, None)?;
    }
    let flow = Flow { from, to, asset: id, amount, memo };
    let after = ledger.spend(flow, &payer, &asset)?;
    ledger.paid_out(flow, after)?;
    #[cfg(test)]
    assert_ne!(memo.as_str(), "panic between debit and credit", "asked for by a test");
    ledger.credit(flow)
}
