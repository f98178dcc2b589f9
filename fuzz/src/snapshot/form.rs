//! The form of a snapshot's parts, laid out here as docs/src/encodings.md has it. The conformance
//! vectors are read with it too.

use parity_scale_codec::{Decode, Encode};
use tonle_model::decode;
use tonle_model::hash::Digest256;
use tonle_model::proof::CertifiedBlock;
use tonle_model::receipt::Outcome;
use tonle_wsv::state::snapshot::CertifiedChanges;

/// The last block, the changes of the validators, how many slots there are, and the pieces: level
/// and root.
pub type Manifest = (CertifiedBlock, CertifiedChanges, u64, Vec<(u8, Digest256)>);

/// What a part of the window is a list of.
#[derive(Encode, Decode)]
pub enum Item {
    /// A block, and what became of its transactions.
    #[codec(index = 0)]
    Block(Box<CertifiedBlock>, Vec<Option<Outcome>>),
    /// The next batch of the block.
    #[codec(index = 1)]
    Batch(Vec<u8>),
}

fn list<T: Decode>(mut part: &[u8]) -> Vec<T> {
    let mut items = Vec::new();
    while !part.is_empty() {
        items.push(decode::next(&mut part).expect("a true part"));
    }
    items
}

/// The rows of a piece.
pub fn rows(part: &[u8]) -> Vec<Vec<u8>> {
    list(part)
}

/// The blocks and batches of a part of the window.
pub fn items(part: &[u8]) -> Vec<Item> {
    list(part)
}
