//! Accepting connections and serving them, a bounded number at a time, until told to stop.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderValue, Request, Response, header};
use axum::response::IntoResponse;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tonle_model::block::Header;
use tower::ServiceExt;

use super::problem::ApiError;
use super::stall::Unstalled;
use super::{Node, Settings, Shared, router};

/// Pause after the system refused to accept, usually for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Most header lines of a request.
const HEADERS_MAX: usize = 64;
/// Most bytes that hyper buffers for a connection: a header must fit, bodies pass through.
const BUFFER_BYTES_MAX: usize = 128 * 1024;
/// For the header of a request that will be refused anyway.
const REFUSED_HEADER_MAX: Duration = Duration::from_secs(2);

struct Server {
    router: Router,
    shared: Arc<Shared>,
    settings: Settings,
    served: Arc<Semaphore>,
    refused: Arc<Semaphore>,
}

/// Serves the API on `listener` until `stopping` says true (or its sender is gone): then nothing
/// new is accepted, answers that were held back are given, and requests under way get
/// [`Settings::stop_max`] to end. `genesis` is the header of block 0, which no database has.
pub async fn serve(
    listener: TcpListener,
    node: Arc<dyn Node>,
    genesis: Header,
    settings: Settings,
    stopping: watch::Receiver<bool>,
) {
    let shared = Arc::new(Shared::new(node, genesis, &settings, stopping));
    let server = Arc::new(Server {
        router: router(shared.clone()),
        served: Arc::new(Semaphore::new(settings.connections_max)),
        refused: Arc::new(Semaphore::new(settings.refusals_max)),
        shared,
        settings,
    });
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = server.shared.stopping() => break,
            Some(ended) = connections.join_next() => report(ended),
            (stream, place) = server.accept(&listener) => {
                connections.spawn(server.clone().connection(stream, place));
            }
        }
    }
    drop(listener);
    let rest = async {
        while let Some(ended) = connections.join_next().await {
            report(ended);
        }
    };
    if tokio::time::timeout(server.settings.stop_max, rest).await.is_err() {
        tracing::warn!("Torii cut off requests that did not end in time");
    }
}

fn report(ended: Result<(), tokio::task::JoinError>) {
    // A panic in a handler costs its own connection only, but it is a bug to be seen.
    if let Err(error) = ended.and(Ok(())).map_err(|error| error.to_string()) {
        tracing::error!(error, "a connection's task failed");
    }
}

/// What a connection may do.
enum Place {
    /// Be served.
    Served(OwnedSemaphorePermit),
    /// Be told to come later.
    Refused(OwnedSemaphorePermit),
}

impl Server {
    /// The next connection and its place. Connections for which there is not even a place to be
    /// refused wait in the listener's backlog, which the system bounds.
    async fn accept(&self, listener: &TcpListener) -> (TcpStream, Place) {
        let (served, refused) = (self.served.clone(), self.refused.clone());
        let place = tokio::select! {
            biased;
            permit = served.acquire_owned() => permit.map(Place::Served),
            permit = refused.acquire_owned() => permit.map(Place::Refused),
        };
        let place = place.expect("nobody closes these semaphores");
        loop {
            match listener.accept().await {
                Ok((stream, _)) => return (stream, self.promote(place)),
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    /// While a place to be refused waited for its connection, a better one may have come free.
    fn promote(&self, place: Place) -> Place {
        match (place, self.served.clone().try_acquire_owned()) {
            (Place::Refused(_), Ok(permit)) => Place::Served(permit),
            (place, _) => place,
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, place: Place) {
        // Answers are small and somebody waits for them. Without it they are only later.
        let _ = stream.set_nodelay(true);
        let io = TokioIo::new(Unstalled::new(stream, self.settings.stall_max));
        let (refuse, header_max, _permit) = match place {
            Place::Served(permit) => (false, self.settings.header_max, permit),
            Place::Refused(permit) => {
                self.shared.counters.refused();
                (true, self.settings.header_max.min(REFUSED_HEADER_MAX), permit)
            }
        };
        let _open = self.shared.counters.open();
        let service = service_fn(|request| self.answer(request, refuse));
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(header_max)
            .max_headers(HEADERS_MAX)
            .max_buf_size(BUFFER_BYTES_MAX)
            .serve_connection(io, service);
        let mut connection = std::pin::pin!(connection);
        let ended = tokio::select! {
            ended = connection.as_mut() => ended,
            () = self.shared.stopping() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = ended {
            self.shared.counters.broken();
            tracing::debug!(%error, "a connection broke");
        }
    }

    async fn answer(
        &self,
        request: Request<Incoming>,
        refuse: bool,
    ) -> Result<Response<Body>, Infallible> {
        let response = if refuse {
            super::body::drain(Body::new(request.into_body())).await;
            let detail = "the node has as many connections as it can serve; \
                          keep connections open and reuse them, or try again in a second";
            let mut response = ApiError::busy("too_many_connections", detail).into_response();
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
            response
        } else {
            match self.router.clone().oneshot(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        };
        self.shared.counters.answered(response.status());
        Ok(response)
    }
}
