//! Which nodes, which account, which keys: resolved once, in one order, for every command.

use std::path::PathBuf;

use tonle_client::api::NodeStatus;
use tonle_client::keyfile::KeyFile;
use tonle_model::id::AccountId;
use tonle_model::key::KeyPair;

use crate::config::{ConfigFile, GlobalArgs};
use crate::error::CliError;
use crate::localnet::state::{self, Localnet};
use crate::nodes::Nodes;
use crate::output::Output;
use crate::passphrase;

/// Where a node listens unless told otherwise.
const DEFAULT_URL: &str = "http://127.0.0.1:8080";
/// Who pays on a demo network when nobody is named.
const DEMO_PAYER: &str = "sok@aclb";

/// What a command works with.
#[derive(Debug)]
pub struct Context {
    /// Where results go.
    pub output: Output,
    /// The directory of a localnet, if one was named by flag or variable.
    pub dir: Option<PathBuf>,
    urls: Vec<String>,
    account: Option<AccountId>,
    key_files: Vec<PathBuf>,
    passphrase_file: Option<PathBuf>,
}

impl Context {
    /// Resolves flags, variables and the configuration file.
    pub fn new(args: &GlobalArgs) -> Result<Self, CliError> {
        let config = ConfigFile::load(args.config.as_deref())?;
        Ok(Self::resolve(args, config))
    }

    fn resolve(args: &GlobalArgs, config: ConfigFile) -> Self {
        let or = |given: &Vec<_>, configured: Vec<_>| match given.is_empty() {
            true => configured,
            false => given.clone(),
        };
        let key_files = match args.key_file.is_empty() {
            true => config.key_file,
            false => args.key_file.clone(),
        };
        Self {
            output: Output::new(args.output),
            dir: args.dir.clone(),
            urls: or(&args.url, config.url),
            account: args.account.clone().or(config.account),
            key_files,
            passphrase_file: args.passphrase_file.clone().or(config.passphrase_file),
        }
    }

    /// The addresses to try, in order: those named, else the localnet's, else this machine's
    /// usual one.
    pub fn urls(&self) -> Result<Vec<String>, CliError> {
        if !self.urls.is_empty() {
            return Ok(self.urls.clone());
        }
        let directory = state::resolve(self.dir.as_deref());
        match (Localnet::load_if_there(&directory)?, &self.dir) {
            (Some(localnet), _) => Ok(localnet.urls()),
            (None, Some(_)) => Err(state::none_at(&directory)),
            (None, None) => Ok(vec![DEFAULT_URL.into()]),
        }
    }

    /// The nodes to talk to.
    pub fn nodes(&self) -> Result<Nodes, CliError> {
        Nodes::new(&self.urls()?)
    }

    /// The account to act as: the one named; on a demo network the one whose place it is, with a
    /// note, so that a first try needs no set-up.
    pub fn authority(
        &self,
        named: Option<AccountId>,
        status: &NodeStatus,
        natural: Option<&AccountId>,
    ) -> Result<AccountId, CliError> {
        if let Some(account) = named.or_else(|| self.account.clone()) {
            return Ok(account);
        }
        let missing = || {
            CliError::usage("no account to act as")
                .help("name it with --account, TONLE_ACCOUNT or in the configuration file")
        };
        if !status.demo {
            return Err(missing());
        }
        let account = match natural {
            Some(account) => account.clone(),
            None => DEMO_PAYER.parse().map_err(|_| missing())?,
        };
        self.output.note(&format!("acting as {account} of the demo; choose with --account"));
        Ok(account)
    }

    /// Whether an account to act as was named.
    pub fn names_account(&self) -> bool {
        self.account.is_some()
    }

    /// Whether key files to sign with were named.
    pub fn names_keys(&self) -> bool {
        !self.key_files.is_empty()
    }

    /// The account to ask about: the one named or configured.
    pub fn subject(&self, named: Option<AccountId>) -> Result<AccountId, CliError> {
        named.or_else(|| self.account.clone()).ok_or_else(|| {
            CliError::usage("which account?").help("name it, as in `tonle account get sok@aclb`")
        })
    }

