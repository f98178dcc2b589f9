//! How a key shows that it is there and wants to validate (RegisterValidator): a quorum of absent
//! keys would stop the network for ever.

use parity_scale_codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::hash::{BlockHash, ChainHash, Digest256, TaggedHasher};
use crate::key::{KeyPair, PublicKey, Signature};
use crate::number::Height;
use crate::tags;
use crate::validators::ValidatorSet;
use crate::verify::Verifier;
use crate::vote::{Certificate, VoteKind};

/// A block that the network decided lately, and the new validator's signature over it.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Joining {
    /// Of the block, by the validators of its height.
    pub finalization: Certificate,
    /// Of the new key, over [`Joining::signing_hash`].
    pub signature: Signature,
}

/// Why a key has not shown that it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoiningError {
    /// The certificate does not finalize a block of this network.
    #[error("the certificate does not show that the network decided a block")]
    Block,
    /// The signature is not the key's, or not over this block.
    #[error("the new key did not sign the block")]
    Signature,
}

impl Joining {
    /// Signs for a key that joins.
    pub fn sign(key: &KeyPair, chain: &ChainHash, finalization: Certificate) -> Option<Self> {
        let (height, block) = decided(&finalization)?;
        let signature = key.sign(Self::signing_hash(chain, height, &block).as_ref());
        Some(Self { finalization, signature })
    }

    /// What a key signs to join a network.
    pub fn signing_hash(chain: &ChainHash, height: Height, block: &BlockHash) -> Digest256 {
        TaggedHasher::new(tags::JOINING).part(chain).part(height.encode()).part(block).finish()
    }

    /// The height of the block.
    pub fn height(&self) -> Height {
        self.finalization.ballot.height
    }

    /// Checks that the validators of its height decided the block, and that the key signed it.
    pub fn check(
        &self,
        public_key: &PublicKey,
        chain: &ChainHash,
        validators: &ValidatorSet,
        verifier: &Verifier,
    ) -> Result<(), JoiningError> {
        let (height, block) = decided(&self.finalization).ok_or(JoiningError::Block)?;
        let message = Self::signing_hash(chain, height, &block);
        if !verifier.verify(public_key, message.as_ref(), &self.signature) {
            return Err(JoiningError::Signature);
        }
        self.finalization.verify(chain, validators, verifier).map_err(|_| JoiningError::Block)
    }
}

/// The block that a certificate finalizes.
fn decided(certificate: &Certificate) -> Option<(Height, BlockHash)> {
    match certificate.ballot.kind {
        VoteKind::Finalize { block, .. } => Some((certificate.ballot.height, block)),
        VoteKind::Notarize { .. } | VoteKind::Nullify => None,
    }
}
