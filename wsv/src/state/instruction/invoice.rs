//! Single-use payments (ledger.md, Invoice).

use std::sync::Arc;

use tonle_model::amount::Amount;
use tonle_model::hash::{HoldId, TransactionHash};
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::Invoice;
use tonle_model::limits;
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, reject};
use crate::state::entries::ReadEntries;
use crate::state::key::{InvoiceKey, Key};
use crate::state::value::{Hold, PaidInvoice, Value};

/// The payment that an invoice makes single-use.
pub fn key(to: &AccountId, asset: &AssetId, amount: Amount, invoice: &Invoice) -> Key {
    Key::Invoice(Arc::new(InvoiceKey {
        payee: to.clone(),
        id: invoice.id.clone(),
        asset: asset.clone(),
        amount,
        expires_ms: invoice.expires_ms,
    }))
}

fn key_of(hold: &Hold, invoice: &Invoice) -> Key {
    key(&hold.to, &hold.asset, hold.amount, invoice)
}

impl Ledger<'_> {
    /// Takes an invoice for good, or for a hold.
    pub(super) fn take_invoice(
        &mut self,
        key: Key,
        invoice: &Invoice,
        payer: &AccountId,
        hold: Option<HoldId>,
    ) -> Result<(), Failure> {
        let Invoice { id, expires_ms } = invoice;
        if self.time_ms > *expires_ms {
            return reject(RejectionCode::InvoiceExpired, format_args!("invoice {id} has expired"));
        }
        if *expires_ms - self.time_ms > limits::INVOICE_AHEAD_MS_MAX {
            let detail = format_args!("invoice {id} expires more than a day ahead");
            return reject(RejectionCode::InvalidExpiry, detail);
        }
        if let Some(Value::Invoice(taken)) = self.overlay.value(&key)? {
            let Some(reserving) = taken.hold else {
                let detail = format_args!("invoice {id} was paid");
                return reject(RejectionCode::InvoicePaid, detail);
            };
            let reserving = self.overlay.value(&Key::Hold(reserving))?;
            let is_open =
                matches!(reserving, Some(Value::Hold(hold)) if self.time_ms <= hold.expires_ms);
            if is_open {
                let detail = format_args!("invoice {id} is reserved by a hold");
                return reject(RejectionCode::InvoiceReserved, detail);
            }
            // It can settle no more, and its payer need not be waited for.
        }
        let transaction = TransactionHash(self.cause.transaction);
        let paid = PaidInvoice { payer: payer.clone(), transaction, hold };
        self.set(key, Value::Invoice(Arc::new(paid)))
    }

    /// The hold was settled: the invoice that it reserves is paid.
    pub(super) fn invoice_settled(&mut self, id: &HoldId, hold: &Hold) -> Result<(), Failure> {
        let Some((key, reserved)) = self.reserved(id, hold)? else { return Ok(()) };
        let transaction = TransactionHash(self.cause.transaction);
        let paid = PaidInvoice { transaction, hold: None, ..(*reserved).clone() };
        self.set(key, Value::Invoice(Arc::new(paid)))
    }

    /// The hold was released: the invoice that it reserves can be paid again.
    pub(super) fn invoice_released(&mut self, id: &HoldId, hold: &Hold) -> Result<(), Failure> {
        match self.reserved(id, hold)? {
            Some((key, _)) => Ok(self.overlay.remove(&key)?),
            None => Ok(()),
        }
    }

    /// The invoice that a hold reserves. It may have expired and be gone; or the hold has expired
    /// and someone else took it.
    fn reserved(
        &self,
        id: &HoldId,
        hold: &Hold,
    ) -> Result<Option<(Key, Arc<PaidInvoice>)>, Failure> {
        let Some(invoice) = &hold.invoice else { return Ok(None) };
        let key = key_of(hold, invoice);
        Ok(match self.overlay.value(&key)? {
            Some(Value::Invoice(taken)) if taken.hold.as_ref() == Some(id) => Some((key, taken)),
            _ => None,
        })
    }
}
