//! `tonle role`: named sets of rights.

use clap::Subcommand;
use tonle_client::Client;
use tonle_client::api::Role;
use tonle_model::bounded::Bounded;
use tonle_model::id::{AccountId, Name};
use tonle_model::instruction::Instruction;
use tonle_model::permission::Permission;

use crate::context::Context;
use crate::error::CliError;
use crate::output::{fields, table};
use crate::place::Place;
use crate::submit::{self, SubmitArgs};

const EXAMPLES: &str = "\
Examples:
  tonle role list
  tonle role register teller --permission register_accounts:aclb --permission read_accounts:aclb
  tonle role grant teller --to sok@aclb --wait
  tonle role revoke teller --from sok@aclb --wait

Nobody hands out what they do not hold: a role's maker holds all that it allows.";

/// What to do about roles.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum RoleCommand {
    /// All roles
    List,
    /// What a role allows
    Get {
        /// Which
        name: Name,
    },
    /// Make a new role, as who manages roles
    Register {
        /// Its name
        name: Name,
        /// What it allows, such as mint:khr#nbc; may be given several times
        #[arg(long = "permission", value_name = "PERMISSION", required = true, num_args = 1..)]
        permissions: Vec<Permission>,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Give an account a role, as who manages roles
    Grant {
        /// Which
        name: Name,
        /// Whom
        #[arg(long, value_name = "ACCOUNT")]
        to: AccountId,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Take a role from an account, as who manages roles or as the account
    Revoke {
        /// Which
        name: Name,
        /// Whose
        #[arg(long, value_name = "ACCOUNT")]
        from: AccountId,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
}

/// Does it.
pub async fn run(command: RoleCommand, context: &Context) -> Result<(), CliError> {
    let (instruction, submit) = match command {
        RoleCommand::List => return list(context).await,
        RoleCommand::Get { name } => return get(&name, context).await,
        RoleCommand::Register { name: id, permissions, submit } => {
            let permissions =
                Bounded::new(permissions).map_err(|error| CliError::usage(error.to_string()))?;
            (Instruction::RegisterRole { id, permissions }, submit)
        }
        RoleCommand::Grant { name: role, to: account, submit } => {
            (Instruction::GrantRole { role, account }, submit)
        }
        RoleCommand::Revoke { name: role, from: account, submit } => {
            (Instruction::RevokeRole { role, account }, submit)
        }
    };
    submit::act(context, Place::Operator, instruction, &submit).await
}

async fn list(context: &Context) -> Result<(), CliError> {
    let roles = context.nodes()?.ask(Client::roles).await?;
    context.output.show(&roles, || {
        let row = |role: &Role| [role.id.to_string(), role.permissions.len().to_string()];
        table(["ROLE", ">PERMISSIONS"], roles.iter().map(row).collect())
    })
}

async fn get(name: &Name, context: &Context) -> Result<(), CliError> {
    let role = context.nodes()?.ask(async |node: &Client| node.role(name).await).await?;
    context.output.show(&role, || {
        let mut rows = vec![("role", role.id.to_string())];
        rows.extend(role.permissions.iter().map(|right| ("permission", right.to_string())));
        fields(&rows)
    })
}
