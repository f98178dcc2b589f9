//! Every condition that a validator was met in, by number, and where each letter leads from it: a
//! core makes a step once, however many states of the network ask for it.

#![expect(clippy::disallowed_types, reason = "looked up, never iterated")]

use std::collections::HashMap;
use std::sync::{Arc, RwLock};

use super::letters::Letter;
use super::node::Node;
use super::world::World;

/// What the checkers see of a validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Face {
    /// The ballots that it signed.
    pub votes: u32,
    /// The claims that it signed.
    pub claims: u64,
    /// The blocks that it committed, or that it could have.
    pub committed: u32,
    pub alarmed: bool,
    pub hasty: bool,
}

/// A condition of a validator.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Local {
    pub number: u32,
    /// The view it is in; `None` once it committed.
    pub view: Option<u32>,
    pub face: Face,
}

#[derive(Default)]
struct Table {
    nodes: Vec<Arc<Node>>,
    locals: Vec<Local>,
    numbers: HashMap<Arc<Node>, u32>,
    /// By condition, then by letter.
    steps: Vec<Box<[Option<u32>]>>,
}

#[derive(Default)]
pub struct Automaton {
    table: RwLock<Table>,
}

impl Automaton {
    pub fn add<const HONEST: usize>(&self, world: &World<HONEST>, node: Node) -> Local {
        let mut table = self.table.write().expect("no panic while it is held");
        let number = table.number_of(node, world.letters.len());
        table.locals[number as usize]
    }

    pub fn get(&self, number: u32) -> Local {
        self.table.read().expect("no panic while it is held").locals[number as usize]
    }

    /// The condition after a letter.
    pub fn step<const HONEST: usize>(
        &self,
        world: &World<HONEST>,
        from: u32,
        letter: Letter,
    ) -> Local {
        let place = letter.place(world);
        let node = {
            let table = self.table.read().expect("no panic while it is held");
            if let Some(known) = table.steps[from as usize][place] {
                return table.locals[known as usize];
            }
            Arc::clone(&table.nodes[from as usize])
        };
        let after = node.after(world, letter);
        let mut table = self.table.write().expect("no panic while it is held");
        let number = table.number_of(after, world.letters.len());
        table.steps[from as usize][place] = Some(number);
        table.locals[number as usize]
    }

    /// How many conditions of validators were met.
    pub fn len(&self) -> usize {
        self.table.read().expect("no panic while it is held").nodes.len()
    }
}

impl Table {
    fn number_of(&mut self, node: Node, letters: usize) -> u32 {
        if let Some(number) = self.numbers.get(&node) {
            return *number;
        }
        let number = u32::try_from(self.nodes.len()).expect("fewer than fit into memory");
        let face = Face {
            votes: node.votes,
            claims: node.claims,
            committed: node.committed.map_or(0, |block| 1 << block),
            alarmed: node.alarmed,
            hasty: node.hasty,
        };
        self.locals.push(Local { number, view: node.view(), face });
        let node = Arc::new(node);
        self.nodes.push(Arc::clone(&node));
        self.numbers.insert(node, number);
        self.steps.push(vec![None; letters].into());
        number
    }
}
