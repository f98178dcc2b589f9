//! SetQuorum changes the weight that must sign for an account.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the account exists | `unknown_account` |
//! | the authority is the account, or may change its keys | `permission_denied` |
//! | from 1 to the sum of the weights | `invalid_quorum` |

use tonle_model::id::AccountId;

use super::signatories::check_quorum;
use super::{Failure, Ledger};
use crate::state::value::Account;

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &AccountId,
    quorum: u16,
) -> Result<(), Failure> {
    let account = ledger.account(id)?;
    ledger.permit_keys(by, id)?;
    check_quorum(&account.signatories, quorum)?;
    ledger.set_account(id, Account { quorum, ..(*account).clone() })
}
