//! Each rule and each known trap of consensus.md, on one core that is told what it sees. The name
//! of a test says the rule; without the rule the test fails.

mod common;
mod rules {
    pub mod bounds;
    pub mod commit;
    pub mod evidence;
    pub mod finalize;
    pub mod harness;
    pub mod idle;
    pub mod moving;
    pub mod notarize;
    pub mod nullify;
    pub mod propose;
    pub mod restart;
    pub mod standstill;
    pub mod status;
}
