//! How closely blocks follow each other under load.
//!
//! A block costs every validator some milliseconds of processor time whatever is in it: a dozen
//! votes to sign or check, four synced writes, two rounds of the executor. At half of what a network
//! can settle, blocks as fast as they go would be small and eat the other half. So a leader waits a
//! moment after a block that had many transactions. A quiet network never waits.

use tonle_model::block::Header;
use tonle_model::number::View;

/// A block of fewer transactions is no load.
const LOAD: u64 = 64;
/// After a loaded block the next is built so much later: as long as it takes to decide one.
pub(super) const PAUSE_MS: u64 = 30;

/// When the next block may be built, and what waits for that.
#[derive(Debug, Default)]
pub(super) struct Pace {
    not_before_ms: u64,
    waiting: Option<(View, Header)>,
}

impl Pace {
    /// A block is committed. What waited for an earlier height is obsolete.
    pub(super) fn committed(&mut self, transactions: u64, now_ms: u64) {
        let pause_ms = if transactions >= LOAD { PAUSE_MS } else { 0 };
        *self = Self { not_before_ms: now_ms.saturating_add(pause_ms), waiting: None };
    }

    /// The core asks for a block, in place of any that it asked for before.
    pub(super) fn ask(&mut self, view: View, template: Header) {
        self.waiting = Some((view, template));
    }

    /// What is to be built now.
    pub(super) fn due(&mut self, now_ms: u64) -> Option<(View, Header)> {
        self.waiting.take_if(|_| now_ms >= self.not_before_ms)
    }

    /// When something is.
    pub(super) fn deadline(&self) -> Option<u64> {
        self.waiting.as_ref().map(|_| self.not_before_ms)
    }
}

#[cfg(test)]
mod tests {
    use tonle_model::hash::ChainHash;

    use super::*;

    fn asked(pace: &mut Pace, view: u32) {
        pace.ask(View(view), Header::genesis(ChainHash::default(), 1));
    }

    #[test]
    fn a_quiet_network_does_not_wait_and_a_loaded_one_does() {
        let mut pace = Pace::default();
        asked(&mut pace, 0);
        assert!(pace.due(5).is_some() && pace.due(5).is_none(), "once");
        pace.committed(LOAD - 1, 10);
        asked(&mut pace, 0);
        assert!(pace.due(10).is_some());
        pace.committed(LOAD, 20);
        asked(&mut pace, 0);
        assert_eq!(pace.deadline(), Some(20 + PAUSE_MS));
        assert!(pace.due(19 + PAUSE_MS).is_none());
        asked(&mut pace, 1);
        assert_eq!(pace.due(20 + PAUSE_MS).map(|(view, _)| view), Some(View(1)), "the latest");
        asked(&mut pace, 2);
        pace.committed(LOAD, 60);
        assert_eq!((pace.due(u64::MAX), pace.deadline()), (None, None), "another height's");
    }
}
