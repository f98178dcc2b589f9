//! Who validated when, for what is proven by their signatures.

use std::sync::Arc;

use tonle_model::bounded::Bounded;
use tonle_model::number::Height;
use tonle_model::receipt::RejectionCode;
use tonle_model::validators::{Validator, ValidatorSet};

use super::{Failure, Ledger, reject};
use crate::state::entries::ReadEntries;
use crate::state::execute;
use crate::state::key::Key;
use crate::state::value::{ValidatorChanges, Value};
use crate::store::{StoreError, Table};

/// The heights after which others validated, ascending.
pub fn changes(entries: &impl ReadEntries) -> Result<Arc<ValidatorChanges>, StoreError> {
    Ok(match entries.value(&Key::ValidatorChanges)? {
        Some(Value::ValidatorChanges(changes)) => changes,
        _ => Arc::default(),
    })
}

/// The validators of a height, of the past or the next.
pub fn validators_at(
    entries: &impl ReadEntries,
    height: Height,
) -> Result<Arc<ValidatorSet>, StoreError> {
    let changes = changes(entries)?;
    let Some(last) = changes.iter().find(|last| **last >= height) else {
        return execute::validators(entries);
    };
    match entries.value(&Key::PastValidators(*last))? {
        Some(Value::PastValidators(validators)) => Ok(validators),
        _ => Err(StoreError::Row { table: Table::Slots }),
    }
}

impl Ledger<'_> {
    pub(super) fn validators_at(&self, height: Height) -> Result<Arc<ValidatorSet>, Failure> {
        Ok(validators_at(self.overlay, height)?)
    }

    /// Makes these the validators from the next height on, and remembers those of before.
    pub(super) fn set_validators(&mut self, validators: Vec<Validator>) -> Result<(), Failure> {
        let mut changes = changes(self.overlay)?.to_vec();
        if changes.last() == Some(&self.height) {
            let detail = "this block changes the validators already; send it again";
            return reject(RejectionCode::ValidatorsChanging, detail);
        }
        changes.push(self.height);
        let Ok(changes) = Bounded::new(changes) else {
            return reject(RejectionCode::TooMany, "the validators changed too often");
        };
        let Ok(next) = ValidatorSet::new(validators) else {
            return reject(RejectionCode::Internal, "these are no validator set");
        };
        let before = execute::validators(self.overlay)?;
        self.set(Key::PastValidators(self.height), Value::PastValidators(before))?;
        self.set(Key::ValidatorChanges, Value::ValidatorChanges(Arc::new(changes)))?;
        self.set(Key::Validators, Value::Validators(Arc::new(next)))
    }
}
