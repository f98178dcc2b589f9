//! The simulator, as far as it belongs into the same table.

use super::Plan;
use super::figures::{Figure, Mark};
use crate::hosts::Outcome;
use crate::simulator::campaign::{SPEED_MIN, run_seeds};

const SHORT_SEEDS: u64 = 20;
const LONG_SEEDS: u64 = 1_000;

/// Seeds on all cores; `make simulate` runs as many as one likes.
pub fn seeds(plan: &Plan) -> Outcome<Vec<Figure>> {
    let seeds = plan.choose(SHORT_SEEDS, LONG_SEEDS);
    let summary = run_seeds(0, seeds, || {}, |_| {});
    if let Some(failed) = &summary.failed {
        let seed = failed.seed;
        return Err(format!("seed {seed} fails: see it with make simulate FIRST={seed} SEEDS=1"));
    }
    let missing = summary.struck.missing();
    let what = match missing.as_slice() {
        [] => "kinds of faults that never struck".to_owned(),
        some => format!("kinds of faults that never struck: {some:?}"),
    };
    // Few seeds cannot have them all.
    let none = plan.over_time(Mark::AtMost(0.0));
    Ok(vec![
        Figure::new("seeds without a violation", summary.seeds as f64, "", Mark::Told),
        Figure::count(what, missing.len(), none),
        Figure::new(
            "times faster than real time",
            summary.speed(),
            "",
            plan.over_time(Mark::AtLeast(SPEED_MIN)),
        ),
    ])
}
