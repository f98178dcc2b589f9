//! `tonle asset`: assets and their supply.

use clap::Subcommand;
use tonle_client::Client;
use tonle_client::api::Asset;
use tonle_model::amount::Decimal;
use tonle_model::id::{AccountId, AssetId};
use tonle_model::transaction::Instruction;

use crate::context::Context;
use crate::error::CliError;
use crate::nodes::Nodes;
use crate::output::{fields, table};
use crate::submit::{self, SubmitArgs};

const EXAMPLES: &str = "\
Examples:
  tonle asset list
  tonle asset register points#wing --scale 0 --account bank@wing --wait
  tonle asset mint --to sok@aclb --amount 1000000 --asset khr#nbc --wait";

/// What to do about assets.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum AssetCommand {
    /// All assets
    List,
    /// One asset
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
}

/// Does it.
pub async fn run(command: AssetCommand, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    match command {
        AssetCommand::List => {
            let assets = nodes.ask(Client::assets).await?;
            context.output.show(&assets, || list(&assets))
        }
        AssetCommand::Get { id } => {
            let asset = nodes.ask(async |node: &Client| node.asset(&id).await).await?;
            context.output.show(&asset, || describe(&asset))
        }
        AssetCommand::Register { id, scale, supply_cap, submit } => {
            let domains = nodes.ask(Client::domains).await?;
            let domain = id.domain();
            let owner = domains.into_iter().find(|found| found.id == domain);
            let instruction = Instruction::RegisterAsset { id, scale, supply_cap };
            send(context, &nodes, owner.map(|found| found.owner), instruction, &submit).await
        }
        AssetCommand::Mint { to, amount, asset, submit } => {
            let owner = owner_of(&nodes, &asset).await?;
            let instruction = Instruction::Mint { asset, to, amount };
            send(context, &nodes, Some(owner), instruction, &submit).await
        }
        AssetCommand::Burn { amount, asset, submit } => {
            let owner = owner_of(&nodes, &asset).await?;
            let instruction = Instruction::Burn { asset, amount };
            send(context, &nodes, Some(owner), instruction, &submit).await
        }
    }
}

async fn owner_of(nodes: &Nodes, id: &AssetId) -> Result<AccountId, CliError> {
    Ok(nodes.ask(async |node: &Client| node.asset(id).await).await?.owner)
}

async fn send(
    context: &Context,
    nodes: &Nodes,
    owner: Option<AccountId>,
    instruction: Instruction,
    args: &SubmitArgs,
) -> Result<(), CliError> {
    let status = nodes.ask(Client::node_status).await?;
    let authority = context.authority(None, &status, owner.as_ref())?;
    submit::send(context, nodes, &status, authority, instruction, args).await
}

fn cap(asset: &Asset) -> String {
    asset.supply_cap.map_or("-".into(), |cap| cap.to_string())
}

fn list(assets: &[Asset]) -> String {
    let row = |asset: &Asset| {
        let (id, scale) = (asset.id.to_string(), asset.scale.to_string());
        [id, scale, asset.supply.to_string(), cap(asset), asset.owner.to_string()]
    };
    let headings = ["ASSET", ">SCALE", ">SUPPLY", ">CAP", "OWNER"];
    table(headings, assets.iter().map(row).collect())
}

fn describe(asset: &Asset) -> String {
    fields(&[
        ("asset", asset.id.to_string()),
        ("scale", asset.scale.to_string()),
        ("supply", asset.supply.to_string()),
        ("supply cap", cap(asset)),
        ("owner", asset.owner.to_string()),
    ])
}
