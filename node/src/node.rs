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
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{oneshot, watch};
use tonle_client::keyfile::KeyFileError;
use tonle_model::block::Header;
use tonle_model::genesis::{Genesis, GenesisError};
use tonle_model::hash::ChainHash;
use tonle_model::key::KeyPair;
use tonle_model::number::Height;
use tonle_wsv::aside::{Moved, set_aside};
use tonle_wsv::chain::{ChainError, ChainOpenError};
use tonle_wsv::state::StateError;
use tonle_wsv::state::snapshot::needs_filling;
use tonle_wsv::store::{Database, StoreError};

use crate::assembly::Assembly;
use crate::clock::SystemClock;
use crate::config::{Config, ConfigError, Join};
use crate::driver::{Driver, DriverError, Event, Outbox};
use crate::executor::Executor;
use crate::gate::Gate;
use crate::network::{self, NetworkConfig, NetworkError, NetworkHandle, PeerAddress};
use crate::open::{Opened, open, read_files};
use crate::outbox::NetworkOutbox;
use crate::sink::Sink;
use crate::snapshot::{self, Ended, JoinError, Requests};
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
    /// A restore from a snapshot was begun in the data directory and not finished.
    #[error(
        "{} is half filled from a snapshot: restore it again, start with --join snapshot, or empty \
         it", directory.display()
    )]
    Unfinished {
        /// The data directory.
        directory: std::path::PathBuf,
    },
    /// Joining from a snapshot failed on this machine's side.
    #[error(transparent)]
    Join(#[from] JoinError),
    /// The disk.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The state database is damaged, or does not fit the chain or the genesis.
    #[error(transparent)]
    State(#[from] StateError),
    /// The driver ended.
    #[error(transparent)]
    Driver(#[from] DriverError),
    /// An operator asked for what is not there.
    #[error("there is no {database} database in {path} to set aside")]
    NothingThere {
        /// Which.
        database: Database,
        /// Where it would be.
        path: String,
    },
}

impl NodeError {
    /// What the process tells whoever started it (api.md, tonled).
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Driver(
                DriverError::Divergence { .. } | DriverError::State(StateError::Diverged { .. }),
            )
            | Self::State(StateError::Diverged { .. }) => ExitCode::from(4),
            Self::Chain(_)
            | Self::ChainRead(_)
            | Self::Store(_)
            | Self::State(_)
            | Self::Unfinished { .. }
            | Self::Join(_) => ExitCode::from(3),
            Self::Driver(DriverError::State(_) | DriverError::Chain(_)) => ExitCode::from(3),
            Self::Driver(DriverError::BatchGone(_) | DriverError::Ended(_)) => ExitCode::FAILURE,
            _ => ExitCode::from(2),
        }
    }

    /// The database that failed, if one did.
    fn database(&self) -> Option<Database> {
        let failed = match self {
            // A node that has all blocks makes such a state anew by itself.
            Self::State(StateError::AheadOfChain { .. }) => return Some(Database::Chain),
            Self::Chain(ChainOpenError::Fatal(error))
            | Self::ChainRead(ChainError::Fatal(error))
            | Self::Store(error)
            | Self::State(StateError::Fatal(error))
            | Self::Driver(
                DriverError::Chain(ChainError::Fatal(error))
                | DriverError::State(StateError::Fatal(error)),
            ) => error,
            _ => return None,
        };
        failed.database()
    }

    /// What an operator does about a database that failed.
    pub fn remedy(&self) -> Option<String> {
        let database = self.database()?;
        let then = match database {
            Database::Chain => {
                "fetches the chain from the other nodes and follows them; it votes again once you \
                 say that it may (--resume-voting)"
            }
            Database::State => "makes the state anew from the chain",
        };
        Some(format!(
            "if the disk is full or failing, mend that first; if the database is damaged, run \
             tonled once more with --set-aside {database}, and then as before: it {then}"
        ))
    }
}

/// Sets the database aside that an operator names; tells what has another name now.
pub fn put_aside(config: &Config, database: Database) -> Result<Vec<Moved>, NodeError> {
    let moved = set_aside(&config.data_dir, database)?;
    match moved.is_empty() {
        false => Ok(moved),
        true => {
            Err(NodeError::NothingThere { database, path: config.data_dir.display().to_string() })
        }
    }
}

/// Runs a node until it is told to end.
pub fn run(config: &Config) -> Result<(), NodeError> {
    let vouched = config.resume_voting.then(Height::default);
    run_behind(config, vouched, |network, _| Box::new(network))
}

/// Runs a node that speaks through what `outbox` makes of the network, and is vouched for up to a
/// height whatever others remember of it: for members of a test that lie.
pub fn run_behind(
    config: &Config,
    vouched: Option<Height>,
    outbox: impl FnOnce(NetworkOutbox, &Opened) -> Box<dyn Outbox>,
) -> Result<(), NodeError> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(RUNTIME_THREADS)
        .thread_name("io")
        .enable_all()
        .build()
        .map_err(NodeError::Start)?;
    let result = runtime.block_on(start(config, vouched, outbox));
    runtime.shutdown_timeout(RUNTIME_STOP_MAX);
    result
}

