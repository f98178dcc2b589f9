//! `make chaos`: puts real validators through faults of every kind, and prints what was measured.

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, ValueEnum};
use serde_json::json;
use tonle_tests::chaos::{CASES, Case, Plan, Report, most_per_second, run};
use tonle_tests::hosts::Outcome;

/// Payments a second in a short pass, where nothing is measured first.
const SHORT_RATE: u32 = 400;
/// How long the most that is decided a second is measured.
const MOST: Duration = Duration::from_secs(15);

/// Real validators under faults of every kind, each with a network of its own. Needs root.
#[derive(Parser)]
#[command(after_help = "Examples:\n  chaos --list\n  chaos --only kill-one\n  chaos --short")]
struct Arguments {
    /// A short pass instead of the long cycles.
    #[arg(long)]
    short: bool,
    /// Only this case; can be given again.
    #[arg(long, value_name = "CASE")]
    only: Vec<String>,
    /// Payments a second [default: half of what is measured first; 400 with --short]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(10..=100_000))]
    rate: Option<u32>,
    /// How to print the figures.
    #[arg(long, value_enum, default_value_t = Form::Table)]
    output: Form,
    /// Name the cases and do nothing.
    #[arg(long)]
    list: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// Rows that the book can take.
    Table,
    /// One JSON document.
    Json,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        CASES.iter().for_each(|case| println!("{:<20} {}", case.name, case.fault));
        return ExitCode::SUCCESS;
    }
    match campaign(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("chaos: {error}");
            ExitCode::from(2)
        }
    }
}

fn campaign(arguments: &Arguments) -> Outcome<bool> {
    tonle_tests::hosts::system::check()?;
    let cases = chosen(&arguments.only)?;
    let rate = match (arguments.rate, arguments.short) {
        (Some(rate), _) => rate,
        (None, true) => SHORT_RATE,
        (None, false) => {
            eprintln!("measuring what is decided a second when nothing is wrong");
            (most_per_second(MOST)? / 2.0).max(1.0) as u32
        }
    };
    let plan = Plan { long: !arguments.short, rate };
    eprintln!("{} cases, {rate} payments a second", cases.len());
    let mut reports = Vec::new();
    for case in cases {
        eprintln!("{}: {}", case.name, case.fault);
        let report = run(case, &plan);
        tell(&report);
        reports.push(report);
    }
    let all_hold = reports.iter().all(Report::holds);
    match arguments.output {
        Form::Table => print_table(&reports),
        Form::Json => {
            let cases: Vec<_> = reports.iter().map(Report::to_json).collect();
            println!("{}", json!({ "rate": rate, "holds": all_hold, "cases": cases }));
        }
    }
    Ok(all_hold)
}

fn chosen(names: &[String]) -> Outcome<Vec<&'static Case>> {
    let known = |name: &String| {
        let found = CASES.iter().find(|case| case.name == name);
        found.ok_or_else(|| format!("there is no case {name}; --list names them"))
    };
    match names {
        [] => Ok(CASES.iter().collect()),
        _ => names.iter().map(known).collect(),
    }
}

/// Progress, for whoever waits.
fn tell(report: &Report) {
    let verdict = if report.holds() { "pass" } else { "FAIL" };
    eprintln!("    {verdict} after {:.0} s", report.seconds);
    for [_, what, rule, measured, ..] in report.rows() {
        eprintln!("    {what}: {measured} ({rule})");
    }
    if let Err(error) = &report.result {
        eprintln!("{error}");
    }
}

fn print_table(reports: &[Report]) {
    println!("| Fault | What | Rule | Measured | | Again |\n|---|---|---|---|---|---|");
    for row in reports.iter().flat_map(Report::rows) {
        println!("| {} |", row.join(" | "));
    }
}
