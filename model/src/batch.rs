//! Batches: the unit of gossip, signature checking, storage and proposing.

use bytes::{BufMut, Bytes, BytesMut};
use parity_scale_codec::{Compact, Encode};

use crate::block::BatchRef;
use crate::decode::{self, DecodeError};
use crate::hash::{BatchDigest, ChainHash, Digest256, TaggedHasher};
use crate::key::{KeyPair, PublicKey, Signature};
use crate::transaction::{FormError, SignedTransaction};
use crate::verified::Verified;
use crate::verify::{Claim, Verifier};
use crate::{limits, merkle, tags};

/// Why a batch is refused; its author is to blame (consensus.md, Objects).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BatchError {
    /// Not SCALE of a batch.
    #[error("not a batch: {0}")]
    Malformed(#[from] DecodeError),
    /// Longer than [`limits::BATCH_BYTES_MAX`].
    #[error("the batch has {length} bytes where at most {} are allowed", limits::BATCH_BYTES_MAX)]
    TooLarge {
        /// Its length.
        length: usize,
    },
    /// None, or more than [`limits::BATCH_TRANSACTIONS_MAX`].
    #[error(
        "the batch has {count} transactions where 1 to {} are allowed",
        limits::BATCH_TRANSACTIONS_MAX
    )]
    Count {
        /// How many.
        count: usize,
    },
    /// A member is badly formed.
    #[error("transaction {position} of the batch: {error}")]
    Transaction {
        /// Its place in the batch.
        position: usize,
        /// What is wrong with it.
        error: FormError,
    },
    /// A member is for another network.
    #[error("transaction {position} of the batch is for another network")]
    Chain {
        /// Its place in the batch.
        position: usize,
    },
    /// The same signed bytes twice.
    #[error("transaction {position} of the batch stands in it before")]
    Repeated {
        /// The second one's place.
        position: usize,
    },
    /// The author's signature is wrong.
    #[error("the batch is not signed by its author")]
    AuthorSignature,
    /// A member's signature is wrong.
    #[error("the batch has transactions with wrong signatures")]
    TransactionSignature,
}

/// A well-formed batch with its original bytes. Its signatures are not checked yet.
#[derive(Debug, Clone)]
pub struct Batch {
    author: PublicKey,
    seq: u64,
    transactions: Vec<SignedTransaction>,
    signature: Signature,
    digest: BatchDigest,
    bytes: Bytes,
}

impl Batch {
    /// Seals checked transactions into a batch of one's own. The caller keeps within the limits
    /// and puts no signed bytes in twice.
    pub fn seal(
        chain: &ChainHash,
        key: &KeyPair,
        seq: u64,
        members: Vec<Verified<SignedTransaction>>,
    ) -> Verified<Self> {
        let author = key.public_key();
        let leaves = members.iter().map(|member| member.leaf()).collect();
        let digest = digest(&author, seq, leaves);
        let signature = key.sign(signing_hash(chain, &digest).as_ref());
        let mut bytes = BytesMut::new();
        bytes.put_slice(&(author, seq, Compact(members.len() as u32)).encode());
        let mut start = bytes.len();
        members.iter().for_each(|member| bytes.put_slice(member.bytes()));
        bytes.put_slice(&signature.encode());
        let bytes = bytes.freeze();
        // Each member becomes a view into the one buffer, and lets go of the request it came in.
        let view = |member: Verified<SignedTransaction>| {
            let end = start + member.bytes().len();
            let bytes = bytes.slice(start..end);
            start = end;
            member.into_inner().with_bytes(bytes)
        };
        let transactions = members.into_iter().map(view).collect();
        Verified::vouch(Self { author, seq, transactions, signature, digest, bytes })
    }

    /// Decodes a batch and checks all that does not need its signatures. Every member is a view
    /// into `bytes`.
    pub fn decode(chain: &ChainHash, bytes: Bytes) -> Result<Self, BatchError> {
        if bytes.len() > limits::BATCH_BYTES_MAX {
            return Err(BatchError::TooLarge { length: bytes.len() });
        }
        let mut input: &[u8] = &bytes;
        let author = decode::next(&mut input)?;
        let seq = decode::next(&mut input)?;
        let count = decode::next::<Compact<u32>>(&mut input)?.0 as usize;
        if !(1..=limits::BATCH_TRANSACTIONS_MAX).contains(&count) {
            return Err(BatchError::Count { count });
        }
        let mut rest = bytes.slice(bytes.len() - input.len()..);
        let (transactions, leaves) = decode_members(chain, &mut rest, count)?;
        let signature = decode::all(&rest)?;
        let digest = digest(&author, seq, leaves);
        Ok(Self { author, seq, transactions, signature, digest, bytes })
    }

