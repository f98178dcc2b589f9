//! `tonle transfer`: pay someone.

use clap::Args;
use tonle_client::Client;
use tonle_model::amount::Decimal;
use tonle_model::id::{AccountId, AssetId};
use tonle_model::limits;
use tonle_model::string::Text;
use tonle_model::transaction::Instruction;

use crate::context::Context;
use crate::error::CliError;
use crate::submit::{self, SubmitArgs};

const EXAMPLES: &str = "\
Examples:
  tonle transfer --to dara@wing --amount 20000 --asset khr#nbc --wait
  tonle transfer --from bopha@aclb --to coffee@devb --amount 2.50 --asset usd#nbc --memo 'latte'
  tonle transfer --to dara@wing --amount 1 --asset usd#nbc --reference invoice-17 --wait 30s";

/// What to pay to whom.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct TransferArgs {
    /// The payee
    #[arg(long, value_name = "ACCOUNT")]
    to: AccountId,
    /// How much: digits and at most one point, never rounded
    #[arg(long, value_name = "AMOUNT")]
    amount: Decimal,
    /// What, such as khr#nbc
    #[arg(long, value_name = "ASSET")]
    asset: AssetId,
    /// The payer [default: --account]
    #[arg(long, value_name = "ACCOUNT")]
    from: Option<AccountId>,
    /// For the parties to read; it decides nothing
    #[arg(long, value_name = "TEXT", default_value = "")]
    memo: Text<{ limits::MEMO_BYTES_MAX }>,
    #[command(flatten)]
    submit: SubmitArgs,
}

/// Pays.
pub async fn run(args: TransferArgs, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    let status = nodes.ask(Client::node_status).await?;
    let payer = context.authority(args.from, &status, None)?;
    let TransferArgs { to, amount, asset, memo, submit, .. } = args;
    context.output.progress(&format!("{payer} pays {to} {amount} {asset}"));
    let instruction = Instruction::Transfer { asset, from: None, to, amount, memo };
    submit::send(context, &nodes, &status, payer, instruction, &submit).await
}
