//! Roles and rights.

use tonle_model::id::{AccountId, Name};
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::{Done, Run, ensure};

/// Most roles of one account.
const ROLES_MAX: usize = 16;
/// Most rights that one account is given without a role.
const RIGHTS_MAX: usize = 64;

impl Run<'_> {
    pub(super) fn register_role(
        &mut self,
        by: &AccountId,
        id: &Name,
        permissions: &[Permission],
    ) -> Done {
        self.permit(by, Permission::ManageRoles)?;
        permissions.iter().try_for_each(|right| self.permit(by, right.clone()))?;
        ensure(!self.state.roles.contains_key(id), RejectionCode::AlreadyExists)?;
        self.state.roles.insert(id.clone(), permissions.to_vec());
        Ok(())
    }

    pub(super) fn grant_role(&mut self, by: &AccountId, role: &Name, id: &AccountId) -> Done {
        let Some(permissions) = self.state.roles.get(role) else {
            return Err(RejectionCode::UnknownRole);
        };
        self.permit(by, Permission::ManageRoles)?;
        permissions.iter().try_for_each(|right| self.permit(by, right.clone()))?;
        self.account(id)?;
        let roles = &mut self.state.given.entry(id.clone()).or_default().roles;
        ensure(!roles.contains(role), RejectionCode::AlreadyExists)?;
        ensure(roles.len() < ROLES_MAX, RejectionCode::TooMany)?;
        roles.insert(role.clone());
        Ok(())
    }

    pub(super) fn revoke_role(&mut self, by: &AccountId, role: &Name, id: &AccountId) -> Done {
        ensure(self.state.roles.contains_key(role), RejectionCode::UnknownRole)?;
        if self.permit_managing(by, id).is_err() {
            self.permit(by, Permission::ManageRoles)?;
        }
        self.account(id)?;
        let roles = &mut self.state.given.entry(id.clone()).or_default().roles;
        ensure(roles.remove(role), RejectionCode::NotGranted)
    }

    pub(super) fn grant(&mut self, by: &AccountId, right: &Permission, id: &AccountId) -> Done {
        self.permit(by, right.clone())?;
        self.account(id)?;
        let rights = &mut self.state.given.entry(id.clone()).or_default().permissions;
        ensure(!rights.contains(right), RejectionCode::AlreadyExists)?;
        ensure(rights.len() < RIGHTS_MAX, RejectionCode::TooMany)?;
        rights.insert(right.clone());
        Ok(())
    }

    pub(super) fn revoke(&mut self, by: &AccountId, right: &Permission, id: &AccountId) -> Done {
        if self.permit_managing(by, id).is_err() {
            self.permit(by, right.clone())?;
        }
        self.account(id)?;
        let rights = &mut self.state.given.entry(id.clone()).or_default().permissions;
        ensure(rights.remove(right), RejectionCode::NotGranted)
    }
}
