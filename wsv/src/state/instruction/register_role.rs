//! RegisterRole makes a role.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the authority holds `manage_roles` | `permission_denied` |
//! | and every permission of the role | `permission_denied` |
//! | the name is not taken | `already_exists` |

use std::sync::Arc;

use tonle_model::id::{AccountId, Name};
use tonle_model::permission::{Permission, Permissions};
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, reject};
use crate::state::entries::ReadEntries;
use crate::state::key::Key;
use crate::state::value::{Role, Value};

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &Name,
    permissions: &Permissions,
) -> Result<(), Failure> {
    ledger.permit(by, Permission::ManageRoles)?;
    for permission in permissions {
        ledger.permit(by, permission.clone())?;
    }
    if ledger.overlay.role(id)?.is_some() {
        return reject(RejectionCode::AlreadyExists, format_args!("role {id} exists"));
    }
    let role = Role { permissions: permissions.clone() };
    ledger.set(Key::Role(id.clone()), Value::Role(Arc::new(role)))
}
