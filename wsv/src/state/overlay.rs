//! What a block being executed changes, beside the committed state, which it leaves alone.
//!
//! Entries stand in the order they were first touched and new ones get their slots in that order,
//! so everything that follows is a function of the header and its batches. A journal undoes the
//! transaction that is being executed if it fails.
//!
//! A removed entry leaves its slot empty for ever: slots are numbered in order of creation and
//! never reused (ledger.md, What is certified).

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use tonle_model::id::{AccountId, AssetId};
use tonle_model::limits;

use super::entries::{Entries, ReadEntries};
use super::key::Key;
use super::value::{Balance, Value};
use crate::store::{StoreError, Table};

/// What a block does to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It was there and is.
    Changed,
    /// It was not there and is.
    Created,
    /// It was there and is not.
    Removed,
    /// It came and went within the block; its slot is taken all the same.
    Passed,
}

impl Fate {
    /// Whether the entry is there after the block.
    pub fn is_live(self) -> bool {
        matches!(self, Self::Changed | Self::Created)
    }

    /// Whether its slot is new.
    pub fn is_new(self) -> bool {
        matches!(self, Self::Created | Self::Passed)
    }

    fn live(self) -> Self {
        if self.is_new() { Self::Created } else { Self::Changed }
    }

    fn gone(self) -> Self {
        if self.is_new() { Self::Passed } else { Self::Removed }
    }
}

/// One touched entry.
#[derive(Debug, Clone)]
pub struct Dirty {
    /// Its key.
    pub key: Key,
    /// Its slot.
    pub slot: u64,
    /// The bytes of the next key.
    pub next: Arc<[u8]>,
    /// Its value, or the last one it had.
    pub value: Value,
    /// What becomes of it.
    pub fate: Fate,
}

enum Undo {
    /// The entry at this position was like this.
    Restore(usize, Value, Fate),
    /// The last entry was not there.
    Remove,
}

/// The changes of a block so far.
pub struct Overlay {
    base: Entries,
    /// Looked up, never iterated.
    positions: HashMap<Key, usize>,
    dirty: Vec<Dirty>,
    next_slot: u64,
    journal: Vec<Undo>,
}

impl Overlay {
    /// No changes to a state that has `slots` slots.
    pub fn new(base: Entries, slots: u64) -> Self {
        Self {
            base,
            positions: HashMap::new(),
            dirty: Vec::new(),
            next_slot: slots,
            journal: Vec::new(),
        }
    }

    /// Sets an entry, new or not.
    pub fn set(&mut self, key: Key, value: Value) -> Result<(), StoreError> {
        if let Some(position) = self.positions.get(&key).copied() {
            if let Some(entry) = self.dirty.get_mut(position) {
                let before = std::mem::replace(&mut entry.value, value);
                self.journal.push(Undo::Restore(position, before, entry.fate));
                entry.fate = entry.fate.live();
            }
            return Ok(());
        }
        let dirty = match self.base.load(&key)? {
            Some(entry) => Dirty {
                key: key.clone(),
                slot: entry.slot,
                next: entry.next,
                value,
                fate: Fate::Changed,
            },
            None => {
                let slot = self.next_slot;
                self.next_slot += 1;
                Dirty { key: key.clone(), slot, next: Arc::from([]), value, fate: Fate::Created }
            }
        };
        self.push(key, dirty);
        self.journal.push(Undo::Remove);
        Ok(())
    }

    /// Removes an entry, if it is there.
    pub fn remove(&mut self, key: &Key) -> Result<(), StoreError> {
        let Some(value) = self.value(key)? else { return Ok(()) };
        self.set(key.clone(), value)?;
        let position = self.positions.get(key).copied();
        if let Some(entry) = position.and_then(|position| self.dirty.get_mut(position)) {
            entry.fate = entry.fate.gone();
        }
        Ok(())
    }

    /// The committed entries that expired before a time, the oldest first, as many as one block
    /// forgets.
    pub fn expired(&self, time_ms: u64) -> Result<Vec<Key>, StoreError> {
        self.base.expired(time_ms, limits::FORGOTTEN_PER_BLOCK_MAX)
    }

    /// Keeps what was set since the last call of this or of [`Overlay::roll_back`].
    pub fn keep(&mut self) {
        self.journal.clear();
    }

    /// Undoes what was set since then, as if it had never been.
    pub fn roll_back(&mut self) {
        while let Some(undo) = self.journal.pop() {
            match undo {
                Undo::Restore(position, value, fate) => {
                    if let Some(entry) = self.dirty.get_mut(position) {
                        entry.value = value;
                        entry.fate = fate;
                    }
                }
                Undo::Remove => {
                    if let Some(entry) = self.dirty.pop() {
                        self.positions.remove(&entry.key);
                        if entry.fate.is_new() {
                            self.next_slot = entry.slot;
                        }
                    }
                }
            }
        }
    }

    /// How many slots there are with the new entries.
    pub fn slots(&self) -> u64 {
        self.next_slot
    }

