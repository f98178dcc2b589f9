//! The `tonle` program from outside, against a node of the test's own.

mod bench;
mod commands;
mod files;
mod node;
