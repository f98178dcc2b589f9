//! Joining from the snapshots of peers: whom to ask for what, and who is not to be asked again.
//!
//! A state machine without clock or socket. It takes the highest offer, asks all peers that offer
//! the same for parts, several at a time, and hands them to a [`Restore`], which believes nobody.
//!
//! | What happens | What follows |
//! |---|---|
//! | a part is false, or a manifest does not fit its pieces | whoever gave it is dropped |
//! | a peer owes parts and gives none | it is asked once more, then dropped |
//! | a peer says that it does not have a part | nothing by itself: see below |
//! | a snapshot does not come, or slowly while there is another | it is given up |
//! | four snapshots were given up | whoever gave their manifests is dropped |
//! | for a while nobody gives anything | those who were dropped are asked again |
//! | enough peers have only the genesis, or join themselves | there is nothing to join from |
//!
//! A peer may say at any time that it does not have a part: it has another snapshot by then, or it
//! has nothing of that name because the manifest lies. That alone is nobody's fault. But who offers
//! the most and gives nothing, or little, does not keep a node from joining, and neither does an
//! hour in which all are too slow.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use tonle_model::genesis::Genesis;
use tonle_model::hash::ChainHash;
use tonle_model::key::PublicKey;
use tonle_model::number::Height;
use tonle_model::validators::{faults, quorum};
use tonle_wsv::state::Committed;
use tonle_wsv::state::snapshot::{Offer, PartId, Progress, Restore, SnapshotError};
use tonle_wsv::store::Store;

use super::peer::{Holds, PART_MS, Peer, Silence};
use crate::wire::SnapshotMessage;

/// Most parts wanted at a time.
const WANTED_MAX: usize = 64;
/// Others may offer more until so long after the first offer came.
const OFFERS_MS: u64 = 3_000;
/// A snapshot that nobody offers any more is given up after this.
const SOURCELESS_MS: u64 = 5_000;
/// So is one of which nothing was taken for this long. Whoever is silent is dropped before.
const STALLED_MS: u64 = 3 * PART_MS;
/// How often it is measured how much came of a snapshot.
pub(super) const MEASURED_MS: u64 = 120_000;
/// If less came since it was measured last, another one is tried if there is one: a GiB comes
/// within the hour for which a server holds it.
pub(super) const MEASURED_BYTES_MIN: u64 = 32 * 1024 * 1024;
/// So many of a peer's snapshots may be given up: an honest one may be restarted, or lose its link.
const GIVEN_UP_MAX: u32 = 3;
/// After so long with enough peers that have nothing, nothing is there.
pub(super) const NOTHING_MS: u64 = 10_000;
/// After so long without a snapshot, those who were dropped may try again.
pub(super) const DROPPED_MS: u64 = 120_000;
/// Pause between two words about waiting.
pub(super) const TOLD_MS: u64 = 30_000;

/// What happens to a node that joins.
#[derive(Debug)]
pub enum Heard {
    /// A peer can be asked.
    Connected(PublicKey),
    /// A peer is gone.
    Disconnected(PublicKey),
    /// A peer says something about snapshots.
    Said(PublicKey, SnapshotMessage),
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub enum Act {
    /// Say this to a peer.
    Say(PublicKey, SnapshotMessage),
    /// Cut a peer off.
    Drop(PublicKey),
    /// Tell the operator that nobody gives a snapshot, and that it waits.
    Waiting {
        /// How many peers it can ask.
        peers: usize,
        /// How many it does not ask, since they were dropped.
        dropped: usize,
    },
}

/// How a step ended.
#[derive(Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It goes on.
    Going,
    /// The databases are filled and durable.
    Joined(Box<Committed>),
    /// Enough peers say that they have none: the network has only just begun.
    Nothing,
}

/// Why joining cannot go on: this machine's fault.
#[derive(Debug, thiserror::Error)]
pub enum JoinError {
    /// The databases.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The directory.
    #[error("cannot prepare the data directory: {0}")]
    Target(String),
}

/// Gives two empty databases, state and chain, in place of those that it gave before.
pub type Prepare<'a> =
    Box<dyn FnMut() -> Result<(Arc<dyn Store>, Arc<dyn Store>), JoinError> + Send + 'a>;

