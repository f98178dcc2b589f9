//! One chain: no two nodes ever commit different blocks or come to different states, and whoever
//! has a block has a finalization of it.

use std::collections::BTreeMap;

use bytes::Bytes;
use tonle_model::hash::{BlockHash, ResultHash};
use tonle_model::number::Height;
use tonle_model::receipt::Receipt;
use tonle_model::vote::{Ballot, VoteKind};

use super::super::machine::Running;
use super::certificates::Certificates;
use super::{Held, Violation, broken};

/// A block that was new to all.
pub struct NewBlock {
    /// Where it stands.
    pub height: Height,
    /// Its batches, encoded.
    pub batches: Vec<Bytes>,
    /// What became of its transactions.
    pub receipts: Vec<Receipt>,
}

/// The chain as the first node to commit each block has it.
#[derive(Default)]
pub struct Chain {
    blocks: BTreeMap<Height, (BlockHash, String)>,
    /// Views that blocks took.
    views: u64,
    /// How far each node is.
    reached: BTreeMap<usize, Height>,
}

impl Chain {
    /// The highest block.
    pub fn height(&self) -> u64 {
        self.blocks.keys().next_back().map_or(0, |height| height.0)
    }

    /// How many views the blocks took: one each, and more where something went wrong.
    pub fn views(&self) -> u64 {
        self.views
    }

    /// A node is at a height, perhaps not where it was.
    pub fn restarted(&mut self, node: usize, height: Height) {
        let reached = self.reached.entry(node).or_default();
        *reached = height.min(*reached);
    }

    /// Looks at what a node has committed since; what nobody had before is returned.
    pub fn follow(
        &mut self,
        node: usize,
        running: &Running,
        certificates: &mut Certificates,
    ) -> Result<Vec<NewBlock>, Violation> {
        let committed = running.world.committed().height;
        let mut new = Vec::new();
        let mut height = self.reached.get(&node).copied().unwrap_or_default();
        while height < committed {
            height = height.next();
            new.extend(self.look(node, running, height, certificates)?);
        }
        self.reached.insert(node, height);
        Ok(new)
    }

    fn look(
        &mut self,
        node: usize,
        running: &Running,
        height: Height,
        certificates: &mut Certificates,
    ) -> Result<Option<NewBlock>, Violation> {
        let missing = || Violation(format!("node {node} has no block {height}"));
        let block = running.chain.block(height).ok().flatten().ok_or_else(missing)?;
        let result = running.world.result(height).ok().flatten().ok_or_else(missing)?;
        let found = (block.header.hash(), format!("{result:?}"));
        let ballot = block.finalization.ballot;
        is_final(node, &ballot, height, found.0, Some(result.hash()))?;
        certificates.check(node, &block.finalization)?;
        if let Some(first) = self.blocks.get(&height) {
            return match *first == found {
                true => Ok(None),
                false => broken(format!("node {node} has {found:?} at {height}, not {first:?}")),
            };
        }
        self.blocks.insert(height, found);
        self.views += u64::from(ballot.view.next().0);
        let batches = running.chain.batches_of(height).ok().flatten().ok_or_else(missing)?;
        let receipts = running.world.receipts(height).ok().flatten().ok_or_else(missing)?;
        Ok(Some(NewBlock { height, batches, receipts }))
    }
}

/// A ballot finalizes this block, with this result if it is known.
pub fn is_final(
    node: usize,
    ballot: &Ballot,
    height: Height,
    block: BlockHash,
    result: Option<ResultHash>,
) -> Held {
    match ballot.kind {
        VoteKind::Finalize { block: finalized, result: signed }
            if ballot.height == height
                && finalized == block
                && result.is_none_or(|result| result == signed) =>
        {
            Ok(())
        }
        _ => broken(format!("node {node} shows {ballot:?} for block {block} at {height}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::hash::Digest256;
    use tonle_model::number::View;

    #[test]
    fn only_a_finalization_of_the_very_block_makes_it_final() {
        let (block, result) = (BlockHash(Digest256([1; 32])), ResultHash(Digest256([2; 32])));
        let kind = VoteKind::Finalize { block, result };
        let good = Ballot { height: Height(3), view: View(1), kind };
        let other = ResultHash::default();
        let is_final = |ballot: &Ballot, result| is_final(0, ballot, Height(3), block, result);
        assert_eq!(is_final(&good, Some(result)), Ok(()));
        assert_eq!(is_final(&good, None), Ok(()));
        assert!(is_final(&good, Some(other)).is_err());
        for bad in [
            Ballot { height: Height(4), ..good },
            Ballot { kind: VoteKind::Notarize { block }, ..good },
            Ballot { kind: VoteKind::Finalize { block: BlockHash::default(), result }, ..good },
        ] {
            assert!(is_final(&bad, None).is_err(), "{bad:?}");
        }
    }
}
