//! Burn unmakes money out of the authority's own balance.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the asset exists | `unknown_asset` |
//! | the authority owns the asset | `permission_denied` |
//! | no more decimals than the asset | `too_many_decimals` |
//! | more than zero | `zero_amount` |
//! | the authority has that much available | `insufficient_balance` |
//!
//! The authority's history names itself.

use std::sync::Arc;

use tonle_model::amount::{Amount, Decimal};
use tonle_model::id::{AccountId, AssetId};
use tonle_model::string::Text;

use super::{Failure, Ledger, Movement, overflow, positive};
use crate::state::history::Direction;
use crate::state::key::Key;
use crate::state::value::{Asset, Value};

pub fn execute(
    ledger: &mut Ledger<'_>,
    authority: &AccountId,
    id: &AssetId,
    amount: Decimal,
) -> Result<(), Failure> {
    let asset = ledger.asset(id)?;
    let detail = format_args!("only {} burns {id}", asset.owner);
    ledger.permit(*authority == asset.owner, detail)?;
    let amount = positive(amount, id, asset.scale)?;
    let movement = Movement {
        account: authority.clone(),
        asset: id.clone(),
        direction: Direction::Out,
        counterparty: authority.clone(),
        amount,
        balance: Amount::ZERO,
        memo: Text::default(),
    };
    ledger.debit(movement, asset.scale)?;
    // A balance is part of the supply, so this fails only if the state is not what it should be.
    let Some(supply) = asset.supply.checked_sub(amount) else { return overflow(id) };
    let asset = Asset { supply, ..(*asset).clone() };
    ledger.set(Key::Asset(id.clone()), Value::Asset(Arc::new(asset)))
}
