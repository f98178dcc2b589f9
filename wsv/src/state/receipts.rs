//! What became of transactions, by block and by hash.

use parity_scale_codec::{Decode, Encode};
use tonle_model::block::BlockResult;
use tonle_model::hash::{Digest256, TransactionHash};
use tonle_model::number::Height;
use tonle_model::receipt::{Outcome, Receipt};

use crate::store::{Changes, Store, StoreError, Table, decode_row};

/// Where a transaction is and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransactionRecord {
    /// Its block.
    pub height: Height,
    /// Its place among the receipts of the block, which is its leaf in the receipts tree.
    pub index: u32,
    /// Its place among all transactions of the block's batches, void ones included.
    pub place: u32,
    /// What became of it.
    pub receipt: Receipt,
    /// Why, in words for people; empty if it was applied.
    pub detail: String,
}

/// A receipt with what is needed to know after a start what is used up.
#[derive(Debug, Clone, Encode, Decode)]
pub struct ReceiptRow {
    /// The receipt.
    pub receipt: Receipt,
    /// When the transaction expires.
    pub expires_ms: u64,
    /// The references that it used up.
    pub references: Vec<Digest256>,
}

/// What a block came to.
#[derive(Debug, Clone, Encode, Decode)]
pub struct ReceiptsRow {
    /// Block time.
    pub timestamp_ms: u64,
    /// The block's result.
    pub result: BlockResult,
    /// The receipts, in order.
    pub receipts: Vec<ReceiptRow>,
}

#[derive(Encode, Decode)]
struct TransactionRow {
    height: Height,
    index: u32,
    place: u32,
    outcome: Outcome,
    detail: String,
}

/// Writes what a block came to.
pub fn put_receipts(changes: &mut Changes, height: Height, row: &ReceiptsRow) {
    changes.put(Table::Receipts, &height.0.to_be_bytes(), &row.encode());
}

/// Reads what a block came to.
pub fn receipts(store: &dyn Store, height: Height) -> Result<Option<ReceiptsRow>, StoreError> {
    let row = store.get(Table::Receipts, &height.0.to_be_bytes())?;
    row.map(|row| decode_row(Table::Receipts, &row)).transpose()
}

/// Writes where a transaction is.
pub fn put_transaction(changes: &mut Changes, record: TransactionRecord) {
    let row = TransactionRow {
        height: record.height,
        index: record.index,
        place: record.place,
        outcome: record.receipt.outcome,
        detail: record.detail,
    };
    changes.put(Table::Transactions, record.receipt.transaction.as_ref(), &row.encode());
}

/// Reads where a transaction is.
pub fn transaction(
    store: &dyn Store,
    hash: &TransactionHash,
) -> Result<Option<TransactionRecord>, StoreError> {
    let Some(row) = store.get(Table::Transactions, hash.as_ref())? else { return Ok(None) };
    let row: TransactionRow = decode_row(Table::Transactions, &row)?;
    Ok(Some(TransactionRecord {
        height: row.height,
        index: row.index,
        place: row.place,
        receipt: Receipt { transaction: *hash, outcome: row.outcome },
        detail: row.detail,
    }))
}
