//! The history of an account: one line per change of one of its balances (ledger.md, Reading).
//!
//! Lines stand under (account, asset, block time, index, step, part, direction). Block time grows with
//! height and belongs to one block, so time bounds are key bounds; a page of one asset is one range
//! scan, and a page of an account merges the ranges of its assets. Nothing scans the chain.

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
/// Most lines of one asset that are looked at for one page: a filter that fits none of them ends
/// the page early, with a cursor to go on from.
const LOOKED_AT_MAX: usize = if cfg!(test) { 64 } else { 10_000 };

/// Whether money came or went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// It came.
    In,
    /// It went.
    Out,
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
    let direction = match movement.direction {
        Direction::In => 0,
        Direction::Out => 1,
    };
    let Place { height, time_ms, index, transaction } = place;
    let Movement { step, part, .. } = *movement;
    key.clear();
    write_prefix(key, &movement.account, &movement.asset);
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

fn write_prefix(key: &mut Vec<u8>, account: &AccountId, asset: &AssetId) {
    key.extend_from_slice(account.as_str().as_bytes());
    key.push(SEPARATOR);
    key.extend_from_slice(asset.as_str().as_bytes());
    key.push(SEPARATOR);
}

/// The page of a query; `assets` are those that the account ever had, or the one asked for.
pub fn page(
    store: &dyn Store,
    query: &HistoryQuery,
    assets: &[AssetId],
) -> Result<HistoryPage, StoreError> {
    let limit = query.limit.clamp(1, PAGE_MAX);
    let mut found = Vec::new();
    // The newest place at which the lines of some asset were not looked at any more.
    let mut frontier = None;
    for asset in assets {
        let (lines, stopped_at) = lines(store, query, asset, limit)?;
        found.extend(lines);
        frontier = frontier.max(stopped_at);
    }
    found.retain(|(place, _)| frontier.is_none_or(|frontier| *place >= frontier));
    found.sort_by_key(|(place, _)| std::cmp::Reverse(*place));
    let mut next = frontier;
    if found.len() > limit {
        found.truncate(limit);
        next = found.last().map(|(place, _)| *place);
    }
    Ok(HistoryPage { entries: found.into_iter().map(|(_, entry)| entry).collect(), next })
}

type Lines = Vec<(HistoryCursor, HistoryEntry)>;

/// The lines of one asset, newest first, one more than the limit; and where it stopped looking, if
/// it did before it came to the end or had enough.
fn lines(
    store: &dyn Store,
    query: &HistoryQuery,
    asset: &AssetId,
    limit: usize,
) -> Result<(Lines, Option<HistoryCursor>), StoreError> {
    let mut prefix = Vec::new();
    write_prefix(&mut prefix, &query.account, asset);
    let until = query
        .until_ms
        .map_or(HistoryCursor::LAST, |time_ms| HistoryCursor { time_ms, ..HistoryCursor::LAST });
    let start = query.cursor.map_or(until, |cursor| cursor.min(until));
    let start_key = [&prefix[..], &start.to_bytes()].concat();
    let mut lines = Vec::new();
    let mut stopped_at = None;
    let mut looked_at = 0;
    let mut failed = None;
    store.scan(Table::History, &start_key, ScanOrder::Descending, &mut |key, row| {
        let Some(place) = key.strip_prefix(&prefix[..]).and_then(HistoryCursor::from_bytes) else {
            return ControlFlow::Break(());
        };
        if query.since_ms.is_some_and(|since| place.time_ms < since) || lines.len() > limit {
            return ControlFlow::Break(());
        }
        looked_at += 1;
        if query.cursor.is_none_or(|cursor| place < cursor) && fits(query, place) {
            match decode_line(asset, place, row) {
                Ok(entry) => lines.push((place, entry)),
                Err(error) => failed = Some(error),
            }
        }
        if looked_at >= LOOKED_AT_MAX {
            stopped_at = Some(place);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    match failed {
        Some(error) => Err(error),
        None => Ok((lines, stopped_at)),
    }
}

fn direction_of(place: HistoryCursor) -> Direction {
    if place.direction == 0 { Direction::In } else { Direction::Out }
}

fn fits(query: &HistoryQuery, place: HistoryCursor) -> bool {
    query.direction.is_none_or(|wanted| wanted == direction_of(place))
}

fn decode_line(
    asset: &AssetId,
    place: HistoryCursor,
    row: &[u8],
) -> Result<HistoryEntry, StoreError> {
    let row: HistoryRow = decode_row(Table::History, row)?;
    Ok(HistoryEntry {
        height: row.height,
        index: place.index,
        step: place.step,
        asset: asset.clone(),
        direction: direction_of(place),
        counterparty: row.counterparty,
        amount: row.amount,
        balance: row.balance,
        transaction: row.transaction,
        memo: row.memo,
        time_ms: place.time_ms,
    })
}
