//! The network of a run as `stateright` sees it: its states, and what can happen in each.

use stateright::{Model, Property};
use tonle_model::number::ValidatorIndex;
use tonle_model::vote::{Ballot, VoteKind};

use super::automaton::Automaton;
use super::checkers;
use super::fold::{Fold, Folds, applies};
use super::letters::{Letter, Letters};
use super::node::Node;
use super::world::{Claim, Crash, Delivery, QUORUM, Setup, VALIDATORS, World};

/// All that differs from state to state: the validators. The messages follow: what they signed,
/// and whatever the Byzantine members could have signed.
pub type State<const HONEST: usize> = [Fold; HONEST];

/// What an honest validator does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// It takes a letter.
    Take(usize, Letter),
    /// Folded: it takes letters until it signs something new, so that this is all it ever signed.
    Sign(usize, (u32, u64)),
}

/// The messages of a state.
struct Said {
    /// The ballots that with the Byzantine votes are certificates.
    certified: u32,
    /// The ballots that an honest validator signed.
    voted: u32,
    /// The claims that their leader made, or can make because it is Byzantine.
    claimed: u64,
}

pub struct Network<const HONEST: usize> {
    pub world: World<HONEST>,
    pub automaton: Automaton,
    pub folds: Folds,
}

impl<const HONEST: usize> Network<HONEST> {
    pub fn new(setup: Setup) -> Self {
        let (automaton, folds) = (Automaton::default(), Folds::default());
        Self { world: World::new(setup), automaton, folds }
    }

    /// What a state holds for everyone to take in.
    fn said(&self, state: &State<HONEST>) -> Said {
        let byzantine = usize::from(VALIDATORS) - HONEST;
        // The ballots that at least so many honest validators signed.
        let mut by = [0; VALIDATORS as usize + 1];
        by[0] = u32::MAX;
        for fold in state {
            for count in (1..by.len()).rev() {
                by[count] |= by[count - 1] & fold.face.votes;
            }
        }
        let claimed = state.iter().fold(0, |claims, fold| claims | fold.face.claims);
        let mut said = Said { certified: by[QUORUM - byzantine], voted: by[1], claimed };
        for (number, claim) in self.world.claims.iter().enumerate() {
            said.claimed |= u64::from(self.is_claimable(&said, claim)) << number;
        }
        said
    }

    /// Whether a Byzantine leader can make this claim.
    fn is_claimable(&self, said: &Said, claim: &Claim) -> bool {
        let Claim { view, block, notarized } = *claim;
        if !self.world.is_byzantine(self.world.leader(view)) {
            return false;
        }
        // Its two blocks are alike: the first is the one that an honest validator notarizes first.
        let first = self.world.new_block(view).hash;
        let is_first = |ballot: &Ballot| ballot.kind == VoteKind::Notarize { block: first };
        let mut first = self.world.ballots.iter().enumerate().filter(|(_, one)| is_first(one));
        notarized.is_none_or(|ballot| said.certified >> ballot & 1 == 1)
            && (!self.world.blocks[block].second || first.any(|(at, _)| said.voted >> at & 1 == 1))
    }

    /// The letters that there are for a validator. Telling what it knows changes nothing, and
    /// what changes nothing is no action.
    fn letters(&self, state: &State<HONEST>, said: &Said, place: usize) -> Letters {
        let world = &self.world;
        let mut letters = Letters::of(world, Letter::TimeOut);
        if world.setup.crash != Crash::Never {
            letters |= Letters::of(world, Letter::Crash);
        }
        letters |= Letters::run(world, Letter::Proposal(0), said.claimed);
        match world.setup.delivery {
            Delivery::Quorums => {
                letters |= Letters::run(world, Letter::Certificate(0), said.certified.into());
                letters | self.nullifiers(state, place)
            }
            Delivery::Votes => letters | self.votes(state, place),
        }
    }

