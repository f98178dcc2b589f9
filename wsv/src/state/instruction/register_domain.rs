//! RegisterDomain makes a domain that the authority owns.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the authority is the operator (parameter `operator`) | `permission_denied` |
//! | the name is not taken | `already_exists` |

use std::sync::Arc;

use tonle_model::id::{AccountId, DomainId};
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, reject};
use crate::state::entries::ReadEntries;
use crate::state::key::Key;
use crate::state::value::{Domain, Value};

pub fn execute(
    ledger: &mut Ledger<'_>,
    authority: &AccountId,
    id: &DomainId,
) -> Result<(), Failure> {
    let operator = &ledger.parameters.operator;
    let detail = format_args!("only the operator {operator} registers domains");
    ledger.permit(authority == operator, detail)?;
    if ledger.overlay.domain(id)?.is_some() {
        return reject(RejectionCode::AlreadyExists, format_args!("domain {id} exists"));
    }
    let domain = Domain { owner: authority.clone() };
    ledger.set(Key::Domain(id.clone()), Value::Domain(Arc::new(domain)))
}
