//! `tonle recall`: pay a transfer back without its payee.

use clap::Args;
use tonle_client::Client;
use tonle_model::amount::Decimal;
use tonle_model::hash::TransactionHash;
use tonle_model::instruction::{Instruction, Reason};
use tonle_model::proof::AppliedProof;
use tonle_model::transaction::Step;

use crate::context::Context;
use crate::error::CliError;
use crate::place::Place;
use crate::submit::{self, SubmitArgs};

const EXAMPLES: &str = "\
Examples:
  tonle recall 47038bac… --reason 'order 17 of the court' --account governor@nbc --wait
  tonle recall 47038bac… --step 2 --amount 500 --reason 'paid twice' --wait

It takes what the payee still has available, up to the amount. `tonle account history` of the
payer shows how much came back.";

/// Which payment, and how much of it.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct RecallArgs {
    /// The hash of the transaction that paid
    transaction: TransactionHash,
    /// The step of it that paid
    #[arg(long, value_name = "N", default_value_t = 0)]
    step: u16,
    /// How much at most [default: all that was paid]
    #[arg(long, value_name = "AMOUNT")]
    amount: Option<Decimal>,
    /// Why, for the record
    #[arg(long, value_name = "TEXT")]
    reason: Reason,
    #[command(flatten)]
    submit: SubmitArgs,
}

/// Recalls.
pub async fn run(args: RecallArgs, context: &Context) -> Result<(), CliError> {
    let hash = &args.transaction;
    let nodes = context.nodes()?;
    let proof = nodes.ask(async |node: &Client| node.proof_transaction(hash, true).await).await?;
    let unusable = || CliError::failed(format!("the node proves something else than {hash}"));
    let proof = proof.to_applied().filter(|proof| proof.transaction() == *hash);
    let proof = proof.ok_or_else(unusable)?;
    let recall = instruction(&args, proof)?;
    let Instruction::Recall { from, to, asset, amount, .. } = &recall else {
        return Err(unusable());
    };
    let place = Place::Asset(asset.clone());
    context.output.progress(&format!("recalling {amount} {asset} that {to} paid to {from}"));
    submit::act(context, place, recall, &args.submit).await
}

/// What the step paid, to be paid back.
fn instruction(args: &RecallArgs, proof: AppliedProof) -> Result<Instruction, CliError> {
    let RecallArgs { transaction, step, amount, reason, .. } = args;
    let payload = proof.payload().map_err(|error| CliError::failed(error.to_string()))?;
    let Some(Step { authority, instruction: paid }) = payload.steps.get(usize::from(*step)) else {
        return Err(CliError::usage(format!("the transaction has no step {step}")));
    };
    let Instruction::Transfer { asset, from, to, amount: paid, .. } = paid else {
        return Err(CliError::usage(format!("step {step} of the transaction is no transfer")));
    };
    Ok(Instruction::Recall {
        from: to.clone(),
        to: from.as_ref().unwrap_or(authority).clone(),
        asset: asset.clone(),
        amount: amount.unwrap_or(*paid),
        transaction: *transaction,
        step: *step,
        reason: reason.clone(),
        proof: Box::new(proof),
    })
}
