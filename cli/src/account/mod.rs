//! `tonle account`: accounts, who acts for them, what they may and what they have.

use clap::Subcommand;
use tonle_client::Client;
use tonle_client::api::{Account, AccountStatus};
use tonle_model::id::AccountId;

use crate::context::Context;
use crate::error::CliError;
use crate::output::{fields, table};

mod change;
mod money;
mod register;

const EXAMPLES: &str = "\
Examples:
  tonle account list
  tonle account get sok@aclb
  tonle account balance sok@aclb
  tonle account history sok@aclb --asset khr#nbc --direction in --limit 10
  tonle account register maly@wing --key ed0120… --tier partial --account bank@wing --wait
  tonle account freeze maly@wing --reason 'court order 17' --account bank@wing --wait
  tonle account add-key maly@wing ed0120…:2 --account maly@wing --wait
  tonle account note kyc_level 2 --of maly@wing --account bank@wing --wait";

/// What to do about accounts.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum AccountCommand {
    /// All accounts
    List,
    /// Who may sign for an account, and what it may do
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
    History(money::HistoryArgs),
    /// Open an account, as the owner of its domain
    Register(register::RegisterArgs),
    /// Change an account
    #[command(flatten)]
    Change(change::ChangeCommand),
}

/// Does it.
pub async fn run(command: AccountCommand, context: &Context) -> Result<(), CliError> {
    match command {
        AccountCommand::List => list(context).await,
        AccountCommand::Get { id } => get(context.subject(id)?, context).await,
        AccountCommand::Balance { id } => money::balance(context.subject(id)?, context).await,
        AccountCommand::History(args) => money::history(args, context).await,
        AccountCommand::Register(args) => register::run(args, context).await,
        AccountCommand::Change(command) => change::run(command, context).await,
    }
}

async fn list(context: &Context) -> Result<(), CliError> {
    let accounts = context.nodes()?.ask(Client::accounts).await?;
    context.output.show(&accounts, || {
        let row = |account: &Account| {
            let keys = account.signatories.len().to_string();
            let (quorum, tier) = (account.quorum.to_string(), account.tier.to_string());
            [account.id.to_string(), keys, quorum, tier, word(&account.status).into()]
        };
        let headings = ["ACCOUNT", ">KEYS", ">QUORUM", "TIER", "STATUS"];
        table(headings, accounts.iter().map(row).collect())
    })
}

async fn get(id: AccountId, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    let account = nodes.ask(async |node: &Client| node.account(&id).await).await?;
    context.output.show(&account, || describe(&account))
}

fn word(status: &AccountStatus) -> &'static str {
    match status {
        AccountStatus::Active => "active",
        AccountStatus::Frozen { incoming: false, .. } => "frozen",
        AccountStatus::Frozen { incoming: true, .. } => "frozen, incoming too",
        AccountStatus::Closed => "closed",
    }
}

fn describe(account: &Account) -> String {
    let status = match &account.status {
        AccountStatus::Frozen { reason, .. } => format!("{}: {reason}", word(&account.status)),
        status => word(status).into(),
    };
    let mut rows = vec![
        ("account", account.id.to_string()),
        ("status", status),
        ("tier", account.tier.to_string()),
        ("quorum", account.quorum.to_string()),
    ];
    rows.extend(account.roles.iter().map(|role| ("role", role.to_string())));
    rows.extend(account.permissions.iter().map(|right| ("permission", right.to_string())));
    let keys = account.signatories.iter();
    let keys = keys.map(|s| [s.public_key.to_string(), s.weight.to_string()]).collect();
    let text = format!("{}\n\n{}", fields(&rows), table(["KEY", ">WEIGHT"], keys));
    if account.metadata.is_empty() {
        return text;
    }
    let notes = account.metadata.iter();
    let notes = notes.map(|(name, value)| [name.to_string(), value.to_string()]).collect();
    format!("{text}\n\n{}", table(["NOTE", "VALUE"], notes))
}
