//! What shows the ledger itself that a transaction was applied (Recall): no ledger has to keep its
//! history to know its history.
//!
//! It is a [`super::Proof`] of a transaction without what a reader needs and a validator knows: the
//! header, for votes sign its hash, and the validators.

use parity_scale_codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use super::{Claim, Path, Proof, ProofError, reaches};
use crate::block::BlockResult;
use crate::decode::{self, DecodeError};
use crate::hash::{ChainHash, TransactionHash};
use crate::hex::HexBytes;
use crate::limits;
use crate::number::Height;
use crate::receipt::{Outcome, Receipt};
use crate::transaction::{self, Payload};
use crate::validators::ValidatorSet;
use crate::verify::Verifier;
use crate::vote::{Certificate, VoteKind};

/// A transaction, its place among the receipts of a block, and the quorum that signed them.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AppliedProof {
    /// SCALE of the transaction's payload. Bytes, so that no instruction holds instructions whose
    /// depth nobody bounds.
    pub payload: HexBytes<{ limits::TRANSACTION_BYTES_MAX }>,
    /// From its receipt to the receipts root.
    pub path: Path,
    /// What the block came to.
    pub result: BlockResult,
    /// Who decided the block, and signed the result.
    pub finalization: Certificate,
}

impl AppliedProof {
    /// The transaction that it is about.
    pub fn transaction(&self) -> TransactionHash {
        transaction::hash_payload(&self.payload)
    }

    /// What the transaction does.
    pub fn payload(&self) -> Result<Payload, DecodeError> {
        decode::all(&self.payload)
    }

    /// The height at which validators must have signed it.
    pub fn height(&self) -> Height {
        self.finalization.ballot.height
    }

    /// Checks that the validators of its height applied the transaction.
    pub fn check(
        &self,
        chain: &ChainHash,
        validators: &ValidatorSet,
        verifier: &Verifier,
    ) -> Result<(), ProofError> {
        let receipt = Receipt { transaction: self.transaction(), outcome: Outcome::Applied };
        reaches(receipt.leaf(), &self.path, &self.result.receipts_root)?;
        match self.finalization.ballot.kind {
            VoteKind::Finalize { result, .. } if result == self.result.hash() => {}
            _ => return Err(ProofError::OtherBlock { height: self.height() }),
        }
        Ok(self.finalization.verify(chain, validators, verifier)?)
    }
}

impl Proof {
    /// Of a proof of a transaction that has its payload, what shows the same to the ledger.
    pub fn to_applied(&self) -> Option<AppliedProof> {
        let Claim::Transaction { payload: Some(payload), .. } = &self.claim else { return None };
        Some(AppliedProof {
            payload: HexBytes::new(payload.encode())?,
            path: self.path.clone(),
            result: self.block.result,
            finalization: self.block.finalization.clone(),
        })
    }
}
