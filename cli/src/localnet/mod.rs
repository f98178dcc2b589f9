//! `tonle localnet`: a network of validators on this machine, each its own process with its own
//! directory, key and ports.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::context::Context;
use crate::error::CliError;

mod files;
mod logs;
mod ports;
mod process;
mod ready;
mod report;
pub mod state;
mod stop;
mod up;

const EXAMPLES: &str = "\
Examples:
  tonle localnet up                       four validators until Ctrl-C
  tonle localnet up --detach              the same, in the background
  tonle localnet kill 2                   end validator 2 as a power cut would
  tonle localnet restart 2                and start it again
  tonle localnet status --output json
  tonle localnet down

Which localnet: --dir, else TONLE_DIR, else the one started last, else ./.tonle";

/// What to do with a localnet.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum LocalnetCommand {
    /// Start a network, or resume a stopped one
    Up(UpArgs),
    /// Stop all validators; everything is kept for the next `up`
    Down,
    /// Which validators run, and whether they agree
    Status,
    /// What validators logged
    Logs(LogsArgs),
    /// End one validator with SIGKILL, as a power cut would
    Kill {
        /// Its number, from 0
        index: u16,
    },
    /// Start one validator again
    Restart {
        /// Its number, from 0
        index: u16,
    },
    /// Become a validator's process
    #[command(hide = true)]
    Run {
        /// End with the process that started it
        #[arg(long)]
        attached: bool,
        /// The program
        program: PathBuf,
        /// Its configuration file
        validator_config: PathBuf,
    },
}

/// What network to start.
#[derive(Debug, Clone, Args)]
pub struct UpArgs {
    /// How many validators [default: 4]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=100))]
    pub validators: Option<u16>,
    /// Leave it running in the background
    #[arg(long)]
    pub detach: bool,
    /// Start from this genesis instead of the demo
    #[arg(long, value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Where the first validator serves HTTP, the others following; 0 picks free ports
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    pub api_port: u16,
    /// Where the first validator meets its peers, the others following; 0 picks free ports
    #[arg(long, value_name = "PORT", default_value_t = 9080)]
    pub p2p_port: u16,
    /// Delete what was there before
    #[arg(long)]
    pub fresh: bool,
}

/// Which log.
#[derive(Debug, Args)]
pub struct LogsArgs {
    /// Whose: the validator's number [default: all]
    index: Option<u16>,
    /// How many of the last lines
    #[arg(long, short = 'n', default_value_t = 40)]
    lines: usize,
    /// Go on printing as lines come, until Ctrl-C
    #[arg(long, short)]
    follow: bool,
}

/// Does it.
pub async fn run(command: LocalnetCommand, context: &Context) -> Result<(), CliError> {
    match command {
        LocalnetCommand::Up(args) => up::run(args, context).await,
        LocalnetCommand::Down => stop::down(context).await,
        LocalnetCommand::Status => report::status(context).await,
        LocalnetCommand::Logs(args) => logs::run(args, context).await,
        LocalnetCommand::Kill { index } => stop::kill(index, context).await,
        LocalnetCommand::Restart { index } => up::restart(index, context).await,
        LocalnetCommand::Run { attached, program, validator_config } => {
            Err(process::become_validator(&program, &validator_config, attached))
        }
    }
}

/// The address of a validator's API.
fn url(api: SocketAddr) -> String {
    format!("http://{api}")
}
