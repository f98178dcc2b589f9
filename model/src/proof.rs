//! Proofs that verify without a node: of a payment, of an entry of the state, or that there is
//! none (ledger.md, What is certified).
//!
//! A proof climbs from a leaf to a root, from the root to the result of a block, from the result to
//! the finalization that signs it, and from its signers to the validators of the genesis, which is
//! all that the reader has to trust. Whatever is read from the file is hashed or signed on that
//! way, or compared with what is. So a file in which any value was changed does not verify, with
//! one exception: the name of something absent is a question, and the same leaf may answer another
//! one, truly.
//!
//! **A path has neither index nor count.** Nothing certified says how many leaves a tree has, so a
//! count in the file would be a claim that nobody can check: with an odd node promoted, the last of
//! three leaves has the very path of the last of two. None is needed. Interior nodes hash under one
//! tag and each kind of leaf under its own, so what a path that ends in the root begins with is,
//! short of a collision, a leaf of that tree, promoted or not; and no claim here depends on where
//! it stands. The side of each sibling is bound by the root, for no two live leaves are equal.
//!
//! **The leaf of a slot whose entry was removed proves nothing.** Its key and its next key are
//! empty, which read as a leaf would say that there is no other key at all.
//!
//! **An invoice is forgotten after its expiry**, so its absence says that it is unpaid only in a
//! block that is not later.

mod applied;
mod entry;
#[cfg(test)]
mod tests;

use parity_scale_codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::block::{BlockResult, Header};
use crate::bounded::Bounded;
use crate::genesis::Genesis;
use crate::hash::{BlockHash, ChainHash, Digest256, TransactionHash};
use crate::number::Height;
use crate::receipt::{Outcome, Receipt};
use crate::transaction::Payload;
use crate::validators::{Validator, ValidatorSet};
use crate::verify::Verifier;
use crate::vote::{Ballot, Certificate, CertificateError, VoteKind};
use crate::{limits, merkle};

pub use applied::AppliedProof;
pub use entry::{
    AccountEntry, AccountStatus, BalanceEntry, Entry, InvoiceEntry, InvoiceName, KEY_BYTES_MAX,
    StateLeaf, VALUE_BYTES_MAX, Wanted,
};

/// Most levels of a tree: slots are numbered with 64 bits.
pub const PATH_MAX: usize = 64;
/// Longest file, in bytes.
pub const PROOF_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The node beside the one that was reached, and on which side of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Sibling {
    /// It comes first.
    #[codec(index = 0)]
    Left(Digest256),
    /// It comes second.
    #[codec(index = 1)]
    Right(Digest256),
}

/// From a leaf to the root; where a node was promoted there is no sibling.
pub type Path = Bounded<Sibling, PATH_MAX>;

/// The path of the leaf at `index`; empty if it is the only one, or if there is none there.
pub fn path(leaves: Vec<Digest256>, index: usize) -> Vec<Sibling> {
    let (mut level, mut index) = (leaves, index);
    let mut path = Vec::new();
    while level.len() > 1 {
        let sibling = level.get(index ^ 1).copied();
        path.extend(sibling.map(|sibling| match index & 1 {
            0 => Sibling::Right(sibling),
            _ => Sibling::Left(sibling),
        }));
        level = level.chunks(2).map(|pair| merkle::root(pair.to_vec())).collect();
        index /= 2;
    }
    path
}

/// Where a path from a leaf ends.
pub fn climb(leaf: Digest256, path: &[Sibling]) -> Digest256 {
    path.iter().fold(leaf, |node, sibling| match sibling {
        Sibling::Left(left) => merkle::node(left, &node),
        Sibling::Right(right) => merkle::node(&node, right),
    })
}

/// A block, what it came to, and the quorum that says so.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertifiedBlock {
    /// What was decided.
    pub header: Header,
    /// What executing it came to.
    pub result: BlockResult,
    /// Who decided it, and signed the result.
    pub finalization: Certificate,
}

impl CertifiedBlock {
    /// Checks that a quorum of these validators finalized this block with this result.
    ///
    /// # Errors
    ///
    /// [`ProofError`]; it says which of the three does not fit the others.
    pub fn check(
        &self,
        chain: &ChainHash,
        validators: &ValidatorSet,
        verifier: &Verifier,
    ) -> Result<(), ProofError> {
        check_network(chain, &self.header.chain)?;
        let block = self.header.hash();
        let signed = Ballot {
            height: self.header.height,
            // In which view it was decided is for the signatures to say.
            view: self.finalization.ballot.view,
            kind: VoteKind::Finalize { block, result: self.result.hash() },
        };
        if self.finalization.ballot != signed {
            return Err(ProofError::OtherBlock { height: self.header.height });
        }
        Ok(self.finalization.verify(chain, validators, verifier)?)
    }
}

/// The validators of a height as a file lists them; whether they are a set is checked on use.
pub type ValidatorList = Bounded<Validator, { limits::VALIDATORS_MAX }>;

/// A block after which others validate.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ValidatorChange {
    /// The block, decided by those before.
    pub block: CertifiedBlock,
    /// Those after, as its result names them.
    pub next_validators: ValidatorList,
}

