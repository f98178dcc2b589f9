//! What Propose, Approve and Withdraw share: approvals on the chain (ledger.md, Instructions).
//!
//! The keys that signed the transaction approve, as far as they are signatories of the account. No
//! account of one's own is needed but one that pays attention: any authority can carry the step.

use std::sync::Arc;

use tonle_model::bounded::Bounded;
use tonle_model::hash::ProposalId;
use tonle_model::id::AccountId;
use tonle_model::receipt::RejectionCode;

use super::{Cause, Failure, Ledger, Movement, reject};
use crate::state::entries::ReadEntries;
use crate::state::key::Key;
use crate::state::overlay::Overlay;
use crate::state::value::{Account, Proposal, Proposals, Value};
use crate::store::StoreError;

impl Ledger<'_> {
    pub(super) fn proposal(&self, id: &ProposalId) -> Result<Arc<Proposal>, Failure> {
        match self.overlay.value(&Key::Proposal(*id))? {
            Some(Value::Proposal(proposal)) => Ok(proposal),
            _ => reject(RejectionCode::UnknownProposal, format_args!("no proposal {id}")),
        }
    }

    /// Adds the approvals of the transaction's signers and keeps the proposal, or runs it if the
    /// account's quorum has approved.
    pub(super) fn approve(
        &mut self,
        id: &ProposalId,
        mut proposal: Proposal,
        account: &Account,
    ) -> Result<(), Failure> {
        let mut approvals = proposal.approvals.to_vec();
        // Keys that were removed make room; their approvals count no more.
        approvals.retain(|key| account.weight_of(|known| known == key) > 0);
        let before = approvals.len();
        for signatory in &account.signatories {
            let key = signatory.public_key;
            if self.cause.signers.contains(&key) && !approvals.contains(&key) {
                approvals.push(key);
            }
        }
        if approvals.len() == before {
            let detail = "no signatory that has not approved yet signed the transaction";
            return reject(RejectionCode::NothingToApprove, detail);
        }
        if account.weight_of(|key| approvals.contains(key)) < u32::from(account.quorum) {
            // At most one for each signatory, of whom there are no more than fit.
            proposal.approvals = Bounded::new(approvals).unwrap_or_default();
            return self.set(Key::Proposal(*id), Value::Proposal(Arc::new(proposal)));
        }
        drop_proposal(self.overlay, id, &proposal.account)?;
        self.run(id, &proposal)
    }

    /// Runs a proposal as its account: all of it, or the step fails and it can be tried again.
    fn run(&mut self, id: &ProposalId, proposal: &Proposal) -> Result<(), Failure> {
        for (place, instruction) in (0u16..).zip(&proposal.instructions) {
            let cause = Cause { proposal: Some((id.0, place)), ..self.cause };
            let movements: &mut Vec<Movement> = self.movements;
            let mut inner = Ledger {
                overlay: self.overlay,
                chain: self.chain,
                height: self.height,
                parameters: self.parameters,
                time_ms: self.time_ms,
                rights: self.rights,
                cause,
                movements,
            };
            inner.execute(&proposal.account, instruction)?;
        }
        Ok(())
    }
}

/// The open proposals of an account.
pub fn proposals_of(overlay: &Overlay, id: &AccountId) -> Result<Arc<Proposals>, StoreError> {
    match overlay.value(&Key::Proposals(id.clone()))? {
        Some(Value::Proposals(proposals)) => Ok(proposals),
        _ => Ok(Arc::default()),
    }
}

/// Sets the open proposals of an account.
pub fn set_proposals(
    overlay: &mut Overlay,
    id: &AccountId,
    proposals: Proposals,
) -> Result<(), StoreError> {
    let key = Key::Proposals(id.clone());
    match proposals.is_empty() {
        true => overlay.remove(&key),
        false => overlay.set(key, Value::Proposals(Arc::new(proposals))),
    }
}

/// Forgets a proposal of an account.
pub fn drop_proposal(
    overlay: &mut Overlay,
    id: &ProposalId,
    account: &AccountId,
) -> Result<(), StoreError> {
    overlay.remove(&Key::Proposal(*id))?;
    let mut others = proposals_of(overlay, account)?.to_vec();
    others.retain(|other| other != id);
    set_proposals(overlay, account, Bounded::new(others).unwrap_or_default())
}
