//! Runs the swarm: dials, serves the handle's requests, hands announcements to the node.

use std::collections::BTreeSet;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures::future::BoxFuture;
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt};
use libp2p::core::Multiaddr;
use libp2p::core::multiaddr::Protocol;
use libp2p::core::transport::ListenerId;
use libp2p::gossipsub::{self, MessageAcceptance};
use libp2p::swarm::dial_opts::{DialOpts, PeerCondition};
use libp2p::swarm::{ListenError, NetworkBehaviour, Swarm, SwarmEvent};
use libp2p::{PeerId, allow_block_list, connection_limits};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonle_model::key::PublicKey;
use tonle_model::limits::VALIDATORS_MAX;
use tracing::{debug, info};

use super::dialer::Dialer;
use super::gossip::{Gossip, gossip, topic};
use super::handle::{NetworkHandle, Shared};
use super::handler::Surroundings;
use super::identity::{key_pair, peer_id, public_key};
use super::links::{LinkEvent, Links};
use super::transport::{HANDSHAKE_TIMEOUT, transport};
use super::{NetworkConfig, NetworkError, NetworkSink, Verdict};

/// Validators and observers connected at once.
const CONNECTIONS_MAX: u32 = VALIDATORS_MAX as u32 + 28;
/// Connections that may be in their handshake at once, each way.
const PENDING_MAX: u32 = 128;
/// A connection without substreams is closed after this long.
const IDLE_TIMEOUT: Duration = Duration::from_secs(15);
/// Substreams of one connection that may be in negotiation at once.
const NEGOTIATING_MAX: usize = 8;
/// How long a shutdown waits for connections to close.
const SHUTDOWN_TIMEOUT: Duration = Duration::from_secs(1);

/// The order matters: the first behaviour that refuses a connection names the reason.
#[derive(NetworkBehaviour)]
struct Behaviours {
    allowed: allow_block_list::Behaviour<allow_block_list::AllowedPeers>,
    limits: connection_limits::Behaviour,
    links: Links,
    gossip: Gossip,
}

/// The running network.
pub struct NetworkTask {
    task: JoinHandle<()>,
    listen: SocketAddr,
}

impl NetworkTask {
    /// Where the node listens, with the port that it got.
    pub fn listen_address(&self) -> SocketAddr {
        self.listen
    }

    /// Waits until the network ended, which [`NetworkHandle::shutdown`] makes it do.
    ///
    /// # Errors
    ///
    /// [`NetworkError::Stopped`] if its task panicked.
    pub async fn join(self) -> Result<(), NetworkError> {
        self.task.await.map_err(|_| NetworkError::Stopped)
    }
}

/// Starts the network on `runtime` and returns when it listens. One thread is enough for it.
///
/// # Errors
///
/// [`NetworkError`] if a key is none or the address cannot be had.
pub async fn start(
    config: NetworkConfig,
    sink: Arc<dyn NetworkSink>,
    runtime: &Handle,
) -> Result<(NetworkHandle, NetworkTask), NetworkError> {
    let listen = config.listen;
    let shared = Arc::new(Shared::new());
    let (bound_sender, bound) = oneshot::channel();
    let task = {
        let _inside = runtime.enter();
        Task::new(config, sink, Arc::clone(&shared), bound_sender)?
    };
    let task = runtime.spawn(task.run());
    let port = bound.await.map_err(|_| NetworkError::Stopped)?;
    let listen = SocketAddr::new(listen.ip(), port);
    info!(%listen, "the network listens");
    Ok((NetworkHandle::new(shared), NetworkTask { task, listen }))
}

type Lookup = BoxFuture<'static, (PublicKey, Vec<Multiaddr>)>;

struct Task {
    swarm: Swarm<Behaviours>,
    topic: gossipsub::IdentTopic,
    listener: ListenerId,
    bound: Option<oneshot::Sender<u16>>,
    dialer: Dialer,
    lookups: FuturesUnordered<Lookup>,
    own: PublicKey,
    observers: Vec<PublicKey>,
    allowed: BTreeSet<PublicKey>,
    sink: Arc<dyn NetworkSink>,
    shared: Arc<Shared>,
}