/// What a proof is about, with the leaf that says so.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub enum Claim {
    /// A transaction was applied.
    Transaction {
        /// The leaf: the transaction and what became of it.
        receipt: Receipt,
        /// What it does, for the reader; its hash is that of the transaction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        payload: Option<Payload>,
    },
    /// The state has this entry.
    Presence {
        /// Which.
        wanted: Wanted,
        /// Its leaf.
        leaf: StateLeaf,
    },
    /// The state has no such entry.
    Absence {
        /// Which.
        wanted: Wanted,
        /// The leaf that stands before the place where it would be.
        leaf: StateLeaf,
    },
}

/// A proof, all in one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proof {
    /// The network.
    pub chain: ChainHash,
    /// What is proven.
    pub claim: Claim,
    /// From the leaf to the receipts root, or to the state root.
    pub path: Path,
    /// The block whose result has that root.
    pub block: CertifiedBlock,
    /// Who validates at its height.
    pub validators: ValidatorList,
    /// How they came to follow those of the genesis; empty if they are those.
    pub validator_changes: Bounded<ValidatorChange, { limits::VALIDATOR_CHANGES_MAX }>,
}

/// Why a file proves nothing.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Longer than [`PROOF_BYTES_MAX`].
    #[error("the file has {length} bytes where a proof has at most {PROOF_BYTES_MAX}")]
    TooLong {
        /// Its length.
        length: usize,
    },
    /// Not the JSON of a proof.
    #[error("not a proof: {0}")]
    Json(#[from] serde_json::Error),
    /// About another network than the genesis.
    #[error("it is about network {found}, not about {trusted}")]
    OtherNetwork {
        /// The network of the genesis.
        trusted: ChainHash,
        /// The network of the file.
        found: ChainHash,
    },
    /// The certificate is no finalization, or of another block, or of another result.
    #[error("the certificate does not finalize block {height} with this result")]
    OtherBlock {
        /// The block.
        height: Height,
    },
    /// Too few, or not the validators of that height, signed.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// A list that is no validator set, or not the one in force.
    #[error("the validators of height {height} do not follow from the genesis")]
    Validators {
        /// Where.
        height: Height,
    },
    /// The path does not lead from the leaf to the root.
    #[error("the block does not contain this")]
    NotInBlock,
    /// The transaction changed nothing.
    #[error("the transaction was {0}: it was not applied")]
    NotApplied(&'static str),
    /// The payload is that of another transaction.
    #[error("the payload belongs to another transaction")]
    OtherPayload,
    /// The leaf is another entry's, does not span the place, or is that of a removed entry.
    #[error("the leaf says nothing about this entry")]
    OtherLeaf,
    /// The value is not one that such an entry has.
    #[error("the value of the entry cannot be read")]
    Value,
    /// An invoice that is absent because it expired.
    #[error(
        "the invoice expired at {expires_ms}, before this block: it may have been paid and forgotten"
    )]
    Forgotten {
        /// Its expiry.
        expires_ms: u64,
    },
}

/// What a proof has proven, and as of when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Proven {
    /// The height of the block.
    pub height: Height,
    /// Its hash.
    pub block: BlockHash,
    /// Its time, milliseconds since 1970: later blocks may have changed an entry of the state.
    pub timestamp_ms: u64,
    /// How many validators signed.
    pub signers: usize,
    /// Of how many.
    pub validators: usize,
    /// What.
    pub fact: Fact,
}

/// What was proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fact {
    /// Every step of the transaction took effect, in this block.
    Applied {
        /// The transaction.
        transaction: TransactionHash,
        /// What it does, if the file tells.
        #[serde(skip_serializing_if = "Option::is_none")]
        payload: Option<Payload>,
    },
    /// After this block the state had this entry.
    Present(Entry),
    /// After this block the state had no such entry.
    Absent(Wanted),
}

impl Proof {
    /// Reads a file.
    pub fn from_json(text: &str) -> Result<Self, ProofError> {
        match text.len() {
            length if length > PROOF_BYTES_MAX => Err(ProofError::TooLong { length }),
            _ => Ok(serde_json::from_str(text)?),
        }
    }

    /// Checks everything against a genesis that the reader trusts.
    pub fn verify(&self, genesis: &Genesis) -> Result<Proven, ProofError> {
        check_network(&genesis.chain(), &self.chain)?;
        let verifier = Verifier::new();
        let validators = self.validators_in_force(genesis, &verifier)?;
        self.block.check(&self.chain, &validators, &verifier)?;
        let CertifiedBlock { header, result, finalization } = &self.block;
        let fact = self.claim.check(&self.path, header, result)?;
        Ok(Proven {
            height: header.height,
            block: header.hash(),
            timestamp_ms: header.timestamp_ms,
            signers: finalization.signatures.len(),
            validators: validators.count(),
            fact,
        })
    }

