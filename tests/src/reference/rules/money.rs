//! Making, unmaking and paying money, and payments that are made once.

use tonle_model::amount::Decimal;
use tonle_model::hash::{HoldId, TransactionHash};
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::{Instruction, Mintability};
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::{
    Account, Asset, Done, Run, ensure, minor_units, positive, receives_nothing, sends_nothing,
};
use crate::reference::state::{DAY_MS, InvoiceKey, PaidInvoice};

/// A payment as it is carried out.
pub(super) struct Payment<'a> {
    pub from: &'a AccountId,
    pub to: &'a AccountId,
    pub asset: &'a AssetId,
    pub amount: u128,
}

impl Run<'_> {
    pub(super) fn mint(
        &mut self,
        by: &AccountId,
        id: &AssetId,
        to: &AccountId,
        amount: Decimal,
    ) -> Done {
        let mut asset = self.asset(id)?;
        self.permit(by, Permission::Mint(id.clone()))?;
        let payee = self.account(to)?;
        let amount = positive(amount, asset.scale)?;
        ensure(!receives_nothing(&payee), RejectionCode::AccountFrozen)?;
        ensure(asset.mintability != Mintability::Never, RejectionCode::NotMintable)?;
        let Some(supply) = asset.supply.checked_add(amount) else {
            return Err(RejectionCode::AmountOverflow);
        };
        let cap = asset.supply_cap.unwrap_or(u128::MAX);
        ensure(supply <= cap, RejectionCode::SupplyCapExceeded)?;
        asset.supply = supply;
        if asset.mintability == Mintability::Once {
            asset.mintability = Mintability::Never;
        }
        self.state.assets.insert(id.clone(), asset);
        self.state.balance_mut(to, id).available += amount;
        Ok(())
    }

    pub(super) fn burn(&mut self, by: &AccountId, id: &AssetId, amount: Decimal) -> Done {
        let mut asset = self.asset(id)?;
        self.permit(by, Permission::Burn(id.clone()))?;
        let amount = positive(amount, asset.scale)?;
        ensure(!sends_nothing(&self.account(by)?), RejectionCode::AccountFrozen)?;
        let available = self.state.balance(by, id).available;
        ensure(amount <= available, RejectionCode::InsufficientBalance)?;
        self.state.balance_mut(by, id).available -= amount;
        asset.supply -= amount;
        self.state.assets.insert(id.clone(), asset);
        Ok(())
    }

    pub(super) fn transfer(&mut self, by: &AccountId, instruction: &Instruction) -> Done {
        let Instruction::Transfer { asset: id, from, to, amount, memo: _, invoice } = instruction
        else {
            return Err(RejectionCode::Internal);
        };
        let from = from.as_ref().unwrap_or(by);
        self.permit(by, Permission::TransferFrom(from.clone()))?;
        let asset = self.asset(id)?;
        let payer = self.account(from)?;
        let payee = self.account(to)?;
        ensure(from != to, RejectionCode::SameAccount)?;
        let amount = positive(*amount, asset.scale)?;
        let is_frozen = sends_nothing(&payer) || receives_nothing(&payee);
        ensure(!is_frozen, RejectionCode::AccountFrozen)?;
        let payment = Payment { from, to, asset: id, amount };
        if let Some(invoice) = invoice {
            let key = payment.invoice_key(invoice.id.as_str(), invoice.expires_ms);
            self.take_invoice(key, from, None)?;
        }
        self.spend(&payment, &payer, &asset)?;
        self.state.balance_mut(to, id).available += amount;
        Ok(())
    }

    pub(super) fn recall(&mut self, by: &AccountId, instruction: &Instruction) -> Done {
        let Instruction::Recall {
            from,
            to,
            asset: id,
            amount,
            transaction,
            step,
            proof,
            reason: _,
        } = instruction
        else {
            return Err(RejectionCode::Internal);
        };
        let asset = self.asset(id)?;
        self.permit(by, Permission::Recall(id.clone()))?;
        let paid = self.paid(from, to, id, transaction, *step).filter(|_| {
            // Nothing else proves it.
            self.archive.proof(transaction).as_ref() == Some(&**proof)
        });
        let paid = minor_units(paid.ok_or(RejectionCode::UnprovenPayment)?, asset.scale)?;
        self.account(to)?;
        let amount = positive(*amount, asset.scale)?;
        let payment = (*transaction, *step);
        let before = self.state.recalled.get(&payment).copied().unwrap_or(0);
        ensure(amount <= paid - before, RejectionCode::RecallExceeded)?;
        let amount = amount.min(self.state.balance(from, id).available);
        ensure(amount > 0, RejectionCode::InsufficientBalance)?;
        self.state.balance_mut(from, id).available -= amount;
        self.state.balance_mut(to, id).available += amount;
        self.state.recalled.insert(payment, before + amount);
        Ok(())
    }

    /// What a step that was applied paid one from another.
    fn paid(
        &self,
        payee: &AccountId,
        payer: &AccountId,
        asset: &AssetId,
        transaction: &TransactionHash,
        step: u16,
    ) -> Option<Decimal> {
        let step = self.archive.payload(transaction)?.steps.get(usize::from(step))?;
        match &step.instruction {
            Instruction::Transfer { asset: of, from, to, amount, .. } => {
                let from = from.as_ref().unwrap_or(&step.authority);
                (of == asset && from == payer && to == payee).then_some(*amount)
            }
            _ => None,
        }
    }

    /// Takes a payment from what the payer has available and may send today.
    pub(super) fn spend(&mut self, payment: &Payment<'_>, payer: &Account, asset: &Asset) -> Done {
        let Payment { from, asset: id, amount, .. } = *payment;
        let today = self.state.day(self.time_ms);
        let before = self.state.balance(from, id);
        ensure(amount <= before.available, RejectionCode::InsufficientBalance)?;
        let sent_before = if before.day == today { before.sent } else { 0 };
        // What was sent stops at the most that 128 bits hold.
        let sent = sent_before.saturating_add(amount);
        let limit = asset.limits.get(&payer.tier).copied().unwrap_or(u128::MAX);
        ensure(sent <= limit, RejectionCode::LimitExceeded)?;
        let balance = self.state.balance_mut(from, id);
        balance.available -= amount;
        balance.day = today;
        balance.sent = sent;
        Ok(())
    }

    /// Takes an invoice for good, or for a hold.
    pub(super) fn take_invoice(
        &mut self,
        key: InvoiceKey,
        payer: &AccountId,
        hold: Option<HoldId>,
    ) -> Done {
        ensure(self.time_ms <= key.expires_ms, RejectionCode::InvoiceExpired)?;
        let ahead_ms = key.expires_ms - self.time_ms;
        ensure(ahead_ms <= DAY_MS, RejectionCode::InvalidExpiry)?;
        if let Some(taken) = self.state.invoices.get(&key) {
            let reserving = taken.hold.as_ref().ok_or(RejectionCode::InvoicePaid)?;
            // A hold reserves as long as it can settle.
            let hold = self.state.holds.get(reserving);
            let is_open = hold.is_some_and(|hold| self.time_ms <= hold.expires_ms);
            ensure(!is_open, RejectionCode::InvoiceReserved)?;
        }
        let paid = PaidInvoice { payer: payer.clone(), transaction: self.transaction, hold };
        self.state.invoices.insert(key, paid);
        Ok(())
    }
}

impl Payment<'_> {
    pub(super) fn invoice_key(&self, id: &str, expires_ms: u64) -> InvoiceKey {
        InvoiceKey {
            payee: self.to.clone(),
            id: id.to_owned(),
            asset: self.asset.clone(),
            amount: self.amount,
            expires_ms,
        }
    }
}
