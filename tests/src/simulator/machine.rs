//! One machine: disks that outlive its processes, a clock, and a node stepped on virtual time.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use crossbeam_channel::Receiver;
use parity_scale_codec::Encode;
use tokio::sync::watch;
use tonle_consensus::{Message, Record};
use tonle_model::genesis::Genesis;
use tonle_model::hash::ChainHash;
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::number::Height;
use tonle_model::validators::ValidatorSet;
use tonle_node::assembly::Assembly;
use tonle_node::driver::{Driver, DriverError, Event, Outbox};
use tonle_node::executor::Executor;
use tonle_node::network::{Flow, Lane, NetworkSink, Verdict};
use tonle_node::node::NodeError;
use tonle_node::open::Opened;
use tonle_node::sink::Sink;
use tonle_node::wire::{Announcement, Wire};
use tonle_wsv::chain::{ChainLog, ChainReader, MarkStore, MemoryMark, OnLoss};
use tonle_wsv::memory::MemoryStore;
use tonle_wsv::state::WorldReader;
use tonle_wsv::store::Table;

use super::clock::SkewedClock;

/// What a node asked its network to do.
#[derive(Debug)]
pub enum Left {
    /// Send a frame to one node, or to all.
    Frame {
        /// To whom; nobody means everybody.
        to: Option<PublicKey>,
        /// What.
        frame: Bytes,
        /// It holds a vote or proposal that is not on the node's disk.
        unwritten: bool,
    },
    /// Gossip.
    Announcement(Bytes),
    /// Cut a peer off.
    Blame(PublicKey),
}

/// The node's way out: into a list.
#[derive(Clone)]
struct ListOutbox {
    left: Arc<Mutex<Vec<Left>>>,
    disk: Arc<MemoryStore>,
}

impl ListOutbox {
    fn lock(&self) -> MutexGuard<'_, Vec<Left>> {
        self.left.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, to: Option<PublicKey>, frame: Bytes) {
        let unwritten = !is_written(&self.disk, &frame);
        self.lock().push(Left::Frame { to, frame, unwritten });
    }
}

impl Outbox for ListOutbox {
    fn send(&self, to: &PublicKey, _lane: Lane, frame: Bytes) {
        self.push(Some(*to), frame);
    }

    fn broadcast(&self, _lane: Lane, frame: Bytes) {
        self.push(None, frame);
    }

    fn announce(&self, announcement: &Announcement) {
        self.lock().push(Left::Announcement(announcement.encode().into()));
    }

    fn set_validators(&self, _validators: &ValidatorSet) {}

    fn blame(&self, peer: &PublicKey) {
        self.lock().push(Left::Blame(*peer));
    }
}

/// Whether a frame holds no vote and no proposal, or one that would survive a loss of power now.
fn is_written(disk: &MemoryStore, frame: &Bytes) -> bool {
    let Ok(Wire::Consensus(message)) = Wire::from_frame(frame) else { return true };
    let Some((height, record)) = record_of(&message) else { return true };
    disk.durable_values(Table::Records, &height.0.to_be_bytes()).contains(&record)
}

/// What the log of whoever made a vote or a proposal has of it, and at which height.
pub(super) fn record_of(message: &Message) -> Option<(Height, Vec<u8>)> {
    let (height, record) = match message {
        Message::Vote(vote) => (vote.ballot.height, Record::Vote(*vote)),
        Message::Proposal(proposal) => (proposal.height, Record::Proposal(proposal.clone())),
        Message::Certificate(_) | Message::Status(_) => return None,
    };
    Some((height, record.encode()))
}

/// A process.
pub struct Running {
    /// What its parts share.
    pub assembly: Assembly,
    /// Its committed state.
    pub world: WorldReader,
    /// Its chain.
    pub chain: ChainReader,
    /// Work of these kinds is under way.
    pub checking: bool,
    /// See `checking`.
    pub executing: bool,
    /// When its next turn is to be, by true time.
    pub wake_ms: u64,
    driver: Driver,
    executor: Executor,
    inbox: Receiver<Event>,
    sink: Sink,
    outbox: ListOutbox,
}

/// A machine.
pub struct Machine {
    /// The validator's key.
    pub key: KeyPair,
    /// Its clock.
    pub clock: SkewedClock,
    /// The process, if it runs.
    pub running: Option<Running>,
    /// How many processes there were.
    pub incarnation: u64,
    /// The disk of the log; the state has one of its own, so that each can lose what is its own.
    pub chain_disk: Arc<MemoryStore>,
    /// The disk of the state.
    pub state_disk: Arc<MemoryStore>,
    mark: MemoryMark,
    genesis: Genesis,
}

