//! Signing ahead of the clock, on all cores.

use std::thread;

use bytes::Bytes;
use parity_scale_codec::{Compact, Encode};
use tonle_model::amount::Amount;
use tonle_model::bounded::Bounded;
use tonle_model::hash::{ChainHash, TransactionHash};
use tonle_model::instruction::Instruction;
use tonle_model::string::Text;
use tonle_model::transaction::{Payload, Step};

use super::Target;
use super::accounts::People;
use crate::error::CliError;
use crate::output::Output;
use crate::submit::nonce;
use crate::time;

/// Transfers that go in one POST, signed and encoded.
pub struct Chunk {
    /// The number of the first among all transfers.
    pub first: usize,
    /// A SCALE array: a count, then the transactions.
    pub body: Bytes,
    /// Where each transaction stands in the body.
    pub ends: Vec<(usize, usize)>,
    /// Their names.
    pub hashes: Vec<TransactionHash>,
}

impl Chunk {
    /// The bytes of one transaction.
    pub fn transaction(&self, position: usize) -> Option<Bytes> {
        let (start, end) = *self.ends.get(position)?;
        (end <= self.body.len()).then(|| self.body.slice(start..end))
    }
}

/// One transfer of the plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transfer {
    /// The number of the payer.
    pub from: usize,
    /// The number of the payee.
    pub to: usize,
    /// How much.
    pub amount: Amount,
}

/// Who pays whom how much: payers take turns, so that every account signs; payees are spread so
/// that every account is paid too.
pub fn transfer(number: usize, accounts: usize) -> Transfer {
    let from = number % accounts;
    let round = number / accounts;
    // Between 1 and accounts - 1 away: never the payer itself.
    let distance = 1 + (round.wrapping_mul(7919).wrapping_add(from / 3)) % (accounts - 1);
    let amount = Amount::from_minor(1 + (number % 10) as u128);
    Transfer { from, to: (from + distance) % accounts, amount }
}

/// What all transfers of a run share.
struct Terms<'a> {
    people: &'a People,
    chain: ChainHash,
    created_ms: u64,
    expires_ms: u64,
    /// Makes each run's transfers its own.
    run: u64,
}

/// Signs `count` transfers in chunks of `array`.
pub fn sign(
    target: &Target,
    people: &People,
    count: usize,
    array: usize,
    output: &Output,
) -> Result<Vec<Chunk>, CliError> {
    let created_ms = time::now_ms();
    let expires_ms = created_ms + u64::from(target.parameters.max_ttl_ms);
    let terms = Terms { people, chain: target.status.chain, created_ms, expires_ms, run: nonce()? };
    output.progress(&format!("signing {count} transfers among {} accounts", people.count()));
    let starts: Vec<_> = (0..count).step_by(array).collect();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let share = starts.len().div_ceil(cores).max(1);
    let parts: Result<Vec<Vec<Chunk>>, CliError> = thread::scope(|scope| {
        let workers: Vec<_> = starts
            .chunks(share)
            .map(|starts| {
                let terms = &terms;
                scope.spawn(move || {
                    let chunk = |start: &usize| terms.chunk(*start, (start + array).min(count));
                    starts.iter().map(chunk).collect::<Result<Vec<_>, CliError>>()
                })
            })
            .collect();
        let failed = |_| CliError::failed("a signing thread failed");
        workers.into_iter().map(|worker| worker.join().map_err(failed)?).collect()
    });
    Ok(parts?.into_iter().flatten().collect())
}

impl Terms<'_> {
    fn chunk(&self, first: usize, end: usize) -> Result<Chunk, CliError> {
        let count = end - first;
        let mut body = Compact(u32::try_from(count).unwrap_or(u32::MAX)).encode();
        let mut ends = Vec::with_capacity(count);
        let mut hashes = Vec::with_capacity(count);
        for number in first..end {
            let Transfer { from, to, amount } = transfer(number, self.people.count());
            let (payer, payee) = (self.people.member(from)?, self.people.member(to)?);
            let instruction = Instruction::Transfer {
                asset: self.people.asset.clone(),
                from: None,
                to: payee.id.clone(),
                amount: amount.to_decimal(0),
                memo: Text::default(),
                invoice: None,
            };
            let step = Step { authority: payer.id.clone(), instruction };
            // One step is never too many.
            let payload = Payload {
                chain: self.chain,
                created_ms: self.created_ms,
                expires_ms: self.expires_ms,
                nonce: self.run.wrapping_add(number as u64),
                reference: None,
                steps: Bounded::new(vec![step]).unwrap_or_default(),
            };
            hashes.push(payload.hash());
            let start = body.len();
            payload.sign(&[&payer.key]).encode_to(&mut body);
            ends.push((start, body.len()));
        }
        Ok(Chunk { first, body: body.into(), ends, hashes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_account_pays_and_nobody_pays_themselves() {
        for accounts in [2, 3, 10, 1000] {
            let transfers: Vec<_> = (0..accounts * 5).map(|n| transfer(n, accounts)).collect();
            assert!(transfers.iter().all(|t| t.from != t.to && t.to < accounts));
            assert!(transfers.iter().all(|t| !t.amount.is_zero()));
            let payers: BTreeSet<_> = transfers.iter().map(|t| t.from).collect();
            assert_eq!(payers.len(), accounts);
        }
    }
}
