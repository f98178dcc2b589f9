//! What a localnet's directory holds before its validators start.

use std::fmt::Write;
use std::fs;
use std::path::Path;

use tonle_client::keyfile::KeyFile;
use tonle_model::genesis::Genesis;
use tonle_model::key::KeyPair;
use tonle_model::validators::{Validator as GenesisValidator, ValidatorSet};

use super::UpArgs;
use super::ports::Held;
use super::state::{Localnet, Validator};
use crate::context::key_error;
use crate::error::CliError;
use crate::genesis;

/// The demo network of the repository.
const DEMO: &str = include_str!("../../../genesis.json");
/// A machine for trying things may be nearly full.
const DISK_RESERVE_MB: u32 = 256;

/// Makes a new localnet in a directory: genesis, and for each validator a directory with its key
/// and configuration.
pub fn create(directory: &Path, args: &UpArgs) -> Result<Localnet, CliError> {
    let genesis = prepare_genesis(args)?;
    let keys = validator_keys(&genesis)?;
    let count = u16::try_from(keys.len()).map_err(|_| CliError::usage("too many validators"))?;
    let mut held = Held::new();
    let apis = held.take(args.api_port, count, "--api-port")?;
    let p2ps = held.take(args.p2p_port, count, "--p2p-port")?;
    let validators = (0..count).zip(&keys).zip(apis.into_iter().zip(p2ps));
    let validators = validators.map(|((index, (name, key)), (api, p2p))| {
        let (name, public_key) = (name.clone(), key.public_key());
        Validator { index, name, public_key, api, p2p, pid: None }
    });
    let localnet = Localnet {
        directory: directory.to_owned(),
        name: genesis.name.to_string(),
        chain: genesis.chain(),
        demo: genesis.demo,
        validators: validators.collect(),
    };
    fs::create_dir_all(directory)?;
    let text = serde_json::to_string_pretty(&genesis)
        .map_err(|error| CliError::failed(error.to_string()))?;
    fs::write(directory.join("genesis.json"), text)?;
    for (validator, (_, key)) in localnet.validators.iter().zip(&keys) {
        fs::create_dir_all(localnet.validator_directory(validator.index).join("data"))?;
        let key_path = localnet.validator_directory(validator.index).join("key");
        KeyFile::plain(key.clone()).write_new(&key_path).map_err(key_error)?;
        fs::write(localnet.config(validator.index), config(&localnet, validator))?;
    }
    localnet.save()?;
    Ok(localnet)
}

/// Deletes what `create` and the validators made, and nothing else.
pub fn remove(directory: &Path) -> Result<(), CliError> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("validator-") && path.join("config.toml").exists() {
            fs::remove_dir_all(&path)?;
        } else if name == "genesis.json" || name == "localnet.json" {
            fs::remove_file(&path)?;
        }
    }
    Ok(())
}

fn prepare_genesis(args: &UpArgs) -> Result<Genesis, CliError> {
    let mut genesis = match &args.genesis {
        Some(path) => genesis::read(path)?,
        None => Genesis::from_json(DEMO).map_err(|error| CliError::usage(error.to_string()))?,
    };
    if !genesis.demo {
        return Err(CliError::usage("the genesis is not marked as demo")
            .help("a localnet uses keys that everyone can compute: set `\"demo\": true`"));
    }
    if let Some(count) = args.validators
        && usize::from(count) != genesis.validators.count()
    {
        genesis.validators = demo_validators(count)?;
    }
    Ok(genesis)
}

fn demo_validators(count: u16) -> Result<ValidatorSet, CliError> {
    let invalid = |error: &dyn std::fmt::Display| CliError::usage(error.to_string());
    let validators = (0..count).map(|index| {
        let name = format!("validator_{index}");
        let public_key = KeyPair::demo(&name).public_key();
        let name = name.parse().map_err(|error| invalid(&error))?;
        Ok(GenesisValidator { name, public_key })
    });
    let validators = validators.collect::<Result<Vec<_>, CliError>>()?;
    ValidatorSet::new(validators).map_err(|error| invalid(&error))
}

