//! Snapshots between nodes: serving one, and joining from one
//! (docs/decisions/0017-snapshots.md).
//!
//! Questions about snapshots never come to the driver: a thread of their own answers them, so that
//! a vote does not wait for a disk. A node joins before it starts: `run` fills the databases, and
//! then everything begins as on a node that was restarted.

mod joining;
mod peer;
mod questions;
mod report;
#[cfg(feature = "disk")]
mod run;
mod server;
#[cfg(test)]
mod tests;

pub use joining::{Act, Heard, JoinError, Joining, Outcome, Prepare};
pub use questions::{Asked, Question, Questions, Requests};
pub use report::{BAR_WIDTH, JoinReport};
#[cfg(feature = "disk")]
pub use run::{Ended, join, serve};
pub use server::Server;
