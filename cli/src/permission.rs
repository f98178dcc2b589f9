//! `tonle permission`: rights given to accounts.

use clap::Subcommand;
use tonle_model::id::AccountId;
use tonle_model::instruction::Instruction;
use tonle_model::permission::Permission;

use crate::context::Context;
use crate::error::CliError;
use crate::place::Place;
use crate::submit::{self, SubmitArgs};

const EXAMPLES: &str = "\
Examples:
  tonle permission grant mint:khr#nbc --to bank@aclb --account governor@nbc --wait
  tonle permission grant transfer_from:sok@aclb --to bopha@aclb --account sok@aclb --wait
  tonle permission revoke mint:khr#nbc --from bank@aclb --account governor@nbc --wait

Permissions: register_domains, register_accounts:DOMAIN, manage_accounts:DOMAIN,
register_assets:DOMAIN, mint:ASSET, burn:ASSET, recall:ASSET, transfer_from:ACCOUNT,
read_accounts:DOMAIN, read_all_accounts, manage_roles, manage_validators, set_parameters.
`tonle account get` shows what an account was given.";

/// What to do about rights.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum PermissionCommand {
    /// Give an account a right, as an account that holds it
    Grant {
        /// Which, such as mint:khr#nbc
        permission: Permission,
        /// Whom
        #[arg(long, value_name = "ACCOUNT")]
        to: AccountId,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Take a right from an account, as one that holds it or as the account
    Revoke {
        /// Which, such as mint:khr#nbc
        permission: Permission,
        /// Whose
        #[arg(long, value_name = "ACCOUNT")]
        from: AccountId,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
}

/// Does it.
pub async fn run(command: PermissionCommand, context: &Context) -> Result<(), CliError> {
    let (place, instruction, submit) = match command {
        PermissionCommand::Grant { permission, to: account, submit } => {
            (Place::of_right(&permission), Instruction::Grant { permission, account }, submit)
        }
        PermissionCommand::Revoke { permission, from: account, submit } => {
            (Place::of_right(&permission), Instruction::Revoke { permission, account }, submit)
        }
    };
    submit::act(context, place, instruction, &submit).await
}
