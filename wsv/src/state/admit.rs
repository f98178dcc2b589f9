//! The gate: whether a transaction would go through as things stand (ledger.md, Transaction).
//!
//! The node that takes a transaction in checks all that could make it void against committed
//! state, and whether its balances would do, and refuses at once; so strangers cannot fill blocks.
//! Only execution decides: what is admitted may still be void or rejected at its place.

use std::collections::BTreeMap;
use std::sync::PoisonError;

use tonle_model::amount::Amount;
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::Instruction;
use tonle_model::receipt::{RejectionCode, Void, VoidCode};
use tonle_model::transaction::{Payload, SignedTransaction};

use super::entries::ReadEntries;
use super::{StateError, WorldReader, check};

/// Why a transaction is not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refusal {
    /// It is for another network.
    OtherNetwork,
    /// It would be void.
    Void(Void),
    /// It would be rejected.
    Rejected {
        /// Why.
        code: RejectionCode,
        /// The step that would fail, from 0.
        step: u16,
        /// Why, in words.
        detail: String,
    },
}

impl Refusal {
    /// Whether the transaction may be on record: it, or its reference, was used, or its window is
    /// past. Any other is in no block.
    pub fn is_of_the_past(&self) -> bool {
        use VoidCode::{Duplicate, Expired};
        matches!(self, Self::Void(void) if matches!(void.code, Duplicate | Expired))
    }
}

/// Why the gate did not open.
#[derive(Debug)]
pub enum AdmitError {
    /// The transaction's fault.
    Refused(Refusal),
    /// The disk failed.
    State(StateError),
}

impl<E: Into<StateError>> From<E> for AdmitError {
    fn from(error: E) -> Self {
        Self::State(error.into())
    }
}

impl WorldReader {
    /// When the next block can be at the earliest, at a time of the local clock.
    pub fn next_block_ms(&self, now_ms: u64) -> u64 {
        self.shared.head().next_block_ms(now_ms)
    }

    /// Whether a transaction whose signatures are valid, or will be checked, is worth taking in at
    /// a time of the local clock.
    pub fn admit(&self, transaction: &SignedTransaction, now_ms: u64) -> Result<(), AdmitError> {
        let payload = transaction.payload();
        if payload.chain != self.shared.chain {
            return Err(AdmitError::Refused(Refusal::OtherNetwork));
        }
        let head = self.shared.head();
        let time_ms = head.next_block_ms(now_ms);
        let references = check::references(payload);
        let void = {
            let window = self.shared.window.read().unwrap_or_else(PoisonError::into_inner);
            let max_ttl_ms = head.parameters.max_ttl_ms;
            let entries = &self.shared.entries;
            check::check_void(transaction, &references, time_ms, max_ttl_ms, &*window, entries)?
        };
        match void {
            Some(void) => Err(AdmitError::Refused(Refusal::Void(void))),
            None => self.check_balances(payload),
        }
    }

    /// Whether its hash, or a reference of one of its authorities, is used up at a time.
    pub fn is_used(&self, transaction: &SignedTransaction, time_ms: u64) -> bool {
        let references = check::references(transaction.payload());
        let window = self.shared.window.read().unwrap_or_else(PoisonError::into_inner);
        check::is_used(transaction, &references, time_ms, &*window)
    }

    /// Whether every payer has what it pays in all, counting what earlier transfers bring it. Looks
    /// no further than the first step that is not a transfer: what that one brings is for execution
    /// to say.
    fn check_balances(&self, payload: &Payload) -> Result<(), AdmitError> {
        let entries = &self.shared.entries;
        let mut available: BTreeMap<(&AccountId, &AssetId), Amount> = BTreeMap::new();
        for (number, step) in (0u16..).zip(&payload.steps) {
            let Instruction::Transfer { asset: id, from, to, amount, .. } = &step.instruction
            else {
                return Ok(());
            };
            // What is wrong with the step otherwise is for execution to say and to record.
            let Some(asset) = entries.asset(id)? else { continue };
            let Ok(amount) = amount.to_amount(asset.scale) else { continue };
            let payer = from.as_ref().unwrap_or(&step.authority);
            let before = match available.get(&(payer, id)) {
                Some(amount) => *amount,
                None => entries.balance(payer, id)?.unwrap_or_default().available,
            };
            let Some(after) = before.checked_sub(amount) else {
                let detail = format!(
                    "{payer} has {} {id} available, not {}",
                    before.to_decimal(asset.scale),
                    amount.to_decimal(asset.scale)
                );
                let code = RejectionCode::InsufficientBalance;
                let refusal = Refusal::Rejected { code, step: number, detail };
                return Err(AdmitError::Refused(refusal));
            };
            available.insert((payer, id), after);
            let brought = match available.get(&(to, id)) {
                Some(amount) => *amount,
                None => entries.balance(to, id)?.unwrap_or_default().available,
            };
            available.insert((to, id), brought.checked_add(amount).unwrap_or(brought));
        }
        Ok(())
    }
}
