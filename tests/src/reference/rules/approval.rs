//! Proposals and their approval.

use tonle_model::hash::ProposalId;
use tonle_model::id::AccountId;
use tonle_model::instruction::Instruction;
use tonle_model::receipt::RejectionCode;

use super::{Done, Run, ensure};
use crate::reference::state::{DAY_MS, Proposal};

/// Longest life of a proposal: 30 days.
const PROPOSAL_MS_MAX: u64 = 30 * DAY_MS;
/// Most open proposals of one account.
const PROPOSALS_MAX: usize = 32;

impl Run<'_> {
    pub(super) fn propose(
        &mut self,
        by: &AccountId,
        id: &AccountId,
        instructions: &[Instruction],
        expires_ms: u64,
    ) -> Done {
        use Instruction::{Approve, Propose, Withdraw};
        self.account(id)?;
        let is_nested = |instruction: &Instruction| {
            matches!(instruction, Propose { .. } | Approve { .. } | Withdraw { .. })
        };
        let is_sound = !instructions.is_empty() && !instructions.iter().any(is_nested);
        ensure(is_sound, RejectionCode::InvalidProposal)?;
        let is_timely = expires_ms > self.time_ms && expires_ms - self.time_ms <= PROPOSAL_MS_MAX;
        ensure(is_timely, RejectionCode::InvalidExpiry)?;
        let open = self.state.proposals_of.entry(id.clone()).or_default();
        ensure(open.len() < PROPOSALS_MAX, RejectionCode::TooMany)?;
        let proposal_id = ProposalId::of(&self.transaction, self.step);
        open.push(proposal_id);
        let proposal = Proposal {
            account: id.clone(),
            proposer: by.clone(),
            instructions: instructions.to_vec(),
            expires_ms,
            approvals: Vec::new(),
        };
        self.state.proposals.insert(proposal_id, proposal);
        self.add_approvals(&proposal_id)
    }

    pub(super) fn approve(&mut self, id: &ProposalId) -> Done {
        let proposal = self.find_proposal(id)?;
        ensure(self.time_ms <= proposal.expires_ms, RejectionCode::ProposalExpired)?;
        self.add_approvals(id)
    }

    pub(super) fn withdraw(&mut self, by: &AccountId, id: &ProposalId) -> Done {
        let proposal = self.find_proposal(id)?;
        let is_theirs = *by == proposal.proposer || *by == proposal.account;
        ensure(is_theirs, RejectionCode::PermissionDenied)?;
        self.state.drop_proposal(id);
        Ok(())
    }

    fn find_proposal(&self, id: &ProposalId) -> Result<Proposal, RejectionCode> {
        self.state.proposals.get(id).cloned().ok_or(RejectionCode::UnknownProposal)
    }

    /// The signers approve as far as they act for the account; with its quorum the proposal runs.
    fn add_approvals(&mut self, id: &ProposalId) -> Done {
        let mut proposal = self.find_proposal(id)?;
        let account = self.account(&proposal.account)?;
        proposal.approvals.retain(|key| account.has_key(key));
        let keys = account.signatories.iter().map(|signatory| signatory.public_key);
        let new: Vec<_> = keys
            .filter(|key| self.signers.contains(key) && !proposal.approvals.contains(key))
            .collect();
        ensure(!new.is_empty(), RejectionCode::NothingToApprove)?;
        proposal.approvals.extend(new);
        if account.weight_of(&proposal.approvals) < u64::from(account.quorum) {
            self.state.proposals.insert(*id, proposal);
            return Ok(());
        }
        self.state.drop_proposal(id);
        for (place, instruction) in (0u16..).zip(&proposal.instructions) {
            self.proposal = Some((*id, place));
            self.execute(&proposal.account, instruction)?;
        }
        self.proposal = None;
        Ok(())
    }
}
