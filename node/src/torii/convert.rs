//! From the ledger's values to what the API shows.

use tonle_client::api;
use tonle_model::amount::Amount;
use tonle_model::hash::{HoldId, ProposalId};
use tonle_model::id::{AccountId, AssetId, DomainId, Name};
use tonle_wsv::state;

/// An account with its rights and what was noted with it.
pub(super) fn account(
    id: AccountId,
    account: &state::Account,
    rights: Option<&state::Rights>,
    metadata: Option<&state::Metadata>,
) -> api::Account {
    let notes = metadata.into_iter().flat_map(|metadata| metadata.iter().cloned());
    api::Account {
        id,
        quorum: account.quorum,
        signatories: account.signatories.to_vec(),
        tier: account.tier.clone(),
        status: match &account.status {
            state::AccountStatus::Active => api::AccountStatus::Active,
            state::AccountStatus::Frozen { incoming, reason } => {
                api::AccountStatus::Frozen { incoming: *incoming, reason: reason.clone() }
            }
            state::AccountStatus::Closed => api::AccountStatus::Closed,
        },
        roles: rights.map(|rights| rights.roles.to_vec()).unwrap_or_default(),
        permissions: rights.map(|rights| rights.permissions.to_vec()).unwrap_or_default(),
        metadata: notes.collect(),
    }
}

/// A balance of an account of a tier, on a local day.
pub(super) fn balance(
    id: AssetId,
    balance: &state::Balance,
    asset: &state::Asset,
    tier: &Name,
    today: u32,
) -> api::Balance {
    let sent = if balance.day == today { balance.sent } else { Amount::ZERO };
    api::Balance {
        asset: id,
        available: balance.available.to_decimal(asset.scale),
        held: balance.held.to_decimal(asset.scale),
        incoming_holds: balance.incoming,
        sent_today: sent.to_decimal(asset.scale),
        limit: asset.limit(tier).map(|limit| limit.to_decimal(asset.scale)),
    }
}

/// An asset.
pub(super) fn asset(id: AssetId, asset: &state::Asset) -> api::Asset {
    let limits = asset.limits.iter().map(|limit| api::Limit {
        tier: limit.tier.clone(),
        per_day: limit.per_day.to_decimal(asset.scale),
    });
    api::Asset {
        id,
        scale: asset.scale,
        supply: asset.supply.to_decimal(asset.scale),
        supply_cap: asset.supply_cap.map(|cap| cap.to_decimal(asset.scale)),
        owner: asset.owner.clone(),
        mintability: asset.mintability,
        limits: limits.collect(),
    }
}

/// How much there is of an asset.
pub(super) fn supply(id: AssetId, asset: &state::Asset) -> api::Supply {
    api::Supply {
        asset: id,
        supply: asset.supply.to_decimal(asset.scale),
        supply_cap: asset.supply_cap.map(|cap| cap.to_decimal(asset.scale)),
    }
}

/// A domain.
pub(super) fn domain(id: DomainId, domain: &state::Domain) -> api::Domain {
    api::Domain { id, owner: domain.owner.clone() }
}

/// A role.
pub(super) fn role(id: Name, role: &state::Role) -> api::Role {
    api::Role { id, permissions: role.permissions.to_vec() }
}

/// A hold under its asset's scale.
pub(super) fn hold(id: HoldId, hold: &state::Hold, scale: u8) -> api::Hold {
    api::Hold {
        id,
        from: hold.from.clone(),
        to: hold.to.clone(),
        asset: hold.asset.clone(),
        amount: hold.amount.to_decimal(scale),
        expires_ms: hold.expires_ms,
        hash_lock: hold.hash_lock,
        arbiter: hold.arbiter.clone(),
        invoice: hold.invoice.clone(),
    }
}

/// The payment of an invoice under its asset's scale.
pub(super) fn invoice_payment(
    key: &state::InvoiceKey,
    paid: &state::PaidInvoice,
    scale: u8,
) -> api::InvoicePayment {
    api::InvoicePayment {
        asset: key.asset.clone(),
        amount: key.amount.to_decimal(scale),
        expires_ms: key.expires_ms,
        status: match paid.hold {
            None => api::InvoiceStatus::Paid,
            Some(_) => api::InvoiceStatus::Reserved,
        },
        payer: paid.payer.clone(),
        transaction: paid.transaction,
        hold: paid.hold,
    }
}

/// A proposal, and how far the account that it is for has approved it.
pub(super) fn proposal(
    id: ProposalId,
    proposal: &state::Proposal,
    account: &state::Account,
) -> api::Proposal {
    api::Proposal {
        id,
        account: proposal.account.clone(),
        proposer: proposal.proposer.clone(),
        instructions: proposal.instructions.to_vec(),
        expires_ms: proposal.expires_ms,
        approvals: proposal.approvals.to_vec(),
        weight: account.weight_of(|key| proposal.approvals.contains(key)),
        quorum: account.quorum,
    }
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
