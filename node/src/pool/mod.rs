//! The batch pool: what this node holds that is not decided, and which of it is work.
//!
//! Owned by the driver's thread; there is nothing to lock. A batch enters once its signatures are
//! checked, is written with the driver's next synced write, and leaves when a block decides it or
//! when nothing in it can count any more.

mod seal;
mod select;
mod standing;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tonle_model::batch::Batch;
use tonle_model::block::Header;
use tonle_model::hash::BatchDigest;
use tonle_model::key::PublicKey;
use tonle_model::limits;
use tonle_model::transaction::{Payload, SignedTransaction};
use tonle_model::verified::Verified;
use tonle_wsv::state::WorldReader;

pub use seal::Sealer;
pub use select::Verdict;
use standing::Standings;

/// A batch as it is passed around.
pub type HeldBatch = Arc<Verified<Batch>>;

/// Most undecided batches of one author: its 32 MiB run out first unless they are tiny.
const HELD_PER_AUTHOR_MAX: usize = 4_096;
/// What expired so long ago is in no block any more, whatever the clocks of others say.
const SPENT_MS: u64 = 2 * limits::DRIFT_MS;
/// A transaction created further ahead than clocks may differ, twice over, is no honest one.
const FAR_MS: u64 = 4 * limits::DRIFT_MS;

/// What the pool asks of the committed state.
pub trait Decided {
    /// Whether the transaction's hash, or an authority's reference in it, is used up within the
    /// window, at a time.
    fn is_decided(&self, transaction: &SignedTransaction, now_ms: u64) -> bool;
}

impl Decided for WorldReader {
    fn is_decided(&self, transaction: &SignedTransaction, now_ms: u64) -> bool {
        self.is_used(transaction, now_ms)
    }
}

/// Why a batch is not taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Held already, or in the chain.
    Known,
    /// Its author has as much undecided as is allowed.
    Full,
}

/// The time before which a batch must have expired to be of no use: no new block can have it, and
/// those that name it already have it anyway.
pub fn spent_before(clock_ms: u64) -> u64 {
    clock_ms.saturating_sub(SPENT_MS)
}

/// What a pool let go of.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// Batches that no block decided, and that none can use any more.
    pub dead: Vec<BatchDigest>,
    /// Names of batches in the chain whose transactions all expired.
    pub forgotten: Vec<BatchDigest>,
}

struct Held {
    batch: HeldBatch,
    /// The first member that may still count: those before are decided or expired, for ever.
    first_live: usize,
    expires_ms_max: u64,
}

/// The undecided batches, and the names of those decided lately.
#[derive(Default)]
pub struct Pool {
    held: HashMap<BatchDigest, Held>,
    /// By author, in the author's order: leaders take turns among authors.
    queues: BTreeMap<PublicKey, BTreeMap<(u64, BatchDigest), usize>>,
    bytes_by_author: HashMap<PublicKey, usize>,
    /// Batches in the chain whose transactions might still be inside their window, and until when.
    decided: HashMap<BatchDigest, u64>,
    standings: Standings,
}

impl Pool {
    /// Takes a batch in.
    pub fn insert(&mut self, batch: HeldBatch) -> Result<(), Refused> {
        let digest = batch.digest();
        if self.held.contains_key(&digest) || self.decided.contains_key(&digest) {
            return Err(Refused::Known);
        }
        if batch.bytes().len() > self.room(batch.author()) {
            return Err(Refused::Full);
        }
        self.insert_wanted(batch);
        Ok(())
    }

    /// Takes a batch in whatever its author has undecided: a header or a decided block names it.
    pub fn insert_wanted(&mut self, batch: HeldBatch) {
        let (digest, size) = (batch.digest(), batch.bytes().len());
        if self.held.contains_key(&digest) {
            return;
        }
        let (reference, expires_ms_max) = (batch.reference(), batch.expires_ms());
        *self.bytes_by_author.entry(reference.author).or_default() += size;
        let queue = self.queues.entry(reference.author).or_default();
        queue.insert((reference.seq, digest), size);
        self.held.insert(digest, Held { batch, first_live: 0, expires_ms_max });
    }

