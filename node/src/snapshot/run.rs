//! Serving and joining with threads, sockets and a disk.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tonle_client::api::{NodeRole, NodeStatus, PoolStatus};
use tonle_model::block::Header;
use tonle_model::genesis::Genesis;
use tonle_model::key::PublicKey;
use tonle_model::number::View;
use tonle_wsv::state::snapshot::{Target, TargetError, is_unfinished, open_source};

use super::Questions;
use super::joining::{Act, Heard, JoinError, Joining, Outcome, Prepare};
use super::report::JoinReport;
use super::server::Server;
use crate::config::Config;
use crate::network::{self, Flow, Lane, NetworkConfig, NetworkHandle, NetworkSink, Verdict};
use crate::node::NodeError;
use crate::priority::stand_back;
use crate::torii;
use crate::wire::{SnapshotMessage, Wire};

/// Most messages waiting for the joining thread. Past that the peers' links are not read.
const HEARD_MAX: usize = 64;
/// Pause between two looks at the time.
const TICK: Duration = Duration::from_millis(50);
/// Where a served snapshot keeps what RocksDB logs.
const SCRATCH: &str = "snapshot-view";

/// Starts the thread that serves snapshots of what is in a data directory. It ends when
/// it is told to.
pub fn serve(
    data_dir: PathBuf,
    questions: Questions,
    network: NetworkHandle,
) -> std::io::Result<JoinHandle<()>> {
    let open = Box::new(move || open_source(&data_dir, &data_dir.join(SCRATCH)));
    let say = Box::new(move |to: &PublicKey, message: &SnapshotMessage| {
        say(&network, to, Lane::Bulk, message);
    });
    let run = move || {
        stand_back();
        Server::new(open, say, Box::new(Instant::now)).run(&questions);
    };
    std::thread::Builder::new().name("snapshots".into()).spawn(run)
}

fn say(network: &NetworkHandle, to: &PublicKey, lane: Lane, message: &SnapshotMessage) {
    if let Err(error) = network.send(to, lane, Wire::Snapshot(message.clone()).to_frame()) {
        // Whoever wants it asks again.
        tracing::debug!(peer = %to, %error, "dropped what was said about a snapshot");
    }
}

/// How joining ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// The data directory is filled.
    Joined {
        /// How often a peer was dropped on the way.
        dropped: u64,
    },
    /// No peer has a snapshot: the network has only just begun.
    Nothing,
    /// It was told to end.
    Stopped,
}

/// Fills the data directory from the snapshots of peers. Until it is filled, HTTP says how far it
/// is. Ends early when `stopped` resolves.
pub async fn join(
    config: &Config,
    network_config: NetworkConfig,
    genesis: &Arc<Genesis>,
    stopped: impl Future<Output = ()>,
) -> Result<Ended, NodeError> {
    let (heard, inbox) = bounded(HEARD_MAX);
    let report = Arc::<JoinReport>::default();
    let own = network_config.key.public_key();
    let configured = network_config.peers.iter().map(|peer| peer.public_key);
    let configured = configured.filter(|peer| *peer != own).collect();
    let status = status(genesis, &report);
    let (network, network_task) =
        network::start(network_config, Arc::new(JoinSink { heard }), &Handle::current()).await?;
    let listener = TcpListener::bind(config.api)
        .await
        .map_err(|error| NodeError::Listen { address: config.api.to_string(), error })?;
    let (stop, stopping) = watch::channel(false);
    let torii = tokio::spawn(torii::serve_joining(listener, status, stopping));
    let told_to_end = Arc::new(AtomicBool::new(false));
    let worker = Worker {
        genesis: genesis.clone(),
        configured,
        directory: config.data_dir.clone(),
        inbox,
        network: network.clone(),
        report,
        told_to_end: told_to_end.clone(),
    };
    let mut work = tokio::task::spawn_blocking(move || worker.run());
    let ended = tokio::select! {
        ended = &mut work => ended,
        () = stopped => {
            told_to_end.store(true, Ordering::Relaxed);
            work.await
        }
    };
    let _gone = stop.send(true);
    let _ended = torii.await;
    network.shutdown();
    let _ended = network_task.join().await;
    ended.map_err(|error| NodeError::Start(std::io::Error::other(error)))?
}

/// What a node that joins says of itself.
fn status(genesis: &Genesis, report: &Arc<JoinReport>) -> torii::JoiningStatus {
    let (chain, demo) = (genesis.chain(), genesis.demo);
    let header = Header::genesis(chain, genesis.created_ms);
    let (report, started) = (report.clone(), Instant::now());
    Arc::new(move || NodeStatus {
        chain,
        name: "observer".to_owned(),
        role: NodeRole::Observer,
        height: header.height,
        hash: header.hash(),
        state_root: tonle_model::merkle::empty_root(),
        timestamp_ms: header.timestamp_ms,
        view: View(0),
        peers: 0,
        pool: PoolStatus { transactions: 0, bytes: 0 },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        syncing: true,
        sync: Some(report.progress()),
        uptime_ms: u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX),
        synced_writes: true,
        not_voting: None,
        demo,
    })
}

