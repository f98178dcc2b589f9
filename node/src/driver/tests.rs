//! The driver on the in-memory store, alone on its network or among peers that the test plays.

use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, bounded, unbounded};
use tokio::sync::watch;
use tonle_consensus::{Message, Record, Recovery};
use tonle_model::batch::Batch;
use tonle_model::bounded::Bounded;
use tonle_model::genesis::Genesis;
use tonle_model::instruction::Instruction;
use tonle_model::number::Height;
use tonle_model::transaction::{Payload, Step};
use tonle_model::validators::{Validator, ValidatorSet};
use tonle_wsv::chain::{MemoryMark, OnLoss};
use tonle_wsv::memory::MemoryStore;
use tonle_wsv::state::World;

use super::*;
use crate::clock::SystemClock;
use crate::executor::{self, Listeners};
use crate::wire::{BatchRequest, RawBatch};

const PATIENCE: Duration = Duration::from_secs(20);

/// What left the driver.
#[derive(Debug)]
enum Left {
    Sent(PublicKey, Wire),
    Broadcast(Wire),
    Announced,
}

struct TestOutbox(Sender<Left>);

impl TestOutbox {
    fn note(&self, left: Left) {
        let _test_ended = self.0.send(left);
    }
}

impl Outbox for TestOutbox {
    fn send(&self, to: &PublicKey, _lane: Lane, frame: Bytes) {
        self.note(Left::Sent(*to, Wire::from_frame(&frame).unwrap()));
    }

    fn broadcast(&self, _lane: Lane, frame: Bytes) {
        self.note(Left::Broadcast(Wire::from_frame(&frame).unwrap()));
    }

    fn announce(&self, _announcement: &Announcement) {
        self.note(Left::Announced);
    }

    fn set_validators(&self, _validators: &ValidatorSet) {}

    fn blame(&self, _peer: &PublicKey) {}
}

/// A running driver.
struct Running {
    events: EventSender,
    left: Receiver<Left>,
    thread: JoinHandle<Result<(), DriverError>>,
    world: WorldReader,
    chain_hash: ChainHash,
    chain_store: Arc<MemoryStore>,
    committed: watch::Receiver<Height>,
    board: Arc<Board>,
}

fn genesis(validators: usize) -> Genesis {
    let text = include_str!("../../../genesis.json");
    let mut genesis = Genesis::from_json(text).unwrap();
    let names = (0..validators).map(|index| format!("validator_{index}"));
    let validator = |name: String| Validator {
        public_key: KeyPair::demo(&name).public_key(),
        name: name.parse().unwrap(),
    };
    genesis.validators = ValidatorSet::new(names.map(validator).collect()).unwrap();
    genesis
}

fn start(validators: usize) -> Running {
    let genesis = genesis(validators);
    let chain_hash = genesis.chain();
    let key = KeyPair::demo("validator_0");
    let chain_store = Arc::new(MemoryStore::new());
    let mark = Box::new(MemoryMark::default());
    let chain = ChainLog::open(chain_store.clone(), mark, &chain_hash, OnLoss::Refuse).unwrap();
    let world = World::open(Arc::new(MemoryStore::new()), &genesis).unwrap();
    let reader = world.reader();
    let (events, inbox) = bounded(EVENTS_MAX);
    let (sender, left) = unbounded();
    let (committed_sender, committed) = watch::channel(Height(0));
    let listeners =
        Listeners { tracker: Arc::default(), committed: committed_sender, metrics: Arc::default() };
    let (executor, _thread) = executor::start(world, listeners, events.clone()).unwrap();
    let mut peers = PeerBook::default();
    let (own, set) = (key.public_key(), reader.validators());
    let marks = (*reader.marks()).clone();
    let config = config_of(&mut peers, &own, &set, &reader.parameters(), marks);
    let at = reader.committed();
    let parent = tonle_consensus::Parent {
        height: at.height,
        hash: at.block,
        result: at.result.hash(),
        timestamp_ms: at.timestamp_ms,
    };
    let core = Core::new(chain_hash, parent, config, Vec::<Record>::new(), Recovery::AskPeers);
    let board = Arc::<Board>::default();
    let driver = Driver::new(Parts {
        chain_hash,
        key,
        core,
        validators: set,
        peers,
        chain,
        pool: Pool::default(),
        world: reader.clone(),
        clock: Arc::new(SystemClock::default()),
        outbox: Box::new(TestOutbox(sender)),
        executor,
        headers: Vec::new(),
        resume_voting: false,
        verifier: Arc::default(),
        interest: Arc::default(),
        board: board.clone(),
    });
    let thread = std::thread::spawn(move || driver.run(&inbox));
    Running { events, left, thread, world: reader, chain_hash, chain_store, committed, board }
}

