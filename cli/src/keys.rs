//! `tonle keys`: key files.

use std::io::BufRead;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde::Serialize;
use tonle_client::keyfile::KeyFile;
use tonle_model::hex;
use tonle_model::key::{KeyPair, PublicKey};
use zeroize::Zeroizing;

use crate::context::{Context, key_error};
use crate::error::CliError;
use crate::output::fields;

const EXAMPLES: &str = "\
Examples:
  tonle keys new --out sok.key
  tonle keys new --out validator.key --plain
  tonle keys show sok.key
  tonle keys import --out sok.key < seed.hex

An encrypted file asks for its passphrase, or takes it from TONLE_PASSPHRASE or --passphrase-file.";

/// What to do about keys.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum KeysCommand {
    /// Make a new key
    New {
        /// Where to write it; never overwritten
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Do not encrypt it: for machines that start unattended
        #[arg(long)]
        plain: bool,
    },
    /// Whose key a file holds
    Show {
        /// The key file
        file: PathBuf,
        /// Print the secret too
        #[arg(long)]
        secret: bool,
    },
    /// Write a secret of 64 hex digits, from standard input, into a key file
    Import {
        /// Where to write it; never overwritten
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Do not encrypt it: for machines that start unattended
        #[arg(long)]
        plain: bool,
    },
}

#[derive(Serialize)]
struct Shown<'a> {
    file: &'a Path,
    public_key: PublicKey,
    encrypted: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<&'a str>,
}

/// Does it.
pub fn run(command: KeysCommand, context: &Context) -> Result<(), CliError> {
    match command {
        KeysCommand::New { out, plain } => {
            let key = KeyPair::generate()
                .map_err(|error| CliError::failed(format!("no randomness: {error}")))?;
            write(&key, &out, plain, context)
        }
        KeysCommand::Show { file, secret } => show(&file, secret, context),
        KeysCommand::Import { out, plain } => {
            let mut line = Zeroizing::new(String::new());
            std::io::stdin().lock().read_line(&mut line)?;
            let key =
                KeyPair::from_hex(&line).map_err(|error| CliError::usage(error.to_string()))?;
            write(&key, &out, plain, context)
        }
    }
}

fn write(key: &KeyPair, out: &Path, plain: bool, context: &Context) -> Result<(), CliError> {
    let file = match plain {
        true => KeyFile::plain(key.clone()),
        false => KeyFile::encrypt(key, &context.new_passphrase()?).map_err(key_error)?,
    };
    file.write_new(out).map_err(key_error)?;
    present(out, &file, None, context)
}

fn show(path: &Path, secret: bool, context: &Context) -> Result<(), CliError> {
    let file = KeyFile::read(path).map_err(key_error)?;
    if !secret {
        return present(path, &file, None, context);
    }
    let key = context.open_key(path)?;
    let seed = Zeroizing::new(hex::encode(key.seed().as_ref()));
    present(path, &file, Some(&seed), context)
}

fn present(
    path: &Path,
    file: &KeyFile,
    secret: Option<&str>,
    context: &Context,
) -> Result<(), CliError> {
    let (public_key, encrypted) = (file.public_key(), file.is_encrypted());
    let shown = Shown { file: path, public_key, encrypted, secret };
    context.output.show(&shown, || {
        let kind = if encrypted { "encrypted" } else { "plain" };
        let mut rows = vec![
            ("file", format!("{} ({kind})", path.display())),
            ("public key", public_key.to_string()),
        ];
        rows.extend(secret.map(|secret| ("secret", secret.to_owned())));
        fields(&rows)
    })
}
