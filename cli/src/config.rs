//! Where settings come from: flags, then `TONLE_*` variables, then the configuration file.

use std::path::{Path, PathBuf};

use clap::Args;
use serde::Deserialize;
use tonle_model::id::AccountId;

use crate::error::CliError;
use crate::output::Format;

/// What every command understands. clap reads the variables where a flag is absent.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Global options")]
pub struct GlobalArgs {
    /// Address of a node; several with commas between, tried in order
    #[arg(long, global = true, env = "TONLE_URL", value_name = "URL", value_delimiter = ',')]
    pub url: Vec<String>,
    /// Act as this account, such as sok@aclb
    #[arg(long, global = true, env = "TONLE_ACCOUNT", value_name = "ACCOUNT")]
    pub account: Option<AccountId>,
    /// Sign with the key in this file; several with commas between
    #[arg(long, global = true, env = "TONLE_KEY_FILE", value_name = "FILE", value_delimiter = ',')]
    pub key_file: Vec<PathBuf>,
    /// Read the passphrase of key files from this file [or TONLE_PASSPHRASE, or a prompt]
    #[arg(long, global = true, env = "TONLE_PASSPHRASE_FILE", value_name = "FILE")]
    pub passphrase_file: Option<PathBuf>,
    /// `table` for people, `json` for scripts
    #[arg(long, short, global = true, env = "TONLE_OUTPUT", default_value = "table")]
    #[arg(value_name = "FORMAT", hide_possible_values = true)]
    pub output: Format,
    /// Directory of a localnet
    #[arg(long, global = true, env = "TONLE_DIR", value_name = "DIR")]
    pub dir: Option<PathBuf>,
    /// Configuration file [default: ~/.config/tonle/config.toml, if there]
    #[arg(long, global = true, env = "TONLE_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
}

/// The configuration file: the same settings for good.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigFile {
    /// Addresses of nodes, tried in order.
    #[serde(default)]
    pub url: Vec<String>,
    /// The account to act as.
    pub account: Option<AccountId>,
    /// Key files to sign with.
    #[serde(default)]
    pub key_file: Vec<PathBuf>,
    /// Where the passphrase of the key files stands.
    pub passphrase_file: Option<PathBuf>,
}

impl ConfigFile {
    /// Reads the file that was named, or the usual one if it is there.
    pub fn load(named: Option<&Path>) -> Result<Self, CliError> {
        let usual =
            base_directory("XDG_CONFIG_HOME", ".config").map(|base| base.join("config.toml"));
        let path = match (named, usual) {
            (Some(path), _) => path.to_owned(),
            (None, Some(path)) if path.exists() => path,
            _ => return Ok(Self::default()),
        };
        let unreadable = |error: &dyn std::fmt::Display| {
            CliError::usage(format!("configuration file {}: {error}", path.display())).help(
                "it may have url = [\"http://…\"], account = \"…\", key_file = [\"…\"] and \
                 passphrase_file = \"…\"",
            )
        };
        let text = std::fs::read_to_string(&path).map_err(|error| unreadable(&error))?;
        toml::from_str(&text).map_err(|error| unreadable(&error))
    }
}

/// `$VARIABLE/tonle`, or `~/fallback/tonle` (XDG base directories).
pub fn base_directory(variable: &str, fallback: &str) -> Option<PathBuf> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty());
    let base = match set(variable) {
        Some(base) => PathBuf::from(base),
        None => PathBuf::from(set("HOME")?).join(fallback),
    };
    Some(base.join("tonle"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;

    #[test]
    fn a_configuration_file_is_read_strictly() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("config.toml");
        std::fs::write(&path, "url = [\"http://a:1\"]\naccount = \"sok@aclb\"\n").unwrap();
        let config = ConfigFile::load(Some(&path)).unwrap();
        assert_eq!(config.url, ["http://a:1"]);
        assert_eq!(config.account.unwrap().as_str(), "sok@aclb");
        for bad in ["urls = []", "account = \"Sok\"", "url"] {
            std::fs::write(&path, bad).unwrap();
            assert_eq!(ConfigFile::load(Some(&path)).unwrap_err().exit(), Exit::Usage, "{bad}");
        }
        let missing = directory.path().join("missing.toml");
        assert_eq!(ConfigFile::load(Some(&missing)).unwrap_err().exit(), Exit::Usage);
    }
}
