//! Tests of the chain database.

use std::path::Path;
use std::sync::Arc;

use tonle_model::batch::Batch;
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::hash::{BatchDigest, BlockHash, ChainHash, Digest256, ResultHash};
use tonle_model::key::{PublicKey, Signature};
use tonle_model::number::{Height, ValidatorIndex};
use tonle_model::verified::Verified;
use tonle_model::vote::{Ballot, Certificate};

use super::*;
use crate::memory::MemoryStore;
use crate::store::{Database, RocksStore, Store};
use crate::testing::{Net, batch, finalization, genesis};

fn chain() -> ChainHash {
    genesis().chain()
}

/// Batches that differ.
fn batches(count: u64) -> Vec<Arc<Verified<Batch>>> {
    let member = Net::new().pay("sok@aclb", "dara@aclb", "khr#nbc", "1").signed();
    (0..count).map(|seq| batch(&chain(), seq, vec![member.clone()])).collect()
}

fn block(
    height: u64,
    parent: BlockHash,
    batches: &[Arc<Verified<Batch>>],
) -> (Header, Certificate) {
    let mut header = Header::genesis(chain(), height * 1_000);
    header.height = Height(height);
    header.parent = parent;
    let references = batches.iter().map(|batch| batch.reference()).collect();
    header.batches = Bounded::new(references).unwrap();
    let certificate = finalization(&header, ResultHash::default());
    (header, certificate)
}

struct Disk {
    store: Arc<MemoryStore>,
    mark: MemoryMark,
}

impl Disk {
    fn new() -> Self {
        Self { store: Arc::new(MemoryStore::new()), mark: MemoryMark::default() }
    }

    fn open(&self) -> ChainLog {
        self.try_open(OnLoss::Refuse).unwrap()
    }

    fn try_open(&self, on_loss: OnLoss) -> Result<ChainLog, ChainOpenError> {
        ChainLog::open(self.store.clone(), Box::new(self.mark.clone()), &chain(), on_loss)
    }
}

fn hold(log: &mut ChainLog, batches: &[Arc<Verified<Batch>>]) {
    log.append(ChainWrite { batches: batches.to_vec(), ..Default::default() }).unwrap();
}

/// Decides blocks of no batches up to a height.
fn decide_empty(log: &mut ChainLog, until: u64) {
    let mut parent = BlockHash::default();
    for height in 1..=until {
        let decided = block(height, parent, &[]);
        parent = decided.0.hash();
        log.append(ChainWrite { committed: vec![decided], ..Default::default() }).unwrap();
    }
}

#[test]
fn what_was_appended_is_there_after_a_crash() {
    let disk = Disk::new();
    let mut log = disk.open();
    let held = batches(3);
    let decided = block(1, BlockHash::default(), &held[..2]);
    log.append(ChainWrite {
        records: vec![(Height(1), b"vote".to_vec()), (Height(1), b"header".to_vec())],
        batches: held.clone(),
        ..Default::default()
    })
    .unwrap();
    log.append(ChainWrite {
        records: vec![(Height(1), b"certificate".to_vec()), (Height(2), b"early".to_vec())],
        committed: vec![decided.clone()],
        ..Default::default()
    })
    .unwrap();
    for seed in 0..3 {
        disk.store.crash(seed);
        let log = disk.open();
        let reader = log.reader();
        let records: Vec<Vec<u8>> =
            [&b"vote"[..], b"header", b"certificate"].map(<[u8]>::to_vec).to_vec();
        assert_eq!(log.records(Height(1)).unwrap(), records);
        assert_eq!(log.records(Height(2)).unwrap(), [b"early".to_vec()]);
        assert_eq!(reader.last_height(), Height(1));
        let record = reader.block(Height(1)).unwrap().unwrap();
        assert_eq!((record.header, record.finalization), decided.clone());
        assert_eq!(reader.height_of(&decided.0.hash()).unwrap(), Some(Height(1)));
        assert_eq!(reader.undecided(), [held[2].digest()]);
        assert!(reader.is_undecided(&held[2].digest()) && !reader.is_undecided(&held[0].digest()));
        let bytes = held.iter().map(|batch| batch.bytes().clone()).collect::<Vec<_>>();
        assert_eq!(reader.batches_of(Height(1)).unwrap().unwrap(), bytes[..2]);
        assert_eq!(reader.batch_at(Height(1), 1).unwrap(), Some(bytes[1].clone()));
        assert_eq!(reader.batch_at(Height(1), 2).unwrap(), None);
        // Undecided, and decided lately: both are found by digest.
        for (batch, bytes) in held.iter().zip(&bytes) {
            assert_eq!(reader.batch(&batch.digest()).unwrap(), Some(bytes.clone()));
        }
    }
}

