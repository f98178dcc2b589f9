//! The history of an account: one line per change of one of its balances (ledger.md, Reading).
//!
//! Lines stand under (account, asset, direction, block time, index, step, part). Block time grows
//! with height and belongs to one block, so time bounds are key bounds; a page of one asset and
//! direction is one range, and any other merges such ranges. No filter reads lines that it does not
//! show, and nothing scans the chain.

use std::fmt;
use std::ops::ControlFlow;
use std::str::FromStr;

use parity_scale_codec::{Decode, Encode};
use tonle_model::amount::Amount;
use tonle_model::hash::TransactionHash;
use tonle_model::id::{AccountId, AssetId};
use tonle_model::number::Height;
use tonle_model::string::Text;
use tonle_model::{hex, limits};

use super::instruction::Movement;
use super::key::SEPARATOR;
use crate::store::{Changes, ScanOrder, Store, StoreError, Table, decode_row};

/// Most lines on a page.
pub const PAGE_MAX: usize = 1_000;

/// Whether money came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It came.
    In,
    /// It went.
    Out,
}

impl Direction {
    fn number(self) -> u8 {
        match self {
            Self::In => 0,
            Self::Out => 1,
        }
    }
}

/// A place in an account's history. No two lines of an account share one: an instruction changes
/// what an account owns of one asset at most once in each direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HistoryCursor {
    time_ms: u64,
    index: u32,
    step: u16,
    part: u16,
    direction: u8,
}

/// Bytes of a cursor in a key.
const CURSOR_BYTES: usize = 8 + 4 + 2 + 2 + 1;

impl HistoryCursor {
    const LAST: Self = Self {
        time_ms: u64::MAX,
        index: u32::MAX,
        step: u16::MAX,
        part: u16::MAX,
        direction: u8::MAX,
    };

    /// After everything of the block of a time, and before everything later: for pages that end
    /// where the history of a node begins.
    pub fn end_of(time_ms: u64) -> Self {
        Self { time_ms, ..Self::LAST }
    }

    fn to_bytes(self) -> [u8; CURSOR_BYTES] {
        let mut bytes = [0; CURSOR_BYTES];
        let (time, rest) = bytes.split_at_mut(8);
        let (index, rest) = rest.split_at_mut(4);
        let (step, rest) = rest.split_at_mut(2);
        let (part, direction) = rest.split_at_mut(2);
        time.copy_from_slice(&self.time_ms.to_be_bytes());
        index.copy_from_slice(&self.index.to_be_bytes());
        step.copy_from_slice(&self.step.to_be_bytes());
        part.copy_from_slice(&self.part.to_be_bytes());
        direction.fill(self.direction);
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (time, rest) = bytes.split_first_chunk()?;
        let (index, rest) = rest.split_first_chunk()?;
        let (step, rest) = rest.split_first_chunk()?;
        let (part, rest) = rest.split_first_chunk()?;
        let [direction] = rest else { return None };
        Some(Self {
            time_ms: u64::from_be_bytes(*time),
            index: u32::from_be_bytes(*index),
            step: u16::from_be_bytes(*step),
            part: u16::from_be_bytes(*part),
            direction: *direction,
        })
    }
}

impl fmt::Display for HistoryCursor {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex::encode(&self.to_bytes()))
    }
}

/// A text is not a cursor that a page ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this cursor was not given out with a page")]
pub struct CursorError;

impl FromStr for HistoryCursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let bytes: [u8; CURSOR_BYTES] = hex::decode_array(text).ok_or(CursorError)?;
        Self::from_bytes(&bytes).ok_or(CursorError)
    }
}

/// Which lines to show, newest first.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    /// Whose.
    pub account: AccountId,
    /// Of one asset only.
    pub asset: Option<AssetId>,
    /// In one direction only.
    pub direction: Option<Direction>,
    /// Not before this block time.
    pub since_ms: Option<u64>,
    /// Not after this block time.
    pub until_ms: Option<u64>,
    /// At most so many, and at most [`PAGE_MAX`].
    pub limit: usize,
    /// Only what comes after the page that ended with this.
    pub cursor: Option<HistoryCursor>,
}

/// One line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// The block.
    pub height: Height,
    /// The transaction's place among the block's receipts; in genesis, the step's place.
    pub index: u32,
    /// The step's place in the transaction.
    pub step: u16,
    /// Of what.
    pub asset: AssetId,
    /// In or out.
    pub direction: Direction,
    /// From or to whom.
    pub counterparty: AccountId,
    /// How much.
    pub amount: Amount,
    /// What the account owned of the asset afterwards.
    pub balance: Amount,
    /// The transaction; zero in genesis.
    pub transaction: TransactionHash,
    /// Its memo.
    pub memo: Text<{ limits::MEMO_BYTES_MAX }>,
    /// Block time.
    pub time_ms: u64,
}

/// A page of lines, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HistoryPage {
    /// The lines.
    pub entries: Vec<HistoryEntry>,
    /// Where the next page goes on; `None` if there is none.
    pub next: Option<HistoryCursor>,
}

/// Where a movement happened.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// The block.
    pub height: Height,
    /// Its time.
    pub time_ms: u64,
    /// The transaction's place among the receipts.
    pub index: u32,
    /// The transaction.
    pub transaction: TransactionHash,
}

