//! SetParameter changes a parameter of the network, from the next block on.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the authority holds `set_parameters` | `permission_denied` |
//! | the operator, if that is changed, is changed by the operator | `permission_denied` |
//! | and to an account that exists | `unknown_account` |
//! | the parameter stays within its range | `out_of_range` |

use std::sync::Arc;

use tonle_model::id::AccountId;
use tonle_model::instruction::Parameter;
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, Rights, reject};
use crate::state::execute;
use crate::state::key::Key;
use crate::state::value::Value;

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    parameter: &Parameter,
) -> Result<(), Failure> {
    ledger.permit(by, Permission::SetParameters)?;
    // Those of the next block, which an earlier transaction may have changed.
    let mut parameters = (*execute::parameters(ledger.overlay)?).clone();
    match parameter {
        Parameter::DeltaMs(value) => parameters.delta_ms = *value,
        Parameter::MaxTtlMs(value) => parameters.max_ttl_ms = *value,
        Parameter::PublicReads(value) => parameters.public_reads = *value,
        Parameter::UtcOffsetMin(value) => parameters.utc_offset_min = *value,
        Parameter::Operator(id) => {
            if *by != ledger.parameters.operator && ledger.rights == Rights::Checked {
                let detail = "only the operator hands the network on";
                return reject(RejectionCode::PermissionDenied, detail);
            }
            ledger.account(id)?;
            parameters.operator = id.clone();
        }
    }
    if let Err(error) = parameters.check() {
        return reject(RejectionCode::OutOfRange, error);
    }
    ledger.set(Key::Parameters, Value::Parameters(Arc::new(parameters)))
}
