//! Burn unmakes money out of the authority's own balance.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the asset exists | `unknown_asset` |
//! | the authority holds `burn` of the asset | `permission_denied` |
//! | no more decimals than the asset | `too_many_decimals` |
//! | more than zero | `zero_amount` |
//! | the authority is not frozen | `account_frozen` |
//! | the authority has that much available | `insufficient_balance` |
//!
//! The authority's history names itself. No limit: nobody is sent anything.

use tonle_model::amount::Decimal;
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::Memo;
use tonle_model::permission::Permission;

use super::money::{Flow, check_sends};
use super::{Failure, Ledger, overflow, positive};
use crate::state::value::Asset;

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &AssetId,
    amount: Decimal,
) -> Result<(), Failure> {
    let asset = ledger.asset(id)?;
    ledger.permit(by, Permission::Burn(id.clone()))?;
    let amount = positive(amount, id, asset.scale)?;
    check_sends(by, &*ledger.account(by)?)?;
    let flow = Flow { from: by, to: by, asset: id, amount, memo: &Memo::default() };
    ledger.debit(flow, asset.scale)?;
    // A balance is part of the supply, so this fails only if the state is not what it should be.
    let Some(supply) = asset.supply.checked_sub(amount) else { return overflow(id) };
    ledger.set_asset(id, Asset { supply, ..(*asset).clone() })
}
