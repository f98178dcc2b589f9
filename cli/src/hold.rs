//! `tonle hold`: money set aside for someone, to be settled or given back.

use std::path::{Path, PathBuf};

use clap::{ArgGroup, Args, Subcommand};
use tonle_client::Client;
use tonle_client::api::Hold;
use tonle_model::amount::Decimal;
use tonle_model::hash::{Digest256, HoldId};
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::Instruction;
use tonle_model::preimage::{PREIMAGE_BYTES, PREIMAGE_BYTES_MAX, Preimage};
use zeroize::Zeroizing;

use crate::context::Context;
use crate::error::CliError;
use crate::file;
use crate::invoice::InvoiceArgs;
use crate::output::{fields, short, table};
use crate::place::Place;
use crate::span::ExpiryArgs;
use crate::submit::{self, SubmitArgs};
use crate::time;

/// Hex, white space around it, and one more to notice what is too long.
const PREIMAGE_FILE_BYTES_MAX: u64 = 2 * PREIMAGE_BYTES_MAX as u64 + 16;

const EXAMPLES: &str = "\
Examples:
  tonle hold new --to noodles@wing --amount 50000 --asset khr#nbc --expires-in 1d --wait
  tonle hold settle 3f… --amount 42000 --account noodles@wing --wait
  tonle hold release 3f… --account noodles@wing --wait
  tonle hold new --to dara@wing --amount 100 --asset usd#nbc --expires-in 1h \\
    --new-preimage secret.hex --wait
  tonle hold settle 3f… --preimage-file secret.hex --account dara@wing --wait
  tonle hold list sok@aclb";

/// What to do about holds.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum HoldCommand {
    /// Set money aside, and print the hold's id
    New(NewArgs),
    /// Pay what is held, as the payee or the arbiter; with a hash lock, as anyone
    Settle(SettleArgs),
    /// Give back what is held, as the payee or the arbiter; after its expiry, as the payer
    Release {
        /// Which
        id: HoldId,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// One hold
    Get {
        /// Which
        id: HoldId,
    },
    /// The holds of an account, made by it or for it
    List {
        /// Whose [default: --account]
        id: Option<AccountId>,
    },
}

/// What to set aside.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("lock").args(["hash_lock", "new_preimage"]))]
pub struct NewArgs {
    /// For whom
    #[arg(long, value_name = "ACCOUNT")]
    to: AccountId,
    /// How much: digits and at most one point, never rounded
    #[arg(long, value_name = "AMOUNT")]
    amount: Decimal,
    /// What, such as khr#nbc
    #[arg(long, value_name = "ASSET")]
    asset: AssetId,
    #[command(flatten)]
    expiry: ExpiryArgs,
    /// Settled, in full, by whoever shows the 32 bytes that have this SHA-256
    #[arg(long, value_name = "HEX")]
    hash_lock: Option<Digest256>,
    /// Make such 32 bytes, and write them to this file as hex; it is never overwritten
    #[arg(long, value_name = "FILE")]
    new_preimage: Option<PathBuf>,
    /// Who may settle or release it beside the payee; not with a hash lock
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "lock")]
    arbiter: Option<AccountId>,
    #[command(flatten)]
    invoice: InvoiceArgs,
    #[command(flatten)]
    submit: SubmitArgs,
}

/// What to pay of what is held.
#[derive(Debug, Args)]
pub struct SettleArgs {
    /// Which hold
    id: HoldId,
    /// How much, the rest going back [default: all]
    #[arg(long, value_name = "AMOUNT")]
    amount: Option<Decimal>,
    /// Opens the hash lock: 64 hex digits
    #[arg(long, value_name = "HEX", conflicts_with = "preimage_file")]
    preimage: Option<Preimage>,
    /// Opens the hash lock: a file of 64 hex digits; - is standard input
    #[arg(long, value_name = "FILE")]
    preimage_file: Option<PathBuf>,
    #[command(flatten)]
    submit: SubmitArgs,
}

/// Does it.
pub async fn run(command: HoldCommand, context: &Context) -> Result<(), CliError> {
    match command {
        HoldCommand::New(args) => new(args, context).await,
        HoldCommand::Settle(args) => settle(args, context).await,
        HoldCommand::Release { id, submit } => {
            submit::act(context, Place::Payee(id), Instruction::Release { id }, &submit).await
        }
        HoldCommand::Get { id } => {
            let nodes = context.nodes()?;
            let hold = nodes.ask(async |node: &Client| node.hold(&id).await).await?;
            context.output.show(&hold, || describe(&hold))
        }
        HoldCommand::List { id } => list(&context.subject(id)?, context).await,
    }
}

