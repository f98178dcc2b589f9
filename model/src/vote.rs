//! What validators say to each other about a height: votes, certificates, proposals, status.
//!
//! A verb names a vote (*notarize*, *nullify*, *finalize*), its noun the certificate made of a
//! quorum of them (*notarization*, *nullification*, *finalization*).

use parity_scale_codec::{Decode, Encode, MaxEncodedLen};
use serde::{Deserialize, Serialize};

use crate::block::Header;
use crate::bounded::Bounded;
use crate::hash::{BlockHash, ChainHash, Digest256, ResultHash, TaggedHasher};
use crate::key::{KeyPair, Signature};
use crate::number::{Height, ValidatorIndex, View};
use crate::validators::{ValidatorSet, quorum};
use crate::verify::Verifier;
use crate::{limits, tags};

/// What a vote says about its view.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    MaxEncodedLen,
    Serialize,
    Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum VoteKind {
    /// "This block is valid here": at most one per view.
    #[codec(index = 0)]
    Notarize {
        /// The block.
        block: BlockHash,
    },
    /// "Let us leave this view."
    #[codec(index = 1)]
    Nullify,
    /// "I executed this notarized block and got this result."
    #[codec(index = 2)]
    Finalize {
        /// The block.
        block: BlockHash,
        /// The hash of its [`crate::block::BlockResult`].
        result: ResultHash,
    },
}

/// The matter of a vote: what q signatures must agree on to be a certificate.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Encode,
    Decode,
    MaxEncodedLen,
    Serialize,
    Deserialize,
)]
pub struct Ballot {
    /// The height voted on.
    pub height: Height,
    /// The view voted in.
    pub view: View,
    /// What is said.
    pub kind: VoteKind,
}

impl Ballot {
    /// What a vote signs: domain tag, chain, height, view, kind. The kind's index byte keeps any
    /// two kinds apart.
    pub fn signing_hash(&self, chain: &ChainHash) -> Digest256 {
        TaggedHasher::new(tags::VOTE).part(chain).part(self.encode()).finish()
    }
}

/// One validator's signed ballot.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode, MaxEncodedLen, Serialize, Deserialize,
)]
pub struct Vote {
    /// What it says.
    pub ballot: Ballot,
    /// Who says it, in the validator set of the ballot's height.
    pub signer: ValidatorIndex,
    /// The signer's signature over [`Ballot::signing_hash`].
    pub signature: Signature,
}

impl Vote {
    /// Signs a ballot. The one place where votes are made.
    pub fn sign(ballot: Ballot, chain: &ChainHash, signer: ValidatorIndex, key: &KeyPair) -> Self {
        let signature = key.sign(ballot.signing_hash(chain).as_ref());
        Self { ballot, signer, signature }
    }

    /// Whether the signer is in the set and signed this.
    pub fn verify(
        &self,
        chain: &ChainHash,
        validators: &ValidatorSet,
        verifier: &Verifier,
    ) -> bool {
        validators.get(self.signer).is_some_and(|validator| {
            let message = self.ballot.signing_hash(chain);
            verifier.verify(&validator.public_key, message.as_ref(), &self.signature)
        })
    }
}

/// Exactly a quorum of votes of equal content, in canonical form: signers ascending, no spare
/// bits, as many signatures as signers.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode, Serialize, Deserialize)]
pub struct Certificate {
    /// What the quorum says.
    pub ballot: Ballot,
    /// Bit `i % 8` of byte `i / 8` is set if validator `i` signed.
    pub signers: Bounded<u8, { limits::VALIDATORS_MAX.div_ceil(8) }>,
    /// The signatures in the order of the bits.
    pub signatures: Bounded<Signature, { limits::VALIDATORS_MAX }>,
}

/// Why a certificate proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Bitmap of another length, bits past the last validator, or signatures to spare.
    #[error("the certificate is not in canonical form")]
    NotCanonical,
    /// Not exactly q signers.
    #[error("the certificate has {signers} signers where the quorum is {quorum}")]
    NotQuorum {
        /// How many signed.
        signers: usize,
        /// How many must.
        quorum: usize,
    },
    /// At least one signature is wrong.
    #[error("the certificate has a wrong signature")]
    Signature,
}

