//! Objects of the right form, signed by nobody: the core checks no signatures.

use tonle_model::block::{BatchRef, Header};
use tonle_model::hash::{BatchDigest, BlockHash, Digest256, ResultHash};
use tonle_model::key::{PublicKey, Signature};
use tonle_model::number::ValidatorIndex;
use tonle_model::validators::quorum;
use tonle_model::vote::{Ballot, Certificate, Vote};

/// A signature that only names its signer.
pub fn signature(signer: ValidatorIndex) -> Signature {
    let mut bytes = [0; 64];
    bytes[..2].copy_from_slice(&signer.0.to_le_bytes());
    Signature(bytes)
}

/// A vote.
pub fn vote(ballot: Ballot, signer: ValidatorIndex) -> Vote {
    Vote { ballot, signer, signature: signature(signer) }
}

/// A quorum's certificate: of so many validators, all but those from `left_out` on, cyclically.
pub fn certificate(ballot: Ballot, validators: usize, left_out: usize) -> Certificate {
    let quorum = quorum(validators);
    let mut signers: Vec<_> = (validators - quorum..validators)
        .map(|place| ValidatorIndex(((left_out + place) % validators) as u16))
        .collect();
    signers.sort_unstable();
    let votes: Vec<_> = signers.into_iter().map(|signer| (signer, signature(signer))).collect();
    Certificate::assemble(ballot, &votes, validators)
}

/// The reference of the batch with this number.
pub fn batch(number: u8) -> BatchRef {
    let digest = BatchDigest(Digest256([number; 32]));
    BatchRef { digest, author: PublicKey([0; 32]), seq: number.into(), tx_count: 1 }
}

/// What executing a block comes to: `outcome` 0 on most nodes.
pub fn result(block: BlockHash, outcome: u8) -> ResultHash {
    let mut bytes = block.0;
    bytes.0[0] ^= 0xff - outcome;
    ResultHash(bytes)
}

/// The hash of a header, or of a block that nobody has.
pub fn hash(header: Option<&Header>) -> BlockHash {
    header.map_or(BlockHash(Digest256([0xee; 32])), Header::hash)
}
