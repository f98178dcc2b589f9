//! RegisterAsset makes an asset that the authority owns.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the domain exists | `unknown_domain` |
//! | the authority holds `register_assets` of the domain | `permission_denied` |
//! | the name is not taken | `already_exists` |
//! | at most 18 decimals | `invalid_scale` |
//! | the supply cap has no more decimals than the asset | `too_many_decimals` |
//! | the supply cap fits 128 bits of minor units | `amount_overflow` |

use tonle_model::amount::{Amount, Decimal, SCALE_MAX};
use tonle_model::bounded::Bounded;
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::Mintability;
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, reject, under_scale};
use crate::state::entries::ReadEntries;
use crate::state::value::Asset;

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &AssetId,
    scale: u8,
    supply_cap: Option<Decimal>,
    mintability: Mintability,
) -> Result<(), Failure> {
    let domain = id.domain();
    ledger.domain(&domain)?;
    ledger.permit(by, Permission::RegisterAssets(domain))?;
    if ledger.overlay.asset(id)?.is_some() {
        return reject(RejectionCode::AlreadyExists, format_args!("asset {id} exists"));
    }
    if scale > SCALE_MAX {
        let detail = format_args!("{scale} decimals where at most {SCALE_MAX} are allowed");
        return reject(RejectionCode::InvalidScale, detail);
    }
    let supply_cap = supply_cap.map(|cap| under_scale(cap, id, scale)).transpose()?;
    ledger.owns_more(by)?;
    let asset = Asset {
        owner: by.clone(),
        scale,
        supply: Amount::ZERO,
        supply_cap,
        mintability,
        limits: Bounded::default(),
    };
    ledger.set_asset(id, asset)
}
