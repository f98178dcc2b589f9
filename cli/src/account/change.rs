//! Changing accounts: keys, tiers, freezing, notes, and closing them.

use clap::Subcommand;
use tonle_model::id::{AccountId, Name};
use tonle_model::instruction::{Instruction, MetadataValue, Reason};
use tonle_model::key::PublicKey;

use super::register::WeightedKey;
use crate::context::Context;
use crate::error::CliError;
use crate::place::Place;
use crate::submit::{self, SubmitArgs};

/// What to change about accounts.
#[derive(Debug, Subcommand)]
pub enum ChangeCommand {
    /// Close an account that has nothing; its name is never used again
    Unregister {
        /// Which
        id: AccountId,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Stop an account from paying and holding, as who manages its domain
    Freeze {
        /// Which
        id: AccountId,
        /// Why, for the record; no personal data
        #[arg(long, value_name = "TEXT")]
        reason: Reason,
        /// Nor may it receive
        #[arg(long)]
        incoming: bool,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Let a frozen account go on, as who manages its domain
    Unfreeze {
        /// Which
        id: AccountId,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Say which daily limits apply to an account, as who manages its domain
    SetTier {
        /// Which
        id: AccountId,
        /// The tier: `tonle asset get` shows what each may send in a day
        tier: Name,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Let one more key act for an account
    AddKey {
        /// Whose
        id: AccountId,
        /// The key, with its weight if not 1: ed0120…:2
        #[arg(value_name = "KEY[:WEIGHT]")]
        key: WeightedKey,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Take a key from an account
    RemoveKey {
        /// Whose
        id: AccountId,
        /// The key
        key: PublicKey,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Change the weight that must sign for an account
    SetQuorum {
        /// Whose
        id: AccountId,
        /// From 1 to the sum of the weights
        quorum: u16,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Note something with an account; everyone who reads the account sees it
    Note {
        /// Under which name, such as kyc_level
        key: Name,
        /// What; no personal data
        value: MetadataValue,
        /// Only if this stands there now; an empty text for nothing
        #[arg(long, value_name = "VALUE")]
        expected: Option<MetadataValue>,
        /// With which account [default: --account]
        #[arg(long, value_name = "ACCOUNT")]
        of: Option<AccountId>,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Forget what was noted with an account
    Forget {
        /// Under which name
        key: Name,
        /// With which account [default: --account]
        #[arg(long, value_name = "ACCOUNT")]
        of: Option<AccountId>,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
}

/// Changes it.
pub async fn run(command: ChangeCommand, context: &Context) -> Result<(), CliError> {
    use ChangeCommand as C;
    let own = |id: &AccountId| Place::Account(id.clone());
    let managed = |id: &AccountId| Place::Domain(id.domain());
    let (place, instruction, submit) = match command {
        C::Unregister { id, submit } => {
            (managed(&id), Instruction::UnregisterAccount { id }, submit)
        }
        C::Freeze { id, reason, incoming, submit } => {
            (managed(&id), Instruction::Freeze { account: id, incoming, reason }, submit)
        }
        C::Unfreeze { id, submit } => (managed(&id), Instruction::Unfreeze { account: id }, submit),
        C::SetTier { id, tier, submit } => {
            (managed(&id), Instruction::SetTier { account: id, tier }, submit)
        }
        C::AddKey { id, key, submit } => {
            let signatory = key.signatory();
            (own(&id), Instruction::AddSignatory { account: id, signatory }, submit)
        }
        C::RemoveKey { id, key: public_key, submit } => {
            (own(&id), Instruction::RemoveSignatory { account: id, public_key }, submit)
        }
        C::SetQuorum { id, quorum, submit } => {
            (own(&id), Instruction::SetQuorum { account: id, quorum }, submit)
        }
        C::Note { key, value, expected, of, submit } => {
            let account = context.subject(of)?;
            let place = own(&account);
            (place, Instruction::SetMetadata { account, key, value, expected }, submit)
        }
        C::Forget { key, of, submit } => {
            let account = context.subject(of)?;
            (own(&account), Instruction::RemoveMetadata { account, key }, submit)
        }
    };
    submit::act(context, place, instruction, &submit).await
}
