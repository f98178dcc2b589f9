//! What must hold, checked on the votes that honest validators let go and the blocks they commit.
//! It shares no code with the core.

use std::collections::{BTreeMap, BTreeSet};

use tonle_model::block::Header;
use tonle_model::hash::{BlockHash, ResultHash};
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::vote::{Vote, VoteKind};

#[derive(Default)]
struct ViewVotes {
    notarize: BTreeMap<BlockHash, BTreeSet<ValidatorIndex>>,
    nullify: BTreeSet<ValidatorIndex>,
    finalize: BTreeMap<(BlockHash, ResultHash), BTreeSet<ValidatorIndex>>,
}

pub struct Oracle {
    quorum: usize,
    /// Each of them may have signed anything.
    adversaries: usize,
    votes: BTreeMap<(Height, View), ViewVotes>,
    final_blocks: BTreeMap<Height, BlockHash>,
    pub chain: BTreeMap<Height, Header>,
    pub votes_cast: u64,
    pub views_max: u32,
}

impl Oracle {
    pub fn new(quorum: usize, adversaries: usize) -> Self {
        Self {
            quorum,
            adversaries,
            votes: BTreeMap::new(),
            final_blocks: BTreeMap::new(),
            chain: BTreeMap::new(),
            votes_cast: 0,
            views_max: 0,
        }
    }

    /// An honest validator's vote is durable: it may be anywhere.
    pub fn cast(&mut self, vote: &Vote) {
        let key = (vote.ballot.height, vote.ballot.view);
        let at = self.votes.entry(key).or_default();
        let signer = vote.signer;
        self.votes_cast += 1;
        self.views_max = self.views_max.max(vote.ballot.view.0);
        match vote.ballot.kind {
            VoteKind::Notarize { block } => {
                let twice = at.notarize.iter().any(|(b, by)| *b != block && by.contains(&signer));
                assert!(!twice, "{signer} notarized two blocks at {key:?}");
                at.notarize.entry(block).or_default().insert(signer);
            }
            VoteKind::Nullify => {
                let bound = at.finalize.values().any(|by| by.contains(&signer));
                assert!(!bound, "{signer} nullified after its finalize at {key:?}");
                at.nullify.insert(signer);
            }
            VoteKind::Finalize { block, result } => {
                assert!(!at.nullify.contains(&signer), "{signer} finalized what it nullified");
                let others = at.finalize.iter().filter(|(what, _)| **what != (block, result));
                let twice = others.into_iter().any(|(_, by)| by.contains(&signer));
                assert!(!twice, "{signer} finalized two blocks at {key:?}");
                at.finalize.entry((block, result)).or_default().insert(signer);
            }
        }
        self.check_view(key);
    }

    /// Whatever certificates the adversary can put together: one notarized block per view, never
    /// a finalization beside a nullification, one final block per height.
    fn check_view(&mut self, key: (Height, View)) {
        let honest_needed = self.quorum - self.adversaries;
        let Some(at) = self.votes.get(&key) else { return };
        let notarizable = at.notarize.values().filter(|by| by.len() >= honest_needed).count();
        assert!(notarizable <= 1, "two blocks can be notarized at {key:?}");
        let nullifiable = at.nullify.len() >= honest_needed;
        for ((block, _), by) in &at.finalize {
            if by.len() < honest_needed {
                continue;
            }
            assert!(!nullifiable, "both final and nullified at {key:?}");
            let earlier = *self.final_blocks.entry(key.0).or_insert(*block);
            assert_eq!(earlier, *block, "two final blocks at {}", key.0);
        }
    }

    /// An honest node commits.
    pub fn commit(&mut self, header: &Header) {
        let first = self.chain.entry(header.height).or_insert_with(|| header.clone());
        assert_eq!(first.hash(), header.hash(), "two blocks at height {}", header.height);
    }
}