#[test]
fn records_keep_their_order_across_restarts() {
    let disk = Disk::new();
    for number in 0..5u8 {
        let mut log = disk.open();
        let records = vec![(Height(1), vec![number])];
        log.append(ChainWrite { records, ..Default::default() }).unwrap();
    }
    let records = disk.open().records(Height(1)).unwrap();
    assert_eq!(records, (0..5u8).map(|number| vec![number]).collect::<Vec<_>>());
}

#[test]
fn records_of_heights_long_decided_are_dropped() {
    let disk = Disk::new();
    let mut log = disk.open();
    let records = (1..=40).map(|height| (Height(height), vec![1])).collect();
    log.append(ChainWrite { records, ..Default::default() }).unwrap();
    decide_empty(&mut log, 40);
    let kept = |log: &ChainLog, height| log.records(Height(height)).unwrap().len();
    assert_eq!(kept(&log, 1), 0);
    for height in 40 - RECORD_HEIGHTS_KEPT..=40 {
        assert_eq!(kept(&log, height), 1, "{height}");
    }
}

#[test]
fn a_block_is_decided_only_with_its_batches_and_after_its_parent() {
    let disk = Disk::new();
    let mut log = disk.open();
    let held = batches(2);
    hold(&mut log, &held[..1]);
    let first = block(1, BlockHash::default(), &held);
    let write = |committed| ChainWrite { committed, ..Default::default() };
    let missing = log.append(write(vec![first.clone()])).unwrap_err();
    assert!(matches!(missing, ChainError::Missing(digest) if digest == held[1].digest()));
    assert_eq!(log.reader().last_height(), Height(0), "nothing was written");
    let with_batch = ChainWrite {
        batches: held[1..].to_vec(),
        committed: vec![first.clone(), block(2, first.0.hash(), &[])],
        ..Default::default()
    };
    log.append(with_batch).unwrap();
    assert_eq!(log.reader().last_height(), Height(2));
    let second = log.reader().block(Height(2)).unwrap().unwrap().header.hash();
    let mut other_certificate = block(3, second, &[]);
    other_certificate.1 = first.1.clone();
    for bad in [
        block(4, second, &[]),
        block(2, first.0.hash(), &[]),
        block(3, first.0.hash(), &[]),
        other_certificate,
    ] {
        let refused = log.append(write(vec![bad])).unwrap_err();
        assert!(matches!(refused, ChainError::Invalid(_)), "{refused}");
    }
    log.append(write(vec![block(3, second, &[])])).unwrap();
}

#[test]
fn a_batch_is_stored_once_and_forgotten_on_request() {
    let disk = Disk::new();
    let mut log = disk.open();
    let held = batches(3);
    hold(&mut log, &[held[0].clone(), held[1].clone(), held[0].clone()]);
    hold(&mut log, &held);
    let digests: Vec<_> = held.iter().map(|batch| batch.digest()).collect();
    assert_eq!(log.reader().undecided(), digests);
    let decided = block(1, BlockHash::default(), &held[2..]);
    log.append(ChainWrite { committed: vec![decided], ..Default::default() }).unwrap();
    // A decided batch is part of the chain and stays.
    log.forget(&[digests[1], digests[2], BatchDigest(Digest256::default())]).unwrap();
    let reader = log.reader();
    assert_eq!(reader.undecided(), digests[..1]);
    assert!(!reader.has_batch(&digests[1]));
    assert_eq!(reader.batch(&digests[1]).unwrap(), None);
    assert!(reader.batch_at(Height(1), 0).unwrap().is_some());
    let reader = disk.open().reader();
    assert_eq!(reader.undecided(), digests[..1]);
    assert!(!reader.has_batch(&digests[1]));
}

