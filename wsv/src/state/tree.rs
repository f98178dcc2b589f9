//! The state tree: a dense binary Merkle tree over slots (ledger.md, What is certified).
//!
//! An odd node is promoted. Levels below the tenth stand in subtrees of 1,024 slots; the roots of
//! those are persisted, so that a start hashes nothing but the levels above, and a subtree is
//! hashed from its slots when a block first touches it.
//!
//! A block's changes are worked out level by level beside the tree ([`StateTree::preview`]) and
//! taken over when the block is committed ([`StateTree::apply`]). Of the subtrees, those that were
//! not touched for longest are dropped from memory when there are too many: slots that were left
//! empty must not cost memory for ever.

use std::ops::ControlFlow;

use tonle_model::hash::{Digest256, TaggedHasher};
use tonle_model::{merkle, tags};

use super::entries::{slot_key, slot_of};
use crate::store::{Changes, ScanOrder, Store, StoreError, Table, decode_row};

/// Levels of a subtree below its root.
pub const SUBTREE_LEVELS: usize = 10;
/// Slots of a subtree.
pub const SUBTREE_SLOTS: u64 = 1 << SUBTREE_LEVELS;

/// Most subtrees in memory, at 64 KiB each: some two million slots.
const LOADED_MAX: usize = if cfg!(test) { 4 } else { 2_048 };

/// The hash of a slot, over its row: SCALE of key, value and next key, each as bytes.
pub fn leaf(row: &[u8]) -> Digest256 {
    TaggedHasher::new(tags::STATE_LEAF).part(row).finish()
}

/// The nodes of one level, from the left.
type Level = Vec<Digest256>;

/// Levels 0 to 9 of a subtree.
struct Subtree {
    levels: Vec<Level>,
    /// The round in which it was last touched.
    touched: u64,
}

/// The tree with its interior in memory.
#[derive(Default)]
pub struct StateTree {
    slots: u64,
    /// Those that are loaded.
    subtrees: Vec<Option<Subtree>>,
    loaded: usize,
    /// How many blocks were applied since the start.
    round: u64,
    /// Level 10, the roots of the subtrees, and those above.
    upper: Vec<Level>,
}

/// What a block changes in the tree.
#[derive(Debug)]
pub struct TreeUpdate {
    slots: u64,
    root: Digest256,
    /// Changed nodes by level, ascending.
    levels: Vec<Vec<(u64, Digest256)>>,
}

impl TreeUpdate {
    /// The root with the changes.
    pub fn root(&self) -> Digest256 {
        self.root
    }

    /// Writes the roots of the changed subtrees.
    pub fn persist(&self, changes: &mut Changes) {
        for (number, root) in self.levels.get(SUBTREE_LEVELS).into_iter().flatten() {
            changes.put(Table::Subtrees, &slot_key(*number), root.as_ref());
        }
    }
}

impl StateTree {
    /// The tree over a state of `slots` entries, from the persisted roots.
    pub fn open(store: &dyn Store, slots: u64) -> Result<Self, StoreError> {
        let mut roots = Vec::new();
        store.scan(Table::Subtrees, &[], ScanOrder::Ascending, &mut |_, row| {
            roots.push(decode_row::<Digest256>(Table::Subtrees, row));
            ControlFlow::Continue(())
        })?;
        let roots = roots.into_iter().collect::<Result<Level, _>>()?;
        let expected = slots.div_ceil(SUBTREE_SLOTS);
        if roots.len() as u64 != expected {
            return Err(StoreError::Row { table: Table::Subtrees });
        }
        let mut subtrees = Vec::new();
        subtrees.resize_with(roots.len(), || None);
        Ok(Self { slots, subtrees, upper: levels_above(roots), ..Self::default() })
    }

    /// The root of the tree as it is.
    pub fn root(&self) -> Digest256 {
        let top = self.upper.last().and_then(|level| level.first());
        top.copied().unwrap_or_else(merkle::empty_root)
    }

    /// How many slots there are.
    pub fn slots(&self) -> u64 {
        self.slots
    }

    /// Works out the tree with other leaves: `leaves` ascend by slot, none twice; those from the
    /// present number of slots up to `slots` are all there. The subtrees concerned are loaded.
    pub fn preview(
        &mut self,
        store: &dyn Store,
        leaves: Vec<(u64, Digest256)>,
        slots: u64,
    ) -> Result<TreeUpdate, StoreError> {
        debug_assert!(leaves.is_sorted_by(|left, right| left.0 < right.0));
        let mut loaded = None;
        for (slot, _) in &leaves {
            let number = slot / SUBTREE_SLOTS;
            if loaded != Some(number) {
                self.load(store, number)?;
                loaded = Some(number);
            }
        }
        let mut levels = vec![leaves];
        let mut width = slots;
        while levels.len() <= SUBTREE_LEVELS || width > 1 {
            let below = levels.last().map_or(&[][..], Vec::as_slice);
            let level = self.level_above(levels.len() - 1, below, width);
            levels.push(level);
            width = width.div_ceil(2);
        }
        let root = levels.last().and_then(|level| level.first()).map(|(_, root)| *root);
        Ok(TreeUpdate { slots, root: root.unwrap_or_else(|| self.root()), levels })
    }