    /// The batch, if held.
    pub fn get(&self, digest: &BatchDigest) -> Option<&HeldBatch> {
        self.held.get(digest).map(|held| &held.batch)
    }

    /// All batches of a header in its order, or the first that is missing.
    pub fn all_of(&self, header: &Header) -> Result<Vec<HeldBatch>, BatchDigest> {
        let find = |digest| self.get(digest).cloned().ok_or(*digest);
        header.batches.iter().map(|reference| find(&reference.digest)).collect()
    }

    /// Whether a batch is in the chain, as far as it matters for a new block.
    pub fn is_decided(&self, digest: &BatchDigest) -> bool {
        self.decided.contains_key(digest)
    }

    /// Notes a block of the chain: at start for the last window, then with every commit.
    pub fn decide(&mut self, header: &Header, max_ttl_ms: u64) {
        let until_ms =
            header.timestamp_ms.saturating_add(max_ttl_ms).saturating_add(2 * limits::DRIFT_MS);
        for reference in &header.batches {
            self.remove(&reference.digest);
            self.decided.insert(reference.digest, until_ms);
        }
    }

    /// Counts what came of a committed block's batches: `voids` stands beside them.
    pub fn count_voids(&mut self, header: &Header, voids: &[u32]) {
        for (reference, void) in header.batches.iter().zip(voids) {
            self.standings.count(&reference.author, reference.tx_count, *void);
        }
    }

    /// How many authors leaders pass over, their batches having been mostly void of late.
    pub fn passed_over(&self) -> usize {
        self.standings.poor()
    }

    /// Lets go of what can no longer matter at this block time. Only right after a commit: no
    /// header of the new height is voted on yet.
    ///
    /// After a standstill block time is long ago, and what came since is not far ahead of it but
    /// of this moment: `clock_ms`, which must not be behind block time by much.
    pub fn drop_dead(
        &mut self,
        block_time_ms: u64,
        clock_ms: u64,
        state: &impl Decided,
    ) -> Dropped {
        let moment = Moment { time_ms: block_time_ms, clock_ms: clock_ms.max(block_time_ms) };
        let mut forgotten = Vec::new();
        self.decided.retain(|digest, until_ms| {
            let matters = *until_ms > block_time_ms;
            if !matters {
                forgotten.push(*digest);
            }
            matters
        });
        let mut dead = Vec::new();
        for (digest, held) in &mut self.held {
            if !held.skip_dead(moment, state) {
                dead.push(*digest);
            }
        }
        dead.iter().for_each(|digest| self.remove(digest));
        Dropped { dead, forgotten }
    }

    /// Lets go of what expired before a time and no header names that may still be decided. For a
    /// height that lasts: no commit comes, and what expired meanwhile would take up its author's
    /// share for ever, so that nobody takes anything in that could end it.
    pub fn drop_spent(&mut self, before_ms: u64, named: &HashSet<BatchDigest>) -> Vec<BatchDigest> {
        let spent = self
            .held
            .iter()
            .filter(|(digest, held)| held.expires_ms_max < before_ms && !named.contains(*digest));
        let spent: Vec<BatchDigest> = spent.map(|(digest, _)| *digest).collect();
        spent.iter().for_each(|digest| self.remove(digest));
        spent
    }

    /// Whether any batch has a transaction that is unexpired and not decided (consensus.md, Idle).
    pub fn has_work(&mut self, now_ms: u64, state: &impl Decided) -> bool {
        self.held.values_mut().any(|held| held.find_live(now_ms, state))
    }

    /// The author's own undecided batches, oldest first.
    pub fn of_author(&self, author: &PublicKey) -> impl Iterator<Item = &HeldBatch> {
        let queue = self.queues.get(author).into_iter().flat_map(BTreeMap::keys);
        queue.filter_map(|(_, digest)| self.get(digest))
    }

    /// The names of all batches that are held or were decided within the window.
    pub fn digests(&self) -> impl Iterator<Item = &BatchDigest> {
        self.held.keys().chain(self.decided.keys())
    }

