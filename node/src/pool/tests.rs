//! What the pool promises, rule by rule.

use std::collections::HashSet;
use std::sync::Arc;

use tonle_model::block::{BatchRef, Header};
use tonle_model::bounded::Bounded;
use tonle_model::hash::{ChainHash, TransactionHash};
use tonle_model::instruction::Instruction;
use tonle_model::key::KeyPair;
use tonle_model::number::Height;
use tonle_model::transaction::{Payload, SignedTransaction, Step};
use tonle_model::verified::Verified;

use super::*;

const NOW_MS: u64 = 1_000_000;

#[derive(Default)]
struct State(HashSet<TransactionHash>);

impl Decided for State {
    fn is_decided(&self, transaction: &SignedTransaction, _now_ms: u64) -> bool {
        self.0.contains(&transaction.hash())
    }
}

fn transaction(nonce: u64, created_ms: u64, expires_ms: u64) -> Verified<SignedTransaction> {
    let instruction = Instruction::RegisterDomain { id: "wing".parse().unwrap() };
    let step = Step { authority: "a@b".parse().unwrap(), instruction };
    let payload = Payload {
        chain: ChainHash::default(),
        created_ms,
        expires_ms,
        nonce,
        reference: None,
        steps: Bounded::new(vec![step]).unwrap(),
    };
    let signed = payload.sign(&[&KeyPair::demo("a@b")]);
    Verified::vouch(SignedTransaction::from_transaction(&signed).unwrap())
}

fn batch(author: &str, seq: u64, members: Vec<Verified<SignedTransaction>>) -> HeldBatch {
    Arc::new(Batch::seal(&ChainHash::default(), &KeyPair::demo(author), seq, members))
}

fn live(author: &str, seq: u64) -> HeldBatch {
    batch(author, seq, vec![transaction(seq, NOW_MS, NOW_MS + 60_000)])
}

fn template() -> Header {
    Header { height: Height(4), ..Header::genesis(ChainHash::default(), NOW_MS) }
}

fn header(batches: &[&HeldBatch]) -> Header {
    let references = batches.iter().map(|batch| batch.reference()).collect();
    Header { batches: Bounded::new(references).unwrap(), ..template() }
}

#[test]
fn a_batch_is_taken_once_and_not_after_it_was_decided() {
    let mut pool = Pool::default();
    let one = live("a", 1);
    assert_eq!(pool.insert(one.clone()), Ok(()));
    assert_eq!(pool.insert(one.clone()), Err(Refused::Known));
    pool.decide(&header(&[&one]), 600_000);
    assert_eq!(pool.insert(one.clone()), Err(Refused::Known));
    assert_eq!(pool.size(), (0, 0));
    let later_ms = NOW_MS + 600_000 + 2 * limits::DRIFT_MS;
    assert_eq!(pool.drop_dead(later_ms - 1, NOW_MS, &State::default()), Dropped::default());
    let dropped = pool.drop_dead(later_ms, NOW_MS, &State::default());
    assert_eq!(dropped, Dropped { dead: vec![], forgotten: vec![one.digest()] });
}

#[test]
fn leaders_take_turns_among_authors_in_the_authors_order() {
    let mut pool = Pool::default();
    for seq in 1..=3 {
        pool.insert(live("a", seq)).unwrap();
    }
    pool.insert(live("b", 1)).unwrap();
    let filled = pool.fill(&template(), &State::default()).unwrap();
    let a = KeyPair::demo("a").public_key();
    let of_a: Vec<u64> =
        filled.batches.iter().filter(|one| one.author == a).map(|one| one.seq).collect();
    assert_eq!(of_a, [1, 2, 3]);
    let first_two: HashSet<_> = filled.batches.iter().take(2).map(|one| one.author).collect();
    assert_eq!(first_two.len(), 2, "b does not wait behind all of a");
    assert_eq!(pool.check(&filled), Verdict::Available);
}

/// A batch reference of so many transactions, decided with so many of them void.
fn decide_void(pool: &mut Pool, author: &str, tx_count: u32, void: u32) {
    let reference = BatchRef { tx_count, ..live(author, 0).reference() };
    let decided = Header { batches: Bounded::new(vec![reference]).unwrap(), ..template() };
    pool.count_voids(&decided, &[void]);
}

#[test]
fn leaders_pass_over_authors_whose_batches_were_mostly_void() {
    let mut pool = Pool::default();
    for seq in 1..=3 {
        pool.insert(live("a", seq)).unwrap();
        pool.insert(live("b", seq)).unwrap();
    }
    let authors = |pool: &mut Pool| -> Vec<PublicKey> {
        let filled = pool.fill(&template(), &State::default()).unwrap();
        filled.batches.iter().map(|one| one.author).collect()
    };
    let [a, b] = ["a", "b"].map(|name| KeyPair::demo(name).public_key());
    decide_void(&mut pool, "a", 64, 64);
    assert_eq!((authors(&mut pool).len(), pool.passed_over()), (6, 0), "a few are forgiven");
    decide_void(&mut pool, "a", 100, 40);
    assert_eq!((authors(&mut pool), pool.passed_over()), (vec![b, b, b, a], 1), "one, and last");
    pool.insert(live("a", 4)).unwrap();
    let of_b: Vec<HeldBatch> = (1..=3).map(|seq| live("b", seq)).collect();
    pool.decide(&header(&of_b.iter().collect::<Vec<_>>()), 600_000);
    assert_eq!(authors(&mut pool), [a], "and so it is never shut out");
    decide_void(&mut pool, "a", 44, 0);
    assert_eq!((authors(&mut pool).len(), pool.passed_over()), (4, 0), "half is not most");
}

