//! Tests of the state as a whole.

mod gate;
mod instructions;
mod reading;
mod restart;
mod voids;
mod whole;
