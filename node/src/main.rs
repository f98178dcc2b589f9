//! `tonled`: a Tonle validator or observer.

use std::process::ExitCode;

use clap::Parser;
use tonle_node::config::{Arguments, Config};
use tonle_node::node::{self, NodeError};
use tonle_wsv::aside::Moved;

/// RocksDB's allocations too: glibc keeps twice as much resident under this load, and more with
/// every block (docs/decisions/0007-memory-and-disk.md).
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let remedy = error.remedy();
            tracing::error!(%error, remedy, "ended");
            eprintln!("tonled: {error}");
            if let Some(remedy) = remedy {
                eprintln!("tonled: {remedy}");
            }
            error.exit_code()
        }
    }
}

fn run() -> Result<(), NodeError> {
    let config = Config::load(Arguments::parse())?;
    tonle_node::logging::start(&config.log, config.log_format)?;
    let Some(database) = config.set_aside else { return node::run(&config) };
    for Moved { from, to } in node::put_aside(&config, database.into())? {
        println!("{} is {} now; nobody reads it again", from.display(), to.display());
    }
    println!("start the node as before");
    Ok(())
}
