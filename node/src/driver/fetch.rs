//! Batches that are wanted and not held: whom to ask, and when to ask someone else.

use std::collections::BTreeMap;

use tonle_model::hash::BatchDigest;
use tonle_model::key::PublicKey;
use tonle_model::number::Height;

use crate::wire::{BatchRequest, REQUESTED_BATCHES_MAX};

/// Most batches wanted at once: enough for the blocks of several ranges.
const WANTED_MAX: usize = 4_096;
/// Most requests without an answer: one message's worth, 32 MiB of batches on the way back.
const ASKED_MAX: usize = REQUESTED_BATCHES_MAX;
/// Of these, at most so many for batches that were only announced.
const ANNOUNCED_MAX: usize = 16;
/// After so many refusals the next peer is not asked at once.
const ROUND: usize = 3;
/// An answer takes no longer than this, or another peer is asked.
const ANSWER_MS: u64 = 1_000;
/// A batch that is on its way from its author anyway is not asked for before this.
const GRACE_MS: u64 = 60;
/// A batch that only an announcement named is given up after so many peers did not have it.
const ANNOUNCED_TRIES_MAX: usize = 8;

/// Why a batch is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// An announcement named it.
    Announced,
    /// A header of the current height names it.
    Proposed,
    /// A decided block names it, at this height and place.
    Decided(Height, u16),
}

struct Want {
    reason: Reason,
    /// Who should have it, best first.
    holders: Vec<PublicKey>,
    tries: usize,
    due_ms: u64,
    /// Whom the answer is awaited from.
    asked: Option<PublicKey>,
}

/// The list of wanted batches.
#[derive(Default)]
pub struct Fetcher {
    wants: BTreeMap<BatchDigest, Want>,
    /// Something due found no room: it waits for an answer to make some, not for a time.
    starved: bool,
}

impl Fetcher {
    /// Wants a batch. A stronger reason replaces a weaker one, and asks at once.
    pub fn want(&mut self, now_ms: u64, digest: BatchDigest, reason: Reason, holder: PublicKey) {
        let full = self.wants.len() >= WANTED_MAX;
        let due_ms = match reason {
            Reason::Decided(..) => now_ms,
            Reason::Proposed | Reason::Announced => now_ms.saturating_add(GRACE_MS),
        };
        if let Some(want) = self.wants.get_mut(&digest) {
            if !want.holders.contains(&holder) && want.holders.len() < ANNOUNCED_TRIES_MAX {
                want.holders.push(holder);
            }
            if want.reason == Reason::Announced {
                want.reason = reason;
            }
            if matches!(reason, Reason::Decided(..)) && want.reason != reason {
                want.reason = reason;
                want.due_ms = now_ms;
            }
        } else if !full || reason != Reason::Announced {
            let want = Want { reason, holders: vec![holder], tries: 0, due_ms, asked: None };
            self.wants.insert(digest, want);
        }
    }

    /// What blocks name, proposed or decided: it is taken in whoever made it.
    pub fn named(&self) -> impl Iterator<Item = &BatchDigest> {
        let named = self.wants.iter().filter(|(_, want)| want.reason != Reason::Announced);
        named.map(|(digest, _)| digest)
    }

    /// The batch is here, or not wanted any more. Says why it was wanted.
    pub fn done(&mut self, digest: &BatchDigest) -> Option<Reason> {
        self.wants.remove(digest).map(|want| want.reason)
    }

    /// A header that named it is unusable.
    pub fn done_if_proposed(&mut self, digest: &BatchDigest) {
        if self.wants.get(digest).is_some_and(|want| want.reason == Reason::Proposed) {
            self.wants.remove(digest);
        }
    }

    /// It was only announced, and is of no use.
    pub fn done_if_announced(&mut self, digest: &BatchDigest) {
        if self.wants.get(digest).is_some_and(|want| want.reason == Reason::Announced) {
            self.wants.remove(digest);
        }
    }

