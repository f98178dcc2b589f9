//! RegisterDomain makes a domain that the authority owns.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the authority holds `register_domains` | `permission_denied` |
//! | the name is not taken | `already_exists` |

use std::sync::Arc;

use tonle_model::id::{AccountId, DomainId};
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, reject};
use crate::state::entries::ReadEntries;
use crate::state::key::Key;
use crate::state::value::{Domain, Value};

pub fn execute(ledger: &mut Ledger<'_>, by: &AccountId, id: &DomainId) -> Result<(), Failure> {
    ledger.permit(by, Permission::RegisterDomains)?;
    if ledger.overlay.domain(id)?.is_some() {
        return reject(RejectionCode::AlreadyExists, format_args!("domain {id} exists"));
    }
    ledger.owns_more(by)?;
    let domain = Domain { owner: by.clone() };
    ledger.set(Key::Domain(id.clone()), Value::Domain(Arc::new(domain)))
}