impl Running {
    fn pay(&self, nonce: u64) {
        self.events.send(Event::Transactions(vec![self.transfer(nonce)])).unwrap();
    }

    fn transfer(&self, nonce: u64) -> Verified<SignedTransaction> {
        self.transfer_of("sok@aclb", nonce)
    }

    fn transfer_of(&self, payer: &str, nonce: u64) -> Verified<SignedTransaction> {
        let transfer = Instruction::Transfer {
            asset: "khr#nbc".parse().unwrap(),
            from: None,
            to: "dara@wing".parse().unwrap(),
            amount: "1".parse().unwrap(),
            memo: "".parse().unwrap(),
            invoice: None,
        };
        let now_ms = SystemClock::default().now_ms();
        let step = Step { authority: payer.parse().unwrap(), instruction: transfer };
        let payload = Payload {
            chain: self.chain_hash,
            created_ms: now_ms,
            expires_ms: now_ms + 60_000,
            nonce,
            reference: None,
            steps: Bounded::new(vec![step]).unwrap(),
        };
        let signed = payload.sign(&[&KeyPair::demo(payer)]);
        Verified::vouch(SignedTransaction::from_transaction(&signed).unwrap())
    }

    fn settle_one(&mut self) {
        self.pay(1);
        self.wait_for(Height(1));
    }

    fn wait_for(&mut self, least: Height) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let reached = self.committed.wait_for(|height| *height >= least);
        let reached = async { tokio::time::timeout(PATIENCE, reached).await.map(drop) };
        runtime.block_on(reached).expect("a block");
    }

    /// What is answered to a peer that asks.
    fn answer(&self, question: Wire) -> Wire {
        let peer = KeyPair::demo("validator_1").public_key();
        let wire = Box::new(question);
        self.events.send(Event::Message { from: peer, wire }).unwrap();
        loop {
            match self.left.recv_timeout(PATIENCE).expect("an answer") {
                Left::Sent(to, wire) if to == peer => return wire,
                _ => {}
            }
        }
    }
}

#[test]
fn alone_on_its_network_it_decides_by_itself() {
    let mut running = start(1);
    running.settle_one();
    assert_eq!(running.world.committed().height, Height(1));
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());
}

/// A peer that counted the votes of a block it never saw stands still until someone who has moved
/// on tells it the header and sends the batches.
#[test]
fn headers_and_batches_of_decided_heights_are_served() {
    let mut running = start(1);
    running.settle_one();
    let block = running.world.committed().block;
    let Wire::Header(header) = running.answer(Wire::GetHeader(block)) else { panic!("a header") };
    assert_eq!(header.hash(), block);
    let digest = header.batches[0].digest;
    for decided in [None, Some((Height(1), 0))] {
        let request = BatchRequest { digest, decided };
        let question = Wire::GetBatches(Bounded::new(vec![request]).unwrap());
        let Wire::Batch(RawBatch(bytes)) = running.answer(question) else { panic!("a batch") };
        let batch = tonle_model::batch::Batch::decode(&running.chain_hash, bytes).unwrap();
        assert_eq!(batch.digest(), digest);
    }
    let nothing = BatchRequest { digest: BatchDigest::default(), decided: None };
    let question = Wire::GetBatches(Bounded::new(vec![nothing]).unwrap());
    assert_eq!(running.answer(question), Wire::NoBatch(BatchDigest::default()));
    let blocks = running.answer(Wire::GetBlocks { from: Height(1), count: 20 });
    let Wire::Blocks { from: Height(1), blocks } = blocks else { panic!("blocks") };
    assert_eq!(blocks.len(), 1);
}

