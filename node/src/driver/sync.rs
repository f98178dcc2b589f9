//! Blocks that others have finalized and this node has not.

use std::collections::BTreeMap;

use tonle_consensus::Input;
use tonle_model::block::Header;
use tonle_model::key::PublicKey;
use tonle_model::number::Height;
use tonle_model::vote::VoteKind;

use super::Driver;
use super::fetch::Reason;
use super::turn::Act;
use crate::wire::FinalizedHeader;

/// How far ahead blocks are kept until their height comes; one a height.
const BLOCKS_MAX: u64 = 100;
/// How many blocks ahead batches are asked for.
const LOOKAHEAD: usize = 20;

struct Entry {
    block: FinalizedHeader,
    from: PublicKey,
    proof: Proof,
}

/// What its certificate is worth to the current set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    Unchecked,
    Holds,
    Fails,
}

/// Blocks by height, until it is their turn.
#[derive(Default)]
pub(super) struct RangeBuffer {
    blocks: BTreeMap<Height, Entry>,
}

impl RangeBuffer {
    /// How many blocks are known to be ahead.
    pub(super) fn behind(&self) -> u64 {
        self.blocks.len() as u64
    }

    /// The headers of those that are final beyond doubt: their batches are kept until their turn.
    pub(super) fn headers(&self) -> impl Iterator<Item = &Header> {
        let proven = self.blocks.values().filter(|entry| entry.proof == Proof::Holds);
        proven.map(|entry| &entry.block.0)
    }

    fn insert(&mut self, current: Height, block: FinalizedHeader, from: PublicKey) {
        let height = block.0.height;
        let near = height >= current && height.0 - current.0 < BLOCKS_MAX;
        // Whatever was not verified yet may be a lie, and must not keep the truth out.
        let settled = self.blocks.get(&height).is_some_and(|entry| entry.proof == Proof::Holds);
        if near && !settled {
            self.blocks.insert(height, Entry { block, from, proof: Proof::Unchecked });
        }
    }

    /// Lets go of what a liar said and nothing proves.
    fn distrust(&mut self, liar: &PublicKey) {
        self.blocks.retain(|_, entry| entry.proof == Proof::Holds || entry.from != *liar);
    }
}

impl Driver {
    /// Takes blocks that a peer sent: as far as they are contiguous, they wait for their height.
    pub(super) fn take_blocks(
        &mut self,
        from: PublicKey,
        first: Height,
        blocks: &[FinalizedHeader],
    ) {
        let current = self.parts.core.height();
        let mut expected = first;
        let mut count = 0;
        for block in blocks {
            if block.0.height != expected {
                break;
            }
            self.ranges.insert(current, block.clone(), from);
            expected = expected.next();
            count += 1;
        }
        let peer = self.parts.peers.number(&from);
        self.step(Input::Fetched { peer, from: first, count });
        self.try_sync();
    }

    /// Gives the core the block of its height as soon as all of its batches are here.
    pub(super) fn try_sync(&mut self) {
        let current = self.parts.core.height();
        self.ranges.blocks = self.ranges.blocks.split_off(&current);
        let ahead: Vec<Height> = self.ranges.blocks.keys().take(LOOKAHEAD).copied().collect();
        for height in ahead {
            if !self.verify_finalization(height) && height == current {
                // The set of this height is known, so the block is a lie.
                if let Some(entry) = self.ranges.blocks.remove(&height) {
                    tracing::warn!(peer = %entry.from, %height, "sent a block that is not final");
                    self.ranges.distrust(&entry.from);
                    self.turn.acts.push(Act::Blame(entry.from));
                }
                return;
            }
            self.want_batches_of(height);
        }
        let Some(entry) = self.ranges.blocks.get(&current) else { return };
        if self.parts.pool.all_of(&entry.block.0).is_ok()
            && let Some(entry) = self.ranges.blocks.remove(&current)
        {
            let (header, finalization) = entry.block;
            self.step(Input::Synced { header, finalization });
        }
    }

