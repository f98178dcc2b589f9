//! What is fixed in a run: who is who, the blocks, and every message that there can be.

use tonle_consensus::{Config, Parent, PeerId};
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::hash::{BlockHash, ChainHash, Digest256, ResultHash};
use tonle_model::leader::LeaderMarks;
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::vote::{Ballot, Certificate, Justification, Proposal, VoteKind};

use super::letters::Letter;
use crate::common::{batch_ref, result_of, signature};

/// The height being decided. The leader of view v is validator v.
pub const HEIGHT: Height = Height(4);
pub const VALIDATORS: u16 = 4;
pub const QUORUM: usize = 3;

/// How the votes of others reach a core.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Delivery {
    /// When there are enough of them to matter: q as a certificate, f + 1 to nullify together.
    Quorums,
    /// One by one.
    Votes,
}

/// What a crash does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    Never,
    /// The log is whole, and others confirm it.
    Recovers,
    /// Wrong on purpose: the log is gone, and nobody says so.
    Forgets,
}

#[derive(Debug, Clone, Copy)]
pub struct Setup {
    /// The views that may be voted in: 0 up to this.
    pub views: u32,
    /// The first Byzantine validator; it leads the view of its number.
    pub seat: u16,
    pub delivery: Delivery,
    pub crash: Crash,
    /// Whether a state is all that validators can be in who signed the same things.
    pub folded: bool,
}

/// A block that can be proposed.
pub struct Block {
    pub header: Header,
    pub hash: BlockHash,
    /// The view that it is new in.
    pub view: u32,
    /// The second of the two that a Byzantine leader has for its view.
    pub second: bool,
}

/// Something that a leader can propose: a block, and the notarization that it rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Claim {
    pub view: u32,
    pub block: usize,
    /// The number of the ballot that a quorum notarized.
    pub notarized: Option<usize>,
}

pub struct World<const HONEST: usize> {
    pub setup: Setup,
    /// Who is honest; everyone else is Byzantine.
    pub honest: [ValidatorIndex; HONEST],
    pub blocks: Vec<Block>,
    pub ballots: Vec<Ballot>,
    /// The number of the nullify ballot of each view.
    pub nullify: Vec<usize>,
    pub claims: Vec<Claim>,
    /// What a validator can be told, by place.
    pub letters: Vec<Letter>,
}

impl<const HONEST: usize> World<HONEST> {
    pub fn new(setup: Setup) -> Self {
        let byzantine = usize::from(VALIDATORS) - HONEST;
        let is_byzantine =
            |index: u16| usize::from((index + VALIDATORS - setup.seat) % VALIDATORS) < byzantine;
        let mut honest = (0..VALIDATORS).filter(|index| !is_byzantine(*index)).map(ValidatorIndex);
        let honest = [(); HONEST].map(|()| honest.next().expect("as many as are not Byzantine"));
        let (blocks, ballots, nullify, claims, letters) = Default::default();
        let mut world = Self { setup, honest, blocks, ballots, nullify, claims, letters };
        for view in 0..setup.views {
            world.blocks.push(Block::new(view, false));
            if world.is_byzantine(world.leader(view)) {
                world.blocks.push(Block::new(view, true));
            }
            world.add_ballots(view);
            world.add_claims(view);
        }
        world.letters = Letter::all(&world);
        assert!(world.ballots.len() <= 32 && world.letters.len() <= 128, "sets are bit masks");
        world
    }

    fn add_ballots(&mut self, view: u32) {
        let ballot = |kind| Ballot { height: HEIGHT, view: View(view), kind };
        self.nullify.push(self.ballots.len());
        self.ballots.push(ballot(VoteKind::Nullify));
        for block in self.blocks.iter().map(|block| block.hash) {
            self.ballots.push(ballot(VoteKind::Notarize { block }));
            self.ballots.push(ballot(VoteKind::Finalize { block, result: result_of(block) }));
        }
    }

    /// An honest leader repeats the notarized block or makes a new one. A Byzantine one has two
    /// new ones, and on everything one block that does not follow from it.
    fn add_claims(&mut self, view: u32) {
        let byzantine = self.is_byzantine(self.leader(view));
        let earlier = |ballot: &Ballot| ballot.view.0 < view;
        let notarizations = (0..self.ballots.len()).filter(|number| {
            let ballot = &self.ballots[*number];
            earlier(ballot) && matches!(ballot.kind, VoteKind::Notarize { .. })
        });
        let bases: Vec<_> = std::iter::once(None).chain(notarizations.map(Some)).collect();
        for notarized in bases {
            let mut wrong = !byzantine;
            for block in 0..self.blocks.len() {
                let right = match notarized.map(|number| self.ballots[number].kind) {
                    None => self.blocks[block].view == view,
                    Some(kind) => kind == VoteKind::Notarize { block: self.blocks[block].hash },
                };
                if right || !std::mem::replace(&mut wrong, true) {
                    self.claims.push(Claim { view, block, notarized });
                }
            }
        }
    }

