//! What nodes say to each other, one message per frame.
//!
//! A frame is the SCALE form of a [`Wire`] and nothing else. A batch frame is the kind byte and
//! the batch as its author encoded it, so relaying costs no encoding.

use bytes::{BufMut, Bytes, BytesMut};
use parity_scale_codec::{Decode, Encode, Error, Input, Output};
use tonle_consensus::Message;
use tonle_model::batch::Batch;
use tonle_model::block::{BatchRef, Header};
use tonle_model::bounded::Bounded;
use tonle_model::decode::{self, DecodeError};
use tonle_model::hash::{BatchDigest, BlockHash};
use tonle_model::key::Signature;
use tonle_model::number::Height;
use tonle_model::vote::Certificate;
use tonle_wsv::state::snapshot::{Offer, PartId};

/// Most batches asked for in one message.
pub const REQUESTED_BATCHES_MAX: usize = 64;
/// Most blocks in one answer (consensus.md rule 8).
pub const RANGE_BLOCKS_MAX: usize = 20;
/// Most batches announced to a neighbour in one message.
pub const ANNOUNCED_BATCHES_MAX: usize = 256;

/// The kind byte of [`Wire::Batch`].
const BATCH_KIND: u8 = 1;

/// One batch wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct BatchRequest {
    /// Which.
    pub digest: BatchDigest,
    /// Where it stands in the chain, if it is wanted for a decided block.
    pub decided: Option<(Height, u16)>,
}

/// A finalized block without its batches, which are asked for one by one.
pub type FinalizedHeader = (Header, Certificate);

/// A message between two nodes.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum Wire {
    /// About a height: see [`tonle_consensus::Message`].
    #[codec(index = 0)]
    Consensus(Box<Message>),
    /// A batch, encoded.
    #[codec(index = 1)]
    Batch(RawBytes),
    /// Please send these batches.
    #[codec(index = 2)]
    GetBatches(Bounded<BatchRequest, REQUESTED_BATCHES_MAX>),
    /// This batch is not here: ask someone else.
    #[codec(index = 3)]
    NoBatch(BatchDigest),
    /// Please send the header of this block of the current height.
    #[codec(index = 4)]
    GetHeader(BlockHash),
    /// The header asked for.
    #[codec(index = 5)]
    Header(Header),
    /// Please send finalized blocks.
    #[codec(index = 6)]
    GetBlocks {
        /// The first.
        from: Height,
        /// How many.
        count: u32,
    },
    /// Finalized blocks, asked for or not; fewer than asked if there are no more.
    #[codec(index = 7)]
    Blocks {
        /// The first.
        from: Height,
        /// In order, without gaps.
        blocks: Bounded<FinalizedHeader, RANGE_BLOCKS_MAX>,
    },
    /// These batches exist and are work: said to neighbours when nothing moves (rule 7).
    #[codec(index = 8)]
    Announce(Bounded<Announcement, ANNOUNCED_BATCHES_MAX>),
    /// About snapshots: see [`crate::snapshot`].
    #[codec(index = 9)]
    Snapshot(SnapshotMessage),
}

/// What a node that joins from a snapshot and its sources say to each other.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub enum SnapshotMessage {
    /// What do you offer?
    #[codec(index = 0)]
    GetOffer,
    /// This; nothing if there is only the genesis.
    #[codec(index = 1)]
    Offer(Option<Offer>),
    /// Please send a part of the snapshot of a height.
    #[codec(index = 2)]
    GetPart(Height, PartId),
    /// The part asked for.
    #[codec(index = 3)]
    Part(Height, PartId, RawBytes),
    /// That snapshot is not held any more, or has no such part: ask for an offer again.
    #[codec(index = 4)]
    NoPart(Height, PartId),
}

/// Everything to the end of the frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RawBytes(pub Bytes);

impl Encode for RawBytes {
    fn encode_to<O: Output + ?Sized>(&self, output: &mut O) {
        output.write(&self.0);
    }
}

impl Decode for RawBytes {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let length = input.remaining_len()?.ok_or("these bytes end with their frame")?;
        let mut bytes = vec![0; length];
        input.read(&mut bytes)?;
        Ok(Self(bytes.into()))
    }
}

impl Wire {
    /// The frame to send.
    pub fn to_frame(&self) -> Bytes {
        self.encode().into()
    }

    /// Reads a frame. A batch stays a view into it.
    pub fn from_frame(frame: &Bytes) -> Result<Self, DecodeError> {
        match frame.first() {
            Some(&BATCH_KIND) => Ok(Self::Batch(RawBytes(frame.slice(1..)))),
            _ => decode::all(frame),
        }
    }

    /// The frame that carries a batch, made with one copy and no encoding.
    pub fn batch_frame(batch: &Batch) -> Bytes {
        let mut frame = BytesMut::with_capacity(1 + batch.bytes().len());
        frame.put_u8(BATCH_KIND);
        frame.put_slice(batch.bytes());
        frame.freeze()
    }
}

/// What is gossiped: batches that exist, each name signed by its author, so that whoever relays
/// it can check it without the batch.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Announcement {
    /// The batch.
    pub reference: BatchRef,
    /// The author's signature over its digest.
    pub signature: Signature,
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::hash::Digest256;
    use tonle_wsv::state::snapshot::{PART_BYTES_MAX, WindowPlace};

    #[test]
    fn a_batch_frame_is_the_batch_behind_its_kind() {
        let raw = Wire::Batch(RawBytes(Bytes::from_static(b"batch")));
        let frame = raw.to_frame();
        assert_eq!(&frame[..], b"\x01batch");
        assert_eq!(Wire::from_frame(&frame), Ok(raw));
    }

    #[test]
    fn the_longest_part_fits_into_a_frame() {
        let place = WindowPlace { height: Height(u64::MAX), item: u16::MAX };
        let bytes = RawBytes(vec![7; PART_BYTES_MAX].into());
        let part = SnapshotMessage::Part(Height(u64::MAX), PartId::Window(place), bytes);
        let frame = Wire::Snapshot(part.clone()).to_frame();
        assert!(frame.len() <= crate::network::FRAME_BYTES_MAX);
        assert_eq!(Wire::from_frame(&frame), Ok(Wire::Snapshot(part)));
    }

    #[test]
    fn frames_are_bounded_and_have_no_tail() {
        let digest = BatchDigest(Digest256([7; 32]));
        let frame = Wire::NoBatch(digest).to_frame();
        assert_eq!(Wire::from_frame(&frame), Ok(Wire::NoBatch(digest)));
        let mut long = frame.to_vec();
        long.push(0);
        assert!(matches!(Wire::from_frame(&long.into()), Err(DecodeError::Trailing { bytes: 1 })));

        let request = BatchRequest { digest, decided: None };
        let too_many = vec![request; REQUESTED_BATCHES_MAX + 1];
        let frame = [vec![2], too_many.encode()].concat();
        assert!(Wire::from_frame(&frame.into()).is_err());
        assert!(Wire::from_frame(&Bytes::new()).is_err());
    }
}
