//! What a run showed, and whether it holds.

use std::fmt;
use std::time::Duration;

use serde::Serialize;
use tonle_model::amount::Amount;

use super::accounts::Balances;
use super::ceiling::Ceiling;
use super::load::Outcome;
use super::look_ups::LookUps;
use super::measure::{Agreement, Resources, growth};
use super::presign::transfer;
use crate::error::CliError;
use crate::output::fields;

/// Fewer signers than this measure something else.
const SIGNERS_MIN: usize = 10_000;

/// What was found.
pub struct Parts {
    /// This machine's ceiling.
    pub ceiling: Ceiling,
    /// The load.
    pub outcome: Outcome,
    /// What was asked beside it.
    pub look_ups: Option<LookUps>,
    /// Where the validators stand.
    pub agreed: Agreement,
    /// Before and after.
    pub resources: (Vec<Resources>, Vec<Resources>),
    /// Before and after.
    pub balances: (Balances, Balances),
}

/// Milliseconds, at percentiles.
#[derive(Debug, Serialize)]
pub struct Latency {
    p50: f64,
    p95: f64,
    p99: f64,
    max: f64,
}

impl Latency {
    /// Of so many times; zeros if there are none.
    pub fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        let at = |percent: usize| {
            let rank = (times.len() * percent).div_ceil(100).saturating_sub(1);
            times.get(rank).map_or(0.0, |time| rounded(time.as_secs_f64() * 1_000.0, 3))
        };
        Self { p50: at(50), p95: at(95), p99: at(99), max: at(100) }
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { p50, p95, p99, max } = self;
        write!(formatter, "p50 {p50} ms, p95 {p95} ms, p99 {p99} ms, max {max} ms")
    }
}

/// How many of what.
#[derive(Debug, Serialize)]
pub struct Counts {
    sent: u64,
    applied: u64,
    rejected: u64,
    refused: u64,
    lost: u64,
    repeated: u64,
    posts_put_off: u64,
    posts_unanswered: u64,
}

/// Sums over all accounts, as decimal strings.
#[derive(Debug, Serialize)]
pub struct Sums {
    before: String,
    after: String,
    supply_before: String,
    supply_after: String,
    /// Accounts that have not what the applied transfers make of it.
    wrong_balances: usize,
}

/// The report, as `--output json` has it.
#[derive(Debug, Serialize)]
pub struct Report {
    committed_per_second: f64,
    ceiling_per_second: f64,
    share_of_ceiling: f64,
    latency_ms: Latency,
    #[serde(skip_serializing_if = "Option::is_none")]
    look_ups: Option<LookUps>,
    cpu_us_per_transaction: Option<f64>,
    disk_bytes_per_transaction: Option<f64>,
    synced: bool,
    seconds: f64,
    blocks: u64,
    height: u64,
    validators: usize,
    cores: usize,
    signers: usize,
    check_us: f64,
    memory_bytes_max: Option<f64>,
    transactions: Counts,
    sums: Sums,
    agreed: bool,
    ok: bool,
    failures: Vec<String>,
}

fn rounded(value: f64, decimals: i32) -> f64 {
    let factor = 10f64.powi(decimals);
    (value * factor).round() / factor
}