struct Session {
    offer: Offer,
    restore: Restore,
    /// Who gives the manifest, which only is what it is as a whole.
    lead: PublicKey,
    /// Since when nobody offers it.
    sourceless_ms: Option<u64>,
    /// Since when nothing has come of it: no part was taken, and nobody dropped who held it up.
    stalled_ms: Option<u64>,
    /// When it was measured, and how many bytes had come by then.
    measured: (u64, u64),
}

impl Session {
    fn is_stalled(&self, now_ms: u64) -> bool {
        self.stalled_ms.is_some_and(|since_ms| now_ms.saturating_sub(since_ms) >= STALLED_MS)
    }

    /// Whether nobody has offered it for some time.
    fn is_sourceless(&mut self, now_ms: u64, is_lost: bool) -> bool {
        self.sourceless_ms = is_lost.then(|| self.sourceless_ms.unwrap_or(now_ms));
        self.sourceless_ms.is_some_and(|since_ms| now_ms.saturating_sub(since_ms) >= SOURCELESS_MS)
    }

    /// Whether too little has come since it was measured last.
    fn is_slow(&mut self, now_ms: u64) -> bool {
        let (measured_ms, before) = self.measured;
        if now_ms.saturating_sub(measured_ms) < MEASURED_MS {
            return false;
        }
        let bytes = self.restore.progress().bytes;
        self.measured = (now_ms, bytes);
        bytes.saturating_sub(before) < MEASURED_BYTES_MIN
    }
}

/// A time without a snapshot to join from.
struct Quiet {
    since_ms: u64,
    /// Since when enough peers have had nothing.
    nothing_ms: Option<u64>,
    /// When the operator was told last.
    told_ms: u64,
}

/// A node on its way into a network.
pub struct Joining<'a> {
    genesis: &'a Genesis,
    chain: ChainHash,
    /// The peers that it is configured with. That others have nothing does not count.
    configured: BTreeSet<PublicKey>,
    prepare: Prepare<'a>,
    peers: BTreeMap<PublicKey, Peer>,
    /// Who was dropped and is not asked again for now, and whether it is connected.
    banned: BTreeMap<PublicKey, bool>,
    /// How often a peer was dropped.
    dropped: u64,
    /// How many snapshots were given up, by who gave their manifests.
    given_up: BTreeMap<PublicKey, u32>,
    /// How long a peer's latest part took, in milliseconds. A peer that leaves and comes back is
    /// no faster for it.
    paces: BTreeMap<PublicKey, u64>,
    session: Option<Session>,
    /// When the first offer of those that one is chosen from came.
    offered_ms: Option<u64>,
    quiet: Option<Quiet>,
    now_ms: u64,
    acts: Vec<Act>,
}

