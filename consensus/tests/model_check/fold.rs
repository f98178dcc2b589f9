//! Conditions of a validator that nobody outside can tell apart: it signed the same things in all
//! of them. A fold is the set of those it can be in, whatever it took in meanwhile.

#![expect(clippy::disallowed_types, reason = "looked up, never iterated")]

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, RwLock};

use super::automaton::{Automaton, Face, Local};
use super::letters::{Letter, Letters};
use super::world::{Claim, World};

/// A set of conditions, by number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fold {
    pub number: u32,
    pub face: Face,
}

/// The number says it all.
impl Hash for Fold {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

/// What a validator can sign next, and the fold that it is then in.
type Signings = Arc<BTreeMap<(u32, u64), Fold>>;

#[derive(Default)]
struct Table {
    sets: Vec<Arc<[u32]>>,
    /// The letters, by place, that lead from no member to a condition outside with the same face.
    closed: Vec<u128>,
    folds: Vec<Fold>,
    numbers: HashMap<Arc<[u32]>, u32>,
    closures: HashMap<(u32, u128), u32>,
    signings: HashMap<(u32, u128), Signings>,
}

#[derive(Default)]
pub struct Folds {
    table: RwLock<Table>,
}

impl Folds {
    /// The fold of these conditions, which have one face but for commits.
    pub fn of(&self, members: &[Local]) -> Fold {
        let numbers: BTreeSet<u32> = members.iter().map(|local| local.number).collect();
        let numbers: Arc<[u32]> = numbers.into_iter().collect();
        let mut table = self.table.write().expect("no panic while it is held");
        if let Some(number) = table.numbers.get(&numbers) {
            return table.folds[*number as usize];
        }
        let mut face = Face::default();
        for local in members {
            face.votes |= local.face.votes;
            face.claims |= local.face.claims;
            face.committed |= local.face.committed;
            face.alarmed |= local.face.alarmed;
            face.hasty |= local.face.hasty;
        }
        let number = u32::try_from(table.sets.len()).expect("fewer than fit into memory");
        table.sets.push(Arc::clone(&numbers));
        table.closed.push(0);
        table.folds.push(Fold { number, face });
        table.numbers.insert(numbers, number);
        Fold { number, face }
    }

    pub fn members(&self, fold: Fold) -> Arc<[u32]> {
        let table = self.table.read().expect("no panic while it is held");
        Arc::clone(&table.sets[fold.number as usize])
    }

    /// The fold with all that it leads to by these letters without a signature.
    pub fn close<const HONEST: usize>(
        &self,
        world: &World<HONEST>,
        automaton: &Automaton,
        fold: Fold,
        letters: Letters,
    ) -> Fold {
        let mask = letters.0;
        let (set, closed) = {
            let table = self.table.read().expect("no panic while it is held");
            let closed = table.closed[fold.number as usize];
            if mask & !closed == 0 {
                return fold;
            }
            if let Some(known) = table.closures.get(&(fold.number, mask)) {
                return table.folds[*known as usize];
            }
            (Arc::clone(&table.sets[fold.number as usize]), closed)
        };
        let mut members: BTreeMap<u32, Local> =
            set.iter().map(|number| (*number, automaton.get(*number))).collect();
        let mut open: Vec<(Local, bool)> = members.values().map(|local| (*local, true)).collect();
        while let Some((local, old)) = open.pop() {
            for letter in letters.of_world(world) {
                let done = old && closed >> letter.place(world) & 1 == 1;
                if done || !applies(world, &local, letter) {
                    continue;
                }
                let after = automaton.step(world, local.number, letter);
                if signed(&after) == signed(&local) && !members.contains_key(&after.number) {
                    members.insert(after.number, after);
                    open.push((after, false));
                }
            }
        }
        let members: Vec<Local> = members.into_values().collect();
        let whole = self.of(&members);
        let mut table = self.table.write().expect("no panic while it is held");
        table.closed[whole.number as usize] |= mask;
        table.closures.insert((fold.number, mask), whole.number);
        whole
    }

    /// What a validator in a closed fold can sign next on these letters.
    pub fn signings<const HONEST: usize>(
        &self,
        world: &World<HONEST>,
        automaton: &Automaton,
        fold: Fold,
        letters: Letters,
    ) -> Signings {
        let mask = letters.0;
        {
            let table = self.table.read().expect("no panic while it is held");
            if let Some(known) = table.signings.get(&(fold.number, mask)) {
                return Arc::clone(known);
            }
        }
        let mut groups: BTreeMap<(u32, u64), Vec<Local>> = BTreeMap::new();
        for number in self.members(fold).iter() {
            let local = automaton.get(*number);
            let letters = letters.of_world(world);
            for letter in letters.filter(|letter| applies(world, &local, *letter)) {
                let after = automaton.step(world, *number, letter);
                if signed(&after) != signed(&local) {
                    groups.entry(signed(&after)).or_default().push(after);
                }
            }
        }
        let signings = groups.into_iter().map(|(signed, group)| (signed, self.of(&group)));
        let signings: Signings = Arc::new(signings.collect());
        let mut table = self.table.write().expect("no panic while it is held");
        table.signings.insert((fold.number, mask), Arc::clone(&signings));
        signings
    }
}

fn signed(local: &Local) -> (u32, u64) {
    (local.face.votes, local.face.claims)
}

/// Whether a validator in this condition is told such a thing at all. An honest leader's proposal
/// brings a node to its view; a Byzantine one is kept back until the node is there.
pub fn applies<const HONEST: usize>(world: &World<HONEST>, local: &Local, letter: Letter) -> bool {
    let Some(view) = local.view else { return false };
    match letter {
        Letter::Proposal(number) => {
            let Claim { view: proposed, .. } = world.claims[number];
            proposed == view || (proposed > view && !world.is_byzantine(world.leader(proposed)))
        }
        Letter::Nullifiers(nullified) => nullified <= view,
        Letter::TimeOut => view < world.setup.views,
        Letter::Certificate(_) | Letter::Vote(..) | Letter::Crash => true,
    }
}
