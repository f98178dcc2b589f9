//! Committed state entries: in the cache or in the database.

use std::ops::ControlFlow;
use std::sync::Arc;

use tonle_model::hash::TransactionHash;
use tonle_model::id::{AccountId, AssetId, DomainId, Name};

use super::cache::{Cache, Entry};
use super::key::Key;
use super::value::{Account, Asset, Balance, Domain, Metadata, Recalled, Rights, Role, Value};
use crate::store::{ScanOrder, Store, StoreError, Table, decode_row};

/// Whatever knows the values of state entries: the committed state, or a block being executed.
pub trait ReadEntries {
    /// The value of a key.
    fn value(&self, key: &Key) -> Result<Option<Value>, StoreError>;

    /// A domain.
    fn domain(&self, id: &DomainId) -> Result<Option<Arc<Domain>>, StoreError> {
        Ok(match self.value(&Key::Domain(id.clone()))? {
            Some(Value::Domain(domain)) => Some(domain),
            _ => None,
        })
    }

    /// An account.
    fn account(&self, id: &AccountId) -> Result<Option<Arc<Account>>, StoreError> {
        Ok(match self.value(&Key::Account(id.clone()))? {
            Some(Value::Account(account)) => Some(account),
            _ => None,
        })
    }

    /// An asset.
    fn asset(&self, id: &AssetId) -> Result<Option<Arc<Asset>>, StoreError> {
        Ok(match self.value(&Key::Asset(id.clone()))? {
            Some(Value::Asset(asset)) => Some(asset),
            _ => None,
        })
    }

    /// What an account has of an asset; `None` if it never had any.
    fn balance(&self, account: &AccountId, asset: &AssetId) -> Result<Option<Balance>, StoreError> {
        Ok(match self.value(&Key::Balance(account.clone(), asset.clone()))? {
            Some(Value::Balance(balance)) => Some(balance),
            _ => None,
        })
    }

    /// What an account may do beyond its own.
    fn rights(&self, id: &AccountId) -> Result<Option<Arc<Rights>>, StoreError> {
        Ok(match self.value(&Key::Rights(id.clone()))? {
            Some(Value::Rights(rights)) => Some(rights),
            _ => None,
        })
    }

    /// A role.
    fn role(&self, id: &Name) -> Result<Option<Arc<Role>>, StoreError> {
        Ok(match self.value(&Key::Role(id.clone()))? {
            Some(Value::Role(role)) => Some(role),
            _ => None,
        })
    }

    /// What was noted with an account.
    fn metadata(&self, id: &AccountId) -> Result<Option<Arc<Metadata>>, StoreError> {
        Ok(match self.value(&Key::Metadata(id.clone()))? {
            Some(Value::Metadata(notes)) => Some(notes),
            _ => None,
        })
    }

    /// What was recalled of the payment of a step; `None` if nothing was.
    fn recalled(
        &self,
        transaction: &TransactionHash,
        step: u16,
    ) -> Result<Option<Recalled>, StoreError> {
        Ok(match self.value(&Key::Recalled(*transaction, step))? {
            Some(Value::Recalled(recalled)) => Some(*recalled),
            _ => None,
        })
    }
}

/// The committed entries. Clones share the cache.
#[derive(Clone)]
pub struct Entries {
    store: Arc<dyn Store>,
    cache: Arc<Cache>,
}

impl Entries {
    /// The entries in a store.
    pub fn new(store: Arc<dyn Store>, cache: Arc<Cache>) -> Self {
        Self { store, cache }
    }

    /// An entry, for readers: see [`Cache`] on who may insert.
    pub fn get(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        match self.cache.get(key) {
            Some(entry) => Ok(Some(entry)),
            None => self.read(key),
        }
    }

    /// An entry, for the owner of the state: held in the cache from now on.
    pub fn load(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        if let Some(entry) = self.cache.get(key) {
            return Ok(Some(entry));
        }
        let entry = self.read(key)?;
        if let Some(entry) = &entry {
            self.cache.insert(key.clone(), entry.clone());
        }
        Ok(entry)
    }

    /// Holds what was just committed.
    pub fn committed(&self, key: Key, entry: Entry) {
        self.cache.insert(key, entry);
    }

    /// Forgets what was just removed.
    pub fn removed(&self, key: &Key) {
        self.cache.remove(key);
    }