impl Report {
    /// Puts it all together.
    pub fn new(parts: Parts) -> Self {
        let Parts { ceiling, outcome, look_ups, agreed, resources: (before, after), balances } =
            parts;
        let tracker = &outcome.tracker;
        let seconds = tracker.duration().as_secs_f64();
        let rate = if seconds > 0.0 { tracker.applied as f64 / seconds } else { 0.0 };
        let each = |total: Option<f64>| {
            let applied = tracker.applied;
            total.filter(|_| applied > 0).map(|total| rounded(total / applied as f64, 1))
        };
        let cpu_us = growth(&before, &after, |r| r.cpu_seconds).map(|seconds| seconds * 1e6);
        let disk = growth(&before, &after, |r| r.disk_bytes);
        let memory = after.iter().filter_map(|r| r.memory_bytes).reduce(f64::max);
        let counts = Counts {
            sent: tracker.sent_count(),
            applied: tracker.applied,
            rejected: tracker.rejected,
            refused: tracker.refused,
            lost: tracker.lost(),
            repeated: tracker.repeated,
            posts_put_off: outcome.put_off,
            posts_unanswered: outcome.unanswered,
        };
        let wrong_balances = wrong_balances(&balances, tracker.applied_numbers());
        let (sums_before, sums_after) = balances;
        let failures =
            failures(&counts, &outcome, &sums_before, &sums_after, wrong_balances, &agreed);
        let text = |amount: Amount| amount.to_decimal(0).to_string();
        Self {
            committed_per_second: rounded(rate, 1),
            ceiling_per_second: rounded(ceiling.per_second, 1),
            share_of_ceiling: rounded(rate / ceiling.per_second, 4),
            latency_ms: Latency {
                p50: tracker.latency_ms(50.0),
                p95: tracker.latency_ms(95.0),
                p99: tracker.latency_ms(99.0),
                max: tracker.latency_ms(100.0),
            },
            look_ups,
            cpu_us_per_transaction: each(cpu_us),
            disk_bytes_per_transaction: each(disk),
            synced: agreed.synced,
            seconds: rounded(seconds, 3),
            blocks: tracker.blocks,
            height: agreed.height,
            validators: ceiling.validators,
            cores: ceiling.cores,
            signers: ceiling.signers,
            check_us: rounded(ceiling.check_us, 2),
            memory_bytes_max: memory,
            transactions: counts,
            sums: Sums {
                before: text(sums_before.sum),
                after: text(sums_after.sum),
                supply_before: text(sums_before.supply),
                supply_after: text(sums_after.supply),
                wrong_balances,
            },
            agreed: agreed.agreed,
            ok: failures.is_empty(),
            failures,
        }
    }

    /// The report for people.
    pub fn describe(&self) -> String {
        let counts = &self.transactions;
        let optional = |value: Option<f64>, unit: &str| match value {
            Some(value) => format!("{value} {unit}"),
            None => "not told by the nodes".into(),
        };
        let few = match self.signers < SIGNERS_MIN {
            true => format!(" (a fair measure has at least {SIGNERS_MIN})"),
            false => String::new(),
        };
        let mut rows = vec![
            ("committed", format!("{} a second, only applied ones", self.committed_per_second)),
            ("", format!("{} in {} s, {} blocks", counts.applied, self.seconds, self.blocks)),
            (
                "ceiling",
                format!(
                    "{} a second: {} cores, {} µs a check, {} validators",
                    self.ceiling_per_second, self.cores, self.check_us, self.validators
                ),
            ),
            ("share", format!("{} % of the ceiling", rounded(self.share_of_ceiling * 100.0, 1))),
            ("latency", self.latency_ms.to_string()),
            (
                "processor",
                optional(self.cpu_us_per_transaction, "µs per transaction and validator"),
            ),
            (
                "disk",
                optional(self.disk_bytes_per_transaction, "bytes per transaction and validator"),
            ),
            ("synced", if self.synced { "yes" } else { "NO" }.into()),
            ("signers", format!("{}{few}", self.signers)),
            ("put off", format!("{} posts by 429 or 503", counts.posts_put_off)),
            ("sums", format!("{} before, {} after", self.sums.before, self.sums.after)),
        ];
        if let Some(asked) = &self.look_ups {
            rows.extend([
                ("balance", asked.balance_ms.to_string()),
                ("history", asked.history_ms.to_string()),
                ("invoice", asked.invoice_ms.to_string()),
                ("look-ups", format!("{} answered, {} not", asked.answered, asked.failed)),
            ]);
        }
        rows.extend(self.failures.iter().map(|failure| ("FAILED", failure.clone())));
        fields(&rows)
    }

