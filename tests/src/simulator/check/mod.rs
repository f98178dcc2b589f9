//! What must hold, whatever strikes: rules of their own, written from the protocol chapter.
//!
//! They judge by no code of what they watch: quorums, contradictions, what a vote signs and who
//! owns what are worked out here again. They do share how things are written: the types of what is
//! said with their encodings, the hash function, the names of blocks, batches, transactions and
//! results, and how a batch is taken apart. Those have vectors of their own (`tests/vectors/`).
//! Limits stand here once more, as numbers.
//! And they ask each node for its blocks, balances and sizes as anyone would.

mod bounds;
mod certificates;
mod chain;
mod contradictions;
mod full;
mod ledger;
mod memory;
mod votes;

use tonle_client::api::TransactionStatus;
use tonle_consensus::Message;
use tonle_model::genesis::Genesis;
use tonle_model::hash::TransactionHash;
use tonle_model::key::PublicKey;
use tonle_model::number::Height;
use tonle_model::vote::Vote;
use tonle_node::wire::FinalizedHeader;
use tonle_wsv::memory::MemoryStore;
use tonle_wsv::store::Table;

use super::clients::{Clients, Told};
use super::machine::Running;
use bounds::{EVIDENCE_MAX, Sizes};
use certificates::Certificates;
use chain::Chain;
use contradictions::Contradictions;
use full::FullDisks;
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
    validators: Vec<PublicKey>,
    certificates: Certificates,
    votes: Votes,
    contradictions: Contradictions,
    full: FullDisks,
    chain: Chain,
    ledger: Ledger,
}

impl Checks {
    /// For these validators, in the order of their set.
    pub fn new(genesis: &Genesis, validators: Vec<PublicKey>) -> Self {
        Self {
            certificates: Certificates::new(genesis.chain(), &validators),
            votes: Votes::new(validators.len()),
            contradictions: Contradictions::default(),
            full: FullDisks::default(),
            chain: Chain::default(),
            ledger: Ledger::new(genesis),
            validators,
        }
    }

    /// An honest node said something; `unwritten` if its disk does not hold it yet.
    pub fn said(&mut self, node: usize, message: &Message, unwritten: bool) -> Held {
        if unwritten {
            return broken(format!("node {node} said what is not on its disk: {message:?}"));
        }
        self.full.said(node, message)?;
        match message {
            Message::Certificate(certificate) => self.certificates.check(node, certificate)?,
            Message::Proposal(proposal) => self.certificates.check_proposal(node, proposal)?,
            Message::Vote(_) | Message::Status(_) => {}
        }
        self.votes.said(node, message)
    }

    /// An honest node sent blocks to another one.
    pub fn served(&mut self, node: usize, blocks: &[FinalizedHeader]) -> Held {
        blocks.iter().try_for_each(|(header, finalization)| {
            let (height, block) = (header.height, header.hash());
            chain::is_final(node, &finalization.ballot, height, block, None)?;
            self.certificates.check(node, finalization)
        })
    }

    /// An honest node may have committed.
    pub fn committed(
        &mut self,
        node: usize,
        running: &Running,
        disk: &MemoryStore,
        clients: &Clients,
    ) -> Held {
        for block in self.chain.follow(node, running, &mut self.certificates)? {
            self.ledger.settle(&block, clients)?;
        }
        let decided = self.ledger.decided(running.world.committed().height);
        let undecided = clients.made.len().saturating_sub(decided);
        Sizes::of(running, disk).check(node, self.validators.len(), undecided)
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

    /// At the end: every balance is what the payments make it, nobody is accused who is not
    /// `faulty`, and nobody got away with a contradiction.
    pub fn settled(&self, node: usize, running: &Running, faulty: &[PublicKey]) -> Held {
        let rows = running.chain.evidence(None, EVIDENCE_MAX);
        let rows = rows.map_err(|error| Violation(error.to_string()))?;
        if let Some(row) = rows.iter().find(|row| !faulty.contains(&row.validator)) {
            return broken(format!("node {node} accuses an honest validator: {row:?}"));
        }
        self.contradictions.check(node, &rows, &self.validators)?;
        self.ledger.compare(node, running)
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

    /// How many views it took to come there.
    pub fn views(&self) -> u64 {
        self.chain.views()
    }

    /// A node begins anew, perhaps further down.
    pub fn restarted(&mut self, node: usize, running: &Running) {
        self.chain.restarted(node, running.world.committed().height);
        self.votes.restarted(node);
        self.contradictions.started(node, running.assembly.board.height());
    }

    /// A vote came to an honest node that decides the height `at`.
    pub fn heard(&mut self, by: usize, vote: &Vote, at: Height) {
        if vote.ballot.height == at {
            self.votes.heard(by, vote);
        }
        self.contradictions.heard(by, vote, at);
    }

    /// An honest node took a turn, and decides the height `at` then.
    pub fn turned(&mut self, node: usize, at: Height) {
        self.contradictions.turned(node, at);
    }

    /// An honest node was told that its disk is full.
    pub fn filled(&mut self, node: usize, disk: &MemoryStore) {
        self.full.filled(node, disk);
    }

    /// A node has room on its disk again, or its process is gone.
    pub fn emptied(&mut self, node: usize) {
        self.full.emptied(node);
    }

    /// An honest node took so many payments in.
    pub fn took(&self, node: usize, payments: usize) -> Held {
        self.full.took(node, payments)
    }

    /// How often something was said until now.
    pub fn time(&self) -> u64 {
        self.votes.time()
    }

    /// A node came back with the disk that it had when `saved` was the time; `honest` are the
    /// others that are.
    pub fn returned(&mut self, node: usize, saved: u64, honest: &[usize]) {
        self.votes.returned(node, saved, honest);
        self.contradictions.returned(node);
    }
}
