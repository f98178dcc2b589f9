//! Reads of the committed chain, and following it.

use std::str::FromStr;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use bytes::Bytes;
use tonle_client::api::{
    Block, BlockBrief, BlockReceipts, BlockTransaction, BlocksQuery, Page, PublicReads, Wait,
};
use tonle_model::batch::Batch;
use tonle_model::block::Header;
use tonle_model::hash::BlockHash;
use tonle_model::number::Height;
use tonle_model::receipt::{Outcome, Receipt};
use tonle_model::transaction::SignedTransaction;
use tonle_model::vote::Certificate;

use super::negotiate::{Form, Path, Query, form_of_answer, json, scale};
use super::problem::{ApiError, stored};
use super::reads::{off_thread, page_length};
use super::{App, Shared};

/// A list of receipts ends with the block that passes this many receipts (about 34 bytes each).
const LISTED_RECEIPTS_MAX: usize = 100_000;

/// How a path names a block.
#[derive(Debug, Clone, Copy)]
pub(super) enum BlockId {
    Height(Height),
    Hash(BlockHash),
}

impl FromStr for BlockId {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // The hash first: 64 zeros are also a number.
        let hash = text.parse().map(Self::Hash).ok();
        let id = hash.or_else(|| text.parse().map(|height| Self::Height(Height(height))).ok());
        id.ok_or("a block is named by its height or by its hash of 64 hex digits")
    }
}

/// `GET /v1/blocks?from&limit&wait`
pub(super) async fn list(
    State(shared): App,
    headers: HeaderMap,
    Query(query): Query<BlocksQuery>,
) -> Result<Response, ApiError> {
    let form = form_of_answer(&headers);
    shared.check_public(match form {
        Form::Json => PublicReads::Chain,
        Form::Scale => PublicReads::All,
    })?;
    let limit = page_length(query.limit)?;
    let last = match query.from {
        Some(from) => shared.committed_or_wait(from, query.wait).await,
        None => shared.committed(),
    };
    let newest = || Height(last.0.saturating_sub(limit as u64 - 1)).max(shared.first_held());
    let from = query.from.unwrap_or_else(newest);
    let heights = (from.0..=last.0).take(limit).map(Height);
    off_thread(shared, move |shared| match form {
        Form::Scale => Ok(scale(StatusCode::OK, &receipts(shared, heights)?)),
        Form::Json => {
            let items =
                heights.map(|height| brief(shared, height)).collect::<Result<Vec<_>, _>>()?;
            let shown = items.last().map(|brief: &BlockBrief| brief.height);
            let next = shown.filter(|height| *height < last).map(|height| height.next());
            let next = next.map(|height| height.to_string());
            Ok(json(StatusCode::OK, Page { items, next }))
        }
    })
    .await
}

/// `GET /v1/blocks/{height or hash}`
pub(super) async fn one(State(shared): App, Path(id): Path<BlockId>) -> Result<Response, ApiError> {
    shared.check_public(PublicReads::Chain)?;
    let with_transactions = shared.check_public(PublicReads::All).is_ok();
    off_thread(shared, move |shared| {
        let height = shared.find(id)?;
        let (header, finalization) = shared.decided(height)?;
        let transactions = match with_transactions {
            true => Some(transactions(shared, height)?),
            false => None,
        };
        let result = stored(shared.node.world().result(height))?;
        let hash = header.hash();
        let block = Block { height, hash, header, finalization, result, transactions };
        Ok(json(StatusCode::OK, block))
    })
    .await
}

impl Shared {
    /// The last height in the state. Whoever was told of a payment's block finds it, though those
    /// who wait for blocks may hear of it a moment later.
    pub(super) fn committed(&self) -> Height {
        self.node.world().committed().height
    }

    /// The last committed height, as soon as it is `from` or the wait is over.
    async fn committed_or_wait(&self, from: Height, wait: Option<Wait>) -> Height {
        let mut committed = self.node.committed();
        if let Some(wait) = wait {
            let reached = committed.wait_for(|height| *height >= from);
            tokio::select! {
                // Whether it came or the node is gone: what there is, is told.
                _ = tokio::time::timeout(wait.duration(), reached) => {}
                () = self.stopping() => {}
            }
        }
        self.committed()
    }

