//! What a node that joined from a snapshot remembers of it: where its own records begin, and how
//! the validators came to be those of that height, which blocks it does not have would say.

use parity_scale_codec::{Decode, Encode};
use tonle_model::bounded::Bounded;
use tonle_model::limits;
use tonle_model::number::Height;
use tonle_model::proof::{CertifiedBlock, ValidatorChange};

use crate::chain::rows;
use crate::state::entries::ReadEntries;
use crate::state::instruction;
use crate::state::receipts::receipts;
use crate::store::{Changes, Store, StoreError, Table, decode_row};

/// The row of [`Table::StateMeta`] of a state that a snapshot brought.
const JOINED_KEY: &[u8] = b"joined";

/// Changes of the validators with what certifies them.
pub type CertifiedChanges = Bounded<ValidatorChange, { limits::VALIDATOR_CHANGES_MAX }>;

/// What is remembered of the snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct Joined {
    /// The first block whose receipts and batches are here.
    pub first: Height,
    /// The height of the snapshot: the history of accounts begins after it.
    pub height: Height,
    /// The time of that block.
    pub timestamp_ms: u64,
    /// The changes of the validators before that height.
    pub changes: CertifiedChanges,
}

impl Joined {
    /// What the state remembers; `None` if it was executed from the genesis.
    pub fn read(store: &dyn Store) -> Result<Option<Self>, StoreError> {
        let row = store.get(Table::StateMeta, JOINED_KEY)?;
        row.map(|row| decode_row(Table::StateMeta, &row)).transpose()
    }

    pub(super) fn put(&self, changes: &mut Changes) {
        changes.put(Table::StateMeta, JOINED_KEY, &self.encode());
    }
}

/// How the validators of a height came to follow those of the genesis.
pub fn certified_changes(
    entries: &impl ReadEntries,
    state: &dyn Store,
    chain: &dyn Store,
    until: Height,
) -> Result<CertifiedChanges, StoreError> {
    let brought = Joined::read(state)?.map(|joined| joined.changes).unwrap_or_default();
    let heights = instruction::changes(entries)?;
    let mut changes = Vec::new();
    for height in heights.iter().filter(|height| **height < until) {
        let known = brought.iter().find(|change| change.block.header.height == *height);
        changes.push(match known {
            Some(change) => change.clone(),
            None => certified_change(entries, state, chain, *height)?,
        });
    }
    // The state keeps no more of them.
    Bounded::new(changes).map_err(|_| StoreError::Row { table: Table::Slots })
}

fn certified_change(
    entries: &impl ReadEntries,
    state: &dyn Store,
    chain: &dyn Store,
    height: Height,
) -> Result<ValidatorChange, StoreError> {
    let next = instruction::validators_at(entries, height.next())?;
    let next_validators = Bounded::new(next.iter().cloned().collect());
    let next_validators = next_validators.map_err(|_| StoreError::Row { table: Table::Slots })?;
    Ok(ValidatorChange { block: certified_block(state, chain, height)?, next_validators })
}

/// A decided block with what it came to.
pub fn certified_block(
    state: &dyn Store,
    chain: &dyn Store,
    height: Height,
) -> Result<CertifiedBlock, StoreError> {
    let block = rows::block(chain, height)?.ok_or(StoreError::Row { table: Table::Blocks })?;
    let row = receipts(state, height)?.ok_or(StoreError::Row { table: Table::Receipts })?;
    Ok(CertifiedBlock {
        header: block.header,
        result: row.result,
        finalization: block.finalization,
    })
}
