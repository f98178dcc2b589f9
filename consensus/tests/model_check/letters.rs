//! The letters that a validator can take, and sets of them.

use std::ops::{BitOr, BitOrAssign};

use tonle_model::number::ValidatorIndex;

use super::world::{Claim, VALIDATORS, World};

/// Something that a validator can be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Letter {
    /// Its next deadline passes.
    TimeOut,
    /// Its process ends and begins again.
    Crash,
    /// The claim of this number, as its leader made it.
    Proposal(usize),
    /// Nullify votes of f + 1 others for this view.
    Nullifiers(u32),
    /// The certificate of the ballot of this number.
    Certificate(usize),
    /// One vote.
    Vote(ValidatorIndex, usize),
}

impl Letter {
    /// Its place among all letters of the world.
    pub fn place<const HONEST: usize>(self, world: &World<HONEST>) -> usize {
        let (claims, ballots) = (world.claims.len(), world.ballots.len());
        let views = world.nullify.len();
        match self {
            Self::TimeOut => 0,
            Self::Crash => 1,
            Self::Proposal(number) => 2 + number,
            Self::Nullifiers(view) => 2 + claims + view as usize,
            Self::Certificate(number) => 2 + claims + views + number,
            Self::Vote(signer, number) => {
                2 + claims + views + ballots * (signer.position() + 1) + number
            }
        }
    }

    /// All letters of the world by place.
    pub fn all<const HONEST: usize>(world: &World<HONEST>) -> Vec<Self> {
        let ballots = world.ballots.len();
        let signers = (0..VALIDATORS).map(ValidatorIndex);
        [Self::TimeOut, Self::Crash]
            .into_iter()
            .chain((0..world.claims.len()).map(Self::Proposal))
            .chain((0..).take(world.nullify.len()).map(Self::Nullifiers))
            .chain((0..ballots).map(Self::Certificate))
            .chain(signers.flat_map(|signer| (0..ballots).map(move |n| Self::Vote(signer, n))))
            .collect()
    }

    /// What it says, for people.
    pub fn describe<const HONEST: usize>(self, world: &World<HONEST>) -> String {
        let vote = |number| world.describe_vote(number);
        match self {
            Self::TimeOut => "the clock".to_owned(),
            Self::Crash => "a crash".to_owned(),
            Self::Proposal(number) => {
                let Claim { view, block, notarized } = world.claims[number];
                let why = notarized.map_or("nothing".to_owned(), vote);
                format!("the proposal of {} in view {view} on [{why}]", world.name(block))
            }
            Self::Nullifiers(view) => format!("f + 1 votes [nullify view {view}]"),
            Self::Certificate(number) => format!("the certificate [{}]", vote(number)),
            Self::Vote(signer, number) => format!("[{}] of validator {signer}", vote(number)),
        }
    }
}

/// A set of letters: one bit for each, by place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Letters(pub u128);

impl Letters {
    pub fn of<const HONEST: usize>(world: &World<HONEST>, letter: Letter) -> Self {
        Self(1 << letter.place(world))
    }

    /// Letters of one kind by their numbers: `first` is number 0.
    pub fn run<const HONEST: usize>(world: &World<HONEST>, first: Letter, numbers: u64) -> Self {
        Self(u128::from(numbers) << first.place(world))
    }

    pub fn of_world<const HONEST: usize>(
        self,
        world: &World<HONEST>,
    ) -> impl Iterator<Item = Letter> {
        let letters = world.letters.iter().enumerate();
        letters.filter(move |(place, _)| self.0 >> place & 1 == 1).map(|(_, letter)| *letter)
    }
}

impl BitOr for Letters {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for Letters {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}
