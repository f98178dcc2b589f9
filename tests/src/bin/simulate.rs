//! `make simulate`: runs seeds of the simulator, or tells one of them.

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;
use tonle_tests::simulator::campaign::{SPEED_MIN, Summary, run_seeds};
use tonle_tests::simulator::fault::Fault;
use tonle_tests::simulator::simulation::{Outcome, run};

/// Whole networks on virtual time, with faults of every kind; each seed is one run.
#[derive(Parser)]
#[command(after_help = "Examples:\n  simulate --seeds 1000\n  simulate --first 4711 --trace")]
struct Arguments {
    /// How many seeds to run.
    #[arg(long, default_value_t = 1_000)]
    seeds: u64,
    /// The first of them.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// Tell what happens in the first seed, line by line.
    #[arg(long)]
    trace: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.trace {
        let outcome = run(arguments.first, true);
        describe(&outcome);
        return if outcome.violation.is_none() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let on_terminal = std::io::stderr().is_terminal();
    let tell = |done: u64| {
        if on_terminal || done.is_multiple_of(1_000) {
            let end = if on_terminal { "\r" } else { "\n" };
            eprint!("{done} of {} seeds{end}", arguments.seeds);
            let _shown = std::io::stderr().flush();
        }
    };
    let summary = run_seeds(arguments.first, arguments.seeds, || {}, tell);
    report(&summary);
    if let Some(failed) = &summary.failed {
        describe(failed);
        println!("Look at it with: simulate --first {} --trace", failed.seed);
        return ExitCode::FAILURE;
    }
    let missing = summary.struck.missing();
    if !missing.is_empty() {
        println!("Never struck: {missing:?}. That shows nothing about them: run more seeds.");
        return ExitCode::FAILURE;
    }
    if summary.is_too_slow() {
        println!("Too slow: {SPEED_MIN:.0} times real time is the least.");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

fn report(summary: &Summary) {
    println!("{:<24}{:>12}", "fault", "struck");
    for fault in Fault::ALL {
        println!("{:<24}{:>12}", format!("{fault:?}"), summary.struck.of(fault));
    }
    let per_second = summary.seeds as f64 / summary.seconds;
    println!(
        "{} seeds in {:.1} s, {per_second:.1}/s; {:.0} s of virtual time, {:.0} times real time on \
         {} cores; {} blocks, {} payments applied",
        summary.seeds,
        summary.seconds,
        summary.virtual_ms as f64 / 1_000.0,
        summary.speed(),
        std::thread::available_parallelism().map_or(1, usize::from),
        summary.blocks,
        summary.applied,
    );
    if let Some((blocks, applied)) = summary.least {
        println!("the least of a seed: {blocks} blocks, {applied} payments");
    }
}

fn describe(outcome: &Outcome) {
    println!(
        "seed {}: {:.1} s, {} blocks, {} payments applied, digest {:016x}",
        outcome.seed,
        outcome.virtual_ms as f64 / 1_000.0,
        outcome.blocks,
        outcome.applied,
        outcome.digest,
    );
    if let Some(violation) = &outcome.violation {
        println!("VIOLATION: {}", violation.0);
    }
}
