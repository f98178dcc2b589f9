//! Pieces: nodes of the state tree that cover all slots from the left, each small enough for a
//! part.

use std::ops::{ControlFlow, Range};

use parity_scale_codec::{Compact, Decode, Encode};
use tonle_model::hash::Digest256;
use tonle_model::merkle;

use super::{PART_BYTES_MAX, PartId};
use crate::state::entries::slot_key;
use crate::state::proof::subtree_roots;
use crate::state::tree::{self, SUBTREE_LEVELS, SUBTREE_SLOTS};
use crate::store::{ScanOrder, Store, StoreError, Table};

/// The highest node that is a piece: 8,192 slots.
pub const PIECE_LEVEL_MAX: u8 = 13;
/// What a row costs beside its bytes.
const ROW_OVERHEAD: usize = 4;

/// A node of the state tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub struct Piece {
    /// It has 2 to this power of slots; fewer only if it is the last one, and then more than half.
    pub level: u8,
    /// Its hash.
    pub root: Digest256,
}

impl Piece {
    /// The slots that it covers, if it begins at `first`, which it can, in a tree of so many. The
    /// last node has the same hash at every level that has room for it, so it must be at the lowest
    /// of them: what is cut in one way has one form.
    pub fn slots_from(&self, first: u64, slots: u64) -> Option<Range<u64>> {
        if self.level > PIECE_LEVEL_MAX {
            return None;
        }
        let width = 1u64 << self.level;
        let end = first.checked_add(width)?.min(slots);
        let covered = end.checked_sub(first).filter(|covered| *covered > 0)?;
        let fits = first.is_multiple_of(width) && self.level == level_of(covered);
        fits.then_some(first..end)
    }

    /// Its name, if it begins at `first`.
    pub fn id(&self, first: u64) -> PartId {
        PartId::Piece { first, level: self.level, root: self.root }
    }
}

/// The lowest level at which a node has room for so many slots.
pub fn level_of(slots: u64) -> u8 {
    // At most 64.
    (u64::BITS - slots.saturating_sub(1).leading_zeros()) as u8
}

/// The root over neighbouring nodes that cover all leaves from the left, each aligned to its
/// width: neighbours of one level are joined, and what is left at the end is promoted.
pub fn root_over<'a>(pieces: impl Iterator<Item = &'a Piece>) -> Option<Digest256> {
    let mut waiting: Vec<Piece> = Vec::new();
    for piece in pieces {
        let mut node = *piece;
        while let Some(left) = waiting.pop_if(|left| left.level == node.level) {
            node = Piece { level: node.level + 1, root: merkle::node(&left.root, &node.root) };
        }
        waiting.push(node);
    }
    let mut rest = waiting.into_iter().rev();
    let last = rest.next()?.root;
    Some(rest.fold(last, |right, left| merkle::node(&left.root, &right)))
}

/// Cuts a state into pieces. Reads every row once, for its length.
pub fn cut(store: &dyn Store, slots: u64) -> Result<Vec<Piece>, StoreError> {
    let roots = subtree_roots(store)?;
    let bytes = subtree_bytes(store, slots)?;
    if roots.len() != bytes.len() {
        return Err(StoreError::Row { table: Table::Subtrees });
    }
    let mut cutter = Cutter { store, slots, roots, bytes, pieces: Vec::new() };
    let widest = usize::from(PIECE_LEVEL_MAX) - SUBTREE_LEVELS;
    for index in 0..cutter.roots.len().div_ceil(1 << widest) {
        cutter.cut(widest, index)?;
    }
    Ok(cutter.pieces)
}

struct Cutter<'a> {
    store: &'a dyn Store,
    slots: u64,
    /// Of the subtrees.
    roots: Vec<Digest256>,
    /// What the rows of each subtree come to in a part.
    bytes: Vec<usize>,
    pieces: Vec<Piece>,
}

impl Cutter<'_> {
    /// Cuts the node at `index` of the level so far above that of the subtrees.
    fn cut(&mut self, above: usize, index: usize) -> Result<(), StoreError> {
        let first = index << above;
        let end = ((index + 1) << above).min(self.roots.len());
        let bytes: usize = self.bytes.get(first..end).unwrap_or_default().iter().sum();
        match self.roots.get(first..end) {
            None | Some([]) => Ok(()),
            Some(roots) if bytes <= PART_BYTES_MAX => {
                let slots = self.slots.min(end as u64 * SUBTREE_SLOTS);
                let level = level_of(slots.saturating_sub(first as u64 * SUBTREE_SLOTS));
                self.pieces.push(Piece { level, root: merkle::root(roots.to_vec()) });
                Ok(())
            }
            Some(_) if above > 0 => {
                self.cut(above - 1, 2 * index)?;
                self.cut(above - 1, 2 * index + 1)
            }
            Some(_) => self.cut_subtree(first as u64),
        }
    }

    fn cut_subtree(&mut self, number: u64) -> Result<(), StoreError> {
        let first = number * SUBTREE_SLOTS;
        let end = self.slots.min(first + SUBTREE_SLOTS);
        let mut rows = Vec::new();
        each_row(self.store, first..end, &mut |row| {
            rows.push((row.len() + ROW_OVERHEAD, tree::leaf(row)));
        })?;
        self.cut_rows(SUBTREE_LEVELS, &rows)
    }

    fn cut_rows(&mut self, level: usize, rows: &[(usize, Digest256)]) -> Result<(), StoreError> {
        let bytes: usize = rows.iter().map(|(bytes, _)| bytes).sum();
        if rows.is_empty() {
            return Ok(());
        }
        if bytes <= PART_BYTES_MAX {
            let leaves = rows.iter().map(|(_, leaf)| *leaf).collect();
            let level = level_of(rows.len() as u64);
            self.pieces.push(Piece { level, root: merkle::root(leaves) });
            return Ok(());
        }
        // A row is far shorter than a part.
        let below = level.checked_sub(1).ok_or(StoreError::Row { table: Table::Slots })?;
        let (left, right) = rows.split_at(rows.len().min(1 << below));
        self.cut_rows(below, left)?;
        self.cut_rows(below, right)
    }
}

