//! Mint makes money.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the asset exists | `unknown_asset` |
//! | the authority holds `mint` of the asset | `permission_denied` |
//! | the payee exists | `unknown_account` |
//! | no more decimals than the asset | `too_many_decimals` |
//! | more than zero | `zero_amount` |
//! | the payee is not frozen for what comes in | `account_frozen` |
//! | the asset can still be minted | `not_mintable` |
//! | the supply fits 128 bits | `amount_overflow` |
//! | the supply stays within the cap | `supply_cap_exceeded` |
//!
//! The payee's history names the authority.

use tonle_model::amount::Decimal;
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::{Memo, Mintability};
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::money::{Flow, check_receives};
use super::{Failure, Ledger, overflow, positive, reject};
use crate::state::value::Asset;

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &AssetId,
    to: &AccountId,
    amount: Decimal,
) -> Result<(), Failure> {
    let asset = ledger.asset(id)?;
    ledger.permit(by, Permission::Mint(id.clone()))?;
    let payee = ledger.account(to)?;
    let amount = positive(amount, id, asset.scale)?;
    check_receives(to, &payee)?;
    let mintability = match asset.mintability {
        Mintability::Always => Mintability::Always,
        Mintability::Once => Mintability::Never,
        Mintability::Never => {
            let detail = format_args!("{id} can be minted no more");
            return reject(RejectionCode::NotMintable, detail);
        }
    };
    let Some(supply) = asset.supply.checked_add(amount) else { return overflow(id) };
    if asset.supply_cap.is_some_and(|cap| supply > cap) {
        let detail = format_args!("the supply of {id} would pass its cap");
        return reject(RejectionCode::SupplyCapExceeded, detail);
    }
    ledger.set_asset(id, Asset { supply, mintability, ..(*asset).clone() })?;
    ledger.credit(Flow { from: by, to, asset: id, amount, memo: &Memo::default() })
}