impl Task {
    fn new(
        config: NetworkConfig,
        sink: Arc<dyn NetworkSink>,
        shared: Arc<Shared>,
        bound: oneshot::Sender<u16>,
    ) -> Result<Self, NetworkError> {
        let own = config.key.public_key();
        let keys = config.peers.iter().map(|peer| &peer.public_key).chain(&config.observers);
        if let Some(key) = keys.chain([&own]).find(|key| peer_id(key).is_none()) {
            return Err(NetworkError::Key(*key));
        }
        let mut swarm = swarm(&config, Arc::clone(&sink), Arc::clone(&shared))?;
        let refused = |reason| NetworkError::Listen { address: config.listen, reason };
        // libp2p listens with SO_REUSEPORT, so two nodes on one address would share its
        // connections in silence. A plain socket finds out.
        drop(TcpListener::bind(config.listen).map_err(|error| refused(error.to_string()))?);
        let listener = swarm
            .listen_on(multiaddr(config.listen))
            .map_err(|error| refused(error.to_string()))?;
        let validators = config.peers.iter().map(|peer| peer.public_key).collect();
        let eager = config.observers.contains(&own);
        let mut task = Self {
            swarm,
            topic: topic(&config.chain),
            listener,
            bound: Some(bound),
            dialer: Dialer::new(own, eager, config.peers, Instant::now()),
            lookups: FuturesUnordered::new(),
            own,
            observers: config.observers,
            allowed: BTreeSet::new(),
            sink,
            shared,
        };
        task.set_allowed(validators);
        Ok(task)
    }

    async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        loop {
            let next_dial = self.dialer.next(|key| self.allowed.contains(key));
            let dial_time = async move {
                match next_dial {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = shared.requested.notified() => {
                    if self.serve_requests() {
                        break;
                    }
                }
                event = self.swarm.select_next_some() => self.on_event(event),
                Some((peer, addresses)) = self.lookups.next() => self.dial(&peer, addresses),
                () = dial_time => self.look_up_due(),
            }
        }
        self.close().await;
    }

    /// Does what the handle asked for; true if that was to stop.
    fn serve_requests(&mut self) -> bool {
        let requests = self.shared.take_requests();
        if let Some(validators) = requests.allowed {
            self.set_allowed(validators);
        }
        for peer in requests.disconnect {
            self.swarm.behaviour_mut().links.blame(peer);
        }
        for announcement in requests.announcements {
            let topic = self.topic.hash();
            if let Err(error) = self.swarm.behaviour_mut().gossip.publish(topic, announcement) {
                self.shared.counters.dropped_announcements.add(1);
                debug!(%error, "an announcement was not sent");
            }
        }
        requests.shutdown
    }

    fn set_allowed(&mut self, validators: Vec<PublicKey>) {
        let mut allowed: BTreeSet<PublicKey> = validators.into_iter().collect();
        allowed.extend(&self.observers);
        allowed.remove(&self.own);
        let behaviours = self.swarm.behaviour_mut();
        for peer in self.allowed.difference(&allowed).filter_map(peer_id) {
            behaviours.allowed.disallow_peer(peer);
        }
        for peer in allowed.iter().filter_map(peer_id) {
            behaviours.allowed.allow_peer(peer);
        }
        behaviours.links.forget_blame(|peer| allowed.contains(peer));
        self.allowed = allowed;
    }

    fn look_up_due(&mut self) {
        let due = self.dialer.due(Instant::now(), |key| self.allowed.contains(key));
        for (peer, address) in due {
            self.lookups.push(look_up(peer, address).boxed());
        }
    }

    fn dial(&mut self, peer: &PublicKey, addresses: Vec<Multiaddr>) {
        let Some(peer_id) = peer_id(peer) else { return };
        // A port of its own: dialing from the listening port fails as long as the previous
        // connection from there is in TIME_WAIT.
        let dial = DialOpts::peer_id(peer_id)
            .addresses(addresses)
            .condition(PeerCondition::NotDialing)
            .allocate_new_port()
            .build();
        if let Err(error) = self.swarm.dial(dial) {
            debug!(%peer, %error, "cannot dial");
            self.dialer.failed(peer, Instant::now());
        }
    }

    fn on_event(&mut self, event: SwarmEvent<BehavioursEvent>) {
        let now = Instant::now();
        match event {
            SwarmEvent::Behaviour(BehavioursEvent::Gossip(gossipsub::Event::Message {
                propagation_source,
                message_id,
                message,
            })) => self.on_announcement(propagation_source, &message_id, message.data.into()),
            SwarmEvent::ConnectionEstablished { peer_id, .. } => {
                if let Some(peer) = public_key(&peer_id) {
                    self.dialer.connected(&peer, now);
                }
            }
            SwarmEvent::Behaviour(BehavioursEvent::Links(LinkEvent::Ended(peer)))
                if !self.swarm.behaviour().links.is_linked(&peer) =>
            {
                self.dialer.lost(&peer, now);
            }
            SwarmEvent::ConnectionClosed { peer_id, cause, .. } => {
                debug!(%peer_id, ?cause, "connection closed");
            }
            SwarmEvent::OutgoingConnectionError { peer_id: Some(peer_id), error, .. } => {
                if let Some(peer) = public_key(&peer_id) {
                    debug!(%peer, %error, "cannot connect");
                    self.dialer.failed(&peer, now);
                }
            }
            SwarmEvent::IncomingConnectionError { send_back_addr, error, .. } => {
                self.on_refused(&send_back_addr, error);
            }
            SwarmEvent::NewListenAddr { address, .. } => {
                let port = address.iter().find_map(|part| match part {
                    Protocol::Tcp(port) => Some(port),
                    _ => None,
                });
                if let (Some(port), Some(bound)) = (port, self.bound.take()) {
                    // Nobody waits any more if the start was cancelled, and nothing is lost then.
                    let _ = bound.send(port);
                }
            }
            _ => {}
        }
    }

