//! What was decided and applied, and what shows it: the validators' signatures are made when they
//! are asked for.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use parity_scale_codec::Encode;
use tonle_model::bounded::Bounded;
use tonle_model::hash::TransactionHash;
use tonle_model::hex::HexBytes;
use tonle_model::joining::Joining;
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::number::{Height, ValidatorIndex};
use tonle_model::proof::{AppliedProof, path};
use tonle_model::receipt::{Outcome, Receipt};
use tonle_model::transaction::{Payload, SignedTransaction};
use tonle_model::validators::ValidatorSet;
use tonle_model::vote::{Ballot, Certificate, Vote, VoteKind};
use tonle_wsv::state::CommittedBlock;

use super::world::{CHAIN, VALIDATORS, validator_key};

/// Keys that validate or may come to. Making one takes longer than executing a transaction.
static KEYS: LazyLock<BTreeMap<PublicKey, &KeyPair>> = LazyLock::new(|| {
    let keys = VALIDATORS.iter().map(|name| validator_key(name));
    keys.map(|key| (key.public_key(), key)).collect()
});

/// A block and who decided it.
#[derive(Debug, Clone)]
struct Decided {
    block: Arc<CommittedBlock>,
    validators: Arc<ValidatorSet>,
}

/// A transaction that was applied.
#[derive(Debug, Clone)]
struct Applied {
    payload: Payload,
    height: Height,
    /// Its place among the receipts.
    place: usize,
}

/// All committed blocks, and what was applied in them.
#[derive(Debug, Clone, Default)]
pub struct Archive {
    blocks: BTreeMap<Height, Decided>,
    applied: BTreeMap<TransactionHash, Applied>,
}

impl Archive {
    /// Keeps a block that these validators decided.
    pub fn add(
        &mut self,
        block: &Arc<CommittedBlock>,
        validators: &Arc<ValidatorSet>,
        transactions: &[SignedTransaction],
    ) {
        let height = block.header.height;
        let decided = Decided { block: block.clone(), validators: validators.clone() };
        self.blocks.insert(height, decided);
        for (place, receipt) in block.receipts.iter().enumerate() {
            let named = transactions.iter().find(|one| one.hash() == receipt.transaction);
            if let (Outcome::Applied, Some(transaction)) = (receipt.outcome, named) {
                let payload = transaction.payload().clone();
                self.applied.insert(receipt.transaction, Applied { payload, height, place });
            }
        }
    }

    /// What was applied.
    pub fn payloads(&self) -> impl Iterator<Item = (&TransactionHash, &Payload)> {
        self.applied.iter().map(|(hash, applied)| (hash, &applied.payload))
    }

    /// What a transaction did, if it was applied.
    pub fn payload(&self, hash: &TransactionHash) -> Option<&Payload> {
        self.applied.get(hash).map(|applied| &applied.payload)
    }

    /// The one proof that a transaction was applied.
    pub fn proof(&self, hash: &TransactionHash) -> Option<AppliedProof> {
        let Applied { payload, height, place } = self.applied.get(hash)?;
        let decided = self.blocks.get(height)?;
        let leaves = decided.block.receipts.iter().map(Receipt::leaf).collect();
        Some(AppliedProof {
            payload: HexBytes::new(payload.encode())?,
            path: Bounded::new(path(leaves, *place)).ok()?,
            result: decided.block.result,
            finalization: decided.finalization(),
        })
    }

    /// The one way to show that a key is there, with the block of a height.
    pub fn joining(&self, height: Height, key: &PublicKey) -> Option<Joining> {
        let finalization = self.blocks.get(&height)?.finalization();
        Joining::sign(KEYS.get(key)?, &CHAIN, finalization)
    }
}

impl Decided {
    /// By the first validators of the set that are a quorum.
    fn finalization(&self) -> Certificate {
        let block = &self.block;
        let ballot = Ballot {
            height: block.header.height,
            view: block.header.proposed_view,
            kind: VoteKind::Finalize { block: block.block, result: block.result.hash() },
        };
        let members = (0..).map(ValidatorIndex).zip(self.validators.iter());
        let votes: Vec<_> = members
            .take(self.validators.quorum())
            .map(|(signer, member)| {
                let key = KEYS[&member.public_key];
                (signer, Vote::sign(ballot, &CHAIN, signer, key).signature)
            })
            .collect();
        Certificate::assemble(ballot, &votes, self.validators.count())
    }
}
