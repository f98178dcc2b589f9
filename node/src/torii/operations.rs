//! What operators and their monitors read: status, health, metrics. Open to everyone who reaches
//! the listener, for it tells nothing about anybody's money.

use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

use super::App;
use super::negotiate::json;
use super::problem::ApiError;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `GET /status`
pub(super) async fn status(State(shared): App) -> Response {
    json(StatusCode::OK, shared.node.node_status())
}

/// `GET /health/live`: the process answers.
pub(super) async fn live() -> Response {
    json(StatusCode::OK, serde_json::json!({"status": "live"}))
}

/// `GET /health/ready`: it takes transactions in.
pub(super) async fn ready(State(shared): App) -> Result<Response, ApiError> {
    match shared.node.health() {
        Ok(()) => Ok(json(StatusCode::OK, serde_json::json!({"status": "ready"}))),
        Err(reason) => Err(ApiError::busy("not_ready", reason)),
    }
}

/// `GET /metrics`
pub(super) async fn metrics(State(shared): App) -> Response {
    let mut text = shared.node.metrics();
    shared.counters.append_to(&mut text);
    ([(header::CONTENT_TYPE, OPEN_METRICS)], text).into_response()
}