#[test]
fn what_was_void_long_ago_is_forgotten() {
    let mut pool = Pool::default();
    (0..100).for_each(|_| decide_void(&mut pool, "a", 4_096, 4_096));
    assert_eq!(pool.passed_over(), 1);
    (0..2).for_each(|_| decide_void(&mut pool, "a", 2_048, 0));
    assert_eq!(pool.passed_over(), 0, "however long it went on");
}

/// A block may be decided long after it was built: payments that were taken in meanwhile are not
/// far ahead of now, whatever block time is.
#[test]
fn what_came_during_a_standstill_is_kept_when_its_old_block_is_decided() {
    let mut pool = Pool::default();
    pool.insert(live("a", 1)).unwrap();
    let long_ago_ms = NOW_MS - 2 * FAR_MS;
    assert_eq!(pool.drop_dead(long_ago_ms, NOW_MS, &State::default()), Dropped::default());
    assert!(pool.has_work(NOW_MS, &State::default()));
    assert_eq!(pool.drop_dead(long_ago_ms, long_ago_ms, &State::default()).dead.len(), 1);
}

#[test]
fn what_is_decided_or_expired_is_no_work_and_is_dropped() {
    let mut pool = Pool::default();
    let (gone, old, fresh) = (
        live("a", 1),
        batch("a", 2, vec![transaction(2, NOW_MS - 9_000, NOW_MS - 1)]),
        batch("a", 3, vec![transaction(1, NOW_MS, NOW_MS), transaction(9, NOW_MS, NOW_MS)]),
    );
    for one in [&gone, &old, &fresh] {
        pool.insert(one.clone()).unwrap();
    }
    let mut state = State::default();
    state.0.insert(gone.transactions()[0].hash());
    assert!(pool.has_work(NOW_MS, &state));
    let mut dead = pool.drop_dead(NOW_MS, NOW_MS, &state).dead;
    dead.sort();
    let mut expected = vec![gone.digest(), old.digest()];
    expected.sort();
    assert_eq!(dead, expected);
    assert!(pool.get(&fresh.digest()).is_some(), "its second transaction still counts");
    assert!(!pool.has_work(NOW_MS + 1, &state), "now everything expired");
    assert_eq!(pool.fill(&template(), &State::default()).unwrap().batches.len(), 1);
}

#[test]
fn what_no_honest_node_would_seal_is_no_work_and_takes_no_room_for_ever() {
    let mut pool = Pool::default();
    let far = batch("a", 1, vec![transaction(1, u64::MAX, u64::MAX)]);
    let long = batch("a", 2, vec![transaction(2, NOW_MS, NOW_MS + limits::TTL_MS_MAX + 1)]);
    let soon = batch("a", 3, vec![transaction(3, NOW_MS + 6_000, NOW_MS + 60_000)]);
    for one in [&far, &long, &soon] {
        pool.insert(one.clone()).unwrap();
    }
    assert!(!pool.has_work(NOW_MS, &State::default()));
    assert!(pool.fill(&template(), &State::default()).is_none());
    let mut dead = pool.drop_dead(NOW_MS, NOW_MS, &State::default()).dead;
    dead.sort();
    let mut expected = vec![far.digest(), long.digest()];
    expected.sort();
    assert_eq!(dead, expected);
    assert!(pool.has_work(NOW_MS + 1_000, &State::default()), "clocks catch up");
}

#[test]
fn what_has_expired_goes_while_a_height_lasts_unless_a_header_names_it() {
    let mut pool = Pool::default();
    let expired = |seq| batch("a", seq, vec![transaction(seq, 1, NOW_MS - 1)]);
    let (named, spent, alive) = (expired(1), expired(2), live("a", 3));
    for one in [&named, &spent, &alive] {
        pool.insert(one.clone()).unwrap();
    }
    let names = HashSet::from([named.digest()]);
    assert_eq!(pool.drop_spent(NOW_MS - 1, &names), [], "its last millisecond is not over");
    assert_eq!(pool.drop_spent(NOW_MS, &names), [spent.digest()]);
    let left = named.bytes().len() + alive.bytes().len();
    assert_eq!(pool.author_bytes(alive.author()), left, "its share has room again");
    assert!(pool.get(&named.digest()).is_some() && pool.get(&alive.digest()).is_some());
}

#[test]
fn tiny_batches_of_one_author_do_not_crowd_out_others() {
    let mut pool = Pool::default();
    let members = vec![transaction(1, NOW_MS, NOW_MS + 60_000)];
    for seq in 0..HELD_PER_AUTHOR_MAX as u64 {
        pool.insert(batch("a", seq, members.clone())).unwrap();
    }
    let one_more = batch("a", u64::MAX, members);
    assert_eq!(pool.room(one_more.author()), 0);
    assert_eq!(pool.insert(one_more), Err(Refused::Full));
    assert_eq!(pool.insert(live("b", 1)), Ok(()));
}

