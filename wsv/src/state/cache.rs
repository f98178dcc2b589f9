//! State entries in memory, so that a busy account costs no database read.
//!
//! Bounded by count in two generations: when the young one is full it becomes the old one and the
//! old one goes; what is found in the old one moves to the young one. That keeps about the most
//! recently used half to whole of the bound, without a list to maintain on every hit.
//!
//! Only the owner of the state inserts, after a commit or when it reads; readers look up. Were
//! readers to insert what they read from the database, one could put back a value that a commit
//! has just replaced.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::key::Key;
use super::value::Value;

/// Most entries held, at some 300 bytes each.
pub const CACHED_ENTRIES_MAX: usize = 160_000;
/// Parts that are locked one at a time.
const SHARDS: usize = 16;

/// A state entry with its place in the state tree.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its slot.
    pub slot: u64,
    /// The bytes of the next key; empty for the last one.
    pub next: Arc<[u8]>,
    /// Its value.
    pub value: Value,
}

#[derive(Default)]
struct Shard {
    young: HashMap<Key, Entry>,
    old: HashMap<Key, Entry>,
}

impl Shard {
    fn insert(&mut self, key: Key, entry: Entry, young_max: usize) {
        if self.young.len() >= young_max && !self.young.contains_key(&key) {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(key, entry);
    }

    fn get(&mut self, key: &Key, young_max: usize) -> Option<Entry> {
        if let Some(entry) = self.young.get(key) {
            return Some(entry.clone());
        }
        let (key, entry) = self.old.remove_entry(key)?;
        self.insert(key, entry.clone(), young_max);
        Some(entry)
    }
}

/// The bounded cache of state entries.
pub struct Cache {
    shards: Vec<Mutex<Shard>>,
    hasher: RandomState,
    young_max: usize,
}

impl Cache {
    /// A cache of at most so many entries.
    pub fn new(entries_max: usize) -> Self {
        Self {
            shards: std::iter::repeat_with(Mutex::default).take(SHARDS).collect(),
            hasher: RandomState::new(),
            young_max: (entries_max / SHARDS / 2).max(1),
        }
    }

    /// A held entry.
    pub fn get(&self, key: &Key) -> Option<Entry> {
        self.shard(key)?.get(key, self.young_max)
    }

    /// Holds an entry, in place of an earlier one of its key.
    pub fn insert(&self, key: Key, entry: Entry) {
        if let Some(mut shard) = self.shard(&key) {
            // An older copy must not come back when the young one goes.
            shard.old.remove(&key);
            shard.insert(key, entry, self.young_max);
        }
    }

    /// Forgets an entry.
    pub fn remove(&self, key: &Key) {
        if let Some(mut shard) = self.shard(key) {
            shard.young.remove(key);
            shard.old.remove(key);
        }
    }

    fn shard(&self, key: &Key) -> Option<MutexGuard<'_, Shard>> {
        let number = self.hasher.hash_one(key) as usize % SHARDS;
        // Nothing panics half-way through a change of a shard.
        let shard = self.shards.get(number)?;
        Some(shard.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::value::Balance;

    fn key(number: usize) -> Key {
        Key::Domain(format!("d{number}").parse().unwrap())
    }

    fn entry(slot: u64) -> Entry {
        Entry { slot, next: Arc::from([]), value: Value::Balance(Balance::default()) }
    }

    #[test]
    fn it_is_bounded_and_keeps_what_is_used() {
        let cache = Cache::new(320);
        for number in 0..10_000 {
            cache.insert(key(number), entry(number as u64));
            assert!(cache.get(&key(0)).is_some(), "used all the time");
        }
        let held = (0..10_000).filter(|number| cache.get(&key(*number)).is_some()).count();
        assert!(held <= 320, "{held}");
    }

    #[test]
    fn the_latest_copy_wins() {
        let cache = Cache::new(SHARDS * 2);
        cache.insert(key(1), entry(1));
        (2..200).for_each(|number| cache.insert(key(number), entry(0)));
        cache.insert(key(1), entry(2));
        (2..200).for_each(|number| cache.insert(key(number), entry(0)));
        assert!(cache.get(&key(1)).is_none_or(|entry| entry.slot == 2));
    }
}