fn subtree_bytes(store: &dyn Store, slots: u64) -> Result<Vec<usize>, StoreError> {
    let mut bytes = Vec::new();
    let mut count = 0u64;
    each_row(store, 0..slots, &mut |row| {
        if count.is_multiple_of(SUBTREE_SLOTS) {
            bytes.push(0);
        }
        if let Some(sum) = bytes.last_mut() {
            *sum += row.len() + ROW_OVERHEAD;
        }
        count += 1;
    })?;
    Ok(bytes)
}

/// The rows of these slots; fails unless they are all there.
pub fn each_row(
    store: &dyn Store,
    slots: Range<u64>,
    visit: &mut dyn FnMut(&[u8]),
) -> Result<(), StoreError> {
    let mut next = slots.start;
    store.scan(Table::Slots, &slot_key(slots.start), ScanOrder::Ascending, &mut |key, row| {
        if next >= slots.end || key != slot_key(next) {
            return ControlFlow::Break(());
        }
        visit(row);
        next += 1;
        ControlFlow::Continue(())
    })?;
    match next == slots.end {
        true => Ok(()),
        false => Err(StoreError::Row { table: Table::Slots }),
    }
}

/// Appends a row to a part.
pub fn put_row(part: &mut Vec<u8>, row: &[u8]) {
    // Rows are far shorter than a part.
    Compact(u32::try_from(row.len()).unwrap_or(u32::MAX)).encode_to(part);
    part.extend_from_slice(row);
}

/// Takes the next row off a part.
pub fn take_row<'a>(part: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = tonle_model::decode::next::<Compact<u32>>(part).ok()?.0;
    let (row, rest) = part.split_at_checked(usize::try_from(length).ok()?)?;
    *part = rest;
    Some(row)
}

#[cfg(test)]
mod tests {
    use tonle_model::hash::TaggedHasher;

    use super::*;

    fn leaf(number: u64) -> Digest256 {
        TaggedHasher::new("test").part(number.to_be_bytes()).finish()
    }

    /// Cuts 0..count at every place where `cuts` says so, as deep as it may.
    fn pieces(count: u64, cuts: u64) -> Vec<Piece> {
        fn cut(level: u8, first: u64, count: u64, cuts: u64, pieces: &mut Vec<Piece>) {
            let end = (first + (1 << level)).min(count);
            if first >= end {
                return;
            }
            let splits =
                level > 0 && (level > 5 || (cuts >> ((first + u64::from(level)) % 64)) & 1 == 1);
            if splits {
                cut(level - 1, first, count, cuts, pieces);
                cut(level - 1, first + (1 << (level - 1)), count, cuts, pieces);
            } else {
                let root = merkle::root((first..end).map(leaf).collect());
                pieces.push(Piece { level: level_of(end - first), root });
            }
        }
        let mut pieces = Vec::new();
        cut(9, 0, count, cuts, &mut pieces);
        pieces
    }

    #[test]
    fn however_the_leaves_are_cut_the_root_is_that_of_all_of_them() {
        for count in (1..140).chain([255, 256, 257, 500, 512]) {
            let root = merkle::root((0..count).map(leaf).collect());
            for cuts in [0, u64::MAX, 0x5555_5555_5555_5555, 0x0123_4567_89ab_cdef, 1 << 17] {
                let pieces = pieces(count, cuts);
                assert_eq!(root_over(pieces.iter()), Some(root), "{count} {cuts:x}");
                let mut next = 0;
                for piece in &pieces {
                    next = piece.slots_from(next, count).expect("they follow each other").end;
                }
                assert_eq!(next, count);
            }
        }
    }

    #[test]
    fn a_node_begins_at_a_multiple_of_its_width() {
        let piece = |level| Piece { level, root: leaf(0) };
        assert_eq!(piece(3).slots_from(8, 100), Some(8..16));
        assert_eq!(piece(3).slots_from(4, 100), None);
        assert_eq!(piece(2).slots_from(96, 100), Some(96..100));
        assert_eq!(piece(3).slots_from(104, 100), None);
        assert_eq!(piece(0).slots_from(100, 100), None);
        assert_eq!(piece(PIECE_LEVEL_MAX).slots_from(0, 1 << PIECE_LEVEL_MAX), Some(0..8_192));
        assert_eq!(piece(PIECE_LEVEL_MAX + 1).slots_from(0, 2 << PIECE_LEVEL_MAX), None);
    }

    #[test]
    fn the_last_node_has_one_level() {
        let first = 1u64 << PIECE_LEVEL_MAX;
        for slots in 1..=520 {
            let fits = |level: &u8| {
                let piece = Piece { level: *level, root: leaf(0) };
                piece.slots_from(first, first + slots) == Some(first..first + slots)
            };
            let levels: Vec<u8> = (0..=PIECE_LEVEL_MAX).filter(fits).collect();
            assert_eq!(levels, [level_of(slots)], "{slots}");
        }
        assert_eq!([1, 2, 3, 4, 5, 8, 9].map(level_of), [0, 1, 2, 2, 3, 3, 4]);
    }
}
