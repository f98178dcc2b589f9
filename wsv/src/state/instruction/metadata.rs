//! SetMetadata notes something with an account; RemoveMetadata forgets it.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the account exists | `unknown_account` |
//! | the authority is the account, or holds `manage_accounts` of its domain | `permission_denied` |
//! | to set with `expected`: that stands there, or nothing if it is empty | `metadata_changed` |
//! | to set: there is room for one more | `too_many` |
//! | to remove: something is noted under the name | `unknown_metadata` |

use std::sync::Arc;

use tonle_model::bounded::Bounded;
use tonle_model::id::{AccountId, Name};
use tonle_model::instruction::MetadataValue;
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, reject};
use crate::state::entries::ReadEntries;
use crate::state::key::Key;
use crate::state::value::Value;

type Notes = Vec<(Name, MetadataValue)>;

pub fn set(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &AccountId,
    key: &Name,
    value: &MetadataValue,
    expected: Option<&MetadataValue>,
) -> Result<(), Failure> {
    let mut notes = notes(ledger, by, id)?;
    let place = notes.binary_search_by(|(name, _)| name.cmp(key));
    if let Some(expected) = expected {
        let found = place.ok().and_then(|place| notes.get(place));
        let found = found.map_or("", |(_, value)| value.as_str());
        if found != expected.as_str() {
            let detail = format_args!("{key} of {id} is \"{found}\", not \"{expected}\"");
            return reject(RejectionCode::MetadataChanged, detail);
        }
    }
    let note = (key.clone(), value.clone());
    match place {
        Ok(place) => notes[place] = note,
        Err(place) => notes.insert(place, note),
    }
    put(ledger, id, notes)
}

pub fn remove(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &AccountId,
    key: &Name,
) -> Result<(), Failure> {
    let mut notes = notes(ledger, by, id)?;
    match notes.binary_search_by(|(name, _)| name.cmp(key)) {
        Ok(place) => notes.remove(place),
        Err(_) => {
            let detail = format_args!("nothing is noted with {id} under {key}");
            return reject(RejectionCode::UnknownMetadata, detail);
        }
    };
    put(ledger, id, notes)
}

fn notes(ledger: &Ledger<'_>, by: &AccountId, id: &AccountId) -> Result<Notes, Failure> {
    ledger.account(id)?;
    ledger.permit_managing(by, id)?;
    let notes = ledger.overlay.metadata(id)?;
    Ok(notes.map(|notes| notes.to_vec()).unwrap_or_default())
}

fn put(ledger: &mut Ledger<'_>, id: &AccountId, notes: Notes) -> Result<(), Failure> {
    if notes.is_empty() {
        return Ok(ledger.overlay.remove(&Key::Metadata(id.clone()))?);
    }
    let Ok(notes) = Bounded::new(notes) else {
        return reject(RejectionCode::TooMany, format_args!("{id} has room for no more notes"));
    };
    ledger.set(Key::Metadata(id.clone()), Value::Metadata(Arc::new(notes)))
}
