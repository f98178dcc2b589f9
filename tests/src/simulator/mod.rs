//! Whole networks on virtual time: the real core, pool, execution, log and block sync of every
//! node, over the in-memory store, from one seed.
//!
//! [`plan`] draws from the seed what will strike, [`simulation`] lets it happen, event by event,
//! and [`check`] watches with rules of its own. First comes a time of faults; then the network
//! heals and must decide everything that it took in; then it must fall silent. One seed is one
//! run, to the bit: a violation is found again by its seed, and told by [`trace`].

pub mod byzantine;
pub mod campaign;
pub mod check;
pub mod clients;
pub mod clock;
pub mod fault;
pub mod links;
pub mod machine;
pub mod plan;
pub mod simulation;
pub mod trace;