    fn nullifiers(&self, state: &State<HONEST>, place: usize) -> Letters {
        let byzantine = usize::from(VALIDATORS) - HONEST;
        let mut letters = Letters::default();
        for (view, ballot) in (0..).zip(&self.world.nullify) {
            let others = state.iter().enumerate().filter(|(other, _)| *other != place);
            let nullified = others.filter(|(_, fold)| fold.face.votes >> ballot & 1 == 1);
            // f + 1 with f = 1.
            if nullified.count() + byzantine >= 2 {
                letters |= Letters::of(&self.world, Letter::Nullifiers(view));
            }
        }
        letters
    }

    fn votes(&self, state: &State<HONEST>, place: usize) -> Letters {
        let world = &self.world;
        let others = world.others(world.honest[place]).map(|signer| {
            let at = world.honest.iter().position(|honest| *honest == signer);
            let all = (1 << world.ballots.len()) - 1;
            let signed = at.map_or(all, |at| state[at].face.votes.into());
            Letters::run(world, Letter::Vote(signer, 0), signed)
        });
        others.fold(Letters::default(), |all, letters| all | letters)
    }

    /// Everyone takes in what it can without signing anything.
    fn settle(&self, mut state: State<HONEST>) -> State<HONEST> {
        if self.world.setup.folded {
            let said = self.said(&state);
            for place in 0..HONEST {
                let letters = self.letters(&state, &said, place);
                state[place] =
                    self.folds.close(&self.world, &self.automaton, state[place], letters);
            }
        }
        state
    }

    /// A path for people.
    pub fn describe(&self, actions: &[Action]) -> String {
        let mut votes = [0; HONEST];
        let mut line = |action: &Action| match action {
            Action::Take(place, letter) => {
                let (me, what) = (self.world.honest[*place], letter.describe(&self.world));
                format!("  validator {me} takes {what}\n")
            }
            Action::Sign(place, (signed, _)) => {
                let new = signed & !std::mem::replace(&mut votes[*place], *signed);
                let numbers = (0..self.world.ballots.len()).filter(|number| new >> number & 1 == 1);
                let new: Vec<_> = numbers.map(|number| self.world.describe_vote(number)).collect();
                let me: ValidatorIndex = self.world.honest[*place];
                let new = if new.is_empty() { "a proposal".to_owned() } else { new.join(", ") };
                format!("  validator {me} signs {new}\n")
            }
        };
        actions.iter().map(&mut line).collect()
    }
}

impl<const HONEST: usize> Model for Network<HONEST> {
    type State = State<HONEST>;
    type Action = Action;

    fn init_states(&self) -> Vec<Self::State> {
        let fresh = |me: ValidatorIndex| {
            let local = self.automaton.add(&self.world, Node::new(&self.world, me));
            self.folds.of(&[local])
        };
        vec![self.settle(self.world.honest.map(fresh))]
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        let said = self.said(state);
        for place in 0..HONEST {
            let letters = self.letters(state, &said, place);
            if self.world.setup.folded {
                let (world, automaton) = (&self.world, &self.automaton);
                let signings = self.folds.signings(world, automaton, state[place], letters);
                actions.extend(signings.keys().map(|signed| Action::Sign(place, *signed)));
            } else {
                let local = self.automaton.get(self.folds.members(state[place])[0]);
                let letters = letters.of_world(&self.world);
                let letters = letters.filter(|letter| applies(&self.world, &local, *letter));
                actions.extend(letters.map(|letter| Action::Take(place, letter)));
            }
        }
    }

    fn next_state(&self, last: &Self::State, action: Action) -> Option<Self::State> {
        let (world, automaton) = (&self.world, &self.automaton);
        let mut state = *last;
        match action {
            Action::Take(place, letter) => {
                let from = self.folds.members(state[place])[0];
                state[place] = self.folds.of(&[automaton.step(world, from, letter)]);
            }
            Action::Sign(place, signed) => {
                let letters = self.letters(last, &self.said(last), place);
                let signings = self.folds.signings(world, automaton, state[place], letters);
                state[place] = *signings.get(&signed)?;
            }
        }
        let state = self.settle(state);
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        checkers::properties()
    }
}
