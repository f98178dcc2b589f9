//! What Torii counts about itself.

use std::fmt::Write;
use std::sync::atomic::{AtomicU64, Ordering};

use axum::http::StatusCode;

/// Counts since the start; the connections are a gauge.
#[derive(Default)]
pub(super) struct Counters {
    connections: AtomicU64,
    connections_refused: AtomicU64,
    connections_broken: AtomicU64,
    ok: AtomicU64,
    client_error: AtomicU64,
    busy: AtomicU64,
    server_error: AtomicU64,
}

/// An open connection, counted while it lives.
pub(super) struct OpenConnection(std::sync::Arc<Counters>);

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Counters {
    /// A connection was opened.
    pub fn open(self: &std::sync::Arc<Self>) -> OpenConnection {
        self.connections.fetch_add(1, Ordering::Relaxed);
        OpenConnection(self.clone())
    }

    /// A connection was told to come again later.
    pub fn refused(&self) {
        self.connections_refused.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection ended by an error: garbage, a time-out, a reset.
    pub fn broken(&self) {
        self.connections_broken.fetch_add(1, Ordering::Relaxed);
    }

    /// A request was answered.
    pub fn answered(&self, status: StatusCode) {
        let counter = match status.as_u16() {
            429 | 503 => &self.busy,
            500.. => &self.server_error,
            400.. => &self.client_error,
            _ => &self.ok,
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Appends the counts to metrics in the OpenMetrics text form.
    pub fn append_to(&self, text: &mut String) {
        const END: &str = "# EOF\n";
        let ended = text.ends_with(END);
        if ended {
            text.truncate(text.len() - END.len());
        }
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "# HELP tonle_http_requests Answered requests.\n\
             # TYPE tonle_http_requests counter\n\
             tonle_http_requests_total{{answer=\"ok\"}} {}\n\
             tonle_http_requests_total{{answer=\"client_error\"}} {}\n\
             tonle_http_requests_total{{answer=\"busy\"}} {}\n\
             tonle_http_requests_total{{answer=\"server_error\"}} {}\n\
             # HELP tonle_http_connections Open connections.\n\
             # TYPE tonle_http_connections gauge\n\
             tonle_http_connections {}\n\
             # HELP tonle_http_connections_refused Connections told to come later.\n\
             # TYPE tonle_http_connections_refused counter\n\
             tonle_http_connections_refused_total {}\n\
             # HELP tonle_http_connections_broken Connections that ended by an error.\n\
             # TYPE tonle_http_connections_broken counter\n\
             tonle_http_connections_broken_total {}\n",
            read(&self.ok),
            read(&self.client_error),
            read(&self.busy),
            read(&self.server_error),
            read(&self.connections),
            read(&self.connections_refused),
            read(&self.connections_broken),
        );
        if ended {
            text.push_str(END);
        }
    }
}
