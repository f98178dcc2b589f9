//! One chain: no two nodes ever commit different blocks or come to different states, and each
//! block has its quorum.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use tonle_model::hash::{BlockHash, ChainHash};
use tonle_model::key::PublicKey;
use tonle_model::number::Height;
use tonle_model::receipt::Receipt;
use tonle_model::vote::{Certificate, VoteKind};

use super::super::machine::Running;
use super::{Held, Violation, broken};

/// A block that was new to all.
pub struct NewBlock {
    /// Where it stands.
    pub height: Height,
    /// Its batches, encoded.
    pub batches: Vec<Bytes>,
    /// What became of its transactions.
    pub receipts: Vec<Receipt>,
}

/// The chain as the first node to commit each block has it.
pub struct Chain {
    network: ChainHash,
    validators: Vec<PublicKey>,
    blocks: BTreeMap<Height, (BlockHash, String)>,
    /// How far each node is.
    reached: BTreeMap<usize, Height>,
}

impl Chain {
    /// An empty chain.
    pub fn new(network: ChainHash, validators: Vec<PublicKey>) -> Self {
        Self { network, validators, blocks: BTreeMap::new(), reached: BTreeMap::new() }
    }

    /// The highest block.
    pub fn height(&self) -> u64 {
        self.blocks.keys().next_back().map_or(0, |height| height.0)
    }

    /// A node is at a height, perhaps not where it was.
    pub fn restarted(&mut self, node: usize, height: Height) {
        let reached = self.reached.entry(node).or_default();
        *reached = height.min(*reached);
    }

    /// Looks at what a node has committed since; what nobody had before is returned.
    pub fn follow(&mut self, node: usize, running: &Running) -> Result<Vec<NewBlock>, Violation> {
        let committed = running.world.committed().height;
        let mut new = Vec::new();
        let mut height = self.reached.get(&node).copied().unwrap_or_default();
        while height < committed {
            height = height.next();
            new.extend(self.look(node, running, height)?);
        }
        self.reached.insert(node, height);
        Ok(new)
    }

    fn look(
        &mut self,
        node: usize,
        running: &Running,
        height: Height,
    ) -> Result<Option<NewBlock>, Violation> {
        let missing = || Violation(format!("node {node} has no block {height}"));
        let block = running.chain.block(height).ok().flatten().ok_or_else(missing)?;
        let result = running.world.result(height).ok().flatten().ok_or_else(missing)?;
        let found = (block.header.hash(), format!("{result:?}"));
        if let Some(first) = self.blocks.get(&height) {
            return match *first == found {
                true => Ok(None),
                false => broken(format!("node {node} has {found:?} at {height}, not {first:?}")),
            };
        }
        match block.finalization.ballot.kind {
            VoteKind::Finalize { block, result: signed }
                if block == found.0 && signed == result.hash() => {}
            other => return broken(format!("the quorum at {height} signed {other:?}")),
        }
        self.check_quorum(height, &block.finalization)?;
        self.blocks.insert(height, found);
        let batches = running.chain.batches_of(height).ok().flatten().ok_or_else(missing)?;
        let receipts = running.world.receipts(height).ok().flatten().ok_or_else(missing)?;
        Ok(Some(NewBlock { height, batches, receipts }))
    }

    /// n - f different validators signed.
    fn check_quorum(&self, height: Height, certificate: &Certificate) -> Held {
        let count = self.validators.len();
        let set = |place: &usize| {
            certificate.signers.get(place / 8).is_some_and(|bits| bits >> (place % 8) & 1 == 1)
        };
        let places: Vec<usize> = (0..count).filter(set).collect();
        let message = certificate.ballot.signing_hash(&self.network);
        let mut signed = BTreeSet::new();
        for (place, signature) in places.iter().zip(&certificate.signatures) {
            let key = VerifyingKey::from_bytes(&self.validators[*place].0);
            let signature = Signature::from_bytes(&signature.0);
            if key.is_ok_and(|key| key.verify(message.as_ref(), &signature).is_ok()) {
                signed.insert(*place);
            }
        }
        let needed = count - (count - 1) / 3;
        match signed.len() >= needed {
            true => Ok(()),
            false => broken(format!("block {height} has {} signers of {needed}", signed.len())),
        }
    }
}
