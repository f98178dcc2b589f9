//! What clients of a network know: which payments they made, and what each validator showed them.
//!
//! A payment counts as acknowledged when any validator showed it as committed. Whoever names a
//! block, or shows what is in it, vouches for it: the book remembers what was first named and shown
//! at each height, and holds every other validator, and the same one after a restart, to it.

use std::collections::{BTreeMap, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant};

use parity_scale_codec::Encode;
use tonle_client::api::{BlockBrief, BlockReceipts};
use tonle_model::hash::{BlockHash, TransactionHash};
use tonle_model::number::Height;
use tonle_model::receipt::Outcome;

use super::people::Payment;

/// Violations that are told; more of the same help nobody.
const VIOLATIONS_MAX: usize = 10;

/// Which clients made a payment: what a case measures apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crowd {
    /// Everyone.
    Many,
    /// One client that sends as much as it can.
    Flood,
    /// Who opens accounts.
    Registrar,
}

/// One payment.
#[derive(Debug, Clone, Copy)]
pub struct Made {
    /// What it does.
    pub payment: Payment,
    crowd: Crowd,
    committed: Option<Instant>,
}

/// The last block that a validator showed.
#[derive(Debug, Clone, Copy)]
pub struct Head {
    /// Its height.
    pub height: Height,
    /// When it was shown.
    pub at: Instant,
}

/// Which block a height has.
#[derive(Debug, Clone, Copy)]
struct Named {
    hash: BlockHash,
    timestamp_ms: u64,
}

/// What is in it.
struct Shown {
    first: Instant,
    digest: u64,
    transactions: usize,
}

/// The book.
pub struct Book {
    made: Vec<Made>,
    numbers: HashMap<TransactionHash, u32>,
    under_way: [usize; 3],
    heads: Vec<Head>,
    named: BTreeMap<Height, Named>,
    shown: BTreeMap<Height, Shown>,
    violations: Vec<String>,
    refusals: u64,
    refusal: Option<String>,
}

impl Book {
    /// A book about so many validators.
    pub fn new(validators: usize) -> Self {
        let head = Head { height: Height(0), at: Instant::now() };
        Self {
            made: Vec::new(),
            numbers: HashMap::new(),
            under_way: [0; 3],
            heads: vec![head; validators],
            named: BTreeMap::new(),
            shown: BTreeMap::new(),
            violations: Vec::new(),
            refusals: 0,
            refusal: None,
        }
    }

    /// A payment is about to be sent.
    pub fn make(&mut self, hash: TransactionHash, payment: Payment, crowd: Crowd) {
        let number = u32::try_from(self.made.len()).expect("fewer than four thousand million");
        self.made.push(Made { payment, crowd, committed: None });
        self.numbers.insert(hash, number);
        self.under_way[crowd as usize] += 1;
    }

    /// A validator named a block. It is held to that even if it goes away before it shows what is
    /// in the block.
    pub fn name(&mut self, block: &BlockBrief) {
        let (hash, timestamp_ms) = (block.hash, block.timestamp_ms);
        let first = *self.named.entry(block.height).or_insert(Named { hash, timestamp_ms });
        if first.hash != hash {
            self.violate(format!("blocks {} and {hash} at height {}", first.hash, block.height));
        }
    }

    /// A validator showed what is in a block.
    pub fn show(&mut self, validator: usize, block: &BlockReceipts, now: Instant) {
        let mut hasher = DefaultHasher::new();
        block.receipts.encode().hash(&mut hasher);
        let digest = hasher.finish();
        let transactions = block.receipts.len();
        if self.heads[validator].height.next() <= block.height {
            self.heads[validator] = Head { height: block.height, at: now };
        }
        match self.shown.get(&block.height) {
            Some(first) if first.digest == digest => {}
            Some(_) => self.violate(format!("two blocks at height {}", block.height)),
            None => {
                self.shown.insert(block.height, Shown { first: now, digest, transactions });
                for receipt in &block.receipts {
                    self.decided(&receipt.transaction, receipt.outcome, now);
                }
            }
        }
    }

    /// A payment was decided, and a client was told so.
    pub fn decided(&mut self, hash: &TransactionHash, outcome: Outcome, now: Instant) {
        let Some(number) = self.numbers.get(hash) else {
            return self.violate(format!("{hash} was decided and never made"));
        };
        if outcome != Outcome::Applied {
            return self.violate(format!("{hash} came to {outcome:?}, though there is money"));
        }
        let made = &mut self.made[*number as usize];
        if made.committed.is_none() {
            made.committed = Some(now);
            self.under_way[made.crowd as usize] -= 1;
        }
    }

