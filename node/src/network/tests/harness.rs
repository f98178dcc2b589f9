//! Nodes whose sink records what it is told, and waiting for what it recorded.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::runtime::Runtime;
use tonle_model::hash::{ChainHash, Digest256};
use tonle_model::key::{KeyPair, PublicKey};

use crate::network::{
    Flow, Lane, NetworkConfig, NetworkHandle, NetworkSink, NetworkTask, PeerAddress, Verdict, start,
};

/// No test waits longer for anything.
pub const DEADLINE: Duration = Duration::from_secs(40);
pub const CHAIN: ChainHash = ChainHash(Digest256([7; 32]));

/// Keys in ascending order, so that the first one dials.
pub fn keys(count: usize) -> Vec<KeyPair> {
    let mut keys: Vec<KeyPair> =
        (0..count).map(|index| KeyPair::demo(&format!("validator {index}"))).collect();
    keys.sort_by_key(KeyPair::public_key);
    keys
}

pub fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
}

pub fn localhost() -> SocketAddr {
    (Ipv4Addr::LOCALHOST, 0).into()
}

/// Calls `check` until it is true.
pub fn wait_until(what: &str, mut check: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !check() {
        assert!(Instant::now() < deadline, "{what} did not happen in time");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[derive(Default)]
pub struct Seen {
    pub frames: BTreeMap<(PublicKey, bool), Vec<Bytes>>,
    pub announcements: Vec<Bytes>,
    pub connected: Vec<PublicKey>,
    pub disconnected: Vec<PublicKey>,
    pub busy_offers: usize,
}

/// A sink that records.
pub struct Recorder {
    pub seen: Mutex<Seen>,
    changed: Condvar,
    busy: Mutex<Option<Lane>>,
    verdict: Mutex<Verdict>,
}

impl Recorder {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            seen: Mutex::default(),
            changed: Condvar::new(),
            busy: Mutex::new(None),
            verdict: Mutex::new(Verdict::Accept),
        })
    }

    /// From now on takes no frame of this lane.
    pub fn set_busy(&self, lane: Option<Lane>) {
        *self.busy.lock().unwrap() = lane;
    }

    pub fn set_verdict(&self, verdict: Verdict) {
        *self.verdict.lock().unwrap() = verdict;
    }

    /// Waits until what was seen satisfies `check`.
    pub fn wait(&self, what: &str, check: impl Fn(&Seen) -> bool) {
        let seen = self.seen.lock().unwrap();
        let waited = self.changed.wait_timeout_while(seen, DEADLINE, |seen| !check(seen)).unwrap();
        assert!(!waited.1.timed_out(), "{what} did not happen in time");
    }

    pub fn frames(&self, from: &KeyPair, lane: Lane) -> Vec<Bytes> {
        let key = (from.public_key(), lane == Lane::Bulk);
        self.seen.lock().unwrap().frames.get(&key).cloned().unwrap_or_default()
    }

    pub fn wait_frames(&self, from: &KeyPair, lane: Lane, count: usize) -> Vec<Bytes> {
        let key = (from.public_key(), lane == Lane::Bulk);
        self.wait("receiving", |seen| seen.frames.get(&key).is_some_and(|all| all.len() >= count));
        self.frames(from, lane)
    }

    fn record(&self, change: impl FnOnce(&mut Seen)) {
        change(&mut self.seen.lock().unwrap());
        self.changed.notify_all();
    }
}

impl NetworkSink for Recorder {
    fn connected(&self, peer: PublicKey) {
        self.record(|seen| seen.connected.push(peer));
    }

    fn disconnected(&self, peer: PublicKey) {
        self.record(|seen| seen.disconnected.push(peer));
    }

    fn frame(&self, peer: PublicKey, lane: Lane, frame: Bytes) -> Flow {
        if *self.busy.lock().unwrap() == Some(lane) {
            self.record(|seen| seen.busy_offers += 1);
            return Flow::Busy;
        }
        self.record(|seen| {
            assert_eq!(
                seen.connected.iter().filter(|key| **key == peer).count(),
                seen.disconnected.iter().filter(|key| **key == peer).count() + 1,
                "frames come between connected and disconnected"
            );
            seen.frames.entry((peer, lane == Lane::Bulk)).or_default().push(frame);
        });
        Flow::Accepted
    }

    fn announcement(&self, _: PublicKey, bytes: Bytes) -> Verdict {
        // Before it is known as seen: whoever waits for that may change the verdict at once.
        let verdict = *self.verdict.lock().unwrap();
        self.record(|seen| seen.announcements.push(bytes));
        verdict
    }
}

/// One node.
pub struct Node {
    pub key: KeyPair,
    pub recorder: Arc<Recorder>,
    pub handle: NetworkHandle,
    pub task: NetworkTask,
}

impl Node {
    pub fn start(runtime: &Runtime, config: NetworkConfig) -> Self {
        let key = config.key.clone();
        let recorder = Recorder::new();
        let sink = Arc::clone(&recorder) as Arc<dyn NetworkSink>;
        let (handle, task) =
            runtime.block_on(start(config, sink, runtime.handle())).expect("the network starts");
        Self { key, recorder, handle, task }
    }

    pub fn address(&self) -> SocketAddr {
        self.task.listen_address()
    }

    pub fn as_peer(&self) -> PeerAddress {
        peer(&self.key, self.address())
    }

    pub fn wait_connected(&self, to: &KeyPair) {
        let key = to.public_key();
        wait_until("connecting", || self.handle.connected().contains(&key));
    }

    pub fn stop(self, runtime: &Runtime) {
        self.handle.shutdown();
        let joined = async { tokio::time::timeout(DEADLINE, self.task.join()).await };
        runtime.block_on(joined).expect("it ends in time").expect("it ends in order");
    }
}

pub fn peer(key: &KeyPair, address: SocketAddr) -> PeerAddress {
    PeerAddress { public_key: key.public_key(), address: address.to_string() }
}

/// A peer that is let in, but whose address is of no use.
pub fn silent_peer(key: &KeyPair) -> PeerAddress {
    PeerAddress { public_key: key.public_key(), address: "127.0.0.1:1".into() }
}

pub fn config(key: &KeyPair, peers: Vec<PeerAddress>) -> NetworkConfig {
    NetworkConfig {
        key: key.clone(),
        chain: CHAIN,
        listen: localhost(),
        peers,
        observers: Vec::new(),
    }
}

/// Two nodes, connected; the first one dialed.
pub fn pair(runtime: &Runtime) -> (Node, Node) {
    let keys = keys(2);
    let high = Node::start(runtime, config(&keys[1], vec![silent_peer(&keys[0])]));
    let low = Node::start(runtime, config(&keys[0], vec![high.as_peer()]));
    low.wait_connected(&keys[1]);
    high.wait_connected(&keys[0]);
    (low, high)
}
