//! Two cores that are told the same, one brought into its normal form after every step: they must
//! vote alike, or the checker would take different states for one.

use tonle_model::number::ValidatorIndex;
use tonle_model::vote::VoteKind;

use super::letters::Letter;
use super::node::Node;
use super::world::{Crash, Delivery, Setup, VALIDATORS, World};

/// A walk of random letters, whether or not a network could bring them.
pub fn walk(seed: u64, steps: usize) {
    let mut random = seed;
    let mut below = move |bound: usize| {
        // Marsaglia's xorshift64; 0 is its one bad state.
        random = random.max(1);
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        usize::try_from(random >> 33).expect("31 bits") % bound
    };
    let setup = Setup {
        views: 3,
        seat: u16::try_from(below(usize::from(VALIDATORS))).expect("one of four"),
        delivery: Delivery::Votes,
        crash: Crash::Recovers,
        folded: false,
    };
    let world = World::<3>::new(setup);
    let me = world.honest[below(3)];
    let mut normal = Node::new(&world, me);
    let mut exact = Node { exact: true, ..normal.clone() };
    let mut told = String::new();
    let coins = below(1 << 16);
    for _ in 0..steps {
        let letter = some_letter(&world, &normal, coins, &mut below);
        told += &format!("  {}\n", letter.describe(&world));
        normal = told_to(&world, &normal, letter);
        exact = told_to(&world, &exact, letter);
        assert_eq!(face(&normal), face(&exact), "seed {seed}, {me}, {setup:?}:\n{told}");
        if normal.committed.is_some() || normal.alarmed {
            return;
        }
    }
}

/// What the others see of it.
fn face(node: &Node) -> impl PartialEq + std::fmt::Debug {
    (node.votes, node.claims, node.view(), node.committed, node.alarmed, node.hasty)
}

/// The node after the letter. It may wake for nothing: its time passes until something happens.
fn told_to(world: &World<3>, node: &Node, letter: Letter) -> Node {
    let mut after = node.after(world, letter);
    for _ in 0..4 {
        if letter == Letter::TimeOut && face(&after) == face(node) {
            after = after.after(world, letter);
        }
    }
    after
}

/// A validator may equivocate, but a view that it nullifies it does not finalize: from what it
/// nullified the normal form forgets who did.
fn some_letter(
    world: &World<3>,
    node: &Node,
    coins: usize,
    below: &mut impl FnMut(usize) -> usize,
) -> Letter {
    let nullifies = |other: ValidatorIndex, view: u32| {
        coins >> (usize::from(VALIDATORS) * view as usize + other.position()) & 1 == 1
    };
    let number = below(world.ballots.len());
    let ballot = world.ballots[number];
    let claim = below(world.claims.len());
    let other = ValidatorIndex(u16::try_from(below(4)).expect("one of four"));
    let view = world.claims[claim].view;
    let strange = world.leader(view) == node.me && node.claims >> claim & 1 == 0;
    let beyond = node.view().is_some_and(|view| view >= world.setup.views);
    let kept = match ballot.kind {
        VoteKind::Notarize { .. } => true,
        VoteKind::Nullify => nullifies(other, ballot.view.0),
        VoteKind::Finalize { .. } => !nullifies(other, ballot.view.0),
    };
    match below(16) {
        0 => Letter::Crash,
        1 => Letter::Certificate(number),
        2 if !beyond => Letter::TimeOut,
        3 if world.others(node.me).take(2).all(|other| nullifies(other, view)) => {
            Letter::Nullifiers(view)
        }
        4..=6 if !strange => Letter::Proposal(claim),
        _ if other != node.me && kept => Letter::Vote(other, number),
        _ => some_letter(world, node, coins, below),
    }
}