    /// Whether the block's certificate is a finalization of it by the current set. For a later
    /// height the set may be another; its block is judged again when its height comes.
    fn verify_finalization(&mut self, height: Height) -> bool {
        let Some(entry) = self.ranges.blocks.get_mut(&height) else { return false };
        if entry.proof != Proof::Unchecked {
            return entry.proof == Proof::Holds;
        }
        let (header, finalization) = &entry.block;
        let ballot = &finalization.ballot;
        let named = match ballot.kind {
            VoteKind::Finalize { block, .. } => block == header.hash(),
            VoteKind::Notarize { .. } | VoteKind::Nullify => false,
        };
        let parts = &self.parts;
        let holds = named
            && ballot.height == header.height
            && finalization.verify(&parts.chain_hash, &parts.validators, &parts.verifier).is_ok();
        entry.proof = if holds { Proof::Holds } else { Proof::Fails };
        holds
    }

    /// Asks for what is missing of a finalized block. The certificate stands for the batches'
    /// signatures (architecture.md, Where the speed comes from).
    fn want_batches_of(&mut self, height: Height) {
        let Some(entry) =
            self.ranges.blocks.get(&height).filter(|entry| entry.proof == Proof::Holds)
        else {
            return;
        };
        for (position, reference) in (0u16..).zip(&entry.block.0.batches) {
            if self.parts.pool.get(&reference.digest).is_none() {
                self.parts.interest.certify(reference.digest);
                let reason = Reason::Decided(height, position);
                self.fetcher.want(self.now_ms, reference.digest, reason, entry.from);
            }
        }
    }

    /// Forgets what was checked against the former set.
    pub(super) fn recheck_ranges(&mut self) {
        self.ranges.blocks.values_mut().for_each(|entry| entry.proof = Proof::Unchecked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::bounded::Bounded;
    use tonle_model::hash::ChainHash;
    use tonle_model::key::KeyPair;
    use tonle_model::number::View;
    use tonle_model::vote::{Ballot, Certificate};

    fn block(height: u64, timestamp_ms: u64) -> FinalizedHeader {
        let height = Height(height);
        let header = Header { height, ..Header::genesis(ChainHash::default(), timestamp_ms) };
        let ballot = Ballot { height, view: View(0), kind: VoteKind::Nullify };
        let (signers, signatures) = (Bounded::default(), Bounded::default());
        (header, Certificate { ballot, signers, signatures })
    }

    #[test]
    fn lies_about_far_heights_take_no_room_and_unproven_blocks_give_way() {
        let (liar, honest) = (KeyPair::demo("a").public_key(), KeyPair::demo("b").public_key());
        let mut buffer = RangeBuffer::default();
        (0..10_000).for_each(|height| buffer.insert(Height(5), block(height, 1), liar));
        assert_eq!(buffer.behind(), BLOCKS_MAX);
        buffer.insert(Height(5), block(5, 2), honest);
        let entry = buffer.blocks.get_mut(&Height(5)).unwrap();
        assert_eq!((entry.from, entry.block.0.timestamp_ms), (honest, 2));
        entry.proof = Proof::Holds;
        buffer.insert(Height(5), block(5, 3), liar);
        assert_eq!(buffer.blocks[&Height(5)].from, honest, "what is proven stays");
        assert!(buffer.headers().map(|header| header.height).eq([Height(5)]));
    }

    #[test]
    fn what_a_liar_said_counts_for_nothing_unless_it_is_proven() {
        let [liar, honest] = ["a", "b"].map(|name| KeyPair::demo(name).public_key());
        let mut buffer = RangeBuffer::default();
        for (height, from) in [(5, liar), (6, liar), (7, honest)] {
            buffer.insert(Height(5), block(height, 1), from);
        }
        buffer.blocks.get_mut(&Height(5)).unwrap().proof = Proof::Holds;
        buffer.distrust(&liar);
        assert!(buffer.blocks.keys().eq(&[Height(5), Height(7)]));
    }
}
