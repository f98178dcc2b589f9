//! `tonled`: a Tonle validator or observer.

use std::process::ExitCode;

use clap::Parser;
use tonle_node::config::{Arguments, Config};
use tonle_node::node::{self, NodeError};

/// RocksDB's allocations too: glibc keeps twice as much resident under this load, and more with
/// every block (docs/decisions/0007-memory-and-disk.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!(%error, "ended");
            eprintln!("tonled: {error}");
            error.exit_code()
        }
    }
}

fn run() -> Result<(), NodeError> {
    let config = Config::load(Arguments::parse())?;
    tonle_node::logging::start(&config.log, config.log_format)?;
    node::run(&config)
}
