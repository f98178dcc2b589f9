//! `tonle genesis`: what a network starts from.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;
use tonle_model::genesis::Genesis;
use tonle_model::hash::ChainHash;
use tonle_model::instruction::Instruction;

use crate::context::Context;
use crate::error::CliError;
use crate::output::fields;
use crate::time;

const EXAMPLES: &str = "\
Examples:
  tonle genesis check genesis.json
  tonle genesis hash genesis.json";

/// What to do about genesis files.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum GenesisCommand {
    /// Check a genesis file, and tell what it says
    Check {
        /// The file
        file: PathBuf,
    },
    /// The chain hash, which names the network
    Hash {
        /// The file
        file: PathBuf,
    },
}

#[derive(Serialize)]
struct Summary {
    name: String,
    chain: ChainHash,
    demo: bool,
    created_ms: u64,
    validators: usize,
    quorum: usize,
    steps: usize,
    domains: usize,
    accounts: usize,
    assets: usize,
}

/// Does it.
pub fn run(command: GenesisCommand, context: &Context) -> Result<(), CliError> {
    match command {
        GenesisCommand::Check { file } => {
            let genesis = read(&file)?;
            check_keys(&genesis)?;
            let summary = summarize(&genesis);
            context.output.show(&summary, || describe(&summary))
        }
        GenesisCommand::Hash { file } => {
            let chain = read(&file)?.chain();
            context.output.show(&chain, || chain.to_string())
        }
    }
}

/// Reads and checks a genesis file.
pub fn read(path: &Path) -> Result<Genesis, CliError> {
    let failed = |error: &dyn std::fmt::Display| {
        CliError::usage(format!("genesis {}: {error}", path.display()))
    };
    let text = std::fs::read_to_string(path).map_err(|error| failed(&error))?;
    Genesis::from_json(&text).map_err(|error| failed(&error))
}

fn check_keys(genesis: &Genesis) -> Result<(), CliError> {
    for validator in genesis.validators.iter() {
        validator
            .public_key
            .check_registrable()
            .map_err(|error| CliError::usage(format!("validator {}: {error}", validator.name)))?;
    }
    Ok(())
}

fn summarize(genesis: &Genesis) -> Summary {
    let count = |wanted: fn(&Instruction) -> bool| {
        genesis.steps.iter().filter(|step| wanted(&step.instruction)).count()
    };
    Summary {
        name: genesis.name.to_string(),
        chain: genesis.chain(),
        demo: genesis.demo,
        created_ms: genesis.created_ms,
        validators: genesis.validators.count(),
        quorum: genesis.validators.quorum(),
        steps: genesis.steps.len(),
        domains: count(|step| matches!(step, Instruction::RegisterDomain { .. })),
        accounts: count(|step| matches!(step, Instruction::RegisterAccount { .. })),
        assets: count(|step| matches!(step, Instruction::RegisterAsset { .. })),
    }
}

fn describe(summary: &Summary) -> String {
    let demo = match summary.demo {
        true => "yes: keys that everyone can compute are allowed",
        false => "no",
    };
    fields(&[
        ("name", summary.name.clone()),
        ("chain", summary.chain.to_string()),
        ("demo", demo.into()),
        ("created", format!("{} UTC", time::utc(summary.created_ms))),
        ("validators", format!("{}, {} decide", summary.validators, summary.quorum)),
        ("domains", summary.domains.to_string()),
        ("assets", summary.assets.to_string()),
        ("accounts", summary.accounts.to_string()),
        ("steps", summary.steps.to_string()),
    ])
}
