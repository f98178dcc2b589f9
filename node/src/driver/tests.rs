//! The driver on the in-memory store, alone on its network or among peers that the test plays.

use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, unbounded};
use tokio::sync::watch;
use tonle_consensus::Message;
use tonle_model::batch::Batch;
use tonle_model::bounded::Bounded;
use tonle_model::genesis::Genesis;
use tonle_model::hash::Digest256;
use tonle_model::instruction::Instruction;
use tonle_model::number::{Height, View};
use tonle_model::transaction::{Payload, Step};
use tonle_model::validators::{Validator, ValidatorSet};
use tonle_model::vote::{Ballot, Justification, Vote, VoteKind};
use tonle_wsv::chain::{ChainReader, EvidenceRow, MemoryMark, OnLoss, Statements};
use tonle_wsv::memory::MemoryStore;

use super::*;
use crate::assembly::Assembly;
use crate::clock::SystemClock;
use crate::open::Opened;
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
    chain: ChainReader,
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
    start_on(validators, Arc::default(), MemoryMark::default())
}

fn start_on(validators: usize, chain_store: Arc<MemoryStore>, mark: MemoryMark) -> Running {
    let genesis = genesis(validators);
    let chain_hash = genesis.chain();
    let key = KeyPair::demo("validator_0");
    let log = ChainLog::open(chain_store.clone(), Box::new(mark), &chain_hash, OnLoss::Refuse);
    let opened = Opened::new(genesis, key, log.unwrap(), Arc::new(MemoryStore::new())).unwrap();
    let chain = opened.chain.reader();
    let world = opened.world.reader();
    let (assembly, inbox) = Assembly::new(&opened, Arc::new(SystemClock::default()));
    let (sender, left) = unbounded();
    let (committed_sender, committed) = watch::channel(Height(0));
    let outbox = Box::new(TestOutbox(sender));
    let (driver, executor) = assembly.core(opened, outbox, committed_sender, false).unwrap();
    executor.start().unwrap();
    let (events, board) = (assembly.events, assembly.board);
    let thread = std::thread::spawn(move || driver.run(&inbox));
    Running { events, left, thread, world, chain_hash, chain, chain_store, committed, board }
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

impl Running {
    fn hear(&self, message: Message) {
        let from = KeyPair::demo("validator_1").public_key();
        let wire = Box::new(Wire::Consensus(Box::new(message)));
        self.events.send(Event::Message { from, wire }).unwrap();
    }

    /// The evidence that is kept once all that was sent is worked off.
    fn evidence(self) -> Vec<EvidenceRow> {
        let nothing = BatchRequest { digest: BatchDigest::default(), decided: None };
        self.answer(Wire::GetBatches(Bounded::new(vec![nothing]).unwrap()));
        let kept = self.chain.evidence(None, 9).unwrap();
        self.events.send(Event::Shutdown).unwrap();
        assert!(self.thread.join().unwrap().is_ok());
        kept
    }
}

fn block(byte: u8) -> BlockHash {
    BlockHash(Digest256([byte; 32]))
}

#[test]
fn two_contradicting_votes_are_kept_once_for_anyone_to_check() {
    let (store, mark) = (Arc::<MemoryStore>::default(), MemoryMark::default());
    let kinds = [1, 2].map(|byte| VoteKind::Notarize { block: block(byte) });
    let key = KeyPair::demo("validator_1");
    let mut kept = Vec::new();
    // After the restart it is found again, the other way round.
    for kinds in [[kinds[0], kinds[1]], [kinds[1], kinds[0]]] {
        let running = start_on(4, store.clone(), mark.clone());
        let signer = running.world.validators().index_of(&key.public_key()).unwrap();
        for kind in kinds {
            let ballot = Ballot { height: Height(1), view: View(3), kind };
            running.hear(Message::Vote(Vote::sign(ballot, &running.chain_hash, signer, &key)));
        }
        let board = running.board.clone();
        kept.push((running.chain_hash, running.evidence()));
        assert_eq!(board.evidence(), 1);
    }
    let (chain_hash, rows) = &kept[0];
    assert_eq!(kept[1].1, *rows, "not written twice");
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.height, row.view, row.validator), (Height(1), View(3), key.public_key()));
    let Statements::Votes(votes) = row.statements else { panic!("{row:?}") };
    for (vote, kind) in votes.iter().zip(kinds) {
        assert_eq!(vote.said, kind);
        let hash = Ballot { height: row.height, view: row.view, kind }.signing_hash(chain_hash);
        assert!(Verifier::new().verify(&row.validator, hash.as_ref(), &vote.signature));
    }
}

#[test]
fn two_proposals_of_a_leader_are_kept_by_their_blocks() {
    let running = start(4);
    let leader = running.world.marks().leader(Height(1), View(0), 4);
    let leader = running.world.validators().get(leader).unwrap().public_key;
    let keys = (1..4).map(|number| KeyPair::demo(&format!("validator_{number}")));
    let key = keys.into_iter().find(|key| key.public_key() == leader).expect("another one leads");
    let (height, view, chain_hash) = (Height(1), View(0), running.chain_hash);
    let hash_of = |block: &BlockHash| Proposal::signing_hash(&chain_hash, height, view, block);
    let blocks = [1, 2].map(|timestamp_ms| {
        let header = Header { height, ..Header::genesis(chain_hash, timestamp_ms) };
        let block = header.hash();
        let signature = key.sign(hash_of(&block).as_ref());
        let justification = Justification::default();
        let proposal = Proposal { height, view, header, justification, signature };
        running.hear(Message::Proposal(proposal));
        block
    });
    let rows = running.evidence();
    let [row] = &rows[..] else { panic!("{rows:?}") };
    assert_eq!((row.height, row.view, row.validator), (height, view, leader));
    let Statements::Proposals(proposals) = row.statements else { panic!("{row:?}") };
    for (proposal, block) in proposals.iter().zip(&blocks) {
        assert_eq!(proposal.said, *block);
        let hash = hash_of(block);
        assert!(Verifier::new().verify(&leader, hash.as_ref(), &proposal.signature));
    }
}
