//! Cores under random schedules: agreement, exclusion, liveness after the storm, quiet when idle.
//!
//! `TONLE_SIMULATION_SEEDS` sets how many seeds each test runs, `TONLE_SIMULATION_FIRST` the
//! first; a failure names its seed.

mod common;
mod simulated;

use simulated::network::{Network, Weather};
use simulated::random::Random;

#[expect(clippy::disallowed_methods, reason = "how long to test, not what")]
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn for_seeds(default: u64, run: impl Fn(u64) + std::panic::RefUnwindSafe) {
    let first = number("TONLE_SIMULATION_FIRST", 0);
    for seed in first..first + number("TONLE_SIMULATION_SEEDS", default) {
        if let Err(panic) = std::panic::catch_unwind(|| run(seed)) {
            eprintln!("failed with seed {seed}");
            std::panic::resume_unwind(panic);
        }
    }
}

fn stormy(random: &mut Random) -> Weather {
    Weather {
        loss_permille: random.between(0, 400),
        cut_permille: [0, 100, 300][random.between(0, 2) as usize],
        latency_ms_max: random.between(2, 400),
        crash_permille: random.between(0, 25),
        execution_ms_max: [5, 50, 600][random.between(0, 2) as usize],
    }
}

/// Storm with work, then calm: everything commits everywhere; then no work: nothing is said.
fn storm_then_calm(seed: u64, validators: usize, adversary: bool) {
    let mut random = Random::new(seed ^ 0xabcd);
    let weather = stormy(&mut random);
    let mut network = Network::new(seed, validators, adversary, weather);
    let honest = network.nodes.len() as u64;
    for _ in 0..random.between(1, 30) {
        network.submit(random.between(0, 35_000), random.between(0, honest - 1) as usize);
    }
    network.run(network.now_ms + 40_000, |_| false);
    network.weather = Weather::calm();
    network.submit(6_000, 0);
    let heal_ms = network.now_ms;
    network
        .run(heal_ms + 600_000, |network| network.now_ms > heal_ms + 6_000 && network.is_settled());
    assert!(network.is_settled(), "not live: {}", describe(&network));
    assert_quiet(&mut network);
}

fn assert_quiet(network: &mut Network) {
    if let Some(adversary) = &mut network.adversary {
        adversary.silent = true;
    }
    // Timers that still run come due once, and find nothing to do.
    network.run(network.now_ms + 40_000, |_| false);
    let heights: Vec<_> = network.nodes.iter().map(|node| node.chain.len()).collect();
    let (talk, votes) = (network.talk, network.oracle.votes_cast);
    network.run(network.now_ms + 60_000, |_| false);
    let later: Vec<_> = network.nodes.iter().map(|node| node.chain.len()).collect();
    assert_eq!(heights, later, "blocks without work");
    assert_eq!(votes, network.oracle.votes_cast, "votes without work");
    assert_eq!(talk, network.talk, "talk without work");
}

fn describe(network: &Network) -> String {
    let nodes = network.nodes.iter().map(|node| match &node.core {
        None => "down".to_owned(),
        Some(core) => format!(
            "height {} view {} recovering {} open {:?}",
            core.height(),
            core.view(),
            core.is_recovering(),
            node.open_batches()
        ),
    });
    nodes.collect::<Vec<_>>().join("; ")
}

#[test]
fn four_honest_validators() {
    for_seeds(300, |seed| storm_then_calm(seed, 4, false));
}

#[test]
fn four_validators_one_of_them_equivocating() {
    for_seeds(700, |seed| storm_then_calm(seed, 4, true));
}

#[test]
fn seven_validators_one_of_them_equivocating() {
    for_seeds(250, |seed| storm_then_calm(seed, 7, true));
}