    /// An error unless all holds.
    pub fn verdict(&self) -> Result<(), CliError> {
        match self.failures.first() {
            None => Ok(()),
            Some(first) => Err(CliError::failed(format!("the run does not hold: {first}"))),
        }
    }
}

/// How many accounts have something else than the applied transfers make of what they had.
fn wrong_balances(balances: &(Balances, Balances), applied: impl Iterator<Item = usize>) -> usize {
    let (before, after) = balances;
    let accounts = before.each.len();
    let mut incoming = vec![Amount::ZERO; accounts];
    let mut outgoing = vec![Amount::ZERO; accounts];
    for number in applied {
        let transfer = transfer(number, accounts);
        for (sums, account) in [(&mut outgoing, transfer.from), (&mut incoming, transfer.to)] {
            if let Some(sum) = sums.get_mut(account) {
                *sum = sum.checked_add(transfer.amount).unwrap_or(*sum);
            }
        }
    }
    let flows = incoming.iter().zip(&outgoing);
    let accounts = before.each.iter().zip(&after.each).zip(flows);
    let wrong = accounts.filter(|((before, after), (incoming, outgoing))| {
        before.checked_add(**incoming) != after.checked_add(**outgoing)
    });
    wrong.count() + before.each.len().abs_diff(after.each.len())
}

fn failures(
    counts: &Counts,
    outcome: &Outcome,
    before: &Balances,
    after: &Balances,
    wrong_balances: usize,
    agreed: &Agreement,
) -> Vec<String> {
    let mut failures = Vec::new();
    let mut check = |holds: bool, text: String| {
        if !holds {
            failures.push(text);
        }
    };
    let Counts { lost, repeated, applied, refused, .. } = *counts;
    check(lost == 0, format!("{lost} transfers were taken and are in no block"));
    check(repeated == 0, format!("{repeated} transfers are in blocks more than once"));
    check(applied > 0, "nothing was applied".into());
    check(before.sum == after.sum, "the sum of all balances changed".into());
    check(before.supply == after.supply, "the supply changed".into());
    check(after.sum == after.supply, "the balances do not add up to the supply".into());
    check(
        wrong_balances == 0,
        format!("{wrong_balances} accounts have not what their transfers make of it"),
    );
    check(agreed.agreed, "the validators do not agree on block and state".into());
    let reason = outcome.refusal.as_deref().unwrap_or("unknown");
    check(refused == 0, format!("{refused} transfers were refused: {reason}"));
    failures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn balances(each: &[u128]) -> Balances {
        let sum = Amount::from_minor(each.iter().sum());
        Balances { each: each.iter().copied().map(Amount::from_minor).collect(), sum, supply: sum }
    }

    #[test]
    fn percentiles_are_of_what_was_measured() {
        let latency = Latency::of((1..=200).rev().map(Duration::from_millis).collect());
        assert_eq!([latency.p50, latency.p95, latency.p99, latency.max], [100., 190., 198., 200.]);
        let one = Latency::of(vec![Duration::from_micros(1_500)]);
        assert_eq!([one.p50, one.max], [1.5, 1.5]);
        assert_eq!(Latency::of(Vec::new()).p99, 0.0);
    }

    #[test]
    fn every_balance_is_held_against_the_applied_transfers() {
        let applied = [0, 1, 2, 3];
        let mut each = [100u128; 3];
        for number in applied {
            let transfer = transfer(number, 3);
            each[transfer.from] -= transfer.amount.minor();
            each[transfer.to] += transfer.amount.minor();
        }
        let right = (balances(&[100; 3]), balances(&each));
        assert_eq!(wrong_balances(&right, applied.into_iter()), 0);
        assert_ne!(wrong_balances(&right, [0, 1, 2].into_iter()), 0, "one fewer was applied");
        let swapped = (balances(&[100; 3]), balances(&[each[0] + 1, each[1] - 1, each[2]]));
        assert_eq!(wrong_balances(&swapped, applied.into_iter()), 2, "though the sums are equal");
    }
}
