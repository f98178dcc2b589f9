//! A node, put together: what is opened in which order, what runs, and how it ends.
//!
//! Threads: a small tokio runtime for HTTP and the network; verify workers; the executor, which
//! owns the world state; the driver, which owns the core and the chain log. They talk through
//! bounded channels. On SIGTERM or SIGINT the driver ends after its turn, then Torii answers what
//! it holds, then the network closes; kill -9 at any moment loses nothing that was acknowledged.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use crossbeam_channel::bounded;
use parity_scale_codec::Decode;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tonle_client::keyfile::{KeyFile, KeyFileError};
use tonle_consensus::{Core, Input, Parent, Record, Recovery};
use tonle_model::batch::Batch;
use tonle_model::block::Header;
use tonle_model::genesis::{Genesis, GenesisError};
use tonle_model::hash::ChainHash;
use tonle_model::key::KeyPair;
use tonle_model::limits;
use tonle_model::number::Height;
use tonle_model::verified::Verified;
use tonle_model::verify::Verifier;
use tonle_wsv::chain::{BlockRecord, ChainError, ChainLog, ChainOpenError, OnLoss};
use tonle_wsv::state::{StateError, World};
use tonle_wsv::store::{Database, RocksStore, StoreError};

use crate::board::Board;
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, ConfigError};
use crate::driver::{Driver, DriverError, EVENTS_MAX, Event, Parts, Peers, config_of};
use crate::executor::{self, Listeners};
use crate::gate::Gate;
use crate::metrics::Metrics;
use crate::network::{self, NetworkConfig, NetworkError, PeerAddress};
use crate::outbox::NetworkOutbox;
use crate::pool::Pool;
use crate::sink::Sink;
use crate::torii;
use crate::tracker::Tracker;
use crate::verify_pool::{Interest, VerifyPool};

/// Threads for HTTP and the network.
const RUNTIME_THREADS: usize = 2;
/// Most threads that check signatures.
const VERIFY_THREADS_MAX: usize = 8;

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
    #[error("this node's key is a demo key, which everyone can compute; make one with tonle keys new")]
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
            Self::Driver(DriverError::Divergence { .. } | DriverError::State(StateError::Diverged { .. }))
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
    runtime.shutdown_timeout(std::time::Duration::from_secs(2));
    result
}

/// What a node stands on once its disk is read.
struct Opened {
    chain_hash: ChainHash,
    genesis: Genesis,
    key: KeyPair,
    chain: ChainLog,
    world: World,
}

async fn start(config: &Config) -> Result<(), NodeError> {
    let opened = open(config)?;
    let own = opened.key.public_key();
    let chain_hash = opened.chain_hash;
    tracing::info!(chain = %chain_hash, %own, height = %opened.world.committed().height, "opened");

    let clock: Arc<dyn Clock> = Arc::new(SystemClock::default());
    let (events, inbox) = bounded(EVENTS_MAX);
    let board: Arc<Board> = Arc::default();
    let tracker: Arc<Tracker> = Arc::default();
    let metrics: Arc<Metrics> = Arc::default();
    let (verifier, interest) = (Arc::new(Verifier::new()), Arc::new(Interest::default()));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (verify, _workers) = VerifyPool::start(
        threads.min(VERIFY_THREADS_MAX),
        chain_hash,
        verifier.clone(),
        interest.clone(),
        events.clone(),
    )
    .map_err(NodeError::Start)?;

    let sink = Sink {
        chain: chain_hash,
        events: events.clone(),
        verify: verify.clone(),
        verifier: verifier.clone(),
        board: Arc::clone(&board),
    };
    let (network, network_task) = network::start(
        network_config(config, &opened),
        Arc::new(sink),
        &tokio::runtime::Handle::current(),
    )
    .await?;
    let listener = TcpListener::bind(config.api)
        .await
        .map_err(|error| NodeError::Listen { address: config.api.to_string(), error })?;

    let world = opened.world.reader();
    let (committed, committed_watch) = watch::channel(world.committed().height);
    let gate = Gate {
        chain_hash,
        name: name_of(&opened),
        demo: opened.genesis.demo,
        own,
        world: world.clone(),
        chain: opened.chain.reader(),
        tracker: Arc::clone(&tracker),
        verify,
        events: events.clone(),
        board: Arc::clone(&board),
        metrics: Arc::clone(&metrics),
        network: network.clone(),
        clock: clock.clone(),
        committed: committed_watch,
        data_dir: config.data_dir.clone(),
        started: Instant::now(),
    };
    let listeners = Listeners { tracker, committed, metrics };

    let mut pool = Pool::default();
    let mut peers = Peers::default();
    let core = make_core(config, &opened, &mut peers, &mut pool, clock.now_ms())?;
    let validators = world.validators();
    let (executor, executor_thread) =
        executor::start(opened.world, listeners, events.clone()).map_err(NodeError::Start)?;
    let driver = Driver::new(Parts {
        chain_hash,
        key: opened.key,
        core,
        validators,
        peers,
        chain: opened.chain,
        pool,
        world,
        clock,
        outbox: Box::new(NetworkOutbox::new(network.clone(), &config.observers)),
        executor,
        verifier,
        interest,
        board: Arc::clone(&board),
    });

    let (stop, stopping) = watch::channel(false);
    let (ended, mut driver_ended) = tokio::sync::oneshot::channel();
    let driver_thread = std::thread::Builder::new()
        .name("driver".into())
        .spawn(move || {
            // Nobody listens only if the node is ending for another reason.
            let _unheard = ended.send(driver.run(&inbox));
        })
        .map_err(NodeError::Start)?;
    tokio::spawn(crate::disk::watch(
        config.data_dir.clone(),
        config.disk_reserve_bytes,
        board,
        events.clone(),
    ));
    let settings = torii::Settings::default();
    let genesis = Header::genesis(opened.chain_hash, opened.genesis.created_ms);
    let serving = torii::serve(listener, Arc::new(gate), genesis, settings, stopping);
    let torii = tokio::spawn(serving);
    tracing::info!(api = %config.api, p2p = %config.p2p, "ready to serve");

    let mut terminate = signal(SignalKind::terminate()).map_err(NodeError::Start)?;
    let result = tokio::select! {
        ended = &mut driver_ended => ended.unwrap_or(Err(DriverError::Ended("driver"))),
        _ = terminate.recv() => Ok(()),
        _ = tokio::signal::ctrl_c() => Ok(()),
    };
    tracing::info!("ending");
    // An error means that the driver is gone already.
    let _gone = events.send(Event::Shutdown);
    drop(events);
    let _told = stop.send(true);
    let _joined = torii.await;
    network.shutdown();
    let _joined = network_task.join().await;
    let _joined = tokio::task::spawn_blocking(move || {
        let _driver = driver_thread.join();
        executor_thread.join()
    })
    .await;
    Ok(result?)
}

