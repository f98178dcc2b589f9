//! Freeze stops an account from paying and holding, with `incoming` also from receiving; a second
//! one replaces the first. Unfreeze lets it go on.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the account exists | `unknown_account` |
//! | the authority holds `manage_accounts` of its domain | `permission_denied` |
//!
//! An account cannot unfreeze itself, unless it manages its own domain. Holds that it made before
//! are settled and released as if it were not frozen: a promise stands.

use tonle_model::id::AccountId;
use tonle_model::instruction::Reason;
use tonle_model::permission::Permission;

use super::{Failure, Ledger};
use crate::state::value::{Account, AccountStatus};

pub fn freeze(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &AccountId,
    incoming: bool,
    reason: &Reason,
) -> Result<(), Failure> {
    let reason = reason.clone();
    set_status(ledger, by, id, AccountStatus::Frozen { incoming, reason })
}

pub fn unfreeze(ledger: &mut Ledger<'_>, by: &AccountId, id: &AccountId) -> Result<(), Failure> {
    set_status(ledger, by, id, AccountStatus::Active)
}

fn set_status(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &AccountId,
    status: AccountStatus,
) -> Result<(), Failure> {
    let account = ledger.account(id)?;
    ledger.permit(by, Permission::ManageAccounts(id.domain()))?;
    ledger.set_account(id, Account { status, ..(*account).clone() })
}
