//! Runs of the checker, each within bounds of time and memory, and what they say.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model};

use super::checkers::ALWAYS;
use super::network::Network;
use super::world::Setup;

/// All runs of one test together take no longer.
const SECONDS_MAX: u64 = 600;
/// A run sees no more states, repetitions included: about 8 GB with what they are made of.
const STATES_MAX: usize = 50_000_000;

#[expect(clippy::disallowed_methods, reason = "how much to check, not what")]
pub fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

#[expect(clippy::disallowed_methods, reason = "how long the check takes, not what it sees")]
fn now() -> Instant {
    Instant::now()
}

fn checker<const HONEST: usize>(setup: Setup, limit: Duration) -> CheckerBuilder<Network<HONEST>> {
    // The limit of time holds for threads that share their work: at least two.
    let threads = std::thread::available_parallelism().map_or(2, |number| number.get().max(2));
    let network = Network::<HONEST>::new(setup);
    network.checker().threads(threads).timeout(limit).target_state_count(STATES_MAX)
}

/// Checks that what must hold always does, that the rest is possible, and that no state was left
/// out.
pub fn assert_safe(setups: &[Setup], possible: &[&'static str]) {
    let begun = now();
    let limit = Duration::from_secs(number("TONLE_MODEL_SECONDS", SECONDS_MAX));
    for setup in setups {
        let left = limit.saturating_sub(begun.elapsed());
        let this = now();
        let checker = checker::<3>(*setup, left);
        let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_dfs().join();
        let (network, found) = (checker.model(), checker.discoveries());
        let broken = ALWAYS.iter().find_map(|name| Some((name, found.get(name)?.clone())));
        let in_bounds = begun.elapsed() < limit && checker.state_count() < STATES_MAX;
        let exhausted = in_bounds && broken.is_none();
        println!(
            "views 0 to {}, validator {} Byzantine: {} states seen, {} of them different, {} deep, \
             from {} conditions of validators, in {:.1} s; {}",
            setup.views - 1,
            setup.seat,
            checker.state_count(),
            checker.unique_state_count(),
            checker.max_depth(),
            network.automaton.len(),
            this.elapsed().as_secs_f64(),
            if exhausted { "exhausted" } else { "NOT exhausted" },
        );
        if let Some((name, path)) = broken {
            panic!("not so: {name}\n{}", network.describe(&path.into_actions()));
        }
        assert!(exhausted, "TONLE_MODEL_SECONDS is too little, or it is more than fits");
        for name in possible {
            assert!(found.contains_key(name), "never: {name}");
        }
    }
}

/// Whether the checker finds that this property does not hold, as it should.
pub fn finds<const HONEST: usize>(setup: Setup, wanted: &'static str) -> bool {
    let wanted_alone = HasDiscoveries::AllOf(BTreeSet::from([wanted]));
    let checker = checker::<HONEST>(setup, Duration::from_secs(SECONDS_MAX));
    let checker = checker.finish_when(wanted_alone).spawn_bfs().join();
    let found = checker.discovery(wanted).map(|path| path.into_actions());
    if let Some(path) = &found {
        println!("not so, as it should be: {wanted}\n{}", checker.model().describe(path));
    }
    found.is_some()
}

/// Everything that the validators can have signed at one time.
pub fn reachable(setup: Setup) -> BTreeSet<[(u32, u64); 3]> {
    let network = Network::<3>::new(setup);
    let mut open = network.init_states();
    let mut seen: BTreeSet<[u32; 3]> = open.iter().map(|state| state.map(|f| f.number)).collect();
    let mut signed = BTreeSet::new();
    while let Some(state) = open.pop() {
        signed.insert(state.map(|fold| (fold.face.votes, fold.face.claims)));
        let next = network.next_states(&state).into_iter();
        open.extend(next.filter(|state| seen.insert(state.map(|fold| fold.number))));
    }
    signed
}