#[test]
fn a_header_is_judged_by_every_rule() {
    let mut pool = Pool::default();
    let (held, decided, missing) = (live("a", 1), live("a", 2), live("a", 3));
    let late = batch("a", 4, vec![transaction(4, NOW_MS + 6_000, NOW_MS + 60_000)]);
    for one in [&held, &decided, &late] {
        pool.insert(one.clone()).unwrap();
    }
    pool.decide(&header(&[&decided]), 600_000);
    assert_eq!(pool.check(&header(&[&held])), Verdict::Available);
    let lacks = Verdict::Missing(vec![missing.digest()]);
    assert_eq!(pool.check(&header(&[&held, &missing])), lacks);
    let unusable = |header: &Header| matches!(pool.check(header), Verdict::Unusable(_));
    assert!(unusable(&header(&[&decided])), "in the chain already");
    assert!(unusable(&header(&[&held, &held])), "twice");
    assert!(unusable(&header(&[&late])), "no transaction in its window");
    let mut wrong = held.reference();
    wrong.tx_count += 1;
    let lying = Header { batches: Bounded::new(vec![wrong]).unwrap(), ..template() };
    assert!(unusable(&lying), "a reference that does not match its batch");
}

/// The largest batch of the smallest transactions, under any number.
fn large(author: &str, seq: u64) -> HeldBatch {
    static MEMBERS: std::sync::OnceLock<Vec<Verified<SignedTransaction>>> =
        std::sync::OnceLock::new();
    let members = MEMBERS.get_or_init(|| {
        let member = |nonce| transaction(nonce, NOW_MS, NOW_MS + 60_000);
        let count = (limits::BATCH_BYTES_MAX - 256) / member(0).bytes().len();
        (0..count as u64).map(member).collect()
    });
    batch(author, seq, members.clone())
}

#[test]
fn a_block_keeps_within_its_limits() {
    let mut pool = Pool::default();
    let all: Vec<HeldBatch> = (0..20).map(|seq| large("a", seq)).collect();
    all.iter().for_each(|one| pool.insert(one.clone()).unwrap());
    let everything: Vec<&HeldBatch> = all.iter().collect();
    let bytes: usize = all.iter().map(|one| one.bytes().len()).sum();
    assert!(bytes > limits::BLOCK_BYTES_MAX);
    assert!(matches!(pool.check(&header(&everything)), Verdict::Unusable(_)));

    let filled = pool.fill(&template(), &State::default()).unwrap();
    let bytes: usize = all.iter().take(filled.batches.len()).map(|one| one.bytes().len()).sum();
    assert!(bytes <= limits::BLOCK_BYTES_MAX);
    assert!(filled.transaction_count() <= limits::BLOCK_SIGNATURES_MAX as u64);
    assert_eq!(pool.check(&filled), Verdict::Available);
}

#[test]
fn an_author_may_have_only_so_much_undecided() {
    let mut pool = Pool::default();
    let fits = (limits::AUTHOR_UNDECIDED_BYTES_MAX / large("a", 0).bytes().len()) as u64;
    (0..fits).for_each(|seq| assert_eq!(pool.insert(large("a", seq)), Ok(())));
    let one_more = large("a", fits);
    assert!(pool.room(one_more.author()) < one_more.bytes().len());
    assert_eq!(pool.insert(one_more), Err(Refused::Full));
    let other = live("b", 1);
    assert_eq!(pool.room(other.author()), limits::AUTHOR_UNDECIDED_BYTES_MAX);
    assert_eq!(pool.insert(other), Ok(()), "others are not affected");
}

#[test]
fn sealing_waits_only_while_something_of_ours_is_undecided() {
    let mut sealer = Sealer::new(ChainHash::default(), KeyPair::demo("a"), 7);
    assert!(sealer.seal_due(NOW_MS, true).is_none(), "nothing to seal");
    assert!(sealer.add(NOW_MS, vec![transaction(1, 0, 1)]).is_empty());
    let first = sealer.seal_due(NOW_MS, true).unwrap();
    assert!(sealer.add(NOW_MS, vec![transaction(2, 0, 1)]).is_empty());
    assert!(sealer.seal_due(NOW_MS, false).is_none());
    let second = sealer.seal_due(sealer.deadline().unwrap(), false).unwrap();
    assert!(first.reference().seq > 7 && second.reference().seq > first.reference().seq);
    let many = (0..3_000).map(|nonce| transaction(nonce, 0, 1)).collect();
    let full = sealer.add(NOW_MS, many);
    assert!(full.len() > 1);
    assert!(full.iter().all(|batch| batch.bytes().len() <= limits::BATCH_BYTES_MAX));
    let decoded = Batch::decode(&ChainHash::default(), full[0].bytes().clone()).unwrap();
    assert_eq!(decoded.digest(), full[0].digest(), "a sealed batch decodes to itself");
}
