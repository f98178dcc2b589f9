//! Withdraw takes a proposal back.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the proposal exists | `unknown_proposal` |
//! | the authority proposed it, or is its account | `permission_denied` |

use tonle_model::hash::ProposalId;
use tonle_model::id::AccountId;
use tonle_model::receipt::RejectionCode;

use super::proposal::drop_proposal;
use super::{Failure, Ledger, reject};

pub fn execute(ledger: &mut Ledger<'_>, by: &AccountId, id: &ProposalId) -> Result<(), Failure> {
    let proposal = ledger.proposal(id)?;
    if *by != proposal.proposer && *by != proposal.account {
        let detail = format_args!("{by} neither proposed it nor is its account");
        return reject(RejectionCode::PermissionDenied, detail);
    }
    Ok(drop_proposal(ledger.overlay, id, &proposal.account)?)
}
