//! RegisterAccount opens an account.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the domain exists | `unknown_domain` |
//! | the authority holds `register_accounts` of the domain | `permission_denied` |
//! | for a tier other than `basic`: also `manage_accounts` of it | `permission_denied` |
//! | the name was never used | `already_exists` |
//! | at least one signatory, and no key twice | `invalid_quorum` |
//! | each weight is at least 1 | `invalid_quorum` |
//! | the quorum is from 1 to the sum of the weights | `invalid_quorum` |
//! | every key is canonical and not of small order | `weak_key` |

use tonle_model::id::{AccountId, Name};
use tonle_model::instruction::Signatories;
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::signatories::{check_key, check_quorum};
use super::{Failure, Ledger, reject};
use crate::state::entries::ReadEntries;
use crate::state::value::{Account, AccountStatus};

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &AccountId,
    signatories: &Signatories,
    quorum: u16,
    tier: Option<&Name>,
) -> Result<(), Failure> {
    let domain = id.domain();
    ledger.domain(&domain)?;
    ledger.permit(by, Permission::RegisterAccounts(domain.clone()))?;
    let tier = tier.cloned().unwrap_or_else(Name::basic_tier);
    if tier != Name::basic_tier() {
        ledger.permit(by, Permission::ManageAccounts(domain))?;
    }
    if ledger.overlay.account(id)?.is_some() {
        return reject(RejectionCode::AlreadyExists, format_args!("{id} is or was an account"));
    }
    check_quorum(signatories, quorum)?;
    for signatory in signatories {
        check_key(&signatory.public_key)?;
    }
    let signatories = signatories.clone();
    let account = Account { signatories, quorum, tier, status: AccountStatus::Active };
    ledger.set_account(id, account)
}
