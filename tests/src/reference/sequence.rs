//! Random sequences of blocks, played on both ledgers; one that fails is made short.

use tonle_model::bounded::Bounded;
use tonle_model::key::PublicKey;
use tonle_model::transaction::{Payload, SignedTransaction};

use super::generate::Author;
use super::network::signed;
use super::tally::Tally;
use super::world::{GENESIS, START_MS};
use super::{Fate, Pair};
use crate::random::Random;

/// A block as it was written.
#[derive(Debug, Clone)]
pub struct Block {
    /// Block time.
    pub time_ms: u64,
    /// Whether the real ledger stops and starts before.
    pub restart: bool,
    /// In order.
    pub transactions: Vec<SignedTransaction>,
}

/// Plays the sequence of a seed; counts what became of its transactions. An error is the shortest
/// sequence found that fails, and how.
pub fn play(seed: u64, tally: &mut Tally) -> Result<(), String> {
    let mut random = Random::new(seed);
    // Most are short, so that there are many; some long enough for proposals to be run.
    let length = random.pick(&[2, 3, 4, 4, 5, 6, 10, 16]);
    let mut blocks = Vec::new();
    let Err(failure) = write(&mut random, length, &mut blocks, tally) else { return Ok(()) };
    let (blocks, failure) = shrink(blocks, failure);
    let blocks: Vec<_> = blocks.iter().map(show).collect();
    Err(format!("seed {seed}:\n{}\n{failure}", blocks.join("\n")))
}

fn write(
    random: &mut Random,
    length: usize,
    blocks: &mut Vec<Block>,
    tally: &mut Tally,
) -> Result<(), String> {
    let mut pair = Pair::new(&GENESIS)?;
    let mut time_ms = START_MS;
    let restarts: Vec<_> = (0..length).map(|_| random.once_in(24)).collect();
    let counts: Vec<_> = (0..length).map(|_| 1 + random.below(5)).collect();
    let mut author = Author::new(random);
    for (restart, count) in restarts.into_iter().zip(counts) {
        time_ms = author.next_time(&pair.reference.state, time_ms);
        let mut transactions = Vec::new();
        if restart {
            pair.network.reopen().map_err(|error| error.to_string())?;
        }
        let done = pair.block(time_ms, |reference| {
            (transactions.len() < count).then(|| {
                let next = author.transaction(reference, time_ms);
                transactions.push(next.clone());
                next
            })
        });
        blocks.push(Block { time_ms, restart, transactions });
        tally.count(blocks.last().map_or(&[], |block| &block.transactions), &done?);
    }
    Ok(())
}

/// Plays blocks again.
pub fn replay(blocks: &[Block]) -> Result<(), String> {
    let mut pair = Pair::new(&GENESIS)?;
    for block in blocks {
        if block.restart {
            pair.network.reopen().map_err(|error| error.to_string())?;
        }
        let mut transactions = block.transactions.iter().cloned();
        pair.block(block.time_ms, |_| transactions.next())?;
    }
    Ok(())
}

/// Leaves out blocks, transactions and steps as long as what is left fails, in whatever way.
fn shrink(mut blocks: Vec<Block>, mut failure: String) -> (Vec<Block>, String) {
    loop {
        let shorter = candidates(&blocks)
            .into_iter()
            .find_map(|candidate| replay(&candidate).err().map(|failure| (candidate, failure)));
        match shorter {
            Some(shorter) => (blocks, failure) = shorter,
            None => return (blocks, failure),
        }
    }
}

/// Every way to leave out one thing, the largest first.
fn candidates(blocks: &[Block]) -> Vec<Vec<Block>> {
    let changed = |change: &dyn Fn(&mut Vec<Block>)| {
        let mut blocks = blocks.to_vec();
        change(&mut blocks);
        blocks
    };
    let mut found = Vec::new();
    for number in 0..blocks.len() {
        found.push(changed(&|blocks| {
            blocks.remove(number);
        }));
    }
    for (number, block) in blocks.iter().enumerate() {
        for place in 0..block.transactions.len() {
            found.push(changed(&|blocks| {
                blocks[number].transactions.remove(place);
            }));
        }
        for (place, transaction) in block.transactions.iter().enumerate() {
            for shorter in without_one_step(transaction) {
                found.push(changed(&|blocks| {
                    blocks[number].transactions[place] = shorter.clone();
                }));
            }
        }
        if block.restart {
            found.push(changed(&|blocks| blocks[number].restart = false));
        }
    }
    found
}

fn without_one_step(transaction: &SignedTransaction) -> Vec<SignedTransaction> {
    let payload = transaction.payload();
    let signers: Vec<PublicKey> = transaction.signers().copied().collect();
    let count = if payload.steps.len() > 1 { payload.steps.len() } else { 0 };
    (0..count)
        .map(|left_out| {
            let mut steps = payload.steps.to_vec();
            steps.remove(left_out);
            let steps = Bounded::new(steps).expect("fewer than before");
            signed(Payload { steps, ..payload.clone() }, &signers)
        })
        .collect()
}

fn show(block: &Block) -> String {
    let mut text = format!("block at {} ms", block.time_ms);
    if block.restart {
        text.push_str(", after a restart");
    }
    for transaction in &block.transactions {
        let payload = transaction.payload();
        let (from, to) = (payload.created_ms, payload.expires_ms);
        text.push_str(&format!("\n  {} from {from} to {to}", transaction.hash()));
        for step in &payload.steps {
            text.push_str(&format!("\n    {}: {:?}", step.authority, step.instruction));
        }
    }
    text
}

/// Plays one block and says what became of its transactions.
///
/// # Panics
/// If the ledgers part.
pub fn fates(pair: &mut Pair, time_ms: u64, transactions: &[SignedTransaction]) -> Vec<Fate> {
    let mut next = transactions.iter().cloned();
    pair.block(time_ms, |_| next.next()).unwrap_or_else(|difference| panic!("{difference}"))
}
