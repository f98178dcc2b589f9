//! Seeds of the simulator: no fault of any kind breaks a promise.

use tonle_tests::simulator::campaign::run_seeds;
use tonle_tests::simulator::simulation::{APPLIED_MIN, BLOCKS_MIN, RUN_MS_MIN, Simulation, run};

/// So many seeds, unless `TONLE_SEEDS` says otherwise.
const SEEDS: u64 = 300;

#[test]
fn seeds_with_faults_of_every_kind_break_no_promise() {
    let asked = std::env::var("TONLE_SEEDS").ok().map(|text| text.parse().expect("a number"));
    let summary = run_seeds(0, asked.unwrap_or(SEEDS), || {}, |_| {});
    if let Some(failed) = summary.failed {
        panic!("seed {}: {:?}; make simulate FIRST={0} TRACE=1", failed.seed, failed.violation);
    }
    let missing = summary.struck.missing();
    assert!(missing.is_empty(), "these faults never struck: {missing:?}");
    let (blocks, applied) = summary.least.expect("a seed");
    assert!(blocks >= BLOCKS_MIN && applied >= APPLIED_MIN, "{blocks} blocks, {applied} payments");
    assert!(summary.virtual_ms >= summary.seeds * RUN_MS_MIN, "{} ms", summary.virtual_ms);
}

#[test]
fn one_seed_is_one_run_whoever_looks_on() {
    let first = run(7, false);
    assert_eq!(run(7, false), first);
    assert_ne!(run(8, false).digest, first.digest);
    let mut traced = Simulation::new(7, true);
    assert_eq!(traced.run(), Ok(()));
    assert_eq!(traced.trace.digest(), first.digest);
}
