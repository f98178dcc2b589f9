//! What must hold, whatever strikes: rules of their own, written from the protocol chapter, which
//! share no code with what they watch but the types of what is said.

mod chain;
mod ledger;
mod votes;

use tonle_client::api::TransactionStatus;
use tonle_consensus::Message;
use tonle_model::genesis::Genesis;
use tonle_model::hash::TransactionHash;
use tonle_model::key::PublicKey;
use tonle_wsv::chain::EVIDENCE_MAX;
use tonle_wsv::memory::MemoryStore;
use tonle_wsv::store::Table;

use super::clients::{Clients, Told};
use super::machine::Running;
use chain::Chain;
use ledger::Ledger;
use votes::Votes;

/// Something that must never be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation(pub String);

/// A rule that held, or what broke it.
pub type Held = Result<(), Violation>;

/// Says what broke a rule.
pub fn broken<T>(what: impl Into<String>) -> Result<T, Violation> {
    Err(Violation(what.into()))
}

/// All rules of a run.
pub struct Checks {
    votes: Votes,
    chain: Chain,
    ledger: Ledger,
}

impl Checks {
    /// For these validators, in the order of their set.
    pub fn new(genesis: &Genesis, validators: Vec<PublicKey>) -> Self {
        Self {
            votes: Votes::new(validators.len()),
            chain: Chain::new(genesis.chain(), validators),
            ledger: Ledger::new(genesis),
        }
    }

    /// An honest node said something; `unwritten` if its disk does not hold it yet.
    pub fn said(&mut self, node: usize, message: &Message, unwritten: bool) -> Held {
        if unwritten {
            return broken(format!("node {node} said what is not on its disk: {message:?}"));
        }
        self.votes.said(node, message)
    }

    /// An honest node may have committed.
    pub fn committed(&mut self, node: usize, running: &Running, clients: &Clients) -> Held {
        for block in self.chain.follow(node, running)? {
            self.ledger.settle(&block, clients)?;
        }
        Ok(())
    }

    /// A node told a client that its payment is decided: that must survive a loss of power of
    /// that node, and be true.
    pub fn told(&self, told: &Told, disk: &MemoryStore) -> Held {
        let (height, applied) = match &told.status {
            TransactionStatus::Committed { height, .. } => (height, true),
            TransactionStatus::Rejected { height, .. } => (height, false),
            TransactionStatus::Queued | TransactionStatus::Expired => return Ok(()),
        };
        if disk.durable_values(Table::Blocks, &height.0.to_be_bytes()).is_empty() {
            return broken(format!(
                "node {} told of height {height}, which is not on its disk",
                told.node
            ));
        }
        match self.ledger.fate(&told.hash) {
            Some((at, was_applied)) if at == *height && was_applied == applied => Ok(()),
            fate => broken(format!("{} was told as {:?} and is {fate:?}", told.hash, told.status)),
        }
    }

    /// At the end: every balance is what the payments make it, and nobody is accused who is not
    /// `faulty`.
    pub fn settled(&self, node: usize, running: &Running, faulty: &[PublicKey]) -> Held {
        let rows = running.chain.evidence(None, EVIDENCE_MAX);
        let rows = rows.map_err(|error| Violation(error.to_string()))?;
        match rows.iter().find(|row| !faulty.contains(&row.validator)) {
            Some(row) => broken(format!("node {node} accuses an honest validator: {row:?}")),
            None => self.ledger.compare(node, running),
        }
    }

    /// Whether a payment is applied or rejected.
    pub fn is_decided(&self, hash: &TransactionHash) -> bool {
        self.ledger.fate(hash).is_some()
    }

    /// How many are applied.
    pub fn applied(&self) -> u64 {
        self.ledger.applied()
    }

    /// How high the chain is.
    pub fn height(&self) -> u64 {
        self.chain.height()
    }

    /// A node begins anew, perhaps further down.
    pub fn restarted(&mut self, node: usize, running: &Running) {
        self.chain.restarted(node, running.world.committed().height);
    }
}
