//! `tonle`: the command line of a Tonle network.

use std::process::ExitCode;

fn main() -> ExitCode {
    tonle_cli::run()
}
