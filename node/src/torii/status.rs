//! Where a transaction stands. Open whatever `public_reads` says: who knows the hash is a party.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use tokio::time::Instant;
use tonle_client::api::{StatusQuery, SubmitReply};
use tonle_model::hash::TransactionHash;

use super::App;
use super::negotiate::{Path, Query, json};
use super::problem::{ApiError, stored};

/// `GET /v1/transactions/{hash}?wait=`
pub(super) async fn status(
    State(shared): App,
    Path(hash): Path<TransactionHash>,
    Query(query): Query<StatusQuery>,
) -> Result<Response, ApiError> {
    let mut status = stored(shared.node.status_of(&hash))?;
    let decided = status.as_ref().is_some_and(|status| status.is_final());
    if let (false, Some(wait)) = (decided, query.wait) {
        let deadline = Instant::now() + wait.duration();
        status = stored(tokio::select! {
            status = shared.node.wait_for(hash, deadline) => status,
            () = shared.stopping() => shared.node.status_of(&hash),
        })?;
    }
    match status {
        Some(status) => Ok(json(StatusCode::OK, SubmitReply { hash, status })),
        None => Err(ApiError::unknown(
            "unknown_transaction",
            "this node knows no such transaction; if it was sent to another node and has not \
             expired, ask with ?wait=5s or send it again, which is safe",
        )),
    }
}