impl Machine {
    /// A new machine that is not started.
    pub fn new(key: KeyPair, genesis: Genesis, now_ms: u64) -> Self {
        Self {
            key,
            clock: SkewedClock::new(now_ms),
            running: None,
            incarnation: 0,
            chain_disk: Arc::default(),
            state_disk: Arc::default(),
            mark: MemoryMark::default(),
            genesis,
        }
    }

    /// Starts the process. `vouched`: it may vote up to there, whatever it said before.
    pub fn start(&mut self, now_ms: u64, vouched: Option<Height>) -> Result<(), NodeError> {
        self.clock.start(now_ms);
        self.incarnation += 1;
        let hash = self.genesis.chain();
        let on_loss = if vouched.is_some() { OnLoss::Forgive } else { OnLoss::Observe };
        let mark = Box::new(self.mark.clone());
        let log = ChainLog::open(self.chain_disk.clone(), mark, &hash, on_loss)?;
        let opened =
            Opened::new(self.genesis.clone(), self.key.clone(), log, self.state_disk.clone())?;
        let (world, chain) = (opened.world.reader(), opened.chain.reader());
        let (assembly, inbox) = Assembly::new(&opened, Arc::new(self.clock.reading()));
        let sink = assembly.sink(&opened);
        let outbox = ListOutbox { left: Arc::default(), disk: self.chain_disk.clone() };
        let (committed, _) = watch::channel(Height(0));
        let out = Box::new(outbox.clone());
        let (mut driver, executor) = assembly.core(opened, out, committed, vouched)?;
        driver.begin()?;
        self.running = Some(Running {
            assembly,
            world,
            chain,
            checking: false,
            executing: false,
            wake_ms: u64::MAX,
            driver,
            executor,
            inbox,
            sink,
            outbox,
        });
        Ok(())
    }

    /// Takes a copy of the disks of now, for a later [`Machine::restore`].
    pub fn backup(&self) -> Backup {
        let mut mark = MemoryMark::default();
        // In memory neither can fail.
        if let Ok(Some(saved)) = self.mark.load() {
            let _saved = mark.save(&saved);
        }
        Backup { chain: self.chain_disk.backup(), state: self.state_disk.backup(), mark }
    }

    /// Puts old disks in; with the mark beside them if the whole machine was copied, without if
    /// it was only the databases.
    pub fn restore(&mut self, backup: Backup, with_mark: bool) {
        self.chain_disk = Arc::new(backup.chain);
        self.state_disk = Arc::new(backup.state);
        if with_mark {
            self.mark = backup.mark;
        }
    }

    /// Puts empty disks in, and forgets that there were others.
    pub fn forget(&mut self) {
        (self.chain_disk, self.state_disk) = (Arc::default(), Arc::default());
        self.mark = MemoryMark::default();
    }

    /// The network's name.
    pub fn chain_hash(&self) -> ChainHash {
        self.genesis.chain()
    }
}

/// Disks of an earlier time.
pub struct Backup {
    chain: MemoryStore,
    state: MemoryStore,
    mark: MemoryMark,
}

impl Running {
    /// One turn of the driver. An error ends the process, and so does being asked to.
    pub fn turn(&mut self) -> Result<(), DriverError> {
        self.driver.take_turn(self.inbox.try_iter()).map(|_asked_to_end| ())
    }

    /// When the next one is due if nothing happens, by the node's clock.
    pub fn next_turn_ms(&self) -> u64 {
        self.driver.next_turn_ms()
    }

    /// What it wants sent since it was last asked.
    pub fn take_left(&self) -> Vec<Left> {
        std::mem::take(&mut *self.outbox.lock())
    }

    /// A frame came. False if the node is too busy to take it.
    pub fn frame(&self, from: &PublicKey, frame: Bytes) -> bool {
        self.sink.frame(*from, Lane::Consensus, frame) == Flow::Accepted
    }

    /// An announcement came. Whether the node found it good, so that it goes on.
    pub fn announcement(&self, from: &PublicKey, bytes: Bytes) -> bool {
        self.sink.announcement(*from, bytes) == Verdict::Accept
    }

    /// A peer can be sent to, or not any more.
    pub fn link(&self, peer: &PublicKey, is_up: bool) {
        match is_up {
            true => self.sink.connected(*peer),
            false => self.sink.disconnected(*peer),
        }
    }

    /// Tells the driver something.
    pub fn tell(&self, event: Event) {
        // A full inbox loses it as a full disk watcher's or gate's would: it is said again.
        let _full = self.assembly.events.try_send(event);
    }

    /// Whether signatures wait to be checked.
    pub fn has_checks(&self) -> bool {
        self.assembly.checker.has_work()
    }

    /// Checks what waits.
    pub fn check(&mut self) {
        while self.assembly.checker.work_one() {}
    }

    /// Whether a block waits to be executed or committed.
    pub fn has_jobs(&self) -> bool {
        self.executor.has_work()
    }

    /// Executes or commits one.
    pub fn execute(&mut self) {
        self.executor.work_one();
    }
}
