//! SetLimit says how much of an asset an account of a tier may send in a local day.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the asset exists | `unknown_asset` |
//! | the authority owns the asset, or holds `set_parameters` | `permission_denied` |
//! | the amount has no more decimals than the asset | `too_many_decimals` |
//! | and fits 128 bits | `amount_overflow` |
//! | the asset has room for one more tier | `too_many` |
//!
//! It counts what was sent today already. Without `per_day` the tier is limited no more.

use tonle_model::amount::Decimal;
use tonle_model::bounded::Bounded;
use tonle_model::id::{AccountId, AssetId, Name};
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, reject, under_scale};
use crate::state::value::{Asset, Limit};

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    tier: &Name,
    id: &AssetId,
    per_day: Option<Decimal>,
) -> Result<(), Failure> {
    let asset = ledger.asset(id)?;
    if *by != asset.owner {
        ledger.permit(by, Permission::SetParameters)?;
    }
    let per_day = per_day.map(|amount| under_scale(amount, id, asset.scale)).transpose()?;
    let mut limits = asset.limits.to_vec();
    limits.retain(|limit| limit.tier != *tier);
    limits.extend(per_day.map(|per_day| Limit { tier: tier.clone(), per_day }));
    limits.sort_by(|left, right| left.tier.cmp(&right.tier));
    let Ok(limits) = Bounded::new(limits) else {
        return reject(RejectionCode::TooMany, format_args!("{id} has room for no more tiers"));
    };
    ledger.set_asset(id, Asset { limits, ..(*asset).clone() })
}
