//! One function for each instruction, which reads like its table in the ledger chapter: the checks
//! in their order, then what changes.
//!
//! An instruction that fails may have changed something before; whoever runs it keeps a copy.

mod accounts;
mod approval;
mod data;
mod holds;
mod keys;
mod money;
mod rights;
mod validators;

use tonle_model::amount::Decimal;
use tonle_model::hash::{Digest256, ProposalId, TransactionHash};
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::Instruction;
use tonle_model::key::PublicKey;
use tonle_model::permission::Permission;
use tonle_model::receipt::RejectionCode;

use super::archive::Archive;
use super::state::{Account, Asset, State, Status};

/// What an instruction came to.
pub type Done = Result<(), RejectionCode>;

/// An instruction while it runs.
pub struct Run<'a> {
    /// What it changes.
    pub state: &'a mut State,
    /// What was applied before.
    pub archive: &'a Archive,
    /// The height of the block.
    pub height: u64,
    /// Block time.
    pub time_ms: u64,
    /// The transaction.
    pub transaction: TransactionHash,
    /// The step of the transaction.
    pub step: u16,
    /// The proposal that the step runs, and the place in it.
    pub proposal: Option<(ProposalId, u16)>,
    /// The keys that signed the transaction.
    pub signers: &'a [PublicKey],
    /// Whether everything is allowed, as in the genesis.
    pub every_right: bool,
}

/// Refuses unless something is so.
fn ensure(is_so: bool, otherwise: RejectionCode) -> Done {
    if is_so { Ok(()) } else { Err(otherwise) }
}

/// Minor units of a number as written; worked out on its digits.
fn minor_units(written: Decimal, scale: u8) -> Result<u128, RejectionCode> {
    let text = written.to_string();
    let (whole, fraction) = text.split_once('.').unwrap_or((&text, ""));
    let Some(missing) = usize::from(scale).checked_sub(fraction.len()) else {
        return Err(RejectionCode::TooManyDecimals);
    };
    let digits = format!("{whole}{fraction}{}", "0".repeat(missing));
    digits.parse().map_err(|_| RejectionCode::AmountOverflow)
}

/// As [`minor_units`], and more than zero.
fn positive(written: Decimal, scale: u8) -> Result<u128, RejectionCode> {
    let amount = minor_units(written, scale)?;
    ensure(amount > 0, RejectionCode::ZeroAmount)?;
    Ok(amount)
}

/// Whether an account may not send.
fn sends_nothing(account: &Account) -> bool {
    matches!(account.status, Status::Frozen { .. })
}

/// Whether an account may not receive.
fn receives_nothing(account: &Account) -> bool {
    matches!(account.status, Status::Frozen { incoming: true, .. })
}

impl Run<'_> {
    /// Runs one instruction of an authority.
    pub fn execute(&mut self, by: &AccountId, instruction: &Instruction) -> Done {
        use Instruction as I;
        match instruction {
            I::RegisterDomain { id } => self.register_domain(by, id),
            I::RegisterAccount { .. } => self.register_account(by, instruction),
            I::RegisterAsset { .. } => self.register_asset(by, instruction),
            I::UnregisterAccount { id } => self.unregister_account(by, id),
            I::Mint { asset, to, amount } => self.mint(by, asset, to, *amount),
            I::Burn { asset, amount } => self.burn(by, asset, *amount),
            I::Transfer { .. } => self.transfer(by, instruction),
            I::Hold { .. } => self.hold(by, instruction),
            I::Settle { id, amount, preimage } => self.settle(by, id, *amount, preimage.as_ref()),
            I::Release { id } => self.release(by, id),
            I::AddSignatory { account, signatory } => self.add_signatory(by, account, signatory),
            I::RemoveSignatory { account, public_key } => {
                self.remove_signatory(by, account, public_key)
            }
            I::SetQuorum { account, quorum } => self.set_quorum(by, account, *quorum),
            I::Freeze { account, incoming, reason } => {
                let reason = reason.as_str().to_owned();
                self.set_status(by, account, Status::Frozen { incoming: *incoming, reason })
            }
            I::Unfreeze { account } => self.set_status(by, account, Status::Active),
            I::SetTier { account, tier } => self.set_tier(by, account, tier),
            I::SetLimit { tier, asset, per_day } => self.set_limit(by, tier, asset, *per_day),
            I::Recall { .. } => self.recall(by, instruction),
            I::RegisterRole { id, permissions } => self.register_role(by, id, permissions),
            I::GrantRole { role, account } => self.grant_role(by, role, account),
            I::RevokeRole { role, account } => self.revoke_role(by, role, account),
            I::Grant { permission, account } => self.grant(by, permission, account),
            I::Revoke { permission, account } => self.revoke(by, permission, account),
            I::SetMetadata { account, key, value, expected } => {
                self.set_metadata(by, account, key, value, expected.as_ref())
            }
            I::RemoveMetadata { account, key } => self.remove_metadata(by, account, key),
            I::Propose { account, instructions, expires_ms } => {
                self.propose(by, account, instructions, *expires_ms)
            }
            I::Approve { id } => self.approve(id),
            I::Withdraw { id } => self.withdraw(by, id),
            I::RegisterValidator { name, public_key, joining } => {
                self.register_validator(by, name, public_key, joining)
            }
            I::UnregisterValidator { public_key } => self.unregister_validator(by, public_key),
            I::SetParameter(parameter) => self.set_parameter(by, parameter),
        }
    }

    fn account(&self, id: &AccountId) -> Result<Account, RejectionCode> {
        self.state.open_account(id).cloned().ok_or(RejectionCode::UnknownAccount)
    }

    fn asset(&self, id: &AssetId) -> Result<Asset, RejectionCode> {
        self.state.assets.get(id).cloned().ok_or(RejectionCode::UnknownAsset)
    }

    /// Refuses unless an account holds a right.
    fn permit(&self, by: &AccountId, right: Permission) -> Done {
        let may = self.every_right || self.state.holds_right(by, &right);
        ensure(may, RejectionCode::PermissionDenied)
    }

    /// Refuses unless one is the other, or may manage it.
    fn permit_managing(&self, by: &AccountId, id: &AccountId) -> Done {
        match by == id {
            true => Ok(()),
            false => self.permit(by, Permission::ManageAccounts(id.domain())),
        }
    }

    /// As [`Run::permit_managing`]; others also hold all that it was given, and nobody else touches
    /// the keys of one that owns something.
    fn permit_keys(&self, by: &AccountId, id: &AccountId) -> Done {
        self.permit_managing(by, id)?;
        if by == id || self.every_right {
            return Ok(());
        }
        self.state.rights_given(id).into_iter().try_for_each(|right| self.permit(by, right))?;
        ensure(!self.is_owner(id), RejectionCode::PermissionDenied)
    }

    /// Whether an account owns a domain, an asset or the network, or will own that from the next
    /// block on.
    fn is_owner(&self, id: &AccountId) -> bool {
        let operators = [&self.state.parameters.operator, &self.state.next_parameters.operator];
        operators.contains(&id) || self.state.owned(id) > 0
    }

    /// What names a hold that is made now.
    fn origin(&self) -> (Digest256, u16) {
        match self.proposal {
            Some((proposal, place)) => (proposal.0, place),
            None => (self.transaction.0, self.step),
        }
    }
}
