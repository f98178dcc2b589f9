//! The manifest: what all other parts are checked against, and itself checked against the genesis.

use std::ops::Range;

use parity_scale_codec::{Decode, Encode};
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::genesis::Genesis;
use tonle_model::hash::{BlockHash, ChainHash, Digest256};
use tonle_model::number::Height;
use tonle_model::proof::{CertifiedBlock, Succession};
use tonle_model::validators::ValidatorSet;
use tonle_model::verify::Verifier;
use tonle_model::{decode, merkle};

use super::joined::CertifiedChanges;
use super::pieces::{Piece, root_over};
use super::{Offer, PIECES_MAX, SnapshotError};
use crate::state::tree::{SUBTREE_LEVELS, SUBTREE_SLOTS};

/// What the reader trusts, and what it checks signatures with.
pub struct Trust {
    pub chain: ChainHash,
    /// Those of the genesis.
    pub validators: ValidatorSet,
    /// The parent of block 1.
    pub genesis: BlockHash,
    pub verifier: Verifier,
}

impl Trust {
    /// Trust in a genesis.
    pub fn new(genesis: &Genesis) -> Self {
        let chain = genesis.chain();
        let header = Header::genesis(chain, genesis.created_ms);
        let validators = genesis.validators.clone();
        Self { chain, validators, genesis: header.hash(), verifier: Verifier::new() }
    }
}

/// What is certified of a snapshot, and how the state is cut.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Manifest {
    /// The last block; its result has the root of the state.
    pub block: CertifiedBlock,
    /// How the validators of its height came to follow those of the genesis.
    pub changes: CertifiedChanges,
    /// How many slots the state has, empty ones included.
    pub slots: u64,
    /// Nodes of the state tree that cover them, from the left.
    pub pieces: Bounded<Piece, PIECES_MAX>,
}

/// A manifest that leads from the genesis to a state.
pub struct Checked {
    pub manifest: Manifest,
    pub succession: Succession,
    /// The slots of each piece.
    pub slots: Vec<Range<u64>>,
    /// The roots of subtrees that are put together from pieces.
    pub cut_subtrees: Vec<(u64, Digest256)>,
}

impl Manifest {
    /// Reads a manifest and checks it against a genesis that the reader trusts.
    pub fn check(bytes: &[u8], offer: &Offer, trust: &Trust) -> Result<Checked, SnapshotError> {
        let manifest: Self =
            decode::all(bytes).map_err(|_| SnapshotError::Invalid("it has no manifest"))?;
        let Self { block, changes, .. } = &manifest;
        let height = block.header.height;
        if height != offer.height || height == Height(0) {
            return Err(SnapshotError::Invalid("it is of another height than it says"));
        }
        let Trust { chain, validators, verifier, .. } = trust;
        let succession = Succession::follow(chain, validators, changes, verifier)?;
        if succession.changed() >= height {
            return Err(SnapshotError::Invalid("the validators change after its block"));
        }
        block.check(chain, succession.last(), verifier)?;
        let slots = manifest.slots_of_pieces()?;
        let cut_subtrees = manifest.cut_subtrees(&slots);
        Ok(Checked { succession, slots, cut_subtrees, manifest })
    }

    /// The slots of each piece, if they are what the certified root is over.
    pub fn slots_of_pieces(&self) -> Result<Vec<Range<u64>>, SnapshotError> {
        let wrong = SnapshotError::Invalid("its pieces are not those of the certified state");
        let mut all = Vec::new();
        let mut next = 0;
        for piece in &self.pieces {
            let Some(slots) = piece.slots_from(next, self.slots) else { return Err(wrong) };
            next = slots.end;
            all.push(slots);
        }
        let root = root_over(self.pieces.iter()).unwrap_or_else(merkle::empty_root);
        match next == self.slots && root == self.block.result.state_root {
            true => Ok(all),
            false => Err(wrong),
        }
    }

    /// A node of a lower level than a subtree is a part of one, or all there is of the last; the
    /// rows of any other bring the roots of whole subtrees.
    fn cut_subtrees(&self, slots: &[Range<u64>]) -> Vec<(u64, Digest256)> {
        let small = |piece: &Piece| usize::from(piece.level) < SUBTREE_LEVELS;
        let parts: Vec<(u64, Piece)> = self
            .pieces
            .iter()
            .zip(slots)
            .filter(|(piece, _)| small(piece))
            .map(|(piece, slots)| (slots.start / SUBTREE_SLOTS, *piece))
            .collect();
        parts
            .chunk_by(|(left, _), (right, _)| left == right)
            .filter_map(|parts| {
                let (number, _) = parts.first()?;
                Some((*number, root_over(parts.iter().map(|(_, piece)| piece))?))
            })
            .collect()
    }
}
