//! Unsigned reads of the state, under the parameter `public_reads`: each GET is the unsigned form
//! of a [`tonle_model::query::Query`].

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Deserialize;
use tonle_client::api::{HistoryQuery, PAGE_ITEMS, PAGE_ITEMS_MAX, PublicReads, Query as Asked};
use tonle_model::hash::{HoldId, ProposalId};
use tonle_model::id::{AccountId, AssetId, DomainId, Name};
use tonle_model::query::{Cursor, InvoiceId};

use super::negotiate::{Path, Path2, Path3, Query};
use super::problem::{ApiError, joined};
use super::{App, Shared, answers};

type Answer = Result<Response, ApiError>;

/// Where a list begins and how long it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    pub limit: Option<u32>,
    pub cursor: Option<Cursor>,
}

/// Which accounts to list.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct AccountsQuery {
    domain: Option<DomainId>,
    limit: Option<u32>,
    cursor: Option<Cursor>,
}

/// The length of a page, checked before anything is made of it.
pub(super) fn page_length(limit: Option<u32>) -> Result<usize, ApiError> {
    match limit.unwrap_or(PAGE_ITEMS) {
        limit @ 1..=PAGE_ITEMS_MAX => Ok(limit as usize),
        _ => Err(ApiError::malformed(format!("`limit` is 1 to {PAGE_ITEMS_MAX}"))),
    }
}

/// Runs reads that may take the disk's time where they hold up nobody.
pub(super) async fn off_thread<T: Send + 'static>(
    shared: Arc<Shared>,
    read: impl FnOnce(&Shared) -> Result<T, ApiError> + Send + 'static,
) -> Result<T, ApiError> {
    joined(tokio::task::spawn_blocking(move || read(&shared)).await)?
}

/// Answers whoever asks, if the network shows that much. It does so where it was asked: a page
/// takes a few reads, nearly all of memory, and to change threads twice took longer under load
/// (docs/decisions/0016).
async fn public(shared: Arc<Shared>, asked: Asked) -> Answer {
    shared.check_public(shown_from(&asked))?;
    answers::answer(&shared, &asked)
}

/// What `public_reads` must be at least for the question to be answered to strangers.
fn shown_from(asked: &Asked) -> PublicReads {
    match asked {
        Asked::Assets { .. }
        | Asked::Asset { .. }
        | Asked::Supply { .. }
        | Asked::Parameters
        | Asked::Validators => PublicReads::Chain,
        _ => PublicReads::All,
    }
}

/// `GET /v1/accounts?domain&limit&cursor`
pub(super) async fn accounts(State(shared): App, Query(query): Query<AccountsQuery>) -> Answer {
    let AccountsQuery { domain, limit, cursor } = query;
    public(shared, Asked::Accounts { domain, limit, cursor }).await
}

/// `GET /v1/accounts/{id}`
pub(super) async fn account(State(shared): App, Path(id): Path<AccountId>) -> Answer {
    public(shared, Asked::Account { id }).await
}

/// `GET /v1/accounts/{id}/balances`
pub(super) async fn balances(
    State(shared): App,
    Path(account): Path<AccountId>,
    Query(ListQuery { limit, cursor }): Query<ListQuery>,
) -> Answer {
    public(shared, Asked::Balances { account, limit, cursor }).await
}

/// `GET /v1/accounts/{id}/balances/{asset}/at/{time_ms}`
pub(super) async fn balance_at(
    State(shared): App,
    Path3(account, asset, time_ms): Path3<AccountId, AssetId, u64>,
) -> Answer {
    public(shared, Asked::BalanceAt { account, asset, time_ms }).await
}

/// `GET /v1/accounts/{id}/transactions`
pub(super) async fn history(
    State(shared): App,
    Path(account): Path<AccountId>,
    Query(query): Query<HistoryQuery>,
) -> Answer {
    let HistoryQuery { asset, direction, since, until, limit, cursor } = query;
    let cursor = cursor.as_deref().map(answers::parse_cursor).transpose()?;
    let (since_ms, until_ms) = (since, until);
    let asked = Asked::History { account, asset, direction, since_ms, until_ms, limit, cursor };
    public(shared, asked).await
}

/// `GET /v1/accounts/{id}/holds`
pub(super) async fn holds(
    State(shared): App,
    Path(account): Path<AccountId>,
    Query(ListQuery { limit, cursor }): Query<ListQuery>,
) -> Answer {
    public(shared, Asked::Holds { account, limit, cursor }).await
}

/// `GET /v1/holds/{id}`
pub(super) async fn hold(State(shared): App, Path(id): Path<HoldId>) -> Answer {
    public(shared, Asked::Hold { id }).await
}

/// `GET /v1/invoices/{payee}/{id}`
pub(super) async fn invoices(
    State(shared): App,
    Path2(payee, id): Path2<AccountId, InvoiceId>,
) -> Answer {
    public(shared, Asked::Invoices { payee, id }).await
}

/// `GET /v1/accounts/{id}/proposals`
pub(super) async fn proposals(State(shared): App, Path(account): Path<AccountId>) -> Answer {
    public(shared, Asked::Proposals { account }).await
}

/// `GET /v1/proposals/{id}`
pub(super) async fn proposal(State(shared): App, Path(id): Path<ProposalId>) -> Answer {
    public(shared, Asked::Proposal { id }).await
}

/// `GET /v1/assets`
pub(super) async fn assets(
    State(shared): App,
    Query(ListQuery { limit, cursor }): Query<ListQuery>,
) -> Answer {
    public(shared, Asked::Assets { limit, cursor }).await
}

/// `GET /v1/assets/{id}`
pub(super) async fn asset(State(shared): App, Path(id): Path<AssetId>) -> Answer {
    public(shared, Asked::Asset { id }).await
}

/// `GET /v1/assets/{id}/supply`
pub(super) async fn supply(State(shared): App, Path(asset): Path<AssetId>) -> Answer {
    public(shared, Asked::Supply { asset }).await
}

/// `GET /v1/assets/{id}/totals`
pub(super) async fn totals(
    State(shared): App,
    Path(asset): Path<AssetId>,
    Query(ListQuery { limit, cursor }): Query<ListQuery>,
) -> Answer {
    public(shared, Asked::Totals { asset, limit, cursor }).await
}

/// `GET /v1/domains`
pub(super) async fn domains(
    State(shared): App,
    Query(ListQuery { limit, cursor }): Query<ListQuery>,
) -> Answer {
    public(shared, Asked::Domains { limit, cursor }).await
}

/// `GET /v1/roles`
pub(super) async fn roles(
    State(shared): App,
    Query(ListQuery { limit, cursor }): Query<ListQuery>,
) -> Answer {
    public(shared, Asked::Roles { limit, cursor }).await
}

/// `GET /v1/roles/{id}`
pub(super) async fn role(State(shared): App, Path(id): Path<Name>) -> Answer {
    public(shared, Asked::Role { id }).await
}

/// `GET /v1/parameters`
pub(super) async fn parameters(State(shared): App) -> Answer {
    public(shared, Asked::Parameters).await
}

/// `GET /v1/validators`
pub(super) async fn validators(State(shared): App) -> Answer {
    public(shared, Asked::Validators).await
}
