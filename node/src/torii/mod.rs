//! Torii: the HTTP API (api.md, Torii). It turns requests into calls of the [`Node`] behind it, and
//! answers into JSON, SCALE or a problem document.
//!
//! What it holds against strangers, each bound with its name: connections
//! ([`Settings::connections_max`]), the time a header, a body and a reader may take, the bytes of
//! one body ([`BODY_BYTES_MAX`]) and of all bodies at once ([`BODIES_BYTES_MAX`]), transactions in
//! an array, items in a page, bytes in an answer, how long an answer is held, and event streams
//! ([`Settings::streams_max`]). What a transaction must be to be taken in is not decided here: see
//! [`Node::submit`].
//!
//! [`BODY_BYTES_MAX`]: tonle_client::api::BODY_BYTES_MAX

mod answers;
mod blocks;
mod body;
mod convert;
mod counters;
mod direct;
mod events;
mod evidence;
mod joining;
mod negotiate;
mod nonces;
mod operations;
mod problem;
mod proofs;
mod query;
mod reads;
mod server;
mod stall;
mod status;
mod submit;
mod tokens;

#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_bad_input;
#[cfg(test)]
mod tests_events;
#[cfg(test)]
mod tests_evidence;
#[cfg(test)]
mod tests_joined;
#[cfg(test)]
mod tests_ledger;
#[cfg(test)]
pub(crate) mod tests_node;
#[cfg(test)]
mod tests_query;
#[cfg(test)]
mod tests_reads;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::routing::{get, post};
use futures::future::BoxFuture;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tonle_client::api::{NodeStatus, PublicReads, TransactionStatus};
use tonle_model::block::Header;
use tonle_model::hash::TransactionHash;
use tonle_model::number::Height;
use tonle_model::transaction::SignedTransaction;
use tonle_model::verify::Verifier;
use tonle_wsv::chain::ChainReader;
use tonle_wsv::state::{StateError, WorldReader};

use self::counters::Counters;
pub use self::direct::{Answer, Call, Direct};
pub use self::joining::{JoiningStatus, serve_joining};
use self::nonces::Nonces;
use self::problem::ApiError;
pub use self::server::serve;
use self::tokens::Tokens;

/// Bytes of all request bodies being read or worked on. One more request is answered 503.
pub const BODIES_BYTES_MAX: usize = 32 * 1024 * 1024;

/// How long the node may take to check what was submitted.
const SUBMIT_MAX: Duration = Duration::from_secs(20);

/// Where a transaction stands, if the node knows it; an error if it cannot read what it knows.
pub type Known = Result<Option<TransactionStatus>, StateError>;

/// What Torii asks of the node behind it.
pub trait Node: Send + Sync + 'static {
    /// Takes in well-formed transactions: checks chain, window, duplicates, authorities, quorum
    /// and balance against committed state, then the signatures in batches (ledger.md,
    /// Transaction). One answer for each, in order. It runs to its end even if the client hangs up.
    fn submit(
        &self,
        transactions: Vec<SignedTransaction>,
    ) -> BoxFuture<'_, Vec<Result<Submitted, Refusal>>>;

    /// Where a transaction stands, `queued` and `expired` included; `None` if this node does not
    /// know it.
    fn status_of(&self, hash: &TransactionHash) -> Known;

    /// Waits until the status is final or the deadline has passed, and tells it.
    fn wait_for(&self, hash: TransactionHash, deadline: Instant) -> BoxFuture<'_, Known>;

    /// The node about itself.
    fn node_status(&self) -> NodeStatus;

    /// Whether it is ready for work; the error says in words why not.
    fn health(&self) -> Result<(), String>;

    /// The last committed height, sent only once the readers below show it.
    fn committed(&self) -> watch::Receiver<Height>;

    /// Reads of the committed state.
    fn world(&self) -> &WorldReader;

    /// Reads of the committed chain.
    fn chain(&self) -> &ChainReader;

    /// The node's clock, in milliseconds since 1970.
    fn now_ms(&self) -> u64;

    /// The node's metrics in the OpenMetrics text form.
    fn metrics(&self) -> String;
}

/// A transaction that was not refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The transaction.
    pub hash: TransactionHash,
    /// Where it stood already, if the node knew it: nothing was done then.
    pub known: Option<TransactionStatus>,
}

/// What kind of refusal: the HTTP status it is answered with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RefusalClass {
    /// 401: a signature is wrong.
    Signature,
    /// 422: the ledger would not have it.
    Unprocessable,
    /// 429: too much at once.
    Busy,
    /// 503: this node cannot take anything in now.
    NotReady,
}

/// Why a transaction was not taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code, such as [`tonle_model::receipt::VoidCode::code`] gives.
    pub code: &'static str,
    /// The HTTP status.
    pub class: RefusalClass,
    /// What happened and what to do about it.
    pub detail: String,
    /// When it is worth trying again.
    pub retry_after: Option<Duration>,
}

/// The bounds that an operator or a test sets.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Connections served at once.
    pub connections_max: usize,
    /// Connections beyond those that are told 503; one more waits to be accepted.
    pub refusals_max: usize,
    /// For a request's header to arrive, and for an idle connection to stay open.
    pub header_max: Duration,
    /// For a request's body to arrive.
    pub body_max: Duration,
    /// For a reader that takes nothing of its answer.
    pub stall_max: Duration,
    /// For requests under way when the node is told to stop.
    pub stop_max: Duration,
    /// Signed queries remembered for two minutes, so that none is answered twice: about 100 bytes
    /// each. One account has a quarter of the room.
    pub queries_max: usize,
    /// Event streams at once.
    pub streams_max: usize,
    /// After so long without an event a stream says that it is still there, and how far it is.
    pub keep_alive: Duration,
    /// Tokens for event streams remembered for an hour: about 300 bytes each. One account has a
    /// quarter of the room.
    pub tokens_max: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connections_max: 512,
            refusals_max: 64,
            header_max: Duration::from_secs(15),
            body_max: Duration::from_secs(10),
            stall_max: Duration::from_secs(20),
            stop_max: Duration::from_secs(5),
            queries_max: 262_144,
            streams_max: 256,
            keep_alive: Duration::from_secs(15),
            tokens_max: 16_384,
        }
    }
}

