//! Clients: they pay each other through any node that runs, and remember what they were promised.

use std::collections::BTreeMap;

use tokio::sync::oneshot;
use tonle_client::api::TransactionStatus;
use tonle_model::bounded::Bounded;
use tonle_model::hash::{ChainHash, TransactionHash};
use tonle_model::id::AccountId;
use tonle_model::instruction::Instruction;
use tonle_model::key::KeyPair;
use tonle_model::limits::AUTHOR_UNDECIDED_BYTES_MAX;
use tonle_model::transaction::{Payload, SignedTransaction, Step};
use tonle_model::verified::Verified;
use tonle_node::assembly::Assembly;
use tonle_node::driver::Event;
use tonle_node::tracker::Take;

use super::machine::Running;
use crate::random::Random;

/// What they pay with.
pub const ASSET: &str = "khr#nbc";
/// Who they are, in the demonstration network.
pub const PEOPLE: [&str; 10] = [
    "sok@aclb",
    "bopha@aclb",
    "chan@aclb",
    "dara@wing",
    "vanna@wing",
    "sophea@devb",
    "market@aclb",
    "noodles@wing",
    "coffee@devb",
    "pharmacy@devb",
];
/// How long a payment may take.
const LIFE_MS: u64 = 300_000;
/// More than anyone has.
const TOO_MUCH: u64 = 1_000_000_000;

/// A payment that was signed.
pub struct Made {
    /// As it was signed.
    pub transaction: SignedTransaction,
    /// Who pays.
    pub from: AccountId,
    /// Who is paid.
    pub to: AccountId,
    /// How much, in riel.
    pub riel: u128,
    /// Which processes took it in.
    pub taken_by: Vec<(usize, u64)>,
}

/// Whether a node takes anything in: what its gate asks the same parts before it looks at a payment
/// (`node/src/gate.rs`).
fn is_open(parts: &Assembly) -> bool {
    !parts.board.is_disk_full()
        && parts.board.own_bytes() <= AUTHOR_UNDECIDED_BYTES_MAX as u64 / 2
        && parts.tracker.room(parts.clock.now_ms()) > 0
}

/// A client that waits to hear of its payment.
struct Waiting {
    node: usize,
    hash: TransactionHash,
    answer: oneshot::Receiver<TransactionStatus>,
}

/// What a node told a client.
#[derive(Debug)]
pub struct Told {
    /// Which node.
    pub node: usize,
    /// Of which payment.
    pub hash: TransactionHash,
    /// What.
    pub status: TransactionStatus,
}

/// All of them.
pub struct Clients {
    chain: ChainHash,
    people: Vec<(AccountId, KeyPair)>,
    nonce: u64,
    /// Every payment that was signed.
    pub made: BTreeMap<TransactionHash, Made>,
    waiting: Vec<Waiting>,
}

impl Clients {
    /// The people of the demonstration network.
    pub fn new(chain: ChainHash) -> Self {
        let person = |name: &&str| Some((name.parse().ok()?, KeyPair::demo(name)));
        let people = PEOPLE.iter().filter_map(person).collect();
        Self { chain, people, nonce: 0, made: BTreeMap::new(), waiting: Vec::new() }
    }

    /// Signs a payment; one in fifty is more than the payer has.
    pub fn pay(&mut self, now_ms: u64, random: &mut Random) -> SignedTransaction {
        let payer = random.below(self.people.len());
        let payee = (payer + 1 + random.below(self.people.len() - 1)) % self.people.len();
        let riel = if random.once_in(50) { TOO_MUCH } else { random.between(1, 1_000) };
        let ((from, key), (to, _)) = (&self.people[payer], &self.people[payee]);
        self.nonce += 1;
        let instruction = Instruction::Transfer {
            asset: ASSET.parse().expect("an asset"),
            from: None,
            to: to.clone(),
            amount: riel.to_string().parse().expect("a decimal"),
            memo: "".parse().expect("a text"),
            invoice: None,
        };
        let step = Step { authority: from.clone(), instruction };
        let payload = Payload {
            chain: self.chain,
            created_ms: now_ms,
            expires_ms: now_ms + LIFE_MS,
            nonce: self.nonce,
            reference: None,
            steps: Bounded::new(vec![step]).expect("one step"),
        };
        let signed = payload.sign(&[key]);
        let transaction = SignedTransaction::from_transaction(&signed).expect("well-formed");
        let made = Made {
            transaction: transaction.clone(),
            from: from.clone(),
            to: to.clone(),
            riel: riel.into(),
            taken_by: Vec::new(),
        };
        self.made.insert(transaction.hash(), made);
        transaction
    }

    /// Gives payments to a node, as its gate would pass them on, and waits to hear of them. Says
    /// how many it took in, or nothing if it takes nothing in now.
    pub fn submit(
        &mut self,
        (node, incarnation): (usize, u64),
        running: &Running,
        transactions: &[SignedTransaction],
    ) -> Option<usize> {
        let parts = &running.assembly;
        if !is_open(parts) {
            return None;
        }
        let now_ms = parts.clock.now_ms();
        let mut taken = Vec::new();
        for transaction in transactions {
            let hash = transaction.hash();
            let good = running.world.admit(transaction, now_ms).is_ok();
            let expires_ms = transaction.payload().expires_ms;
            if !good || parts.tracker.take(hash, expires_ms) != Take::Taken {
                continue;
            }
            if let Some(answer) = parts.tracker.wait(hash) {
                self.waiting.push(Waiting { node, hash, answer });
            }
            if let Some(made) = self.made.get_mut(&hash) {
                made.taken_by.push((node, incarnation));
            }
            taken.push(Verified::vouch(transaction.clone()));
        }
        let count = taken.len();
        running.tell(Event::Transactions(taken));
        Some(count)
    }

    /// What a node has told since.
    pub fn heard(&mut self, node: usize) -> Vec<Told> {
        let mut told = Vec::new();
        self.waiting.retain_mut(|waiting| {
            if waiting.node != node {
                return true;
            }
            match waiting.answer.try_recv() {
                Ok(status) => {
                    told.push(Told { node, hash: waiting.hash, status });
                    false
                }
                Err(oneshot::error::TryRecvError::Empty) => true,
                // The process is gone.
                Err(oneshot::error::TryRecvError::Closed) => false,
            }
        });
        told
    }

    /// Payments that a process took in which runs still, and that nobody has decided.
    pub fn open(
        &self,
        runs: impl Fn(usize, u64) -> bool,
        decided: impl Fn(&TransactionHash) -> bool,
    ) -> Vec<TransactionHash> {
        let taken = |made: &Made| made.taken_by.iter().any(|(node, number)| runs(*node, *number));
        let open = self.made.iter().filter(|(hash, made)| taken(made) && !decided(hash));
        open.map(|(hash, _)| *hash).collect()
    }
}
