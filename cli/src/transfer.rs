//! `tonle transfer`: pay someone.

use clap::Args;
use tonle_client::Client;
use tonle_model::amount::Decimal;
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::{Instruction, Memo};

use crate::context::Context;
use crate::error::CliError;
use crate::invoice::InvoiceArgs;
use crate::submit::{self, SubmitArgs};

const EXAMPLES: &str = "\
Examples:
  tonle transfer --to dara@wing --amount 20000 --asset khr#nbc --wait
  tonle transfer --from bopha@aclb --to coffee@devb --amount 2.50 --asset usd#nbc --memo 'latte'
  tonle transfer --to dara@wing --amount 1 --asset usd#nbc --reference invoice-17 --wait 30s
  tonle transfer --to coffee@devb --amount 2.50 --asset usd#nbc --invoice-id 17 \\
    --invoice-expires-ms 1795408205000 --wait
  tonle transfer --from-account sok@aclb --account bopha@aclb --to dara@wing --amount 100 \\
    --asset khr#nbc --wait                    bopha pays out of sok's account, as sok permitted";

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
    /// The payer, who signs [default: --account]
    #[arg(long, value_name = "ACCOUNT")]
    from: Option<AccountId>,
    /// Pay out of this account, which gave whoever signs the permission transfer_from
    #[arg(long, value_name = "ACCOUNT", conflicts_with = "from")]
    from_account: Option<AccountId>,
    /// For the parties to read; it decides nothing
    #[arg(long, value_name = "TEXT", default_value = "")]
    memo: Memo,
    #[command(flatten)]
    invoice: InvoiceArgs,
    #[command(flatten)]
    submit: SubmitArgs,
}

/// Pays.
pub async fn run(args: TransferArgs, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    let status = nodes.ask(Client::node_status).await?;
    let authority = context.authority(args.from, &status, None)?;
    let TransferArgs { to, amount, asset, from_account, memo, invoice, submit, .. } = args;
    let purse = from_account.as_ref().map_or(String::new(), |from| format!(" out of {from}"));
    context.output.progress(&format!("{authority} pays {to} {amount} {asset}{purse}"));
    let (from, invoice) = (from_account, invoice.invoice());
    let instruction = Instruction::Transfer { asset, from, to, amount, memo, invoice };
    submit::send(context, &nodes, &status, authority, instruction, &submit).await
}