#[test]
fn undecided_batches_are_found_again_whatever_was_decided_before_them() {
    let disk = Disk::new();
    let mut log = disk.open();
    let held = batches(6);
    hold(&mut log, &held);
    let first = block(1, BlockHash::default(), &[held[3].clone(), held[0].clone()]);
    let second = block(2, first.0.hash(), &[held[1].clone()]);
    log.append(ChainWrite { committed: vec![first, second], ..Default::default() }).unwrap();
    let undecided = [&held[2], &held[4], &held[5]].map(|batch| batch.digest());
    assert_eq!(disk.open().reader().undecided(), undecided);
    let mut log = disk.open();
    hold(&mut log, &held);
    assert_eq!(log.reader().undecided(), undecided, "decided ones are not held anew");
}

#[test]
fn undecided_batches_are_bounded() {
    let disk = Disk::new();
    let mut log = disk.open();
    let held = batches(UNDECIDED_BATCHES_MAX as u64 + 1);
    hold(&mut log, &held[1..]);
    let full = log.append(ChainWrite { batches: held[..1].to_vec(), ..Default::default() });
    assert!(matches!(full, Err(ChainError::Invalid(_))));
    assert_eq!(log.reader().undecided().len(), UNDECIDED_BATCHES_MAX);
}

#[test]
fn decided_batches_are_found_by_digest_for_a_while_and_by_place_for_ever() {
    let disk = Disk::new();
    let mut log = disk.open();
    let held = batches(DECIDED_BATCHES_KEPT as u64 + 1);
    let mut parent = BlockHash::default();
    for (height, batch) in (1..).zip(&held) {
        let batches = vec![batch.clone()];
        let decided = block(height, parent, &batches);
        parent = decided.0.hash();
        log.append(ChainWrite { batches, committed: vec![decided], ..Default::default() }).unwrap();
    }
    for reader in [log.reader(), disk.open().reader()] {
        assert!(!reader.has_batch(&held[0].digest()));
        assert!(held[1..].iter().all(|batch| reader.has_batch(&batch.digest())));
        assert_eq!(reader.batch_at(Height(1), 0).unwrap().as_ref(), Some(held[0].bytes()));
    }
}

#[test]
fn a_write_of_nothing_costs_nothing() {
    let disk = Disk::new();
    let mut log = disk.open();
    disk.store.break_writes();
    let held = ChainWrite::default();
    log.append(held).unwrap();
}

#[test]
fn a_write_that_fails_changes_nothing() {
    let disk = Disk::new();
    let mut log = disk.open();
    disk.store.break_writes();
    let failed = log.append(ChainWrite { batches: batches(1), ..Default::default() });
    assert!(matches!(failed, Err(ChainError::Fatal(_))));
    assert_eq!(log.reader().undecided(), []);
}

#[test]
fn a_database_of_another_network_is_refused() {
    let disk = Disk::new();
    drop(disk.open());
    let other = ChainHash::default();
    let opened =
        ChainLog::open(disk.store.clone(), Box::new(disk.mark.clone()), &other, OnLoss::Refuse);
    assert!(matches!(opened, Err(ChainOpenError::OtherNetwork { .. })));
}

#[test]
fn a_lost_log_is_noticed_and_stays_known_as_lost() {
    let disk = Disk::new();
    hold(&mut disk.open(), &batches(1));
    // The disk comes back empty; the mark does not.
    let disk = Disk { store: Arc::new(MemoryStore::new()), mark: disk.mark };
    let refused = disk.try_open(OnLoss::Refuse);
    assert!(matches!(refused, Err(ChainOpenError::Lost { .. })));
    let mut observer = disk.try_open(OnLoss::Observe).unwrap();
    assert!(!observer.is_whole());
    decide_empty(&mut observer, 5);
    // It has caught up with its mark, and is still no voter.
    let refused = disk.try_open(OnLoss::Refuse);
    assert!(matches!(refused, Err(ChainOpenError::Lost(Loss::Earlier))), "known all the same");
    assert!(disk.try_open(OnLoss::Forgive).unwrap().is_whole());
    assert!(disk.open().is_whole());
}

