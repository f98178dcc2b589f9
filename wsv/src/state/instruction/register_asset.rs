//! RegisterAsset makes an asset, owned by the authority, in a domain that the authority owns.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the domain exists | `unknown_domain` |
//! | the authority owns the domain | `permission_denied` |
//! | the name is not taken | `already_exists` |
//! | at most 18 decimals | `invalid_scale` |
//! | the supply cap has no more decimals than the asset | `too_many_decimals` |
//! | the supply cap fits 128 bits of minor units | `amount_overflow` |

use std::sync::Arc;

use tonle_model::amount::{Amount, Decimal, SCALE_MAX};
use tonle_model::id::{AccountId, AssetId};
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, reject, under_scale};
use crate::state::entries::ReadEntries;
use crate::state::key::Key;
use crate::state::value::{Asset, Value};

pub fn execute(
    ledger: &mut Ledger<'_>,
    authority: &AccountId,
    id: &AssetId,
    scale: u8,
    supply_cap: Option<Decimal>,
) -> Result<(), Failure> {
    let domain_id = id.domain();
    let owner = &ledger.domain(&domain_id)?.owner;
    let detail = format_args!("only {owner} makes assets in {domain_id}");
    ledger.permit(authority == owner, detail)?;
    if ledger.overlay.asset(id)?.is_some() {
        return reject(RejectionCode::AlreadyExists, format_args!("asset {id} exists"));
    }
    if scale > SCALE_MAX {
        let detail = format_args!("{scale} decimals where at most {SCALE_MAX} are allowed");
        return reject(RejectionCode::InvalidScale, detail);
    }
    let supply_cap = supply_cap.map(|cap| under_scale(cap, id, scale)).transpose()?;
    let asset = Asset { owner: authority.clone(), scale, supply: Amount::ZERO, supply_cap };
    ledger.set(Key::Asset(id.clone()), Value::Asset(Arc::new(asset)))
}
