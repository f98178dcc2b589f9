//! The keys of accounts, and what others decide about them.

use tonle_model::amount::Decimal;
use tonle_model::id::{AccountId, AssetId, Name};
use tonle_model::instruction::Signatory;
use tonle_model::key::PublicKey;
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::accounts::check_quorum;
use super::{Account, Done, Run, Status, ensure, minor_units};

/// Most signatories of one account.
const SIGNATORIES_MAX: usize = 32;
/// Most tiers that an asset limits.
const TIERS_MAX: usize = 16;

impl Run<'_> {
    pub(super) fn add_signatory(
        &mut self,
        by: &AccountId,
        id: &AccountId,
        signatory: &Signatory,
    ) -> Done {
        let mut account = self.account(id)?;
        self.permit_keys(by, id)?;
        let key = signatory.public_key;
        ensure(!account.has_key(&key), RejectionCode::AlreadyExists)?;
        ensure(account.signatories.len() < SIGNATORIES_MAX, RejectionCode::TooMany)?;
        ensure(signatory.weight > 0, RejectionCode::InvalidQuorum)?;
        ensure(key.check_registrable().is_ok(), RejectionCode::WeakKey)?;
        account.signatories.push(signatory.clone());
        self.put_account(id, account)
    }

    pub(super) fn remove_signatory(
        &mut self,
        by: &AccountId,
        id: &AccountId,
        key: &PublicKey,
    ) -> Done {
        let mut account = self.account(id)?;
        self.permit_keys(by, id)?;
        ensure(account.has_key(key), RejectionCode::UnknownSignatory)?;
        account.signatories.retain(|signatory| signatory.public_key != *key);
        check_quorum(&account.signatories, account.quorum)?;
        self.put_account(id, account)
    }

    pub(super) fn set_quorum(&mut self, by: &AccountId, id: &AccountId, quorum: u16) -> Done {
        let mut account = self.account(id)?;
        self.permit_keys(by, id)?;
        check_quorum(&account.signatories, quorum)?;
        account.quorum = quorum;
        self.put_account(id, account)
    }

    /// Freeze and Unfreeze.
    pub(super) fn set_status(&mut self, by: &AccountId, id: &AccountId, status: Status) -> Done {
        let account = self.account(id)?;
        self.permit(by, Permission::ManageAccounts(id.domain()))?;
        self.put_account(id, Account { status, ..account })
    }

    pub(super) fn set_tier(&mut self, by: &AccountId, id: &AccountId, tier: &Name) -> Done {
        let account = self.account(id)?;
        self.permit(by, Permission::ManageAccounts(id.domain()))?;
        self.put_account(id, Account { tier: tier.clone(), ..account })
    }

    pub(super) fn set_limit(
        &mut self,
        by: &AccountId,
        tier: &Name,
        id: &AssetId,
        per_day: Option<Decimal>,
    ) -> Done {
        let mut asset = self.asset(id)?;
        if asset.owner != *by {
            self.permit(by, Permission::SetParameters)?;
        }
        match per_day {
            None => {
                asset.limits.remove(tier);
            }
            Some(per_day) => {
                let per_day = minor_units(per_day, asset.scale)?;
                let has_room = asset.limits.len() < TIERS_MAX || asset.limits.contains_key(tier);
                ensure(has_room, RejectionCode::TooMany)?;
                asset.limits.insert(tier.clone(), per_day);
            }
        }
        self.state.assets.insert(id.clone(), asset);
        Ok(())
    }

    fn put_account(&mut self, id: &AccountId, account: Account) -> Done {
        self.state.accounts.insert(id.clone(), account);
        Ok(())
    }
}
