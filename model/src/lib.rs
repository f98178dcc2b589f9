//! What everyone on a Tonle network speaks: ids, amounts, keys, transactions, batches, blocks,
//! votes and certificates, with their SCALE and JSON forms. No I/O.

pub mod amount;
pub mod batch;
pub mod block;
pub mod bounded;
pub mod decode;
pub mod genesis;
pub mod hash;
pub mod hex;
pub mod id;
pub mod instruction;
pub mod joining;
pub mod key;
pub mod leader;
pub mod limits;
pub mod merkle;
pub mod number;
pub mod permission;
pub mod planted;
pub mod preimage;
pub mod proof;
pub mod query;
pub mod receipt;
pub mod string;
pub mod tags;
mod text;
pub mod transaction;
pub mod validators;
pub mod verified;
pub mod verify;
pub mod vote;
