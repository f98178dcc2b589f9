//! `tonle validator`: who decides.

use clap::Subcommand;
use tonle_client::Client;
use tonle_client::api::Validator;

use crate::context::Context;
use crate::error::CliError;
use crate::output::table;

/// What to do about validators.
#[derive(Debug, Subcommand)]
pub enum ValidatorCommand {
    /// The validators of the next height, in canonical order
    List,
}

/// Does it.
pub async fn run(command: ValidatorCommand, context: &Context) -> Result<(), CliError> {
    let ValidatorCommand::List = command;
    let validators = context.nodes()?.ask(Client::validators).await?;
    context.output.show(&validators, || {
        let row = |validator: &Validator| {
            let index = validator.index.to_string();
            [index, validator.name.to_string(), validator.public_key.to_string()]
        };
        table([">INDEX", "NAME", "KEY"], validators.iter().map(row).collect())
    })
}
