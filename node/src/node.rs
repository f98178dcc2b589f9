//! A node, put together: what runs, and how it ends.
//!
//! Threads: a small tokio runtime for HTTP and the network; verify workers; the executor, which
//! owns the world state; the driver, which owns the core and the chain log. They talk through
//! bounded channels. On SIGTERM or SIGINT the driver ends after its turn, then Torii answers what
//! it holds, then the network closes; kill -9 at any moment loses nothing that was acknowledged.

use std::process::ExitCode;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, bounded};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tonle_client::keyfile::KeyFileError;
use tonle_model::block::Header;
use tonle_model::genesis::GenesisError;
use tonle_model::number::Height;
use tonle_model::verify::Verifier;
use tonle_wsv::chain::{ChainError, ChainOpenError};
use tonle_wsv::state::StateError;
use tonle_wsv::store::StoreError;

use crate::board::Board;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ConfigError};
use crate::driver::{Driver, DriverError, EVENTS_MAX, Event, EventSender, Parts};
use crate::executor::{self, Listeners};
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::network::{self, NetworkConfig, NetworkError, NetworkHandle, NetworkTask, PeerAddress};
use crate::open::{Opened, make_ready, open};
use crate::outbox::NetworkOutbox;
use crate::sink::Sink;
use crate::torii;
use crate::tracker::Tracker;
use crate::verify_pool::{Interest, VerifyPool};

/// Threads for HTTP and the network.
const RUNTIME_THREADS: usize = 2;
/// Most threads that check signatures.
const VERIFY_THREADS_MAX: usize = 8;
/// For what still runs on the runtime when everything else has ended.
const RUNTIME_STOP_MAX: Duration = Duration::from_secs(2);

/// Why a node did not start or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Flags, environment or file.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A file that the configuration names cannot be read.
    #[error("cannot read {path}: {error}")]
    Read {
        /// Which.
        path: String,
        /// Why.
        error: std::io::Error,
    },
    /// The genesis is not one.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The key file is not one, or its passphrase is wrong.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// A key that everyone can compute on a network that is no demonstration.
    #[error(
        "the genesis or this node has a demo key, which everyone can compute, and the genesis \
         does not say \"demo\": true; make keys with tonle keys new"
    )]
    DemoKey,
    /// The port is taken, or an address is wrong.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: String,
        /// Why.
        error: std::io::Error,
    },
    /// The network did not start.
    #[error(transparent)]
    Network(#[from] NetworkError),
    /// A thread or the runtime did not start.
    #[error("cannot start: {0}")]
    Start(std::io::Error),
    /// The chain database is damaged or has lost what it once held.
    #[error(transparent)]
    Chain(#[from] ChainOpenError),
    /// The chain database cannot be read.
    #[error(transparent)]
    ChainRead(#[from] ChainError),
    /// The disk.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// The state database is damaged, or does not fit the chain or the genesis.
    #[error(transparent)]
    State(#[from] StateError),
    /// The driver ended.
    #[error(transparent)]
    Driver(#[from] DriverError),
}

impl NodeError {
    /// What the process tells whoever started it (api.md, tonled).
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Driver(
                DriverError::Divergence { .. } | DriverError::State(StateError::Diverged { .. }),
            )
            | Self::State(StateError::Diverged { .. }) => ExitCode::from(4),
            Self::Chain(_) | Self::ChainRead(_) | Self::Store(_) | Self::State(_) => {
                ExitCode::from(3)
            }
            Self::Driver(DriverError::State(_) | DriverError::Chain(_)) => ExitCode::from(3),
            Self::Driver(DriverError::BatchGone(_) | DriverError::Ended(_)) => ExitCode::FAILURE,
            _ => ExitCode::from(2),
        }
    }
}

/// Runs a node until it is told to end.
pub fn run(config: &Config) -> Result<(), NodeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .thread_name("io")
        .enable_all()
        .build()
        .map_err(NodeError::Start)?;
    let result = runtime.block_on(start(config));
    runtime.shutdown_timeout(RUNTIME_STOP_MAX);
    result
}

/// What several parts of a node share.
#[derive(Clone)]
struct Common {
    clock: Arc<dyn Clock>,
    board: Arc<Board>,
    tracker: Arc<Tracker>,
    metrics: Arc<Metrics>,
    verifier: Arc<Verifier>,
    interest: Arc<Interest>,
    events: EventSender,
}

impl Common {
    fn new(events: EventSender) -> Self {
        Self {
            clock: Arc::new(SystemClock::default()),
            board: Arc::default(),
            tracker: Arc::default(),
            metrics: Arc::default(),
            verifier: Arc::default(),
            interest: Arc::default(),
            events,
        }
    }
}

async fn start(config: &Config) -> Result<(), NodeError> {
    let opened = open(config)?;
    let (chain, own) = (opened.chain_hash, opened.key.public_key());
    tracing::info!(%chain, %own, height = %opened.world.committed().height, "opened");
    let (events, inbox) = bounded(EVENTS_MAX);
    let common = Common::new(events);
    let verify = start_verify(&opened, &common)?;
    let (network, network_task) = start_network(config, &opened, &common, &verify).await?;
    let listener = TcpListener::bind(config.api)
        .await
        .map_err(|error| NodeError::Listen { address: config.api.to_string(), error })?;
    let (committed, committed_watch) = watch::channel(opened.world.committed().height);
    let gate = make_gate(config, &opened, &common, verify, &network, committed_watch);
    let genesis = Header::genesis(chain, opened.genesis.created_ms);

    let mut core = start_core(config, opened, &common, inbox, &network, committed)?;
    tokio::spawn(crate::disk::watch(
        config.data_dir.clone(),
        config.disk_reserve_bytes,
        common.board.clone(),
        common.events.clone(),
    ));
    let (stop, stopping) = watch::channel(false);
    let settings = torii::Settings::default();
    let torii = tokio::spawn(torii::serve(listener, Arc::new(gate), genesis, settings, stopping));
    tracing::info!(api = %config.api, p2p = %config.p2p, "ready to serve");

    let result = until_told(&mut core.ended).await;
    tracing::info!("ending");
    // Whoever does not hear one of these has ended already.
    let _gone = common.events.send(Event::Shutdown);
    drop(common);
    let _gone = stop.send(true);
    let _ended = torii.await;
    network.shutdown();
    let _ended = network_task.join().await;
    let _ended = tokio::task::spawn_blocking(move || core.join()).await;
    result
}

/// Waits for a signal, or for the driver to end by itself.
async fn until_told(
    driver: &mut oneshot::Receiver<Result<(), DriverError>>,
) -> Result<(), NodeError> {
    let mut terminate = signal(SignalKind::terminate()).map_err(NodeError::Start)?;
    tokio::select! {
        ended = driver => Ok(ended.unwrap_or(Err(DriverError::Ended("driver")))?),
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    }
}

fn start_verify(opened: &Opened, common: &Common) -> Result<VerifyPool, NodeError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (verify, _workers) = VerifyPool::start(
        threads.min(VERIFY_THREADS_MAX),
        opened.chain_hash,
        common.verifier.clone(),
        common.interest.clone(),
        common.events.clone(),
    )
    .map_err(NodeError::Start)?;
    Ok(verify)
}

