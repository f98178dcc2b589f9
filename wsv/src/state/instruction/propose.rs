//! Propose puts up what an account may do, for its signatories to approve on the chain.
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the account exists | `unknown_account` |
//! | at least one instruction, none of them about proposals | `invalid_proposal` |
//! | it expires later than the block, within 30 days | `invalid_expiry` |
//! | the account has room for one more | `too_many` |
//! | a signatory of the account signed the transaction | `nothing_to_approve` |
//!
//! The signatories that signed have approved; if they have the account's quorum, it runs at once.

use tonle_model::bounded::Bounded;
use tonle_model::hash::{ProposalId, TransactionHash};
use tonle_model::id::AccountId;
use tonle_model::instruction::Instruction;
use tonle_model::limits;
use tonle_model::receipt::RejectionCode;

use super::proposal::{proposals_of, set_proposals};
use super::{Failure, Ledger, reject};
use crate::state::value::Proposal;

pub fn execute(
    ledger: &mut Ledger<'_>,
    by: &AccountId,
    id: &AccountId,
    instructions: &Bounded<Instruction, { limits::PROPOSAL_INSTRUCTIONS_MAX }>,
    expires_ms: u64,
) -> Result<(), Failure> {
    let account = ledger.account(id)?;
    let is_about_proposals = |instruction: &Instruction| {
        use Instruction::{Approve, Propose, Withdraw};
        matches!(instruction, Propose { .. } | Approve { .. } | Withdraw { .. })
    };
    if instructions.is_empty() || instructions.iter().any(is_about_proposals) {
        let detail = "a proposal has at least one instruction, and none about proposals";
        return reject(RejectionCode::InvalidProposal, detail);
    }
    let length = expires_ms.checked_sub(ledger.time_ms);
    if !length.is_some_and(|length| (1..=limits::PROPOSAL_MS_MAX).contains(&length)) {
        let detail = format_args!("it expires from 1 to {} ms ahead", limits::PROPOSAL_MS_MAX);
        return reject(RejectionCode::InvalidExpiry, detail);
    }
    let proposal_id = ProposalId::of(&TransactionHash(ledger.cause.transaction), ledger.cause.step);
    let mut proposals = proposals_of(ledger.overlay, id)?.to_vec();
    proposals.push(proposal_id);
    let Ok(proposals) = Bounded::new(proposals) else {
        return reject(RejectionCode::TooMany, format_args!("{id} has room for no more proposals"));
    };
    set_proposals(ledger.overlay, id, proposals)?;
    let proposal = Proposal {
        account: id.clone(),
        proposer: by.clone(),
        instructions: instructions.clone(),
        expires_ms,
        approvals: Bounded::default(),
    };
    ledger.approve(&proposal_id, proposal, &account)
}
