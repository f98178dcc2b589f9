//! What the validator that lies does (`tests/src/bin/byzantine.rs`), and how its log tells of it.

use crate::simulator::fault::Fault;

/// What it does: it proposes two blocks when it leads, and votes twice in every view.
pub const DEEDS: [Fault; 3] = [Fault::Equivocation, Fault::DoubleVote, Fault::FinalizeAndNullify];

/// What it says when it has done one of them for the first time.
pub fn confession(deed: Fault) -> String {
    format!("byzantine: {deed:?} struck for the first time")
}
