//! Cutting a node's databases into the parts of a snapshot.

use std::ops::Range;
use std::sync::Arc;

use parity_scale_codec::Encode;
use tonle_model::bounded::Bounded;
use tonle_model::merkle;
use tonle_model::number::Height;
use tonle_model::receipt::Outcome;

use super::joined::{certified_block, certified_changes};
use super::manifest::Manifest;
use super::pieces::{cut, each_row, put_row};
use super::window::{BlockItem, Item, is_last};
use super::{MANIFEST_PARTS_MAX, Offer, PART_BYTES_MAX, PartId, SnapshotError, WindowPlace};
use crate::chain::rows;
use crate::state::cache::Cache;
use crate::state::commit::read_meta;
use crate::state::entries::Entries;
use crate::state::receipts::{receipts, transaction};
use crate::state::tree;
use crate::store::{Store, StoreError, Table};

/// What a snapshot is read from. The state must stay as it is while this is used; the chain may
/// grow.
pub struct Source {
    state: Arc<dyn Store>,
    chain: Arc<dyn Store>,
    offer: Offer,
    contents: Manifest,
    /// The slots of each piece.
    slots: Vec<Range<u64>>,
    /// The contents, encoded.
    manifest: Vec<u8>,
}

/// A part of the window, and the place after it.
pub(super) type Stretch = (Option<Vec<u8>>, Option<WindowPlace>);

impl Source {
    /// Looks through a state that does not change, and the chain behind it.
    pub fn new(state: Arc<dyn Store>, chain: Arc<dyn Store>) -> Result<Self, SnapshotError> {
        let meta = read_meta(&*state)?.ok_or(SnapshotError::Nothing)?;
        let height = meta.committed.height;
        if height == Height(0) {
            return Err(SnapshotError::Nothing);
        }
        let entries = Entries::new(state.clone(), Arc::new(Cache::new(0)));
        let too_large = |_| StoreError::Io("the state is too large for a snapshot".into());
        let contents = Manifest {
            block: certified_block(&*state, &*chain, height)?,
            changes: certified_changes(&entries, &*state, &*chain, height)?,
            slots: meta.slots,
            pieces: Bounded::new(cut(&*state, meta.slots)?).map_err(too_large)?,
        };
        // Rows of two heights, or damage.
        let slots = contents.slots_of_pieces();
        let slots = slots.map_err(|_| StoreError::Row { table: Table::Subtrees })?;
        let manifest = contents.encode();
        let manifest_parts = manifest.len().div_ceil(PART_BYTES_MAX);
        let manifest_parts = u32::try_from(manifest_parts)
            .ok()
            .filter(|parts| *parts <= MANIFEST_PARTS_MAX)
            .ok_or(StoreError::Io("the manifest is too large for a snapshot".into()))?;
        let offer = Offer { chain: meta.chain, height, manifest_parts };
        Ok(Self { state, chain, offer, contents, slots, manifest })
    }

    /// What there is to be had.
    pub fn offer(&self) -> Offer {
        self.offer
    }

    /// The pieces that the state is cut into, from the left.
    pub fn pieces(&self) -> impl Iterator<Item = PartId> {
        let listed = self.contents.pieces.iter().zip(&self.slots);
        listed.map(|(piece, slots)| piece.id(slots.start))
    }

    /// How many pieces the state is cut into.
    pub fn piece_count(&self) -> u32 {
        u32::try_from(self.slots.len()).unwrap_or(u32::MAX)
    }

    /// A part; `None` if there is none of that name.
    pub fn part(&self, id: PartId) -> Result<Option<Vec<u8>>, SnapshotError> {
        match id {
            PartId::Manifest(number) => {
                let part = self.manifest.chunks(PART_BYTES_MAX).nth(number as usize);
                Ok(part.map(<[u8]>::to_vec))
            }
            PartId::Piece { first, .. } => Ok(self.piece(first, id)?),
            PartId::Window(place) => Ok(self.window(place)?.0),
        }
    }

    /// The rows of a node, if the manifest lists that very one.
    fn piece(&self, first: u64, id: PartId) -> Result<Option<Vec<u8>>, StoreError> {
        let at = self.slots.binary_search_by_key(&first, |slots| slots.start);
        let listed = at.ok().and_then(|at| self.contents.pieces.get(at).zip(self.slots.get(at)));
        let Some((piece, slots)) = listed.filter(|(piece, _)| piece.id(first) == id) else {
            return Ok(None);
        };
        let mut part = Vec::with_capacity(PART_BYTES_MAX);
        let mut leaves = Vec::new();
        each_row(&*self.state, slots.clone(), &mut |row| {
            leaves.push(tree::leaf(row));
            put_row(&mut part, row);
        })?;
        // Nobody is given rows that do not hash to what was certified.
        match merkle::root(leaves) == piece.root {
            true => Ok(Some(part)),
            false => Err(StoreError::Row { table: Table::Slots }),
        }
    }

    /// The blocks from a place on downward, as many as fit, and the place after them; neither if
    /// there is no such place.
    pub(super) fn window(&self, from: WindowPlace) -> Result<Stretch, SnapshotError> {
        let until_ms = self.contents.block.header.timestamp_ms;
        let mut part = Vec::new();
        let mut next = Some(from).filter(|from| from.height <= self.offer.height);
        while let Some(WindowPlace { height, item }) = next {
            let Some(block) = rows::block(&*self.chain, height)? else { break };
            let bytes = match item.checked_sub(1) {
                None => Item::Block(Box::new(self.block_item(height)?)).encode(),
                Some(batch) => match block.batches.get(usize::from(batch)) {
                    Some(number) => Item::Batch(self.batch(*number)?).encode(),
                    None => break,
                },
            };
            if !part.is_empty() && part.len() + bytes.len() > PART_BYTES_MAX {
                break;
            }
            part.extend_from_slice(&bytes);
            next = match usize::from(item) < block.batches.len() {
                true => Some(WindowPlace { height, item: item + 1 }),
                false if is_last(&block.header, until_ms) => None,
                false => height.previous().map(|height| WindowPlace { height, item: 0 }),
            };
        }
        match part.is_empty() {
            true => Ok((None, None)),
            false => Ok((Some(part), next)),
        }
    }

    fn batch(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        let bytes = self.chain.get(Table::Batches, &rows::number_key(number))?;
        bytes.ok_or(StoreError::Row { table: Table::Batches })
    }

    fn block_item(&self, height: Height) -> Result<BlockItem, SnapshotError> {
        let block = certified_block(&*self.state, &*self.chain, height)?;
        let damaged = || StoreError::Row { table: Table::Receipts };
        let row = receipts(&*self.state, height)?.ok_or_else(damaged)?;
        let count = usize::try_from(block.header.transaction_count()).map_err(|_| damaged())?;
        let mut outcomes: Vec<Option<Outcome>> = vec![None; count];
        let is_whole = row.receipts.len() == count;
        for (index, receipt) in row.receipts.iter().map(|row| row.receipt).enumerate() {
            // With void ones between them, only their records say which they are.
            let place = match is_whole {
                true => index,
                false => {
                    let record = transaction(&*self.state, &receipt.transaction)?;
                    record.ok_or_else(damaged)?.place as usize
                }
            };
            *outcomes.get_mut(place).ok_or_else(damaged)? = Some(receipt.outcome);
        }
        let outcomes = Bounded::new(outcomes).map_err(|_| damaged())?;
        Ok(BlockItem { block, outcomes })
    }
}
