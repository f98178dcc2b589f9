//! Rule 8: status, answers to it, and asking for blocks when others are ahead.

use std::collections::BTreeMap;

use tonle_model::number::{Height, View};
use tonle_model::validators::faults;
use tonle_model::vote::{Status, Vote};

use crate::core::Core;
use crate::face::{Message, Output, PeerId, Recipients};
use crate::limits;

/// A connected node.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
struct Peer {
    /// When its status was last answered.
    answered_ms: Option<u64>,
    /// It says it decides this height, above ours, and said so first at that time.
    claim: Option<(Height, u64)>,
}

/// Blocks asked for and not yet all committed.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Range {
    peer: PeerId,
    from: Height,
    count: u64,
    /// Given up then.
    due_ms: u64,
    answered: bool,
}

impl Range {
    fn end(&self) -> Height {
        Height(self.from.0.saturating_add(self.count))
    }
}

/// What is known of other nodes, across heights.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Peers {
    connected: BTreeMap<PeerId, Peer>,
    /// How many block requests each left without use, those too that are gone: nobody is asked
    /// first again by coming back.
    failures: BTreeMap<PeerId, u32>,
    /// The latest vote seen of each validator, by height, view and kind. In that order, and not in
    /// that of their arrival: a vote that is sent again is no later one.
    latest: BTreeMap<PeerId, Vote>,
    status_due_ms: u64,
    ranges: Vec<Range>,
}

impl Peers {
    /// The peer is gone, and with it all that it was asked for: if it is back in a moment, it has
    /// never heard of what it did not answer, and what it answered may be the lie that it was cut
    /// off for.
    pub(crate) fn disconnected(&mut self, peer: PeerId) {
        let before = self.ranges.len();
        self.ranges.retain(|range| range.peer != peer);
        if self.ranges.len() < before {
            self.failed(peer);
        }
        self.connected.remove(&peer);
    }

    /// Remembers the vote for the day its signer has lost its log.
    pub(crate) fn saw_vote(&mut self, signer: Option<&PeerId>, vote: Vote) {
        let place = |vote: &Vote| (vote.ballot.height, vote.ballot.view, vote.ballot.kind);
        if let Some(signer) = signer {
            let latest = self.latest.entry(*signer).or_insert(vote);
            if place(&vote) > place(latest) {
                *latest = vote;
            }
        }
    }

    pub(crate) fn votes_seen(&self) -> impl Iterator<Item = (PeerId, Vote)> {
        self.latest.iter().map(|(signer, vote)| (*signer, *vote))
    }

    /// Lets go of what the commit of `height` made needless. Returns those who were known to be as
    /// far as this.
    pub(crate) fn committed(
        &mut self,
        height: Height,
        validators: &[PeerId],
        now_ms: u64,
    ) -> Vec<PeerId> {
        let next = height.next();
        self.ranges.retain(|range| range.end() > next);
        for range in self.ranges.iter_mut().filter(|range| range.answered) {
            range.due_ms = now_ms.saturating_add(limits::RANGE_MS);
        }
        let mut reached = Vec::new();
        for (id, peer) in &mut self.connected {
            reached.extend(peer.claim.take_if(|(claimed, _)| *claimed <= next).map(|_| *id));
        }
        let connected = &self.connected;
        self.latest.retain(|peer, _| validators.contains(peer) || connected.contains_key(peer));
        reached
    }

    /// A range came to nothing: the claim behind it is dropped after this one request.
    fn failed(&mut self, peer: PeerId) {
        if let Some(connected) = self.connected.get_mut(&peer) {
            connected.claim = None;
        }
        let is_known = self.failures.contains_key(&peer);
        if !is_known && self.failures.len() >= limits::PEERS_MAX {
            // Whoever failed least makes room: many that fail once hide nobody.
            let least = self.failures.iter().min_by_key(|(_, failures)| **failures);
            if let Some(least) = least.map(|(id, _)| *id) {
                self.failures.remove(&least);
            }
        }
        let failures = self.failures.entry(peer).or_default();
        *failures = failures.saturating_add(1);
    }

    fn expire(&mut self, now_ms: u64) {
        let (expired, kept) = self.ranges.drain(..).partition(|range| range.due_ms <= now_ms);
        self.ranges = kept;
        let expired: Vec<Range> = expired;
        for range in expired {
            self.failed(range.peer);
        }
    }

    /// The first height from `first` on that no range covers.
    fn uncovered(&self, first: Height) -> Height {
        let mut next = first;
        while let Some(range) = self.ranges.iter().find(|r| r.from <= next && next < r.end()) {
            next = range.end();
        }
        next
    }

