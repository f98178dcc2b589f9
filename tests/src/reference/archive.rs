//! What was applied, and what shows it: the validators' signatures are made when they are asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use parity_scale_codec::Encode;
use tonle_model::bounded::Bounded;
use tonle_model::hash::TransactionHash;
use tonle_model::hex::HexBytes;
use tonle_model::key::KeyPair;
use tonle_model::number::ValidatorIndex;
use tonle_model::proof::{AppliedProof, path};
use tonle_model::receipt::{Outcome, Receipt};
use tonle_model::transaction::{Payload, SignedTransaction};
use tonle_model::vote::{Ballot, Certificate, Vote, VoteKind};
use tonle_wsv::state::CommittedBlock;

use super::world::{CHAIN, GENESIS};

/// Three of the four validators, in the order of the set.
static SIGNERS: LazyLock<Vec<(ValidatorIndex, KeyPair)>> = LazyLock::new(|| {
    let keys = GENESIS.validators.iter().map(|one| KeyPair::demo(one.name.as_str()));
    (0..3).map(ValidatorIndex).zip(keys).collect()
});

/// A transaction that was applied.
#[derive(Debug, Clone)]
struct Applied {
    payload: Payload,
    block: Arc<CommittedBlock>,
    /// Its place among the receipts.
    place: usize,
}

/// All that was applied in committed blocks.
#[derive(Debug, Clone, Default)]
pub struct Archive(BTreeMap<TransactionHash, Applied>);

impl Archive {
    /// Keeps what a block applied.
    pub fn add(&mut self, block: &Arc<CommittedBlock>, transactions: &[SignedTransaction]) {
        for (place, receipt) in block.receipts.iter().enumerate() {
            let named = transactions.iter().find(|one| one.hash() == receipt.transaction);
            if let (Outcome::Applied, Some(transaction)) = (receipt.outcome, named) {
                let payload = transaction.payload().clone();
                self.0
                    .insert(receipt.transaction, Applied { payload, block: block.clone(), place });
            }
        }
    }

    /// What was applied.
    pub fn payloads(&self) -> impl Iterator<Item = (&TransactionHash, &Payload)> {
        self.0.iter().map(|(hash, applied)| (hash, &applied.payload))
    }

    /// What a transaction did, if it was applied.
    pub fn payload(&self, hash: &TransactionHash) -> Option<&Payload> {
        self.0.get(hash).map(|applied| &applied.payload)
    }

    /// The one proof that a transaction was applied.
    pub fn proof(&self, hash: &TransactionHash) -> Option<AppliedProof> {
        let Applied { payload, block, place } = self.0.get(hash)?;
        let ballot = Ballot {
            height: block.header.height,
            view: block.header.proposed_view,
            kind: VoteKind::Finalize { block: block.block, result: block.result.hash() },
        };
        let vote = |(signer, key): &(ValidatorIndex, KeyPair)| {
            (*signer, Vote::sign(ballot, &CHAIN, *signer, key).signature)
        };
        let votes: Vec<_> = SIGNERS.iter().map(vote).collect();
        let leaves = block.receipts.iter().map(Receipt::leaf).collect();
        Some(AppliedProof {
            payload: HexBytes::new(payload.encode())?,
            path: Bounded::new(path(leaves, *place)).ok()?,
            result: block.result,
            finalization: Certificate::assemble(ballot, &votes, GENESIS.validators.count()),
        })
    }
}
