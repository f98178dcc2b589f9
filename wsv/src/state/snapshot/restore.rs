//! Filling two empty databases from the parts of a snapshot. Nothing is written before it was
//! checked against the genesis.

use std::collections::BTreeMap;
use std::sync::Arc;

use tonle_model::amount::Amount;
use tonle_model::genesis::Genesis;
use tonle_model::id::{AssetId, DomainId};
use tonle_model::merkle;
use tonle_model::number::Height;

use super::joined::Joined;
use super::manifest::{Checked, Manifest, Trust};
use super::pieces::take_row;
use super::window::{Judge, WindowTaker};
use super::{MANIFEST_PARTS_MAX, Offer, PART_BYTES_MAX, PartId, SnapshotError};
use crate::chain::rows;
use crate::state::Committed;
use crate::state::commit::{Meta, index, put_meta};
use crate::state::entries::{EMPTY_ROW, decode_entry, slot_key};
use crate::state::key::Key;
use crate::state::totals::put_total;
use crate::state::tree::{self, SUBTREE_LEVELS, SUBTREE_SLOTS};
use crate::state::value::Value;
use crate::store::{Changes, Durability, Store, StoreError, Table};

/// How far a restore is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Bytes of all parts that were taken.
    pub bytes: u64,
    /// Pieces of the state that were taken.
    pub pieces: u32,
    /// Of how many; 0 until the manifest is here.
    pub pieces_of: u32,
    /// State entries that were written.
    pub entries: u64,
    /// Milliseconds of the window that are not here yet.
    pub window_left_ms: u64,
}

/// What is known, by how much is here.
enum Stage {
    /// Stretches of the manifest.
    Manifest(BTreeMap<u32, Vec<u8>>),
    /// The manifest holds.
    Body(Box<Body>),
}

struct Body {
    checked: Checked,
    /// Pieces that are not here, and their places in the manifest.
    missing: BTreeMap<PartId, usize>,
    /// After which heights others validated, as the pieces tell.
    changed: Vec<Height>,
    window: WindowTaker,
    totals: BTreeMap<(AssetId, DomainId), Amount>,
}

/// A snapshot on its way into two empty databases.
pub struct Restore {
    trust: Trust,
    offer: Offer,
    state: Arc<dyn Store>,
    chain: Arc<dyn Store>,
    stage: Stage,
    progress: Progress,
}

impl Restore {
    /// Begins with what was offered.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`], if the offer is of another network or makes no sense.
    pub fn new(
        genesis: &Genesis,
        offer: Offer,
        state: Arc<dyn Store>,
        chain: Arc<dyn Store>,
    ) -> Result<Self, SnapshotError> {
        let trust = Trust::new(genesis);
        let expected = trust.chain;
        if offer.chain != expected {
            return Err(SnapshotError::OtherNetwork { expected, found: offer.chain });
        }
        if !(1..=MANIFEST_PARTS_MAX).contains(&offer.manifest_parts) {
            return Err(SnapshotError::Invalid("it has no manifest of a bearable length"));
        }
        Ok(Self {
            trust,
            offer,
            state,
            chain,
            stage: Stage::Manifest(BTreeMap::new()),
            progress: Progress::default(),
        })
    }

    /// Parts to ask for now, at most `limit`, in the order of a file. Window parts come one after
    /// another, for each says where the next begins, and all of them after the pieces.
    pub fn wanted(&self, limit: usize) -> Vec<PartId> {
        match &self.stage {
            Stage::Manifest(parts) => {
                let missing =
                    (0..self.offer.manifest_parts).filter(|part| !parts.contains_key(part));
                missing.take(limit).map(PartId::Manifest).collect()
            }
            Stage::Body(body) => {
                let pieces = body.missing.keys().copied();
                pieces.chain(body.wanted_of_window()).take(limit).collect()
            }
        }
    }

