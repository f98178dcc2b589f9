//! Who may do what (ledger.md, Instructions: rights do not grow).
//!
//! An account holds a right because it owns what the right is about, because it was given it, or by
//! a role. Whoever holds a right may hand it on. Whoever changes another's keys must hold every
//! right that the account was given, or that would be a way to get them; but nobody can make an
//! account safe from its managers by giving it rights that they lack, for they can take them away.

use std::collections::BTreeSet;
use std::sync::Arc;

use tonle_model::genesis::Parameters;
use tonle_model::id::AccountId;
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, Rights, reject};
use crate::state::entries::ReadEntries;
use crate::state::execute;
use crate::state::key::Key;
use crate::state::value::{Rights as Held, Value};
use crate::store::StoreError;

/// Whether an account holds a right, as some entries have it.
pub fn holds(
    entries: &impl ReadEntries,
    parameters: &Parameters,
    account: &AccountId,
    permission: &Permission,
) -> Result<bool, StoreError> {
    if owns(entries, parameters, account, permission)? {
        return Ok(true);
    }
    let given = given(entries, account)?;
    Ok(given.iter().any(|held| covers(held, permission)))
}

/// Whether the right comes with owning what it is about.
fn owns(
    entries: &impl ReadEntries,
    parameters: &Parameters,
    account: &AccountId,
    permission: &Permission,
) -> Result<bool, StoreError> {
    use Permission as P;
    Ok(match permission {
        P::RegisterDomains
        | P::ReadAllAccounts
        | P::ManageRoles
        | P::ManageValidators
        | P::SetParameters => *account == parameters.operator,
        P::RegisterAccounts(domain)
        | P::ManageAccounts(domain)
        | P::RegisterAssets(domain)
        | P::ReadAccounts(domain) => {
            let is_regulator =
                matches!(permission, P::ReadAccounts(_)) && *account == parameters.operator;
            is_regulator || entries.domain(domain)?.is_some_and(|domain| domain.owner == *account)
        }
        P::Mint(asset) | P::Burn(asset) | P::Recall(asset) => {
            entries.asset(asset)?.is_some_and(|asset| asset.owner == *account)
        }
        P::TransferFrom(payer) => payer == account,
    })
}

/// Whether having one right is having another.
fn covers(held: &Permission, wanted: &Permission) -> bool {
    let is_part =
        matches!((held, wanted), (Permission::ReadAllAccounts, Permission::ReadAccounts(_)));
    held == wanted || is_part
}

/// Every right that an account was given, directly or by a role.
fn given(entries: &impl ReadEntries, id: &AccountId) -> Result<BTreeSet<Permission>, StoreError> {
    let Some(held) = entries.rights(id)? else { return Ok(BTreeSet::new()) };
    let mut given: BTreeSet<_> = held.permissions.iter().cloned().collect();
    for role in &held.roles {
        let role = entries.role(role)?;
        given.extend(role.into_iter().flat_map(|role| role.permissions.to_vec()));
    }
    Ok(given)
}

impl Ledger<'_> {
    /// Refuses unless an account holds a right.
    pub(super) fn permit(&self, by: &AccountId, permission: Permission) -> Result<(), Failure> {
        if self.rights == Rights::All || holds(self.overlay, self.parameters, by, &permission)? {
            return Ok(());
        }
        let detail = format_args!("{by} lacks the permission {permission}");
        reject(RejectionCode::PermissionDenied, detail)
    }

    /// Whether an account is itself, or may manage accounts of its domain.
    pub(super) fn manages(&self, by: &AccountId, id: &AccountId) -> Result<bool, Failure> {
        let permission = Permission::ManageAccounts(id.domain());
        Ok(by == id || holds(self.overlay, self.parameters, by, &permission)?)
    }

    /// Refuses unless an account is itself, or may manage accounts of its domain.
    pub(super) fn permit_managing(&self, by: &AccountId, id: &AccountId) -> Result<(), Failure> {
        match by == id {
            true => Ok(()),
            false => self.permit(by, Permission::ManageAccounts(id.domain())),
        }
    }

    /// As [`Ledger::permit_managing`], for what takes an account over: others must also hold every
    /// right that it was given, and leave the keys of one that owns anything but money alone, for
    /// who changed them would come to own that.
    pub(super) fn permit_keys(&self, by: &AccountId, id: &AccountId) -> Result<(), Failure> {
        self.permit_managing(by, id)?;
        if by == id || self.rights == Rights::All {
            return Ok(());
        }
        for permission in given(self.overlay, id)? {
            self.permit(by, permission)?;
        }
        match self.is_owner(id)? {
            false => Ok(()),
            true => {
                let detail =
                    format_args!("{id} owns a domain, an asset or the network: only it may");
                reject(RejectionCode::PermissionDenied, detail)
            }
        }
    }

    /// Whether an account owns a domain, an asset or the network, or will own that from the next
    /// block on.
    pub(super) fn is_owner(&self, id: &AccountId) -> Result<bool, Failure> {
        let owned = self.overlay.rights(id)?.map_or(0, |held| held.owned);
        let next = execute::parameters(self.overlay)?;
        Ok(owned > 0 || *id == self.parameters.operator || *id == next.operator)
    }

    /// What an account was given, to be changed and set.
    pub(super) fn held(&self, id: &AccountId) -> Result<Held, Failure> {
        Ok(self.overlay.rights(id)?.map(|held| (*held).clone()).unwrap_or_default())
    }

    pub(super) fn set_held(&mut self, id: &AccountId, held: Held) -> Result<(), Failure> {
        self.set(Key::Rights(id.clone()), Value::Rights(Arc::new(held)))
    }

    /// Notes that an account owns one thing more.
    pub(super) fn owns_more(&mut self, id: &AccountId) -> Result<(), Failure> {
        let mut held = self.held(id)?;
        held.owned = held.owned.saturating_add(1);
        self.set_held(id, held)
    }
}
