//! AddSignatory adds a key to an account.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the account exists | `unknown_account` |
//! | the authority is the account, or may change its keys | `permission_denied` |
//! | the key is not a signatory already | `already_exists` |
//! | there is room for one more | `too_many` |
//! | its weight is at least 1 | `invalid_quorum` |
//! | the key is canonical and not of small order | `weak_key` |

use tonle_model::bounded::Bounded;
use tonle_model::id::AccountId;
use tonle_model::instruction::Signatory;
use tonle_model::receipt::RejectionCode;

use super::signatories::{check_key, check_quorum};
use super::{Failure, Ledger, reject};
use crate::state::value::Account;

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &AccountId,
    signatory: &Signatory,
) -> Result<(), Failure> {
    let account = ledger.account(id)?;
    ledger.permit_keys(by, id)?;
    let key = signatory.public_key;
    if account.signatories.iter().any(|known| known.public_key == key) {
        let detail = format_args!("{key} is a signatory of {id}");
        return reject(RejectionCode::AlreadyExists, detail);
    }
    let mut signatories = account.signatories.to_vec();
    signatories.push(signatory.clone());
    let Ok(signatories) = Bounded::new(signatories) else {
        return reject(RejectionCode::TooMany, format_args!("{id} has room for no more keys"));
    };
    check_quorum(&signatories, account.quorum)?;
    check_key(&key)?;
    ledger.set_account(id, Account { signatories, ..(*account).clone() })
}
