//! What must hold for any bytes that a stranger sends: one function for each fuzz target.
//!
//! Each panics if its property does not hold, and says whether the bytes were taken at all, past
//! the decoder or the check that it is about. `fuzz_targets/` hands them to libFuzzer, and
//! `tests/tests/corpus.rs` runs them over the committed corpora without it.

pub mod certificate;
pub mod encoded;
pub mod frame;
pub mod proof;
pub mod request;
pub mod script;
pub mod snapshot;
pub mod step;
pub mod text;

/// Checks one property on some bytes; true if they got past what refuses most bytes.
pub type Target = fn(&[u8]) -> bool;

/// Every target by its name: that of its file in `fuzz_targets/` and of its folder in `corpus/`.
pub const TARGETS: &[(&str, Target)] = &[
    ("amount", text::amount),
    ("announcement", encoded::announcement),
    ("batch", encoded::batch),
    ("certificate", certificate::certificate),
    ("frame", frame::frame),
    ("genesis", encoded::genesis),
    ("id", text::id),
    ("key", text::key),
    ("proof", proof::proof),
    ("query", encoded::query),
    ("request", request::request),
    ("snapshot", snapshot::snapshot),
    ("step", step::step),
    ("transaction", encoded::transaction),
    ("wire", encoded::wire),
];
