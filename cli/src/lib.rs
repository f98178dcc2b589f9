//! The `tonle` command: `tonle NOUN VERB`, one module for each noun.
//!
//! Every command works against a [`context::Context`], which knows the nodes, the account and the
//! keys to use, and ends in [`error::CliError`] or not at all: errors are rendered, and become
//! exit codes, in one place.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

pub mod account;
pub mod asset;
pub mod bar;
pub mod bench;
pub mod block;
pub mod config;
pub mod context;
pub mod domain;
pub mod error;
pub mod events;
pub mod file;
pub mod genesis;
pub mod hold;
pub mod invoice;
pub mod keys;
pub mod localnet;
pub mod made;
pub mod nodes;
pub mod output;
pub mod parameter;
pub mod passphrase;
pub mod permission;
pub mod place;
pub mod proof;
pub mod proposal;
pub mod query;
pub mod recall;
pub mod remedy;
pub mod role;
pub mod snapshot;
pub mod span;
pub mod status;
pub mod submit;
pub mod time;
pub mod transfer;
pub mod tx;
pub mod validator;
pub mod words;

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
    /// Pay a transfer back without its payee: a mistake, a theft, an order of a court
    Recall(recall::RecallArgs),
    /// Money set aside, to be settled or given back
    #[command(subcommand)]
    Hold(hold::HoldCommand),
    /// Single-use payments
    #[command(subcommand)]
    Invoice(invoice::InvoiceCommand),
    /// Accounts, who acts for them, what they have and what they did
    #[command(subcommand)]
    Account(account::AccountCommand),
    /// Actions of an account that its signatories approve on the chain
    #[command(subcommand)]
    Proposal(proposal::ProposalCommand),
    /// Roles: named sets of rights
    #[command(subcommand)]
    Role(role::RoleCommand),
    /// Rights given to accounts
    #[command(subcommand)]
    Permission(permission::PermissionCommand),
    /// Assets: currencies and their supply
    #[command(subcommand)]
    Asset(asset::AssetCommand),
    /// Domains: banks and the central bank
    #[command(subcommand)]
    Domain(domain::DomainCommand),
    /// Parameters of the network
    #[command(subcommand)]
    Parameter(parameter::ParameterCommand),
    /// Validators of the network
    #[command(subcommand)]
    Validator(validator::ValidatorCommand),
    /// Transactions, and files in which several people sign one
    #[command(subcommand)]
    Tx(tx::TxCommand),
    /// Blocks
    #[command(subcommand)]
    Block(block::BlockCommand),
    /// What is committed, as it happens
    #[command(subcommand)]
    Events(events::EventsCommand),
    /// Proofs of payments and balances, and checking them without a node
    #[command(subcommand)]
    Proof(proof::ProofCommand),
    /// A signed question, for what the network does not show to everyone
    Query(query::QueryArgs),
    /// What a node says of itself
    Status,
    /// Key files
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Genesis files
    #[command(subcommand)]
    Genesis(genesis::GenesisCommand),
    /// A node's state in a file, and a node from such a file
    #[command(subcommand)]
    Snapshot(snapshot::SnapshotCommand),
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
        Command::Recall(args) => recall::run(args, &context).await,
        Command::Hold(command) => hold::run(command, &context).await,
        Command::Invoice(command) => invoice::run(command, &context).await,
        Command::Account(command) => account::run(command, &context).await,
        Command::Proposal(command) => proposal::run(command, &context).await,
        Command::Role(command) => role::run(command, &context).await,
        Command::Permission(command) => permission::run(command, &context).await,
        Command::Asset(command) => asset::run(command, &context).await,
        Command::Domain(command) => domain::run(command, &context).await,
        Command::Parameter(command) => parameter::run(command, &context).await,
        Command::Validator(command) => validator::run(command, &context).await,
        Command::Tx(command) => tx::run(command, &context).await,
        Command::Block(command) => block::run(command, &context).await,
        Command::Events(command) => events::run(command, &context).await,
        Command::Proof(command) => proof::run(command, &context).await,
        Command::Query(args) => query::run(args, &context).await,
        Command::Status => status::run(&context).await,
        Command::Keys(command) => keys::run(command, &context),
        Command::Genesis(command) => genesis::run(command, &context),
        Command::Snapshot(command) => snapshot::run(command, &context),
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
