//! What whole-system tests share: networks of real processes, payments to put on them, a second
//! ledger to compare the real one with, and a simulator of whole networks.

pub mod ledger;
pub mod localnet;
pub mod payments;
pub mod random;
pub mod reference;
pub mod simulator;