/// The thread that joins.
struct Worker {
    genesis: Arc<Genesis>,
    configured: BTreeSet<PublicKey>,
    directory: PathBuf,
    inbox: Receiver<Heard>,
    network: NetworkHandle,
    report: Arc<JoinReport>,
    told_to_end: Arc<AtomicBool>,
}

impl Worker {
    fn run(self) -> Result<Ended, NodeError> {
        let target = Mutex::new(None);
        let ended = self.work(&target)?;
        let target = target.into_inner().unwrap_or_else(PoisonError::into_inner);
        let left = leave(&self.directory, target, ended);
        left.map_err(|error| JoinError::Target(error.to_string()))?;
        Ok(ended)
    }

    fn work(&self, target: &Mutex<Option<Target>>) -> Result<Ended, NodeError> {
        let prepare: Prepare<'_> = Box::new(|| {
            let mut target = target.lock().unwrap_or_else(PoisonError::into_inner);
            // The databases of an attempt that came to nothing are closed first.
            *target = None;
            let prepared = Target::prepare(&self.directory);
            let prepared = prepared.map_err(|error| JoinError::Target(error.to_string()))?;
            Ok(target.insert(prepared).stores())
        });
        let mut joining = Joining::new(&self.genesis, self.configured.clone(), prepare);
        let started = Instant::now();
        let mut acts = Vec::new();
        while !self.told_to_end.load(Ordering::Relaxed) {
            let heard = match self.inbox.recv_timeout(TICK) {
                Ok(heard) => Some(heard),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return Ok(Ended::Stopped),
            };
            let now_ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let outcome = joining.step(now_ms, heard, &mut acts)?;
            for act in acts.drain(..) {
                match act {
                    Act::Say(to, message) => say(&self.network, &to, Lane::Consensus, &message),
                    Act::Drop(peer) => self.network.disconnect(&peer),
                    Act::Waiting { peers, dropped } => tracing::warn!(
                        peers,
                        dropped,
                        "no peer gives a snapshot: waiting; --join genesis executes all blocks \
                         instead"
                    ),
                }
            }
            match outcome {
                Outcome::Going => self.report.update(joining.progress()),
                Outcome::Nothing => return Ok(Ended::Nothing),
                Outcome::Joined(committed) => {
                    let seconds = started.elapsed().as_secs_f64();
                    tracing::info!(height = %committed.height, seconds, "joined from a snapshot");
                    return Ok(Ended::Joined { dropped: joining.dropped() });
                }
            }
        }
        Ok(Ended::Stopped)
    }
}

/// Leaves the directory filled, or as empty as it was if there is nothing to fill it with, so that
/// the node starts from the genesis. Otherwise it stays marked as half filled.
fn leave(directory: &Path, target: Option<Target>, ended: Ended) -> Result<(), TargetError> {
    match (ended, target) {
        (Ended::Joined { .. }, Some(target)) => target.complete(),
        (Ended::Nothing, Some(target)) => target.abandon(),
        // An earlier start may have ended in the middle.
        (Ended::Nothing, None) if is_unfinished(directory) => Target::prepare(directory)?.abandon(),
        _ => Ok(()),
    }
}

/// Where frames go while the node joins: only what is about snapshots counts.
struct JoinSink {
    heard: Sender<Heard>,
}

impl NetworkSink for JoinSink {
    fn connected(&self, peer: PublicKey) {
        let _ended = self.heard.send(Heard::Connected(peer));
    }

    fn disconnected(&self, peer: PublicKey) {
        let _ended = self.heard.send(Heard::Disconnected(peer));
    }

    fn frame(&self, peer: PublicKey, _lane: Lane, frame: Bytes) -> Flow {
        let Ok(Wire::Snapshot(message)) = Wire::from_frame(&frame) else { return Flow::Accepted };
        match self.heard.try_send(Heard::Said(peer, message)) {
            Err(TrySendError::Full(_)) => Flow::Busy,
            Ok(()) | Err(TrySendError::Disconnected(_)) => Flow::Accepted,
        }
    }

    fn announcement(&self, _from: PublicKey, _bytes: Bytes) -> Verdict {
        Verdict::Ignore
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_wsv::state::snapshot::needs_filling;

    #[test]
    fn a_directory_that_nothing_is_put_into_is_left_empty() {
        // What was begun now, or before a crash.
        for is_begun_now in [true, false] {
            let home = tempfile::tempdir().unwrap();
            let begin = || Some(Target::prepare(home.path()).unwrap()).filter(|_| is_begun_now);
            leave(home.path(), begin(), Ended::Stopped).unwrap();
            assert!(is_unfinished(home.path()), "the next start begins anew");
            leave(home.path(), begin(), Ended::Nothing).unwrap();
            assert!(!is_unfinished(home.path()), "begun now: {is_begun_now}");
            assert!(needs_filling(home.path()), "nothing is kept: {is_begun_now}");
        }
    }
}
