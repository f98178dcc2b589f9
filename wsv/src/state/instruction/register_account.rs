//! RegisterAccount opens an account in a domain that the authority owns.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the domain exists | `unknown_domain` |
//! | the authority owns the domain | `permission_denied` |
//! | the name is not taken | `already_exists` |
//! | at least one signatory, and no key twice | `invalid_quorum` |
//! | each weight is at least 1 | `invalid_quorum` |
//! | the quorum is from 1 to the sum of the weights | `invalid_quorum` |
//! | every key is canonical and not of small order | `weak_key` |

use std::collections::BTreeSet;
use std::sync::Arc;

use tonle_model::id::AccountId;
use tonle_model::receipt::RejectionCode;
use tonle_model::transaction::Signatories;

use super::{Failure, Ledger, reject};
use crate::state::entries::ReadEntries;
use crate::state::key::Key;
use crate::state::value::{Account, Value};

pub fn execute(
    ledger: &mut Ledger<'_>,
    authority: &AccountId,
    id: &AccountId,
    signatories: &Signatories,
    quorum: u16,
) -> Result<(), Failure> {
    let domain_id = id.domain();
    let owner = &ledger.domain(&domain_id)?.owner;
    let detail = format_args!("only {owner} opens accounts in {domain_id}");
    ledger.permit(authority == owner, detail)?;
    if ledger.overlay.account(id)?.is_some() {
        return reject(RejectionCode::AlreadyExists, format_args!("account {id} exists"));
    }
    check_quorum(signatories, quorum)?;
    for signatory in signatories {
        if signatory.public_key.check_registrable().is_err() {
            let detail = format_args!("key {} must not own anything", signatory.public_key);
            return reject(RejectionCode::WeakKey, detail);
        }
    }
    let account = Account { signatories: signatories.clone(), quorum };
    ledger.set(Key::Account(id.clone()), Value::Account(Arc::new(account)))
}

fn check_quorum(signatories: &Signatories, quorum: u16) -> Result<(), Failure> {
    let invalid = |detail: &str| reject(RejectionCode::InvalidQuorum, detail);
    let keys: BTreeSet<_> = signatories.iter().map(|signatory| signatory.public_key).collect();
    if keys.len() != signatories.len() {
        return invalid("a key stands twice among the signatories");
    }
    if signatories.iter().any(|signatory| signatory.weight == 0) {
        return invalid("a signatory has no weight");
    }
    let sum: u32 = signatories.iter().map(|signatory| u32::from(signatory.weight)).sum();
    match (1..=sum).contains(&u32::from(quorum)) {
        true => Ok(()),
        false => invalid("the quorum is not from 1 to the sum of the weights"),
    }
}
