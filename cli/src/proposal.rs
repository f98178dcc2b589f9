//! `tonle proposal`: approval on the chain by an account's own signatories.

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use tonle_client::Client;
use tonle_client::api::Proposal;
use tonle_model::bounded::Bounded;
use tonle_model::hash::ProposalId;
use tonle_model::id::AccountId;
use tonle_model::instruction::Instruction;
use tonle_model::limits;

use crate::context::Context;
use crate::error::CliError;
use crate::file;
use crate::output::{fields, table};
use crate::place::Place;
use crate::span::ExpiryArgs;
use crate::submit::{self, SubmitArgs};
use crate::time;
use crate::words;

/// JSON is longer than SCALE, yet bounded.
const FILE_BYTES_MAX: u64 = 8 * limits::TRANSACTION_BYTES_MAX as u64;

type Instructions = Bounded<Instruction, { limits::PROPOSAL_INSTRUCTIONS_MAX }>;

const EXAMPLES: &str = "\
Examples:
  tonle proposal new treasury@aclb --instructions pay.json --expires-in 1d --account sok@aclb --wait
  tonle proposal get 3f…
  tonle proposal approve 3f… --account bopha@aclb --wait
  tonle proposal withdraw 3f… --account sok@aclb --wait
  tonle proposal list treasury@aclb

pay.json is an array of instructions:
  [{\"transfer\": {\"asset\": \"khr#nbc\", \"to\": \"dara@wing\", \"amount\": \"20000\"}}]
Those approve whose keys sign the transaction and act for the proposal's account; --account only
carries the step. It runs as soon as the account's quorum has approved.";

/// What to do about proposals.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum ProposalCommand {
    /// Propose that an account do something, approve it, and print the proposal's id
    New(NewArgs),
    /// Approve a proposal, as keys of its account
    Approve {
        /// Which
        id: ProposalId,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// Take a proposal back, as who made it or as its account
    Withdraw {
        /// Which
        id: ProposalId,
        /// How to send it
        #[command(flatten)]
        submit: SubmitArgs,
    },
    /// One proposal: what it does, and who approved
    Get {
        /// Which
        id: ProposalId,
    },
    /// The open proposals of an account
    List {
        /// Whose [default: --account]
        id: Option<AccountId>,
    },
}

/// What to propose.
#[derive(Debug, Args)]
pub struct NewArgs {
    /// Which account is to act
    id: AccountId,
    /// What it is to do: a file with a JSON array of instructions; - is standard input
    #[arg(long, value_name = "FILE")]
    instructions: PathBuf,
    #[command(flatten)]
    expiry: ExpiryArgs,
    #[command(flatten)]
    submit: SubmitArgs,
}

/// Does it.
pub async fn run(command: ProposalCommand, context: &Context) -> Result<(), CliError> {
    match command {
        ProposalCommand::New(args) => new(args, context).await,
        ProposalCommand::Approve { id, submit } => {
            submit::act(context, Place::Anyone, Instruction::Approve { id }, &submit).await
        }
        ProposalCommand::Withdraw { id, submit } => {
            submit::act(context, Place::Proposer(id), Instruction::Withdraw { id }, &submit).await
        }
        ProposalCommand::Get { id } => {
            let nodes = context.nodes()?;
            let proposal = nodes.ask(async |node: &Client| node.proposal(&id).await).await?;
            context.output.show(&proposal, || describe(&proposal))
        }
        ProposalCommand::List { id } => list(&context.subject(id)?, context).await,
    }
}

async fn new(args: NewArgs, context: &Context) -> Result<(), CliError> {
    let NewArgs { id: account, instructions, expiry, submit } = args;
    let instructions = read(&instructions)?;
    let expires_ms = expiry.at_ms();
    let instruction = Instruction::Propose { account, instructions, expires_ms };
    submit::act(context, Place::Anyone, instruction, &submit).await
}

fn read(path: &Path) -> Result<Instructions, CliError> {
    let bytes = file::read(path, FILE_BYTES_MAX)?;
    serde_json::from_slice(&bytes).map_err(|error| {
        let message = format!("{} is no JSON array of instructions: {error}", path.display());
        CliError::usage(message).help("`tonle proposal --help` shows one")
    })
}

async fn list(account: &AccountId, context: &Context) -> Result<(), CliError> {
    let nodes = context.nodes()?;
    let proposals = nodes.ask(async |node: &Client| node.proposals_of(account).await).await?;
    context.output.show(&proposals, || {
        if proposals.is_empty() {
            return format!("{account} has no open proposals");
        }
        let row = |proposal: &Proposal| {
            let approved = format!("{} of {}", proposal.weight, proposal.quorum);
            let steps = proposal.instructions.len().to_string();
            let expires = time::utc(proposal.expires_ms);
            [proposal.id.to_string(), steps, approved, expires, proposal.proposer.to_string()]
        };
        let headings = ["PROPOSAL", ">STEPS", ">APPROVED", "EXPIRES (UTC)", "PROPOSER"];
        table(headings, proposals.iter().map(row).collect())
    })
}

fn describe(proposal: &Proposal) -> String {
    let head = fields(&[
        ("proposal", proposal.id.to_string()),
        ("account", proposal.account.to_string()),
        ("proposer", proposal.proposer.to_string()),
        ("expires", format!("{} UTC", time::utc(proposal.expires_ms))),
        ("approved", format!("{} of {}", proposal.weight, proposal.quorum)),
    ]);
    let steps = proposal.instructions.iter().enumerate();
    let steps = steps.map(|(step, what)| [step.to_string(), words::instruction(what)]).collect();
    let keys = proposal.approvals.iter().map(|key| [key.to_string()]).collect();
    format!("{head}\n\n{}\n\n{}", table([">STEP", "WHAT"], steps), table(["APPROVED BY"], keys))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_read_from_a_json_array() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pay.json");
        let transfer = r#"{"transfer": {"asset": "khr#nbc", "to": "dara@wing", "amount": "1"}}"#;
        std::fs::write(&path, format!("[{transfer}]")).unwrap();
        assert_eq!(read(&path).unwrap().len(), 1);
        for bad in ["", transfer, "[{}]", "[{\"steal\": {}}]"] {
            std::fs::write(&path, bad).unwrap();
            assert!(read(&path).unwrap_err().remedy().is_some(), "{bad}");
        }
    }
}
