//! The configuration of `tonled`: one TOML file, overridden by `TONLED_*`, overridden by flags.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::{Parser, ValueEnum};
use serde::Deserialize;
use tonle_model::key::PublicKey;
use tonle_wsv::store::Database;

/// Default free disk space below which a node takes nothing in, in MiB.
const DISK_RESERVE_MB: u64 = 512;

/// Flags and environment of `tonled`. Every key but the peers can also stand in the file.
#[derive(Debug, Default, Parser)]
#[command(name = "tonled", version, about = "A Tonle validator or observer")]
#[command(after_help = "EXAMPLES:\n  tonled --config validator-0/config.toml\n  \
    tonled --config config.toml --log debug --log-format json\n\n\
    EXIT CODES:\n  0 ended by SIGTERM or SIGINT\n  2 configuration\n  3 disk\n  4 state divergence")]
pub struct Arguments {
    /// The configuration file (TOML).
    #[arg(long, env = "TONLED_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// The genesis file.
    #[arg(long, env = "TONLED_GENESIS", value_name = "FILE")]
    pub genesis: Option<PathBuf>,
    /// Where the databases are.
    #[arg(long, env = "TONLED_DATA_DIR", value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// This node's key file, as `tonle keys new` writes it.
    #[arg(long, env = "TONLED_KEY_FILE", value_name = "FILE")]
    pub key_file: Option<PathBuf>,
    /// Where Torii listens.
    #[arg(long, env = "TONLED_API", value_name = "ADDRESS:PORT")]
    pub api: Option<SocketAddr>,
    /// Where other nodes connect.
    #[arg(long, env = "TONLED_P2P", value_name = "ADDRESS:PORT")]
    pub p2p: Option<SocketAddr>,
    /// What to log: error, warn, info, debug, trace, or a filter such as tonle_node=debug.
    #[arg(long, env = "TONLED_LOG", value_name = "FILTER")]
    pub log: Option<String>,
    /// How to log.
    #[arg(long, env = "TONLED_LOG_FORMAT")]
    pub log_format: Option<LogFormat>,
    /// Free disk space to keep, in MiB; below it the node takes nothing in and votes nothing.
    #[arg(long, env = "TONLED_DISK_RESERVE_MB", value_name = "MIB")]
    pub disk_reserve_mb: Option<u64>,
    /// How an empty data directory is filled: by executing all blocks from the genesis on, or from
    /// a snapshot of the peers, checked against the genesis.
    #[arg(long, env = "TONLED_JOIN", value_name = "HOW")]
    pub join: Option<Join>,
    /// Vote although this validator's own past votes are not all known: only after making sure
    /// that no other copy of this validator runs or ran with this key.
    #[arg(long, env = "TONLED_RESUME_VOTING")]
    pub resume_voting: bool,
    /// Do not start: put a damaged database away, so that the next start begins without it. The
    /// chain is fetched from other nodes again, the state is made anew from the chain.
    #[arg(long, value_name = "DATABASE")]
    pub set_aside: Option<SetAside>,
}

/// A database that can be done without.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SetAside {
    /// The chain with this validator's votes, and the state with it.
    Chain,
    /// The state.
    State,
}

impl From<SetAside> for Database {
    fn from(which: SetAside) -> Self {
        match which {
            SetAside::Chain => Self::Chain,
            SetAside::State => Self::State,
        }
    }
}

/// How an empty data directory is filled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Join {
    /// By executing every block.
    #[default]
    Genesis,
    /// From a snapshot of the peers, and the blocks after it.
    Snapshot,
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Pretty,
    /// One JSON object a line.
    Json,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    genesis: Option<PathBuf>,
    data_dir: Option<PathBuf>,
    key_file: Option<PathBuf>,
    api: Option<SocketAddr>,
    p2p: Option<SocketAddr>,
    log: Option<String>,
    log_format: Option<LogFormat>,
    disk_reserve_mb: Option<u64>,
    join: Option<Join>,
    #[serde(default)]
    peers: Vec<Peer>,
    #[serde(default)]
    observers: Vec<PublicKey>,
}

/// Another node and where it listens.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// Its key, which is its network identity.
    pub public_key: PublicKey,
    /// `host:port`.
    pub address: String,
}

