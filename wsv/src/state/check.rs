//! Whether a transaction is void at its place (ledger.md, Transaction).

use tonle_model::hash::{Digest256, TransactionHash};
use tonle_model::id::AccountId;
use tonle_model::limits;
use tonle_model::receipt::{Void, VoidCode};
use tonle_model::transaction::{Payload, SignedTransaction};

use super::entries::ReadEntries;
use super::value::Account;
use super::window::{Window, reference_digest};
use crate::store::StoreError;

/// Whether a transaction's window is allowed and holds a time:
/// `created_ms - drift <= time <= expires_ms`, and `expires_ms - created_ms` within the maximum.
/// Depends on nothing else, so it also says whether a transaction is work (consensus.md, Idle).
pub fn check_window(payload: &Payload, time_ms: u64, max_ttl_ms: u32) -> Result<(), VoidCode> {
    let length = payload.expires_ms.checked_sub(payload.created_ms);
    if length.is_none_or(|length| length > u64::from(max_ttl_ms)) {
        return Err(VoidCode::WindowTooLong);
    }
    if time_ms.saturating_add(limits::DRIFT_MS) < payload.created_ms {
        return Err(VoidCode::NotYetValid);
    }
    match time_ms > payload.expires_ms {
        true => Err(VoidCode::Expired),
        false => Ok(()),
    }
}

/// The accounts that act in a transaction, each once, in order of name.
pub fn authorities(payload: &Payload) -> Vec<&AccountId> {
    let mut authorities: Vec<_> = payload.steps.iter().map(|step| &step.authority).collect();
    authorities.sort_unstable();
    authorities.dedup();
    authorities
}

/// What a transaction uses up for each of its authorities if it is applied: its reference.
pub fn references(payload: &Payload) -> Vec<Digest256> {
    let Some(reference) = &payload.reference else { return Vec::new() };
    let authorities = authorities(payload);
    authorities.into_iter().map(|authority| reference_digest(authority, reference)).collect()
}

/// What is used up already: in committed blocks, or before in this one.
pub trait Used {
    /// Whether the transaction was used.
    fn has_hash(&self, hash: &TransactionHash, expires_ms: u64) -> bool;
    /// Whether the reference was used and is not free again at a time.
    fn has_reference(&self, reference: &Digest256, time_ms: u64) -> bool;
}

impl Used for Window {
    fn has_hash(&self, hash: &TransactionHash, expires_ms: u64) -> bool {
        Window::has_hash(self, hash, expires_ms)
    }

    fn has_reference(&self, reference: &Digest256, time_ms: u64) -> bool {
        Window::has_reference(self, reference, time_ms)
    }
}

/// Whether the transaction or one of its references is used up.
pub fn is_used(
    transaction: &SignedTransaction,
    references: &[Digest256],
    time_ms: u64,
    used: &impl Used,
) -> bool {
    used.has_hash(&transaction.hash(), transaction.payload().expires_ms)
        || references.iter().any(|reference| used.has_reference(reference, time_ms))
}

/// Why a transaction is void at a time, if it is. In this order: window, duplicate, authorities,
/// quorums; its signatures were checked before.
pub fn check_void(
    transaction: &SignedTransaction,
    references: &[Digest256],
    time_ms: u64,
    max_ttl_ms: u32,
    used: &impl Used,
    entries: &impl ReadEntries,
) -> Result<Option<Void>, StoreError> {
    let payload = transaction.payload();
    if let Err(code) = check_window(payload, time_ms, max_ttl_ms) {
        return Ok(Some(Void { code, authority: None }));
    }
    if is_used(transaction, references, time_ms, used) {
        return Ok(Some(Void { code: VoidCode::Duplicate, authority: None }));
    }
    for authority in authorities(payload) {
        let code = match entries.account(authority)? {
            None => VoidCode::UnknownAuthority,
            Some(account) if account.is_closed() => VoidCode::UnknownAuthority,
            Some(account) if !meets_quorum(&account, transaction) => VoidCode::QuorumNotMet,
            Some(_) => continue,
        };
        return Ok(Some(Void { code, authority: Some(authority.clone()) }));
    }
    Ok(None)
}

/// Whether the signatories of an account that signed have its quorum. No key stands twice among
/// the signatories, so each counts once however often it signed.
fn meets_quorum(account: &Account, transaction: &SignedTransaction) -> bool {
    let weight = account.weight_of(|key| transaction.signers().any(|signer| signer == key));
    weight >= u32::from(account.quorum)
}
