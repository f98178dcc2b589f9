//! Tests of the state as a whole, and of each instruction's rules.

mod accounts;
mod gate;
mod holds;
mod instructions;
mod invoices;
mod limits;
mod metadata;
mod proposals;
mod reading;
mod reads;
mod recall;
mod removal;
mod restart;
mod rights;
mod validators;
mod vectors;
mod voids;
mod whole;

use tonle_model::instruction::Instruction;
use tonle_model::receipt::{Outcome, RejectionCode};

use crate::testing::{Draft, Net};

pub use holds::{hold, locked};

/// Expects a rejection that leaves the state as it was, with words for people.
fn rejected(net: &mut Net, draft: Draft, code: RejectionCode) {
    let before = net.world.committed().result.state_root;
    let block = net.block(vec![draft.signed()]);
    let step = (draft.payload.steps.len() - 1) as u16;
    assert_eq!(block.receipts[0].outcome, Outcome::Rejected { code, step });
    assert_eq!(block.result.state_root, before, "a rejected transaction changes nothing");
    let record = net.world.reader().transaction(&draft.signed().hash()).unwrap().unwrap();
    assert!(!record.detail.is_empty());
    assert_eq!(record.receipt.outcome, block.receipts[0].outcome);
    assert_eq!(block.details, [(0, record.detail)]);
}

/// Expects one instruction to be rejected.
fn one(net: &mut Net, who: &str, instruction: Instruction, code: RejectionCode) {
    let draft = net.draft(vec![(who.into(), instruction)]);
    rejected(net, draft, code);
}

/// Expects one instruction to take effect; returns its transaction.
fn applied(net: &mut Net, who: &str, instruction: Instruction) -> Draft {
    let draft = net.draft(vec![(who.into(), instruction)]);
    assert_eq!(net.outcome(draft.clone()), Outcome::Applied);
    draft
}
