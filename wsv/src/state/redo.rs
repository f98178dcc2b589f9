//! After a start: what is used up, and the blocks that the chain has and the state has not.

use std::sync::Arc;

use tonle_model::batch::Batch;
use tonle_model::limits;
use tonle_model::number::Height;
use tonle_model::planted::{Bug, is_planted};
use tonle_model::verified::Verified;
use tonle_model::vote::VoteKind;

use super::receipts::receipts;
use super::window::Window;
use super::{Committed, StateError, World};
use crate::chain::{ChainError, ChainReader};
use crate::store::{Store, StoreError, Table};

/// What is used up, from the receipts of the last window. A transaction in a block of time t
/// expires at t + drift + the longest life at the latest.
/// Nothing before `first` is here, and nothing of it needed: a snapshot brings all of its window.
pub(super) fn load_window(
    store: &dyn Store,
    committed: &Committed,
    first: Height,
) -> Result<Window, StoreError> {
    let mut window = Window::default();
    let mut height = Some(committed.height).filter(|_| !is_planted(Bug::ForgetUsed));
    while let Some(at) = height.filter(|at| *at >= first) {
        let row = receipts(store, at)?.ok_or(StoreError::Row { table: Table::Receipts })?;
        let last_ms = row.timestamp_ms.saturating_add(limits::TTL_MS_MAX + limits::DRIFT_MS);
        if last_ms < committed.timestamp_ms {
            break;
        }
        for used in &row.receipts {
            if used.expires_ms >= committed.timestamp_ms {
                window.insert(used.receipt.transaction, used.expires_ms, &used.references);
            }
        }
        height = at.previous();
    }
    Ok(window)
}

impl World {
    /// Executes and commits every block that the chain has and the state has not; returns the
    /// height it came to. The blocks are decided: their batches are taken on trust, and what they
    /// come to must be what their finalizations certify.
    pub fn catch_up(&mut self, chain: &ChainReader) -> Result<Height, StateError> {
        self.check_on(chain)?;
        let last = chain.last_height();
        while self.committed().height < last {
            self.redo(chain, self.committed().height.next())?;
        }
        Ok(self.committed().height)
    }

    fn check_on(&self, chain: &ChainReader) -> Result<(), StateError> {
        let committed = self.committed();
        if committed.height == Height(0) {
            // A chain that came with a snapshot has no blocks to make a state from.
            return match chain.first_height().map_err(fatal)? > Height(1) {
                true => Err(StoreError::Row { table: Table::StateMeta }.into()),
                false => Ok(()),
            };
        }
        match chain.height_of(&committed.block).map_err(fatal)? {
            Some(_) => Ok(()),
            None => Err(StateError::AheadOfChain {
                state: committed.height,
                chain: chain.last_height(),
            }),
        }
    }

    fn redo(&mut self, chain: &ChainReader, height: Height) -> Result<(), StateError> {
        let damaged = || StoreError::Row { table: Table::Blocks };
        let block = chain.block(height).map_err(fatal)?.ok_or_else(damaged)?;
        let bytes = chain.batches_of(height).map_err(fatal)?.ok_or_else(damaged)?;
        let batches = bytes
            .into_iter()
            .map(|bytes| match Batch::decode(&self.shared.chain, bytes) {
                Ok(batch) => Ok(Arc::new(Verified::vouch(batch))),
                Err(_) => Err(StoreError::Row { table: Table::Batches }),
            })
            .collect::<Result<Vec<_>, _>>()?;
        let executed = self.execute(&block.header, &batches)?;
        match block.finalization.ballot.kind {
            VoteKind::Finalize { result, .. } if result == executed.result.hash() => {
                self.commit(executed)?;
                Ok(())
            }
            VoteKind::Finalize { result, .. } => Err(StateError::Diverged {
                height,
                certified: result,
                executed: Box::new(executed.result),
            }),
            _ => Err(damaged().into()),
        }
    }
}

fn fatal(error: ChainError) -> StateError {
    match error {
        ChainError::Fatal(error) => StateError::Fatal(error),
        // Reading is never refused.
        other => StateError::Fatal(StoreError::Io(other.to_string())),
    }
}