    pub fn leader(&self, view: u32) -> ValidatorIndex {
        LeaderMarks::default().leader(HEIGHT, View(view), usize::from(VALIDATORS))
    }

    pub fn is_byzantine(&self, validator: ValidatorIndex) -> bool {
        !self.honest.contains(&validator)
    }

    pub fn config(&self, me: ValidatorIndex) -> Config {
        Config {
            validators: (0..u64::from(VALIDATORS)).map(PeerId).collect(),
            me: Some(me),
            delta_ms: 100,
            drift_ms: u64::from(u32::MAX),
            marks: LeaderMarks::default(),
        }
    }

    pub fn others(&self, me: ValidatorIndex) -> impl Iterator<Item = ValidatorIndex> {
        (0..VALIDATORS).map(ValidatorIndex).filter(move |validator| *validator != me)
    }

    /// The number of a ballot. One that is not in the list would be a vote out of nothing.
    pub fn number_of(&self, ballot: &Ballot) -> usize {
        let found = self.ballots.iter().position(|known| known == ballot);
        found.unwrap_or_else(|| panic!("nobody can ask for a vote on {ballot:?}"))
    }

    pub fn block_of(&self, hash: BlockHash) -> usize {
        let found = self.blocks.iter().position(|block| block.hash == hash);
        found.expect("all blocks are known")
    }

    /// The block that the honest leader of a view builds.
    pub fn new_block(&self, view: u32) -> &Block {
        let new = self.blocks.iter().find(|block| block.view == view);
        new.expect("every view has a new block")
    }

    /// A certificate that names nobody: who signed is for the checkers to count.
    pub fn certificate(&self, number: usize) -> Certificate {
        let ballot = self.ballots[number];
        Certificate { ballot, signers: Bounded::default(), signatures: Bounded::default() }
    }

    /// The proposal of a claim. Honest leaders give the nullifications of all views between;
    /// without them a proposal is worth as much as with those that were heard before.
    pub fn proposal(&self, number: usize) -> Proposal {
        let Claim { view, block, notarized } = self.claims[number];
        let leader = self.leader(view);
        let first = notarized.map_or(0, |number| self.ballots[number].view.0 + 1);
        let between = if self.is_byzantine(leader) { view..view } else { first..view };
        let nullification = |view| self.certificate(self.nullify[view as usize]);
        Proposal {
            height: HEIGHT,
            view: View(view),
            header: self.blocks[block].header.clone(),
            justification: Justification {
                notarization: notarized.map(|number| self.certificate(number)),
                nullifications: Bounded::new(between.map(nullification).collect()).unwrap(),
            },
            signature: signature(leader),
        }
    }

    /// The claim that an honest leader's proposal makes, whose justification must be complete.
    pub fn claim_of(&self, view: View, header: &Header, why: &Justification) -> usize {
        let block = self.block_of(header.hash());
        let notarized = why.notarization.as_ref().map(|one| self.number_of(&one.ballot));
        let claim = Claim { view: view.0, block, notarized };
        let number = self.claims.iter().position(|known| *known == claim);
        let number = number.unwrap_or_else(|| panic!("nothing justifies {claim:?}"));
        let ballots = |why: &Justification| -> Vec<Ballot> {
            why.nullifications.iter().map(|one| one.ballot).collect()
        };
        assert_eq!(ballots(why), ballots(&self.proposal(number).justification), "{claim:?}");
        number
    }

    /// A block, for people.
    pub fn name(&self, block: usize) -> String {
        let Block { view, second, .. } = &self.blocks[block];
        format!("block {view}{}", if *second { "'" } else { "" })
    }

    /// What a ballot says, for people.
    pub fn describe_vote(&self, number: usize) -> String {
        let Ballot { view, kind, .. } = self.ballots[number];
        let name = |block| self.name(self.block_of(block));
        match kind {
            VoteKind::Nullify => format!("nullify view {view}"),
            VoteKind::Notarize { block } => format!("notarize {} in view {view}", name(block)),
            VoteKind::Finalize { block, .. } => format!("finalize {} in view {view}", name(block)),
        }
    }
}

impl Block {
    fn new(view: u32, second: bool) -> Self {
        let header = Header {
            chain: ChainHash::default(),
            height: HEIGHT,
            parent: parent().hash,
            parent_result: parent().result,
            timestamp_ms: 1_000,
            proposer: LeaderMarks::default().leader(HEIGHT, View(view), usize::from(VALIDATORS)),
            proposed_view: View(view),
            batches: Bounded::new(vec![batch_ref(u64::from(second))]).unwrap(),
        };
        Self { hash: header.hash(), header, view, second }
    }
}

pub fn parent() -> Parent {
    let hash = BlockHash(Digest256([4; 32]));
    let result = ResultHash(Digest256([5; 32]));
    Parent { height: Height(3), hash, result, timestamp_ms: 0 }
}
