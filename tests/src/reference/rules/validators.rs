//! Who validates.

use tonle_model::id::{AccountId, Name};
use tonle_model::joining::Joining;
use tonle_model::key::PublicKey;
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::{Done, Run, ensure};

/// Most validators.
const VALIDATORS_MAX: usize = 100;
/// Most changes in all.
const CHANGES_MAX: usize = 1_024;
/// How many heights ago a key may have signed.
const HEIGHTS_MAX: u64 = 256;

impl Run<'_> {
    pub(super) fn register_validator(
        &mut self,
        by: &AccountId,
        name: &Name,
        key: &PublicKey,
        joining: &Joining,
    ) -> Done {
        self.permit(by, Permission::ManageValidators)?;
        ensure(key.check_registrable().is_ok(), RejectionCode::WeakKey)?;
        let known = self.state.validators.contains_key(key);
        ensure(!known, RejectionCode::AlreadyExists)?;
        ensure(self.state.validators.len() < VALIDATORS_MAX, RejectionCode::TooMany)?;
        let height = joining.height();
        // Nothing else shows it.
        let is_shown = self.archive.joining(height, key).as_ref() == Some(joining);
        let is_recent = height.0 + HEIGHTS_MAX >= self.height;
        ensure(is_shown && is_recent, RejectionCode::AbsentKey)?;
        self.remember_validators()?;
        self.state.validators.insert(*key, name.clone());
        Ok(())
    }

    pub(super) fn unregister_validator(&mut self, by: &AccountId, key: &PublicKey) -> Done {
        self.permit(by, Permission::ManageValidators)?;
        let known = self.state.validators.contains_key(key);
        ensure(known, RejectionCode::UnknownValidator)?;
        ensure(self.state.validators.len() > 1, RejectionCode::LastValidator)?;
        self.remember_validators()?;
        self.state.validators.remove(key);
        Ok(())
    }

    /// They change once in a block.
    fn remember_validators(&mut self) -> Done {
        let past = &mut self.state.past_validators;
        ensure(!past.contains_key(&self.height), RejectionCode::ValidatorsChanging)?;
        ensure(past.len() < CHANGES_MAX, RejectionCode::TooMany)?;
        past.insert(self.height, self.state.validators.clone());
        Ok(())
    }
}