/// All that a node needs to know to start.
#[derive(Debug, Clone)]
pub struct Config {
    /// The genesis file.
    pub genesis: PathBuf,
    /// Where the databases are.
    pub data_dir: PathBuf,
    /// This node's key file.
    pub key_file: PathBuf,
    /// Where Torii listens.
    pub api: SocketAddr,
    /// Where other nodes connect.
    pub p2p: SocketAddr,
    /// Log filter.
    pub log: String,
    /// Log format.
    pub log_format: LogFormat,
    /// Free bytes to keep on the disk.
    pub disk_reserve_bytes: u64,
    /// Nodes to connect to.
    pub peers: Vec<Peer>,
    /// Nodes that may connect although they are no validators.
    pub observers: Vec<PublicKey>,
    /// How an empty data directory is filled.
    pub join: Join,
    /// An operator vouches for this validator's past.
    pub resume_voting: bool,
    /// What to put away instead of starting.
    pub set_aside: Option<SetAside>,
}

/// Why there is no configuration. Exit code 2.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The file is not what it should be.
    #[error("{path} is not a valid configuration: {error}")]
    Parse {
        /// Which.
        path: PathBuf,
        /// Why.
        error: Box<toml::de::Error>,
    },
    /// The log filter is not one.
    #[error("`{filter}` is not a log filter: {error}; try info, or tonle_node=debug")]
    Log {
        /// What was given.
        filter: String,
        /// Why not.
        error: String,
    },
    /// A key that has no default is nowhere.
    #[error("`{0}` is missing: set it in the configuration file or by flag (see tonled --help)")]
    Missing(&'static str),
}

impl Config {
    /// Puts flags, environment and file together. Paths in the file are relative to it.
    pub fn load(arguments: Arguments) -> Result<Self, ConfigError> {
        let (file, base) = match &arguments.config {
            Some(path) => (read_file(path)?, path.parent().unwrap_or(Path::new(""))),
            None => (File::default(), Path::new("")),
        };
        let path = |flag: Option<PathBuf>, key: Option<PathBuf>, name| {
            flag.or_else(|| key.map(|path| base.join(path))).ok_or(ConfigError::Missing(name))
        };
        let reserve_mb =
            arguments.disk_reserve_mb.or(file.disk_reserve_mb).unwrap_or(DISK_RESERVE_MB);
        Ok(Self {
            genesis: path(arguments.genesis, file.genesis, "genesis")?,
            data_dir: path(arguments.data_dir, file.data_dir, "data_dir")?,
            key_file: path(arguments.key_file, file.key_file, "key_file")?,
            api: arguments.api.or(file.api).unwrap_or(([127, 0, 0, 1], 8080).into()),
            p2p: arguments.p2p.or(file.p2p).ok_or(ConfigError::Missing("p2p"))?,
            log: arguments.log.or(file.log).unwrap_or_else(|| "info".into()),
            log_format: arguments.log_format.or(file.log_format).unwrap_or_default(),
            disk_reserve_bytes: reserve_mb.saturating_mul(1024 * 1024),
            peers: file.peers,
            observers: file.observers,
            join: arguments.join.or(file.join).unwrap_or_default(),
            resume_voting: arguments.resume_voting,
            set_aside: arguments.set_aside,
        })
    }
}

fn read_file(path: &Path) -> Result<File, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| ConfigError::Read { path: path.into(), error })?;
    toml::from_str(&text)
        .map_err(|error| ConfigError::Parse { path: path.into(), error: Box::new(error) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(text: &str) -> (tempfile::TempDir, PathBuf) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, text).unwrap();
        (directory, path)
    }

    #[test]
    fn flags_override_the_file_and_paths_are_relative_to_it() {
        let (directory, path) = written(
            "genesis = \"g.json\"\ndata_dir = \"data\"\nkey_file = \"/k\"\np2p = \"127.0.0.1:1\"\n",
        );
        let arguments = Arguments {
            config: Some(path),
            p2p: Some(([127, 0, 0, 1], 2).into()),
            ..Arguments::default()
        };
        let config = Config::load(arguments).unwrap();
        assert_eq!(config.genesis, directory.path().join("g.json"));
        assert_eq!(config.key_file, PathBuf::from("/k"));
        assert_eq!(config.p2p.port(), 2);
        assert_eq!(config.api.port(), 8080);
    }

    #[test]
    fn a_misspelt_key_and_a_missing_one_are_named() {
        let (_directory, path) = written("genesys = \"g\"\n");
        let load = |config| Config::load(Arguments { config, ..Arguments::default() });
        assert!(load(Some(path)).unwrap_err().to_string().contains("genesys"));
        assert!(load(None).unwrap_err().to_string().contains("`genesis` is missing"));
    }
}
