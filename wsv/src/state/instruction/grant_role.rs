//! GrantRole gives an account a role; RevokeRole takes it.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the role exists | `unknown_role` |
//! | to give: the authority holds `manage_roles` and every permission of the role | `permission_denied` |
//! | to take: it holds `manage_roles`, is the account, or holds `manage_accounts` of its domain | `permission_denied` |
//! | the account exists | `unknown_account` |
//! | to give: the account does not have the role | `already_exists` |
//! | to give: it has room for one more | `too_many` |
//! | to take: it has the role | `not_granted` |

use tonle_model::bounded::Bounded;
use tonle_model::id::{AccountId, Name};
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, reject};
use crate::state::entries::ReadEntries;

pub fn grant(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    role: &Name,
    id: &AccountId,
) -> Result<(), Failure> {
    let Some(found) = ledger.overlay.role(role)? else { return unknown(role) };
    ledger.permit(by, Permission::ManageRoles)?;
    for permission in &found.permissions {
        ledger.permit(by, permission.clone())?;
    }
    ledger.account(id)?;
    let mut held = ledger.held(id)?;
    let Err(place) = held.roles.binary_search(role) else {
        return reject(RejectionCode::AlreadyExists, format_args!("{id} has role {role}"));
    };
    let mut roles = held.roles.to_vec();
    roles.insert(place, role.clone());
    let Ok(roles) = Bounded::new(roles) else {
        return reject(RejectionCode::TooMany, format_args!("{id} has room for no more roles"));
    };
    held.roles = roles;
    ledger.set_held(id, held)
}

pub fn revoke(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    role: &Name,
    id: &AccountId,
) -> Result<(), Failure> {
    if ledger.overlay.role(role)?.is_none() {
        return unknown(role);
    }
    if !ledger.manages(by, id)? {
        ledger.permit(by, Permission::ManageRoles)?;
    }
    ledger.account(id)?;
    let mut held = ledger.held(id)?;
    let Ok(place) = held.roles.binary_search(role) else {
        return reject(RejectionCode::NotGranted, format_args!("{id} does not have role {role}"));
    };
    let mut roles = held.roles.to_vec();
    roles.remove(place);
    held.roles = Bounded::new(roles).unwrap_or_default();
    ledger.set_held(id, held)
}

fn unknown(role: &Name) -> Result<(), Failure> {
    reject(RejectionCode::UnknownRole, format_args!("no role {role}"))
}
