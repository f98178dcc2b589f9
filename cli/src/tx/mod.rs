//! `tonle tx`: transactions that exist already, and files in which several people sign one.
//!
//! Such a file is the JSON of a transaction, with as many signatures as there are so far. It goes
//! from hand to hand, or copies of it are signed apart and combined.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::{Args, Subcommand};
use serde::Serialize;
use tonle_client::Client;
use tonle_client::api::{SubmitReply, Wait};
use tonle_model::hash::TransactionHash;
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::transaction::{Payload, Transaction};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{count, fields, table};
use crate::{file, submit, time, words};

mod build;
mod signatures;

use signatures::{check, combine, sign};

const EXAMPLES: &str = "\
Examples:
  tonle tx get 3f…
  tonle tx wait 3f… --timeout 30s

Two banks pay versus pay, each signing for itself:
  tonle tx new --out swap.json \\
    --step 'bank@aclb:{\"transfer\":{\"asset\":\"khr#nbc\",\"to\":\"bank@wing\",\"amount\":\"4100000\"}}' \\
    --step 'bank@wing:{\"transfer\":{\"asset\":\"usd#nbc\",\"to\":\"bank@aclb\",\"amount\":\"1000\"}}'
  tonle tx sign swap.json --key-file aclb.key --out aclb.json
  tonle tx sign swap.json --key-file wing.key --out wing.json
  tonle tx combine aclb.json wing.json --out signed.json
  tonle tx submit signed.json --wait";

/// What to do about transactions.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum TxCommand {
    /// Where a transaction stands
    Get {
        /// Its hash
        hash: TransactionHash,
    },
    /// Wait until a transaction is final
    Wait {
        /// Its hash
        hash: TransactionHash,
        /// For how long at most
        #[arg(long, value_name = "TIME", default_value = "60s")]
        timeout: Wait,
    },
    /// Write a transaction that nobody has signed yet
    New(build::NewArgs),
    /// What a transaction in a file does, and who has signed it
    Show {
        /// The file; - is standard input
        file: PathBuf,
    },
    /// Show what a transaction in a file does, and sign it
    Sign(SignArgs),
    /// Put the signatures of several copies of one transaction together
    Combine {
        /// The files
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Where to write it
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Send a signed transaction
    Submit {
        /// JSON or SCALE; - is standard input
        file: PathBuf,
        /// Wait until it is final, for so long at most [10s if no time is given]
        #[arg(long, value_name = "TIME", num_args = 0..=1, default_missing_value = "10s")]
        wait: Option<Wait>,
    },
}

