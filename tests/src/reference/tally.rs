//! How often what happened, so that a test that tests nothing is seen.

use std::collections::BTreeMap;

use tonle_model::instruction::Instruction;
use tonle_model::receipt::{Outcome, RejectionCode, VoidCode};
use tonle_model::transaction::SignedTransaction;

use super::Fate;

/// What became of the transactions of many sequences.
#[derive(Debug, Default)]
pub struct Tally {
    /// Rejections by code.
    pub rejections: BTreeMap<&'static str, u64>,
    /// Void transactions by code.
    pub voids: BTreeMap<&'static str, u64>,
    /// By instruction: how often one was applied, and how often one was what failed.
    pub instructions: BTreeMap<&'static str, (u64, u64)>,
}

impl Tally {
    /// Counts a block.
    pub fn count(&mut self, transactions: &[SignedTransaction], fates: &[Fate]) {
        for (transaction, fate) in transactions.iter().zip(fates) {
            let steps = &transaction.payload().steps;
            match fate {
                Fate::Void(code, _) => *self.voids.entry(code.code()).or_default() += 1,
                Fate::Done(Outcome::Applied) => {
                    for step in steps {
                        self.instructions.entry(kind(&step.instruction)).or_default().0 += 1;
                    }
                }
                Fate::Done(Outcome::Rejected { code, step }) => {
                    *self.rejections.entry(code.code()).or_default() += 1;
                    let failed = kind(&steps[usize::from(*step)].instruction);
                    self.instructions.entry(failed).or_default().1 += 1;
                }
            }
        }
    }

    /// Adds what another one counted.
    pub fn add(&mut self, other: &Self) {
        for (code, count) in &other.rejections {
            *self.rejections.entry(code).or_default() += count;
        }
        for (code, count) in &other.voids {
            *self.voids.entry(code).or_default() += count;
        }
        for (kind, (applied, failed)) in &other.instructions {
            let counted = self.instructions.entry(kind).or_default();
            counted.0 += applied;
            counted.1 += failed;
        }
    }

    /// The codes that never struck, but for `unreachable`; and instructions that were never
    /// applied, or never refused.
    pub fn missing(&self, unreachable: &[RejectionCode]) -> Vec<String> {
        let rejections = RejectionCode::ALL.iter().filter(|code| !unreachable.contains(code));
        let rejections = rejections.map(|code| code.code());
        let rejections = rejections.filter(|code| !self.rejections.contains_key(code));
        let voids = VoidCode::ALL.iter().map(|code| code.code());
        let voids = voids.filter(|code| !self.voids.contains_key(code));
        let one_sided =
            self.instructions.iter().filter(|(_, counts)| counts.0 == 0 || counts.1 == 0);
        let one_sided = one_sided.map(|(kind, counts)| format!("{kind}: {counts:?}"));
        rejections.chain(voids).map(str::to_owned).chain(one_sided).collect()
    }
}

/// The name of an instruction.
fn kind(instruction: &Instruction) -> &'static str {
    use Instruction as I;
    match instruction {
        I::RegisterDomain { .. } => "register_domain",
        I::RegisterAccount { .. } => "register_account",
        I::RegisterAsset { .. } => "register_asset",
        I::UnregisterAccount { .. } => "unregister_account",
        I::Mint { .. } => "mint",
        I::Burn { .. } => "burn",
        I::Transfer { .. } => "transfer",
        I::Hold { .. } => "hold",
        I::Settle { .. } => "settle",
        I::Release { .. } => "release",
        I::AddSignatory { .. } => "add_signatory",
        I::RemoveSignatory { .. } => "remove_signatory",
        I::SetQuorum { .. } => "set_quorum",
        I::Freeze { .. } => "freeze",
        I::Unfreeze { .. } => "unfreeze",
        I::SetTier { .. } => "set_tier",
        I::SetLimit { .. } => "set_limit",
        I::Recall { .. } => "recall",
        I::RegisterRole { .. } => "register_role",
        I::GrantRole { .. } => "grant_role",
        I::RevokeRole { .. } => "revoke_role",
        I::Grant { .. } => "grant",
        I::Revoke { .. } => "revoke",
        I::SetMetadata { .. } => "set_metadata",
        I::RemoveMetadata { .. } => "remove_metadata",
        I::Propose { .. } => "propose",
        I::Approve { .. } => "approve",
        I::Withdraw { .. } => "withdraw",
        I::RegisterValidator { .. } => "register_validator",
        I::UnregisterValidator { .. } => "unregister_validator",
        I::SetParameter(_) => "set_parameter",
    }
}
