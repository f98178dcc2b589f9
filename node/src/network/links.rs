//! The links of all peers: gives each connection its handler, tells the node of links that come
//! and go, and closes and remembers those to blame.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use libp2p::PeerId;
use libp2p::core::transport::PortUse;
use libp2p::core::{Endpoint, Multiaddr};
use libp2p::swarm::{
    CloseConnection, ConnectionDenied, ConnectionId, FromSwarm, NetworkBehaviour, NotifyHandler,
    THandlerInEvent, ToSwarm,
};
use tracing::{info, warn};

use super::frame::FrameError;
use super::handle::Shared;
use super::handler::{Failure, Handler, Order, Report, Surroundings};
use super::identity::{peer_id, public_key};
use super::link::Link;
use tonle_model::key::PublicKey;

/// How long a peer that broke a rule is kept out.
const BLAME_PAUSE: Duration = Duration::from_secs(10);

/// Why a peer that may connect is refused now.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("the peer broke a rule a moment ago")]
    Blamed,
    #[error("the peer is connected already")]
    Connected,
    #[error("the peer has no ed25519 key")]
    Key,
}

impl Refusal {
    fn denied(self) -> ConnectionDenied {
        ConnectionDenied::new(self)
    }
}

/// What the task hears.
#[derive(Debug)]
pub(super) enum LinkEvent {
    /// A connection to this peer is of no more use, though it may take time to close.
    Ended(PublicKey),
}

/// See the module. Connections come here only after the allow list let them pass, which bounds
/// the maps.
pub(super) struct Links {
    surroundings: Surroundings,
    shared: Arc<Shared>,
    /// All connections that did not fail; a link is in `shared` once the node knows of it.
    links: HashMap<ConnectionId, Arc<Link>>,
    blamed: BTreeMap<PublicKey, Instant>,
    actions: VecDeque<ToSwarm<LinkEvent, Order>>,
}

impl Links {
    pub(super) fn new(surroundings: Surroundings, shared: Arc<Shared>) -> Self {
        Self {
            surroundings,
            shared,
            links: HashMap::new(),
            blamed: BTreeMap::new(),
            actions: VecDeque::new(),
        }
    }

    /// Closes the connections of a peer and keeps it out for a while.
    pub(super) fn blame(&mut self, peer: PublicKey) {
        self.blamed.insert(peer, Instant::now() + BLAME_PAUSE);
        if let Some(peer_id) = peer_id(&peer) {
            self.actions
                .push_back(ToSwarm::CloseConnection { peer_id, connection: CloseConnection::All });
        }
    }

    /// Forgets who may not come back anyway.
    pub(super) fn forget_blame(&mut self, keep: impl Fn(&PublicKey) -> bool) {
        self.blamed.retain(|peer, _| keep(peer));
    }

    /// Whether there is a connection to this peer.
    pub(super) fn is_linked(&self, peer: &PublicKey) -> bool {
        self.links.values().any(|link| link.peer == *peer)
    }

    fn admit(&mut self, peer: PeerId) -> Result<PublicKey, ConnectionDenied> {
        let peer = public_key(&peer).ok_or_else(|| Refusal::Key.denied())?;
        if self.blamed.get(&peer).is_some_and(|until| *until > Instant::now()) {
            return Err(Refusal::Blamed.denied());
        }
        self.blamed.remove(&peer);
        // The limits count a connection until it is closed, which takes long if the other end is
        // gone without a word; here one that failed does not count, so that the peer can be back.
        match self.is_linked(&peer) {
            true => Err(Refusal::Connected.denied()),
            false => Ok(peer),
        }
    }

    fn handler(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
    ) -> Result<Handler, ConnectionDenied> {
        let link = Arc::new(Link::new(self.admit(peer)?));
        self.links.insert(connection, Arc::clone(&link));
        Ok(Handler::new(link, self.surroundings.clone()))
    }

