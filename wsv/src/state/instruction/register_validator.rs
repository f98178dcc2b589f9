//! RegisterValidator lets a key vote, from the next height on.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the authority holds `manage_validators` | `permission_denied` |
//! | the key is canonical and not of small order | `weak_key` |
//! | the key is no validator's | `already_exists` |
//! | there are fewer than 100 validators | `too_many` |
//! | the key signed one of the last 256 blocks, which a quorum of its validators had decided | `absent_key` |
//! | no other change in this block, and fewer than 1,024 in all | `validators_changing`, `too_many` |
//!
//! Sets change by one in a block, and each block is decided by the set of before. The key's own
//! signature keeps absent keys out: too many of them would stop the network for ever.

use tonle_model::id::{AccountId, Name};
use tonle_model::joining::Joining;
use tonle_model::key::PublicKey;
use tonle_model::limits;
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;
use tonle_model::validators::Validator;
use tonle_model::verify::Verifier;

use super::signatories::check_key;
use super::{Failure, Ledger, reject};
use crate::state::execute;

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    name: &Name,
    public_key: &PublicKey,
    joining: &Joining,
) -> Result<(), Failure> {
    ledger.permit(by, Permission::ManageValidators)?;
    check_key(public_key)?;
    let mut validators: Vec<_> = execute::validators(ledger.overlay)?.iter().cloned().collect();
    if validators.iter().any(|validator| validator.public_key == *public_key) {
        let detail = format_args!("{public_key} is a validator's already");
        return reject(RejectionCode::AlreadyExists, detail);
    }
    if validators.len() >= limits::VALIDATORS_MAX {
        let detail = format_args!("there are {} validators already", validators.len());
        return reject(RejectionCode::TooMany, detail);
    }
    ledger.check_joining(public_key, joining)?;
    validators.push(Validator { name: name.clone(), public_key: *public_key });
    ledger.set_validators(validators)
}

impl Ledger<'_> {
    fn check_joining(&self, public_key: &PublicKey, joining: &Joining) -> Result<(), Failure> {
        let height = joining.height();
        if height.0.saturating_add(limits::JOINING_HEIGHTS_MAX) < self.height.0 {
            let detail = format_args!("block {height}, which the key signed, is too long ago");
            return reject(RejectionCode::AbsentKey, detail);
        }
        let validators = self.validators_at(height)?;
        match joining.check(public_key, &self.chain, &validators, &Verifier::new()) {
            Ok(()) => Ok(()),
            Err(error) => reject(RejectionCode::AbsentKey, error),
        }
    }
}
