//! Committing an executed block: one atomic write, then what is in memory.

use std::sync::{Arc, PoisonError};

use parity_scale_codec::{Decode, Encode};
use tonle_model::block::Header;
use tonle_model::genesis::Genesis;
use tonle_model::hash::{ChainHash, TransactionHash};

use super::cache::{Cache, Entry};
use super::entries::{Entries, slot_key};
use super::execute::{CommittedBlock, Executed, Plan, each_row, execute_genesis};
use super::history::{Place, put_movement};
use super::overlay::Overlay;
use super::receipts::{ReceiptsRow, TransactionRecord, put_receipts, put_transaction};
use super::{Committed, Head, StateError, World};
use crate::store::{Changes, Durability, Store, StoreError, Table, decode_row};

/// The one row of [`Table::StateMeta`].
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
    let changes = write(&executed.summary, &executed.plan, slots);
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
        let created = plan.dirty.iter().filter(|entry| entry.created).count() as u64;
        let changes = write(&summary, &plan, self.tree.slots() + created);
        self.shared.store.write(&changes, Durability::Unsynced)?;
        for entry in plan.dirty {
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
fn write(block: &CommittedBlock, plan: &Plan, slots: u64) -> Changes {
    let mut changes = Changes::default();
    let mut key = Vec::new();
    for (entry, row) in plan.dirty.iter().zip(each_row(&plan.rows)) {
        let slot = slot_key(entry.slot);
        changes.put(Table::Slots, &slot, row);
        if entry.created {
            key.clear();
            entry.key.write_to(&mut key);
            changes.put(Table::Keys, &key, &slot);
        }
    }
    plan.tree.persist(&mut changes);
    write_transactions(block, plan, &mut changes);
    write_history(block, plan, &mut changes);
    let row = ReceiptsRow {
        timestamp_ms: block.header.timestamp_ms,
        result: block.result,
        receipts: plan.receipts.clone(),
    };
    put_receipts(&mut changes, block.header.height, &row);
    let meta = Meta { chain: block.header.chain, committed: committed(block), slots };
    changes.put(Table::StateMeta, META_KEY, &meta.encode());
    changes
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
    for (index, step, movement) in &plan.movements {
        let receipt = block.receipts.get(*index as usize);
        let place = Place {
            height: block.header.height,
            time_ms: block.header.timestamp_ms,
            index: *index,
            step: *step,
            transaction: receipt
                .map_or_else(TransactionHash::default, |receipt| receipt.transaction),
        };
        put_movement(changes, &mut key, place, movement);
    }
}
