//! Waiting until validators answer, or end before they do.

use std::time::{Duration, Instant};

use tonle_client::api::NodeRole;
use tonle_client::{Client, ClientError};
use tonle_model::validators::quorum;

use super::state::Localnet;
use super::{logs, url};
use crate::error::CliError;
use crate::output::Output;

/// The longest a validator may take to be ready.
const DEADLINE: Duration = Duration::from_secs(30);
/// Between two looks.
const PACE: Duration = Duration::from_millis(25);
/// How much of a log tells why a validator ended.
const LOG_LINES: usize = 15;

/// Waits until each of these validators is ready. One that has no quorum to join can only be
/// waited for until it answers, and one that is no validator of the network, or none any more, until
/// it has what the others have.
pub async fn wait(localnet: &Localnet, indices: &[u16], output: &Output) -> Result<(), CliError> {
    let started = Instant::now();
    let may_vote = localnet.running_count() >= quorum(localnet.validators.len());
    for index in indices {
        wait_one(localnet, *index, may_vote, started + DEADLINE).await?;
        let elapsed = started.elapsed().as_millis();
        output.progress(&format!("validator {index} is ready ({elapsed} ms)"));
    }
    Ok(())
}

async fn wait_one(
    localnet: &Localnet,
    index: u16,
    may_vote: bool,
    deadline: Instant,
) -> Result<(), CliError> {
    let validator = localnet.validator(index)?;
    let node = Client::new(&url(validator.api))?;
    loop {
        let reason = match node.health().await {
            Ok(()) => return Ok(()),
            Err(ClientError::Problem(_)) if !may_vote => return Ok(()),
            Err(ClientError::Problem(_)) if follows(&node).await => return Ok(()),
            Err(ClientError::Problem(problem)) => problem.detail,
            Err(error) => error.to_string(),
        };
        let log = localnet.log(index);
        let help = format!("its log is {}", log.display());
        if localnet.running(validator).is_none() {
            let tail = logs::tail(&log, LOG_LINES).unwrap_or_default();
            let message = format!("validator {index} ended before it was ready:\n{tail}");
            return Err(CliError::failed(message.trim_end()).help(help));
        }
        if Instant::now() >= deadline {
            let seconds = DEADLINE.as_secs();
            let message = format!("validator {index} is not ready after {seconds} s: {reason}");
            return Err(CliError::timed_out(message).help(help));
        }
        tokio::time::sleep(PACE).await;
    }
}

/// Whether a node is as far as one that does not vote can be.
async fn follows(node: &Client) -> bool {
    let status = node.node_status().await;
    status.is_ok_and(|status| status.role == NodeRole::Observer && !status.syncing)
}
