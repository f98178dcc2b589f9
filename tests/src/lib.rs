//! What whole-system tests share: networks of real processes, and payments to put on them.

pub mod ledger;
pub mod localnet;
pub mod payments;
