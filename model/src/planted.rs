//! Bugs on purpose: the tests of the simulator switch one on and see it found.
//!
//! Only with the feature `planted-bugs`, which nothing but those tests builds with; otherwise
//! [`is_planted`] is a constant, and the compiler removes what hangs on it.

/// A rule that is broken on purpose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// A proposal may step over a view without its nullification (consensus.md rule 3).
    SkipGapCheck,
    /// A vote leaves before it is on disk.
    VoteBeforeWrite,
    /// Own proposals are not logged.
    ForgetProposals,
    /// An own nullify vote does not keep one from finalizing (rule 4).
    FinalizeAfterNullify,
    /// One signer counts as two.
    CountSignerTwice,
    /// 2f votes are a quorum.
    SmallQuorum,
    /// A block's batches are executed as they came.
    ArrivalOrder,
    /// What was used before a restart may be used again.
    ForgetUsed,
    /// Clients hear of a block before its finalization is on disk.
    AnswerBeforeSync,
    /// A batch is taken without a look at its signatures.
    UncheckedSignatures,
}

impl Bug {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::SkipGapCheck,
        Self::VoteBeforeWrite,
        Self::ForgetProposals,
        Self::FinalizeAfterNullify,
        Self::CountSignerTwice,
        Self::SmallQuorum,
        Self::ArrivalOrder,
        Self::ForgetUsed,
        Self::AnswerBeforeSync,
        Self::UncheckedSignatures,
    ];
}

#[cfg(feature = "planted-bugs")]
mod switch {
    use std::cell::Cell;

    use super::Bug;

    thread_local! {
        static PLANTED: Cell<Option<Bug>> = const { Cell::new(None) };
    }

    /// Switches a bug on for what this thread does from now on, or all off.
    pub fn plant(bug: Option<Bug>) {
        PLANTED.set(bug);
    }

    /// Whether a bug is switched on.
    pub fn is_planted(bug: Bug) -> bool {
        PLANTED.get() == Some(bug)
    }
}

#[cfg(feature = "planted-bugs")]
pub use switch::{is_planted, plant};

/// Whether a bug is switched on: never.
#[cfg(not(feature = "planted-bugs"))]
#[inline(always)]
pub const fn is_planted(_bug: Bug) -> bool {
    false
}