/// Nothing that must be durable is said before it is (consensus.md, What is durable before what).
#[test]
fn nothing_leaves_when_the_disk_refuses() {
    let running = start(1);
    running.chain_store.break_writes();
    running.pay(1);
    let ended = running.thread.join().unwrap();
    assert!(matches!(ended, Err(DriverError::Chain(_))), "{ended:?}");
    let said: Vec<Left> = running.left.try_iter().collect();
    assert!(said.is_empty(), "{said:?}");
}

/// Before it votes, a validator hears from q - 1 others which vote of its own they saw last.
#[test]
fn a_validator_that_heard_from_nobody_does_not_vote() {
    let running = start(4);
    running.pay(1);
    let (mut batch_left, mut standstills) = (false, 0);
    while standstills < 2 {
        match running.left.recv_timeout(PATIENCE).expect("a standstill a second") {
            Left::Broadcast(Wire::Consensus(message)) => {
                assert!(
                    !matches!(*message, Message::Vote(_) | Message::Proposal(_)),
                    "{message:?}"
                );
            }
            Left::Broadcast(Wire::Batch(_)) => batch_left = true,
            Left::Broadcast(Wire::Announce(_)) => standstills += 1,
            _ => {}
        }
    }
    assert!(batch_left, "what it took in is passed on all the same");
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());
}

/// Shares of the pool are per validator; a batch under any other key is nobody's.
#[test]
fn batches_of_strangers_are_not_taken() {
    let running = start(1);
    let from = KeyPair::demo("validator_1").public_key();
    let transfer = running.transfer(7);
    let seal = |name: &str| {
        let key = KeyPair::demo(name);
        Batch::seal(&running.chain_hash, &key, 1, vec![transfer.clone()])
    };
    let (stranger, own) = (seal("stranger"), seal("validator_0"));
    for batch in [&stranger, &own] {
        running.events.send(Event::Batch { from, batch: Arc::new(batch.clone()) }).unwrap();
    }
    let ask = |batch: &Batch| {
        let request = BatchRequest { digest: batch.digest(), decided: None };
        running.answer(Wire::GetBatches(Bounded::new(vec![request]).unwrap()))
    };
    assert!(matches!(ask(&own), Wire::Batch(_)));
    assert_eq!(ask(&stranger), Wire::NoBatch(stranger.digest()));
}

/// Small blocks in quick succession would cost a busy network more than what is in them.
#[test]
fn after_a_block_of_many_transactions_the_next_one_waits() {
    let mut running = start(1);
    let begun = Instant::now();
    let members = (0..64).map(|nonce| running.transfer(nonce)).collect();
    running.events.send(Event::Transactions(members)).unwrap();
    running.wait_for(Height(1));
    running.pay(100);
    running.wait_for(Height(2));
    assert!(begun.elapsed() >= Duration::from_millis(pace::PAUSE_MS));
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());
}

/// Transactions of an account that does not exist are void: who fills blocks with them is passed
/// over.
#[test]
fn an_author_of_void_transactions_is_passed_over() {
    let mut running = start(1);
    let members = (0..65).map(|nonce| running.transfer_of("nobody@aclb", nonce)).collect();
    let batch = Batch::seal(&running.chain_hash, &KeyPair::demo("validator_0"), 1, members);
    let from = KeyPair::demo("validator_1").public_key();
    running.events.send(Event::Batch { from, batch: Arc::new(batch) }).unwrap();
    running.wait_for(Height(1));
    // The next block is made only after the first one was counted.
    running.pay(1);
    running.wait_for(Height(2));
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());
    assert_eq!(running.board.passed_over(), 1);
}