    /// The keys of entries that expired before a time, by expiry, at most `limit`.
    pub fn expired(&self, time_ms: u64, limit: usize) -> Result<Vec<Key>, StoreError> {
        let mut keys = Vec::new();
        self.store.scan(Table::Expiries, &[], ScanOrder::Ascending, &mut |row, _| {
            let Some((expires_ms, key)) = row.split_first_chunk() else {
                keys.push(None);
                return ControlFlow::Break(());
            };
            if u64::from_be_bytes(*expires_ms) >= time_ms || keys.len() >= limit {
                return ControlFlow::Break(());
            }
            keys.push(Key::from_bytes(key));
            ControlFlow::Continue(())
        })?;
        let damaged = StoreError::Row { table: Table::Expiries };
        keys.into_iter().map(|key| key.ok_or(damaged.clone())).collect()
    }

    /// The largest committed key below `key`.
    pub fn predecessor(&self, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        let mut found = None;
        self.store.scan(Table::Keys, key, ScanOrder::Descending, &mut |row, _| {
            if row == key {
                return ControlFlow::Continue(());
            }
            found = Some(row.to_vec());
            ControlFlow::Break(())
        })?;
        Ok(found)
    }

    /// The entries whose keys begin with `prefix`, after the key `after`, at most `limit`.
    pub fn list(
        &self,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Key, Entry)>, StoreError> {
        let mut slots = Vec::new();
        let start = after.unwrap_or(prefix);
        self.store.scan(Table::Keys, start, ScanOrder::Ascending, &mut |key, slot| {
            if !key.starts_with(prefix) || slots.len() >= limit {
                return ControlFlow::Break(());
            }
            if after != Some(key) {
                slots.push(slot.to_vec());
            }
            ControlFlow::Continue(())
        })?;
        let keys: Vec<&[u8]> = slots.iter().map(Vec::as_slice).collect();
        let rows = self.store.multi_get(Table::Slots, &keys)?;
        let mut entries = Vec::with_capacity(rows.len());
        for (slot, row) in keys.into_iter().zip(rows) {
            let row = row.ok_or(StoreError::Row { table: Table::Slots })?;
            // Removed since its key was read.
            if row != EMPTY_ROW {
                entries.push(decode_entry(slot_of(slot)?, &row)?);
            }
        }
        Ok(entries)
    }

    fn read(&self, key: &Key) -> Result<Option<Entry>, StoreError> {
        let Some(slot) = self.store.get(Table::Keys, &key.to_bytes())? else { return Ok(None) };
        let damaged = || StoreError::Row { table: Table::Slots };
        let row = self.store.get(Table::Slots, &slot)?.ok_or_else(damaged)?;
        if row == EMPTY_ROW {
            // Removed since its key was read.
            return Ok(None);
        }
        match decode_entry(slot_of(&slot)?, &row)? {
            (found, entry) if found == *key => Ok(Some(entry)),
            _ => Err(damaged()),
        }
    }
}

impl ReadEntries for Entries {
    fn value(&self, key: &Key) -> Result<Option<Value>, StoreError> {
        Ok(self.get(key)?.map(|entry| entry.value))
    }
}

/// A slot as a key of the database.
pub fn slot_key(slot: u64) -> [u8; 8] {
    slot.to_be_bytes()
}

/// The slot that is a key of the database.
pub fn slot_of(key: &[u8]) -> Result<u64, StoreError> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::Row { table: Table::Slots })
}

/// The row in [`Table::Expiries`] of an entry that can be forgotten after a time.
pub fn expiry_key(expires_ms: u64, key: &Key) -> Vec<u8> {
    let mut row = expires_ms.to_be_bytes().to_vec();
    key.write_to(&mut row);
    row
}

/// The row of a slot whose entry was removed: nothing, no value, nothing after it.
pub const EMPTY_ROW: &[u8] = &[0, 0, 0];

/// Reads the row of a slot: SCALE of the key's bytes, the value's bytes, the next key's bytes.
pub fn decode_entry(slot: u64, row: &[u8]) -> Result<(Key, Entry), StoreError> {
    let damaged = || StoreError::Row { table: Table::Slots };
    let (key, value, next): (Vec<u8>, Vec<u8>, Vec<u8>) = decode_row(Table::Slots, row)?;
    let key = Key::from_bytes(&key).ok_or_else(damaged)?;
    let value = Value::decode(&key, &value).map_err(|_| damaged())?;
    Ok((key, Entry { slot, next: next.into(), value }))
}
