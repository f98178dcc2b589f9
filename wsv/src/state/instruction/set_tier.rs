//! SetTier says which daily limits apply to an account.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the account exists | `unknown_account` |
//! | the authority holds `manage_accounts` of its domain | `permission_denied` |
//!
//! A tier is a name; an asset limits those that it has a limit for.

use tonle_model::id::{AccountId, Name};
use tonle_model::permission::Permission;

use super::{Failure, Ledger};
use crate::state::value::Account;

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &AccountId,
    tier: &Name,
) -> Result<(), Failure> {
    let account = ledger.account(id)?;
    // Not for an account to decide on itself.
    ledger.permit(by, Permission::ManageAccounts(id.domain()))?;
    ledger.set_account(id, Account { tier: tier.clone(), ..(*account).clone() })
}
