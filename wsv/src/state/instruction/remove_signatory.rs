//! RemoveSignatory takes a key from an account.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the account exists | `unknown_account` |
//! | the authority is the account, or may change its keys | `permission_denied` |
//! | the key is a signatory | `unknown_signatory` |
//! | those that stay can meet the quorum | `invalid_quorum` |
//!
//! As long as the key is no signatory, what it approved does not count: weights are read when a
//! proposal runs.

use tonle_model::bounded::Bounded;
use tonle_model::id::AccountId;
use tonle_model::key::PublicKey;
use tonle_model::receipt::RejectionCode;

use super::signatories::check_quorum;
use super::{Failure, Ledger, reject};
use crate::state::value::Account;

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &AccountId,
    key: &PublicKey,
) -> Result<(), Failure> {
    let account = ledger.account(id)?;
    ledger.permit_keys(by, id)?;
    let mut signatories = account.signatories.to_vec();
    signatories.retain(|signatory| signatory.public_key != *key);
    if signatories.len() == account.signatories.len() {
        let detail = format_args!("{key} is no signatory of {id}");
        return reject(RejectionCode::UnknownSignatory, detail);
    }
    check_quorum(&signatories, account.quorum)?;
    // Fewer than before, so they fit.
    let signatories = Bounded::new(signatories).unwrap_or_default();
    ledger.set_account(id, Account { signatories, ..(*account).clone() })
}
