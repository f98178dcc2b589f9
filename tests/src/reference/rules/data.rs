//! What is noted with accounts, and the parameters of the network.

use tonle_model::id::{AccountId, Name};
use tonle_model::instruction::{MetadataValue, Parameter};
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::{Done, Run, ensure};

/// Most notes of one account.
const NOTES_MAX: usize = 32;

impl Run<'_> {
    pub(super) fn set_metadata(
        &mut self,
        by: &AccountId,
        id: &AccountId,
        key: &Name,
        value: &MetadataValue,
        expected: Option<&MetadataValue>,
    ) -> Done {
        self.account(id)?;
        self.permit_managing(by, id)?;
        let notes = self.state.metadata.entry(id.clone()).or_default();
        let found = notes.get(key).map_or("", String::as_str);
        let is_expected = expected.is_none_or(|expected| expected.as_str() == found);
        ensure(is_expected, RejectionCode::MetadataChanged)?;
        let has_room = notes.len() < NOTES_MAX || notes.contains_key(key);
        ensure(has_room, RejectionCode::TooMany)?;
        notes.insert(key.clone(), value.as_str().to_owned());
        Ok(())
    }

    pub(super) fn remove_metadata(&mut self, by: &AccountId, id: &AccountId, key: &Name) -> Done {
        self.account(id)?;
        self.permit_managing(by, id)?;
        let notes = self.state.metadata.entry(id.clone()).or_default();
        ensure(notes.remove(key).is_some(), RejectionCode::UnknownMetadata)?;
        self.state.metadata.retain(|_, notes| !notes.is_empty());
        Ok(())
    }

    pub(super) fn set_parameter(&mut self, by: &AccountId, parameter: &Parameter) -> Done {
        self.permit(by, Permission::SetParameters)?;
        let is_within = match parameter {
            Parameter::DeltaMs(value) => (10..=60_000).contains(value),
            Parameter::MaxTtlMs(value) => (1_000..=600_000).contains(value),
            Parameter::UtcOffsetMin(value) => (-720..=840).contains(value),
            Parameter::PublicReads(_) => true,
            Parameter::Operator(id) => {
                let is_operator = *by == self.state.parameters.operator || self.every_right;
                ensure(is_operator, RejectionCode::PermissionDenied)?;
                self.account(id)?;
                true
            }
        };
        ensure(is_within, RejectionCode::OutOfRange)?;
        let next = &mut self.state.next_parameters;
        match parameter {
            Parameter::DeltaMs(value) => next.delta_ms = *value,
            Parameter::MaxTtlMs(value) => next.max_ttl_ms = *value,
            Parameter::UtcOffsetMin(value) => next.utc_offset_min = *value,
            Parameter::PublicReads(value) => next.public_reads = *value,
            Parameter::Operator(id) => next.operator = id.clone(),
        }
        Ok(())
    }
}
