//! What can strike, and how often it did: when it takes effect, not when it is planned.

use std::collections::BTreeMap;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A message is lost.
    Loss,
    /// A message takes much longer than others.
    Delay,
    /// A message comes twice.
    Duplication,
    /// A message overtakes another one of its link.
    Reordering,
    /// Two groups of nodes do not hear each other.
    Partition,
    /// One node is not heard by another one that it hears.
    OneWayPartition,
    /// A node takes long to check and to execute.
    SlowNode,
    /// A clock is ahead or behind, by up to an hour.
    ClockOffset,
    /// A clock is too fast or too slow.
    ClockDrift,
    /// A clock jumps forward.
    ClockJump,
    /// A clock jumps back.
    ClockJumpBack,
    /// A process is killed.
    Crash,
    /// Writes that were not synced are lost with the power.
    LostWrites,
    /// The power fails in the middle of a synced write.
    TornWrite,
    /// The disk reports an error.
    DiskError,
    /// The disk is full for a while.
    DiskFull,
    /// Every process is killed.
    AllCrash,
    /// A node comes back with an old copy of its disk.
    OldDisk,
    /// A Byzantine node says nothing for a while.
    Silence,
    /// A Byzantine leader proposes two blocks.
    Equivocation,
    /// A Byzantine node notarizes two blocks of one view.
    DoubleVote,
    /// A Byzantine node finalizes and nullifies one view.
    FinalizeAndNullify,
    /// A Byzantine node finalizes another result.
    WrongResult,
    /// A Byzantine node proposes what it does not give to anyone.
    WithheldBatch,
    /// A Byzantine node gives its batches to one node alone.
    PrivateBatch,
    /// A Byzantine node proposes a batch with a forged signature.
    InvalidBatch,
    /// A Byzantine node fills batches with what was decided before.
    VoidBatch,
    /// A Byzantine node takes the signatures off others' transactions.
    StrippedSignatures,
    /// A Byzantine node sends certificates that are none.
    MalformedCertificate,
    /// A Byzantine node sends again what was once said.
    StaleReplay,
    /// A Byzantine node answers with blocks that are none.
    LyingSync,
    /// A Byzantine node forgets everything and votes anew.
    Amnesia,
}

impl Fault {
    /// Every kind.
    pub const ALL: [Self; 32] = [
        Self::Loss,
        Self::Delay,
        Self::Duplication,
        Self::Reordering,
        Self::Partition,
        Self::OneWayPartition,
        Self::SlowNode,
        Self::ClockOffset,
        Self::ClockDrift,
        Self::ClockJump,
        Self::ClockJumpBack,
        Self::Crash,
        Self::LostWrites,
        Self::TornWrite,
        Self::DiskError,
        Self::DiskFull,
        Self::AllCrash,
        Self::OldDisk,
        Self::Silence,
        Self::Equivocation,
        Self::DoubleVote,
        Self::FinalizeAndNullify,
        Self::WrongResult,
        Self::WithheldBatch,
        Self::PrivateBatch,
        Self::InvalidBatch,
        Self::VoidBatch,
        Self::StrippedSignatures,
        Self::MalformedCertificate,
        Self::StaleReplay,
        Self::LyingSync,
        Self::Amnesia,
    ];

    /// What a Byzantine node may do, of its own: all from the first such kind on.
    pub const BYZANTINE: &[Self] = Self::ALL.split_at(Self::Silence as usize).1;
}

/// How often each kind struck.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tally {
    counts: BTreeMap<Fault, u64>,
}

impl Tally {
    /// It struck.
    pub fn count(&mut self, fault: Fault) {
        *self.counts.entry(fault).or_default() += 1;
    }

    /// How often it did.
    pub fn of(&self, fault: Fault) -> u64 {
        self.counts.get(&fault).copied().unwrap_or(0)
    }

    /// Adds what struck in another run.
    pub fn add(&mut self, other: &Self) {
        for (fault, count) in &other.counts {
            *self.counts.entry(*fault).or_default() += count;
        }
    }

    /// What never struck.
    pub fn missing(&self) -> Vec<Fault> {
        Fault::ALL.into_iter().filter(|fault| self.of(*fault) == 0).collect()
    }
}
