//! A short pass of what `make chaos` puts real validators through.

use tonle_tests::chaos::{CASES, Plan, run};

/// Payments a second: enough for a block at any time, little enough for a busy machine.
const RATE: u32 = 400;

#[test]
fn no_fault_breaks_a_promise() {
    let plan = Plan { long: false, rate: RATE };
    let mut failed = Vec::new();
    for case in CASES {
        let report = run(case, &plan);
        println!("{} ({:.1} s)", case.name, report.seconds);
        for [_, what, rule, measured, verdict, _] in report.rows() {
            println!("    {what}: {measured}; {rule}; {verdict}");
        }
        if let Err(error) = &report.result {
            println!("{error}");
        }
        if !report.holds() {
            failed.push(case.name);
        }
    }
    assert!(failed.is_empty(), "these cases failed: {failed:?}; see above, and make chaos ONLY=…");
}
