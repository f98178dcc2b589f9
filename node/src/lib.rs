//! The node: network, pool, driver, executor and Torii around the pure core and the world state.

#[cfg(feature = "disk")]
pub mod assembly;
pub mod board;
pub mod clock;
pub mod config;
pub mod disk;
pub mod driver;
pub mod executor;
pub mod gate;
pub mod logging;
pub mod metrics;
pub mod network;
#[cfg(feature = "disk")]
pub mod node;
#[cfg(feature = "disk")]
pub mod open;
pub mod outbox;
pub mod pool;
mod priority;
pub mod sink;
pub mod snapshot;
pub mod torii;
pub mod tracker;
pub mod verify_pool;
pub mod wire;
