//! Rust client of a Tonle node's HTTP API (api.md, Torii).

pub mod api;
mod client;
mod error;
pub mod keyfile;

pub use client::{BlockId, Client, encode_array};
pub use error::ClientError;