    /// Takes over what a block changed.
    pub fn apply(&mut self, update: TreeUpdate) {
        self.slots = update.slots;
        self.subtrees.resize_with(update.slots.div_ceil(SUBTREE_SLOTS) as usize, || None);
        for (level, nodes) in update.levels.into_iter().enumerate() {
            for (index, hash) in nodes {
                self.set(level, index, hash);
            }
        }
        self.round += 1;
        self.drop_oldest();
    }

    /// Makes room when too many subtrees are loaded: a quarter of it at once, so that looking for
    /// the oldest is rare. What an outstanding preview loaded is not needed any more: the block
    /// that was just applied is not its parent.
    fn drop_oldest(&mut self) {
        if self.loaded <= LOADED_MAX {
            return;
        }
        let loaded = self.subtrees.iter().enumerate();
        let mut ages: Vec<_> = loaded
            .filter_map(|(number, subtree)| Some((subtree.as_ref()?.touched, number)))
            .collect();
        ages.sort_unstable();
        let surplus = ages.len().saturating_sub(LOADED_MAX - LOADED_MAX / 4);
        for (_, number) in ages.into_iter().take(surplus) {
            if let Some(subtree) = self.subtrees.get_mut(number) {
                *subtree = None;
                self.loaded -= 1;
            }
        }
    }

    /// The changed nodes above the changed nodes of a level that is `width` nodes wide.
    fn level_above(
        &self,
        level: usize,
        below: &[(u64, Digest256)],
        width: u64,
    ) -> Vec<(u64, Digest256)> {
        let mut above = Vec::with_capacity(below.len());
        let mut changed = below.iter().peekable();
        while let Some((index, hash)) = changed.next() {
            let sibling_index = index ^ 1;
            let sibling = match changed.next_if(|(next, _)| *next == sibling_index) {
                Some((_, sibling)) => Some(*sibling),
                None if sibling_index >= width => None,
                None => self.node(level, sibling_index),
            };
            let parent = match sibling {
                None => *hash,
                Some(sibling) if index & 1 == 0 => merkle::node(hash, &sibling),
                Some(sibling) => merkle::node(&sibling, hash),
            };
            above.push((index / 2, parent));
        }
        above
    }

    fn node(&self, level: usize, index: u64) -> Option<Digest256> {
        let Some(shift) = SUBTREE_LEVELS.checked_sub(level).filter(|shift| *shift > 0) else {
            return self.upper.get(level - SUBTREE_LEVELS)?.get(index as usize).copied();
        };
        let subtree = self.subtrees.get((index >> shift) as usize)?.as_ref()?;
        subtree.levels.get(level)?.get((index & ((1 << shift) - 1)) as usize).copied()
    }

    fn set(&mut self, level: usize, index: u64, hash: Digest256) {
        let (nodes, index) = match SUBTREE_LEVELS.checked_sub(level) {
            Some(shift) if shift > 0 => {
                let Some(subtree) = self.subtrees.get_mut((index >> shift) as usize) else {
                    return;
                };
                self.loaded += usize::from(subtree.is_none());
                let touched = self.round;
                let subtree = subtree.get_or_insert_with(|| Subtree {
                    levels: vec![Level::new(); SUBTREE_LEVELS],
                    touched,
                });
                (subtree.levels.get_mut(level), index & ((1 << shift) - 1))
            }
            _ => {
                let level = level - SUBTREE_LEVELS;
                if self.upper.len() <= level {
                    self.upper.resize_with(level + 1, Level::new);
                }
                (self.upper.get_mut(level), index)
            }
        };
        if let Some(nodes) = nodes {
            // Changes ascend and new slots are complete, so a level grows by one node at a time.
            match nodes.get_mut(index as usize) {
                Some(node) => *node = hash,
                None => nodes.push(hash),
            }
        }
    }

    /// Hashes a subtree from its slots, once.
    fn load(&mut self, store: &dyn Store, number: u64) -> Result<(), StoreError> {
        let Some(subtree) = self.subtrees.get_mut(number as usize) else { return Ok(()) };
        if let Some(subtree) = subtree {
            subtree.touched = self.round;
            return Ok(());
        }
        let damaged = StoreError::Row { table: Table::Slots };
        let first = number * SUBTREE_SLOTS;
        let end = self.slots.min(first + SUBTREE_SLOTS);
        let mut leaves = Level::new();
        store.scan(Table::Slots, &slot_key(first), ScanOrder::Ascending, &mut |key, row| {
            match slot_of(key) {
                Ok(slot) if slot == first + leaves.len() as u64 && slot < end => {
                    leaves.push(leaf(row));
                    ControlFlow::Continue(())
                }
                _ => ControlFlow::Break(()),
            }
        })?;
        if leaves.len() as u64 != end - first {
            return Err(damaged);
        }
        let mut levels = vec![leaves];
        while levels.len() <= SUBTREE_LEVELS {
            let above = level_over(levels.last().map_or(&[], Vec::as_slice));
            levels.push(above);
        }
        // The persisted root and the slots were written together: they agree, or one is damaged.
        let root = levels.pop().and_then(|level| level.first().copied());
        if root != self.upper.first().and_then(|roots| roots.get(number as usize)).copied() {
            return Err(damaged);
        }
        *subtree = Some(Subtree { levels, touched: self.round });
        self.loaded += 1;
        Ok(())
    }
}

