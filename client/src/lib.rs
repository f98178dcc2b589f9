//! Rust client of a Tonle node's HTTP API (api.md, Torii).

pub mod api;
mod bar;
mod client;
mod error;
mod events;
pub mod keyfile;

pub use bar::bar;
pub use client::{BlockId, Client, encode_array};
pub use error::ClientError;
pub use events::EventStream;
