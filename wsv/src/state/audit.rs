//! What is always true of money (ledger.md, Instructions: Always true).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use tonle_model::amount::Amount;
use tonle_model::id::AssetId;

use super::entries::{EMPTY_ROW, decode_entry, slot_of};
use super::key::Key;
use super::value::Value;
use super::{StateError, WorldReader};
use crate::store::{ScanOrder, Table};

/// The sums do not hold, or could not be read.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Money came or went without being minted or burned.
    #[error("{asset}: the supply is {supply:?}, the balances sum to {owned:?}")]
    Unequal {
        /// Of what.
        asset: AssetId,
        /// All that was minted and not burned.
        supply: Amount,
        /// All that accounts own; `None` if the sum passes 128 bits.
        owned: Option<Amount>,
    },
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateError),
}

impl WorldReader {
    /// Checks that for each asset the supply is the sum of all that is available and held. Reads
    /// every entry of the state once, at one moment.
    pub fn audit(&self) -> Result<(), AuditError> {
        let mut supplies = BTreeMap::new();
        let mut owned: BTreeMap<AssetId, Option<Amount>> = BTreeMap::new();
        let mut failed = None;
        let scanned =
            self.shared.store.scan(Table::Slots, &[], ScanOrder::Ascending, &mut |key, row| {
                if row == EMPTY_ROW {
                    return ControlFlow::Continue(());
                }
                match slot_of(key).and_then(|slot| decode_entry(slot, row)) {
                    Ok((Key::Asset(id), entry)) => {
                        if let Value::Asset(asset) = entry.value {
                            supplies.insert(id, asset.supply);
                        }
                    }
                    Ok((Key::Balance(_, id), entry)) => {
                        if let Value::Balance(balance) = entry.value {
                            let sum = owned.entry(id).or_insert(Some(Amount::ZERO));
                            *sum = sum
                                .and_then(|sum| sum.checked_add(balance.available))
                                .and_then(|sum| sum.checked_add(balance.held));
                        }
                    }
                    Ok(_) => {}
                    Err(error) => {
                        failed = Some(error);
                        return ControlFlow::Break(());
                    }
                }
                ControlFlow::Continue(())
            });
        if let Some(error) = scanned.err().or(failed) {
            return Err(StateError::Fatal(error).into());
        }
        for (asset, sum) in &owned {
            let supply = supplies.get(asset).copied().unwrap_or(Amount::ZERO);
            if *sum != Some(supply) {
                return Err(AuditError::Unequal { asset: asset.clone(), supply, owned: *sum });
            }
        }
        let unowned = supplies
            .into_iter()
            .find(|(asset, supply)| !supply.is_zero() && !owned.contains_key(asset));
        match unowned {
            None => Ok(()),
            Some((asset, supply)) => {
                Err(AuditError::Unequal { asset, supply, owned: Some(Amount::ZERO) })
            }
        }
    }
}