    /// Checks the author's signature and every member's.
    pub fn verify(
        self,
        chain: &ChainHash,
        verifier: &Verifier,
    ) -> Result<Verified<Self>, BatchError> {
        if !verify_author(chain, &self.reference(), &self.signature, verifier) {
            return Err(BatchError::AuthorSignature);
        }
        let claims: Vec<Claim<'_>> =
            self.transactions.iter().flat_map(SignedTransaction::claims).collect();
        match verifier.verify_batch(&claims) {
            Ok(()) => Ok(Verified::vouch(self)),
            Err(_) => Err(BatchError::TransactionSignature),
        }
    }

    /// Checks the author's signature alone: for a batch that a quorum decided on. The digest that it
    /// decided on covers all of a batch but this signature, and the quorum checked the members'.
    pub fn verify_decided(
        self,
        chain: &ChainHash,
        verifier: &Verifier,
    ) -> Result<Verified<Self>, BatchError> {
        match verify_author(chain, &self.reference(), &self.signature, verifier) {
            true => Ok(Verified::vouch(self)),
            false => Err(BatchError::AuthorSignature),
        }
    }

    /// How a header names this batch.
    pub fn reference(&self) -> BatchRef {
        BatchRef {
            digest: self.digest,
            author: self.author,
            seq: self.seq,
            tx_count: self.transactions.len() as u32,
        }
    }

    /// The batch's name.
    pub fn digest(&self) -> BatchDigest {
        self.digest
    }

    /// Who sealed it.
    pub fn author(&self) -> &PublicKey {
        &self.author
    }

    /// The members in order.
    pub fn transactions(&self) -> &[SignedTransaction] {
        &self.transactions
    }

    /// The author's signature over the digest, which announcements repeat.
    pub fn signature(&self) -> &Signature {
        &self.signature
    }

    /// The encoded batch as it came.
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The block time after which none of its members can be in a block, in milliseconds.
    pub fn expires_ms(&self) -> u64 {
        let members = self.transactions.iter();
        members.map(|member| member.payload().expires_ms).max().unwrap_or(0)
    }

    /// How many signatures its members carry.
    pub fn signature_count(&self) -> usize {
        self.transactions.iter().map(|member| member.transaction().signatures.len()).sum()
    }
}

/// Whether the author of a named batch signed that name. The digest covers author, number and
/// count, so a reference whose digest was signed cannot lie about them once the batch is seen.
pub fn verify_author(
    chain: &ChainHash,
    reference: &BatchRef,
    signature: &Signature,
    verifier: &Verifier,
) -> bool {
    let message = signing_hash(chain, &reference.digest);
    verifier.verify(&reference.author, message.as_ref(), signature)
}

fn decode_members(
    chain: &ChainHash,
    rest: &mut Bytes,
    count: usize,
) -> Result<(Vec<SignedTransaction>, Vec<Digest256>), BatchError> {
    let mut transactions = Vec::new();
    let mut leaves = Vec::new();
    let mut seen = std::collections::HashSet::new();
    for position in 0..count {
        let member = SignedTransaction::decode_first(rest)
            .map_err(|error| BatchError::Transaction { position, error })?;
        if member.payload().chain != *chain {
            return Err(BatchError::Chain { position });
        }
        let leaf = member.leaf();
        if !seen.insert(leaf) {
            return Err(BatchError::Repeated { position });
        }
        transactions.push(member);
        leaves.push(leaf);
    }
    Ok((transactions, leaves))
}

fn digest(author: &PublicKey, seq: u64, leaves: Vec<Digest256>) -> BatchDigest {
    let head = (author, seq, leaves.len() as u32).encode();
    BatchDigest(TaggedHasher::new(tags::BATCH).part(head).part(merkle::root(leaves)).finish())
}

fn signing_hash(chain: &ChainHash, digest: &BatchDigest) -> Digest256 {
    TaggedHasher::new(tags::BATCH_SIGNATURE).part(chain).part(digest).finish()
}
