//! What a node that joins knows of a peer that it is connected to: what it holds, and what it owes.

use std::collections::BTreeMap;

use tonle_wsv::state::snapshot::{Offer, PartId};

/// How many parts a peer is asked for at a time: 8 MiB on their way.
const ASKED_MAX: usize = 8;
/// Of a peer that owes parts, one comes within this time, or it is asked again: its queue may have
/// been full, or that of its link. Then one comes within this time, or it is dropped.
pub(super) const PART_MS: u64 = 15_000;
/// A peer without an offer is asked again after this.
const OFFER_MS: u64 = 5_000;

/// What a peer says that it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) enum Holds {
    /// It has not said, or has no longer what it offered.
    #[default]
    Unknown,
    /// Nothing: it asks for an offer itself, which no node does that has started.
    Joins,
    /// Only the genesis.
    Genesis,
    /// This.
    Snapshot(Offer),
}

/// What is to be done about a peer that owes parts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Silence {
    /// Nothing: it owes none, or not for long.
    Short,
    /// It is asked again for these.
    Long(Vec<PartId>),
    /// It is dropped.
    TooLong,
}

/// A peer that can be asked.
#[derive(Default)]
pub(super) struct Peer {
    /// What it says.
    pub(super) holds: Holds,
    /// When it was asked for an offer.
    asked_ms: Option<u64>,
    /// The parts that it owes, and since when.
    owed: BTreeMap<PartId, u64>,
    /// Since when it owes parts and has given none.
    silent_ms: u64,
    /// Whether it was asked again since then.
    is_reminded: bool,
}

impl Peer {
    /// The snapshot that it offers.
    pub(super) fn offer(&self) -> Option<Offer> {
        match self.holds {
            Holds::Snapshot(offer) => Some(offer),
            Holds::Unknown | Holds::Joins | Holds::Genesis => None,
        }
    }

    /// Whether it is time to ask it for an offer. If so, it counts as asked.
    pub(super) fn is_to_offer(&mut self, now_ms: u64) -> bool {
        let has_rested = |asked_ms: u64| now_ms.saturating_sub(asked_ms) >= OFFER_MS;
        let is_time = self.offer().is_none() && self.asked_ms.is_none_or(has_rested);
        if is_time {
            self.asked_ms = Some(now_ms);
        }
        is_time
    }

    /// Notes that it is asked for a part.
    pub(super) fn owe(&mut self, id: PartId, now_ms: u64) {
        if self.owed.is_empty() {
            self.silent_ms = now_ms;
            self.is_reminded = false;
        }
        self.owed.insert(id, now_ms);
    }

    /// Whether it owes a part.
    pub(super) fn owes(&self, id: &PartId) -> bool {
        self.owed.contains_key(id)
    }

    /// How many parts it owes.
    pub(super) fn owed(&self) -> usize {
        self.owed.len()
    }

    /// Whether it can be asked for one more.
    pub(super) fn is_free(&self) -> bool {
        self.owed.len() < ASKED_MAX
    }

    /// Forgets what it owes: nobody wants it any more.
    pub(super) fn forgive(&mut self) {
        self.owed.clear();
    }

    /// Notes that it answered; how long that took, if it owed the answer.
    pub(super) fn answered(&mut self, id: &PartId, now_ms: u64) -> Option<u64> {
        let asked_ms = self.owed.remove(id)?;
        self.silent_ms = now_ms;
        self.is_reminded = false;
        Some(now_ms.saturating_sub(asked_ms))
    }

    /// Judges its silence. The parts come one after another, so that it is not late with the last
    /// as long as others come. If it is to be asked again, it counts as asked.
    pub(super) fn silence(&mut self, now_ms: u64) -> Silence {
        let is_late = now_ms.saturating_sub(self.silent_ms) > PART_MS;
        match (is_late && !self.owed.is_empty(), self.is_reminded) {
            (false, _) => Silence::Short,
            (true, true) => Silence::TooLong,
            (true, false) => {
                self.silent_ms = now_ms;
                self.is_reminded = true;
                Silence::Long(self.owed.keys().copied().collect())
            }
        }
    }
}
