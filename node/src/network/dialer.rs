//! When to dial whom.
//!
//! Of two peers the one with the lower key dials; the other one waits for it, and dials only when
//! that took too long. Attempts go on for ever, further and further apart up to a limit.

use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::time::{Duration, Instant};

use tonle_model::key::PublicKey;

use super::PeerAddress;

/// The wait after a first failure.
const WAIT_MIN: Duration = Duration::from_millis(100);
/// The wait after many failures: a peer that can be reached again is linked a moment later.
const WAIT_MAX: Duration = Duration::from_secs(1);
/// How long the peer with the higher key leaves the dialing to the other one. Far longer than a
/// handshake, so that the two do not meet.
const PATIENCE: Duration = Duration::from_secs(3);
/// A link that lasted this long was a success, and the next wait is short again.
const STABLE: Duration = Duration::from_secs(5);

/// See the module.
pub(super) struct Dialer {
    peers: BTreeMap<PublicKey, Peer>,
}

struct Peer {
    address: String,
    /// It is for us to dial.
    ours: bool,
    wait: Duration,
    state: State,
}

#[derive(Clone, Copy)]
enum State {
    Waiting { until: Instant },
    Dialing,
    Connected { since: Instant },
}

impl Dialer {
    /// Dials `peers` as the node `own`; `eager` means that nobody will dial it.
    pub(super) fn new(own: PublicKey, eager: bool, peers: Vec<PeerAddress>, now: Instant) -> Self {
        let peers = peers.into_iter().filter(|peer| peer.public_key != own);
        let peers = peers.map(|peer| {
            let ours = eager || own < peer.public_key;
            let until = if ours { now } else { now + PATIENCE };
            let state = State::Waiting { until };
            (peer.public_key, Peer { address: peer.address, ours, wait: WAIT_MIN, state })
        });
        Self { peers: peers.collect() }
    }

    /// When to call [`due`](Self::due) next, `allowed` naming who is to be dialed at all.
    pub(super) fn next(&self, allowed: impl Fn(&PublicKey) -> bool) -> Option<Instant> {
        let waiting = self.peers.iter().filter(|(key, _)| allowed(key));
        waiting.filter_map(|(_, peer)| peer.waits_until()).min()
    }

    /// Whom to dial now, and where. Each is told only once, until its attempt failed.
    pub(super) fn due(
        &mut self,
        now: Instant,
        allowed: impl Fn(&PublicKey) -> bool,
    ) -> Vec<(PublicKey, String)> {
        let due = |peer: &Peer| peer.waits_until().is_some_and(|until| until <= now);
        let due = self.peers.iter_mut().filter(|(key, peer)| allowed(key) && due(peer));
        due.map(|(key, peer)| {
            peer.state = State::Dialing;
            (*key, peer.address.clone())
        })
        .collect()
    }

    /// A connection came about, whoever dialed.
    pub(super) fn connected(&mut self, key: &PublicKey, now: Instant) {
        if let Some(peer) = self.peers.get_mut(key) {
            peer.state = State::Connected { since: now };
        }
    }

    /// The connection ended.
    pub(super) fn lost(&mut self, key: &PublicKey, now: Instant) {
        if let Some(peer) = self.peers.get_mut(key) {
            if let State::Connected { since } = peer.state
                && now.saturating_duration_since(since) >= STABLE
            {
                peer.wait = WAIT_MIN;
            }
            peer.retry(now);
        }
    }

    /// An attempt failed.
    pub(super) fn failed(&mut self, key: &PublicKey, now: Instant) {
        if let Some(peer) = self.peers.get_mut(key) {
            // An attempt also fails when the peer's own came through first.
            if matches!(peer.state, State::Dialing) {
                peer.retry(now);
            }
        }
    }
}

impl Peer {
    fn waits_until(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { until } => Some(until),
            State::Dialing | State::Connected { .. } => None,
        }
    }

    fn retry(&mut self, now: Instant) {
        let wait = if self.ours { self.wait } else { self.wait.max(PATIENCE) };
        self.state = State::Waiting { until: now + wait + jitter(wait / 4) };
        self.wait = (self.wait * 2).min(WAIT_MAX);
    }
}

/// Between nothing and `most`, so that nodes that failed together do not retry together.
fn jitter(most: Duration) -> Duration {
    // The keys of a `RandomState` are random, which is all that is wanted here.
    let share = RandomState::new().hash_one(0_u8) % 1_000;
    most * share as u32 / 1_000
}

#[cfg(test)]
mod tests {
    use tonle_model::key::KeyPair;

    use super::*;

    fn ordered_keys() -> (PublicKey, PublicKey) {
        let keys = ["a", "b"].map(|name| KeyPair::demo(name).public_key());
        (keys[0].min(keys[1]), keys[0].max(keys[1]))
    }

    fn dialer(own: PublicKey, eager: bool, peer: PublicKey, now: Instant) -> Dialer {
        let peer = PeerAddress { public_key: peer, address: "host:1".into() };
        Dialer::new(own, eager, vec![peer], now)
    }

    fn due(dialer: &mut Dialer, now: Instant) -> bool {
        !dialer.due(now, |_| true).is_empty()
    }

    #[test]
    fn the_lower_key_dials_and_the_higher_one_waits_for_it() {
        let (low, high) = ordered_keys();
        let now = Instant::now();
        assert!(due(&mut dialer(low, false, high, now), now));
        let mut patient = dialer(high, false, low, now);
        assert!(!due(&mut patient, now));
        assert!(due(&mut patient, now + PATIENCE), "nobody came: it dials after all");
        assert!(due(&mut dialer(high, true, low, now), now), "nobody dials an observer");
    }

    #[test]
    fn waits_grow_to_a_limit_and_shrink_after_a_link_that_lasted() {
        let (low, high) = ordered_keys();
        let start = Instant::now();
        let mut dialer = dialer(low, false, high, start);
        let mut now = start;
        for _ in 0..20 {
            assert!(due(&mut dialer, now));
            assert!(!due(&mut dialer, now), "an attempt is under way");
            dialer.failed(&high, now);
            let next = dialer.next(|_| true).expect("it waits");
            assert!(next - now <= WAIT_MAX + WAIT_MAX / 4);
            now = next;
        }
        dialer.connected(&high, now);
        dialer.lost(&high, now);
        assert!(dialer.next(|_| true).expect("it waits") - now >= WAIT_MAX, "a short link");
        dialer.connected(&high, now);
        assert_eq!(dialer.next(|_| true), None);
        dialer.failed(&high, now);
        assert_eq!(dialer.next(|_| true), None, "our attempt lost against the peer's");
        dialer.lost(&high, now + STABLE);
        assert!(dialer.next(|_| true).expect("it waits") - (now + STABLE) < 2 * WAIT_MIN);
    }

    #[test]
    fn nobody_dials_a_peer_that_is_not_allowed() {
        let (low, high) = ordered_keys();
        let now = Instant::now();
        let mut dialer = dialer(low, false, high, now);
        assert_eq!(dialer.next(|_| false), None);
        assert!(dialer.due(now, |_| false).is_empty());
        assert!(due(&mut dialer, now));
    }
}
