//! Structured logs on standard error.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

use crate::config::{ConfigError, LogFormat};

/// Starts logging for the life of the process.
pub fn start(filter: &str, format: LogFormat) -> Result<(), ConfigError> {
    let wrong = |error: tracing_subscriber::filter::ParseError| ConfigError::Log {
        filter: filter.to_owned(),
        error: error.to_string(),
    };
    // Gossip warns of what is normal here, such as a batch that two nodes announce at once.
    let filter = EnvFilter::try_new(format!("libp2p_gossipsub=error,{filter}")).map_err(wrong)?;
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    match format {
        LogFormat::Pretty => builder.with_target(false).init(),
        LogFormat::Json => builder.json().init(),
    }
    Ok(())
}
