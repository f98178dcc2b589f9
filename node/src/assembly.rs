//! A node without its edges: what checks, decides and executes, wired to each other but to no
//! thread, socket or clock. [`crate::node`] gives it those; a simulation steps it on virtual time.

use std::sync::Arc;

use crossbeam_channel::{Receiver, bounded};
use tokio::sync::watch;
use tonle_model::key::PublicKey;
use tonle_model::number::Height;
use tonle_model::verify::Verifier;
use tonle_wsv::state::WorldReader;

use crate::board::Board;
use crate::clock::Clock;
use crate::driver::{Driver, EVENTS_MAX, Event, EventSender, Outbox, Parts};
use crate::executor::{Executor, Listeners};
use crate::metrics::Metrics;
use crate::node::NodeError;
use crate::open::{Opened, make_ready};
use crate::pool::{Decided, Pool};
use crate::sink::Sink;
use crate::tracker::Tracker;
use crate::verify_pool::{Checker, Interest, VerifyPool};

/// What the parts share, and the ones that stand alone.
pub struct Assembly {
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// What the driver shows.
    pub board: Arc<Board>,
    /// What was taken in.
    pub tracker: Arc<Tracker>,
    /// Numbers.
    pub metrics: Arc<Metrics>,
    /// To the driver.
    pub events: EventSender,
    /// What checks signatures.
    pub checker: Checker,
    /// The way to it.
    pub verify: VerifyPool,
    verifier: Arc<Verifier>,
    interest: Arc<Interest>,
}

impl Assembly {
    /// The parts around what was opened, and what the driver is told.
    pub fn new(opened: &Opened, clock: Arc<dyn Clock>) -> (Self, Receiver<Event>) {
        let (events, inbox) = bounded(EVENTS_MAX);
        let (verifier, interest) = (Arc::<Verifier>::default(), Arc::<Interest>::default());
        let (verify, checker) =
            VerifyPool::new(opened.chain_hash, verifier.clone(), interest.clone(), events.clone());
        let assembly = Self {
            clock,
            board: Arc::default(),
            tracker: Arc::default(),
            metrics: Arc::default(),
            events,
            checker,
            verify,
            verifier,
            interest,
        };
        (assembly, inbox)
    }

    /// Where frames from the network go.
    pub fn sink(&self, opened: &Opened) -> Sink {
        Sink {
            chain: opened.chain_hash,
            events: self.events.clone(),
            verify: self.verify.clone(),
            verifier: self.verifier.clone(),
            world: opened.world.reader(),
            board: self.board.clone(),
            snapshots: None,
        }
    }

    /// The two that own what is on disk. `committed` hears of each height, and `vouched` is
    /// how far an operator vouches for what this validator said ([`tonle_consensus::Input::ResumeVoting`]).
    pub fn core(
        &self,
        opened: Opened,
        outbox: Box<dyn Outbox>,
        committed: watch::Sender<Height>,
        vouched: Option<Height>,
    ) -> Result<(Driver, Executor), NodeError> {
        let ready = make_ready(&opened)?;
        let world = opened.world.reader();
        self.recall(&ready.pool, &opened.key.public_key(), &world);
        let listeners =
            Listeners { tracker: self.tracker.clone(), committed, metrics: self.metrics.clone() };
        let (handle, executor) = Executor::new(opened.world, listeners, self.events.clone());
        let driver = Driver::new(Parts {
            chain_hash: opened.chain_hash,
            key: opened.key,
            core: ready.core,
            validators: world.validators(),
            peers: ready.peers,
            chain: opened.chain,
            pool: ready.pool,
            world,
            clock: self.clock.clone(),
            outbox,
            executor: handle,
            headers: ready.headers,
            seen: ready.seen,
            vouched,
            verifier: self.verifier.clone(),
            interest: self.interest.clone(),
            board: self.board.clone(),
        });
        Ok((driver, executor))
    }

    /// What was held before the start need not be checked again, and what this node's clients were
    /// told is queued still is, unless the chain has passed its window.
    fn recall(&self, pool: &Pool, own: &PublicKey, world: &WorldReader) {
        pool.digests().for_each(|digest| self.interest.hold(*digest));
        self.tracker.start(world.committed().timestamp_ms);
        let now_ms = self.clock.now_ms();
        let members = pool.of_author(own).flat_map(|batch| batch.transactions());
        for member in members.filter(|member| !world.is_decided(member, now_ms)) {
            // There is more room than an author's share has transactions.
            let _taken = self.tracker.take(member.hash(), member.payload().expires_ms);
        }
    }
}
