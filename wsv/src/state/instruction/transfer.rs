//! Transfer pays.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the payer is the authority | `permission_denied` |
//! | the asset exists | `unknown_asset` |
//! | the payee exists | `unknown_account` |
//! | payer and payee are two | `same_account` |
//! | no more decimals than the asset | `too_many_decimals` |
//! | more than zero | `zero_amount` |
//! | the payer has that much available | `insufficient_balance` |
//!
//! Both parties' histories name the other and carry the memo.

use tonle_model::amount::{Amount, Decimal};
use tonle_model::id::{AccountId, AssetId};
use tonle_model::limits;
use tonle_model::receipt::RejectionCode;
use tonle_model::string::Text;

use super::{Failure, Ledger, Movement, positive, reject};
use crate::state::history::Direction;

pub fn execute(
    ledger: &mut Ledger<'_>,
    authority: &AccountId,
    id: &AssetId,
    from: &AccountId,
    to: &AccountId,
    amount: Decimal,
    memo: &Text<{ limits::MEMO_BYTES_MAX }>,
) -> Result<(), Failure> {
    ledger.permit(authority == from, format_args!("{authority} may not pay for {from}"))?;
    let asset = ledger.asset(id)?;
    ledger.account(to)?;
    if from == to {
        return reject(RejectionCode::SameAccount, format_args!("{from} pays itself"));
    }
    let amount = positive(amount, id, asset.scale)?;
    let paid = Movement {
        account: from.clone(),
        asset: id.clone(),
        direction: Direction::Out,
        counterparty: to.clone(),
        amount,
        balance: Amount::ZERO,
        memo: memo.clone(),
    };
    let received = Movement {
        account: to.clone(),
        direction: Direction::In,
        counterparty: from.clone(),
        ..paid.clone()
    };
    ledger.debit(paid, asset.scale)?;
    #[cfg(test)]
    assert_ne!(memo.as_str(), "panic between debit and credit", "asked for by a test");
    ledger.credit(received)
}
