//! Seeing blocks as they are committed.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tonle_client::api::{BlocksQuery, Wait};
use tonle_model::number::Height;

use super::Target;
use super::tracker::Tracker;
use crate::error::CliError;

/// How long a node holds a question about a block to come.
const WAIT: Duration = Duration::from_secs(5);
/// Blocks in one answer.
const BLOCKS: u32 = 16;
/// Before asking another node.
const PAUSE: Duration = Duration::from_millis(50);

/// Tells the tracker of every block from `next` on, for ever. A node that fails is replaced by the
/// next one.
pub async fn follow(
    target: &Target,
    mut next: Height,
    tracker: &RefCell<Tracker>,
    seen: &Notify,
) -> CliError {
    let mut turn = 0;
    loop {
        let node = match target.node(turn) {
            Ok(node) => node,
            Err(error) => return error,
        };
        let wait = Some(Wait::at_most(WAIT));
        let query = BlocksQuery { from: Some(next), limit: Some(BLOCKS), wait };
        match node.receipts(&query).await {
            Ok(blocks) => {
                let now = Instant::now();
                for block in &blocks {
                    if block.height != next {
                        let message = format!("asked for block {next}, got {}", block.height);
                        return CliError::failed(message);
                    }
                    tracker.borrow_mut().block(block, now);
                    next = next.next();
                }
                seen.notify_waiters();
            }
            Err(_) => {
                turn += 1;
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}