/// The demo key of each validator, in the order of their names: validator 2 comes before 10.
fn validator_keys(genesis: &Genesis) -> Result<Vec<(tonle_model::id::Name, KeyPair)>, CliError> {
    let keys = genesis.validators.iter().map(|validator| {
        let key = KeyPair::demo(validator.name.as_str());
        match key.public_key() == validator.public_key {
            true => Ok((validator.name.clone(), key)),
            false => Err(CliError::usage(format!("{} has no demo key", validator.name)).help(
                "a localnet needs the key of every validator: give --validators to replace them",
            )),
        }
    });
    let mut keys = keys.collect::<Result<Vec<_>, _>>()?;
    keys.sort_by_key(|(name, _)| (name.as_str().len(), name.clone()));
    Ok(keys)
}

/// The configuration of one validator. Its paths are relative to the file, so that a localnet can
/// be moved.
fn config(localnet: &Localnet, validator: &Validator) -> String {
    let Validator { index, name, api, p2p, .. } = validator;
    let mut text = format!(
        "# Validator {index} ({name}) of the localnet {:?}.\n\
         genesis = \"../genesis.json\"\n\
         data_dir = \"data\"\n\
         key_file = \"key\"\n\
         api = \"{api}\"\n\
         p2p = \"{p2p}\"\n\
         log = \"info\"\n\
         disk_reserve_mb = {DISK_RESERVE_MB}\n",
        localnet.name
    );
    for peer in localnet.validators.iter().filter(|peer| peer.index != *index) {
        let Validator { public_key, p2p, .. } = peer;
        let _infallible =
            write!(text, "\n[[peers]]\npublic_key = \"{public_key}\"\naddress = \"{p2p}\"\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    fn args(validators: Option<u16>) -> UpArgs {
        UpArgs { validators, detach: true, genesis: None, api_port: 0, p2p_port: 0, fresh: false }
    }

    #[test]
    fn each_validator_has_its_own_key_ports_and_peers() {
        let directory = tempfile::tempdir().unwrap();
        let localnet = create(directory.path(), &args(None)).unwrap();
        assert_eq!(localnet.validators.len(), 4);
        let genesis = genesis::read(&directory.path().join("genesis.json")).unwrap();
        assert_eq!(genesis.chain(), localnet.chain, "the written genesis names the same network");
        for validator in &localnet.validators {
            let home = localnet.validator_directory(validator.index);
            let key = KeyFile::read(&home.join("key")).unwrap().open(None).unwrap();
            assert_eq!(key.public_key(), validator.public_key);
            assert_eq!(fs::metadata(home.join("key")).unwrap().permissions().mode() & 0o77, 0);
            let text = fs::read_to_string(localnet.config(validator.index)).unwrap();
            let config: toml::Table = text.parse().unwrap();
            assert_eq!(config["api"].as_str().unwrap(), validator.api.to_string());
            assert_eq!(config["peers"].as_array().unwrap().len(), 3);
            assert!(!text.contains(&format!("\"{}\"\naddress", validator.public_key)));
        }
    }

    #[test]
    fn another_number_of_validators_is_another_network() {
        let directory = tempfile::tempdir().unwrap();
        let localnet = create(directory.path(), &args(Some(12))).unwrap();
        let names: Vec<_> = localnet.validators.iter().map(|v| v.name.to_string()).collect();
        assert_eq!(names[2], "validator_2");
        assert_eq!(names[10], "validator_10");
        let four = tempfile::tempdir().unwrap();
        assert_ne!(create(four.path(), &args(None)).unwrap().chain, localnet.chain);
    }

    #[test]
    fn a_genesis_that_is_no_demo_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("genesis.json");
        fs::write(&path, DEMO.replace("\"demo\": true", "\"demo\": false")).unwrap();
        let args = UpArgs { genesis: Some(path), ..args(None) };
        let error = create(&directory.path().join("net"), &args).unwrap_err();
        assert!(error.remedy().unwrap().contains("demo"));
    }

    #[test]
    fn removing_leaves_what_is_not_ours() {
        let directory = tempfile::tempdir().unwrap();
        create(directory.path(), &args(None)).unwrap();
        fs::write(directory.path().join("notes.txt"), "mine").unwrap();
        fs::create_dir(directory.path().join("validator-notes")).unwrap();
        remove(directory.path()).unwrap();
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["notes.txt", "validator-notes"]);
        create(directory.path(), &args(None)).unwrap();
    }
}
