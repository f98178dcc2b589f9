//! Errors as RFC 9457 problem documents: the one place where they are rendered.

use std::fmt::Display;
use std::time::Duration;

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use tonle_client::api::{PROBLEM, Problem, SubmitItem};

use super::{Refusal, RefusalClass};

/// An answer that is not what was asked for.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    detail: String,
    retry_after: Option<Duration>,
    results: Vec<SubmitItem>,
}

impl ApiError {
    /// `code` is for ever; `detail` says what happened and what to do.
    pub fn new(status: StatusCode, code: &'static str, detail: impl Into<String>) -> Self {
        Self { status, code, detail: detail.into(), retry_after: None, results: Vec::new() }
    }

    /// 400: the request cannot be read.
    pub fn malformed(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed", detail)
    }

    /// 404: there is no such thing here.
    pub fn unknown(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, code, detail)
    }

    /// 410: it was once, and this node does not have it.
    pub fn gone(what: &str, begins: impl Display) -> Self {
        let detail = format!(
            "this node joined from a snapshot and has {what} from {begins} on; ask a node that has \
             been there from the genesis on"
        );
        Self::new(StatusCode::GONE, "not_held", detail)
    }

    /// 503: not now.
    pub fn busy(code: &'static str, detail: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, code, detail).after(Duration::from_secs(1))
    }

    /// Says when it is worth trying again.
    pub fn after(mut self, retry_after: Duration) -> Self {
        self.retry_after = Some(retry_after);
        self
    }

    /// Says what became of each transaction of an array.
    pub fn with_results(mut self, results: Vec<SubmitItem>) -> Self {
        self.results = results;
        self
    }
}

/// A read that failed is the disk's fault, never the client's. The words go to the log only.
pub(super) fn stored<T>(result: Result<T, impl Display>) -> Result<T, ApiError> {
    let detail = "the node could not read its own store; ask another node and tell the operator";
    internal(result, detail)
}

/// A task that ended by a panic: a bug, which costs the one request.
pub(super) fn joined<T>(result: Result<T, tokio::task::JoinError>) -> Result<T, ApiError> {
    let detail = "the node failed on this request; ask another node and tell the operator";
    internal(result, detail)
}

fn internal<T>(result: Result<T, impl Display>, detail: &str) -> Result<T, ApiError> {
    result.map_err(|error| {
        tracing::error!(%error, "Torii answers 500");
        ApiError::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
    })
}

/// The HTTP status of a refusal.
pub(super) fn status_of(class: RefusalClass) -> StatusCode {
    match class {
        RefusalClass::Signature => StatusCode::UNAUTHORIZED,
        RefusalClass::Unprocessable => StatusCode::UNPROCESSABLE_ENTITY,
        RefusalClass::Busy => StatusCode::TOO_MANY_REQUESTS,
        RefusalClass::NotReady => StatusCode::SERVICE_UNAVAILABLE,
    }
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let worth_retrying = matches!(refusal.class, RefusalClass::Busy | RefusalClass::NotReady);
        let retry_after = match refusal.retry_after {
            None if worth_retrying => Some(Duration::from_secs(1)),
            given => given,
        };
        let error = Self::new(status_of(refusal.class), refusal.code, refusal.detail);
        Self { retry_after, ..error }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        // Whole seconds, upward: zero would invite the client at once.
        let retry_after_s =
            self.retry_after.map(|after| after.as_millis().div_ceil(1000).max(1) as u64);
        let problem = Problem {
            kind: format!("urn:tonle:problem:{}", self.code),
            title: self.code.replace('_', " "),
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code.to_owned(),
            retry_after_s,
            results: self.results,
        };
        let mut response = (self.status, Json(problem)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM));
        if let Some(seconds) = retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
