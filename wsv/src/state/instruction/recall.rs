//! Recall pays a transfer back without its payee, by whoever may recall the asset: a mistake, a
//! theft, an order of a court.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the asset exists | `unknown_asset` |
//! | the authority holds `recall` of the asset | `permission_denied` |
//! | the proof shows that validators applied the transaction, and that its step paid the asset from `to` to `from` | `unproven_payment` |
//! | `to` is open | `unknown_account` |
//! | no more decimals than the asset | `too_many_decimals` |
//! | more than zero | `zero_amount` |
//! | no more than was paid, less what was recalled of it before | `recall_exceeded` |
//! | `from` has some of it available | `insufficient_balance` |
//!
//! It takes what is available, up to the amount, so that nobody escapes it by paying on one riel.
//! Freezes and daily limits do not stop it, and it does not count as sent. Both histories have a
//! memo that names the payment. A transfer that a proposal made, and what a hold settled, stand in
//! no step and cannot be recalled.
//!
//! The proof makes it independent of the archive: a node that joined late knows no history, and
//! must come to the same result (`docs/decisions/0013-recall-by-proof.md`).

use std::sync::Arc;

use tonle_model::amount::Amount;
use tonle_model::id::AccountId;
use tonle_model::instruction::{Instruction, Memo};
use tonle_model::permission::Permission;
use tonle_model::proof::AppliedProof;
use tonle_model::receipt::RejectionCode;
use tonle_model::verify::Verifier;

use super::money::Flow;
use super::{Failure, Ledger, positive, reject};
use crate::state::entries::ReadEntries;
use crate::state::key::Key;
use crate::state::value::{Asset, Recalled, Value};

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    recall: &Instruction,
) -> Result<(), Failure> {
    let Instruction::Recall { from, to, asset: id, amount, transaction, step, reason: _, proof: _ } =
        recall
    else {
        return reject(RejectionCode::Internal, "not a recall");
    };
    let asset = ledger.asset(id)?;
    ledger.permit(by, Permission::Recall(id.clone()))?;
    let paid = ledger.paid(recall, &asset)?;
    ledger.account(to)?;
    let amount = positive(*amount, id, asset.scale)?;
    let before = ledger.overlay.recalled(transaction, *step)?.unwrap_or_default();
    let left = paid.checked_sub(before.amount).unwrap_or_default();
    if amount > left {
        let [amount, paid, before] =
            [amount, paid, before.amount].map(|amount| amount.to_decimal(asset.scale));
        let detail = format_args!(
            "{amount} {id} is more than is left of {paid}, of which {before} were recalled"
        );
        return reject(RejectionCode::RecallExceeded, detail);
    }
    let available = ledger.balance(from, id)?.available;
    let amount = amount.min(available);
    if amount.is_zero() {
        let detail = format_args!("{from} has no {id} available");
        return reject(RejectionCode::InsufficientBalance, detail);
    }
    let memo: Memo = format!("recall of {transaction}/{step}").parse().unwrap_or_default();
    let flow = Flow { from, to, asset: id, amount, memo: &memo };
    ledger.debit(flow, asset.scale)?;
    ledger.credit(flow)?;
    // At most what was paid.
    let sum = before.amount.checked_add(amount).unwrap_or(paid);
    let recalled = Value::Recalled(Arc::new(Recalled { amount: sum }));
    ledger.set(Key::Recalled(*transaction, *step), recalled)
}

impl Ledger<'_> {
    /// How much the step paid that a recall is about, if its proof holds and says just that.
    fn paid(&self, recall: &Instruction, scaled: &Asset) -> Result<Amount, Failure> {
        let Instruction::Recall { from, to, asset, transaction, step, proof, .. } = recall else {
            return unproven("not a recall");
        };
        if proof.transaction() != *transaction {
            return unproven(format_args!("the proof is about {}", proof.transaction()));
        }
        let Ok(payload) = proof.payload() else {
            return unproven("the proof's payload cannot be read");
        };
        let Some(paying) = payload.steps.get(usize::from(*step)) else {
            return unproven(format_args!("the transaction has no step {step}"));
        };
        let paid = match &paying.instruction {
            Instruction::Transfer { asset: of, from: payer, to: payee, amount, .. }
                if of == asset
                    && payee == from
                    && payer.as_ref().unwrap_or(&paying.authority) == to =>
            {
                amount
            }
            _ => {
                let detail =
                    format_args!("step {step} is no transfer of {asset} from {to} to {from}");
                return unproven(detail);
            }
        };
        self.check_applied(proof)?;
        // It was applied, so it was exact.
        Ok(paid.to_amount(scaled.scale).unwrap_or_default())
    }

    /// Refuses unless a quorum of the validators of the proof's height signed that the transaction
    /// was applied.
    fn check_applied(&self, proof: &AppliedProof) -> Result<(), Failure> {
        let validators = self.validators_at(proof.height())?;
        match proof.check(&self.chain, &validators, &Verifier::new()) {
            Ok(()) => Ok(()),
            Err(error) => unproven(error),
        }
    }
}

fn unproven<T>(detail: impl std::fmt::Display) -> Result<T, Failure> {
    reject(RejectionCode::UnprovenPayment, detail)
}
