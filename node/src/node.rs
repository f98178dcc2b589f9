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

use crossbeam_channel::Receiver;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tonle_client::keyfile::KeyFileError;
use tonle_model::block::Header;
use tonle_model::genesis::GenesisError;
use tonle_model::number::Height;
use tonle_wsv::chain::{ChainError, ChainOpenError};
use tonle_wsv::state::StateError;
use tonle_wsv::store::StoreError;

use crate::assembly::Assembly;
use crate::clock::SystemClock;
use crate::config::{Config, ConfigError};
use crate::driver::{Driver, DriverError, Event};
use crate::executor::Executor;
use crate::gate::Gate;
use crate::network::{self, NetworkConfig, NetworkError, NetworkHandle, PeerAddress};
use crate::open::{Opened, open};
use crate::outbox::NetworkOutbox;
use crate::torii;

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

async fn start(config: &Config) -> Result<(), NodeError> {
    let opened = open(config)?;
    let (chain, own) = (opened.chain_hash, opened.key.public_key());
    tracing::info!(%chain, %own, height = %opened.world.committed().height, "opened");
    let (assembly, inbox) = Assembly::new(&opened, Arc::new(SystemClock::default()));
    assembly.checker.start(verify_threads()).map_err(NodeError::Start)?;
    let sink = Arc::new(assembly.sink(&opened));
    let (network, network_task) =
        network::start(network_config(config, &opened), sink, &Handle::current()).await?;
    let listener = TcpListener::bind(config.api)
        .await
        .map_err(|error| NodeError::Listen { address: config.api.to_string(), error })?;
    let (committed, committed_watch) = watch::channel(opened.world.committed().height);
    let gate = make_gate(config, &opened, &assembly, &network, committed_watch);
    let genesis = Header::genesis(chain, opened.genesis.created_ms);

    let outbox = Box::new(NetworkOutbox::new(network.clone(), &config.observers));
    let (driver, executor) = assembly.core(opened, outbox, committed, config.resume_voting)?;
    let mut core = CoreThreads::start(driver, inbox, executor).map_err(NodeError::Start)?;
    tokio::spawn(crate::disk::watch(
        config.data_dir.clone(),
        config.disk_reserve_bytes,
        assembly.board.clone(),
        assembly.events.clone(),
    ));
    let (stop, stopping) = watch::channel(false);
    let settings = torii::Settings::default();
    let torii = tokio::spawn(torii::serve(listener, Arc::new(gate), genesis, settings, stopping));
    tracing::info!(api = %config.api, p2p = %config.p2p, "ready to serve");

    let result = until_told(&mut core.ended).await;
    tracing::info!("ending");
    // Whoever does not hear one of these has ended already.
    let _gone = assembly.events.send(Event::Shutdown);
    drop(assembly);
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

fn verify_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(VERIFY_THREADS_MAX)
}

fn make_gate(
    config: &Config,
    opened: &Opened,
    parts: &Assembly,
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
        tracker: parts.tracker.clone(),
        verify: parts.verify.clone(),
        events: parts.events.clone(),
        board: parts.board.clone(),
        metrics: parts.metrics.clone(),
        network: network.clone(),
        clock: parts.clock.clone(),
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
    fn start(driver: Driver, inbox: Receiver<Event>, executor: Executor) -> std::io::Result<Self> {
        let executor = executor.start()?;
        let (report, ended) = oneshot::channel();
        let run = move || {
            // Nobody listens only if the node is ending for another reason.
            let _unheard = report.send(driver.run(&inbox));
        };
        let driver = std::thread::Builder::new().name("driver".into()).spawn(run)?;
        Ok(Self { driver, executor, ended })
    }

    fn join(self) {
        // A thread that panicked has said so; there is nothing left to save.
        let _panicked = self.driver.join();
        let _panicked = self.executor.join();
    }
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