    /// The keys to sign with: the key files, else the account's demo key on a demo network.
    pub fn keys(&self, authority: &AccountId, demo: bool) -> Result<Vec<KeyPair>, CliError> {
        if self.key_files.is_empty() {
            return match demo {
                true => Ok(vec![KeyPair::demo(authority.as_str())]),
                false => Err(CliError::usage(format!("no key to sign for {authority} with"))
                    .help("give --key-file or TONLE_KEY_FILE; `tonle keys new` makes one")),
            };
        }
        self.key_file_keys()
    }

    /// The keys in the key files that were named.
    pub fn key_file_keys(&self) -> Result<Vec<KeyPair>, CliError> {
        self.key_files.iter().map(|path| self.open_key(path)).collect()
    }

    /// Opens one key file, asking for its passphrase if it has one.
    pub fn open_key(&self, path: &std::path::Path) -> Result<KeyPair, CliError> {
        let file = KeyFile::read(path).map_err(key_error)?;
        let passphrase = match file.is_encrypted() {
            true => {
                let prompt = format!("passphrase of {}: ", path.display());
                Some(passphrase::existing(self.passphrase_file.as_deref(), &prompt)?)
            }
            false => None,
        };
        file.open(passphrase.as_ref().map(|text| text.as_str())).map_err(key_error)
    }

    /// The passphrase for a new key file.
    pub fn new_passphrase(&self) -> Result<zeroize::Zeroizing<String>, CliError> {
        passphrase::fresh(self.passphrase_file.as_deref())
    }
}

/// A key file that cannot be used is a matter of usage.
pub fn key_error(error: tonle_client::keyfile::KeyFileError) -> CliError {
    CliError::usage(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;
    use crate::output::Format;

    fn config(text: &str) -> ConfigFile {
        toml::from_str(text).unwrap()
    }

    fn account(text: &str) -> AccountId {
        text.parse().unwrap()
    }

    #[test]
    fn flags_come_before_the_configuration_file() {
        let file = "url = [\"http://file:1\"]\naccount = \"file@aclb\"\nkey_file = [\"file\"]";
        let nothing = GlobalArgs::default();
        let context = Context::resolve(&nothing, config(file));
        assert_eq!(context.urls().unwrap(), ["http://file:1"]);
        assert_eq!(context.subject(None).unwrap(), account("file@aclb"));
        let args = GlobalArgs {
            url: vec!["http://flag:1".into(), "http://flag:2".into()],
            account: Some(account("flag@aclb")),
            key_file: vec!["flag".into()],
            ..GlobalArgs::default()
        };
        let context = Context::resolve(&args, config(file));
        assert_eq!(context.urls().unwrap(), ["http://flag:1", "http://flag:2"]);
        assert_eq!(context.subject(None).unwrap(), account("flag@aclb"));
        assert_eq!(context.key_files, [PathBuf::from("flag")]);
        assert_eq!(context.subject(Some(account("x@y"))).unwrap(), account("x@y"));
    }

    #[test]
    fn a_directory_that_holds_no_localnet_is_an_error() {
        let empty = tempfile::tempdir().unwrap();
        let args = GlobalArgs { dir: Some(empty.path().into()), ..GlobalArgs::default() };
        let context = Context::resolve(&args, ConfigFile::default());
        assert_eq!(context.urls().unwrap_err().exit(), Exit::Usage);
    }

    #[test]
    fn demo_keys_sign_on_a_demo_network_only() {
        let context = Context::resolve(&GlobalArgs::default(), ConfigFile::default());
        assert_eq!(context.output.format(), Format::Table);
        let sok = account("sok@aclb");
        let keys = context.keys(&sok, true).unwrap();
        assert_eq!(keys[0].public_key(), KeyPair::demo("sok@aclb").public_key());
        let error = context.keys(&sok, false).unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.remedy().unwrap().contains("--key-file"));
    }

    #[test]
    fn key_files_come_before_demo_keys() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        let key = KeyPair::from_seed(&[7; 32]);
        KeyFile::plain(key.clone()).write_new(&path).unwrap();
        let args = GlobalArgs { key_file: vec![path], ..GlobalArgs::default() };
        let context = Context::resolve(&args, ConfigFile::default());
        let keys = context.keys(&account("sok@aclb"), true).unwrap();
        assert_eq!(keys[0].public_key(), key.public_key());
    }
}
