//! `tonle domain`: banks and the central bank.

use clap::Subcommand;
use tonle_client::Client;
use tonle_client::api::Domain;
use tonle_model::id::DomainId;
use tonle_model::instruction::Instruction;

use crate::context::Context;
use crate::error::CliError;
use crate::output::{fields, table};
use crate::place::Place;
use crate::submit::{self, SubmitArgs};

const EXAMPLES: &str = "\
Examples:
  tonle domain list
  tonle domain register ppcb --account governor@nbc --wait";

/// What to do about domains.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum DomainCommand {
    /// All domains
    List,
    /// One domain
    Get {
        /// Which
        id: DomainId,
    },
    /// Make a new domain, as the network's operator, who then owns it
    Register {
        /// Its name
        id: DomainId,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
}

/// Does it.
pub async fn run(command: DomainCommand, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    match command {
        DomainCommand::List => {
            let domains = nodes.ask(Client::domains).await?;
            let row = |domain: &Domain| [domain.id.to_string(), domain.owner.to_string()];
            let rows = || table(["DOMAIN", "OWNER"], domains.iter().map(row).collect());
            context.output.show(&domains, rows)
        }
        DomainCommand::Get { id } => {
            let domains = nodes.ask(Client::domains).await?;
            let domain = domains.into_iter().find(|domain| domain.id == id).ok_or_else(|| {
                CliError::refused("unknown_domain", format!("there is no domain {id}"))
            })?;
            context.output.show(&domain, || {
                fields(&[("domain", domain.id.to_string()), ("owner", domain.owner.to_string())])
            })
        }
        DomainCommand::Register { id, submit } => {
            let instruction = Instruction::RegisterDomain { id };
            submit::act(context, Place::Operator, instruction, &submit).await
        }
    }
}
