//! The driver on the in-memory store, alone on its network or among peers that the test plays.

use std::thread::JoinHandle;
use std::time::Instant;

use crossbeam_channel::{Receiver, unbounded};
use tokio::sync::watch;
use tonle_client::api::TransactionStatus;
use tonle_consensus::Message;
use tonle_model::batch::Batch;
use tonle_model::bounded::Bounded;
use tonle_model::genesis::Genesis;
use tonle_model::hash::Digest256;
use tonle_model::instruction::Instruction;
use tonle_model::limits;
use tonle_model::number::{Height, View};
use tonle_model::transaction::{Payload, Step};
use tonle_model::validators::{Validator, ValidatorSet};
use tonle_model::vote::{Ballot, Certificate, Justification, Vote, VoteKind};
use tonle_wsv::chain::{ChainReader, ChainWrite, EvidenceRow, MemoryMark, OnLoss, Statements};
use tonle_wsv::memory::MemoryStore;

use super::*;
use crate::assembly::Assembly;
use crate::clock::SystemClock;
use crate::open::Opened;
use crate::tracker::Tracker;
use crate::verify_pool::{Checker, VerifyPool};
use crate::wire::{BatchRequest, RawBytes};

const PATIENCE: Duration = Duration::from_secs(20);

/// What left the driver.
#[derive(Debug)]
enum Left {
    Sent(PublicKey, Wire),
    Broadcast(Wire),
    Announced,
    Blamed(PublicKey),
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

    fn blame(&self, peer: &PublicKey) {
        self.note(Left::Blamed(*peer));
    }
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
    tracker: Arc<Tracker>,
    verify: VerifyPool,
    checker: Checker,
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
    start_as(validators, chain_store, mark, None)
}

fn start_as(
    validators: usize,
    chain_store: Arc<MemoryStore>,
    mark: MemoryMark,
    vouched: Option<Height>,
) -> Running {
    start_from(genesis(validators), chain_store, mark, vouched)
}

fn start_from(
    genesis: Genesis,
    chain_store: Arc<MemoryStore>,
    mark: MemoryMark,
    vouched: Option<Height>,
) -> Running {
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
    let core = assembly.core(opened, outbox, committed_sender, vouched);
    let (driver, executor) = core.unwrap();
    executor.start().unwrap();
    let Assembly { events, board, tracker, verify, checker, .. } = assembly;
    let thread = std::thread::spawn(move || driver.run(&inbox));
    Running {
        events,
        left,
        thread,
        world,
        chain_hash,
        chain,
        chain_store,
        committed,
        board,
        tracker,
        verify,
        checker,
    }
}

impl Running {
    fn pay(&self, nonce: u64) {
        self.events.send(Event::Transactions(vec![self.transfer(nonce)])).unwrap();
    }

    fn transfer(&self, nonce: u64) -> Verified<SignedTransaction> {
        self.transfer_of("sok@aclb", nonce)
    }

    fn transfer_of(&self, payer: &str, nonce: u64) -> Verified<SignedTransaction> {
        let now_ms = SystemClock::default().now_ms();
        self.transfer_within(payer, nonce, (now_ms, now_ms + 60_000))
    }