    /// Who has the block at `from`, with how many from there on: the least disappointing of those
    /// that are not asked already.
    fn source(&self, from: Height, first: Height, now_ms: u64) -> Option<(PeerId, u64)> {
        let later = self.ranges.iter().map(|range| range.from).filter(|start| *start > from);
        let room = later.min().map_or(u64::MAX, |start| start.0.saturating_sub(from.0));
        let asked = |peer| self.ranges.iter().any(|range| range.peer == peer && !range.answered);
        let sources = self.connected.iter().filter_map(|(id, peer)| {
            let (claimed, since_ms) = peer.claim?;
            let ready = claimed > from && now_ms >= ripe_ms(claimed, since_ms, first);
            let count = claimed.0.saturating_sub(from.0).min(limits::RANGE_BLOCKS_MAX).min(room);
            let failures = self.failures.get(id).copied().unwrap_or_default();
            (ready && !asked(*id)).then_some((failures, *id, count))
        });
        sources.min().map(|(_, id, count)| (id, count))
    }
}

/// When a claim is worth a request: a block or two usually come by themselves in a moment.
fn ripe_ms(claimed: Height, since_ms: u64, first: Height) -> u64 {
    match claimed.0.saturating_sub(first.0) {
        behind if behind > limits::PUSHED_BLOCKS_MAX => since_ms,
        _ => since_ms.saturating_add(limits::STANDSTILL_MS),
    }
}

impl Core {
    pub(crate) fn on_connected(&mut self, peer: PeerId, outputs: &mut Vec<Output>) {
        let known = self.peers.connected.contains_key(&peer);
        if !known && self.peers.connected.len() >= limits::PEERS_MAX {
            return;
        }
        if self.peers.connected.is_empty() {
            self.peers.status_due_ms = self.now_ms.saturating_add(limits::STATUS_MS);
        }
        self.peers.connected.entry(peer).or_default();
        self.send_status(peer, outputs);
    }

    /// Where a peer is: what it saw of us, whether it needs help, whether we do.
    pub(crate) fn on_status(&mut self, from: PeerId, status: &Status, outputs: &mut Vec<Output>) {
        if let Some(vote) = status.latest_of_receiver
            && !self.knows_own(&vote.ballot)
        {
            self.found_unknown_vote(vote.ballot, outputs);
        }
        self.voter.answered_by(from);
        let (now_ms, height) = (self.now_ms, self.round.height);
        let Some(peer) = self.peers.connected.get_mut(&from) else { return };
        if status.height > height {
            let since_ms = peer.claim.map_or(now_ms, |(_, since_ms)| since_ms);
            peer.claim = Some((status.height, since_ms));
            return;
        }
        peer.claim = None;
        let rested = |at_ms: u64| now_ms >= at_ms.saturating_add(limits::ANSWER_MS);
        if self.is_ahead_of(status) && peer_may_be_answered(&self.peers, from, rested) {
            if let Some(peer) = self.peers.connected.get_mut(&from) {
                peer.answered_ms = Some(now_ms);
            }
            self.answer(from, status, outputs);
        }
    }

    fn is_ahead_of(&self, status: &Status) -> bool {
        let behind_in_view = status.height == self.round.height && status.view < self.round.view;
        status.height < self.round.height || behind_in_view || self.is_decided()
    }

    /// Helps a node that is behind: with blocks if it is nearly here, with our status, which makes
    /// it ask for ranges, if it is far; with certificates if it is at the same height.
    fn answer(&self, to: PeerId, status: &Status, outputs: &mut Vec<Output>) {
        let behind = self.round.height.0.saturating_sub(status.height.0);
        if behind > limits::PUSHED_BLOCKS_MAX {
            self.send_status(to, outputs);
        } else if behind > 0 {
            outputs.push(Output::SendBlocks { to, from: status.height, count: behind });
        } else {
            self.send_certificates(to, status.view, outputs);
        }
    }

    /// What moves a node at `view` of this height to where we are.
    fn send_certificates(&self, to: PeerId, view: View, outputs: &mut Vec<Output>) {
        let mut certificates = Vec::new();
        if let Some(finalization) = &self.round.finalization {
            certificates.push(finalization);
        } else {
            let notarized = self.round.notarized.filter(|notarized| *notarized >= view);
            let slot = notarized.and_then(|notarized| self.round.slot(notarized));
            certificates.extend(slot.and_then(|slot| slot.notarization.as_ref()));
            let first = notarized.map_or(view, View::next);
            let slots = self.round.slots.range(first..).map(|(_, slot)| slot);
            let nullifications = slots.filter_map(|slot| slot.nullification.as_ref());
            certificates.extend(nullifications.take(limits::NULLIFICATIONS_SENT_MAX));
        }
        outputs.extend(certificates.into_iter().map(|certificate| Output::Send {
            to: Recipients::One(to),
            message: Message::Certificate(certificate.clone()),
        }));
    }

