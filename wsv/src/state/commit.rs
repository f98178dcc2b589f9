//! Committing an executed block: one atomic write, then what is in memory.

use std::sync::{Arc, PoisonError};

use parity_scale_codec::{Decode, Encode};
use tonle_model::block::Header;
use tonle_model::genesis::Genesis;
use tonle_model::hash::{ChainHash, HoldId, TransactionHash};
use tonle_model::id::{AccountId, DomainId};

use super::cache::{Cache, Entry};
use super::entries::{Entries, expiry_key, slot_key};
use super::execute::{CommittedBlock, Executed, Plan, each_row, execute_genesis};
use super::history::{Place, put_movement};
use super::key::{Key, SEPARATOR};
use super::overlay::{Fate, Overlay};
use super::receipts::{ReceiptsRow, TransactionRecord, put_receipts, put_transaction};
use super::totals::put_totals;
use super::value::{Value, expiry};
use super::{Committed, Head, StateError, World};
use crate::store::{Changes, Durability, Store, StoreError, Table, decode_row};

/// The row of [`Table::StateMeta`] that says where the state is.
const META_KEY: &[u8] = b"committed";

/// Where the state in a database is.
#[derive(Debug, Encode, Decode)]
pub(super) struct Meta {
    pub chain: ChainHash,
    pub committed: Committed,
    pub slots: u64,
}

/// Reads where the state is; `None` if there is none.
pub(super) fn read_meta(store: &dyn Store) -> Result<Option<Meta>, StoreError> {
    let row = store.get(Table::StateMeta, META_KEY)?;
    row.map(|row| decode_row(Table::StateMeta, &row)).transpose()
}

/// Writes where the state is.
pub(super) fn put_meta(changes: &mut Changes, meta: &Meta) {
    changes.put(Table::StateMeta, META_KEY, &meta.encode());
}

/// Executes the genesis and writes its state.
pub(super) fn write_genesis(
    store: Arc<dyn Store>,
    genesis: &Genesis,
    chain: ChainHash,
) -> Result<(), StateError> {
    let header = Header::genesis(chain, genesis.created_ms);
    // A genesis may be large and nobody reads yet: what it makes need not be held.
    let entries = Entries::new(store.clone(), Arc::new(Cache::new(0)));
    let executed = execute_genesis(&header, genesis, Overlay::new(entries, 0), &*store)?;
    let slots = executed.plan.dirty.len() as u64;
    let changes = write(&*store, &executed.summary, &executed.plan, slots)?;
    // Synced: the chain cannot redo it.
    store.write(&changes, Durability::Synced)?;
    Ok(())
}

impl World {
    /// Makes an executed candidate the state. Not synced: the chain can redo it.
    pub fn commit(&mut self, executed: Executed) -> Result<Arc<CommittedBlock>, StateError> {
        let Executed { summary, plan } = executed;
        let before = self.committed();
        if summary.header.parent != before.block {
            let reason = "another block was committed since it was executed";
            return Err(StateError::NotNext { committed: before.height, reason });
        }
        let created = plan.dirty.iter().filter(|entry| entry.fate.is_new()).count() as u64;
        let slots = self.tree.slots() + created;
        let changes = write(&*self.shared.store, &summary, &plan, slots)?;
        self.shared.store.write(&changes, Durability::Unsynced)?;
        for entry in plan.dirty {
            if !entry.fate.is_live() {
                self.shared.entries.removed(&entry.key);
                continue;
            }
            let held = Entry { slot: entry.slot, next: entry.next, value: entry.value };
            self.shared.entries.committed(entry.key, held);
        }
        self.tree.apply(plan.tree);
        let mut window = self.shared.window.write().unwrap_or_else(PoisonError::into_inner);
        for row in &plan.receipts {
            window.insert(row.receipt.transaction, row.expires_ms, &row.references);
        }
        window.evict(summary.header.timestamp_ms);
        drop(window);
        let head = Head {
            committed: committed(&summary),
            validators: summary.next_validators.clone(),
            parameters: summary.parameters.clone(),
            marks: summary.marks.clone(),
        };
        *self.shared.head.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(head);
        Ok(summary)
    }
}