    fn transfer_within(
        &self,
        payer: &str,
        nonce: u64,
        (created_ms, expires_ms): (u64, u64),
    ) -> Verified<SignedTransaction> {
        let transfer = Instruction::Transfer {
            asset: "khr#nbc".parse().unwrap(),
            from: None,
            to: "dara@wing".parse().unwrap(),
            amount: "1".parse().unwrap(),
            memo: "".parse().unwrap(),
            invoice: None,
        };
        let step = Step { authority: payer.parse().unwrap(), instruction: transfer };
        let payload = Payload {
            chain: self.chain_hash,
            created_ms,
            expires_ms,
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

    /// Waits until all that was sent is worked off.
    fn finish(&self) {
        let nothing = BatchRequest { digest: BatchDigest::default(), decided: None };
        self.answer(Wire::GetBatches(Bounded::new(vec![nothing]).unwrap()));
    }

    /// Waits until the board shows it too: it is told last in a turn.
    fn report(&self) {
        self.finish();
        self.finish();
    }

    /// Has a worker look at what a peer sent as a batch.
    fn check(&mut self, bytes: Bytes) {
        let from = KeyPair::demo("validator_1").public_key();
        assert_eq!(self.verify.batch(from, bytes), Ok(()));
        assert!(self.checker.work_one());
    }
}

/// A copy with a wrong signature: whoever checks it blames the sender.
fn forged(batch: &Batch) -> Bytes {
    let mut bytes = batch.bytes().to_vec();
    *bytes.last_mut().unwrap() ^= 1;
    bytes.into()
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
        let Wire::Batch(RawBytes(bytes)) = running.answer(question) else { panic!("a batch") };
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

/// A clock that is minutes behind block time keeps no payment from its block, nor loses it.
#[test]
fn what_a_clock_far_behind_lets_in_is_decided() {
    let mut genesis = genesis(1);
    genesis.created_ms = SystemClock::default().now_ms() + 100 * limits::DRIFT_MS;
    let now_ms = genesis.created_ms + 1;
    let mut running = start_from(genesis, Arc::default(), MemoryMark::default(), None);
    let payment = running.transfer_within("sok@aclb", 1, (now_ms, now_ms + 60_000));
    let local_ms = SystemClock::default().now_ms();
    assert!(running.world.admit(&payment, local_ms).is_ok(), "the gate lets it in");
    running.events.send(Event::Transactions(vec![payment])).unwrap();
    running.wait_for(Height(1));
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());
}

impl Running {
    /// The first leader of four.
    fn leader(&self) -> KeyPair {
        let leader = self.world.marks().leader(Height(1), View(0), 4);
        let leader = self.world.validators().get(leader).unwrap().public_key;
        let mut keys = (1..4).map(|number| KeyPair::demo(&format!("validator_{number}")));
        keys.find(|key| key.public_key() == leader).expect("another one leads")
    }

    fn hear(&self, message: Message) {
        let from = KeyPair::demo("validator_1").public_key();
        let wire = Box::new(Wire::Consensus(Box::new(message)));
        self.events.send(Event::Message { from, wire }).unwrap();
    }

    /// The evidence that is kept once all that was sent is worked off.
    fn evidence(self) -> Vec<EvidenceRow> {
        self.finish();
        let kept = self.chain.evidence(None, 9).unwrap();
        self.events.send(Event::Shutdown).unwrap();
        assert!(self.thread.join().unwrap().is_ok());
        kept
    }
}

fn block(byte: u8) -> BlockHash {
    BlockHash(Digest256([byte; 32]))
}

/// Whoever comes back with an old disk asks for its latest vote, also those who were restarted
/// themselves meanwhile.
#[test]
fn a_vote_that_was_seen_is_told_to_its_signer_after_a_restart() {
    let (store, mark) = (Arc::<MemoryStore>::default(), MemoryMark::default());
    let key = KeyPair::demo("validator_1");
    let running = start_on(4, store.clone(), mark.clone());
    let signer = running.world.validators().index_of(&key.public_key()).unwrap();
    let ballot = Ballot { height: Height(1), view: View(3), kind: VoteKind::Nullify };
    let vote = Vote::sign(ballot, &running.chain_hash, signer, &key);
    running.hear(Message::Vote(vote));
    // A batch is written for its own sake.
    running.pay(1);
    while !matches!(
        running.left.recv_timeout(PATIENCE).expect("the batch"),
        Left::Broadcast(Wire::Batch(_))
    ) {}
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());

    let running = start_on(4, store, mark);
    running.events.send(Event::Connected(key.public_key())).unwrap();
    let latest = loop {
        if let Left::Sent(_, Wire::Consensus(message)) =
            running.left.recv_timeout(PATIENCE).unwrap()
            && let Message::Status(status) = *message
        {
            break status.latest_of_receiver;
        }
    };
    assert_eq!(latest, Some(vote));
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());
}

/// What is on disk is queued still, whoever asks after a restart; a client that heard otherwise
/// would pay again elsewhere, and copies would be checked for nothing.
#[test]
fn what_was_taken_in_is_queued_after_a_restart_and_not_checked_again() {
    let (store, mark) = (Arc::<MemoryStore>::default(), MemoryMark::default());
    let running = start_on(4, store.clone(), mark.clone());
    let [own, other] = [1, 2].map(|nonce| running.transfer(nonce));
    running.events.send(Event::Transactions(vec![own.clone()])).unwrap();
    let key = KeyPair::demo("validator_1");
    let batch = Batch::seal(&running.chain_hash, &key, 1, vec![other.clone()]).into_inner();
    let held = Arc::new(Verified::vouch(batch.clone()));
    running.events.send(Event::Batch { from: key.public_key(), batch: held }).unwrap();
    let request = BatchRequest { digest: batch.digest(), decided: None };
    let question = Wire::GetBatches(Bounded::new(vec![request]).unwrap());
    assert!(matches!(running.answer(question), Wire::Batch(_)), "it is kept");
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());

    let mut running = start_on(4, store, mark);
    assert_eq!(running.tracker.status(&own.hash()), Some(TransactionStatus::Queued));
    assert_eq!(running.tracker.status(&other.hash()), None, "another node's client sent it");
    running.check(forged(&batch));
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());
    assert_eq!(running.board.bad_batches(), 0);
}

