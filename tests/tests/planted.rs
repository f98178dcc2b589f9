//! The simulator finds what it is there to find: bugs, planted one at a time.

use tonle_model::planted::{Bug, plant};
use tonle_tests::simulator::campaign::run_seeds;

/// Each bug is found within so many seeds.
const SEEDS: u64 = 500;

#[test]
fn every_planted_bug_is_found() {
    for bug in Bug::ALL {
        let summary = run_seeds(0, SEEDS, || plant(Some(bug)), |_| {});
        let Some(failed) = summary.failed else { panic!("{bug:?} was not found") };
        println!("{bug:?}: seed {} of {}: {:?}", failed.seed, summary.seeds, failed.violation);
    }
}