/// What to sign.
#[derive(Debug, Args)]
#[command(after_help = "\
It signs with every --key-file; without one, on a demo network, with the demo key of --account.")]
pub struct SignArgs {
    /// The file
    file: PathBuf,
    /// Where to write it [default: the same file]
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// Does it.
pub async fn run(command: TxCommand, context: &Context) -> Result<(), CliError> {
    match command {
        TxCommand::Get { hash } => {
            let status = submit::status_anywhere(&context.nodes()?, &hash, None)
                .await?
                .ok_or_else(|| CliError::refused("not_found", format!("no node knows {hash}")))?;
            submit::show(context, &SubmitReply { hash, status })
        }
        TxCommand::Wait { hash, timeout } => {
            let deadline = Instant::now() + timeout.duration();
            let status = submit::wait_final(&context.nodes()?, &hash, None, deadline).await?;
            submit::show(context, &SubmitReply { hash, status })
        }
        TxCommand::New(args) => {
            let (out, transaction) = build::transaction(args, context).await?;
            file::write_new(&out, &text(&transaction)?)?;
            present(&out, &transaction, context)
        }
        TxCommand::Show { file } => {
            let transaction = signatures::read(&file)?;
            present(&file, &transaction, context)
        }
        TxCommand::Sign(args) => sign_file(args, context).await,
        TxCommand::Combine { files, out } => {
            let transactions = files.iter().map(|path| signatures::read(path));
            let transaction = combine(transactions.collect::<Result<_, _>>()?)?;
            file::replace(&out, &text(&transaction)?)?;
            present(&out, &transaction, context)
        }
        TxCommand::Submit { file, wait } => {
            let transaction = signatures::read(&file)?;
            check(&transaction)?;
            let wait = wait.map(Wait::duration);
            submit::deliver(context, &context.nodes()?, &transaction, wait).await
        }
    }
}

async fn sign_file(args: SignArgs, context: &Context) -> Result<(), CliError> {
    let SignArgs { file: path, out } = args;
    let mut transaction = signatures::read(&path)?;
    check(&transaction)?;
    let before = transaction.signatures.len();
    context.output.progress(&describe(&transaction));
    if transaction.payload.expires_ms < time::now_ms() {
        context.output.note("it has expired: no ledger takes it any more");
    }
    for key in keys(&transaction.payload, context).await? {
        sign(&mut transaction, &key)?;
    }
    let out = out.unwrap_or(path);
    file::replace(&out, &text(&transaction)?)?;
    let shown = Shown::new(&out, &transaction);
    context.output.show(&shown, || {
        let signed = transaction.signatures.iter().skip(before);
        let signed: Vec<_> = signed.map(|s| format!("signed by {}", s.public_key)).collect();
        let signed = match signed.is_empty() {
            true => "signed already".to_owned(),
            false => signed.join("\n"),
        };
        let number = transaction.signatures.len() as u64;
        let number = count(number, "signature", "signatures");
        format!("{signed}\n{} has {number}", out.display())
    })
}

/// The keys to sign with. A demo key signs for a demo network only, so its node is asked.
async fn keys(payload: &Payload, context: &Context) -> Result<Vec<KeyPair>, CliError> {
    if context.names_keys() {
        return context.key_file_keys();
    }
    if !context.names_account() {
        return Err(CliError::usage("no key to sign with").help(
            "give --key-file or TONLE_KEY_FILE; on a demo network --account signs with its demo \
             key",
        ));
    }
    let account = context.subject(None)?;
    let status = context.nodes()?.ask(Client::node_status).await?;
    context.keys(&account, status.demo && status.chain == payload.chain)
}

/// The form of the file.
fn text(transaction: &Transaction) -> Result<String, CliError> {
    let json = serde_json::to_string_pretty(transaction);
    json.map(|json| json + "\n").map_err(|error| CliError::failed(error.to_string()))
}

/// A transaction in a file, as it is printed.
#[derive(Serialize)]
struct Shown<'a> {
    file: &'a Path,
    hash: TransactionHash,
    #[serde(flatten)]
    payload: &'a Payload,
    signed_by: Vec<PublicKey>,
}

impl<'a> Shown<'a> {
    fn new(file: &'a Path, transaction: &'a Transaction) -> Self {
        let payload = &transaction.payload;
        let signed_by = transaction.signatures.iter().map(|signed| signed.public_key).collect();
        Self { file, hash: payload.hash(), payload, signed_by }
    }
}

fn present(path: &Path, transaction: &Transaction, context: &Context) -> Result<(), CliError> {
    context.output.show(&Shown::new(path, transaction), || {
        format!("{}\n{}", path.display(), describe(transaction))
    })
}

fn describe(transaction: &Transaction) -> String {
    let payload = &transaction.payload;
    let mut rows = vec![
        ("hash", payload.hash().to_string()),
        ("chain", payload.chain.to_string()),
        ("created", format!("{} UTC", time::utc(payload.created_ms))),
        ("expires", format!("{} UTC", time::utc(payload.expires_ms))),
    ];
    rows.extend(payload.reference.as_ref().map(|text| ("reference", text.to_string())));
    let keys = transaction.signatures.iter();
    let keys = match transaction.signatures.is_empty() {
        true => "nobody has signed".to_owned(),
        false => table(["SIGNED BY"], keys.map(|s| [s.public_key.to_string()]).collect()),
    };
    format!("{}\n\n{}\n\n{keys}", fields(&rows), words::steps(&payload.steps))
}