/// What block time has passed can be in no block any more, whoever still holds it.
#[test]
fn what_has_expired_is_not_queued_after_a_restart() {
    let (store, mark) = (Arc::<MemoryStore>::default(), MemoryMark::default());
    let running = start_on(4, store.clone(), mark.clone());
    let expired = running.transfer_within("sok@aclb", 1, (1, 2));
    running.events.send(Event::Transactions(vec![expired.clone()])).unwrap();
    running.report();
    assert!(running.board.own_bytes() > 0);
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());

    let running = start_on(4, store, mark);
    assert_eq!(running.tracker.status(&expired.hash()), Some(TransactionStatus::Expired));
    running.report();
    assert_eq!(running.board.own_bytes(), 0, "nor does it shut the gate");
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());
}

/// Everyone has the batches of old blocks, and could fill another validator's share with them.
#[test]
fn a_batch_that_expired_long_ago_is_not_taken_in_again() {
    let running = start(4);
    let key = KeyPair::demo("validator_1");
    for (expires_ms, kept) in [(2, false), (SystemClock::default().now_ms() + 60_000, true)] {
        let member = running.transfer_within("sok@aclb", 1, (1, expires_ms));
        let batch = Arc::new(Batch::seal(&running.chain_hash, &key, expires_ms, vec![member]));
        let request = BatchRequest { digest: batch.digest(), decided: None };
        running.events.send(Event::Batch { from: key.public_key(), batch }).unwrap();
        let answer = running.answer(Wire::GetBatches(Bounded::new(vec![request]).unwrap()));
        assert_eq!(matches!(answer, Wire::Batch(_)), kept, "{answer:?}");
    }
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());
}

#[test]
fn copies_of_what_was_decided_before_a_restart_are_not_checked() {
    let (store, mark) = (Arc::<MemoryStore>::default(), MemoryMark::default());
    let mut running = start_on(1, store.clone(), mark.clone());
    running.settle_one();
    let block = running.world.committed().block;
    let Wire::Header(header) = running.answer(Wire::GetHeader(block)) else { panic!("a header") };
    let request = BatchRequest { digest: header.batches[0].digest, decided: None };
    let question = Wire::GetBatches(Bounded::new(vec![request]).unwrap());
    let Wire::Batch(RawBytes(bytes)) = running.answer(question) else { panic!("a batch") };
    let batch = Batch::decode(&running.chain_hash, bytes).unwrap();
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());

    let mut running = start_on(1, store, mark);
    running.check(forged(&batch));
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());
    assert_eq!(running.board.bad_batches(), 0);
}

/// What is wrong with the log is found before the operator is heard, and no reason any more then.
#[test]
fn a_validator_that_an_operator_vouches_for_votes_and_says_nothing_else() {
    for vouched in [None, Some(Height(0))] {
        let (store, mark) = (Arc::<MemoryStore>::default(), MemoryMark::default());
        let (chain, own_mark) = (genesis(1).chain(), Box::new(mark.clone()));
        let mut log = ChainLog::open(store.clone(), own_mark, &chain, OnLoss::Refuse).unwrap();
        let records = vec![(Height(1), vec![u8::MAX])];
        log.append(ChainWrite { records, ..ChainWrite::default() }).unwrap();
        let mut running = start_as(1, store, mark, vouched);
        match vouched {
            Some(_) => running.settle_one(),
            None => running.finish(),
        }
        let board = running.board.clone();
        assert_eq!((board.is_observer(), board.is_recovering()), (vouched.is_none(), false));
        running.events.send(Event::Shutdown).unwrap();
        assert!(running.thread.join().unwrap().is_ok());
    }
}

#[test]
fn a_batch_of_a_stranger_is_checked_only_once_a_header_names_it() {
    let mut running = start(4);
    let (key, chain_hash) = (KeyPair::demo("stranger"), running.chain_hash);
    let batch = Batch::seal(&chain_hash, &key, 1, vec![running.transfer(7)]);
    running.finish();
    running.check(forged(&batch));
    let (height, view, committed) = (Height(1), View(0), running.world.committed());
    let proposer = running.world.marks().leader(height, view, 4);
    let header = Header {
        height,
        parent: committed.block,
        parent_result: committed.result.hash(),
        proposer,
        batches: Bounded::new(vec![batch.reference()]).unwrap(),
        ..Header::genesis(chain_hash, SystemClock::default().now_ms())
    };
    let hash = Proposal::signing_hash(&chain_hash, height, view, &header.hash());
    let signature = running.leader().sign(hash.as_ref());
    let justification = Justification::default();
    running.hear(Message::Proposal(Proposal { height, view, header, justification, signature }));
    running.finish();
    running.check(forged(&batch));
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());
    assert_eq!(running.board.bad_batches(), 1);
}

