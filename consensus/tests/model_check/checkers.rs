//! What must hold in every state, and what must be possible, told from the votes alone. It counts
//! signers for itself and shares no code with the core.

use stateright::Property;
use tonle_model::hash::BlockHash;
use tonle_model::vote::VoteKind;

use super::network::{Network, State};
use super::world::{QUORUM, VALIDATORS};

pub const AGREEMENT: &str = "at most one block is final";
pub const ONE_NOTARIZATION: &str = "at most one block is notarized in a view";
pub const EXCLUSION: &str = "no view is both final and nullified";
pub const HONESTY: &str = "no honest validator contradicts itself";
pub const CALM: &str = "no honest validator raises an alarm or stops voting";
pub const PATIENCE: &str = "no vote follows from too few votes";
pub const FINAL_AT_ONCE: &str = "a block is final in view 0";
pub const FINAL_LATER: &str = "a block is final in a later view";
pub const COMMITTED: &str = "an honest validator commits";

/// What must hold in every state.
pub const ALWAYS: [&str; 6] = [AGREEMENT, ONE_NOTARIZATION, EXCLUSION, HONESTY, CALM, PATIENCE];

type Condition<const HONEST: usize> = fn(&Network<HONEST>, &State<HONEST>) -> bool;

pub fn properties<const HONEST: usize>() -> Vec<Property<Network<HONEST>>> {
    let always: [(&'static str, Condition<HONEST>); 6] = [
        (AGREEMENT, agreement),
        (ONE_NOTARIZATION, one_notarization),
        (EXCLUSION, exclusion),
        (HONESTY, honesty),
        (CALM, |_, state| state.iter().all(|fold| !fold.face.alarmed)),
        (PATIENCE, |_, state| state.iter().all(|fold| !fold.face.hasty)),
    ];
    let sometimes: [(&'static str, Condition<HONEST>); 3] = [
        (FINAL_AT_ONCE, |network, state| final_views(network, state).any(|view| view == 0)),
        (FINAL_LATER, |network, state| final_views(network, state).any(|view| view > 0)),
        (COMMITTED, |_, state| state.iter().any(|fold| fold.face.committed != 0)),
    ];
    let always = always.into_iter().map(|(name, condition)| Property::always(name, condition));
    let sometimes =
        sometimes.into_iter().map(|(name, condition)| Property::sometimes(name, condition));
    always.chain(sometimes).collect()
}

/// The ballots that q validators can have signed, the Byzantine ones among them.
fn certified<'a, const HONEST: usize>(
    network: &'a Network<HONEST>,
    state: &'a State<HONEST>,
) -> impl Iterator<Item = (u32, VoteKind)> + 'a {
    let needed = QUORUM - (usize::from(VALIDATORS) - HONEST);
    let ballots = network.world.ballots.iter().enumerate();
    let ballots = ballots.filter(move |(number, _)| {
        state.iter().filter(|fold| fold.face.votes >> number & 1 == 1).count() >= needed
    });
    ballots.map(|(_, ballot)| (ballot.view.0, ballot.kind))
}

fn final_views<'a, const HONEST: usize>(
    network: &'a Network<HONEST>,
    state: &'a State<HONEST>,
) -> impl Iterator<Item = u32> + 'a {
    let is_final = |kind| matches!(kind, VoteKind::Finalize { .. });
    certified(network, state).filter(move |(_, kind)| is_final(*kind)).map(|(view, _)| view)
}

/// Of all blocks that a finalization names or that an honest validator committed.
fn agreement<const HONEST: usize>(network: &Network<HONEST>, state: &State<HONEST>) -> bool {
    let certified = certified(network, state).filter_map(|(_, kind)| match kind {
        VoteKind::Finalize { block, .. } => Some(block),
        _ => None,
    });
    let committed = state.iter().fold(0, |blocks, fold| blocks | fold.face.committed);
    let blocks = network.world.blocks.iter().enumerate();
    let committed = blocks.filter(|(number, _)| committed >> number & 1 == 1);
    let committed = committed.map(|(_, block)| block.hash);
    all_equal(certified.chain(committed))
}

fn all_equal(mut blocks: impl Iterator<Item = BlockHash>) -> bool {
    blocks.next().is_none_or(|first| blocks.all(|block| block == first))
}

fn one_notarization<const HONEST: usize>(network: &Network<HONEST>, state: &State<HONEST>) -> bool {
    let mut latest = None;
    certified(network, state).all(|(view, kind)| {
        let notarizes = matches!(kind, VoteKind::Notarize { .. });
        !notarizes || latest.replace(view) != Some(view)
    })
}

fn exclusion<const HONEST: usize>(network: &Network<HONEST>, state: &State<HONEST>) -> bool {
    let is_nullified = |wanted| {
        certified(network, state).any(|(view, kind)| view == wanted && kind == VoteKind::Nullify)
    };
    !final_views(network, state).any(is_nullified)
}

/// One notarize vote and one finalize vote in a view, no finalize vote beside a nullify vote, one
/// proposal in a view.
fn honesty<const HONEST: usize>(network: &Network<HONEST>, state: &State<HONEST>) -> bool {
    let world = &network.world;
    state.iter().all(|fold| {
        let signed = |view: u32, wanted: fn(&VoteKind) -> bool| {
            let ballots = world.ballots.iter().enumerate().filter(move |(number, ballot)| {
                fold.face.votes >> number & 1 == 1 && ballot.view.0 == view && wanted(&ballot.kind)
            });
            ballots.count()
        };
        (0..world.setup.views).all(|view| {
            let notarized = signed(view, |kind| matches!(kind, VoteKind::Notarize { .. }));
            let finalized = signed(view, |kind| matches!(kind, VoteKind::Finalize { .. }));
            let nullified = signed(view, |kind| *kind == VoteKind::Nullify);
            let claims = world.claims.iter().enumerate().filter(|(number, claim)| {
                fold.face.claims >> number & 1 == 1 && claim.view == view
            });
            notarized <= 1 && finalized + nullified <= 1 && claims.count() <= 1
        })
    })
}
