//! What the accounts of each domain own of each asset together (ledger.md, Reading).
//!
//! Kept beside the state and not certified: it follows from the balances. One row changes per
//! domain and asset that a block moves money of.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use parity_scale_codec::Encode;
use tonle_model::amount::Amount;
use tonle_model::id::{AssetId, DomainId};

use super::history::Direction;
use super::instruction::Movement;
use super::key::SEPARATOR;
use crate::store::{Changes, ScanOrder, Store, StoreError, Table, decode_row};

/// Writes the totals that a block's movements change.
///
/// Money that goes round in one block can pass 128 bits on its way, so the sums are taken modulo
/// 2^128. A total never passes the supply, so it comes out exact.
pub fn put_totals<'a>(
    store: &dyn Store,
    movements: impl Iterator<Item = &'a Movement>,
    changes: &mut Changes,
) -> Result<(), StoreError> {
    let mut sums: BTreeMap<(&str, &str), u128> = BTreeMap::new();
    for movement in movements {
        let account = movement.account.as_str();
        let domain = account.split_once('@').map_or("", |(_, domain)| domain);
        let sum = sums.entry((movement.asset.as_str(), domain)).or_default();
        *sum = match movement.direction {
            Direction::In => sum.wrapping_add(movement.amount.minor()),
            Direction::Out => sum.wrapping_sub(movement.amount.minor()),
        };
    }
    for ((asset, domain), sum) in sums.into_iter().filter(|(_, sum)| *sum != 0) {
        let key = key(asset, domain);
        let before = match store.get(Table::Totals, &key)? {
            Some(row) => decode_row(Table::Totals, &row)?,
            None => Amount::ZERO,
        };
        let after = Amount::from_minor(before.minor().wrapping_add(sum));
        put(changes, &key, after);
    }
    Ok(())
}

/// Writes the total of a domain, as a snapshot comes to it.
pub fn put_total(changes: &mut Changes, asset: &AssetId, domain: &DomainId, total: Amount) {
    put(changes, &key(asset.as_str(), domain.as_str()), total);
}

/// A domain that owns nothing has no row, whether or not it ever owned something.
fn put(changes: &mut Changes, key: &[u8], total: Amount) {
    match total == Amount::ZERO {
        true => changes.delete(Table::Totals, key),
        false => changes.put(Table::Totals, key, &total.encode()),
    }
}

/// What the accounts of each domain own of an asset, in order of name, at most `limit` domains.
pub fn totals(
    store: &dyn Store,
    asset: &AssetId,
    after: Option<&DomainId>,
    limit: usize,
) -> Result<Vec<(DomainId, Amount)>, StoreError> {
    let prefix = key(asset.as_str(), "");
    let start = key(asset.as_str(), after.map_or("", DomainId::as_str));
    let mut found = Vec::new();
    store.scan(Table::Totals, &start, ScanOrder::Ascending, &mut |row, value| {
        let Some(domain) = row.strip_prefix(&prefix[..]) else { return ControlFlow::Break(()) };
        if found.len() >= limit {
            return ControlFlow::Break(());
        }
        let domain = std::str::from_utf8(domain).ok().and_then(|id| id.parse::<DomainId>().ok());
        if domain.as_ref() != after || after.is_none() {
            found.push((domain, decode_row::<Amount>(Table::Totals, value)));
        }
        ControlFlow::Continue(())
    })?;
    let damaged = || StoreError::Row { table: Table::Totals };
    found.into_iter().map(|(domain, amount)| Ok((domain.ok_or_else(damaged)?, amount?))).collect()
}

fn key(asset: &str, domain: &str) -> Vec<u8> {
    [asset.as_bytes(), &[SEPARATOR], domain.as_bytes()].concat()
}