#[test]
fn a_missing_mark_is_a_loss_too() {
    let disk = Disk::new();
    hold(&mut disk.open(), &batches(1));
    let disk = Disk { store: disk.store, mark: MemoryMark::default() };
    let refused = disk.try_open(OnLoss::Refuse);
    assert!(matches!(refused, Err(ChainOpenError::Lost(Loss::Behind { marked: None, .. }))));
}

#[test]
fn a_state_that_is_ahead_makes_the_log_known_as_lost() {
    let disk = Disk::new();
    let mut log = disk.open();
    let loss = Loss::StateAhead { state: Height(9), chain: Height(3) };
    log.lose(loss).unwrap();
    assert_eq!(log.loss(), Some(loss));
    assert_eq!(disk.try_open(OnLoss::Observe).unwrap().loss(), Some(Loss::Earlier));
}

/// A shortened manifest has RocksDB make the tables anew that it does not know of.
#[test]
fn tables_without_the_last_one_are_damage() {
    let disk = Disk::new();
    let mut changes = Changes::default();
    changes.put(Table::Batches, &rows::number_key(3), b"a batch");
    disk.store.write(&changes, Durability::Synced).unwrap();
    let refused = disk.try_open(OnLoss::Forgive);
    let lacks = StoreError::Row { table: Table::ChainMeta }.to_string();
    assert_eq!(refused.err().map(|error| error.to_string()), Some(lacks));
}

fn seen(signer: u8, height: u64) -> (PublicKey, Vote) {
    let ballot = Ballot { height: Height(height), view: View(0), kind: VoteKind::Nullify };
    let vote = Vote { ballot, signer: ValidatorIndex(0), signature: Signature([signer; 64]) };
    (PublicKey([signer; 32]), vote)
}

fn see(log: &mut ChainLog, seen: Vec<(PublicKey, Vote)>) {
    let records = vec![(Height(1), b"record".to_vec())];
    log.append(ChainWrite { records, seen, ..Default::default() }).unwrap();
}

#[test]
fn votes_seen_are_kept_with_whatever_else_is_written() {
    let disk = Disk::new();
    let mut log = disk.open();
    log.append(ChainWrite { seen: vec![seen(1, 5)], ..Default::default() }).unwrap();
    assert!(log.votes_seen().is_empty(), "no write of its own");
    see(&mut log, vec![seen(1, 5), seen(2, 5)]);
    see(&mut log, vec![seen(1, 6), seen(2, 5)]);
    disk.store.crash(0);
    assert_eq!(*disk.open().votes_seen(), BTreeMap::from([seen(1, 6), seen(2, 5)]));
}

#[test]
fn votes_seen_are_bounded_and_the_oldest_goes() {
    let disk = Disk::new();
    let mut log = disk.open();
    for signer in 1..=VOTES_SEEN_MAX as u8 + 1 {
        see(&mut log, vec![seen(signer, 10 - u64::from(signer))]);
    }
    let kept: Vec<_> = disk.open().votes_seen().keys().map(|key| key.0[0]).collect();
    assert_eq!(kept, [1, 2, 3]);
    see(&mut log, vec![seen(9, 50)]);
    let kept: Vec<_> = disk.open().votes_seen().keys().map(|key| key.0[0]).collect();
    assert_eq!(kept, [1, 2, 9]);
}

/// Evidence against the validator of some number.
fn evidence(height: u64, validator: u8) -> EvidenceRow {
    let vote = |block: u8| Signed {
        said: VoteKind::Notarize { block: BlockHash(Digest256([block; 32])) },
        signature: Signature([block; 64]),
    };
    EvidenceRow {
        height: Height(height),
        view: View(2),
        validator: PublicKey([validator; 32]),
        statements: Statements::Votes([vote(1), vote(2)]),
        seen_ms: height * 1_000,
    }
}

