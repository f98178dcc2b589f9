//! Reading a request's body within bounds of size, time and memory.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use tokio::sync::OwnedSemaphorePermit;
use tonle_client::api::BODY_BYTES_MAX;

use super::Shared;
use super::problem::ApiError;

/// What one permit of the memory for bodies stands for.
pub(super) const PERMIT_BYTES: usize = 1024;

/// How much of a refused body is read and thrown away, so that a client which sends before it
/// listens still hears the answer. A longer one is cut off.
const DRAINED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// How long that may take.
const DRAIN_MAX: Duration = Duration::from_secs(3);

/// A body, and the memory set aside for it until what was made of it is with the node.
pub(super) struct Held {
    /// The bytes as they came.
    pub bytes: Bytes,
    _permit: OwnedSemaphorePermit,
}

/// Reads a body whole.
pub(super) async fn read(
    shared: &Arc<Shared>,
    headers: &HeaderMap,
    body: Body,
) -> Result<Held, ApiError> {
    // hyper has checked the number against the other headers; chunked bodies have none.
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    let declared = declared.and_then(|text| text.parse::<usize>().ok());
    if declared.is_some_and(|length| length > BODY_BYTES_MAX) {
        drain(body).await;
        return Err(too_large());
    }
    let reserved = declared.unwrap_or(BODY_BYTES_MAX);
    let permits = reserved.div_ceil(PERMIT_BYTES) as u32;
    let Ok(permit) = Arc::clone(&shared.bodies).try_acquire_many_owned(permits) else {
        drain(body).await;
        let detail = "the node is reading as many requests as it can; send it again in a second";
        return Err(ApiError::busy("busy", detail));
    };
    let reading = tokio::time::timeout(shared.body_max, collect(body, declared.unwrap_or(0)));
    match reading.await {
        Ok(bytes) => Ok(Held { bytes: bytes?, _permit: permit }),
        Err(_) => Err(ApiError::new(
            StatusCode::REQUEST_TIMEOUT,
            "body_too_slow",
            format!("the body did not arrive within {} ms", shared.body_max.as_millis()),
        )),
    }
}

/// Reads on and forgets, within bounds.
pub(super) async fn drain(body: Body) {
    let forget = async {
        let mut stream = body.into_data_stream();
        let mut length = 0usize;
        while let Some(Ok(frame)) = stream.next().await {
            length = length.saturating_add(frame.len());
            if length > DRAINED_BYTES_MAX {
                return;
            }
        }
    };
    // Whoever is too slow is cut off.
    let _ = tokio::time::timeout(DRAIN_MAX, forget).await;
}

async fn collect(body: Body, capacity: usize) -> Result<Bytes, ApiError> {
    let mut stream = body.into_data_stream();
    let mut buffer = BytesMut::new();
    while let Some(frame) = stream.next().await {
        let frame = frame.map_err(|error| {
            ApiError::malformed(format!("the body ended before it was complete: {error}"))
        })?;
        if buffer.len() + frame.len() > BODY_BYTES_MAX {
            drain(Body::from_stream(stream)).await;
            return Err(too_large());
        }
        if buffer.is_empty() && frame.len() >= capacity && capacity > 0 {
            // All of it in one piece, as most are: no copy.
            return Ok(frame);
        }
        buffer.extend_from_slice(&frame);
    }
    Ok(buffer.freeze())
}

fn too_large() -> ApiError {
    ApiError::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "body_too_large",
        format!("a body has at most {BODY_BYTES_MAX} bytes; send fewer transactions at a time"),
    )
}
