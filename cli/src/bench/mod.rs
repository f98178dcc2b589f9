//! `tonle bench`: what a network does under load, held against what this machine could do at best.
//!
//! Transfers among many accounts are signed before the clock starts, sent as arrays of SCALE to
//! all validators at once, and counted when their block is seen. Nothing counts but what was
//! applied; every balance is compared with what the applied transfers make of it.

use std::time::Duration;

use clap::Args;
use tonle_client::Client;
use tonle_client::api::{NodeStatus, Wait};
use tonle_model::genesis::Parameters;

use crate::context::Context;
use crate::error::CliError;
use crate::nodes::Nodes;

mod accounts;
mod ceiling;
mod follow;
mod load;
mod look_ups;
mod measure;
mod presign;
mod report;
mod tracker;

/// The most that is signed ahead for `--seconds`, per second: more than four validators reach.
const SIGNED_AHEAD_PER_SECOND_MAX: f64 = 20_000.0;
/// How often at most something is sent at a given rate; faster rates send arrays.
const PACED_POSTS_PER_SECOND: u64 = 50;

const EXAMPLES: &str = "\
Examples:
  tonle bench                                100,000 transfers, as fast as the network takes them
  tonle bench --rate 10 --seconds 20         latency of a quiet network
  tonle bench --rate 5000 --look-ups 60      how long look-ups take beside such a load
  tonle bench --seconds 60 --output json

It needs a demo network: it registers the domain `bench` with accounts and money of its own.";

/// How much load.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// Among how many accounts, each with its own key
    #[arg(long, value_name = "N", default_value_t = 10_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    accounts: u32,
    /// How many transfers [default: 100000]
    #[arg(long, value_name = "N", conflicts_with = "seconds")]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    transactions: Option<u32>,
    /// For how long
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u32).range(1..=500))]
    seconds: Option<u32>,
    /// So many a second, whatever the network does, instead of as fast as it takes them
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: Option<u32>,
    /// Connections to each validator
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=64))]
    connections: u16,
    /// Transfers in each POST
    #[arg(long, value_name = "N", default_value_t = 500)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=4_000))]
    array: u16,
    /// Most transfers sent and not yet committed
    #[arg(long, value_name = "N", default_value_t = 16_000)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..))]
    in_flight: u32,
    /// Ask for balances, histories and invoices meanwhile, so many a second
    #[arg(long, value_name = "R", value_parser = clap::value_parser!(u32).range(1..=1_000))]
    look_ups: Option<u32>,
    /// How long nothing may be committed at the end before the rest counts as lost
    #[arg(long, value_name = "TIME", default_value = "30s")]
    patience: Wait,
}

/// The network under load.
struct Target {
    nodes: Vec<Client>,
    status: NodeStatus,
    parameters: Parameters,
}

/// Measures.
pub async fn run(args: BenchArgs, context: &Context) -> Result<(), CliError> {
    let output = context.output;
    let target = Target::reach(&context.nodes()?).await?;
    let people = accounts::prepare(&target, args.accounts, context).await?;
    let sample = presign::sign(&target, &people, people.count(), 256, &output)?;
    output.progress("measuring the ceiling of this machine while the network is idle");
    let ceiling = ceiling::measure(&sample, target.nodes.len())?;
    drop(sample);
    let (count, array) = size(&args, ceiling.per_second);
    let signed = presign::sign(&target, &people, count, array, &output)?;
    output.progress("adding up balances");
    let before = accounts::balances(&target, &people).await?;
    let resources_before = measure::resources(&target.nodes).await;
    let asking = args.look_ups.map(|rate| look_ups::Asking::start(&target, &people, rate));
    let asking = asking.transpose()?;
    let outcome = load::run(&target, &args, signed, &output).await?;
    let look_ups = asking.map(look_ups::Asking::finish).transpose()?;
    let agreed = measure::wait_for_agreement(&target.nodes).await?;
    let resources_after = measure::resources(&target.nodes).await;
    output.progress("adding up balances");
    let after = accounts::balances(&target, &people).await?;
    let report = report::Report::new(report::Parts {
        ceiling,
        outcome,
        look_ups,
        agreed,
        resources: (resources_before, resources_after),
        balances: (before, after),
    });
    output.show(&report, || report.describe())?;
    report.verdict()
}

/// How many transfers to sign, and in arrays of how many.
fn size(args: &BenchArgs, ceiling_per_second: f64) -> (usize, usize) {
    const TRANSACTIONS: u32 = 100_000;
    const SECONDS_AT_RATE: u32 = 10;
    let array = usize::from(args.array);
    if let Some(rate) = args.rate {
        let count = args
            .transactions
            .unwrap_or_else(|| rate.saturating_mul(args.seconds.unwrap_or(SECONDS_AT_RATE)));
        let per_post = u64::from(rate).div_ceil(PACED_POSTS_PER_SECOND);
        let per_post = usize::try_from(per_post).unwrap_or(array);
        return (count as usize, per_post.clamp(1, array));
    }
    let count = match args.seconds {
        Some(seconds) => {
            let per_second = ceiling_per_second.min(SIGNED_AHEAD_PER_SECOND_MAX);
            (f64::from(seconds) * per_second) as usize
        }
        None => args.transactions.unwrap_or(TRANSACTIONS) as usize,
    };
    (count, array)
}

impl BenchArgs {
    /// When to stop sending.
    fn stop_after(&self) -> Option<Duration> {
        self.seconds.map(|seconds| Duration::from_secs(seconds.into()))
    }
}

impl Target {
    /// Makes sure that all nodes answer, of one demo network.
    async fn reach(nodes: &Nodes) -> Result<Self, CliError> {
        let nodes: Vec<_> = nodes.iter().cloned().collect();
        let mut first: Option<NodeStatus> = None;
        for node in &nodes {
            let status = node.node_status().await?;
            if first.as_ref().is_some_and(|first| first.chain != status.chain) {
                let message = format!("{} is of another network", node.url());
                return Err(CliError::usage(message));
            }
            first.get_or_insert(status);
        }
        let status = first.ok_or_else(|| CliError::usage("no node to measure"))?;
        if !status.demo {
            return Err(CliError::usage("this is not a demo network")
                .help("bench makes accounts and money: try it on `tonle localnet up --detach`"));
        }
        let asked = nodes.first().ok_or_else(|| CliError::usage("no node to measure"))?;
        let parameters = asked.parameters().await?;
        Ok(Self { nodes, status, parameters })
    }

    /// The node whose turn it is.
    fn node(&self, turn: usize) -> Result<&Client, CliError> {
        let index = turn.checked_rem(self.nodes.len()).unwrap_or(0);
        self.nodes.get(index).ok_or_else(|| CliError::usage("no node to measure"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn size_of(line: &str) -> (usize, usize) {
        let words = std::iter::once("bench").chain(line.split_whitespace());
        size(&Line::try_parse_from(words).unwrap().bench, 30_000.0)
    }

    #[test]
    fn the_load_has_the_size_asked_for() {
        assert_eq!(size_of(""), (100_000, 500));
        assert_eq!(size_of("--transactions 7 --array 3"), (7, 3));
        assert_eq!(size_of("--seconds 2"), (40_000, 500));
        assert_eq!(size_of("--rate 10"), (100, 1));
        assert_eq!(size_of("--rate 10 --seconds 3"), (30, 1));
        assert_eq!(size_of("--rate 5000 --seconds 2"), (10_000, 100));
        assert_eq!(size_of("--rate 5000 --transactions 9"), (9, 100));
    }
}
