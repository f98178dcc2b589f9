//! The core under a model checker, `stateright`: every order of events within small bounds.
//!
//! **What is modelled.** One height and four validators. Three are honest: real cores with their
//! logs. The fourth is Byzantine, in each of the four places in turn: leader of view 0, 1, 2 or of
//! none. Every vote that it could sign is there from the beginning; when it leads, it has two new
//! blocks, every notarized one, and on each basis one block that does not follow from it. The
//! network is the set of all that was ever signed. It only grows, and each validator can take
//! anything of it at any moment, old or new, or never. Timers run out at any moment. Every
//! validator can crash at any moment, any number of times, and comes back with what its log holds.
//!
//! **What must hold** is in `model_check/checkers.rs`, told from the votes alone.
//!
//! **What is spared, and what keeps that honest.**
//! - The driver answers at once, and so do the others whom a restarted validator asks; the clock
//!   goes from deadline to deadline. What is signed is logged in the same step: a vote that was
//!   logged and never sent is one that nobody takes.
//! - Votes of others are taken when there are q of them, as a certificate that names nobody, or
//!   f + 1 to nullify. `what_is_spared_loses_no_vote` compares with votes one by one,
//!   `no_vote_follows_from_too_few_votes` says why.
//! - A core goes on from its normal form: `the_normal_form_votes_alike`.
//! - What a validator takes in without signing anything is no step. A state has for each validator
//!   the set of all conditions that it can be in, given what it signed; a real core came to each
//!   of them. Nobody could see a difference, and `what_is_spared_loses_no_vote` sees none.
//! - Of the two blocks of a Byzantine leader, the first is the one notarized first by the honest.
//!
//! **What is not modelled.** Other heights, status, standstill and block sync; results that
//! differ, batches that are missing or bad, block times; a log that is damaged. `simulation.rs` has
//! most of that, at random.
//!
//! **Figures**, with two threads:
//!
//! | Views | Byzantine | States seen | Different | Depth | Conditions of validators |
//! |---|---|---|---|---|---|
//! | 0 and 1 | 0 | 120,416 | 43,711 | 13 | 3,622 |
//! | | 1 | 192,560 | 65,703 | 12 | 4,026 |
//! | | 2 | 27,231 | 9,842 | 12 | 1,127 |
//! | | 3 | 27,955 | 10,535 | 12 | 1,301 |
//! | 0 to 2 | 0 | 11,681,113 | 3,986,666 | 19 | 68,558 |
//! | | 1 | 14,532,855 | 4,729,194 | 18 | 55,497 |
//! | | 2 | 25,659,413 | 7,397,626 | 18 | 82,535 |
//! | | 3 | 2,940,831 | 969,255 | 18 | 19,244 |
//!
//! All are exhausted. `cargo test` runs those of two views and the last one: 33 s, all tests here
//! together. The whole took 308 s on two slow cores, and 4 GB when that was last measured:
//!
//! ```text
//! TONLE_MODEL_VIEWS=3 cargo test --locked --release -p tonle-consensus --test model_check -- \
//!     --nocapture whoever
//! ```
//!
//! A run ends after 600 s (`TONLE_MODEL_SECONDS`) and with 50 million states, and fails if
//! anything was left out. States are told apart by 64 bits of hash; that two of 7.4 million share
//! them has a chance of one in 600,000. More than three views do not fit the bit masks.

mod common;
mod model_check {
    pub mod automaton;
    pub mod checkers;
    pub mod fold;
    pub mod letters;
    pub mod network;
    pub mod node;
    pub mod run;
    pub mod twins;
    pub mod world;
}

use model_check::checkers::{
    AGREEMENT, COMMITTED, EXCLUSION, FINAL_AT_ONCE, FINAL_LATER, HONESTY, ONE_NOTARIZATION,
};
use model_check::run::{assert_safe, finds, number, reachable};
use model_check::twins;
use model_check::world::{Crash, Delivery, Setup, VALIDATORS};

/// Views that a run in CI has time for.
const VIEWS: u32 = 2;
/// Views of the whole check.
const VIEWS_ALL: u32 = 3;

fn setup(views: u32, seat: u16) -> Setup {
    Setup { views, seat, delivery: Delivery::Quorums, crash: Crash::Recovers, folded: true }
}

#[test]
fn agreement_and_exclusion_hold_whoever_is_byzantine() {
    let views = number("TONLE_MODEL_VIEWS", VIEWS.into());
    let views = u32::try_from(views).expect("a few views");
    let setups: Vec<_> = (0..VALIDATORS).map(|seat| setup(views, seat)).collect();
    assert_safe(&setups, &[COMMITTED, FINAL_AT_ONCE, FINAL_LATER]);
}

/// The smallest of the runs over all views.
#[test]
fn agreement_and_exclusion_hold_over_three_views() {
    let setups = [setup(VIEWS_ALL, VALIDATORS - 1)];
    assert_safe(&setups, &[COMMITTED, FINAL_AT_ONCE, FINAL_LATER]);
}

/// Folding, and delivering votes by quorums, spare states and no behaviour: the validators sign
/// the same things in the same combinations when they take everything one by one.
#[test]
fn what_is_spared_loses_no_vote() {
    for seat in 0..VALIDATORS {
        let folded = reachable(setup(1, seat));
        assert!(folded.len() > 10, "{}", folded.len());
        let unfolded = Setup { folded: false, ..setup(1, seat) };
        assert_eq!(folded, reachable(unfolded), "seat {seat}, one by one");
        // A Byzantine leader and votes one by one make too many conditions to be quick.
        if seat > 0 {
            let votes = Setup { delivery: Delivery::Votes, ..setup(1, seat) };
            assert_eq!(folded, reachable(votes), "seat {seat}, vote by vote");
        }
    }
}

#[test]
fn no_vote_follows_from_too_few_votes() {
    for seat in 1..VALIDATORS {
        let votes = Setup { delivery: Delivery::Votes, ..setup(1, seat) };
        assert_safe(&[votes], &[COMMITTED, FINAL_AT_ONCE]);
    }
}

#[test]
fn the_normal_form_votes_alike() {
    for seed in 1..5_000 {
        twins::walk(seed, 60);
    }
}

/// The checkers see what they are there for.
#[test]
fn a_log_that_is_lost_in_silence_is_found_out() {
    let forgetful = Setup { crash: Crash::Forgets, ..setup(1, 0) };
    for broken in [HONESTY, ONE_NOTARIZATION, EXCLUSION, AGREEMENT] {
        assert!(finds::<3>(forgetful, broken), "{broken}");
    }
}

#[test]
fn two_byzantine_members_are_found_out() {
    for broken in [ONE_NOTARIZATION, EXCLUSION, AGREEMENT] {
        assert!(finds::<2>(setup(1, 0), broken), "{broken}");
    }
    assert!(!finds::<2>(setup(1, 0), HONESTY), "the honest ones are honest still");
}
