//! UnregisterValidator ends a validator's vote, from the next height on.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the authority holds `manage_validators` | `permission_denied` |
//! | the key is a validator's | `unknown_validator` |
//! | another validator is left | `last_validator` |
//! | no other change in this block, and fewer than 1,024 in all | `validators_changing`, `too_many` |
//!
//! The node goes on as an observer, if the others let it in as one.

use tonle_model::id::AccountId;
use tonle_model::key::PublicKey;
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, reject};
use crate::state::execute;

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    public_key: &PublicKey,
) -> Result<(), Failure> {
    ledger.permit(by, Permission::ManageValidators)?;
    let before = execute::validators(ledger.overlay)?;
    let others = before.iter().filter(|validator| validator.public_key != *public_key);
    let others: Vec<_> = others.cloned().collect();
    if others.len() == before.count() {
        let detail = format_args!("no validator has the key {public_key}");
        return reject(RejectionCode::UnknownValidator, detail);
    }
    if others.is_empty() {
        return reject(RejectionCode::LastValidator, "nobody would be left to decide");
    }
    ledger.set_validators(others)
}
