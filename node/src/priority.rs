//! Which threads stand back when the processor is short.
//!
//! A check of many signatures and the execution of a block take milliseconds each, and nobody
//! waits for one of them alone. Votes, frames and questions take microseconds, and somebody waits
//! for each. Where they share a processor, the long work makes way (docs/decisions/0016).

/// How far: about a tenth of the share of a thread that does not.
const STAND_BACK: i32 = 10;

/// Makes the calling thread stand back from now on. On Linux a thread has a priority of its own.
pub(crate) fn stand_back() {
    if let Err(error) = rustix::process::nice(STAND_BACK) {
        // It costs others some milliseconds, no more.
        tracing::debug!(%error, "this thread keeps its priority");
    }
}
