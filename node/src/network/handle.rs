//! The node's face of the network: callable from any thread, never waits.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;
use tokio::sync::Notify;
use tonle_model::key::PublicKey;

use super::link::Link;
use super::{ANNOUNCEMENT_BYTES_MAX, Lane, NetworkCounters, SendError};

/// Announcements that may wait for the network task.
const ANNOUNCEMENTS_MAX: usize = 1_024;

/// Sends to peers and steers the network. Cheap to clone.
#[derive(Clone)]
pub struct NetworkHandle {
    shared: Arc<Shared>,
}

/// What handles and the network task have in common.
pub(super) struct Shared {
    links: RwLock<BTreeMap<PublicKey, Arc<Link>>>,
    requests: Mutex<Requests>,
    pub(super) requested: Notify,
    pub(super) counters: Arc<NetworkCounters>,
}

/// What the network task is asked to do; bounded by the caps here and the number of peers.
#[derive(Default)]
pub(super) struct Requests {
    pub(super) announcements: VecDeque<Bytes>,
    pub(super) allowed: Option<Vec<PublicKey>>,
    pub(super) disconnect: BTreeSet<PublicKey>,
    pub(super) shutdown: bool,
}

impl Shared {
    pub(super) fn new() -> Self {
        Self {
            links: RwLock::default(),
            requests: Mutex::default(),
            requested: Notify::new(),
            counters: Arc::default(),
        }
    }

    /// Makes a link the one that frames are sent on.
    pub(super) fn insert(&self, link: Arc<Link>) {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        links.insert(link.peer, link);
        self.counters.connections.set(links.len());
    }

    /// Takes a link out again; false if it was not the one of its peer.
    pub(super) fn remove(&self, link: &Arc<Link>) -> bool {
        let mut links = self.links.write().unwrap_or_else(PoisonError::into_inner);
        let known = links.get(&link.peer).is_some_and(|known| Arc::ptr_eq(known, link));
        if known {
            links.remove(&link.peer);
            self.counters.connections.set(links.len());
        }
        known
    }

    /// Takes all requests.
    pub(super) fn take_requests(&self) -> Requests {
        std::mem::take(&mut *self.requests())
    }

    fn requests(&self) -> MutexGuard<'_, Requests> {
        self.requests.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, link: &Link, lane: Lane, frame: Bytes) -> Result<(), SendError> {
        let outcome = link.push(lane, frame);
        if outcome == Err(SendError::Full) {
            match lane {
                Lane::Consensus => self.counters.dropped_full_consensus.add(1),
                Lane::Bulk => self.counters.dropped_full_bulk.add(1),
            }
        }
        outcome
    }
}

impl NetworkHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// Queues a frame for a peer. Frames of one lane arrive in the order they were queued; a
    /// queued frame is lost only with its connection.
    ///
    /// # Errors
    ///
    /// [`SendError`]; a frame that finds the queue full is dropped and counted.
    pub fn send(&self, to: &PublicKey, lane: Lane, frame: Bytes) -> Result<(), SendError> {
        let links = self.shared.links.read().unwrap_or_else(PoisonError::into_inner);
        let link = links.get(to).ok_or(SendError::NotConnected)?;
        self.shared.push(link, lane, frame)
    }

    /// Queues a frame for every connected peer, without copying it; peers whose queue is full
    /// miss it. Returns how many will get it.
    pub fn broadcast(&self, lane: Lane, frame: &Bytes) -> usize {
        let links = self.shared.links.read().unwrap_or_else(PoisonError::into_inner);
        links.values().filter(|link| self.shared.push(link, lane, frame.clone()).is_ok()).count()
    }

    /// Gossips to everyone, over several hops if need be. Bytes that were announced in the last
    /// ten seconds are not sent again, and peers that connect later do not get them.
    ///
    /// # Errors
    ///
    /// [`SendError::Size`], or [`SendError::Full`] when too many wait for the network task.
    pub fn announce(&self, bytes: Bytes) -> Result<(), SendError> {
        if bytes.len() > ANNOUNCEMENT_BYTES_MAX {
            return Err(SendError::Size);
        }
        {
            let mut requests = self.shared.requests();
            if requests.announcements.len() >= ANNOUNCEMENTS_MAX {
                self.shared.counters.dropped_announcements.add(1);
                return Err(SendError::Full);
            }
            requests.announcements.push_back(bytes);
        }
        self.shared.requested.notify_one();
        Ok(())
    }

    /// Replaces the set of validators that are let in; observers stay. Others are disconnected.
    pub fn set_allowed(&self, validators: Vec<PublicKey>) {
        self.shared.requests().allowed = Some(validators);
        self.shared.requested.notify_one();
    }

    /// Closes the link to a peer that is to blame and keeps it out for ten seconds.
    pub fn disconnect(&self, peer: &PublicKey) {
        let links = self.shared.links.read().unwrap_or_else(PoisonError::into_inner);
        if links.contains_key(peer) {
            self.shared.requests().disconnect.insert(*peer);
            self.shared.requested.notify_one();
        }
    }

    /// The peers that frames can be sent to now, in the order of their keys.
    pub fn connected(&self) -> Vec<PublicKey> {
        let links = self.shared.links.read().unwrap_or_else(PoisonError::into_inner);
        links.keys().copied().collect()
    }

    /// What was counted so far.
    pub fn counters(&self) -> Arc<NetworkCounters> {
        Arc::clone(&self.shared.counters)
    }

    /// Ends the network task: it closes its connections, then `NetworkTask::join` returns.
    pub fn shutdown(&self) {
        self.shared.requests().shutdown = true;
        self.shared.requested.notify_one();
    }
}