    fn greeted(&mut self, peer_id: PeerId, connection: ConnectionId) {
        let Some(link) = self.links.get(&connection) else { return };
        info!(peer = %link.peer, "connected");
        self.shared.insert(Arc::clone(link));
        self.surroundings.sink.connected(link.peer);
        self.actions.push_back(ToSwarm::NotifyHandler {
            peer_id,
            handler: NotifyHandler::One(connection),
            event: Order::Deliver,
        });
    }

    fn failed(&mut self, peer_id: PeerId, connection: ConnectionId, failure: &Failure) {
        let Some(link) = self.links.get(&connection) else { return };
        let peer = link.peer;
        let counters = &self.surroundings.counters;
        match failure {
            // The ordinary end of a peer that stops, or of its connection.
            Failure::Frame(FrameError::Closed | FrameError::Io(_)) => {
                info!(%peer, %failure, "the connection ended");
            }
            Failure::WrongChain(_) => {
                counters.wrong_chain.add(1);
                warn!(%peer, chain = %self.surroundings.chain, %failure, "connection closed");
            }
            Failure::Frame(FrameError::TooLong { .. }) => {
                counters.oversized_frames.add(1);
                warn!(%peer, %failure, "connection closed");
                self.blame(peer);
            }
            Failure::Greeting | Failure::SecondStream => {
                counters.broken_links.add(1);
                warn!(%peer, %failure, "connection closed");
                self.blame(peer);
            }
            Failure::Refused(_) | Failure::GreetingTimeout | Failure::Silent => {
                counters.broken_links.add(1);
                warn!(%peer, %failure, "connection closed");
            }
        }
        self.actions.push_back(ToSwarm::CloseConnection {
            peer_id,
            connection: CloseConnection::One(connection),
        });
        // A handler that failed delivers nothing more.
        self.ended(connection);
    }

    fn ended(&mut self, connection: ConnectionId) {
        let Some(link) = self.links.remove(&connection) else { return };
        if self.shared.remove(&link) {
            info!(peer = %link.peer, "disconnected");
            self.surroundings.sink.disconnected(link.peer);
        }
        self.actions.push_back(ToSwarm::GenerateEvent(LinkEvent::Ended(link.peer)));
    }
}

impl NetworkBehaviour for Links {
    type ConnectionHandler = Handler;
    type ToSwarm = LinkEvent;

    fn handle_pending_outbound_connection(
        &mut self,
        _: ConnectionId,
        peer: Option<PeerId>,
        _: &[Multiaddr],
        _: Endpoint,
    ) -> Result<Vec<Multiaddr>, ConnectionDenied> {
        if let Some(peer) = peer {
            self.admit(peer)?;
        }
        Ok(Vec::new())
    }

    fn handle_established_inbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: &Multiaddr,
    ) -> Result<Handler, ConnectionDenied> {
        self.handler(connection, peer)
    }

    fn handle_established_outbound_connection(
        &mut self,
        connection: ConnectionId,
        peer: PeerId,
        _: &Multiaddr,
        _: Endpoint,
        _: PortUse,
    ) -> Result<Handler, ConnectionDenied> {
        self.handler(connection, peer)
    }

    fn on_swarm_event(&mut self, event: FromSwarm<'_>) {
        match event {
            FromSwarm::ConnectionClosed(closed) => self.ended(closed.connection_id),
            // Refused by a behaviour that was asked after this one.
            FromSwarm::ListenFailure(failure) => self.ended(failure.connection_id),
            FromSwarm::DialFailure(failure) => self.ended(failure.connection_id),
            _ => {}
        }
    }

    fn on_connection_handler_event(
        &mut self,
        peer: PeerId,
        connection: ConnectionId,
        report: Report,
    ) {
        match report {
            Report::Greeted => self.greeted(peer, connection),
            Report::Failed(failure) => self.failed(peer, connection, &failure),
        }
    }

    fn poll(&mut self, _: &mut Context<'_>) -> Poll<ToSwarm<Self::ToSwarm, THandlerInEvent<Self>>> {
        // Actions are queued only from calls of the swarm, or of the task that polls it next: no
        // waker is needed.
        match self.actions.pop_front() {
            Some(action) => Poll::Ready(action),
            None => Poll::Pending,
        }
    }
}