    /// How far it is.
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Checks a part and writes what it says.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`]; if it [is invalid](SnapshotError::is_invalid) nothing of the part was
    /// written, and another copy of it may be taken, except of the manifest, which starts over.
    /// After [`SnapshotError::FalseManifest`] no copy will do.
    pub fn take(&mut self, id: PartId, part: &[u8]) -> Result<(), SnapshotError> {
        if part.len() > PART_BYTES_MAX {
            return Err(SnapshotError::Invalid("a part is too long"));
        }
        match (id, &mut self.stage) {
            (PartId::Manifest(number), Stage::Manifest(parts))
                if number < self.offer.manifest_parts =>
            {
                parts.insert(number, part.to_vec());
                self.read_manifest()?;
            }
            (PartId::Piece { .. }, Stage::Body(body)) => {
                let not_wanted = SnapshotError::Invalid("a part is not wanted");
                let at = body.missing.get(&id).copied().ok_or(not_wanted)?;
                let changes = body.take_piece(at, part, &mut self.progress)?;
                self.state.write(&changes, Durability::Unsynced)?;
                body.missing.remove(&id);
                self.progress.pieces += 1;
            }
            (PartId::Window(_), Stage::Body(body)) if body.wanted_of_window() == Some(id) => {
                let Body { checked, window, .. } = &mut **body;
                let judge = Judge { trust: &self.trust, succession: &checked.succession };
                let written = window.take(part, &judge)?;
                self.state.write(&written.state, Durability::Unsynced)?;
                self.chain.write(&written.chain, Durability::Unsynced)?;
                self.progress.window_left_ms = window.left_ms();
            }
            _ => return Err(SnapshotError::Invalid("a part is not wanted")),
        }
        self.progress.bytes += part.len() as u64;
        Ok(())
    }

    /// Reads the manifest once all of it is here.
    fn read_manifest(&mut self) -> Result<(), SnapshotError> {
        let Stage::Manifest(parts) = &mut self.stage else { return Ok(()) };
        if parts.len() < self.offer.manifest_parts as usize {
            return Ok(());
        }
        let bytes: Vec<u8> = std::mem::take(parts).into_values().flatten().collect();
        let checked = Manifest::check(&bytes, &self.offer, &self.trust)?;
        let count = checked.slots.len() as u32;
        let window = WindowTaker::new(&checked.manifest.block);
        self.progress.pieces_of = count;
        self.progress.window_left_ms = window.left_ms();
        let listed = checked.manifest.pieces.iter().zip(&checked.slots);
        let missing = listed.map(|(piece, slots)| piece.id(slots.start)).zip(0..).collect();
        let (changed, totals) = (Vec::new(), BTreeMap::new());
        self.stage = Stage::Body(Box::new(Body { checked, missing, changed, window, totals }));
        Ok(())
    }

    /// Makes everything durable, and says where the state is. To be called when nothing is wanted
    /// any more.
    ///
    /// # Errors
    ///
    /// [`SnapshotError`], if something is still missing, or if the disk fails.
    pub fn finish(self) -> Result<Committed, SnapshotError> {
        let incomplete = SnapshotError::Invalid("it is not complete");
        let Stage::Body(body) = self.stage else { return Err(incomplete) };
        let (true, Some(first)) = (body.missing.is_empty(), body.window.first()) else {
            return Err(incomplete);
        };
        let Checked { manifest, cut_subtrees, .. } = body.checked;
        let block = &manifest.block;
        let committed = Committed {
            height: block.header.height,
            block: block.header.hash(),
            result: block.result,
            timestamp_ms: block.header.timestamp_ms,
        };
        let mut chain = Changes::default();
        rows::put_meta(&mut chain, rows::FIRST, &first);
        rows::put_meta(&mut chain, rows::LOW_WATER, &body.window.next_batch());
        self.chain.write(&chain, Durability::Synced)?;

        let mut state = Changes::default();
        for ((asset, domain), amount) in &body.totals {
            put_total(&mut state, asset, domain, *amount);
        }
        for (number, root) in &cut_subtrees {
            state.put(Table::Subtrees, &slot_key(*number), root.as_ref());
        }
        let joined = Joined {
            first,
            height: committed.height,
            timestamp_ms: committed.timestamp_ms,
            changes: manifest.changes,
        };
        joined.put(&mut state);
        put_meta(&mut state, &Meta { chain: self.offer.chain, committed, slots: manifest.slots });
        // Synced: the chain cannot redo it.
        self.state.write(&state, Durability::Synced)?;
        Ok(committed)
    }
}

impl Body {
    /// What comes next of the window, once all of the state is here. Its blocks are checked with
    /// the validators that the manifest tells of, and only the state says whether these are all:
    /// with a change left out, a true block would pass for a lie.
    fn wanted_of_window(&self) -> Option<PartId> {
        match self.missing.is_empty() {
            true => self.window.wanted(),
            false => None,
        }
    }

    /// Whether the manifest has the changes of the validators that the state tells of. One that is
    /// left out need not show before: if those after it are as many as a quorum of those before it,
    /// with the same numbers, what they all signed looks like that quorum's.
    fn check_changes(&self) -> Result<(), SnapshotError> {
        let Manifest { block, changes, .. } = &self.checked.manifest;
        let earlier = self.changed.iter().filter(|height| **height < block.header.height);
        match earlier.eq(changes.iter().map(|change| &change.block.header.height)) {
            true => Ok(()),
            false => Err(SnapshotError::FalseManifest),
        }
    }

    /// Checks the rows of a piece, and says what they and all that leads to them come to.
    fn take_piece(
        &mut self,
        at: usize,
        part: &[u8],
        progress: &mut Progress,
    ) -> Result<Changes, SnapshotError> {
        let wrong = || SnapshotError::Invalid("a piece is not the one that the manifest lists");
        let pieces = &self.checked.manifest.pieces;
        let (piece, slots) = pieces.get(at).zip(self.checked.slots.get(at)).ok_or_else(wrong)?;
        let mut rest = part;
        let mut rows = Vec::new();
        while !rest.is_empty() {
            rows.push(take_row(&mut rest).ok_or_else(wrong)?);
        }
        let leaves: Vec<_> = rows.iter().map(|row| tree::leaf(row)).collect();
        if merkle::root(leaves.clone()) != piece.root {
            return Err(wrong());
        }
        // Nothing certified says how many slots there are; the rows that hash to the node do.
        if rows.len() as u64 != slots.end - slots.start {
            return Err(SnapshotError::FalseManifest);
        }
        let mut changes = Changes::default();
        if usize::from(piece.level) >= SUBTREE_LEVELS {
            let first = slots.start / SUBTREE_SLOTS;
            for (number, leaves) in (first..).zip(leaves.chunks(SUBTREE_SLOTS as usize)) {
                let root = merkle::root(leaves.to_vec());
                changes.put(Table::Subtrees, &slot_key(number), root.as_ref());
            }
        }
        for (slot, row) in slots.clone().zip(rows) {
            changes.put(Table::Slots, &slot_key(slot), row);
            if row != EMPTY_ROW {
                let (key, entry) = decode_entry(slot, row)?;
                index(slot, &key, &entry.value, &mut |table, key, value| {
                    changes.put(table, key, value);
                });
                if let Value::ValidatorChanges(heights) = &entry.value {
                    self.changed = heights.to_vec();
                }
                self.add_to_totals(&key, &entry.value)?;
                progress.entries += 1;
            }
        }
        if self.missing.len() == 1 {
            self.check_changes()?;
        }
        Ok(changes)
    }

    fn add_to_totals(&mut self, key: &Key, value: &Value) -> Result<(), StoreError> {
        let (Key::Balance(account, asset), Value::Balance(balance)) = (key, value) else {
            return Ok(());
        };
        let total = self.totals.entry((asset.clone(), account.domain())).or_default();
        let sum = total.checked_add(balance.available);
        let sum = sum.and_then(|sum| sum.checked_add(balance.held));
        // No total passes the supply.
        *total = sum.ok_or(StoreError::Row { table: Table::Slots })?;
        Ok(())
    }
}
