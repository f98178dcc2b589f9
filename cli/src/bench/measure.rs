//! What validators say of the processor, the disk and memory, and whether they agree.

use std::time::{Duration, Instant};

use futures::future::join_all;
use tokio::time::sleep;
use tonle_client::Client;
use tonle_client::api::NodeStatus;

use crate::error::CliError;

/// How long validators may take to reach one height after the load.
const AGREE_WITHIN: Duration = Duration::from_secs(15);
const PACE: Duration = Duration::from_millis(25);

/// What one validator has used.
#[derive(Debug, Clone, Copy, Default)]
pub struct Resources {
    /// Seconds of processor time since it started.
    pub cpu_seconds: Option<f64>,
    /// Bytes on disk.
    pub disk_bytes: Option<f64>,
    /// Bytes of memory.
    pub memory_bytes: Option<f64>,
}

/// What all validators have used; nothing of those that do not tell.
pub async fn resources(nodes: &[Client]) -> Vec<Resources> {
    let texts = join_all(nodes.iter().map(Client::metrics)).await;
    texts.into_iter().map(|text| text.map(|text| parse(&text)).unwrap_or_default()).collect()
}

fn parse(text: &str) -> Resources {
    Resources {
        cpu_seconds: metric(text, "process_cpu_seconds_total"),
        disk_bytes: metric(text, "tonle_disk_bytes"),
        memory_bytes: metric(text, "process_resident_memory_bytes"),
    }
}

/// The sum of a metric over its labels.
fn metric(text: &str, name: &str) -> Option<f64> {
    let values = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(name)?;
        let rest = match rest.strip_prefix('{') {
            Some(labelled) => labelled.split_once('}')?.1,
            None => rest.strip_prefix(' ')?,
        };
        rest.split_whitespace().next()?.parse::<f64>().ok()
    });
    values.fold(None, |sum: Option<f64>, value| Some(sum.unwrap_or(0.0) + value))
}

/// The difference of a figure, averaged over the validators that told it both times.
pub fn growth(
    before: &[Resources],
    after: &[Resources],
    of: fn(&Resources) -> Option<f64>,
) -> Option<f64> {
    let differences: Vec<_> = before
        .iter()
        .zip(after)
        .filter_map(|(before, after)| Some(of(after)? - of(before)?))
        .collect();
    match differences.len() {
        0 => None,
        count => Some(differences.iter().sum::<f64>() / count as f64),
    }
}

/// Where validators stand after the load.
#[derive(Debug)]
pub struct Agreement {
    /// Whether all are at one height with one block and one state.
    pub agreed: bool,
    /// Whether all sync before they vote.
    pub synced: bool,
    /// The height of the first.
    pub height: u64,
}

/// Waits until all validators are at one height with one block and one state.
pub async fn wait_for_agreement(nodes: &[Client]) -> Result<Agreement, CliError> {
    let deadline = Instant::now() + AGREE_WITHIN;
    loop {
        let answers = join_all(nodes.iter().map(Client::node_status)).await;
        let statuses: Vec<_> = answers.into_iter().filter_map(Result::ok).collect();
        let place = |status: &NodeStatus| (status.height, status.hash, status.state_root);
        let first = statuses.first().map(place);
        let same = statuses.iter().all(|status| Some(place(status)) == first);
        let agreed = same && statuses.len() == nodes.len();
        if agreed || Instant::now() >= deadline {
            let synced = statuses.iter().all(|status| status.synced_writes);
            return Ok(Agreement {
                agreed,
                synced: synced && !statuses.is_empty(),
                height: first.map_or(0, |(height, ..)| height.0),
            });
        }
        sleep(PACE).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metrics_are_read_with_and_without_labels() {
        let text = "# HELP process_cpu_seconds_total x\nprocess_cpu_seconds_total 1.5\n\
                    tonle_disk_bytes{database=\"chain\"} 100\n\
                    tonle_disk_bytes{database=\"state\"} 23\n\
                    process_resident_memory_bytes_max 7\n";
        let resources = parse(text);
        assert_eq!(resources.cpu_seconds, Some(1.5));
        assert_eq!(resources.disk_bytes, Some(123.0));
        assert_eq!(resources.memory_bytes, None);
        let after = Resources { cpu_seconds: Some(2.5), ..resources };
        assert_eq!(growth(&[resources], &[after], |r| r.cpu_seconds), Some(1.0));
        assert_eq!(growth(&[resources], &[after], |r| r.memory_bytes), None);
    }
}