async fn new(args: NewArgs, context: &Context) -> Result<(), CliError> {
    let NewArgs { to, amount, asset, expiry, hash_lock, new_preimage, arbiter, submit, .. } = args;
    let invoice = args.invoice.invoice();
    if invoice.is_some() && hash_lock.is_none() && new_preimage.is_none() {
        return Err(CliError::usage("only a hash-locked hold reserves an invoice")
            .help("give --hash-lock or --new-preimage, or leave the invoice out"));
    }
    // On disk before it is promised: whoever loses the preimage loses what it opens.
    let hash_lock = match new_preimage {
        Some(path) => Some(make_preimage(&path)?.lock()),
        None => hash_lock,
    };
    let expires_ms = expiry.at_ms();
    let instruction =
        Instruction::Hold { asset, to, amount, expires_ms, hash_lock, arbiter, invoice };
    submit::act(context, Place::Anyone, instruction, &submit).await
}

/// Makes the secret of a hash lock, and writes it where only its owner reads it.
fn make_preimage(path: &Path) -> Result<Preimage, CliError> {
    let mut bytes = Zeroizing::new([0; PREIMAGE_BYTES]);
    getrandom::fill(bytes.as_mut())
        .map_err(|error| CliError::failed(format!("no randomness: {error}")))?;
    let preimage =
        Preimage::new(bytes.as_ref()).map_err(|error| CliError::failed(error.to_string()))?;
    file::write_secret(path, &Zeroizing::new(format!("{preimage}\n")))?;
    Ok(preimage)
}

fn read_preimage(path: &Path) -> Result<Preimage, CliError> {
    let bytes = Zeroizing::new(file::read(path, PREIMAGE_FILE_BYTES_MAX)?);
    let text = std::str::from_utf8(&bytes).unwrap_or_default().trim();
    text.parse().map_err(|error| CliError::usage(format!("{}: {error}", path.display())))
}

async fn settle(args: SettleArgs, context: &Context) -> Result<(), CliError> {
    let SettleArgs { id, amount, preimage, preimage_file, submit } = args;
    let preimage = match preimage_file {
        Some(path) => Some(read_preimage(&path)?),
        None => preimage,
    };
    let instruction = Instruction::Settle { id, amount, preimage };
    submit::act(context, Place::Payee(id), instruction, &submit).await
}

async fn list(account: &AccountId, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    let holds = nodes.ask(async |node: &Client| node.holds_of(account).await).await?;
    context.output.show(&holds, || {
        if holds.is_empty() {
            return format!("{account} has no holds");
        }
        let headings = ["HOLD", ">AMOUNT", "ASSET", "FROM", "TO", "EXPIRES (UTC)", "LOCK"];
        table(headings, holds.iter().map(row).collect())
    })
}

fn row(hold: &Hold) -> [String; 7] {
    [
        hold.id.to_string(),
        hold.amount.to_string(),
        hold.asset.to_string(),
        hold.from.to_string(),
        hold.to.to_string(),
        time::utc(hold.expires_ms),
        hold.hash_lock.map_or("-".into(), |lock| short(&lock)),
    ]
}

fn describe(hold: &Hold) -> String {
    let mut rows = vec![
        ("hold", hold.id.to_string()),
        ("from", hold.from.to_string()),
        ("to", hold.to.to_string()),
        ("amount", format!("{} {}", hold.amount, hold.asset)),
        ("expires", format!("{} UTC", time::utc(hold.expires_ms))),
    ];
    rows.extend(hold.hash_lock.map(|lock| ("hash lock", lock.to_string())));
    rows.extend(hold.arbiter.as_ref().map(|arbiter| ("arbiter", arbiter.to_string())));
    if let Some(invoice) = &hold.invoice {
        let expires = time::utc(invoice.expires_ms);
        rows.push(("invoice", format!("{}, until {expires} UTC", invoice.id)));
    }
    fields(&rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_made_preimage_opens_its_lock_and_is_its_owners() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret.hex");
        let lock = make_preimage(&path).unwrap().lock();
        assert!(read_preimage(&path).unwrap().opens(&lock));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(make_preimage(&path).is_err(), "the first one is not lost");
        assert!(read_preimage(&path).unwrap().opens(&lock));
    }

    #[test]
    fn a_file_of_anything_else_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret.hex");
        for bad in ["xyz".to_owned(), "0".repeat(63), "00".repeat(100)] {
            std::fs::write(&path, &bad).unwrap();
            assert!(read_preimage(&path).is_err(), "{bad}");
        }
    }
}
