//! `tonle proof`: files that prove a payment or an entry of the state to whoever trusts a genesis.

use std::path::{Path, PathBuf};

use clap::Subcommand;
use tonle_client::Client;
use tonle_model::amount::{Amount, Decimal};
use tonle_model::genesis::Genesis;
use tonle_model::hash::TransactionHash;
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::Instruction;
use tonle_model::proof::{
    AccountStatus, Entry, Fact, InvoiceName, PROOF_BYTES_MAX, Proof, Proven, Wanted,
};
use tonle_model::query::InvoiceId;
use tonle_model::transaction::Payload;

use crate::context::Context;
use crate::error::CliError;
use crate::output::fields;
use crate::{file, genesis, time};

const EXAMPLES: &str = "\
Examples:
  tonle proof get transaction 47038bac… --payload --out payment.json
  tonle proof get balance sok@aclb khr#nbc --out balance.json
  tonle proof verify payment.json --genesis genesis.json";

/// What to do about proofs.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ProofCommand {
    /// Ask a node for a proof
    #[command(subcommand)]
    Get(ProofOf),
    /// Check a proof, without any node
    Verify {
        /// The proof; `-` is standard input
        file: PathBuf,
        /// The genesis of the network, from someone you trust
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
    },
}

/// What to prove.
#[derive(Debug, Subcommand)]
pub enum ProofOf {
    /// That a transaction was applied
    Transaction {
        /// Its hash
        hash: TransactionHash,
        /// Tell in the file what it does
        #[arg(long)]
        payload: bool,
        /// Write it to a new file [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// What an account has of an asset, or that it never had any
    Balance {
        /// Whose
        account: AccountId,
        /// Of what
        asset: AssetId,
        /// Write it to a new file [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// Who acts for an account, or that there is none
    Account {
        /// Which
        id: AccountId,
        /// Write it to a new file [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
    /// That an invoice was paid or is reserved, or that it is neither yet
    Invoice {
        /// The payee
        payee: AccountId,
        /// The payee's name for it
        id: InvoiceId,
        /// Of what
        #[arg(long)]
        asset: AssetId,
        /// How much
        #[arg(long)]
        amount: Decimal,
        /// Not payable after, in milliseconds since 1970
        #[arg(long, value_name = "MS")]
        expires_ms: u64,
        /// Write it to a new file [default: standard output]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

/// Does it.
pub async fn run(command: ProofCommand, context: &Context) -> Result<(), CliError> {
    match command {
        ProofCommand::Get(wanted) => get(wanted, context).await,
        ProofCommand::Verify { file, genesis } => verify(&file, &genesis, context),
    }
}

async fn get(wanted: ProofOf, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    let ask = async |node: &Client| match &wanted {
        ProofOf::Transaction { hash, payload, .. } => node.proof_transaction(hash, *payload).await,
        ProofOf::Balance { account, asset, .. } => node.proof_balance(account, asset).await,
        ProofOf::Account { id, .. } => node.proof_account(id).await,
        ProofOf::Invoice { payee, id, asset, amount, expires_ms, .. } => {
            node.proof_invoice(payee, id.as_str(), asset, *amount, *expires_ms).await
        }
    };
    let proof = nodes.ask(ask).await?;
    let text = serde_json::to_string_pretty(&proof)
        .map_err(|error| CliError::failed(format!("cannot print: {error}")))?;
    let (ProofOf::Transaction { out, .. }
    | ProofOf::Balance { out, .. }
    | ProofOf::Account { out, .. }
    | ProofOf::Invoice { out, .. }) = &wanted;
    match out {
        None => context.output.show(&proof, || text),
        Some(path) => {
            file::write_new(path, &format!("{text}\n"))?;
            let path = path.display();
            context.output.show(&serde_json::json!({ "written": path.to_string() }), || {
                format!("wrote {path}; check it with `tonle proof verify {path} --genesis FILE`")
            })
        }
    }
}

fn verify(file: &Path, genesis: &Path, context: &Context) -> Result<(), CliError> {
    let genesis = genesis::read(genesis)?;
    let bytes = file::read(file, PROOF_BYTES_MAX as u64)?;
    let refused = |reason: &dyn std::fmt::Display| {
        CliError::refused("invalid_proof", format!("{} proves nothing: {reason}", file.display()))
    };
    let text = String::from_utf8(bytes).map_err(|error| refused(&error))?;
    let proof = Proof::from_json(&text).map_err(|error| refused(&error))?;
    let proven = proof.verify(&genesis).map_err(|error| refused(&error))?;
    context.output.show(&proven, || describe(&proven, &genesis))
}

fn describe(proven: &Proven, genesis: &Genesis) -> String {
    let mut rows = match &proven.fact {
        Fact::Applied { transaction, payload } => applied(transaction, payload.as_ref()),
        Fact::Present(entry) => present(entry, genesis),
        Fact::Absent(wanted) => absent(wanted, genesis),
    };
    let time = format!("{} UTC", time::utc(proven.timestamp_ms));
    rows.extend([
        ("in block", format!("{} {}", proven.height, proven.block)),
        ("of", time),
        ("signed by", format!("{} of {} validators", proven.signers, proven.validators)),
        ("of network", format!("{} {}", genesis.name, genesis.chain())),
    ]);
    fields(&rows)
}

type Rows = Vec<(&'static str, String)>;

fn applied(transaction: &TransactionHash, payload: Option<&Payload>) -> Rows {
    let mut rows = vec![
        ("proven", "the transaction was applied".into()),
        ("transaction", transaction.to_string()),
    ];
    let Some(payload) = payload else { return rows };
    for step in &payload.steps {
        // An instruction always has a JSON form, and what it is stands in full there.
        let instruction = serde_json::to_string(&step.instruction).unwrap_or_default();
        rows.push(("step", format!("{}: {instruction}", step.authority)));
    }
    rows.extend(payload.reference.as_ref().map(|text| ("reference", text.to_string())));
    rows
}

fn present(entry: &Entry, genesis: &Genesis) -> Rows {
    match entry {
        Entry::Balance { account, asset, value } => {
            let shown = |amount| amount_of(amount, asset, genesis);
            vec![
                ("proven", "a balance".into()),
                ("account", account.to_string()),
                ("available", shown(value.available)),
                ("held", shown(value.held)),
            ]
        }
        Entry::Account { id, value } => {
            let status = match &value.status {
                AccountStatus::Active => "active".into(),
                AccountStatus::Frozen { reason, .. } => format!("frozen: {reason}"),
                AccountStatus::Closed => "closed".into(),
            };
            let mut rows = vec![
                ("proven", "an account".into()),
                ("account", id.to_string()),
                ("status", status),
                ("quorum", value.quorum.to_string()),
            ];
            for one in &value.signatories {
                rows.push(("signatory", format!("{} weight {}", one.public_key, one.weight)));
            }
            rows
        }
        Entry::Invoice { invoice, value } => {
            let (proven, hold) = match value.hold {
                None => ("the invoice was paid", None),
                Some(hold) => ("the invoice is reserved by a hold, not paid", Some(hold)),
            };
            let mut rows = vec![("proven", proven.to_owned())];
            rows.extend(invoice_rows(invoice, genesis));
            rows.push(("payer", value.payer.to_string()));
            rows.push(("transaction", value.transaction.to_string()));
            rows.extend(hold.map(|hold| ("hold", hold.to_string())));
            rows
        }
    }
}

fn absent(wanted: &Wanted, genesis: &Genesis) -> Rows {
    match wanted {
        Wanted::Balance { account, asset } => vec![
            ("proven", "the account never had any of the asset".into()),
            ("account", account.to_string()),
            ("asset", asset.to_string()),
        ],
        Wanted::Account { id } => {
            vec![("proven", "there is no such account".into()), ("account", id.to_string())]
        }
        Wanted::Invoice(invoice) => {
            let mut rows = vec![("proven", "the invoice was neither paid nor reserved".into())];
            rows.extend(invoice_rows(invoice, genesis));
            rows
        }
    }
}

fn invoice_rows(invoice: &InvoiceName, genesis: &Genesis) -> Rows {
    vec![
        ("payee", invoice.payee.to_string()),
        ("invoice", invoice.id.to_string()),
        ("amount", amount_of(invoice.amount_minor, &invoice.asset, genesis)),
        ("payable until", format!("{} UTC", time::utc(invoice.expires_ms))),
    ]
}

/// An amount under the decimals that the trusted genesis gives the asset; of an asset made later
/// only the minor units are known here.
fn amount_of(amount: Amount, asset: &AssetId, genesis: &Genesis) -> String {
    let scale = genesis.steps.iter().find_map(|step| match &step.instruction {
        Instruction::RegisterAsset { id, scale, .. } if id == asset => Some(*scale),
        _ => None,
    });
    match scale {
        Some(scale) => format!("{} {asset}", amount.to_decimal(scale)),
        None => format!("{} minor units of {asset}", amount.minor()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn decimals_come_from_the_genesis_or_are_not_claimed() {
        let genesis = Genesis::from_json(include_str!("../../genesis.json")).unwrap();
        let shown =
            |asset: &str| amount_of(Amount::from_minor(1250), &asset.parse().unwrap(), &genesis);
        assert_eq!(shown("usd#nbc"), "12.50 usd#nbc");
        assert_eq!(shown("khr#nbc"), "1250 khr#nbc");
        assert_eq!(shown("gold#nbc"), "1250 minor units of gold#nbc");
    }
}
