//! A seeded network of cores on virtual time: loss, reordering, crashes that lose what was not
//! persisted, and one equivocating member. One seed is one run.

pub mod adversary;
pub mod network;
pub mod node;
pub mod oracle;
pub mod random;

use tonle_consensus::Message;
use tonle_model::block::Header;
use tonle_model::hash::BlockHash;
use tonle_model::key::Signature;
use tonle_model::number::{Height, ValidatorIndex};
use tonle_model::vote::Certificate;

/// What simulated nodes send each other.
#[derive(Debug, Clone)]
#[expect(clippy::large_enum_variant, reason = "a simulation")]
pub enum Wire {
    Message(Message),
    Batch(u64),
    BatchRequest(u64),
    HeaderRequest(BlockHash),
    Header(Header),
    BlocksRequest { from: Height, count: u64 },
    Blocks { from: Height, blocks: Vec<(Header, Certificate)>, asked: bool },
}

/// Who made a dummy signature.
pub fn signer(signature: &Signature) -> ValidatorIndex {
    ValidatorIndex(u16::from_le_bytes([signature.0[0], signature.0[1]]))
}
