//! A store that tells of its failures, whoever runs into them.
//!
//! Most of a database is read long after it was opened, by threads that can do no more than fail
//! what they were asked. The node ends all the same: what a damaged database says next is unknown.

use std::sync::Arc;

use super::{Changes, Durability, ScanOrder, Store, StoreError, Table, Visit};

/// Hears of failures, on the thread that ran into them.
pub type OnFailure = Arc<dyn Fn(&StoreError) + Send + Sync>;

/// The store.
pub struct WatchedStore<S> {
    store: S,
    on_failure: OnFailure,
}

impl<S: Store> WatchedStore<S> {
    /// Tells of every failure of `store`.
    pub fn new(store: S, on_failure: OnFailure) -> Self {
        Self { store, on_failure }
    }

    fn watch<T>(&self, result: Result<T, StoreError>) -> Result<T, StoreError> {
        result.inspect_err(|error| (self.on_failure)(error))
    }
}

impl<S: Store> Store for WatchedStore<S> {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
        self.watch(self.store.get(table, key))
    }

    fn multi_get(&self, table: Table, keys: &[&[u8]]) -> Result<Vec<Option<Vec<u8>>>, StoreError> {
        self.watch(self.store.multi_get(table, keys))
    }

    fn scan(
        &self,
        table: Table,
        start: &[u8],
        order: ScanOrder,
        visit: Visit<'_>,
    ) -> Result<(), StoreError> {
        self.watch(self.store.scan(table, start, order, visit))
    }

    fn write(&self, changes: &Changes, durability: Durability) -> Result<(), StoreError> {
        self.watch(self.store.write(changes, durability))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;
    use crate::memory::MemoryStore;

    #[test]
    fn a_failure_is_told_and_passed_on() {
        let heard = Arc::new(Mutex::new(Vec::new()));
        let ears = heard.clone();
        let hear = move |error: &StoreError| ears.lock().unwrap().push(error.to_string());
        let store = WatchedStore::new(MemoryStore::new(), Arc::new(hear));
        let mut changes = Changes::default();
        changes.put(Table::Blocks, b"key", b"value");
        store.write(&changes, Durability::Synced).unwrap();
        assert_eq!(store.get(Table::Blocks, b"key").unwrap(), Some(b"value".to_vec()));
        assert!(heard.lock().unwrap().is_empty());
        store.store.break_writes();
        let error = store.write(&changes, Durability::Synced).unwrap_err().to_string();
        assert_eq!(*heard.lock().unwrap(), [error]);
    }
}
