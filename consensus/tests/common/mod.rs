//! Dummies that both kinds of test speak: the core checks no signatures.

use tonle_model::block::BatchRef;
use tonle_model::hash::{BatchDigest, BlockHash, Digest256, ResultHash};
use tonle_model::key::{PublicKey, Signature};
use tonle_model::number::ValidatorIndex;
use tonle_model::vote::{Ballot, Vote};

/// A signature that only names its signer.
pub fn signature(signer: ValidatorIndex) -> Signature {
    let mut bytes = [0; 64];
    bytes[..2].copy_from_slice(&signer.0.to_le_bytes());
    Signature(bytes)
}

pub fn vote(ballot: Ballot, signer: ValidatorIndex) -> Vote {
    Vote { ballot, signer, signature: signature(signer) }
}

/// The reference of the batch with this number.
pub fn batch_ref(number: u64) -> BatchRef {
    let mut digest = [0; 32];
    digest[..8].copy_from_slice(&number.to_le_bytes());
    let author = PublicKey([0; 32]);
    BatchRef { digest: BatchDigest(Digest256(digest)), author, seq: number, tx_count: 1 }
}

/// What executing a block gives on an honest node.
pub fn result_of(block: BlockHash) -> ResultHash {
    let mut bytes = block.0;
    bytes.0[0] ^= 0xff;
    ResultHash(bytes)
}
