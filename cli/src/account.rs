//! `tonle account`: accounts, their balances and their history.

use std::str::FromStr;

use clap::{Args, Subcommand};
use serde::Serialize;
use tonle_client::Client;
use tonle_client::api::{Account, Balance, Direction, HistoryEntry, HistoryQuery, Page};
use tonle_model::bounded::Bounded;
use tonle_model::id::{AccountId, AssetId};
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::transaction::{Instruction, Signatory};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{fields, short, table};
use crate::submit::{self, SubmitArgs};
use crate::time;

const EXAMPLES: &str = "\
Examples:
  tonle account list
  tonle account balance sok@aclb
  tonle account history sok@aclb --asset khr#nbc --direction in --limit 10
  tonle account register maly@wing --key ed0120… --account bank@wing --wait";

/// What to do about accounts.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum AccountCommand {
    /// All accounts
    List,
    /// Who may sign for an account
    Get {
        /// Which [default: --account]
        id: Option<AccountId>,
    },
    /// What an account has
    Balance {
        /// Which [default: --account]
        id: Option<AccountId>,
    },
    /// What went in and out, newest first
    History(HistoryArgs),
    /// Open an account, as the owner of its domain
    Register(RegisterArgs),
}

/// Which movements.
#[derive(Debug, Args)]
pub struct HistoryArgs {
    /// Whose [default: --account]
    id: Option<AccountId>,
    /// Only this asset
    #[arg(long, value_name = "ASSET")]
    asset: Option<AssetId>,
    /// Only `in` or only `out`
    #[arg(long, value_name = "WAY", value_parser = direction)]
    direction: Option<Direction>,
    /// Not before this block time, in milliseconds since 1970
    #[arg(long, value_name = "MS")]
    since: Option<u64>,
    /// Not after this block time, in milliseconds since 1970
    #[arg(long, value_name = "MS")]
    until: Option<u64>,
    /// At most so many
    #[arg(long, default_value_t = 20)]
    limit: u32,
    /// Where the page before ended
    #[arg(long)]
    cursor: Option<String>,
}

/// Whom to open an account for.
#[derive(Debug, Args)]
pub struct RegisterArgs {
    /// Its name, such as maly@wing
    id: AccountId,
    /// A key that acts for it, with its weight if not 1: ed0120…:2; may be given several times
    #[arg(long = "key", value_name = "KEY[:WEIGHT]")]
    keys: Vec<WeightedKey>,
    /// The weight that must sign
    #[arg(long, default_value_t = 1)]
    quorum: u16,
    #[command(flatten)]
    submit: SubmitArgs,
}

/// A key and how much it counts.
#[derive(Debug, Clone)]
pub struct WeightedKey(Signatory);

impl FromStr for WeightedKey {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (key, weight) = match text.split_once(':') {
            Some((key, weight)) => {
                (key, weight.parse().map_err(|_| "a weight is 1 to 65535".to_owned())?)
            }
            None => (text, 1),
        };
        let public_key: PublicKey = key.parse().map_err(|error| format!("{error}"))?;
        Ok(Self(Signatory { public_key, weight }))
    }
}

fn direction(text: &str) -> Result<Direction, String> {
    match text {
        "in" => Ok(Direction::In),
        "out" => Ok(Direction::Out),
        _ => Err("it is `in` or `out`".into()),
    }
}

/// Does it.
pub async fn run(command: AccountCommand, context: &Context) -> Result<(), CliError> {
    match command {
        AccountCommand::List => list(context).await,
        AccountCommand::Get { id } => get(context.subject(id)?, context).await,
        AccountCommand::Balance { id } => balance(context.subject(id)?, context).await,
        AccountCommand::History(args) => history(args, context).await,
        AccountCommand::Register(args) => register(args, context).await,
    }
}

async fn list(context: &Context) -> Result<(), CliError> {
    let accounts = context.nodes()?.ask(Client::accounts).await?;
    context.output.show(&accounts, || {
        let row = |account: &Account| {
            let keys = account.signatories.len().to_string();
            [account.id.to_string(), keys, account.quorum.to_string()]
        };
        table(["ACCOUNT", ">KEYS", ">QUORUM"], accounts.iter().map(row).collect())
    })
}