async fn start(
    config: &Config,
    vouched: Option<Height>,
    outbox: impl FnOnce(NetworkOutbox, &Opened) -> Box<dyn Outbox>,
) -> Result<(), NodeError> {
    let mut signals = Signals::new()?;
    let (genesis, key) = read_files(config)?;
    let Some((genesis, dropped)) = join_if_empty(config, genesis, &key, &mut signals).await? else {
        return Ok(());
    };
    let (on_failure, disk_failure) = crate::disk::failures();
    let opened = open(config, genesis, key, &on_failure)?;
    let (chain, own) = (opened.chain_hash, opened.key.public_key());
    tracing::info!(%chain, %own, height = %opened.world.committed().height, "opened");
    let (assembly, inbox) = Assembly::new(&opened, Arc::new(SystemClock::default()));
    assembly.checker.start(verify_threads()).map_err(NodeError::Start)?;
    assembly.board.add_dropped_sources(dropped);
    let (requests, questions) = Requests::new();
    let sink = Arc::new(Sink { snapshots: Some(requests.clone()), ..assembly.sink(&opened) });
    let network_config = network_config(config, &opened.key, opened.chain_hash);
    let (network, network_task) = network::start(network_config, sink, &Handle::current()).await?;
    let serving = snapshot::serve(config.data_dir.clone(), questions, network.clone());
    let serving = serving.map_err(NodeError::Start)?;
    let listener = TcpListener::bind(config.api)
        .await
        .map_err(|error| NodeError::Listen { address: config.api.to_string(), error })?;
    let (committed, committed_watch) = watch::channel(opened.world.committed().height);
    let gate = make_gate(config, &opened, &assembly, &network, committed_watch);
    let genesis = Header::genesis(chain, opened.genesis.created_ms);

    let outbox = outbox(NetworkOutbox::new(network.clone(), &config.observers), &opened);
    let (driver, executor) = assembly.core(opened, outbox, committed, vouched)?;
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

    let result = until_told(&mut core.ended, disk_failure, &mut signals).await;
    tracing::info!("ending");
    // Whoever does not hear one of these has ended already.
    let _gone = assembly.events.send(Event::Shutdown);
    drop(assembly);
    let _gone = stop.send(true);
    let _ended = torii.await;
    network.shutdown();
    let _ended = network_task.join().await;
    let _ended = tokio::task::spawn_blocking(move || core.join()).await;
    let ended = move || {
        requests.end();
        serving.join()
    };
    let _ended = tokio::task::spawn_blocking(ended).await;
    result
}

/// Fills an empty data directory from the snapshots of peers, if the configuration says so. Returns
/// the genesis and how many peers were dropped on the way; nothing if it was told to end.
async fn join_if_empty(
    config: &Config,
    genesis: Genesis,
    key: &KeyPair,
    signals: &mut Signals,
) -> Result<Option<(Genesis, u64)>, NodeError> {
    if config.join == Join::Genesis || !needs_filling(&config.data_dir) {
        return Ok(Some((genesis, 0)));
    }
    let network = network_config(config, key, genesis.chain());
    let genesis = Arc::new(genesis);
    let dropped = match snapshot::join(config, network, &genesis, signals.told()).await? {
        Ended::Joined { dropped } => dropped,
        Ended::Stopped => return Ok(None),
        Ended::Nothing => {
            tracing::info!("no peer has a snapshot: joining from the genesis");
            0
        }
    };
    Ok(Some((Arc::unwrap_or_clone(genesis), dropped)))
}

/// What an operator ends the process with. Listened to from the start on: who listens anew for each
/// wait misses what comes between two.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> Result<Self, NodeError> {
        let listen = |kind| signal(kind).map_err(NodeError::Start);
        let (terminate, interrupt) = (SignalKind::terminate(), SignalKind::interrupt());
        Ok(Self { terminate: listen(terminate)?, interrupt: listen(interrupt)? })
    }

    /// Waits for one, or takes one that came before.
    async fn told(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}

/// Waits for a signal, for the driver to end by itself, or for a database to fail, whoever reads
/// it: what a damaged one says next is unknown.
async fn until_told(
    driver: &mut oneshot::Receiver<Result<(), DriverError>>,
    mut disk_failure: watch::Receiver<Option<StoreError>>,
    signals: &mut Signals,
) -> Result<(), NodeError> {
    let disk_failure = async {
        // An error means that the databases are closed, and the driver has ended.
        let failed = disk_failure.wait_for(Option::is_some).await;
        failed.ok().and_then(|failed| failed.clone())
    };
    tokio::select! {
        Some(failed) = disk_failure => Err(failed.into()),
        ended = driver => Ok(ended.unwrap_or(Err(DriverError::Ended("driver")))?),
        () = signals.told() => Ok(()),
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

fn network_config(config: &Config, key: &KeyPair, chain: ChainHash) -> NetworkConfig {
    let peers = config
        .peers
        .iter()
        .map(|peer| PeerAddress { public_key: peer.public_key, address: peer.address.clone() });
    NetworkConfig {
        key: key.clone(),
        chain,
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