    fn on_refused(&self, from: &Multiaddr, error: ListenError) {
        let counters = &self.shared.counters;
        let ListenError::Denied { cause } = error else {
            counters.failed_handshakes.add(1);
            debug!(%from, %error, "a handshake failed");
            return;
        };
        match cause.downcast::<allow_block_list::NotAllowed>() {
            Ok(stranger) => {
                counters.refused_peers.add(1);
                info!(%from, %stranger, "a stranger was refused");
            }
            Err(cause) => {
                counters.refused_connections.add(1);
                debug!(%from, %cause, "a connection was refused");
            }
        }
    }

    fn on_announcement(&mut self, source: PeerId, message: &gossipsub::MessageId, bytes: Bytes) {
        let Some(peer) = public_key(&source) else { return };
        let acceptance = match self.sink.announcement(peer, bytes) {
            Verdict::Accept => MessageAcceptance::Accept,
            Verdict::Ignore => MessageAcceptance::Ignore,
            Verdict::Reject => {
                self.shared.counters.bad_announcements.add(1);
                self.swarm.behaviour_mut().links.blame(peer);
                MessageAcceptance::Reject
            }
        };
        let gossip = &mut self.swarm.behaviour_mut().gossip;
        gossip.report_message_validation_result(message, &source, acceptance);
    }

    /// Closes all connections, so that peers and the node hear of it, within a limit.
    async fn close(&mut self) {
        self.swarm.remove_listener(self.listener);
        let peers: Vec<PeerId> = self.swarm.connected_peers().copied().collect();
        for peer in peers {
            // An error means that the peer is gone already.
            let _ = self.swarm.disconnect_peer_id(peer);
        }
        let closed = async {
            while self.swarm.connected_peers().next().is_some() {
                let event = self.swarm.select_next_some().await;
                debug!(?event, "closing");
            }
        };
        if tokio::time::timeout(SHUTDOWN_TIMEOUT, closed).await.is_err() {
            info!("connections did not close in time and are dropped");
        }
    }
}

fn swarm(
    config: &NetworkConfig,
    sink: Arc<dyn NetworkSink>,
    shared: Arc<Shared>,
) -> Result<Swarm<Behaviours>, NetworkError> {
    let own = config.key.public_key();
    let identity = key_pair(&config.key).ok_or(NetworkError::Key(own))?;
    let limits = connection_limits::ConnectionLimits::default()
        .with_max_pending_incoming(Some(PENDING_MAX))
        .with_max_pending_outgoing(Some(PENDING_MAX))
        .with_max_established(Some(CONNECTIONS_MAX))
        // One that works, and one that failed and is not closed yet: see `Links`.
        .with_max_established_per_peer(Some(2));
    let counters = Arc::clone(&shared.counters);
    let surroundings = Surroundings { chain: config.chain, sink, counters };
    let behaviours = Behaviours {
        allowed: allow_block_list::Behaviour::default(),
        limits: connection_limits::Behaviour::new(limits),
        links: Links::new(surroundings, shared),
        gossip: gossip(&config.chain)?,
    };
    let transport = transport(&identity).map_err(|error| NetworkError::Setup(error.to_string()))?;
    let config = libp2p::swarm::Config::with_tokio_executor()
        .with_idle_connection_timeout(IDLE_TIMEOUT)
        .with_max_negotiating_inbound_streams(NEGOTIATING_MAX);
    Ok(Swarm::new(transport, behaviours, identity.public().to_peer_id(), config))
}

/// Looks up `host:port`; nothing if the name cannot be resolved in time.
async fn look_up(peer: PublicKey, address: String) -> (PublicKey, Vec<Multiaddr>) {
    let lookup = tokio::net::lookup_host(address.as_str());
    let addresses = match tokio::time::timeout(HANDSHAKE_TIMEOUT, lookup).await {
        Ok(Ok(addresses)) => addresses.map(multiaddr).collect(),
        Ok(Err(error)) => {
            info!(%peer, address, %error, "the address of a peer cannot be resolved");
            Vec::new()
        }
        Err(_) => Vec::new(),
    };
    (peer, addresses)
}

fn multiaddr(address: SocketAddr) -> Multiaddr {
    Multiaddr::from(address.ip()).with(Protocol::Tcp(address.port()))
}