    fn find(&self, id: BlockId) -> Result<Height, ApiError> {
        let height = match id {
            BlockId::Height(height) => Some(height),
            BlockId::Hash(hash) if hash == self.genesis.hash() => Some(Height(0)),
            BlockId::Hash(hash) => stored(self.node.chain().height_of(&hash))?,
        };
        let committed = self.committed();
        height.filter(|height| *height <= committed).ok_or_else(|| {
            ApiError::unknown(
                "unknown_block",
                format!(
                    "there is no such block; the last one is {committed}, and \
                     GET /v1/blocks?from=HEIGHT&wait=30s waits for one to come"
                ),
            )
        })
    }

    /// A committed block's header and the certificate that decided it; nobody decided genesis.
    pub(super) fn decided(
        &self,
        height: Height,
    ) -> Result<(Header, Option<Certificate>), ApiError> {
        if height == Height(0) {
            return Ok((self.genesis.clone(), None));
        }
        self.check_held(height)?;
        let record = stored(self.node.chain().block(height))?;
        let record = stored(record.ok_or("a committed block is not in the chain database"))?;
        Ok((record.header, Some(record.finalization)))
    }

    /// The first block that is here: of the genesis at least the header always is.
    pub(super) fn first_held(&self) -> Height {
        self.node.world().joined().map_or(Height(0), |joined| joined.first)
    }

    /// Refuses what is about a block that a snapshot spared this node.
    pub(super) fn check_held(&self, height: Height) -> Result<(), ApiError> {
        let first = self.first_held();
        match height < first {
            true => Err(ApiError::gone("blocks", format_args!("height {first}"))),
            false => Ok(()),
        }
    }

    pub(super) fn receipts(&self, height: Height) -> Result<Vec<Receipt>, ApiError> {
        if height == Height(0) {
            return Ok(Vec::new());
        }
        self.check_held(height)?;
        let receipts = stored(self.node.world().receipts(height))?;
        stored(receipts.ok_or("the receipts of a committed block are not in the state database"))
    }
}

fn brief(shared: &Shared, height: Height) -> Result<BlockBrief, ApiError> {
    let (header, finalization) = shared.decided(height)?;
    Ok(BlockBrief {
        height,
        hash: header.hash(),
        timestamp_ms: header.timestamp_ms,
        proposer: header.proposer,
        view: finalization.map(|certificate| certificate.ballot.view),
        transactions: u32::try_from(header.transaction_count()).unwrap_or(u32::MAX),
    })
}

fn receipts(
    shared: &Shared,
    heights: impl Iterator<Item = Height>,
) -> Result<Vec<BlockReceipts>, ApiError> {
    let mut blocks = Vec::new();
    let mut count = 0usize;
    for height in heights {
        let receipts = shared.receipts(height)?;
        count += receipts.len();
        blocks.push(BlockReceipts { height, receipts });
        if count > LISTED_RECEIPTS_MAX {
            break;
        }
    }
    Ok(blocks)
}

fn transactions(shared: &Shared, height: Height) -> Result<Vec<BlockTransaction>, ApiError> {
    let members = members(shared, height)?;
    let receipts = shared.receipts(height)?;
    let transactions = receipts.into_iter().map(|receipt| {
        let (hash, outcome) = (receipt.transaction, receipt.outcome);
        // By its place and not by its hash: a void copy with other signatures has the same hash.
        let record = stored(shared.node.world().transaction(&hash))?;
        let member = record.as_ref().and_then(|record| members.get(record.place as usize));
        let transaction = member.map(|member| member.transaction().clone());
        let detail = record.map(|record| record.detail).filter(|_| outcome != Outcome::Applied);
        Ok(BlockTransaction { hash, outcome, detail, transaction })
    });
    transactions.collect()
}

fn members(shared: &Shared, height: Height) -> Result<Vec<SignedTransaction>, ApiError> {
    let batches: Vec<Bytes> = stored(shared.node.chain().batches_of(height))?.unwrap_or_default();
    let mut members = Vec::new();
    for bytes in batches {
        let batch = stored(Batch::decode(&shared.genesis.chain, bytes))?;
        members.extend_from_slice(batch.transactions());
    }
    Ok(members)
}
