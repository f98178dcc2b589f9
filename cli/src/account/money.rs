//! What an account has, and what went in and out.

use clap::Args;
use serde::Serialize;
use tonle_client::Client;
use tonle_client::api::{Balance, Direction, HistoryEntry, HistoryQuery, Page};
use tonle_model::id::{AccountId, AssetId};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{short, table};
use crate::time;

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

fn direction(text: &str) -> Result<Direction, String> {
    match text {
        "in" => Ok(Direction::In),
        "out" => Ok(Direction::Out),
        _ => Err("it is `in` or `out`".into()),
    }
}

#[derive(Serialize)]
struct Balances<'a> {
    account: &'a AccountId,
    balances: &'a [Balance],
}

/// Tells what an account has.
pub async fn balance(id: AccountId, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    let balances = nodes.ask(async |node: &Client| node.balances(&id).await).await?;
    let shown = Balances { account: &id, balances: &balances };
    context.output.show(&shown, || {
        if balances.is_empty() {
            return format!("{id} has nothing");
        }
        let headings = ["ASSET", ">AVAILABLE", ">HELD", ">SENT TODAY", ">A DAY AT MOST"];
        table(headings, balances.iter().map(row).collect())
    })
}

fn row(balance: &Balance) -> [String; 5] {
    [
        balance.asset.to_string(),
        balance.available.to_string(),
        balance.held.to_string(),
        balance.sent_today.to_string(),
        balance.limit.map_or("-".into(), |limit| limit.to_string()),
    ]
}

/// Tells what went in and out.
pub async fn history(args: HistoryArgs, context: &Context) -> Result<(), CliError> {
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
