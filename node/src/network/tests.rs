//! Whole networks on the loopback interface.

mod harness;
mod hostile;
mod links;
mod stranger;
