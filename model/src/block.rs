//! A block: a header that names batches. What consensus decides is the header's hash.

use parity_scale_codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::bounded::Bounded;
use crate::hash::{BatchDigest, BlockHash, ChainHash, Digest256, ResultHash, TaggedHasher};
use crate::key::PublicKey;
use crate::number::{Height, ValidatorIndex, View};
use crate::{limits, tags};

/// Names one batch in a header. Every field must match the batch (consensus.md, Objects).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
pub struct BatchRef {
    /// The batch.
    pub digest: BatchDigest,
    /// Who sealed it.
    pub author: PublicKey,
    /// Its number among the author's batches.
    pub seq: u64,
    /// How many transactions it has.
    pub tx_count: u32,
}

/// What a leader proposes and validators vote on.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
pub struct Header {
    /// The network.
    pub chain: ChainHash,
    /// The block's place.
    pub height: Height,
    /// The block before; zero for genesis.
    pub parent: BlockHash,
    /// The outcome of executing the parent; zero for genesis.
    pub parent_result: ResultHash,
    /// Block time, milliseconds since 1970: the only clock of execution.
    pub timestamp_ms: u64,
    /// Who built the block.
    pub proposer: ValidatorIndex,
    /// The view it was built in; it may be decided in a later one.
    pub proposed_view: View,
    /// The batches, in the order of execution.
    pub batches: Bounded<BatchRef, { limits::HEADER_BATCHES_MAX }>,
}

impl Header {
    /// The block hash: a domain tag and the SCALE bytes of the header.
    pub fn hash(&self) -> BlockHash {
        BlockHash(TaggedHasher::new(tags::BLOCK).part(self.encode()).finish())
    }

    /// The header of block 0: zero parent, no batches, at the genesis time.
    pub fn genesis(chain: ChainHash, timestamp_ms: u64) -> Self {
        Self {
            chain,
            height: Height(0),
            parent: BlockHash::default(),
            parent_result: ResultHash::default(),
            timestamp_ms,
            proposer: ValidatorIndex(0),
            proposed_view: View(0),
            batches: Bounded::default(),
        }
    }

    /// How many transactions the batches claim to have.
    pub fn transaction_count(&self) -> u64 {
        self.batches.iter().map(|batch| u64::from(batch.tx_count)).sum()
    }
}

/// What executing a block came to; its hash is in every finalize vote and in the next header
/// (ledger.md, What is certified).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
pub struct BlockResult {
    /// Root of the state tree after the block.
    pub state_root: Digest256,
    /// Merkle root over (transaction hash, outcome) in block order.
    pub receipts_root: Digest256,
    /// Hash of the validator set of the next height.
    pub next_validators: Digest256,
}

impl BlockResult {
    /// `H(state_root, receipts_root, next_validators)`.
    pub fn hash(&self) -> ResultHash {
        let hasher = TaggedHasher::new(tags::RESULT);
        let parts =
            hasher.part(self.state_root).part(self.receipts_root).part(self.next_validators);
        ResultHash(parts.finish())
    }
}