    /// Follows the changes from the genesis to the validators of the block.
    fn validators_in_force(
        &self,
        genesis: &Genesis,
        verifier: &Verifier,
    ) -> Result<ValidatorSet, ProofError> {
        let (first, changes) = (&genesis.validators, &self.validator_changes);
        let succession = Succession::follow(&self.chain, first, changes, verifier)?;
        let height = self.block.header.height;
        let validators = succession.last();
        match height > succession.changed()
            && validator_set(&self.validators, height)? == *validators
        {
            true => Ok(validators.clone()),
            false => Err(ProofError::Validators { height }),
        }
    }
}

/// Who validated when, as certified from the genesis on.
///
/// A change that was left out shows, unless those who signed later are a quorum of those before as
/// well, under the same numbers: then both sets vouch for the same. Otherwise a quorum of those
/// before signs nothing higher, as long as they were honest then and their keys are still theirs.
#[derive(Debug, Clone)]
pub struct Succession {
    /// Each set that is no more, with the last height that it decided, ascending.
    past: Vec<(Height, ValidatorSet)>,
    last: ValidatorSet,
}

impl Succession {
    /// Follows certified changes from the network and the validators of a genesis that the reader
    /// trusts.
    ///
    /// # Errors
    ///
    /// [`ProofError`], if a change is not certified by the set before it, or changes nothing.
    pub fn follow(
        chain: &ChainHash,
        first: &ValidatorSet,
        changes: &[ValidatorChange],
        verifier: &Verifier,
    ) -> Result<Self, ProofError> {
        let mut succession = Self { past: Vec::new(), last: first.clone() };
        for ValidatorChange { block, next_validators } in changes {
            block.check(chain, &succession.last, verifier)?;
            let height = block.header.height;
            let next = validator_set(next_validators, height)?;
            let follows = next.hash() == block.result.next_validators;
            // One that changes nothing could be put in and taken out at will.
            if !follows || height <= succession.changed() || next == succession.last {
                return Err(ProofError::Validators { height });
            }
            let before = std::mem::replace(&mut succession.last, next);
            succession.past.push((height, before));
        }
        Ok(succession)
    }

    /// The height of the last change; 0 if those of the genesis still validate.
    pub fn changed(&self) -> Height {
        self.past.last().map_or(Height(0), |(height, _)| *height)
    }

    /// Those after the last change.
    pub fn last(&self) -> &ValidatorSet {
        &self.last
    }

    /// Those who decided a height.
    pub fn at(&self, height: Height) -> &ValidatorSet {
        let past = self.past.iter().find(|(last, _)| *last >= height);
        past.map_or(&self.last, |(_, validators)| validators)
    }
}

impl Claim {
    fn check(
        &self,
        path: &[Sibling],
        header: &Header,
        result: &BlockResult,
    ) -> Result<Fact, ProofError> {
        match self {
            Self::Transaction { receipt, payload } => {
                reaches(receipt.leaf(), path, &result.receipts_root)?;
                applied(receipt, payload.as_ref())
            }
            Self::Presence { wanted, leaf } => {
                reaches(leaf.hash(), path, &result.state_root)?;
                if leaf.key[..] != wanted.key() {
                    return Err(ProofError::OtherLeaf);
                }
                wanted.read(&leaf.value).map(Fact::Present).ok_or(ProofError::Value)
            }
            Self::Absence { wanted, leaf } => {
                reaches(leaf.hash(), path, &result.state_root)?;
                if !leaf.skips(&wanted.key()) {
                    return Err(ProofError::OtherLeaf);
                }
                match wanted {
                    Wanted::Invoice(InvoiceName { expires_ms, .. })
                        if header.timestamp_ms > *expires_ms =>
                    {
                        Err(ProofError::Forgotten { expires_ms: *expires_ms })
                    }
                    _ => Ok(Fact::Absent(wanted.clone())),
                }
            }
        }
    }
}

fn applied(receipt: &Receipt, payload: Option<&Payload>) -> Result<Fact, ProofError> {
    if let Outcome::Rejected { code, .. } = receipt.outcome {
        return Err(ProofError::NotApplied(code.code()));
    }
    match payload {
        Some(payload) if payload.hash() != receipt.transaction => Err(ProofError::OtherPayload),
        _ => Ok(Fact::Applied { transaction: receipt.transaction, payload: payload.cloned() }),
    }
}

fn check_network(trusted: &ChainHash, found: &ChainHash) -> Result<(), ProofError> {
    match trusted == found {
        true => Ok(()),
        false => Err(ProofError::OtherNetwork { trusted: *trusted, found: *found }),
    }
}

/// The set that a list is, which must be in canonical order: one set has one form.
fn validator_set(list: &ValidatorList, height: Height) -> Result<ValidatorSet, ProofError> {
    let set = ValidatorSet::new(list.to_vec()).map_err(|_| ProofError::Validators { height })?;
    match set.iter().eq(list.iter()) {
        true => Ok(set),
        false => Err(ProofError::Validators { height }),
    }
}

fn reaches(leaf: Digest256, path: &[Sibling], root: &Digest256) -> Result<(), ProofError> {
    match climb(leaf, path) == *root {
        true => Ok(()),
        false => Err(ProofError::NotInBlock),
    }
}