    /// The peer that was asked does not have it: the next one is asked, at once or, when all
    /// have been asked, in a moment.
    pub fn not_there(&mut self, now_ms: u64, digest: &BatchDigest, peer: &PublicKey) {
        if let Some(want) = self.wants.get_mut(digest)
            && want.asked.as_ref() == Some(peer)
        {
            let all_asked = want.tries % ROUND == 0;
            want.due_ms = if all_asked { now_ms.saturating_add(GRACE_MS) } else { now_ms };
            want.asked = None;
        }
    }

    /// Forgets what headers of a height wanted once that height is decided; what its block needs
    /// is held by then.
    pub fn height_decided(&mut self) {
        self.wants.retain(|_, want| want.reason != Reason::Proposed);
    }

    /// The requests due now, grouped by peer: what decided blocks need first, then proposals,
    /// then what was only announced, which anyone can do. `connected` are all that can be asked.
    pub fn requests(
        &mut self,
        now_ms: u64,
        connected: &[PublicKey],
    ) -> BTreeMap<PublicKey, Vec<BatchRequest>> {
        let mut requests: BTreeMap<PublicKey, Vec<BatchRequest>> = BTreeMap::new();
        self.wants.retain(|_, want| !want.hopeless());
        let waits = |want: &&Want| want.asked.is_some() && want.due_ms > now_ms;
        let mut asked = self.wants.values().filter(waits).count();
        let mut due: Vec<_> =
            self.wants.iter_mut().filter(|(_, want)| want.due_ms <= now_ms).collect();
        due.sort_by_key(|(_, want)| (want.rank(), want.due_ms));
        self.starved = false;
        for (digest, want) in due {
            let room = if want.reason == Reason::Announced { ANNOUNCED_MAX } else { ASKED_MAX };
            if asked >= room {
                want.asked = None;
                self.starved = true;
                continue;
            }
            want.due_ms = now_ms.saturating_add(ANSWER_MS);
            let Some(peer) = want.next_holder(connected) else { continue };
            want.asked = Some(peer);
            want.tries += 1;
            asked += 1;
            let decided = match want.reason {
                Reason::Decided(height, position) => Some((height, position)),
                Reason::Announced | Reason::Proposed => None,
            };
            requests.entry(peer).or_default().push(BatchRequest { digest: *digest, decided });
        }
        requests
    }

    /// When something is due next.
    pub fn deadline(&self) -> Option<u64> {
        let timed = self.wants.values().filter(|want| !self.starved || want.asked.is_some());
        timed.map(|want| want.due_ms).min()
    }
}

impl Want {
    /// What comes first.
    fn rank(&self) -> (u8, Height) {
        match self.reason {
            Reason::Decided(height, _) => (0, height),
            Reason::Proposed => (1, Height(0)),
            Reason::Announced => (2, Height(0)),
        }
    }

    fn hopeless(&self) -> bool {
        self.reason == Reason::Announced && self.tries >= ANNOUNCED_TRIES_MAX
    }

