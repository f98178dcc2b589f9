//! Each payment applies once at most, as it was signed, and every balance is what they make it.

use std::collections::BTreeMap;

use tonle_model::batch::Batch;
use tonle_model::genesis::Genesis;
use tonle_model::hash::{ChainHash, TransactionHash};
use tonle_model::instruction::Instruction;
use tonle_model::number::Height;
use tonle_model::receipt::Outcome;

use super::super::clients::{ASSET, Clients, PEOPLE};
use super::super::machine::Running;
use super::chain::NewBlock;
use super::{Held, Violation, broken};

/// A second ledger.
pub struct Ledger {
    network: ChainHash,
    riel: BTreeMap<String, u128>,
    /// Where each payment was decided, and whether it was applied.
    fates: BTreeMap<TransactionHash, (Height, bool)>,
    /// How many payments are decided up to each height.
    decided: BTreeMap<Height, usize>,
    applied: u64,
}

impl Ledger {
    /// What a genesis gives to whom.
    pub fn new(genesis: &Genesis) -> Self {
        let mut riel = BTreeMap::new();
        for step in &genesis.steps {
            if let Instruction::Mint { asset, to, amount } = &step.instruction
                && asset.as_str() == ASSET
            {
                let minted: u128 = amount.to_string().parse().unwrap_or(0);
                *riel.entry(to.to_string()).or_default() += minted;
            }
        }
        let (fates, decided) = (BTreeMap::new(), BTreeMap::new());
        Self { network: genesis.chain(), riel, fates, decided, applied: 0 }
    }

    /// How many are applied.
    pub fn applied(&self) -> u64 {
        self.applied
    }

    /// How many are decided up to a height.
    pub fn decided(&self, height: Height) -> usize {
        self.decided.range(..=height).next_back().map_or(0, |(_, count)| *count)
    }

    /// Where a payment was decided, and whether it was applied.
    pub fn fate(&self, hash: &TransactionHash) -> Option<(Height, bool)> {
        self.fates.get(hash).copied()
    }

    /// A block that is new.
    pub fn settle(&mut self, block: &NewBlock, clients: &Clients) -> Held {
        let height = block.height;
        let mut members = BTreeMap::<TransactionHash, Vec<_>>::new();
        for bytes in &block.batches {
            let unreadable = |error| Violation(format!("a batch of {height}: {error}"));
            let batch = Batch::decode(&self.network, bytes.clone()).map_err(unreadable)?;
            for member in batch.transactions() {
                members.entry(member.hash()).or_default().push(member.bytes().clone());
            }
        }
        for receipt in &block.receipts {
            let hash = receipt.transaction;
            let applied = receipt.outcome == Outcome::Applied;
            if let Some(before) = self.fates.insert(hash, (height, applied)) {
                return broken(format!("{hash} is decided at {height} and before: {before:?}"));
            }
            let Some(made) = clients.made.get(&hash) else {
                return broken(format!("{hash} of {height} was signed by nobody"));
            };
            let copies = members.get(&hash).map(Vec::as_slice).unwrap_or_default();
            if !copies.contains(made.transaction.bytes()) {
                return broken(format!("{hash} of {height} stands there in no signed form"));
            }
            if applied {
                self.applied += 1;
                self.pay(made.from.as_str(), made.to.as_str(), made.riel)?;
            }
        }
        self.decided.insert(height, self.fates.len());
        Ok(())
    }

    fn pay(&mut self, from: &str, to: &str, riel: u128) -> Held {
        let payer = self.riel.entry(from.to_owned()).or_default();
        let Some(left) = payer.checked_sub(riel) else {
            return broken(format!("{from} paid {riel} riel and had {payer}"));
        };
        *payer = left;
        *self.riel.entry(to.to_owned()).or_default() += riel;
        Ok(())
    }

    /// A node's balances against these.
    pub fn compare(&self, node: usize, running: &Running) -> Held {
        let asset = ASSET.parse().map_err(|_| Violation("no asset".to_owned()))?;
        for person in PEOPLE {
            let id = person.parse().map_err(|_| Violation("no account".to_owned()))?;
            let owned = running.world.balance(&id, &asset);
            let owned = owned.map_err(|error| Violation(error.to_string()))?;
            let owned = owned.map_or(0, |balance| balance.available.minor());
            let expected = self.riel.get(person).copied().unwrap_or(0);
            if owned != expected {
                return broken(format!("{person} owns {owned} riel on {node}, not {expected}"));
            }
        }
        Ok(())
    }
}