fn committed(block: &CommittedBlock) -> Committed {
    Committed {
        height: block.header.height,
        block: block.block,
        result: block.result,
        timestamp_ms: block.header.timestamp_ms,
    }
}

/// Everything that a block changes in the database.
fn write(
    store: &dyn Store,
    block: &CommittedBlock,
    plan: &Plan,
    slots: u64,
) -> Result<Changes, StoreError> {
    let mut changes = Changes::default();
    for (entry, row) in plan.dirty.iter().zip(each_row(&plan.rows)) {
        changes.put(Table::Slots, &slot_key(entry.slot), row);
        match entry.fate {
            Fate::Changed | Fate::Passed => {}
            Fate::Created => {
                index(entry.slot, &entry.key, &entry.value, &mut |table, key, value| {
                    changes.put(table, key, value);
                })
            }
            Fate::Removed => index(entry.slot, &entry.key, &entry.value, &mut |table, key, _| {
                changes.delete(table, key);
            }),
        }
    }
    plan.tree.persist(&mut changes);
    write_transactions(block, plan, &mut changes);
    write_history(block, plan, &mut changes);
    put_totals(store, plan.movements.iter().map(|(_, movement)| movement), &mut changes)?;
    let row = ReceiptsRow {
        timestamp_ms: block.header.timestamp_ms,
        result: block.result,
        receipts: plan.receipts.clone(),
    };
    put_receipts(&mut changes, block.header.height, &row);
    let meta = Meta { chain: block.header.chain, committed: committed(block), slots };
    put_meta(&mut changes, &meta);
    Ok(changes)
}

/// What a state entry is found by, as long as it is there.
pub(super) fn index(
    slot: u64,
    key: &Key,
    value: &Value,
    note: &mut impl FnMut(Table, &[u8], &[u8]),
) {
    note(Table::Keys, &key.to_bytes(), &slot_key(slot));
    if let Some(expires_ms) = expiry(key, value) {
        note(Table::Expiries, &expiry_key(expires_ms, key), &[]);
    }
    if let Key::Account(id) = key {
        note(Table::Accounts, &account_key(&id.domain(), id.as_str()), &[]);
    }
    if let (Key::Hold(id), Value::Hold(hold)) = (key, value) {
        for party in [Some(&hold.from), Some(&hold.to), hold.arbiter.as_ref()].into_iter().flatten()
        {
            note(Table::Holds, &hold_key(party, Some(id)), &[]);
        }
    }
}

/// The row in [`Table::Accounts`] of an account; without a name, what all rows of the domain begin
/// with.
pub(super) fn account_key(domain: &DomainId, id: &str) -> Vec<u8> {
    [domain.as_str().as_bytes(), &[SEPARATOR], id.as_bytes()].concat()
}

/// The row in [`Table::Holds`] of a party and a hold; without a hold, what all of its rows begin
/// with.
pub(super) fn hold_key(party: &AccountId, id: Option<&HoldId>) -> Vec<u8> {
    let id = id.map(AsRef::as_ref).unwrap_or_default();
    [party.as_str().as_bytes(), &[SEPARATOR], id].concat()
}

fn write_transactions(block: &CommittedBlock, plan: &Plan, changes: &mut Changes) {
    let mut details = block.details.iter().peekable();
    for ((index, receipt), place) in (0u32..).zip(&block.receipts).zip(&plan.places) {
        let detail = details.next_if(|(of, _)| *of == index);
        let record = TransactionRecord {
            height: block.header.height,
            index,
            place: *place,
            receipt: *receipt,
            detail: detail.map_or_else(String::new, |(_, detail)| detail.clone()),
        };
        put_transaction(changes, record);
    }
}

fn write_history(block: &CommittedBlock, plan: &Plan, changes: &mut Changes) {
    let mut key = Vec::new();
    for (index, movement) in &plan.movements {
        let receipt = block.receipts.get(*index as usize);
        let place = Place {
            height: block.header.height,
            time_ms: block.header.timestamp_ms,
            index: *index,
            transaction: receipt
                .map_or_else(TransactionHash::default, |receipt| receipt.transaction),
        };
        put_movement(changes, &mut key, place, movement);
    }
}