async fn start_network(
    config: &Config,
    opened: &Opened,
    common: &Common,
    verify: &VerifyPool,
) -> Result<(NetworkHandle, NetworkTask), NetworkError> {
    let sink = Sink {
        chain: opened.chain_hash,
        events: common.events.clone(),
        verify: verify.clone(),
        verifier: common.verifier.clone(),
        world: opened.world.reader(),
        board: common.board.clone(),
    };
    let network = network_config(config, opened);
    network::start(network, Arc::new(sink), &Handle::current()).await
}

fn make_gate(
    config: &Config,
    opened: &Opened,
    common: &Common,
    verify: VerifyPool,
    network: &NetworkHandle,
    committed: watch::Receiver<Height>,
) -> Gate {
    Gate {
        chain_hash: opened.chain_hash,
        name: name_of(opened),
        demo: opened.genesis.demo,
        own: opened.key.public_key(),
        world: opened.world.reader(),
        chain: opened.chain.reader(),
        tracker: common.tracker.clone(),
        verify,
        events: common.events.clone(),
        board: common.board.clone(),
        metrics: common.metrics.clone(),
        network: network.clone(),
        clock: common.clock.clone(),
        committed,
        data_dir: config.data_dir.clone(),
        started: Instant::now(),
    }
}

/// The two threads that decide and execute.
struct CoreThreads {
    driver: JoinHandle<()>,
    executor: JoinHandle<()>,
    ended: oneshot::Receiver<Result<(), DriverError>>,
}

impl CoreThreads {
    fn join(self) {
        // A thread that panicked has said so; there is nothing left to save.
        let _panicked = self.driver.join();
        let _panicked = self.executor.join();
    }
}

fn start_core(
    config: &Config,
    opened: Opened,
    common: &Common,
    inbox: Receiver<Event>,
    network: &NetworkHandle,
    committed: watch::Sender<Height>,
) -> Result<CoreThreads, NodeError> {
    let ready = make_ready(&opened)?;
    let world = opened.world.reader();
    let listeners =
        Listeners { tracker: common.tracker.clone(), committed, metrics: common.metrics.clone() };
    let (handle, executor) = executor::start(opened.world, listeners, common.events.clone())
        .map_err(NodeError::Start)?;
    let driver = Driver::new(Parts {
        chain_hash: opened.chain_hash,
        key: opened.key,
        core: ready.core,
        validators: world.validators(),
        peers: ready.peers,
        chain: opened.chain,
        pool: ready.pool,
        world,
        clock: common.clock.clone(),
        outbox: Box::new(NetworkOutbox::new(network.clone(), &config.observers)),
        executor: handle,
        headers: ready.headers,
        resume_voting: config.resume_voting,
        verifier: common.verifier.clone(),
        interest: common.interest.clone(),
        board: common.board.clone(),
    });
    let (report, ended) = oneshot::channel();
    let run = move || {
        // Nobody listens only if the node is ending for another reason.
        let _unheard = report.send(driver.run(&inbox));
    };
    let driver =
        std::thread::Builder::new().name("driver".into()).spawn(run).map_err(NodeError::Start)?;
    Ok(CoreThreads { driver, executor, ended })
}

fn network_config(config: &Config, opened: &Opened) -> NetworkConfig {
    let peers = config
        .peers
        .iter()
        .map(|peer| PeerAddress { public_key: peer.public_key, address: peer.address.clone() });
    NetworkConfig {
        key: opened.key.clone(),
        chain: opened.chain_hash,
        listen: config.p2p,
        peers: peers.collect(),
        observers: config.observers.clone(),
    }
}

/// The validator's name, or one for an observer.
fn name_of(opened: &Opened) -> String {
    let own = opened.key.public_key();
    let validators = opened.world.reader().validators();
    let named = validators.iter().find(|one| one.public_key == own);
    named.map(|one| one.name.to_string()).unwrap_or_else(|| "observer".to_owned())
}