    /// Holders first, in turn, then anyone.
    fn next_holder(&self, connected: &[PublicKey]) -> Option<PublicKey> {
        let holders = self.holders.iter().filter(|holder| connected.contains(holder));
        let others = connected.iter().filter(|peer| !self.holders.contains(peer));
        let order: Vec<&PublicKey> = holders.chain(others).collect();
        order.get(self.tries.checked_rem(order.len())?).copied().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::hash::Digest256;
    use tonle_model::key::KeyPair;

    fn key(name: &str) -> PublicKey {
        KeyPair::demo(name).public_key()
    }

    fn digest(number: u8) -> BatchDigest {
        BatchDigest(Digest256([number; 32]))
    }

    #[test]
    fn every_peer_is_asked_in_turn_holders_first() {
        let mut fetcher = Fetcher::default();
        let connected = [key("a"), key("b"), key("c")];
        fetcher.want(0, digest(1), Reason::Decided(Height(1), 0), key("b"));
        let mut asked = Vec::new();
        for round in 0..3 {
            let requests = fetcher.requests(round * ANSWER_MS, &connected);
            asked.extend(requests.into_keys());
        }
        assert_eq!(asked[0], key("b"));
        asked.sort();
        let mut all = connected.to_vec();
        all.sort();
        assert_eq!(asked, all);
    }

    #[test]
    fn an_announced_batch_nobody_has_is_given_up_and_a_decided_one_never() {
        let mut fetcher = Fetcher::default();
        let connected = [key("a")];
        fetcher.want(0, digest(1), Reason::Announced, key("a"));
        fetcher.want(0, digest(2), Reason::Decided(Height(1), 0), key("a"));
        for round in 1..100 {
            fetcher.requests(round * ANSWER_MS, &connected);
        }
        assert_eq!(fetcher.done(&digest(1)), None);
        assert_eq!(fetcher.done(&digest(2)), Some(Reason::Decided(Height(1), 0)));
    }

    #[test]
    fn what_is_useless_is_asked_for_no_more_unless_a_block_names_it() {
        let mut fetcher = Fetcher::default();
        fetcher.want(0, digest(1), Reason::Announced, key("a"));
        fetcher.want(0, digest(2), Reason::Proposed, key("a"));
        [1, 2].map(digest).iter().for_each(|digest| fetcher.done_if_announced(digest));
        let asked = fetcher.requests(GRACE_MS, &[key("a")]);
        assert_eq!(asked[&key("a")].iter().map(|one| one.digest).collect::<Vec<_>>(), [digest(2)]);
    }

    #[test]
    fn blocks_name_what_is_proposed_or_decided_and_nobody_what_is_announced() {
        let mut fetcher = Fetcher::default();
        let reasons = [Reason::Announced, Reason::Proposed, Reason::Decided(Height(1), 0)];
        for (number, reason) in (0..).zip(reasons) {
            fetcher.want(0, digest(number), reason, key("a"));
        }
        assert!(fetcher.named().eq(&[digest(1), digest(2)]));
        fetcher.height_decided();
        assert!(fetcher.named().eq(&[digest(2)]));
        fetcher.done(&digest(2));
        assert_eq!(fetcher.named().count(), 0);
    }

    #[test]
    fn the_next_peer_is_asked_at_once_when_one_has_nothing() {
        let mut fetcher = Fetcher::default();
        let connected = [key("a"), key("b")];
        fetcher.want(0, digest(1), Reason::Decided(Height(1), 0), key("a"));
        let first = fetcher.requests(0, &connected);
        assert!(fetcher.requests(1, &connected).is_empty(), "one answer is waited for");
        fetcher.not_there(1, &digest(1), &key("nobody asked"));
        assert!(fetcher.requests(1, &connected).is_empty(), "only the one asked can say so");
        fetcher.not_there(1, &digest(1), first.keys().next().unwrap());
        let second = fetcher.requests(1, &connected);
        assert_ne!(first.keys().next(), second.keys().next());
    }

    #[test]
    fn announcements_cannot_keep_decided_batches_waiting() {
        let mut fetcher = Fetcher::default();
        for number in 0..200 {
            fetcher.want(0, digest(number), Reason::Announced, key("a"));
        }
        let announced: usize = fetcher.requests(GRACE_MS, &[key("a")]).values().map(Vec::len).sum();
        assert_eq!(announced, ANNOUNCED_MAX);
        assert!(fetcher.deadline() > Some(GRACE_MS), "a driver without room must not spin");
        fetcher.want(GRACE_MS, digest(255), Reason::Decided(Height(9), 0), key("a"));
        let requests = fetcher.requests(GRACE_MS, &[key("a")]);
        assert_eq!(requests[&key("a")][0].digest, digest(255));
    }

    #[test]
    fn requests_in_flight_are_bounded() {
        let mut fetcher = Fetcher::default();
        for number in 0..=255 {
            fetcher.want(0, digest(number), Reason::Decided(Height(1), 0), key("a"));
        }
        let sum: usize = fetcher.requests(0, &[key("a")]).values().map(Vec::len).sum();
        assert!(sum <= ASKED_MAX);
        assert!(sum > 0);
    }
}