#[test]
fn batches_of_an_author_without_room_are_neither_checked_nor_asked_for() {
    let mut running = start(4);
    let [full, other] = ["validator_1", "validator_2"].map(KeyPair::demo);
    let (from, chain_hash) = (full.public_key(), running.chain_hash);
    let count = (limits::BATCH_BYTES_MAX - 256) / running.transfer(0).bytes().len();
    let members: Vec<_> = (0..count as u64).map(|nonce| running.transfer(nonce)).collect();
    let seal = |key: &KeyPair, seq| Batch::seal(&chain_hash, key, seq, members.clone());
    let fits = (limits::AUTHOR_UNDECIDED_BYTES_MAX / seal(&full, 0).bytes().len()) as u64;
    for seq in 0..fits {
        let batch = Arc::new(seal(&full, seq));
        running.events.send(Event::Batch { from, batch }).unwrap();
    }
    running.finish();
    let too_many = [&full, &other].map(|key| seal(key, fits));
    too_many.iter().for_each(|batch| running.check(forged(batch)));
    running.events.send(Event::Connected(from)).unwrap();
    for batch in &too_many {
        let (reference, signature) = (batch.reference(), *batch.signature());
        let announcement = Announcement { reference, signature };
        running.events.send(Event::Announced { from, announcement }).unwrap();
    }
    let asked: Vec<BatchDigest> = loop {
        if let Left::Sent(_, Wire::GetBatches(list)) =
            running.left.recv_timeout(PATIENCE).expect("a request")
        {
            break list.iter().map(|request| request.digest).collect();
        }
    };
    assert_eq!(asked, [too_many[1].digest()]);
    running.events.send(Event::Shutdown).unwrap();
    assert!(running.thread.join().unwrap().is_ok());
    assert_eq!(running.board.bad_batches(), 1, "of the other author");
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
    let key = running.leader();
    let leader = key.public_key();
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

/// A certificate of block 1 by validators 1 to 3 of four.
fn certificate(running: &Running, kind: VoteKind) -> Certificate {
    let ballot = Ballot { height: Height(1), view: View(0), kind };
    let votes = (1..4).map(|number| {
        let key = KeyPair::demo(&format!("validator_{number}"));
        let signer = running.world.validators().index_of(&key.public_key()).unwrap();
        (signer, Vote::sign(ballot, &running.chain_hash, signer, &key).signature)
    });
    let mut votes: Vec<_> = votes.collect();
    votes.sort_by_key(|(signer, _)| *signer);
    Certificate::assemble(ballot, &votes, 4)
}

#[test]
fn a_block_that_only_looks_final_is_not_taken_and_its_sender_is_cut_off() {
    let running = start(4);
    let (from, chain_hash) = (KeyPair::demo("validator_1").public_key(), running.chain_hash);
    running.events.send(Event::Connected(from)).unwrap();
    let batch =
        Batch::seal(&chain_hash, &KeyPair::demo("validator_1"), 1, vec![running.transfer(7)]);
    let header = Header {
        height: Height(1),
        parent: running.world.committed().block,
        batches: Bounded::new(vec![batch.reference()]).unwrap(),
        ..Header::genesis(chain_hash, SystemClock::default().now_ms())
    };
    let finalize = |block| VoteKind::Finalize { block, result: ResultHash::default() };
    let honest = certificate(&running, finalize(header.hash()));
    let mut forged = honest.clone();
    forged.signatures = Bounded::new(vec![forged.signatures[0]; 3]).unwrap();
    let mut too_few = honest.clone();
    too_few.signatures = Bounded::new(too_few.signatures[..2].to_vec()).unwrap();
    let lies = [
        forged,
        too_few,
        certificate(&running, finalize(block(1))),
        certificate(&running, VoteKind::Notarize { block: header.hash() }),
        certificate(&running, VoteKind::Nullify),
    ];
    let sent_for = |finalization: Certificate| {
        let blocks = Bounded::new(vec![(header.clone(), finalization)]).unwrap();
        let wire = Box::new(Wire::Blocks { from: Height(1), blocks });
        running.events.send(Event::Message { from, wire }).unwrap();
        let left = || running.left.recv_timeout(PATIENCE).expect("something comes of it");
        loop {
            match left() {
                Left::Blamed(peer) => break Err(peer),
                Left::Sent(_, Wire::GetBatches(list)) => break Ok(list[0].digest),
                _ => {}
            }
        }
    };
    for lie in lies {
        let kind = lie.ballot.kind;
        assert_eq!(sent_for(lie), Err(from), "{kind:?}");
    }
    assert_eq!(sent_for(honest), Ok(batch.digest()), "what is final is fetched");
    assert_eq!(running.world.committed().height, Height(0));
}
