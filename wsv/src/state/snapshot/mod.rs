//! Snapshots: a state that was handed over, worth as much as one that was executed
//! (docs/decisions/0017-snapshots.md).
//!
//! A snapshot is a sequence of parts of at most [`PART_BYTES_MAX`]. [`Source`] cuts a node's
//! databases into them; [`Restore`] takes them one by one and writes nothing that it has not
//! checked against the genesis:
//!
//! | Part | What | Checked against |
//! |---|---|---|
//! | [`PartId::Manifest`] | a certified block, the changes of the validators, nodes of the state tree | genesis |
//! | [`PartId::Piece`] | the rows of one node | the node |
//! | [`PartId::Window`] | blocks of the last window from a place downward, with their batches | the certified block |
//!
//! Both are free of files and sockets: [`file`](write_file) puts the parts into a file, the node
//! sends them to peers.

#[cfg(feature = "disk")]
mod directory;
mod file;
mod joined;
mod manifest;
mod pieces;
mod restore;
mod source;
#[cfg(test)]
mod tests;
mod window;

use parity_scale_codec::{Decode, Encode};
use tonle_model::hash::{ChainHash, Digest256};
use tonle_model::number::Height;
use tonle_model::proof::ProofError;

use crate::chain::ChainError;
use crate::store::StoreError;

#[cfg(feature = "disk")]
pub use directory::{Target, TargetError, is_unfinished, needs_filling, open_source};
pub use file::{FileError, read_file, write_file};
pub(super) use joined::certified_changes;
pub use joined::{CertifiedChanges, Joined};
pub use restore::{Progress, Restore};
pub use source::Source;

/// The longest part, so that it fits into a frame with what names it.
pub const PART_BYTES_MAX: usize = if cfg!(test) { 32 * 1024 } else { 1024 * 1024 - 1024 };
/// Most parts of a manifest: 64 MiB.
pub const MANIFEST_PARTS_MAX: u32 = 64;
/// Most nodes that a manifest lists, each of up to a part: a state of 1 TiB.
pub const PIECES_MAX: usize = 1 << 20;

/// What there is to be had.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Offer {
    /// The network.
    pub chain: ChainHash,
    /// The height after which the state was like this.
    pub height: Height,
    /// How many parts the manifest has.
    pub manifest_parts: u32,
}

/// Names a part of a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub enum PartId {
    /// A stretch of the manifest, by number.
    #[codec(index = 0)]
    Manifest(u32),
    /// The rows of a node that the manifest lists. By what it is and not by its number: another
    /// manifest of the same state may cut it otherwise, and a false one may put a node where
    /// another is. Whoever has that other one has nothing of this name, so that it gives nothing
    /// that would be taken for a lie.
    #[codec(index = 1)]
    Piece {
        /// The first slot.
        first: u64,
        /// It has 2 to this power of slots, or a few less.
        level: u8,
        /// Its hash.
        root: Digest256,
    },
    /// Blocks from a place on downward, as many as fit.
    #[codec(index = 2)]
    Window(WindowPlace),
}

/// A place in the window: a block, or one of its batches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Encode, Decode)]
pub struct WindowPlace {
    /// The block.
    pub height: Height,
    /// 0 is the block itself, n its n-th batch.
    pub item: u16,
}

/// Why a snapshot was not taken, or not made.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// It is not what it claims to be: whoever gave it lies, or it was damaged.
    #[error("the snapshot is not valid: {0}")]
    Invalid(&'static str),
    /// The manifest does not fit the pieces that it lists: one has fewer or more slots than it
    /// says, or they tell of other changes of the validators. Whoever gave the manifest lied,
    /// whoever gave the pieces did not.
    #[error("the snapshot is not valid: its manifest does not fit its state")]
    FalseManifest,
    /// Its certificates do not lead from the genesis to its state.
    #[error("the snapshot is not valid: {0}")]
    Uncertified(#[from] ProofError),
    /// It belongs to another genesis.
    #[error("the snapshot is of network {found}, not of {expected}")]
    OtherNetwork {
        /// The network of the genesis.
        expected: ChainHash,
        /// The network of the snapshot.
        found: ChainHash,
    },
    /// There is only the genesis, which needs no snapshot.
    #[error("no block was committed yet: there is nothing to take a snapshot of")]
    Nothing,
    /// The disk failed, or the database is damaged.
    #[error(transparent)]
    Fatal(#[from] StoreError),
}

impl SnapshotError {
    /// Whether the snapshot is to blame, and not this machine.
    pub fn is_invalid(&self) -> bool {
        !matches!(self, Self::Nothing | Self::Fatal(_))
    }
}

impl From<ChainError> for SnapshotError {
    fn from(error: ChainError) -> Self {
        match error {
            ChainError::Fatal(error) => Self::Fatal(error),
            // Reading is never refused.
            other => Self::Fatal(StoreError::Io(other.to_string())),
        }
    }
}
