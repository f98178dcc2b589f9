//! What a block being executed changes, beside the committed state, which it leaves alone.
//!
//! Entries stand in the order they were first touched and new ones get their slots in that order,
//! so everything that follows is a function of the header and its batches. A journal undoes the
//! transaction that is being executed if it fails.

use std::collections::HashMap;
use std::sync::Arc;

use super::entries::{Entries, ReadEntries};
use super::key::Key;
use super::value::Value;
use crate::store::{StoreError, Table};

/// One changed or new entry.
#[derive(Debug, Clone)]
pub struct Dirty {
    /// Its key.
    pub key: Key,
    /// Its slot.
    pub slot: u64,
    /// The bytes of the next key.
    pub next: Arc<[u8]>,
    /// Its value.
    pub value: Value,
    /// Whether it is new.
    pub created: bool,
}

enum Undo {
    /// The entry at this position had this value.
    Restore(usize, Value),
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
    /// No changes to a state that has `slots` entries.
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
                self.journal.push(Undo::Restore(position, before));
            }
            return Ok(());
        }
        let dirty = match self.base.load(&key)? {
            Some(entry) => Dirty {
                key: key.clone(),
                slot: entry.slot,
                next: entry.next,
                value,
                created: false,
            },
            None => {
                let slot = self.next_slot;
                self.next_slot += 1;
                Dirty { key: key.clone(), slot, next: Arc::from([]), value, created: true }
            }
        };
        self.push(key, dirty);
        self.journal.push(Undo::Remove);
        Ok(())
    }

    /// Keeps what was set since the last call of this or of [`Overlay::roll_back`].
    pub fn keep(&mut self) {
        self.journal.clear();
    }

    /// Undoes what was set since then, as if it had never been.
    pub fn roll_back(&mut self) {
        while let Some(undo) = self.journal.pop() {
            match undo {
                Undo::Restore(position, value) => {
                    if let Some(entry) = self.dirty.get_mut(position) {
                        entry.value = value;
                    }
                }
                Undo::Remove => {
                    if let Some(entry) = self.dirty.pop() {
                        self.positions.remove(&entry.key);
                        if entry.created {
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

    /// Threads the new entries into the order of keys, and hands all changes out in the order they
    /// were first touched, after which come the entries whose next key alone changed.
    pub fn finish(mut self) -> Result<Vec<Dirty>, StoreError> {
        self.keep();
        let mut created: Vec<(Vec<u8>, usize)> = self
            .dirty
            .iter()
            .enumerate()
            .filter(|(_, entry)| entry.created)
            .map(|(position, entry)| (entry.key.to_bytes(), position))
            .collect();
        created.sort();
        let is_first_block = created.len() as u64 == self.next_slot;
        let mut before: Option<(Vec<u8>, usize)> = None;
        for (key, position) in created {
            let committed = match is_first_block {
                true => None,
                false => self.base.predecessor(&key)?,
            };
            let predecessor = match (committed, &before) {
                (Some(bytes), Some((created, _))) if bytes > *created => Some(self.touch(&bytes)?),
                (_, Some((_, position))) => Some(*position),
                (Some(bytes), None) => Some(self.touch(&bytes)?),
                (None, None) => None,
            };
            if let Some(predecessor) = predecessor {
                self.link(predecessor, position, &key);
            }
            before = Some((key, position));
        }
        Ok(self.dirty)
    }

    /// The new entry at `position` goes between its predecessor and that one's next.
    fn link(&mut self, predecessor: usize, position: usize, key: &[u8]) {
        let next = self
            .dirty
            .get_mut(predecessor)
            .map(|entry| std::mem::replace(&mut entry.next, Arc::from(key)));
        if let (Some(entry), Some(next)) = (self.dirty.get_mut(position), next) {
            entry.next = next;
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
            created: false,
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
            Some(entry) => Ok(Some(entry.value.clone())),
            None => Ok(self.base.load(key)?.map(|entry| entry.value)),
        }
    }
}
