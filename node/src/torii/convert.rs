//! From the ledger's values to what the API shows.

use tonle_client::api;
use tonle_model::id::{AssetId, DomainId};
use tonle_wsv::state;

/// A balance under its asset's scale.
pub(super) fn balance(asset: AssetId, balance: &state::Balance, scale: u8) -> api::Balance {
    api::Balance {
        asset,
        available: balance.available.to_decimal(scale),
        held: balance.held.to_decimal(scale),
    }
}

/// An asset.
pub(super) fn asset(id: AssetId, asset: &state::Asset) -> api::Asset {
    api::Asset {
        id,
        scale: asset.scale,
        supply: asset.supply.to_decimal(asset.scale),
        supply_cap: asset.supply_cap.map(|cap| cap.to_decimal(asset.scale)),
        owner: asset.owner.clone(),
    }
}

/// A domain.
pub(super) fn domain(id: DomainId, domain: &state::Domain) -> api::Domain {
    api::Domain { id, owner: domain.owner.clone() }
}

/// One movement under its asset's scale.
pub(super) fn history_entry(entry: state::HistoryEntry, scale: u8) -> api::HistoryEntry {
    api::HistoryEntry {
        height: entry.height,
        index: entry.index,
        step: entry.step,
        time_ms: entry.time_ms,
        transaction: entry.transaction,
        direction: match entry.direction {
            state::Direction::In => api::Direction::In,
            state::Direction::Out => api::Direction::Out,
        },
        asset: entry.asset,
        counterparty: Some(entry.counterparty),
        amount: entry.amount.to_decimal(scale),
        balance: entry.balance.to_decimal(scale),
        memo: entry.memo.to_string(),
    }
}

/// The direction to look for.
pub(super) fn direction_asked(direction: api::Direction) -> state::Direction {
    match direction {
        api::Direction::In => state::Direction::In,
        api::Direction::Out => state::Direction::Out,
    }
}
