//! Whole networks on the loopback interface.

mod cable;
mod harness;
mod hostile;
mod links;
mod stranger;