impl Certificate {
    /// Puts votes together. `votes` must be one per signer, ascending, of equal content; it is for
    /// the caller to have collected exactly a quorum of them.
    pub fn assemble(
        ballot: Ballot,
        votes: &[(ValidatorIndex, Signature)],
        validators: usize,
    ) -> Self {
        debug_assert!(votes.windows(2).all(|pair| pair[0].0 < pair[1].0), "signers ascend");
        debug_assert_eq!(votes.len(), quorum(validators), "exactly a quorum");
        let mut bitmap = vec![0u8; validators.div_ceil(8)];
        for (signer, _) in votes {
            if let Some(byte) = bitmap.get_mut(signer.position() / 8) {
                *byte |= 1 << (signer.position() % 8);
            }
        }
        let signatures = votes.iter().map(|(_, signature)| *signature).collect();
        Self {
            ballot,
            signers: Bounded::new(bitmap).unwrap_or_default(),
            signatures: Bounded::new(signatures).unwrap_or_default(),
        }
    }

    /// Who signed, ascending.
    pub fn signers(&self) -> impl Iterator<Item = ValidatorIndex> {
        (0u16..).zip(self.signers.iter()).flat_map(|(byte, bits)| {
            (0..8u16)
                .filter(move |bit| bits & (1 << bit) != 0)
                .map(move |bit| ValidatorIndex(byte * 8 + bit))
        })
    }

    /// Checks form, quorum and every signature.
    pub fn verify(
        &self,
        chain: &ChainHash,
        validators: &ValidatorSet,
        verifier: &Verifier,
    ) -> Result<(), CertificateError> {
        let signers: Vec<_> = self.signers().collect();
        let in_range = signers.iter().all(|signer| signer.position() < validators.count());
        let canonical = self.signers.len() == validators.count().div_ceil(8)
            && in_range
            && self.signatures.len() == signers.len();
        if !canonical {
            return Err(CertificateError::NotCanonical);
        }
        if signers.len() != validators.quorum() {
            return Err(CertificateError::NotQuorum {
                signers: signers.len(),
                quorum: validators.quorum(),
            });
        }
        let message = self.ballot.signing_hash(chain);
        let all_valid = signers.iter().zip(&self.signatures).all(|(signer, signature)| {
            validators.get(*signer).is_some_and(|validator| {
                verifier.verify(&validator.public_key, message.as_ref(), signature)
            })
        });
        if all_valid { Ok(()) } else { Err(CertificateError::Signature) }
    }
}

/// Why a leader may propose in its view (consensus.md, Objects: Proposal).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default, Encode, Decode)]
pub struct Justification {
    /// The notarization of the highest notarized earlier view the leader knows, if any.
    pub notarization: Option<Certificate>,
    /// The nullification of every view since, ascending.
    pub nullifications: Bounded<Certificate, { limits::JUSTIFICATION_NULLIFICATIONS_MAX }>,
}

/// A leader's proposal: a new block, or the notarized one again.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Proposal {
    /// The height, which is also the header's.
    pub height: Height,
    /// The view it is for.
    pub view: View,
    /// The block.
    pub header: Header,
    /// Why it may be proposed here.
    pub justification: Justification,
    /// The leader's signature over [`Proposal::signing_hash`].
    pub signature: Signature,
}

impl Proposal {
    /// What a leader signs. The justification is left out: its certificates prove themselves, and
    /// two proposals are in conflict only if their headers differ.
    pub fn signing_hash(
        chain: &ChainHash,
        height: Height,
        view: View,
        block: &BlockHash,
    ) -> Digest256 {
        let hasher = TaggedHasher::new(tags::PROPOSAL).part(chain);
        hasher.part((height, view).encode()).part(block).finish()
    }
}

/// Where a node is, and the latest vote of the receiver that it has seen: a validator that lost
/// its log learns from it that it did (consensus.md, What is durable before what).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Encode, Decode)]
pub struct Status {
    /// The height being decided.
    pub height: Height,
    /// The view the sender is in.
    pub view: View,
    /// The receiver's latest vote known to the sender, by height, then view.
    pub latest_of_receiver: Option<Vote>,
}