async fn get(id: AccountId, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    let account = nodes.ask(async |node: &Client| node.account(&id).await).await?;
    context.output.show(&account, || describe(&account))
}

fn describe(account: &Account) -> String {
    let head =
        fields(&[("account", account.id.to_string()), ("quorum", account.quorum.to_string())]);
    let rows = account.signatories.iter();
    let rows = rows.map(|s| [s.public_key.to_string(), s.weight.to_string()]).collect();
    format!("{head}\n\n{}", table(["KEY", ">WEIGHT"], rows))
}

#[derive(Serialize)]
struct Balances<'a> {
    account: &'a AccountId,
    balances: &'a [Balance],
}

async fn balance(id: AccountId, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    let balances = nodes.ask(async |node: &Client| node.balances(&id).await).await?;
    let shown = Balances { account: &id, balances: &balances };
    context.output.show(&shown, || {
        if balances.is_empty() {
            return format!("{id} has nothing");
        }
        let row = |b: &Balance| [b.asset.to_string(), b.available.to_string(), b.held.to_string()];
        table(["ASSET", ">AVAILABLE", ">HELD"], balances.iter().map(row).collect())
    })
}

async fn history(args: HistoryArgs, context: &Context) -> Result<(), CliError> {
    let id = context.subject(args.id)?;
    let query = HistoryQuery {
        asset: args.asset,
        direction: args.direction,
        since: args.since,
        until: args.until,
        limit: Some(args.limit),
        cursor: args.cursor,
    };
    let nodes = context.nodes()?;
    let page = nodes.ask(async |node: &Client| node.history(&id, &query).await).await?;
    context.output.show(&page, || describe_page(&page))
}

fn describe_page(page: &Page<HistoryEntry>) -> String {
    let row = |entry: &HistoryEntry| {
        let sign = match entry.direction {
            Direction::In => "+",
            Direction::Out => "-",
        };
        [
            time::utc(entry.time_ms),
            format!("{sign}{}", entry.amount),
            entry.asset.to_string(),
            entry.counterparty.as_ref().map_or("-".into(), ToString::to_string),
            entry.balance.to_string(),
            short(&entry.transaction),
            entry.memo.clone(),
        ]
    };
    let headings = ["TIME (UTC)", ">AMOUNT", "ASSET", "WITH", ">BALANCE", "TRANSACTION", "MEMO"];
    let rows = table(headings, page.items.iter().map(row).collect());
    match &page.next {
        Some(cursor) => format!("{rows}\nmore: --cursor {cursor}"),
        None => rows,
    }
}

async fn register(args: RegisterArgs, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    let status = nodes.ask(Client::node_status).await?;
    let owner = match status.demo {
        true => {
            let domains = nodes.ask(Client::domains).await?;
            let domain = args.id.domain();
            domains.into_iter().find(|found| found.id == domain).map(|found| found.owner)
        }
        false => None,
    };
    let authority = context.authority(None, &status, owner.as_ref())?;
    let mut signatories: Vec<_> = args.keys.into_iter().map(|key| key.0).collect();
    if signatories.is_empty() {
        if !status.demo {
            return Err(CliError::usage("an account needs a key")
                .help("make one with `tonle keys new` and give its public half with --key"));
        }
        context.output.note("no --key given: the account gets its demo key");
        let public_key = KeyPair::demo(args.id.as_str()).public_key();
        signatories.push(Signatory { public_key, weight: 1 });
    }
    let signatories =
        Bounded::new(signatories).map_err(|error| CliError::usage(error.to_string()))?;
    let instruction =
        Instruction::RegisterAccount { id: args.id, signatories, quorum: args.quorum };
    submit::send(context, &nodes, &status, authority, instruction, &args.submit).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_may_carry_its_weight() {
        let key = KeyPair::from_seed(&[7; 32]).public_key();
        let parse = |text: &str| text.parse::<WeightedKey>().map(|key| key.0);
        assert_eq!(parse(&key.to_string()), Ok(Signatory { public_key: key, weight: 1 }));
        assert_eq!(parse(&format!("{key}:3")), Ok(Signatory { public_key: key, weight: 3 }));
        for bad in ["", ":1", "ed0120", &format!("{key}:"), &format!("{key}:65536")] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
