//! The latest vote of each validator that this node saw, kept through its own restarts: whoever
//! comes back with an old disk asks for it (docs/decisions/0018-votes-seen-are-kept.md).

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use parity_scale_codec::Encode;
use tonle_model::key::PublicKey;
use tonle_model::vote::Vote;

use crate::store::{Changes, ScanOrder, Store, StoreError, Table, decode_row};

/// Most rows, one a validator: many times a full set. Whoever voted longest ago goes first.
pub const VOTES_SEEN_MAX: usize = if cfg!(test) { 3 } else { 1_024 };

/// The rows as they are on the disk.
#[derive(Default)]
pub(super) struct Seen(BTreeMap<PublicKey, Vote>);

impl Seen {
    pub fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut rows = Vec::new();
        store.scan(Table::Seen, &[], ScanOrder::Ascending, &mut |key, row| {
            rows.push(<[u8; 32]>::try_from(key).ok().map(PublicKey).zip(Some(row.to_vec())));
            ControlFlow::Continue(())
        })?;
        let row = |row: Option<(PublicKey, Vec<u8>)>| {
            let (key, row) = row.ok_or(StoreError::Row { table: Table::Seen })?;
            Ok((key, decode_row(Table::Seen, &row)?))
        };
        Ok(Self(rows.into_iter().map(row).collect::<Result<_, StoreError>>()?))
    }

    pub fn votes(&self) -> &BTreeMap<PublicKey, Vote> {
        &self.0
    }

    /// Writes those that are new, and returns the rows as they are then.
    pub fn stage(&self, votes: &[(PublicKey, Vote)], changes: &mut Changes) -> Option<Self> {
        let is_new = |(signer, vote): &&(PublicKey, Vote)| self.0.get(signer) != Some(vote);
        let mut next = None;
        for (signer, vote) in votes.iter().filter(is_new) {
            changes.put(Table::Seen, &signer.0, &vote.encode());
            next.get_or_insert_with(|| self.0.clone()).insert(*signer, *vote);
        }
        let rows = next.as_mut()?;
        while rows.len() > VOTES_SEEN_MAX {
            let place = |vote: &Vote| (vote.ballot.height, vote.ballot.view);
            let oldest = rows.iter().min_by_key(|(_, vote)| place(vote));
            let oldest = oldest.map(|(signer, _)| *signer)?;
            changes.delete(Table::Seen, &oldest.0);
            rows.remove(&oldest);
        }
        next.map(Self)
    }
}
