//! What whole-system tests share: networks of real processes, payments to put on them, and a second
//! ledger to compare the real one with.

pub mod ledger;
pub mod localnet;
pub mod payments;
pub mod reference;
