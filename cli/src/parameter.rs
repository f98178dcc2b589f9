//! `tonle parameter`: what all validators agree on by configuration.

use clap::Subcommand;
use tonle_client::Client;
use tonle_client::api::{Parameters, PublicReads};
use tonle_model::instruction::{Instruction, Parameter};

use crate::context::Context;
use crate::error::CliError;
use crate::output::table;
use crate::place::Place;
use crate::submit::{self, SubmitArgs};

const EXAMPLES: &str = "\
Examples:
  tonle parameter list
  tonle parameter set utc_offset_min 420 --account governor@nbc --wait
  tonle parameter set public_reads chain --account governor@nbc --wait";

/// What to do about parameters.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ParameterCommand {
    /// All parameters
    List,
    /// Change a parameter, as who may; it holds from the next block on
    Set {
        /// Which: delta_ms, max_ttl_ms, public_reads, operator or utc_offset_min
        name: String,
        /// What it becomes
        #[arg(allow_negative_numbers = true)]
        value: String,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
}

/// Does it.
pub async fn run(command: ParameterCommand, context: &Context) -> Result<(), CliError> {
    match command {
        ParameterCommand::List => {
            let parameters = context.nodes()?.ask(Client::parameters).await?;
            context.output.show(&parameters, || describe(&parameters))
        }
        ParameterCommand::Set { name, value, submit } => {
            let parameter = parse(&name, &value).map_err(CliError::usage)?;
            let instruction = Instruction::SetParameter(parameter);
            submit::act(context, Place::Operator, instruction, &submit).await
        }
    }
}

fn parse(name: &str, value: &str) -> Result<Parameter, String> {
    let not = |expected: &str| format!("{name} is {expected}, not {value:?}");
    let milliseconds = || value.parse().map_err(|_| not("a number of milliseconds"));
    Ok(match name {
        "delta_ms" => Parameter::DeltaMs(milliseconds()?),
        "max_ttl_ms" => Parameter::MaxTtlMs(milliseconds()?),
        "public_reads" => Parameter::PublicReads(match value {
            "none" => PublicReads::None,
            "chain" => PublicReads::Chain,
            "all" => PublicReads::All,
            _ => return Err(not("none, chain or all")),
        }),
        "operator" => Parameter::Operator(value.parse().map_err(|_| not("an account"))?),
        "utc_offset_min" => {
            Parameter::UtcOffsetMin(value.parse().map_err(|_| not("a number of minutes"))?)
        }
        _ => return Err(format!("no parameter {name}; `tonle parameter list` shows all")),
    })
}

fn describe(parameters: &Parameters) -> String {
    let reads = match parameters.public_reads {
        PublicReads::None => "none",
        PublicReads::Chain => "chain",
        PublicReads::All => "all",
    };
    let row = |name: &str, value: &dyn ToString, meaning: &str| {
        [name.to_owned(), value.to_string(), meaning.to_owned()]
    };
    table(
        ["PARAMETER", "VALUE", "MEANING"],
        vec![
            row("delta_ms", &parameters.delta_ms, "an upper guess at one message delay"),
            row("max_ttl_ms", &parameters.max_ttl_ms, "longest life of a transaction"),
            row("public_reads", &reads, "what unsigned reads may see"),
            row("operator", &parameters.operator, "the account that owns the network"),
            row("utc_offset_min", &parameters.utc_offset_min, "minutes of local time ahead of UTC"),
        ],
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_parameter_is_set_by_its_name() {
        assert_eq!(parse("delta_ms", "400"), Ok(Parameter::DeltaMs(400)));
        assert_eq!(parse("utc_offset_min", "-60"), Ok(Parameter::UtcOffsetMin(-60)));
        assert_eq!(parse("public_reads", "chain"), Ok(Parameter::PublicReads(PublicReads::Chain)));
        assert!(parse("operator", "governor@nbc").is_ok());
        for (name, value) in
            [("delta_ms", "-1"), ("public_reads", "some"), ("operator", "nbc"), ("delta", "1")]
        {
            assert!(parse(name, value).unwrap_err().contains(name), "{name} {value}");
        }
    }
}