    pub(crate) fn send_status(&self, to: PeerId, outputs: &mut Vec<Output>) {
        let latest_of_receiver = self.peers.latest.get(&to).copied();
        let (height, view) = (self.round.height, self.round.view);
        let status = Status { height, view, latest_of_receiver };
        outputs.push(Output::Send { to: Recipients::One(to), message: Message::Status(status) });
    }

    /// Status to everyone connected: each hears of its own latest vote.
    pub(crate) fn send_status_to_all(&mut self, outputs: &mut Vec<Output>) {
        self.peers.status_due_ms = self.now_ms.saturating_add(limits::STATUS_MS);
        for peer in self.peers.connected.keys() {
            self.send_status(*peer, outputs);
        }
    }

    pub(crate) fn status_deadline(&self) -> Option<u64> {
        (!self.peers.connected.is_empty()).then_some(self.peers.status_due_ms)
    }

    pub(crate) fn status_is_due(&self) -> bool {
        self.status_deadline().is_some_and(|due_ms| due_ms <= self.now_ms)
    }

    /// The height that others are deciding, above ours, for people who want to know how far it is:
    /// more than f nodes say that they are as far, or everyone who is connected does.
    pub fn claimed_height(&self) -> Option<Height> {
        let connected = &self.peers.connected;
        let claims = connected.values().filter_map(|peer| peer.claim);
        let mut heights: Vec<Height> = claims.map(|(height, _)| height).collect();
        heights.sort_unstable();
        let believed = heights.iter().rev().nth(faults(self.config.validators.len()));
        let by_all = heights.first().filter(|_| heights.len() == connected.len());
        believed.or(by_all).copied()
    }

    /// The first height whose block would help us.
    fn first_wanted(&self) -> Height {
        if self.is_decided() { self.round.height.next() } else { self.round.height }
    }

    /// Asks peers that are ahead for ranges of blocks.
    pub(crate) fn request_blocks(&mut self, outputs: &mut Vec<Output>) {
        self.peers.expire(self.now_ms);
        let first = self.first_wanted();
        while self.peers.ranges.len() < limits::RANGES_MAX {
            let from = self.peers.uncovered(first);
            let Some((peer, count)) = self.peers.source(from, first, self.now_ms) else { return };
            let due_ms = self.now_ms.saturating_add(limits::RANGE_MS);
            self.peers.ranges.push(Range { peer, from, count, due_ms, answered: false });
            outputs.push(Output::FetchBlocks { peer, from, count });
        }
    }

    /// A block request ended. The blocks count as ours to commit; none means that the claim was
    /// empty.
    pub(crate) fn on_fetched(&mut self, peer: PeerId, from: Height, count: u64) {
        let asked = |range: &Range| range.peer == peer && range.from == from && !range.answered;
        let Some(position) = self.peers.ranges.iter().position(asked) else { return };
        if count == 0 {
            self.peers.ranges.remove(position);
            self.peers.failed(peer);
        } else if let Some(range) = self.peers.ranges.get_mut(position) {
            range.answered = true;
            range.count = range.count.min(count);
            range.due_ms = self.now_ms.saturating_add(limits::RANGE_MS);
        }
    }

    pub(crate) fn sync_deadline(&self) -> Option<u64> {
        let first = self.first_wanted();
        let claims = self.peers.connected.values().filter_map(|peer| peer.claim);
        let ripe = claims.map(|(claimed, since_ms)| ripe_ms(claimed, since_ms, first));
        let ripe = ripe.filter(|at_ms| *at_ms > self.now_ms);
        self.peers.ranges.iter().map(|range| range.due_ms).chain(ripe).min()
    }
}

/// Whether the peer's last answer is long enough ago.
fn peer_may_be_answered(peers: &Peers, peer: PeerId, rested: impl Fn(u64) -> bool) -> bool {
    peers.connected.get(&peer).is_some_and(|peer| peer.answered_ms.is_none_or(rested))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failures_are_remembered_of_so_many_peers_and_of_the_worst_first() {
        let mut peers = Peers::default();
        let liar = PeerId(0);
        (0..2).for_each(|_| peers.failed(liar));
        (1..=2 * limits::PEERS_MAX as u64).for_each(|number| peers.failed(PeerId(number)));
        assert_eq!(peers.failures.len(), limits::PEERS_MAX);
        assert_eq!(peers.failures.get(&liar), Some(&2));
    }
}