#[derive(Encode, Decode)]
struct HistoryRow {
    height: Height,
    counterparty: AccountId,
    amount: Amount,
    balance: Amount,
    transaction: TransactionHash,
    memo: Text<{ limits::MEMO_BYTES_MAX }>,
}

/// Writes the line of a movement. `key` is scratch space.
pub fn put_movement(changes: &mut Changes, key: &mut Vec<u8>, place: Place, movement: &Movement) {
    let direction = movement.direction.number();
    let Place { height, time_ms, index, transaction } = place;
    let Movement { step, part, .. } = *movement;
    key.clear();
    write_prefix(key, &movement.account, &movement.asset, movement.direction);
    key.extend_from_slice(&HistoryCursor { time_ms, index, step, part, direction }.to_bytes());
    let row = HistoryRow {
        height,
        counterparty: movement.counterparty.clone(),
        amount: movement.amount,
        balance: movement.balance,
        transaction,
        memo: movement.memo.clone(),
    };
    changes.put(Table::History, key, &row.encode());
}

fn write_prefix(key: &mut Vec<u8>, account: &AccountId, asset: &AssetId, direction: Direction) {
    key.extend_from_slice(account.as_str().as_bytes());
    key.push(SEPARATOR);
    key.extend_from_slice(asset.as_str().as_bytes());
    key.push(SEPARATOR);
    key.push(direction.number());
}

/// The page of a query; `assets` are those that the account ever had, or the one asked for.
pub fn page(
    store: &dyn Store,
    query: &HistoryQuery,
    assets: &[AssetId],
) -> Result<HistoryPage, StoreError> {
    let limit = query.limit.clamp(1, PAGE_MAX);
    let directions = match query.direction {
        Some(direction) => vec![direction],
        None => vec![Direction::In, Direction::Out],
    };
    let mut found = Vec::new();
    for asset in assets {
        for direction in &directions {
            found.extend(lines(store, query, asset, *direction, limit + 1)?);
        }
    }
    found.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(place, _)| *place);
    Ok(HistoryPage { entries: found.into_iter().map(|(_, entry)| entry).collect(), next })
}

/// The newest lines of one asset in one direction, at most `limit`.
fn lines(
    store: &dyn Store,
    query: &HistoryQuery,
    asset: &AssetId,
    direction: Direction,
    limit: usize,
) -> Result<Vec<(HistoryCursor, HistoryEntry)>, StoreError> {
    let mut prefix = Vec::new();
    write_prefix(&mut prefix, &query.account, asset, direction);
    let until = query
        .until_ms
        .map_or(HistoryCursor::LAST, |time_ms| HistoryCursor { time_ms, ..HistoryCursor::LAST });
    let start = query.cursor.map_or(until, |cursor| cursor.min(until));
    let start_key = [&prefix[..], &start.to_bytes()].concat();
    let mut lines = Vec::new();
    let mut failed = None;
    store.scan(Table::History, &start_key, ScanOrder::Descending, &mut |key, row| {
        let Some(place) = key.strip_prefix(&prefix[..]).and_then(HistoryCursor::from_bytes) else {
            return ControlFlow::Break(());
        };
        if query.since_ms.is_some_and(|since| place.time_ms < since) {
            return ControlFlow::Break(());
        }
        // The page before ended with the cursor itself.
        if query.cursor.is_none_or(|cursor| place < cursor) {
            match decode_line(asset, direction, place, row) {
                Ok(entry) => lines.push((place, entry)),
                Err(error) => failed = Some(error),
            }
        }
        match lines.len() < limit && failed.is_none() {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    })?;
    match failed {
        Some(error) => Err(error),
        None => Ok(lines),
    }
}

/// The oldest line of an asset that is later than a time.
pub fn first_after(
    store: &dyn Store,
    account: &AccountId,
    asset: &AssetId,
    time_ms: u64,
) -> Result<Option<HistoryEntry>, StoreError> {
    let mut found: Vec<(HistoryCursor, HistoryEntry)> = Vec::new();
    for direction in [Direction::In, Direction::Out] {
        let mut prefix = Vec::new();
        write_prefix(&mut prefix, account, asset, direction);
        let time_ms = time_ms.saturating_add(1);
        let start = HistoryCursor { time_ms, index: 0, step: 0, part: 0, direction: 0 };
        let start = [&prefix[..], &start.to_bytes()].concat();
        let mut line = None;
        store.scan(Table::History, &start, ScanOrder::Ascending, &mut |key, row| {
            let place = key.strip_prefix(&prefix[..]).and_then(HistoryCursor::from_bytes);
            line = place.map(|place| (place, decode_line(asset, direction, place, row)));
            ControlFlow::Break(())
        })?;
        if let Some((place, line)) = line {
            found.push((place, line?));
        }
    }
    Ok(found.into_iter().min_by_key(|(place, _)| *place).map(|(_, line)| line))
}

fn decode_line(
    asset: &AssetId,
    direction: Direction,
    place: HistoryCursor,
    row: &[u8],
) -> Result<HistoryEntry, StoreError> {
    let row: HistoryRow = decode_row(Table::History, row)?;
    Ok(HistoryEntry {
        height: row.height,
        index: place.index,
        step: place.step,
        asset: asset.clone(),
        direction,
        counterparty: row.counterparty,
        amount: row.amount,
        balance: row.balance,
        transaction: row.transaction,
        memo: row.memo,
        time_ms: place.time_ms,
    })
}
