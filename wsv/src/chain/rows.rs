//! The rows of the chain database.

use parity_scale_codec::{Decode, Encode};
use tonle_model::block::Header;
use tonle_model::hash::BlockHash;
use tonle_model::number::Height;
use tonle_model::vote::Certificate;

use crate::store::{Changes, Store, StoreError, Table, decode_row};

/// Meta row: the network.
pub const CHAIN: &[u8] = b"chain";
/// Meta row: the mark as the database has it.
pub const MARK: &[u8] = b"mark";
/// Meta row: no undecided batch has a smaller number.
pub const LOW_WATER: &[u8] = b"low_water";
/// Meta row: present while the log is known to have lost something.
pub const LOST: &[u8] = b"lost";

/// Meta row: the first block that is held, if a snapshot brought it.
pub const FIRST: &[u8] = b"first";

/// A decided block.
#[derive(Encode, Decode)]
pub struct BlockRow {
    /// Its header.
    pub header: Header,
    /// What decided it.
    pub finalization: Certificate,
    /// The local numbers of its batches, in the header's order.
    pub batches: Vec<u64>,
}

/// Key of a record: height, then number.
pub fn record_key(height: Height, number: u64) -> [u8; 16] {
    let mut key = [0; 16];
    let (first, second) = key.split_at_mut(8);
    first.copy_from_slice(&height.0.to_be_bytes());
    second.copy_from_slice(&number.to_be_bytes());
    key
}

/// The number that a record's key ends with.
pub fn record_number(key: &[u8]) -> Option<u64> {
    key.last_chunk().map(|bytes| u64::from_be_bytes(*bytes))
}

/// Key of a batch by its local number, or of a block by its height.
pub fn number_key(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

/// The number that is a key.
pub fn number_of(table: Table, key: &[u8]) -> Result<u64, StoreError> {
    key.try_into().map(u64::from_be_bytes).map_err(|_| StoreError::Row { table })
}

/// Writes a decided block and its place by hash.
pub fn put_block(changes: &mut Changes, block: &BlockHash, row: &BlockRow) {
    let key = number_key(row.header.height.0);
    changes.put(Table::Blocks, &key, &row.encode());
    changes.put(Table::BlockHeights, block.as_ref(), &key);
}

/// Reads a decided block.
pub fn block(store: &dyn Store, height: Height) -> Result<Option<BlockRow>, StoreError> {
    let row = store.get(Table::Blocks, &number_key(height.0))?;
    row.map(|row| decode_row(Table::Blocks, &row)).transpose()
}

/// Writes a meta row.
pub fn put_meta(changes: &mut Changes, key: &[u8], value: &impl Encode) {
    changes.put(Table::ChainMeta, key, &value.encode());
}

/// Reads a meta row.
pub fn meta<T: Decode>(store: &dyn Store, key: &[u8]) -> Result<Option<T>, StoreError> {
    let row = store.get(Table::ChainMeta, key)?;
    row.map(|row| decode_row(Table::ChainMeta, &row)).transpose()
}