/// What every handler sees.
struct Shared {
    node: Arc<dyn Node>,
    genesis: Header,
    bodies: Arc<Semaphore>,
    body_max: Duration,
    counters: Arc<Counters>,
    /// Checks the signatures of queries; those of transactions are the node's to check.
    verifier: Verifier,
    nonces: Nonces,
    streams: Arc<Semaphore>,
    keep_alive: Duration,
    tokens: Tokens,
    stopping: watch::Receiver<bool>,
}

type App = axum::extract::State<Arc<Shared>>;

impl Shared {
    fn new(
        node: Arc<dyn Node>,
        genesis: Header,
        settings: &Settings,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        Self {
            node,
            genesis,
            bodies: Arc::new(Semaphore::new(BODIES_BYTES_MAX / body::PERMIT_BYTES)),
            body_max: settings.body_max,
            counters: Arc::default(),
            verifier: Verifier::new(),
            nonces: Nonces::with_room(settings.queries_max, settings.queries_max.div_ceil(4)),
            streams: Arc::new(Semaphore::new(settings.streams_max)),
            keep_alive: settings.keep_alive,
            tokens: Tokens::with_room(settings.tokens_max, settings.tokens_max.div_ceil(4)),
            stopping,
        }
    }

    /// Whether the parameter `public_reads` shows as much (ledger.md, Reading).
    fn is_public(&self, asked: PublicReads) -> bool {
        let shown = self.node.world().parameters().public_reads;
        match asked {
            PublicReads::None => true,
            PublicReads::Chain => shown != PublicReads::None,
            PublicReads::All => shown == PublicReads::All,
        }
    }

    /// Refuses what the parameter `public_reads` does not show.
    fn check_public(&self, asked: PublicReads) -> Result<(), ApiError> {
        match self.is_public(asked) {
            true => Ok(()),
            false => Err(ApiError::new(
                StatusCode::FORBIDDEN,
                "reads_not_public",
                "this network does not show this to unsigned reads (its parameter `public_reads`); \
                 sign the question with an account that may know and send it to POST /v1/query, or \
                 ask the operator of your node",
            )),
        }
    }

    /// Resolves when the node is told to stop: whoever holds an answer back gives it then.
    async fn stopping(&self) {
        // An error means that whoever could tell us is gone, which is the same.
        let _ = self.stopping.clone().wait_for(|stopping| *stopping).await;
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/transactions", post(submit::submit))
        .route("/v1/transactions/encode", post(submit::encode))
        .route("/v1/transactions/{hash}", get(status::status))
        .route("/v1/accounts", get(reads::accounts))
        .route("/v1/accounts/{id}", get(reads::account))
        .route("/v1/accounts/{id}/balances", get(reads::balances))
        .route("/v1/accounts/{id}/balances/{asset}/at/{time_ms}", get(reads::balance_at))
        .route("/v1/accounts/{id}/transactions", get(reads::history))
        .route("/v1/accounts/{id}/holds", get(reads::holds))
        .route("/v1/accounts/{id}/proposals", get(reads::proposals))
        .route("/v1/holds/{id}", get(reads::hold))
        .route("/v1/invoices/{payee}/{id}", get(reads::invoices))
        .route("/v1/proposals/{id}", get(reads::proposal))
        .route("/v1/assets", get(reads::assets))
        .route("/v1/assets/{id}", get(reads::asset))
        .route("/v1/assets/{id}/supply", get(reads::supply))
        .route("/v1/assets/{id}/totals", get(reads::totals))
        .route("/v1/domains", get(reads::domains))
        .route("/v1/roles", get(reads::roles))
        .route("/v1/roles/{id}", get(reads::role))
        .route("/v1/parameters", get(reads::parameters))
        .route("/v1/validators", get(reads::validators))
        .route("/v1/query", post(query::query))
        .route("/v1/blocks", get(blocks::list))
        .route("/v1/blocks/{id}", get(blocks::one))
        .route("/v1/events", get(events::events))
        .route("/v1/evidence", get(evidence::list))
        .route("/v1/proofs/transactions/{hash}", get(proofs::transaction))
        .route("/v1/proofs/balances/{account}/{asset}", get(proofs::balance))
        .route("/v1/proofs/accounts/{id}", get(proofs::account))
        .route("/v1/proofs/invoices/{payee}/{id}", get(proofs::invoice))
        .route("/status", get(operations::status))
        .route("/health/live", get(operations::live))
        .route("/health/ready", get(operations::ready))
        .route("/metrics", get(operations::metrics))
        .fallback(no_route)
        .method_not_allowed_fallback(no_method)
        .with_state(shared)
}

async fn no_route(request: Request) -> ApiError {
    let path = request.uri().path().to_owned();
    body::drain(request.into_body()).await;
    ApiError::new(
        StatusCode::NOT_FOUND,
        "unknown_route",
        format!("there is nothing at {path}; the routes are listed in the API documentation"),
    )
}

async fn no_method(request: Request) -> ApiError {
    let (method, path) = (request.method().clone(), request.uri().path().to_owned());
    body::drain(request.into_body()).await;
    let other = if method == Method::POST { "GET" } else { "GET or POST" };
    ApiError::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        format!("{method} does nothing at {path}; see the header Allow, or try {other}"),
    )
}
