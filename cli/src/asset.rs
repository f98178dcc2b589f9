//! `tonle asset`: assets, their supply, and how much may be sent in a day.

use clap::{Subcommand, ValueEnum};
use tonle_client::Client;
use tonle_client::api::{Asset, Limit};
use tonle_model::amount::Decimal;
use tonle_model::id::{AccountId, AssetId, Name};
use tonle_model::instruction::{Instruction, Mintability};

use crate::context::Context;
use crate::error::CliError;
use crate::output::{fields, table};
use crate::place::Place;
use crate::submit::{self, SubmitArgs};

const EXAMPLES: &str = "\
Examples:
  tonle asset list
  tonle asset get khr#nbc
  tonle asset register points#wing --scale 0 --mintable once --account bank@wing --wait
  tonle asset mint --to sok@aclb --amount 1000000 --asset khr#nbc --wait
  tonle asset set-limit khr#nbc --tier basic --per-day 2000000 --account governor@nbc --wait";

/// What to do about assets.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum AssetCommand {
    /// All assets
    List,
    /// One asset, and what each tier may send of it in a day
    Get {
        /// Which, such as khr#nbc
        id: AssetId,
    },
    /// Make a new asset, as the owner of its domain
    Register {
        /// Its name, such as points#wing
        id: AssetId,
        /// Decimals of its minor unit: riel 0, dollar 2
        #[arg(long)]
        scale: u8,
        /// The most there may ever be
        #[arg(long, value_name = "AMOUNT")]
        supply_cap: Option<Decimal>,
        /// How often it can be minted: always, once or never
        #[arg(long, value_name = "WHEN", default_value = "always", hide_possible_values = true)]
        mintable: Mintable,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Make money, as the asset's owner
    Mint {
        /// For whom
        #[arg(long, value_name = "ACCOUNT")]
        to: AccountId,
        /// How much
        #[arg(long)]
        amount: Decimal,
        /// Of what
        #[arg(long)]
        asset: AssetId,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Unmake money out of the owner's own balance
    Burn {
        /// How much
        #[arg(long)]
        amount: Decimal,
        /// Of what
        #[arg(long)]
        asset: AssetId,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Say how much an account of a tier may send in a day, as the asset's owner
    SetLimit {
        /// Of what, such as khr#nbc
        asset: AssetId,
        /// The tier
        #[arg(long)]
        tier: Name,
        /// How much [default: any amount]
        #[arg(long, value_name = "AMOUNT")]
        per_day: Option<Decimal>,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
}

/// How often an asset can be minted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Mintable {
    /// As often as its supply cap allows
    Always,
    /// Once
    Once,
    /// Not at all
    Never,
}

impl From<Mintable> for Mintability {
    fn from(mintable: Mintable) -> Self {
        match mintable {
            Mintable::Always => Self::Always,
            Mintable::Once => Self::Once,
            Mintable::Never => Self::Never,
        }
    }
}

/// Does it.
pub async fn run(command: AssetCommand, context: &Context) -> Result<(), CliError> {
    let (place, instruction, submit) = match command {
        AssetCommand::List => return list(context).await,
        AssetCommand::Get { id } => return get(&id, context).await,
        AssetCommand::Register { id, scale, supply_cap, mintable, submit } => {
            let (place, mintability) = (Place::Domain(id.domain()), mintable.into());
            (place, Instruction::RegisterAsset { id, scale, supply_cap, mintability }, submit)
        }
        AssetCommand::Mint { to, amount, asset, submit } => {
            (Place::Asset(asset.clone()), Instruction::Mint { asset, to, amount }, submit)
        }
        AssetCommand::Burn { amount, asset, submit } => {
            (Place::Asset(asset.clone()), Instruction::Burn { asset, amount }, submit)
        }
        AssetCommand::SetLimit { asset, tier, per_day, submit } => {
            (Place::Asset(asset.clone()), Instruction::SetLimit { tier, asset, per_day }, submit)
        }
    };
    submit::act(context, place, instruction, &submit).await
}

async fn list(context: &Context) -> Result<(), CliError> {
    let assets = context.nodes()?.ask(Client::assets).await?;
    context.output.show(&assets, || {
        let row = |asset: &Asset| {
            let (id, scale) = (asset.id.to_string(), asset.scale.to_string());
            let mintable = word(asset.mintability).to_owned();
            let (supply, owner) = (asset.supply.to_string(), asset.owner.to_string());
            [id, scale, supply, cap(asset), mintable, owner]
        };
        let headings = ["ASSET", ">SCALE", ">SUPPLY", ">CAP", "MINTABLE", "OWNER"];
        table(headings, assets.iter().map(row).collect())
    })
}

async fn get(id: &AssetId, context: &Context) -> Result<(), CliError> {
    let asset = context.nodes()?.ask(async |node: &Client| node.asset(id).await).await?;
    context.output.show(&asset, || describe(&asset))
}

fn cap(asset: &Asset) -> String {
    asset.supply_cap.map_or("-".into(), |cap| cap.to_string())
}

fn word(mintability: Mintability) -> &'static str {
    match mintability {
        Mintability::Always => "always",
        Mintability::Once => "once",
        Mintability::Never => "never",
    }
}

fn describe(asset: &Asset) -> String {
    let text = fields(&[
        ("asset", asset.id.to_string()),
        ("scale", asset.scale.to_string()),
        ("supply", asset.supply.to_string()),
        ("supply cap", cap(asset)),
        ("mintable", word(asset.mintability).into()),
        ("owner", asset.owner.to_string()),
    ]);
    if asset.limits.is_empty() {
        return text;
    }
    let row = |limit: &Limit| [limit.tier.to_string(), limit.per_day.to_string()];
    format!(
        "{text}\n\n{}",
        table(["TIER", ">A DAY AT MOST"], asset.limits.iter().map(row).collect())
    )
}
