//! The `tonle` command: `tonle NOUN VERB`, one module for each noun.
//!
//! Every command works against a [`context::Context`], which knows the nodes, the account and the
//! keys to use, and ends in [`error::CliError`] or not at all: errors are rendered, and become
//! exit codes, in one place.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub mod account;
pub mod asset;
pub mod bench;
pub mod block;
pub mod config;
pub mod context;
pub mod domain;
pub mod error;
pub mod genesis;
pub mod keys;
pub mod localnet;
pub mod nodes;
pub mod output;
pub mod passphrase;
pub mod remedy;
pub mod status;
pub mod submit;
pub mod time;
pub mod transfer;
pub mod tx;
pub mod validator;

use config::GlobalArgs;
use context::Context;
use error::CliError;

const EXAMPLES: &str = "\
Examples:
  tonle localnet up --detach                  four validators on this machine
  tonle transfer --to dara@wing --amount 20000 --asset khr#nbc --wait
  tonle account balance sok@aclb
  tonle localnet status --output json
  tonle localnet down

Which network: --url, else TONLE_URL, else the configuration file, else the localnet started last.
Exit codes: 0 done, 1 refused by the ledger, 2 usage, 3 cannot reach a node, 4 timed out.";

/// Pay, ask and operate on a Tonle network.
#[derive(Debug, Parser)]
#[command(name = "tonle", version, after_help = EXAMPLES, max_term_width = 100)]
pub struct Cli {
    #[command(flatten)]
    global: GlobalArgs,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// A network of validators on this machine
    #[command(subcommand)]
    Localnet(localnet::LocalnetCommand),
    /// Pay someone
    Transfer(transfer::TransferArgs),
    /// Accounts, their balances and their history
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Assets: currencies and their supply
    #[command(subcommand)]
    Asset(asset::AssetCommand),
    /// Domains: banks and the central bank
    #[command(subcommand)]
    Domain(domain::DomainCommand),
    /// Validators of the network
    #[command(subcommand)]
    Validator(validator::ValidatorCommand),
    /// Transactions
    #[command(subcommand)]
    Tx(tx::TxCommand),
    /// Blocks
    #[command(subcommand)]
    Block(block::BlockCommand),
    /// What a node says of itself
    Status,
    /// Key files
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Genesis files
    #[command(subcommand)]
    Genesis(genesis::GenesisCommand),
    /// Measure a network: throughput, latency, cost, and this machine's ceiling
    Bench(bench::BenchArgs),
    /// Shell completions, to be sourced
    #[command(after_help = "Example:\n  tonle completions bash > /etc/bash_completion.d/tonle")]
    Completions {
        /// For which shell
        shell: clap_complete::Shell,
    },
}

/// Reads the command line, does what it says, and tells how it went.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no errors: clap knows which stream and code each has.
        Err(error) => error.exit(),
    };
    let format = cli.global.output;
    match execute(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.report(format),
    }
}

fn execute(cli: Cli) -> Result<(), CliError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::failed(format!("cannot start: {error}")))?;
    runtime.block_on(dispatch(cli))
}

async fn dispatch(cli: Cli) -> Result<(), CliError> {
    let context = Context::new(&cli.global)?;
    match cli.command {
        Command::Localnet(command) => localnet::run(command, &context).await,
        Command::Transfer(args) => transfer::run(args, &context).await,
        Command::Account(command) => account::run(command, &context).await,
        Command::Asset(command) => asset::run(command, &context).await,
        Command::Domain(command) => domain::run(command, &context).await,
        Command::Validator(command) => validator::run(command, &context).await,
        Command::Tx(command) => tx::run(command, &context).await,
        Command::Block(command) => block::run(command, &context).await,
        Command::Status => status::run(&context).await,
        Command::Keys(command) => keys::run(command, &context),
        Command::Genesis(command) => genesis::run(command, &context),
        Command::Bench(args) => bench::run(args, &context).await,
        Command::Completions { shell } => {
            completions(shell, &mut std::io::stdout());
            Ok(())
        }
    }
}

fn completions(shell: clap_complete::Shell, out: &mut impl std::io::Write) {
    clap_complete::generate(shell, &mut Cli::command(), "tonle", out);
}

#[cfg(test)]
mod tests;
