//! The simulator finds what it is there to find: bugs, planted one at a time.

use tonle_model::planted::{Bug, plant};
use tonle_tests::simulator::campaign::run_seeds;
use tonle_tests::simulator::simulation::run;

/// Each bug is found within so many seeds.
const SEEDS: u64 = 500;

#[test]
fn every_planted_bug_is_found() {
    for bug in Bug::ALL {
        let summary = run_seeds(0, SEEDS, || plant(Some(bug)), |_| {});
        let Some(failed) = summary.failed else { panic!("{bug:?} was not found") };
        // It is the bug that was found, and nothing that is there without it.
        assert_eq!(run(failed.seed, false).violation, None, "{bug:?}: seed {}", failed.seed);
        println!("{bug:?}: seed {} of {}: {:?}", failed.seed, summary.seeds, failed.violation);
    }
}