fn keep(log: &mut ChainLog, evidence: &[EvidenceRow]) {
    log.append(ChainWrite { evidence: evidence.to_vec(), ..Default::default() }).unwrap();
}

#[test]
fn evidence_is_there_after_a_crash_the_highest_first() {
    let disk = Disk::new();
    let blocks = [3, 4].map(|byte| BlockHash(Digest256([byte; 32])));
    let proposals = blocks.map(|said| Signed { said, signature: Signature([5; 64]) });
    let proposals = Statements::Proposals(proposals);
    let proposed = EvidenceRow { statements: proposals, ..evidence(7, 2) };
    keep(&mut disk.open(), &[evidence(300, 1), proposed.clone()]);
    keep(&mut disk.open(), &[evidence(7, 1)]);
    for seed in 0..3 {
        disk.store.crash(seed);
        let reader = disk.open().reader();
        let all = [evidence(300, 1), proposed.clone(), evidence(7, 1)];
        assert_eq!(reader.evidence(None, 10).unwrap(), all);
        assert_eq!(reader.evidence(None, 1).unwrap(), all[..1]);
        let mut after = None;
        for row in &all {
            let page = reader.evidence(after.as_ref(), 1).unwrap();
            assert_eq!(&page[..], std::slice::from_ref(row));
            after = Some(row.place());
        }
        assert_eq!(reader.evidence(after.as_ref(), 1).unwrap(), []);
    }
}

#[test]
fn evidence_is_kept_once_per_validator_and_height_and_the_first_stays() {
    let disk = Disk::new();
    let mut log = disk.open();
    let first = evidence(7, 1);
    let again = EvidenceRow { seen_ms: 9, ..first.clone() };
    keep(&mut log, &[first.clone(), again.clone()]);
    disk.store.break_writes();
    keep(&mut log, std::slice::from_ref(&again));
    let mut log = disk.open();
    keep(&mut log, &[again]);
    assert_eq!(log.reader().evidence(None, 10).unwrap(), [first]);
}

#[test]
fn evidence_is_bounded() {
    let disk = Disk::new();
    let mut log = disk.open();
    let count = EVIDENCE_MAX as u64;
    let rows: Vec<_> = (0..count + 1).map(|height| evidence(height, 1)).collect();
    keep(&mut log, &rows);
    keep(&mut log, &[evidence(count + 1, 1)]);
    let mut log = disk.open();
    keep(&mut log, &[evidence(count + 2, 1)]);
    let kept = log.reader().evidence(None, EVIDENCE_MAX + 9).unwrap();
    assert_eq!((kept.len(), kept[0].height), (EVIDENCE_MAX, Height(count - 1)));
}

#[test]
fn evidence_is_told_in_the_order_it_came() {
    let disk = Disk::new();
    keep(&mut disk.open(), &[evidence(5, 1)]);
    let mut log = disk.open();
    let reader = log.reader();
    let before = reader.evidence_count();
    keep(&mut log, &[evidence(9, 1)]);
    keep(&mut log, &[evidence(3, 1), evidence(9, 2)]);
    let came = [evidence(9, 1), evidence(3, 1), evidence(9, 2)];
    assert_eq!(reader.evidence_since(before).unwrap(), came);
    assert_eq!(reader.evidence_since(before + 2).unwrap(), came[2..]);
    assert_eq!(reader.evidence_since(99).unwrap(), []);
    assert_eq!(reader.evidence_count(), before + 3);
}

#[test]
fn places_of_evidence_read_back() {
    let place = evidence(7, 1).place();
    assert_eq!(place.to_string().parse(), Ok(place));
    for bad in ["", ".", "7", "7.", "x.y", &format!("-{place}"), &format!("{place}0")] {
        assert_eq!(bad.parse::<EvidencePlace>(), Err(EvidencePlaceError), "{bad:?}");
    }
}

/// The write-ahead logs of a database that is not open.
fn logs(dir: &Path) -> Vec<std::path::PathBuf> {
    let files = std::fs::read_dir(dir.join("chain")).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "log")).collect()
}

fn rocks(dir: &Path) -> Result<ChainLog, ChainOpenError> {
    rocks_or(dir, OnLoss::Refuse)
}

