//! A second ledger to compare the real one with, written for clarity alone.
//!
//! It keeps plain maps, copies all of them before each transaction, and shares with the real one
//! only the types of what stands in a transaction: rules, limits and sums are written here once
//! more, from the ledger chapter. [`Pair`] drives both with the same blocks and says where they
//! part; [`generate`] writes blocks at random, in the small world of [`world`], and [`sequence`]
//! plays them and makes those short that fail.
//!
//! Left out, because the state does not depend on it: histories and roots.

pub mod archive;
pub mod compare;
pub mod generate;
pub mod network;
mod rules;
pub mod sequence;
pub mod state;
pub mod tally;
pub mod world;

use std::collections::{BTreeMap, BTreeSet};

use tonle_model::genesis::Genesis;
use tonle_model::hash::{ProposalId, TransactionHash};
use tonle_model::id::AccountId;
use tonle_model::receipt::{Outcome, VoidCode};
use tonle_model::transaction::SignedTransaction;

use archive::Archive;
use rules::Run;
use state::{InvoiceKey, State};

pub use compare::Pair;

/// How far ahead of block time a transaction may begin.
const DRIFT_MS: u64 = 5_000;
/// Most that one block forgets.
const FORGOTTEN_MAX: usize = 1_024;

/// What becomes of a transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It leaves no trace; perhaps because of one of its authorities.
    Void(VoidCode, Option<AccountId>),
    /// It was applied or rejected.
    Done(Outcome),
}

/// Something that is forgotten in time; in the order in which that happens at one time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Passing {
    Invoice(InvoiceKey),
    Proposal(ProposalId),
}

/// The second ledger.
#[derive(Debug, Clone)]
pub struct Reference {
    /// What it knows.
    pub state: State,
    /// What was applied before this block.
    pub archive: Archive,
    height: u64,
    time_ms: u64,
    /// What the block forgets when it ends.
    passing: Vec<Passing>,
    used: BTreeSet<TransactionHash>,
    /// Who used which reference, and when that stops to matter.
    references: BTreeMap<(AccountId, String), u64>,
}

impl Reference {
    /// The state of a genesis. What its steps make is not named as the real one names it, so they
    /// make no holds, invoices or proposals.
    pub fn new(genesis: &Genesis) -> Self {
        let mut state = State::new(genesis.parameters.clone(), &genesis.validators);
        for step in &genesis.steps {
            let mut run = Run {
                state: &mut state,
                archive: &Archive::default(),
                height: 0,
                time_ms: genesis.created_ms,
                transaction: TransactionHash::default(),
                step: 0,
                proposal: None,
                signers: &[],
                every_right: true,
            };
            let done = run.execute(&step.authority, &step.instruction);
            assert_eq!(done, Ok(()), "a step of the genesis: {step:?}");
        }
        state.parameters = state.next_parameters.clone();
        Self {
            state,
            archive: Archive::default(),
            height: 0,
            time_ms: genesis.created_ms,
            passing: Vec::new(),
            used: BTreeSet::new(),
            references: BTreeMap::new(),
        }
    }

    /// The time of the block that is executed, or was last.
    pub fn time_ms(&self) -> u64 {
        self.time_ms
    }

    /// Begins the next block.
    pub fn begin(&mut self, time_ms: u64) {
        self.height += 1;
        self.time_ms = time_ms;
        let invoices = self.state.invoices.keys();
        let invoices = invoices.map(|key| (key.expires_ms, Passing::Invoice(key.clone())));
        let proposals = self.state.proposals.iter();
        let proposals =
            proposals.map(|(id, proposal)| (proposal.expires_ms, Passing::Proposal(*id)));
        let mut passing: Vec<_> =
            invoices.chain(proposals).filter(|(expires_ms, _)| *expires_ms < time_ms).collect();
        passing.sort();
        passing.truncate(FORGOTTEN_MAX);
        self.passing = passing.into_iter().map(|(_, passing)| passing).collect();
    }

    /// Executes the next transaction of the block.
    pub fn transaction(&mut self, transaction: &SignedTransaction) -> Fate {
        if let Some((code, authority)) = self.void(transaction) {
            return Fate::Void(code, authority);
        }
        let before = self.state.clone();
        let outcome = self.run(transaction);
        self.used.insert(transaction.hash());
        match outcome {
            Outcome::Applied => self.use_reference(transaction),
            Outcome::Rejected { .. } => self.state = before,
        }
        Fate::Done(outcome)
    }

    /// Ends the block.
    pub fn end(&mut self) {
        for passing in std::mem::take(&mut self.passing) {
            match passing {
                Passing::Invoice(key) => {
                    self.state.invoices.remove(&key);
                }
                Passing::Proposal(id) => self.state.drop_proposal(&id),
            }
        }
        self.state.parameters = self.state.next_parameters.clone();
    }

    fn run(&mut self, transaction: &SignedTransaction) -> Outcome {
        let signers: Vec<_> = transaction.signers().copied().collect();
        for (number, step) in (0u16..).zip(&transaction.payload().steps) {
            let mut run = Run {
                state: &mut self.state,
                archive: &self.archive,
                height: self.height,
                time_ms: self.time_ms,
                transaction: transaction.hash(),
                step: number,
                proposal: None,
                signers: &signers,
                every_right: false,
            };
            if let Err(code) = run.execute(&step.authority, &step.instruction) {
                return Outcome::Rejected { code, step: number };
            }
        }
        Outcome::Applied
    }

    /// Why a transaction is void: its window, then what was used, then who did not sign.
    fn void(&self, transaction: &SignedTransaction) -> Option<(VoidCode, Option<AccountId>)> {
        let payload = transaction.payload();
        let longest_ms = u64::from(self.state.parameters.max_ttl_ms);
        if payload.expires_ms - payload.created_ms > longest_ms {
            return Some((VoidCode::WindowTooLong, None));
        }
        if payload.created_ms > self.time_ms + DRIFT_MS {
            return Some((VoidCode::NotYetValid, None));
        }
        if payload.expires_ms < self.time_ms {
            return Some((VoidCode::Expired, None));
        }
        let references = references(transaction);
        let is_used = |reference| {
            self.references.get(reference).is_some_and(|until_ms| *until_ms >= self.time_ms)
        };
        if self.used.contains(&transaction.hash()) || references.iter().any(is_used) {
            return Some((VoidCode::Duplicate, None));
        }
        let signers: Vec<_> = transaction.signers().copied().collect();
        for authority in authorities(transaction) {
            let Some(account) = self.state.open_account(&authority) else {
                return Some((VoidCode::UnknownAuthority, Some(authority)));
            };
            if account.weight_of(&signers) < u64::from(account.quorum) {
                return Some((VoidCode::QuorumNotMet, Some(authority)));
            }
        }
        None
    }

    fn use_reference(&mut self, transaction: &SignedTransaction) {
        let until_ms = transaction.payload().expires_ms;
        let used = references(transaction).into_iter().map(|reference| (reference, until_ms));
        self.references.extend(used);
    }
}

/// Who acts in a transaction.
fn authorities(transaction: &SignedTransaction) -> BTreeSet<AccountId> {
    transaction.payload().steps.iter().map(|step| step.authority.clone()).collect()
}

/// What a transaction uses up if it is applied, beside itself.
fn references(transaction: &SignedTransaction) -> Vec<(AccountId, String)> {
    let Some(reference) = &transaction.payload().reference else { return Vec::new() };
    let authorities = authorities(transaction).into_iter();
    authorities.map(|authority| (authority, reference.as_str().to_owned())).collect()
}
