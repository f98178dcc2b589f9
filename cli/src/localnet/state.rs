//! What is remembered of a localnet: `localnet.json` in its directory, and which one was started
//! last.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tonle_model::hash::ChainHash;
use tonle_model::id::Name;
use tonle_model::key::PublicKey;

use super::process;
use crate::config::base_directory;
use crate::error::CliError;

const FILE: &str = "localnet.json";
/// Where a localnet lives unless told otherwise.
pub const DEFAULT_DIRECTORY: &str = ".tonle";

/// The localnet in a directory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Localnet {
    /// Where it lives.
    #[serde(skip)]
    pub directory: PathBuf,
    /// The genesis' name.
    pub name: String,
    /// The network.
    pub chain: ChainHash,
    /// Whether accounts have demo keys.
    pub demo: bool,
    /// In the order of their numbers.
    pub validators: Vec<Validator>,
}

/// One of its validators.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// Its number.
    pub index: u16,
    /// Its name in the genesis.
    pub name: Name,
    /// Its key.
    pub public_key: PublicKey,
    /// Where it serves HTTP.
    pub api: SocketAddr,
    /// Where it meets its peers.
    pub p2p: SocketAddr,
    /// Its process, if it was started and not stopped.
    pub pid: Option<u32>,
}

impl Localnet {
    /// Reads the localnet of a directory, if there is one.
    pub fn load_if_there(directory: &Path) -> Result<Option<Self>, CliError> {
        let path = directory.join(FILE);
        let damaged = |error: &dyn std::fmt::Display| {
            CliError::usage(format!("{}: {error}", path.display()))
                .help("`tonle localnet up --fresh` makes a new localnet in its place")
        };
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(damaged(&error)),
        };
        let mut localnet: Self = serde_json::from_str(&text).map_err(|error| damaged(&error))?;
        localnet.directory = directory.to_owned();
        Ok(Some(localnet))
    }

    /// Reads the localnet that a command is about.
    pub fn find(named: Option<&Path>) -> Result<Self, CliError> {
        let directory = resolve(named);
        Self::load_if_there(&directory)?.ok_or_else(|| none_at(&directory))
    }

    /// Writes it, whole or not at all.
    pub fn save(&self) -> Result<(), CliError> {
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| CliError::failed(error.to_string()))?;
        replace(&self.directory.join(FILE), &text)
    }

    /// The addresses of all APIs.
    pub fn urls(&self) -> Vec<String> {
        self.validators.iter().map(|validator| super::url(validator.api)).collect()
    }

    /// The directory of one validator.
    pub fn validator_directory(&self, index: u16) -> PathBuf {
        self.directory.join(format!("validator-{index}"))
    }

    /// The configuration file of one validator.
    pub fn config(&self, index: u16) -> PathBuf {
        self.validator_directory(index).join("config.toml")
    }

    /// The log of one validator.
    pub fn log(&self, index: u16) -> PathBuf {
        self.validator_directory(index).join("log")
    }

    /// The process of one validator, if it runs.
    pub fn running(&self, validator: &Validator) -> Option<u32> {
        validator.pid.filter(|pid| process::runs(*pid, &self.config(validator.index)))
    }

    /// How many run.
    pub fn running_count(&self) -> usize {
        self.validators.iter().filter(|validator| self.running(validator).is_some()).count()
    }

    /// The validator of that number.
    pub fn validator(&self, index: u16) -> Result<&Validator, CliError> {
        self.validators.get(usize::from(index)).ok_or_else(|| {
            let last = self.validators.len().saturating_sub(1);
            CliError::usage(format!("there is no validator {index}"))
                .help(format!("the validators of this localnet are 0 to {last}"))
        })
    }

    /// Remembers the process of one validator.
    pub fn set_pid(&mut self, index: u16, pid: Option<u32>) {
        if let Some(validator) = self.validators.get_mut(usize::from(index)) {
            validator.pid = pid;
        }
    }
}

/// Keeps two commands from changing one localnet at a time; let go when dropped.
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Waits for its turn.
    pub fn take(directory: &Path) -> Result<Self, CliError> {
        let path = directory.join("lock");
        let failed = |error| CliError::usage(format!("{}: {error}", path.display()));
        let file = File::create(&path).map_err(failed)?;
        file.lock().map_err(failed)?;
        Ok(Self { _file: file })
    }
}

