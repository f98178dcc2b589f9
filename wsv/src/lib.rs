//! The world-state view: the chain and the state on disk, and the execution that turns one into
//! the other (ledger.md; consensus.md, What is durable before what).
//!
//! - [`store`]: ordered tables with atomic writes; RocksDB, or [`memory`].
//! - [`chain`]: what consensus must not forget, synced before it is acted on.
//! - [`state`]: what the committed blocks come to, redone from the chain after a crash.
//! - `aside`: how a node goes on without a database that is damaged.
//!
//! Execution depends on the header, its batches and the state before, on nothing else: there is no
//! clock and no randomness here, and no iteration over unordered maps.

#[cfg(feature = "disk")]
pub mod aside;
pub mod chain;
pub mod memory;
pub mod state;
pub mod store;

#[cfg(test)]
mod testing;
