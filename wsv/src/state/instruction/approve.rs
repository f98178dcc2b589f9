//! Approve approves a proposal with the keys that signed the transaction.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the proposal exists | `unknown_proposal` |
//! | it has not expired: block time up to `expires_ms` | `proposal_expired` |
//! | its account exists | `unknown_account` |
//! | a signatory that has not approved yet signed the transaction | `nothing_to_approve` |
//!
//! Once the account's quorum has approved, counting the weights of now, the proposal runs as that
//! account and is gone. If it fails, so does the step, with the failure's own code, and the
//! proposal stands as before.

use tonle_model::hash::ProposalId;
use tonle_model::receipt::RejectionCode;

use super::{Failure, Ledger, reject};

pub fn execute(ledger: &mut Ledger<'_>, id: &ProposalId) -> Result<(), Failure> {
    let proposal = ledger.proposal(id)?;
    if ledger.time_ms > proposal.expires_ms {
        return reject(RejectionCode::ProposalExpired, format_args!("proposal {id} has expired"));
    }
    let account = ledger.account(&proposal.account)?;
    ledger.approve(id, (*proposal).clone(), &account)
}