/// There is no localnet where one should be.
pub fn none_at(directory: &Path) -> CliError {
    CliError::usage(format!("there is no localnet in {}", directory.display()))
        .help("`tonle localnet up --detach` starts one; --dir names another directory")
}

/// The directory of the localnet that a command is about: the one named, else the one started
/// last if it still exists, else the usual one here.
pub fn resolve(named: Option<&Path>) -> PathBuf {
    resolve_among(named, current_file().as_deref())
}

fn resolve_among(named: Option<&Path>, current: Option<&Path>) -> PathBuf {
    let named = named.map(absolute);
    let remembered = || {
        let directory = PathBuf::from(fs::read_to_string(current?).ok()?.trim());
        directory.join(FILE).exists().then_some(directory)
    };
    named.or_else(remembered).unwrap_or_else(|| absolute(Path::new(DEFAULT_DIRECTORY)))
}

/// The same path from everywhere.
pub fn absolute(path: &Path) -> PathBuf {
    // Links are resolved where the path exists, so that one directory has one name.
    fs::canonicalize(path)
        .or_else(|_| std::path::absolute(path))
        .unwrap_or_else(|_| path.to_owned())
}

/// Remembers a localnet as the one started last. A machine without a home forgets.
pub fn remember(directory: &Path) -> Result<(), CliError> {
    match current_file() {
        Some(path) => {
            fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
            replace(&path, &format!("{}\n", directory.display()))
        }
        None => Ok(()),
    }
}

fn current_file() -> Option<PathBuf> {
    base_directory("XDG_STATE_HOME", ".local/state").map(|base| base.join("current"))
}

/// Writes a file whole or not at all.
fn replace(path: &Path, text: &str) -> Result<(), CliError> {
    let failed = |error| CliError::failed(format!("cannot write {}: {error}", path.display()));
    let temporary = path.with_extension(format!("{}.new", std::process::id()));
    fs::write(&temporary, text).map_err(failed)?;
    fs::rename(&temporary, path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::key::KeyPair;

    fn localnet(directory: &Path) -> Localnet {
        let validator = Validator {
            index: 0,
            name: "validator_0".parse().unwrap(),
            public_key: KeyPair::demo("validator_0").public_key(),
            api: "127.0.0.1:8080".parse().unwrap(),
            p2p: "127.0.0.1:9080".parse().unwrap(),
            pid: None,
        };
        Localnet {
            directory: directory.to_owned(),
            name: "demo".into(),
            chain: ChainHash::default(),
            demo: true,
            validators: vec![validator],
        }
    }

    #[test]
    fn a_localnet_is_saved_and_found() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Localnet::load_if_there(directory.path()).unwrap(), None);
        let localnet = localnet(directory.path());
        localnet.save().unwrap();
        assert_eq!(Localnet::load_if_there(directory.path()).unwrap(), Some(localnet.clone()));
        assert_eq!(localnet.urls(), ["http://127.0.0.1:8080"]);
        assert!(localnet.validator(0).is_ok());
        assert!(localnet.validator(1).unwrap_err().remedy().unwrap().contains("0 to 0"));
    }

    #[test]
    fn the_named_directory_comes_before_the_remembered_one() {
        let home = tempfile::tempdir().unwrap();
        let (named, last) = (home.path().join("named"), home.path().join("last"));
        fs::create_dir(&last).unwrap();
        let current = home.path().join("current");
        fs::write(&current, format!("{}\n", last.display())).unwrap();
        let usual = absolute(Path::new(DEFAULT_DIRECTORY));
        assert_eq!(resolve_among(None, Some(&current)), usual, "it holds no localnet");
        localnet(&last).save().unwrap();
        assert_eq!(resolve_among(None, Some(&current)), last);
        assert_eq!(resolve_among(Some(&named), Some(&current)), named);
        assert_eq!(resolve_among(None, None), usual);
    }

    #[test]
    fn a_damaged_file_says_how_to_go_on() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(FILE), "{").unwrap();
        let error = Localnet::load_if_there(directory.path()).unwrap_err();
        assert!(error.remedy().unwrap().contains("--fresh"));
    }

    #[test]
    fn a_process_that_is_not_the_validator_is_not_running() {
        let directory = tempfile::tempdir().unwrap();
        let mut localnet = localnet(directory.path());
        localnet.set_pid(0, Some(std::process::id()));
        assert_eq!(localnet.running_count(), 0, "process numbers are used again");
    }
}