    /// A validator would not take a payment that the ledger would have.
    pub fn refused(&mut self, reason: String) {
        self.refusals += 1;
        self.refusal = Some(reason);
    }

    /// How often that was, and the last reason.
    pub fn refusals(&self) -> (u64, Option<&str>) {
        (self.refusals, self.refusal.as_deref())
    }

    fn violate(&mut self, what: String) {
        if self.violations.len() < VIOLATIONS_MAX {
            self.violations.push(what);
        }
    }

    /// What validators showed that must not be.
    pub fn violations(&self) -> &[String] {
        &self.violations
    }

    /// Payments of a crowd that are not decided as far as clients know.
    pub fn under_way(&self, crowd: Crowd) -> usize {
        self.under_way[crowd as usize]
    }

    /// Whether a payment was acknowledged.
    pub fn is_committed(&self, hash: &TransactionHash) -> bool {
        let number = self.numbers.get(hash);
        number.is_some_and(|number| self.made[*number as usize].committed.is_some())
    }

    /// The number of a payment.
    pub fn number(&self, hash: &TransactionHash) -> Option<usize> {
        self.numbers.get(hash).map(|number| *number as usize)
    }

    /// All payments, by number.
    pub fn made(&self) -> &[Made] {
        &self.made
    }

    /// The last block that a validator showed.
    pub fn head(&self, validator: usize) -> Head {
        self.heads[validator]
    }

    /// The highest block that any named.
    pub fn height(&self) -> Height {
        self.named.keys().next_back().copied().unwrap_or(Height(0))
    }

    /// Every block that any named.
    pub fn names(&self) -> impl Iterator<Item = (Height, BlockHash)> {
        self.named.iter().map(|(height, named)| (*height, named.hash))
    }

    /// When a height was first shown by anyone.
    pub fn first_shown(&self, height: Height) -> Option<Instant> {
        self.shown.get(&height).map(|shown| shown.first)
    }

    /// When the first block was shown that was proposed after a moment, which is given by both
    /// clocks. What was decided before may be shown only now, as after a restart: its block time
    /// tells. Not for a network in which the clock of a leader may be wrong.
    pub fn first_after(&self, moment: Instant, moment_ms: u64) -> Option<Instant> {
        let new = self.shown.iter().filter_map(|(height, shown)| {
            let named = self.named.get(height)?;
            (named.timestamp_ms > moment_ms && shown.first > moment).then_some(shown.first)
        });
        new.min()
    }

    /// Blocks first shown between two moments.
    pub fn blocks_between(&self, from: Instant, to: Instant) -> usize {
        self.between(from, to).count()
    }

    /// The longest time without a new block between two moments.
    pub fn gap(&self, from: Instant, to: Instant) -> Duration {
        let mut moments: Vec<_> = self.between(from, to).map(|shown| shown.first).collect();
        moments.push(to);
        moments.sort_unstable();
        let mut last = from;
        let gaps = moments.into_iter().map(|moment| {
            let gap = moment - last;
            last = moment;
            gap
        });
        gaps.max().unwrap_or_default()
    }

    /// The mean time from block to block between two moments; none for fewer than two blocks.
    pub fn pace(&self, from: Instant, to: Instant) -> Option<Duration> {
        let moments = || self.between(from, to).map(|shown| shown.first);
        let steps = u32::try_from(moments().count()).ok()?.checked_sub(1)?;
        (moments().max()? - moments().min()?).checked_div(steps)
    }

    /// Payments of a crowd that were decided between two moments.
    pub fn decided_between(&self, crowd: Crowd, from: Instant, to: Instant) -> usize {
        let within = |made: &&Made| {
            made.crowd == crowd && made.committed.is_some_and(|at| from < at && at <= to)
        };
        self.made.iter().filter(within).count()
    }

    /// Transactions in all blocks that were shown.
    pub fn transactions(&self) -> usize {
        self.shown.values().map(|shown| shown.transactions).sum()
    }

