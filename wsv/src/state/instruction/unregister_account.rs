//! UnregisterAccount closes an account that has nothing.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the account exists | `unknown_account` |
//! | the authority is the account, or may change its keys | `permission_denied` |
//! | it owns neither network, domain nor asset | `account_not_empty` |
//! | it has no money, available or held, and no incoming hold | `account_not_empty` |
//! | it had at most 256 assets | `too_many` |
//!
//! Its rights, notes and open proposals go. Its name is never used again, and what it did stays on
//! record.

use std::sync::Arc;

use tonle_model::id::AccountId;
use tonle_model::limits;
use tonle_model::receipt::RejectionCode;

use super::proposal::proposals_of;
use super::{Failure, Ledger, reject};
use crate::state::key::Key;
use crate::state::value::{Account, AccountStatus, Value};

pub fn execute(ledger: &mut Ledger<'_>, by: &AccountId, id: &AccountId) -> Result<(), Failure> {
    let account = ledger.account(id)?;
    ledger.permit_keys(by, id)?;
    if ledger.is_owner(id)? {
        let detail = format_args!("{id} owns a domain, an asset or the network");
        return reject(RejectionCode::AccountNotEmpty, detail);
    }
    let balances = ledger.overlay.balances(id, limits::CLOSED_ASSETS_MAX + 1)?;
    if balances.len() > limits::CLOSED_ASSETS_MAX {
        let detail = format_args!("{id} had more assets than can be looked at");
        return reject(RejectionCode::TooMany, detail);
    }
    for (asset, balance) in balances {
        if !balance.available.is_zero() || !balance.held.is_zero() {
            let detail = format_args!("{id} still has {asset}");
            return reject(RejectionCode::AccountNotEmpty, detail);
        }
        if balance.incoming > 0 {
            let detail = format_args!("{asset} is held for {id}");
            return reject(RejectionCode::AccountNotEmpty, detail);
        }
    }
    for proposal in proposals_of(ledger.overlay, id)?.iter() {
        ledger.overlay.remove(&Key::Proposal(*proposal))?;
    }
    for key in [Key::Rights(id.clone()), Key::Metadata(id.clone()), Key::Proposals(id.clone())] {
        ledger.overlay.remove(&key)?;
    }
    let closed = Account { status: AccountStatus::Closed, ..(*account).clone() };
    ledger.overlay.set(Key::Account(id.clone()), Value::Account(Arc::new(closed)))?;
    Ok(())
}
