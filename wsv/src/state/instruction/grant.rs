//! Grant gives an account a right; Revoke takes it.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | to give: the authority holds the right | `permission_denied` |
//! | to take: it holds the right, is the account, or holds `manage_accounts` of its domain | `permission_denied` |
//! | the account exists | `unknown_account` |
//! | to give: the account was not given the right | `already_exists` |
//! | to give: it has room for one more | `too_many` |
//! | to take: it was given the right, directly | `not_granted` |

use tonle_model::bounded::Bounded;
use tonle_model::id::AccountId;
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, reject};

pub fn grant(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    permission: &Permission,
    id: &AccountId,
) -> Result<(), Failure> {
    ledger.permit(by, permission.clone())?;
    ledger.account(id)?;
    let mut held = ledger.held(id)?;
    let Err(place) = held.permissions.binary_search(permission) else {
        return reject(RejectionCode::AlreadyExists, format_args!("{id} has {permission}"));
    };
    let mut permissions = held.permissions.to_vec();
    permissions.insert(place, permission.clone());
    let Ok(permissions) = Bounded::new(permissions) else {
        let detail = format_args!("{id} has room for no more permissions");
        return reject(RejectionCode::TooMany, detail);
    };
    held.permissions = permissions;
    ledger.set_held(id, held)
}

pub fn revoke(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    permission: &Permission,
    id: &AccountId,
) -> Result<(), Failure> {
    if !ledger.manages(by, id)? {
        ledger.permit(by, permission.clone())?;
    }
    ledger.account(id)?;
    let mut held = ledger.held(id)?;
    let Ok(place) = held.permissions.binary_search(permission) else {
        let detail = format_args!("{id} was not given {permission}");
        return reject(RejectionCode::NotGranted, detail);
    };
    let mut permissions = held.permissions.to_vec();
    permissions.remove(place);
    held.permissions = Bounded::new(permissions).unwrap_or_default();
    ledger.set_held(id, held)
}
