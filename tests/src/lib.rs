//! What whole-system tests share: networks of real processes, payments to put on them, faults to
//! put them through, a second ledger to compare the real one with, and a simulator of whole
//! networks.

pub mod chaos;
pub mod damage;
pub mod hosts;
pub mod ledger;
pub mod load;
pub mod localnet;
pub mod panics;
pub mod payments;
pub mod random;
pub mod reference;
pub mod simulator;