impl<'a> Joining<'a> {
    /// A node that knows its genesis, which peers it is configured with, and nothing else.
    pub fn new(
        genesis: &'a Genesis,
        configured: BTreeSet<PublicKey>,
        prepare: Prepare<'a>,
    ) -> Self {
        Self {
            genesis,
            chain: genesis.chain(),
            configured,
            prepare,
            peers: BTreeMap::new(),
            banned: BTreeMap::new(),
            dropped: 0,
            given_up: BTreeMap::new(),
            paces: BTreeMap::new(),
            session: None,
            offered_ms: None,
            quiet: None,
            now_ms: 0,
            acts: Vec::new(),
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.session.as_ref().map_or_else(Progress::default, |session| session.restore.progress())
    }

    /// How often a peer was dropped for lying or not answering.
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Takes in what happened, if anything did, and says what to do.
    ///
    /// # Errors
    ///
    /// [`JoinError`], if this machine cannot go on.
    pub fn step(
        &mut self,
        now_ms: u64,
        heard: Option<Heard>,
        acts: &mut Vec<Act>,
    ) -> Result<Outcome, JoinError> {
        self.now_ms = now_ms;
        if let Some(session) = &mut self.session {
            // Only now: taking the last part may have taken long itself.
            session.stalled_ms.get_or_insert(now_ms);
        }
        match heard {
            Some(heard) => self.take(heard)?,
            // Only when nothing waits to be taken: answers may be here already.
            None => {
                self.press_the_silent();
            }
        }
        self.ask_for_offers();
        self.choose()?;
        let outcome = self.go_on()?;
        acts.append(&mut self.acts);
        Ok(outcome)
    }

    fn take(&mut self, heard: Heard) -> Result<(), JoinError> {
        match heard {
            Heard::Connected(peer) => match self.banned.get_mut(&peer) {
                Some(is_connected) => *is_connected = true,
                None => {
                    self.peers.insert(peer, Peer::default());
                }
            },
            Heard::Disconnected(peer) => {
                if let Some(is_connected) = self.banned.get_mut(&peer) {
                    *is_connected = false;
                }
                if self.peers.remove(&peer).is_some_and(|gone| gone.owed() > 0) {
                    self.paces.insert(peer, PART_MS);
                }
            }
            Heard::Said(from, message) => self.take_message(from, message)?,
        }
        Ok(())
    }

    fn take_message(&mut self, from: PublicKey, message: SnapshotMessage) -> Result<(), JoinError> {
        let now_ms = self.now_ms;
        let chosen = self.session.as_ref().map(|session| session.offer.height);
        let Some(peer) = self.peers.get_mut(&from) else { return Ok(()) };
        match message {
            SnapshotMessage::Offer(offer) => {
                peer.holds = offer.map_or(Holds::Genesis, Holds::Snapshot);
                if offer.is_some_and(|offer| offer.chain != self.chain) {
                    self.blame(from, "offers a snapshot of another network");
                }
            }
            // Answers about a snapshot that was given up do not count.
            SnapshotMessage::Part(height, id, bytes) if chosen == Some(height) => {
                if let Some(took_ms) = peer.answered(&id, now_ms) {
                    self.paces.insert(from, took_ms);
                    self.take_part(from, id, &bytes.0)?;
                }
            }
            SnapshotMessage::NoPart(height, id) if chosen == Some(height) => {
                // It has another one by now, or none, or there is no such part.
                if peer.answered(&id, now_ms).is_some() {
                    peer.holds = Holds::Unknown;
                    // Others that offer the same are asked first.
                    self.paces.insert(from, PART_MS);
                }
            }
            SnapshotMessage::Part(..) | SnapshotMessage::NoPart(..) => {}
            // No answer: this node has nothing yet, which is not to say that there is nothing.
            SnapshotMessage::GetOffer => peer.holds = Holds::Joins,
            SnapshotMessage::GetPart(height, id) => {
                self.acts.push(Act::Say(from, SnapshotMessage::NoPart(height, id)));
            }
        }
        Ok(())
    }

    fn take_part(&mut self, from: PublicKey, id: PartId, bytes: &[u8]) -> Result<(), JoinError> {
        let Some(session) = &mut self.session else { return Ok(()) };
        match session.restore.take(id, bytes) {
            Ok(()) => {
                session.stalled_ms = None;
                Ok(())
            }
            Err(SnapshotError::FalseManifest) => {
                let lead = session.lead;
                self.blame(lead, "gave a manifest that is a lie");
                self.give_up();
                Ok(())
            }
            Err(error) if error.is_invalid() => {
                tracing::warn!(peer = %from, %error, "gave a part of a snapshot that is a lie");
                self.blame(from, "lied about a snapshot");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Drops a peer, which is not asked again for now.
    fn blame(&mut self, peer: PublicKey, reason: &str) {
        if self.banned.contains_key(&peer) {
            return;
        }
        tracing::warn!(%peer, reason, "dropped");
        // One that left meanwhile may be back at any time.
        let is_connected = self.peers.remove(&peer).is_some();
        self.banned.insert(peer, is_connected);
        self.dropped += 1;
        self.acts.push(Act::Drop(peer));
        // Others are asked for what it did not give.
        if let Some(session) = &mut self.session {
            session.stalled_ms = None;
        }
    }

    /// Asks those again who are silent, and drops those who still are; whether there was anybody.
    fn press_the_silent(&mut self) -> bool {
        // Without a snapshot nobody owes anything.
        let Some(session) = &self.session else { return false };
        let height = session.offer.height;
        let (mut silent, mut has_asked) = (Vec::new(), false);
        for (key, peer) in &mut self.peers {
            match peer.silence(self.now_ms) {
                Silence::Short => {}
                Silence::Long(owed) => {
                    let again = |id| Act::Say(*key, SnapshotMessage::GetPart(height, id));
                    self.acts.extend(owed.into_iter().map(again));
                    has_asked = true;
                }
                Silence::TooLong => silent.push(*key),
            }
        }
        for peer in &silent {
            self.blame(*peer, "did not send what it offered");
        }
        has_asked || !silent.is_empty()
    }

    fn ask_for_offers(&mut self) {
        for (key, peer) in &mut self.peers {
            if peer.is_to_offer(self.now_ms) {
                self.acts.push(Act::Say(*key, SnapshotMessage::GetOffer));
            }
        }
    }

    /// Chooses the highest offer once all have made theirs, or had the time to.
    fn choose(&mut self) -> Result<(), JoinError> {
        if self.session.is_some() {
            return Ok(());
        }
        let offers = self.peers.iter().filter_map(|(key, peer)| Some((peer.offer()?, *key)));
        let best = offers.max_by_key(|(offer, _)| (offer.height, offer.manifest_parts));
        let Some((offer, lead)) = best else {
            self.offered_ms = None;
            return Ok(());
        };
        let since_ms = *self.offered_ms.get_or_insert(self.now_ms);
        let have_all_spoken = self.peers.values().all(|peer| peer.holds != Holds::Unknown);
        if !have_all_spoken && self.now_ms.saturating_sub(since_ms) < OFFERS_MS {
            return Ok(());
        }
        self.offered_ms = None;
        let (state, chain) = (self.prepare)()?;
        match Restore::new(self.genesis, offer, state, chain) {
            Ok(restore) => {
                tracing::info!(height = %offer.height, peer = %lead, "joining from a snapshot");
                let (sourceless_ms, stalled_ms) = (None, None);
                let measured = (self.now_ms, 0);
                self.quiet = None;
                self.session =
                    Some(Session { offer, restore, lead, sourceless_ms, stalled_ms, measured });
            }
            Err(error) if error.is_invalid() => self.blame(lead, "offers what cannot be"),
            Err(error) => return Err(error.into()),
        }
        Ok(())
    }

    /// Asks for what is missing of the chosen one, or ends.
    fn go_on(&mut self) -> Result<Outcome, JoinError> {
        let now_ms = self.now_ms;
        let Some(session) = &mut self.session else { return Ok(self.wait()) };
        let wanted = session.restore.wanted(WANTED_MAX);
        if wanted.is_empty() {
            return self.finish();
        }
        let (offer, lead) = (session.offer, session.lead);
        let offers = || self.peers.iter().filter_map(|(key, peer)| Some((*key, peer.offer()?)));
        let sources: Vec<PublicKey> =
            offers().filter(|(_, one)| *one == offer).map(|(key, _)| key).collect();
        let has_another = offers().any(|(_, one)| one != offer);
        let needs_lead = wanted.first().is_some_and(|id| matches!(id, PartId::Manifest(_)));
        let is_lost = sources.is_empty() || (needs_lead && !sources.contains(&lead));
        let is_sourceless = session.is_sourceless(now_ms, is_lost);
        let (is_slow, is_stalled) = (session.is_slow(now_ms), session.is_stalled(now_ms));
        // Somebody who talks all the time may have been silent about a part.
        if is_stalled && self.press_the_silent() {
            if let Some(session) = &mut self.session {
                session.stalled_ms = None;
            }
            return Ok(Outcome::Going);
        }
        if is_sourceless || is_stalled || (is_lost && needs_lead) {
            tracing::warn!(height = %offer.height, "nobody gives this snapshot any more");
            self.give_up_on(lead);
            return Ok(Outcome::Going);
        }
        if is_slow && has_another {
            tracing::warn!(height = %offer.height, "this snapshot comes too slowly: tries another");
            self.give_up_on(lead);
            return Ok(Outcome::Going);
        }
        for id in wanted {
            let only = matches!(id, PartId::Manifest(_)).then_some(lead);
            self.ask_for_part(offer.height, id, &sources, only);
        }
        Ok(Outcome::Going)
    }

    /// Makes what is all here the state.
    fn finish(&mut self) -> Result<Outcome, JoinError> {
        let Some(Session { restore, lead, .. }) = self.session.take() else {
            return Ok(Outcome::Going);
        };
        match restore.finish() {
            Ok(committed) => Ok(Outcome::Joined(Box::new(committed))),
            // Each part was what the manifest says.
            Err(error) if error.is_invalid() => {
                tracing::warn!(peer = %lead, %error, "gave a manifest that is a lie");
                self.blame(lead, "gave a manifest that is a lie");
                self.give_up();
                Ok(Outcome::Going)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Lets go of what was chosen; another is chosen next.
    fn give_up(&mut self) {
        self.session = None;
        self.peers.values_mut().for_each(Peer::forgive);
    }

    /// Lets go of what nobody gives any more, which counts against who offered it.
    fn give_up_on(&mut self, lead: PublicKey) {
        self.give_up();
        let times = self.given_up.entry(lead).or_default();
        *times += 1;
        if *times > GIVEN_UP_MAX {
            self.blame(lead, "offers what nobody gives");
        }
    }

    /// Asks the least busy source for a part that nobody was asked for; of several the fastest, so
    /// that a slow one holds up no more than it was asked for once.
    fn ask_for_part(
        &mut self,
        height: Height,
        id: PartId,
        sources: &[PublicKey],
        only: Option<PublicKey>,
    ) {
        if self.peers.values().any(|peer| peer.owes(&id)) {
            return;
        }
        let pace = |key: &PublicKey| self.paces.get(key).copied().unwrap_or_default();
        let is_allowed =
            |key: &PublicKey| sources.contains(key) && only.is_none_or(|one| one == *key);
        let free = self
            .peers
            .iter_mut()
            .filter(|(key, peer)| is_allowed(key) && peer.is_free())
            .min_by_key(|(key, peer)| (peer.owed(), pace(key)));
        if let Some((key, peer)) = free {
            peer.owe(id, self.now_ms);
            self.acts.push(Act::Say(*key, SnapshotMessage::GetPart(height, id)));
        }
    }

    /// Waits for an offer, unless there is nothing to be offered.
    fn wait(&mut self) -> Outcome {
        let now_ms = self.now_ms;
        let is_nothing = self.is_there_nothing();
        let quiet =
            self.quiet.get_or_insert(Quiet { since_ms: now_ms, nothing_ms: None, told_ms: now_ms });
        quiet.nothing_ms = is_nothing.then(|| quiet.nothing_ms.unwrap_or(now_ms));
        let is_over = |since_ms: u64| now_ms.saturating_sub(since_ms) >= NOTHING_MS;
        if quiet.nothing_ms.is_some_and(is_over) {
            return Outcome::Nothing;
        }
        if now_ms.saturating_sub(quiet.told_ms) >= TOLD_MS {
            quiet.told_ms = now_ms;
            let (peers, dropped) = (self.peers.len(), self.banned.len());
            self.acts.push(Act::Waiting { peers, dropped });
        }
        if now_ms.saturating_sub(quiet.since_ms) >= DROPPED_MS && !self.banned.is_empty() {
            quiet.since_ms = now_ms;
            self.lift_bans();
        }
        Outcome::Going
    }

    /// Whether the word of enough peers is that there is nothing to join from. Of f + 1 one is
    /// honest, unless fewer are configured. And while a quorum joins, this node among it, there is
    /// no quorum with blocks: all have just begun, and would wait for each other.
    fn is_there_nothing(&self) -> bool {
        let configured = self.configured.len();
        let validators = self.genesis.validators.count().max(configured + 1);
        let count = |holds: Holds| {
            let such = |(key, peer): &(&PublicKey, &Peer)| {
                self.configured.contains(*key) && peer.holds == holds
            };
            self.peers.iter().filter(such).count()
        };
        let (empty, joining) = (count(Holds::Genesis), count(Holds::Joins));
        empty >= (faults(validators) + 1).min(configured)
            || empty + joining + 1 >= quorum(validators)
    }

    /// Lets those who were dropped try again: rather a bad source than none.
    fn lift_bans(&mut self) {
        let dropped = self.banned.len();
        tracing::warn!(dropped, "nobody gives a snapshot: those who were dropped are asked again");
        self.given_up.clear();
        for (peer, is_connected) in std::mem::take(&mut self.banned) {
            if is_connected {
                self.peers.insert(peer, Peer::default());
            }
        }
    }
}
