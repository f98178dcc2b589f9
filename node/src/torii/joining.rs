//! What HTTP says while the node joins from a snapshot: that it lives, how far it is, and that it
//! is not ready. There is no state yet to say more of.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use axum::routing::get;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tonle_client::api::NodeStatus;
use tower::ServiceExt;

use super::negotiate::json;
use super::operations::live;
use super::problem::ApiError;

/// What the node says of itself.
pub type JoiningStatus = Arc<dyn Fn() -> NodeStatus + Send + Sync>;

/// For one connection.
const CONNECTION_MAX: Duration = Duration::from_secs(2);
/// Most connections at once: monitors ask, nobody else has reason to.
const CONNECTIONS_MAX: usize = 32;
/// Pause after the system refused to accept.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves `/status` and `/health` until `stopping` says true.
pub async fn serve_joining(
    listener: TcpListener,
    status: JoiningStatus,
    mut stopping: watch::Receiver<bool>,
) {
    let router = Router::new()
        .route("/status", get(|| async move { json(StatusCode::OK, status()) }))
        .route("/health/live", get(live))
        .fallback(|| async { ApiError::busy("not_ready", "joining from a snapshot: see /status") });
    let stopped = stopping.wait_for(|stopping| *stopping);
    tokio::select! {
        // Whoever could tell us to stop is gone, which is the same.
        _ = stopped => {}
        () = accept(&listener, &router) => {}
    }
}

async fn accept(listener: &TcpListener, router: &Router) {
    let mut connections = JoinSet::new();
    loop {
        if connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        match listener.accept().await {
            Ok((stream, _)) => drop(connections.spawn(serve_one(stream, router.clone()))),
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
        while connections.try_join_next().is_some() {}
    }
}

async fn serve_one(stream: TcpStream, router: Router) {
    let service = service_fn(|request: Request<Incoming>| {
        let router = router.clone();
        async move {
            let response = router.oneshot(request.map(Body::new)).await;
            Ok::<_, Infallible>(response.unwrap_or_else(|never| match never {}))
        }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(CONNECTION_MAX)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    // Who is too slow asks again.
    let _late = tokio::time::timeout(CONNECTION_MAX, connection).await;
}
