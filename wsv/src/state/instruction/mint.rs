//! Mint makes money.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the asset exists | `unknown_asset` |
//! | the authority owns the asset | `permission_denied` |
//! | the payee exists | `unknown_account` |
//! | no more decimals than the asset | `too_many_decimals` |
//! | more than zero | `zero_amount` |
//! | the supply fits 128 bits | `amount_overflow` |
//! | the supply stays within the cap | `supply_cap_exceeded` |
//!
//! The payee's history names the authority.

use std::sync::Arc;

use tonle_model::amount::{Amount, Decimal};
use tonle_model::id::{AccountId, AssetId};
use tonle_model::receipt::RejectionCode;
use tonle_model::string::Text;

use super::{Failure, Ledger, Movement, overflow, positive, reject};
use crate::state::history::Direction;
use crate::state::key::Key;
use crate::state::value::{Asset, Value};

pub fn execute(
    ledger: &mut Ledger<'_>,
    authority: &AccountId,
    id: &AssetId,
    to: &AccountId,
    amount: Decimal,
) -> Result<(), Failure> {
    let asset = ledger.asset(id)?;
    let detail = format_args!("only {} mints {id}", asset.owner);
    ledger.permit(*authority == asset.owner, detail)?;
    ledger.account(to)?;
    let amount = positive(amount, id, asset.scale)?;
    let Some(supply) = asset.supply.checked_add(amount) else { return overflow(id) };
    if asset.supply_cap.is_some_and(|cap| supply > cap) {
        let detail = format_args!("the supply of {id} would pass its cap");
        return reject(RejectionCode::SupplyCapExceeded, detail);
    }
    let asset = Asset { supply, ..(*asset).clone() };
    ledger.set(Key::Asset(id.clone()), Value::Asset(Arc::new(asset)))?;
    ledger.credit(Movement {
        account: to.clone(),
        asset: id.clone(),
        direction: Direction::In,
        counterparty: authority.clone(),
        amount,
        balance: Amount::ZERO,
        memo: Text::default(),
    })
}