fn level_over(below: &[Digest256]) -> Level {
    below
        .chunks(2)
        .map(|pair| match pair {
            [left, right] => merkle::node(left, right),
            odd => odd.first().copied().unwrap_or_default(),
        })
        .collect()
}

fn levels_above(roots: Level) -> Vec<Level> {
    let mut levels = vec![roots];
    while let Some(level) = levels.last().filter(|level| level.len() > 1) {
        let above = level_over(level);
        levels.push(above);
    }
    levels
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::store::Durability;

    fn row(slot: u64, version: u32) -> Vec<u8> {
        format!("{slot} {version}").into_bytes()
    }

    /// Changes the tree, the store and the plain list alike.
    fn block(
        tree: &mut StateTree,
        store: &MemoryStore,
        rows: &mut Vec<Vec<u8>>,
        changed: &[(u64, u32)],
        new: u64,
    ) {
        let old = rows.len() as u64;
        let mut leaves = std::collections::BTreeMap::new();
        let mut changes = Changes::default();
        let changed = changed.iter().filter(|_| old > 0).map(|(at, version)| (at % old, *version));
        for (slot, version) in changed.chain((old..old + new).map(|slot| (slot, 0))) {
            let row = row(slot, version);
            leaves.insert(slot, leaf(&row));
            changes.put(Table::Slots, &slot_key(slot), &row);
            match rows.get_mut(slot as usize) {
                Some(old) => *old = row,
                None => rows.push(row),
            }
        }
        let update = tree.preview(store, leaves.into_iter().collect(), old + new).unwrap();
        update.persist(&mut changes);
        store.write(&changes, Durability::Unsynced).unwrap();
        tree.apply(update);
    }

    fn naive(rows: &[Vec<u8>]) -> Digest256 {
        merkle::root(rows.iter().map(|row| leaf(row)).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn it_is_the_tree_over_all_leaves(
            blocks in prop::collection::vec(
                (
                    prop::collection::vec((any::<u64>(), any::<u32>()), 0..20),
                    prop_oneof![0..3u64, Just(0), 1000..1100u64],
                    any::<bool>(),
                ),
                1..12,
            )
        ) {
            let store = MemoryStore::new();
            let mut tree = StateTree::default();
            let mut rows = Vec::new();
            for (changed, new, reopen) in blocks {
                block(&mut tree, &store, &mut rows, &changed, new);
                prop_assert_eq!(tree.root(), naive(&rows));
                if reopen {
                    tree = StateTree::open(&store, rows.len() as u64).unwrap();
                    prop_assert_eq!(tree.root(), naive(&rows));
                }
            }
        }
    }

    #[test]
    fn what_was_dropped_from_memory_comes_back() {
        let store = MemoryStore::new();
        let mut tree = StateTree::default();
        let mut rows = Vec::new();
        block(&mut tree, &store, &mut rows, &[], 9 * SUBTREE_SLOTS + 5);
        for version in 0..40 {
            let slot = u64::from(version) * 7_777;
            block(&mut tree, &store, &mut rows, &[(slot, version)], 1);
            assert!(tree.loaded <= LOADED_MAX);
            assert_eq!(tree.subtrees.iter().flatten().count(), tree.loaded);
            assert_eq!(tree.root(), naive(&rows));
        }
    }

    #[test]
    fn every_size_agrees() {
        let store = MemoryStore::new();
        let mut tree = StateTree::default();
        let mut rows = Vec::new();
        assert_eq!(tree.root(), naive(&rows));
        for _ in 0..2100 {
            block(&mut tree, &store, &mut rows, &[], 1);
            assert_eq!(tree.root(), naive(&rows), "{}", rows.len());
        }
    }

    #[test]
    fn a_damaged_slot_is_noticed() {
        let store = MemoryStore::new();
        let mut tree = StateTree::default();
        block(&mut tree, &store, &mut Vec::new(), &[], 1500);
        let mut changes = Changes::default();
        changes.put(Table::Slots, &slot_key(3), b"other");
        store.write(&changes, Durability::Unsynced).unwrap();
        let mut tree = StateTree::open(&store, 1500).unwrap();
        assert!(tree.preview(&store, vec![(1400, leaf(b"x"))], 1500).is_ok());
        assert!(tree.preview(&store, vec![(5, leaf(b"x"))], 1500).is_err());
    }
}