/// Reads and checks everything on disk, and redoes in the state what the chain has ahead of it.
fn open(config: &Config) -> Result<Opened, NodeError> {
    let path = &config.genesis;
    let text = std::fs::read_to_string(path)
        .map_err(|error| NodeError::Read { path: path.display().to_string(), error })?;
    let genesis = Genesis::from_json(&text)?;
    let chain_hash = genesis.chain();
    let passphrase = std::env::var("TONLED_PASSPHRASE").ok().map(zeroize::Zeroizing::new);
    let key = KeyFile::read(&config.key_file)?
        .open(passphrase.as_ref().map(|text| text.as_str()))?;
    if !genesis.demo && is_demo_key(&genesis, &key) {
        return Err(NodeError::DemoKey);
    }
    let directory = &config.data_dir;
    std::fs::create_dir_all(directory)
        .map_err(|error| NodeError::Read { path: directory.display().to_string(), error })?;
    let on_loss = if config.resume_voting { OnLoss::Forgive } else { OnLoss::Observe };
    let chain = ChainLog::open_dir(directory, &chain_hash, on_loss)?;
    let state_store = RocksStore::open(&directory.join("state"), Database::State)?;
    let mut world = World::open(Arc::new(state_store), &genesis)?;
    let before = world.committed().height;
    let after = world.catch_up(&chain.reader())?;
    if after > before {
        tracing::info!(%before, %after, "redone from the chain");
    }
    Ok(Opened { chain_hash, genesis, key, chain, world })
}

fn is_demo_key(genesis: &Genesis, key: &KeyPair) -> bool {
    let own = key.public_key();
    let names = genesis.validators.iter().map(|validator| validator.name.as_str());
    names.map(KeyPair::demo).any(|demo| demo.public_key() == own)
}

/// The core at the height to decide, with its log replayed and the pool filled.
fn make_core(
    config: &Config,
    opened: &Opened,
    peers: &mut Peers,
    pool: &mut Pool,
    now_ms: u64,
) -> Result<Core, NodeError> {
    let world = opened.world.reader();
    let committed = world.committed();
    let parameters = world.parameters();
    let own = opened.key.public_key();
    let validators = world.validators();
    let marks = (*world.marks()).clone();
    let core_config = config_of(peers, &own, &validators, &parameters, marks);
    let parent = Parent {
        height: committed.height,
        hash: committed.block,
        result: committed.result.hash(),
        timestamp_ms: committed.timestamp_ms,
    };
    let window_ms = u64::from(parameters.max_ttl_ms) + 2 * limits::DRIFT_MS;
    let window_start_ms = committed.timestamp_ms.saturating_sub(window_ms);
    fill_pool(opened, pool, window_start_ms, parameters.max_ttl_ms.into())?;
    let records = opened.chain.records(committed.height.next())?;
    let log: Option<Vec<Record>> =
        records.iter().map(|bytes| Record::decode(&mut &bytes[..]).ok()).collect();
    let damaged = !opened.chain.is_whole() || log.is_none();
    let recovery = if damaged { Recovery::LogLost } else { Recovery::AskPeers };
    let mut core =
        Core::new(opened.chain_hash, parent, core_config, log.unwrap_or_default(), recovery);
    if config.resume_voting {
        let mut outputs = Vec::new();
        core.step(now_ms, Input::ResumeVoting, &mut outputs);
    }
    Ok(core)
}

/// Undecided batches of before, and the names of those decided within the window.
fn fill_pool(
    opened: &Opened,
    pool: &mut Pool,
    window_start_ms: u64,
    max_ttl_ms: u64,
) -> Result<(), NodeError> {
    let reader = opened.chain.reader();
    let mut height = Some(reader.last_height());
    while let Some(current) = height.filter(|height| *height > Height(0)) {
        let Some(BlockRecord { header, .. }) = reader.block(current)? else { break };
        if header.timestamp_ms < window_start_ms {
            break;
        }
        pool.decide(&header, max_ttl_ms);
        height = current.previous();
    }
    for digest in reader.undecided() {
        // Its signatures were checked before it was written.
        let bytes = reader.batch(&digest)?.unwrap_or_default();
        if let Ok(batch) = Batch::decode(&opened.chain_hash, bytes) {
            let _known_or_full = pool.insert(Arc::new(Verified::vouch(batch)));
        }
    }
    Ok(())
}

fn network_config(config: &Config, opened: &Opened) -> NetworkConfig {
    let peers = config.peers.iter().map(|peer| PeerAddress {
        public_key: peer.public_key,
        address: peer.address.clone(),
    });
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
