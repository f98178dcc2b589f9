//! Transactions: steps, each an instruction by an authority, all or none (ledger.md, Transaction).

use bytes::Bytes;
use parity_scale_codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::bounded::Bounded;
use crate::decode::{self, DecodeError};
use crate::hash::{ChainHash, Digest256, TaggedHasher, TransactionHash};
use crate::id::AccountId;
use crate::instruction::Instruction;
use crate::key::{KeyPair, PublicKey, Signature};
use crate::string::Text;
use crate::verify::{Claim, Verifier};
use crate::{limits, tags};

/// One instruction and who acts.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Step {
    /// The account whose right and signatures carry the instruction.
    pub authority: AccountId,
    /// What it does.
    pub instruction: Instruction,
}

/// The signed part of a transaction.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Payload {
    /// The network it is for.
    pub chain: ChainHash,
    /// Not valid before, in milliseconds since 1970.
    pub created_ms: u64,
    /// Not valid after, in milliseconds since 1970.
    pub expires_ms: u64,
    /// Tells apart transactions that are otherwise the same.
    pub nonce: u64,
    /// Applies once per authority within the window, whatever else changes: makes a re-signed
    /// retry safe.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Text<{ limits::REFERENCE_BYTES_MAX }>>,
    /// In order; all apply or none.
    pub steps: Bounded<Step, { limits::STEPS_MAX }>,
}

impl Payload {
    /// The transaction's hash, which is what signatures sign. The payload begins with the chain
    /// hash, so a transaction for one network is void on another.
    pub fn hash(&self) -> TransactionHash {
        hash_payload(&self.encode())
    }

    /// Signs for every key given.
    pub fn sign(self, keys: &[&KeyPair]) -> Transaction {
        let hash = self.hash();
        let signatures = keys.iter().map(|key| TransactionSignature {
            public_key: key.public_key(),
            signature: key.sign(hash.as_ref()),
        });
        // More keys than fit are refused like any other bad form, where the transaction is checked.
        let signatures = signatures.take(limits::SIGNATURES_MAX).collect();
        Transaction { payload: self, signatures: Bounded::new(signatures).unwrap_or_default() }
    }
}

/// The hash of the transaction whose payload has these bytes.
pub(crate) fn hash_payload(bytes: &[u8]) -> TransactionHash {
    TransactionHash(TaggedHasher::new(tags::TRANSACTION).part(bytes).finish())
}

/// A signature and whose it is.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TransactionSignature {
    /// The signatory's key.
    pub public_key: PublicKey,
    /// Its signature over the transaction hash.
    pub signature: Signature,
}

/// A transaction as a client builds it. On its way it is a [`SignedTransaction`].
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Transaction {
    /// What is signed.
    pub payload: Payload,
    /// By whom.
    pub signatures: Bounded<TransactionSignature, { limits::SIGNATURES_MAX }>,
}

/// Why bytes are no transaction, or one that nobody may relay. Depends on the bytes alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FormError {
    /// Not SCALE of a transaction, not canonical, or past a length limit.
    #[error("not a transaction: {0}")]
    Malformed(#[from] DecodeError),
    /// Longer than [`limits::TRANSACTION_BYTES_MAX`].
    #[error(
        "the transaction has {length} bytes where at most {} are allowed",
        limits::TRANSACTION_BYTES_MAX
    )]
    TooLarge {
        /// Its length.
        length: usize,
    },
    /// Nothing to do.
    #[error("the transaction has no steps")]
    NoSteps,
    /// Nobody signed.
    #[error("the transaction has no signatures")]
    NoSignatures,
    /// A key signed twice; a signatory counts once.
    #[error("key {0} signed twice")]
    RepeatedSignature(PublicKey),
    /// It ends before it begins.
    #[error("the transaction expires before it is created")]
    EmptyWindow,
}

/// A well-formed transaction with its original bytes, which are what is hashed and relayed.
/// Its signatures are not checked yet: see [`crate::verified::Verified`].
#[derive(Debug, Clone)]
pub struct SignedTransaction {
    transaction: Transaction,
    hash: TransactionHash,
    bytes: Bytes,
}

impl SignedTransaction {
    /// Decodes one transaction and nothing after it.
    pub fn decode(bytes: Bytes) -> Result<Self, FormError> {
        let mut rest = bytes.clone();
        let decoded = Self::decode_first(&mut rest)?;
        match rest.is_empty() {
            true => Ok(decoded),
            false => Err(DecodeError::Trailing { bytes: rest.len() }.into()),
        }
    }

    /// Takes one transaction off the front of `rest`, keeping its bytes.
    pub fn decode_first(rest: &mut Bytes) -> Result<Self, FormError> {
        let start = rest.clone();
        let mut input: &[u8] = &start;
        let payload = decode::next(&mut input)?;
        let payload_length = start.len() - input.len();
        let signatures = decode::next(&mut input)?;
        let length = start.len() - input.len();
        if length > limits::TRANSACTION_BYTES_MAX {
            return Err(FormError::TooLarge { length });
        }
        let transaction = Transaction { payload, signatures };
        check_form(&transaction)?;
        *rest = start.slice(length..);
        let hash = hash_payload(&start[..payload_length]);
        Ok(Self { transaction, hash, bytes: start.slice(..length) })
    }

    /// Encodes and checks a transaction built here or read from JSON.
    pub fn from_transaction(transaction: &Transaction) -> Result<Self, FormError> {
        Self::decode(transaction.encode().into())
    }

    /// The same transaction with its bytes elsewhere.
    pub(crate) fn with_bytes(self, bytes: Bytes) -> Self {
        debug_assert_eq!(self.bytes, bytes, "the same bytes");
        Self { bytes, ..self }
    }

    /// The decoded transaction.
    pub fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// The signed part.
    pub fn payload(&self) -> &Payload {
        &self.transaction.payload
    }

    /// Names the transaction; independent of its signatures.
    pub fn hash(&self) -> TransactionHash {
        self.hash
    }

    /// The complete signed bytes as they came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The batch leaf: over the complete signed bytes, so that two copies with different
    /// signatures never share a digest (consensus.md, Objects).
    pub fn leaf(&self) -> Digest256 {
        TaggedHasher::new(tags::BATCH_LEAF).part(&self.bytes).finish()
    }

    /// The signatures as claims to check.
    pub fn claims(&self) -> impl Iterator<Item = Claim<'_>> {
        self.transaction.signatures.iter().map(|signed| Claim {
            public_key: &signed.public_key,
            message: self.hash.as_ref(),
            signature: &signed.signature,
        })
    }

    /// The keys that signed.
    pub fn signers(&self) -> impl Iterator<Item = &PublicKey> {
        self.transaction.signatures.iter().map(|signed| &signed.public_key)
    }

    /// Whether every signature is valid.
    pub fn verify(&self, verifier: &Verifier) -> bool {
        verifier.verify_batch(&self.claims().collect::<Vec<_>>()).is_ok()
    }
}

fn check_form(transaction: &Transaction) -> Result<(), FormError> {
    if transaction.payload.steps.is_empty() {
        return Err(FormError::NoSteps);
    }
    if transaction.signatures.is_empty() {
        return Err(FormError::NoSignatures);
    }
    if transaction.payload.expires_ms < transaction.payload.created_ms {
        return Err(FormError::EmptyWindow);
    }
    let signatures = &transaction.signatures;
    for (position, signed) in signatures.iter().enumerate() {
        if signatures.iter().take(position).any(|earlier| earlier.public_key == signed.public_key) {
            return Err(FormError::RepeatedSignature(signed.public_key));
        }
    }
    Ok(())
}