    /// The balances of an account as the block has them so far, in order of asset; of those
    /// committed before at most `limit`. Balances are never removed.
    pub fn balances(
        &self,
        account: &AccountId,
        limit: usize,
    ) -> Result<BTreeMap<AssetId, Balance>, StoreError> {
        let committed = self.base.list(&Key::balances(account), None, limit)?;
        let committed = committed.into_iter().map(|(key, entry)| (key, entry.value));
        let changed = self
            .dirty
            .iter()
            .filter(|entry| matches!(&entry.key, Key::Balance(owner, _) if owner == account));
        let changed = changed.map(|entry| (entry.key.clone(), entry.value.clone()));
        let balances = committed.chain(changed).filter_map(|entry| match entry {
            (Key::Balance(_, asset), Value::Balance(balance)) => Some((asset, balance)),
            _ => None,
        });
        Ok(balances.collect())
    }

    /// Threads new entries into the order of keys and removed ones out of it, and hands all
    /// changes out in the order they were first touched, after which come the entries whose next
    /// key alone changed.
    pub fn finish(mut self) -> Result<Vec<Dirty>, StoreError> {
        self.keep();
        let created = self.keys_with(Fate::Created);
        let removed = self.keys_with(Fate::Removed);
        // Every key that comes or goes does so after a committed entry that stays, but in the
        // first block: the smallest key always stays.
        let mut anchors = BTreeSet::new();
        for key in created.keys().chain(removed.keys()) {
            if let Some(anchor) = self.anchor(key, &removed)? {
                anchors.insert(anchor);
            }
        }
        if anchors.is_empty() {
            self.link(created.iter(), Arc::from([]));
            return Ok(self.dirty);
        }
        for anchor in anchors {
            let position = self.touch(&anchor)?;
            let end = self.next_that_stays(position, &removed);
            let after = match end.is_empty() {
                true => Bound::Unbounded,
                false => Bound::Excluded(end.to_vec()),
            };
            let between = created.range((Bound::Excluded(anchor.clone()), after));
            self.link(std::iter::once((&anchor, &position)).chain(between), end);
        }
        Ok(self.dirty)
    }

    fn keys_with(&self, fate: Fate) -> BTreeMap<Vec<u8>, usize> {
        let entries = self.dirty.iter().enumerate().filter(|(_, entry)| entry.fate == fate);
        entries.map(|(position, entry)| (entry.key.to_bytes(), position)).collect()
    }

    /// The largest committed key below `key` that stays.
    fn anchor(
        &self,
        key: &[u8],
        removed: &BTreeMap<Vec<u8>, usize>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        let mut below = self.base.predecessor(key)?;
        while let Some(found) = below.take_if(|found| removed.contains_key(found)) {
            below = self.base.predecessor(&found)?;
        }
        Ok(below)
    }

    /// The committed key after the entry at `position` that stays; empty if there is none.
    fn next_that_stays(&self, position: usize, removed: &BTreeMap<Vec<u8>, usize>) -> Arc<[u8]> {
        let next_of = |position: &usize| self.dirty.get(*position).map(|entry| entry.next.clone());
        let mut next = next_of(&position).unwrap_or_default();
        while let Some(after) = removed.get(&next[..]).and_then(next_of) {
            next = after;
        }
        next
    }

    /// Each of these names the one after it, and the last one `end`.
    fn link<'k>(&mut self, keys: impl Iterator<Item = (&'k Vec<u8>, &'k usize)>, end: Arc<[u8]>) {
        let keys: Vec<_> = keys.collect();
        let following = keys.iter().skip(1).map(|(key, _)| Arc::from(&key[..]));
        let nexts = following.chain([end]);
        for ((_, position), next) in keys.iter().zip(nexts) {
            if let Some(entry) = self.dirty.get_mut(**position) {
                entry.next = next;
            }
        }
    }

    /// The position of a committed entry among the changes, without changing its value.
    fn touch(&mut self, key: &[u8]) -> Result<usize, StoreError> {
        let damaged = StoreError::Row { table: Table::Keys };
        let key = Key::from_bytes(key).ok_or_else(|| damaged.clone())?;
        if let Some(position) = self.positions.get(&key) {
            return Ok(*position);
        }
        let entry = self.base.load(&key)?.ok_or(damaged)?;
        let dirty = Dirty {
            key: key.clone(),
            slot: entry.slot,
            next: entry.next,
            value: entry.value,
            fate: Fate::Changed,
        };
        Ok(self.push(key, dirty))
    }

    fn push(&mut self, key: Key, dirty: Dirty) -> usize {
        let position = self.dirty.len();
        self.positions.insert(key, position);
        self.dirty.push(dirty);
        position
    }
}

impl ReadEntries for Overlay {
    fn value(&self, key: &Key) -> Result<Option<Value>, StoreError> {
        let changed = self.positions.get(key).and_then(|position| self.dirty.get(*position));
        match changed {
            Some(entry) => Ok(entry.fate.is_live().then(|| entry.value.clone())),
            None => Ok(self.base.load(key)?.map(|entry| entry.value)),
        }
    }
}