    /// How many batches and bytes are undecided.
    pub fn size(&self) -> (usize, usize) {
        (self.held.len(), self.bytes_by_author.values().sum())
    }

    /// How many bytes of an author are undecided.
    pub fn author_bytes(&self, author: &PublicKey) -> usize {
        self.bytes_by_author.get(author).copied().unwrap_or(0)
    }

    /// How many bytes of an author's batches would still be taken in.
    pub fn room(&self, author: &PublicKey) -> usize {
        let count = self.queues.get(author).map_or(0, BTreeMap::len);
        match count < HELD_PER_AUTHOR_MAX {
            true => limits::AUTHOR_UNDECIDED_BYTES_MAX.saturating_sub(self.author_bytes(author)),
            false => 0,
        }
    }

    fn remove(&mut self, digest: &BatchDigest) {
        let Some(held) = self.held.remove(digest) else { return };
        let reference = held.batch.reference();
        if let Some(bytes) = self.bytes_by_author.get_mut(&reference.author) {
            *bytes = bytes.saturating_sub(held.batch.bytes().len());
            if *bytes == 0 {
                self.bytes_by_author.remove(&reference.author);
            }
        }
        if let Some(queue) = self.queues.get_mut(&reference.author) {
            queue.remove(&(reference.seq, *digest));
            if queue.is_empty() {
                self.queues.remove(&reference.author);
            }
        }
    }
}

/// When it is asked what may become of a member.
#[derive(Debug, Clone, Copy)]
struct Moment {
    /// The block time that windows are held against.
    time_ms: u64,
    /// This node's clock, which says what is far ahead.
    clock_ms: u64,
}

impl Moment {
    /// Block time is now.
    fn now(now_ms: u64) -> Self {
        Self { time_ms: now_ms, clock_ms: now_ms }
    }
}

/// What may become of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Prospect {
    /// It can be in a block now.
    Live,
    /// It can be in a block in a moment, when clocks have caught up.
    Soon,
    /// No honest node would have sealed it, or it is decided or expired.
    Never,
}

impl Held {
    /// Moves past members that can be in no block, so that none is looked at twice once it is
    /// passed; whether one can be in a block now.
    fn find_live(&mut self, now_ms: u64, state: &impl Decided) -> bool {
        let moment = Moment::now(now_ms);
        self.skip_dead(moment, state);
        let rest = self.batch.transactions().get(self.first_live..).unwrap_or_default();
        rest.iter().any(|member| prospect(member, moment, state) == Prospect::Live)
    }

    /// Moves past the dead; whether anything is left.
    fn skip_dead(&mut self, moment: Moment, state: &impl Decided) -> bool {
        if self.expires_ms_max < moment.time_ms {
            return false;
        }
        while let Some(member) = self.batch.transactions().get(self.first_live) {
            if prospect(member, moment, state) != Prospect::Never {
                return true;
            }
            self.first_live += 1;
        }
        false
    }
}

/// The gate of an honest node lets nothing in that is not valid by its own clock, so a member far
/// from valid is a stranger's and must neither count as work nor take up room for ever.
fn prospect(member: &SignedTransaction, moment: Moment, state: &impl Decided) -> Prospect {
    let Payload { created_ms, expires_ms, .. } = *member.payload();
    let Moment { time_ms, clock_ms } = moment;
    let never = expires_ms < time_ms
        || expires_ms.saturating_sub(created_ms) > limits::TTL_MS_MAX
        || created_ms > clock_ms.saturating_add(FAR_MS)
        || state.is_decided(member, time_ms);
    match created_ms > time_ms.saturating_add(limits::DRIFT_MS) {
        _ if never => Prospect::Never,
        true => Prospect::Soon,
        false => Prospect::Live,
    }
}

/// Whether a transaction is inside its window at a block time (ledger.md, Transaction).
fn in_window(payload: &Payload, timestamp_ms: u64) -> bool {
    payload.created_ms.saturating_sub(limits::DRIFT_MS) <= timestamp_ms
        && timestamp_ms <= payload.expires_ms
}

#[cfg(test)]
mod tests;