fn rocks_or(dir: &Path, on_loss: OnLoss) -> Result<ChainLog, ChainOpenError> {
    let mark = Box::new(FileMark::open(dir)?);
    let store = Arc::new(RocksStore::open(&dir.join("chain"), Database::Chain)?);
    ChainLog::open(store, mark, &chain(), on_loss)
}

fn rocks_with_blocks() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    let mut log = rocks(dir.path()).unwrap();
    let held = batches(2);
    hold(&mut log, &held);
    keep(&mut log, &[evidence(7, 1), evidence(300, 2)]);
    decide_empty(&mut log, 50);
    drop(log);
    dir
}

#[test]
fn the_real_database_reopens_as_it_was() {
    let dir = rocks_with_blocks();
    let log = rocks(dir.path()).unwrap();
    assert_eq!(log.reader().last_height(), Height(50));
    assert_eq!(log.reader().undecided().len(), 2);
    assert_eq!(log.reader().evidence(None, 9).unwrap(), [evidence(300, 2), evidence(7, 1)]);
    assert!(log.records(Height(1)).unwrap().is_empty());
}

#[test]
fn damage_in_the_middle_of_the_log_refuses_to_open() {
    let dir = rocks_with_blocks();
    let log = logs(dir.path()).pop().unwrap();
    let mut bytes = std::fs::read(&log).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&log, bytes).unwrap();
    let refused = rocks(dir.path());
    assert!(matches!(refused, Err(ChainOpenError::Fatal(_))));
}

/// The bit makes it the type of a reused log, of which RocksDB reads the same record for ever.
#[test]
fn a_log_that_would_be_read_for_ever_is_refused() {
    let dir = rocks_with_blocks();
    let log = logs(dir.path()).pop().unwrap();
    let mut bytes = std::fs::read(&log).unwrap();
    let second = 7 + usize::from(u16::from_le_bytes([bytes[4], bytes[5]]));
    bytes[second + 6] ^= 4;
    std::fs::write(&log, bytes).unwrap();
    let Err(ChainOpenError::Fatal(error)) = rocks(dir.path()) else { panic!("opened") };
    assert_eq!(error.database(), Some(Database::Chain));
    assert!(error.to_string().contains(&format!("is damaged at byte {second}")), "{error}");
}

#[test]
fn a_database_that_is_open_is_left_alone() {
    let dir = rocks_with_blocks();
    let log = rocks(dir.path()).unwrap();
    assert!(rocks(dir.path()).is_err(), "twice");
    drop(log);
    rocks(dir.path()).unwrap();
}

#[test]
fn half_a_log_and_no_log_are_noticed_through_the_mark() {
    let dir = rocks_with_blocks();
    let log = logs(dir.path()).pop().unwrap();
    let bytes = std::fs::read(&log).unwrap();
    std::fs::write(&log, &bytes[..bytes.len() / 2]).unwrap();
    let Err(error) = rocks(dir.path()) else { panic!("opened") };
    assert!(matches!(error, ChainOpenError::Lost { .. } | ChainOpenError::Fatal(_)), "{error}");

    let dir = rocks_with_blocks();
    logs(dir.path()).into_iter().for_each(|log| std::fs::remove_file(log).unwrap());
    let Err(error) = rocks(dir.path()) else { panic!("opened") };
    assert!(matches!(error, ChainOpenError::Lost { .. } | ChainOpenError::Fatal(_)), "{error}");
}

#[test]
fn a_torn_tail_loses_the_last_write_whole() {
    let dir = rocks_with_blocks();
    let log = logs(dir.path()).pop().unwrap();
    let bytes = std::fs::read(&log).unwrap();
    std::fs::write(&log, &bytes[..bytes.len() - 10]).unwrap();
    // What was synced does not tear by itself: this is a loss, and the rest can be read.
    assert!(matches!(rocks(dir.path()), Err(ChainOpenError::Lost { .. })));
    let log = rocks_or(dir.path(), OnLoss::Observe).unwrap();
    assert_eq!(log.reader().last_height(), Height(49));
}