    fn between(&self, from: Instant, to: Instant) -> impl Iterator<Item = &Shown> {
        self.shown.values().filter(move |shown| from < shown.first && shown.first <= to)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::hash::Digest256;
    use tonle_model::number::ValidatorIndex;
    use tonle_model::receipt::Receipt;

    fn hash(number: u8) -> TransactionHash {
        TransactionHash(Digest256([number; 32]))
    }

    fn block(height: u64, transactions: &[u8]) -> BlockReceipts {
        let receipt =
            |number: &u8| Receipt { transaction: hash(*number), outcome: Outcome::Applied };
        BlockReceipts {
            height: Height(height),
            receipts: transactions.iter().map(receipt).collect(),
        }
    }

    fn name(height: u64, byte: u8, timestamp_ms: u64) -> BlockBrief {
        BlockBrief {
            height: Height(height),
            hash: BlockHash(Digest256([byte; 32])),
            timestamp_ms,
            proposer: ValidatorIndex(0),
            view: None,
            transactions: 0,
        }
    }

    fn book(payments: u8) -> Book {
        let mut book = Book::new(2);
        for number in 0..payments {
            book.make(hash(number), Payment { from: 0, to: 1, amount: 1 }, Crowd::Many);
        }
        book
    }

    #[test]
    fn a_second_block_at_a_height_is_seen() {
        let (mut book, now) = (book(3), Instant::now());
        book.show(0, &block(1, &[0, 1]), now);
        book.show(1, &block(1, &[0, 1]), now);
        assert!(book.violations().is_empty());
        assert_eq!(book.under_way(Crowd::Many), 1);
        book.show(1, &block(1, &[0, 2]), now);
        assert!(book.violations()[0].contains("two blocks"));
    }

    #[test]
    fn a_block_of_another_name_is_seen_though_it_has_the_same_receipts() {
        let (mut book, now) = (book(1), Instant::now());
        book.name(&name(1, 7, 100));
        book.show(0, &block(1, &[0]), now);
        book.name(&name(1, 7, 100));
        book.show(1, &block(1, &[0]), now);
        assert!(book.violations().is_empty());
        book.name(&name(1, 8, 100));
        book.show(1, &block(1, &[0]), now);
        assert!(book.violations()[0].contains("at height 1"));
        assert_eq!(book.names().collect::<Vec<_>>(), [(Height(1), name(1, 7, 100).hash)]);
    }

    #[test]
    fn a_block_that_was_named_and_never_shown_is_remembered() {
        let mut book = book(0);
        book.name(&name(1, 7, 100));
        assert_eq!(book.height(), Height(1));
        book.name(&name(1, 8, 100));
        assert_eq!(book.violations().len(), 1);
    }

    #[test]
    fn a_block_of_before_is_not_the_first_one_after() {
        let (mut book, start) = (book(0), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for (height, timestamp_ms, ms) in [(1, 1_000, 10), (2, 1_100, 210), (3, 1_101, 220)] {
            book.name(&name(height, 7, timestamp_ms));
            book.show(0, &block(height, &[]), at(ms));
        }
        // Block 2 was proposed at the moment itself, and shown after it.
        assert_eq!(book.first_after(at(200), 1_100), Some(at(220)));
        assert_eq!(book.first_after(at(200), 1_101), None);
        book.show(0, &block(4, &[]), at(300));
        assert_eq!(book.first_after(at(200), 1_101), None, "nobody said which block it is");
    }

    #[test]
    fn from_the_first_of_n_blocks_to_the_last_are_n_less_one_steps() {
        let (mut book, start) = (book(0), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for (height, ms) in [(1, 100), (2, 300), (3, 700)] {
            book.show(0, &block(height, &[]), at(ms));
        }
        assert_eq!(book.pace(start, at(5_000)), Some(Duration::from_millis(300)));
        assert_eq!(book.pace(at(100), at(700)), Some(Duration::from_millis(400)));
        assert_eq!(book.pace(at(300), at(5_000)), None, "one block");
        assert_eq!(book.pace(at(700), at(5_000)), None, "no block");
    }

    #[test]
    fn what_nobody_made_and_what_was_rejected_is_seen() {
        let mut book = book(1);
        book.show(0, &block(1, &[9]), Instant::now());
        assert!(book.violations()[0].contains("never made"));
        let code = tonle_model::receipt::RejectionCode::InsufficientBalance;
        book.decided(&hash(0), Outcome::Rejected { code, step: 0 }, Instant::now());
        assert!(book.violations()[1].contains("there is money"));
    }

    #[test]
    fn a_gap_is_the_longest_silence_its_ends_included() {
        let (mut book, start) = (book(0), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        for (height, ms) in [(1, 100), (2, 150), (3, 450)] {
            book.show(0, &block(height, &[]), at(ms));
        }
        assert_eq!(book.gap(start, at(500)), Duration::from_millis(300));
        assert_eq!(book.gap(start, at(2_000)), Duration::from_millis(1_550));
        assert_eq!(book.gap(at(200), at(300)), Duration::from_millis(100));
        assert_eq!(book.blocks_between(at(100), at(450)), 2);
    }
}
