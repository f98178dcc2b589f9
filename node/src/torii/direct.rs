//! Torii without connections, for whoever tests what strangers may write: one request after the
//! other, to its answer.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, header};
use bytes::Bytes;
use tokio::sync::watch;
use tonle_model::block::Header;
use tower::ServiceExt;

use super::{Node, Settings, Shared, router};

/// A request, as it stands on the line.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// `GET`, `POST` or anything else.
    pub method: &'a str,
    /// Path and query string.
    pub target: &'a str,
    /// Names and values, in order.
    pub headers: &'a [(&'a str, &'a [u8])],
    /// The body.
    pub body: &'a [u8],
}

/// What is answered.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// What the body is; empty if that is not said.
    pub media_type: String,
    /// The body.
    pub body: Bytes,
}

/// All routes of a node. It answers as one that is told to stop: nothing is held, and a stream of
/// events says where it would go on and ends.
pub struct Direct(Router);

impl Direct {
    /// The routes of this node; `genesis` is the header of block 0.
    pub fn new(node: Arc<dyn Node>, genesis: Header) -> Self {
        let (_told, stopping) = watch::channel(true);
        let shared = Shared::new(node, genesis, &Settings::default(), stopping);
        Self(router(Arc::new(shared)))
    }

    /// The answer to a request; `None` if it is none of HTTP.
    pub async fn answer(&self, call: &Call<'_>) -> Option<Answer> {
        let mut request = Request::builder().method(call.method).uri(call.target);
        for (name, value) in call.headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(Bytes::copy_from_slice(call.body))).ok()?;
        let response = match self.0.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let media_type = response.headers().get(header::CONTENT_TYPE);
        let media_type = media_type.and_then(|value| value.to_str().ok());
        let media_type = media_type.unwrap_or_default().to_owned();
        let status = response.status().as_u16();
        // Each answer is bounded where it is made.
        let body = to_bytes(response.into_body(), usize::MAX).await;
        let body = body.expect("what is in memory does not break off");
        Some(Answer { status, media_type, body })
    }
}
