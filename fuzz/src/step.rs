//! The core under any sequence of inputs: it never panics, never contradicts itself, also across
//! restarts, votes for nothing that it was not shown, and commits only what a quorum finalized.
//!
//! The core is told only what is verified, so the scripts make certificates and proposals of the
//! right form. Nothing else holds them: their certificates may contradict each other, as if more
//! validators lied than there may be. What is asserted here needs no honest quorum.

mod driver;
mod made;
mod oracle;

use super::script::Script;
use driver::Driver;

/// Longest script, in inputs.
const INPUTS_MAX: usize = 256;

/// Tells a core what the script says; true if a block was committed.
pub fn step(bytes: &[u8]) -> bool {
    let mut driver = Driver::new(Script::new(bytes));
    for _ in 0..INPUTS_MAX {
        if driver.is_over() {
            break;
        }
        driver.turn();
    }
    driver.has_committed()
}
