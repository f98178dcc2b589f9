//! `tonle invoice`: single-use payments.

use clap::{Args, Subcommand};
use tonle_client::Client;
use tonle_client::api::{InvoicePayment, InvoiceStatus};
use tonle_model::id::AccountId;
use tonle_model::instruction::Invoice;
use tonle_model::limits;
use tonle_model::string::Text;

use crate::context::Context;
use crate::error::CliError;
use crate::output::{short, table};
use crate::span::{Span, at_ms};
use crate::time;

const EXAMPLES: &str = "\
Examples:
  tonle invoice get coffee@devb 17
  tonle transfer --to coffee@devb --amount 2.50 --asset usd#nbc --invoice-id 17 \\
    --invoice-expires-ms 1795408205000 --wait";

/// The payee's name for a payment.
type InvoiceId = Text<{ limits::INVOICE_ID_BYTES_MAX }>;

/// Which invoice a payment is for.
#[derive(Debug, Clone, Args)]
pub struct InvoiceArgs {
    /// Pay once: a second payment of this id, payee, asset, amount and expiry is refused
    #[arg(long, value_name = "TEXT", requires = "invoice_expiry")]
    invoice_id: Option<InvoiceId>,
    /// Not payable after this time, in milliseconds since 1970, as the payee says
    #[arg(long, value_name = "MS", requires = "invoice_id", group = "invoice_expiry")]
    invoice_expires_ms: Option<u64>,
    /// Not payable after so long from now; for the first payment of it only, as each is another
    #[arg(long, value_name = "TIME", requires = "invoice_id", group = "invoice_expiry")]
    invoice_expires_in: Option<Span>,
}

impl InvoiceArgs {
    /// The invoice, if there is one.
    pub fn invoice(self) -> Option<Invoice> {
        let expires_ms = at_ms(self.invoice_expires_in, self.invoice_expires_ms);
        self.invoice_id.map(|id| Invoice { id, expires_ms })
    }
}

/// What to do about invoices.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum InvoiceCommand {
    /// What was paid of an invoice; the ledger forgets it after its expiry
    Get {
        /// The payee
        payee: AccountId,
        /// The payee's name for it
        id: InvoiceId,
    },
}

/// Does it.
pub async fn run(command: InvoiceCommand, context: &Context) -> Result<(), CliError> {
    let InvoiceCommand::Get { payee, id } = command;
    let nodes = context.nodes()?;
    let ask = async |node: &Client| node.invoices(&payee, id.as_str()).await;
    let payments = nodes.ask(ask).await?;
    context.output.show(&payments, || match payments.is_empty() {
        true => format!("nobody paid {payee} the invoice {id}, or it has expired"),
        false => describe(&payments),
    })
}

fn describe(payments: &[InvoicePayment]) -> String {
    let row = |payment: &InvoicePayment| {
        let status = match payment.status {
            InvoiceStatus::Paid => "paid",
            InvoiceStatus::Reserved => "reserved",
        };
        [
            status.to_owned(),
            payment.amount.to_string(),
            payment.asset.to_string(),
            payment.payer.to_string(),
            time::utc(payment.expires_ms),
            short(&payment.transaction),
            payment.hold.map_or("-".into(), |hold| short(&hold)),
        ]
    };
    let headings = ["STATUS", ">AMOUNT", "ASSET", "PAYER", "EXPIRES (UTC)", "TRANSACTION", "HOLD"];
    table(headings, payments.iter().map(row).collect())
}
