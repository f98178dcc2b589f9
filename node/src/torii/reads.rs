//! Reads of the committed state: accounts, assets, domains, parameters, validators.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::{Deserialize, Serialize};
use tonle_client::api::{
    Account, HistoryQuery, PAGE_ITEMS, PAGE_ITEMS_MAX, Page, PublicReads, Validator,
};
use tonle_model::id::{AccountId, AssetId, DomainId};
use tonle_model::number::ValidatorIndex;
use tonle_wsv::state;

use super::negotiate::{Path, Query, json};
use super::problem::{ApiError, joined, stored};
use super::{App, Shared, convert};

/// Where a list begins and how long it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ListQuery {
    limit: Option<u32>,
    cursor: Option<String>,
}

impl ListQuery {
    /// The item after which the page begins.
    fn after<T: FromStr<Err: Display>>(&self) -> Result<Option<T>, ApiError> {
        self.cursor.as_deref().map(parse_cursor).transpose()
    }

    /// One page; `items` come in the order of their ids and are one more than the page holds if
    /// there are that many.
    fn page<I: Display, T, R: Serialize>(
        &self,
        mut items: Vec<(I, T)>,
        convert: impl FnMut((I, T)) -> Result<R, ApiError>,
    ) -> Result<Response, ApiError> {
        let length = page_length(self.limit)?;
        let more = items.len() > length;
        items.truncate(length);
        let next = items.last().filter(|_| more).map(|(id, _)| id.to_string());
        let items = items.into_iter().map(convert).collect::<Result<Vec<_>, _>>()?;
        Ok(json(StatusCode::OK, Page { items, next }))
    }

    /// How many items to look up: one more than the page holds tells whether it is the last.
    fn looked_up(&self) -> Result<usize, ApiError> {
        page_length(self.limit).map(|length| length + 1)
    }
}

fn parse_cursor<T: FromStr<Err: Display>>(cursor: &str) -> Result<T, ApiError> {
    cursor.parse().map_err(|error| {
        ApiError::malformed(format!(
            "the cursor cannot be read ({error}); use `next` of the page before as it came"
        ))
    })
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

/// `GET /v1/accounts`
pub(super) async fn accounts(
    State(shared): App,
    Query(query): Query<ListQuery>,
) -> Result<Response, ApiError> {
    shared.check_public(PublicReads::All)?;
    let (after, limit) = (query.after::<AccountId>()?, query.looked_up()?);
    off_thread(shared, move |shared| {
        let accounts = stored(shared.node.world().accounts(after.as_ref(), limit))?;
        query.page(accounts, |(id, account)| {
            let signatories = account.signatories.to_vec();
            Ok(Account { id, quorum: account.quorum, signatories })
        })
    })
    .await
}

/// `GET /v1/accounts/{id}`
pub(super) async fn account(
    State(shared): App,
    Path(id): Path<AccountId>,
) -> Result<Response, ApiError> {
    shared.check_public(PublicReads::All)?;
    let account = find_account(&shared, &id)?;
    let signatories = account.signatories.to_vec();
    Ok(json(StatusCode::OK, Account { id, quorum: account.quorum, signatories }))
}

/// `GET /v1/accounts/{id}/balances`
pub(super) async fn balances(
    State(shared): App,
    Path(id): Path<AccountId>,
    Query(query): Query<ListQuery>,
) -> Result<Response, ApiError> {
    shared.check_public(PublicReads::All)?;
    let (after, limit) = (query.after::<AssetId>()?, query.looked_up()?);
    find_account(&shared, &id)?;
    off_thread(shared, move |shared| {
        let world = shared.node.world();
        let balances = stored(world.balances(&id, after.as_ref(), limit))?;
        query.page(balances, |(asset, balance)| {
            let scale = scale_of(shared, &asset)?;
            Ok(convert::balance(asset, &balance, scale))
        })
    })
    .await
}

/// `GET /v1/accounts/{id}/transactions`
pub(super) async fn history(
    State(shared): App,
    Path(id): Path<AccountId>,
    Query(query): Query<HistoryQuery>,
) -> Result<Response, ApiError> {
    shared.check_public(PublicReads::All)?;
    let query = state::HistoryQuery {
        account: id,
        asset: query.asset,
        direction: query.direction.map(convert::direction_asked),
        since_ms: query.since,
        until_ms: query.until,
        limit: page_length(query.limit)?,
        cursor: query.cursor.as_deref().map(parse_cursor).transpose()?,
    };
    find_account(&shared, &query.account)?;
    off_thread(shared, move |shared| {
        let page = stored(shared.node.world().history(&query))?;
        let items = page.entries.into_iter().map(|entry| {
            let scale = scale_of(shared, &entry.asset)?;
            Ok(convert::history_entry(entry, scale))
        });
        let items = items.collect::<Result<Vec<_>, ApiError>>()?;
        let next = page.next.map(|cursor| cursor.to_string());
        Ok(json(StatusCode::OK, Page { items, next }))
    })
    .await
}

/// `GET /v1/assets`
pub(super) async fn assets(
    State(shared): App,
    Query(query): Query<ListQuery>,
) -> Result<Response, ApiError> {
    shared.check_public(PublicReads::All)?;
    let (after, limit) = (query.after::<AssetId>()?, query.looked_up()?);
    off_thread(shared, move |shared| {
        let assets = stored(shared.node.world().assets(after.as_ref(), limit))?;
        query.page(assets, |(id, asset)| Ok(convert::asset(id, &asset)))
    })
    .await
}

/// `GET /v1/assets/{id}`
pub(super) async fn asset(
    State(shared): App,
    Path(id): Path<AssetId>,
) -> Result<Response, ApiError> {
    shared.check_public(PublicReads::All)?;
    match stored(shared.node.world().asset(&id))? {
        Some(asset) => Ok(json(StatusCode::OK, convert::asset(id, &asset))),
        None => Err(ApiError::unknown(
            "unknown_asset",
            format!("there is no asset {id}; GET /v1/assets lists them, and # is written %23"),
        )),
    }
}

/// `GET /v1/domains`
pub(super) async fn domains(
    State(shared): App,
    Query(query): Query<ListQuery>,
) -> Result<Response, ApiError> {
    shared.check_public(PublicReads::All)?;
    let (after, limit) = (query.after::<DomainId>()?, query.looked_up()?);
    off_thread(shared, move |shared| {
        let domains = stored(shared.node.world().domains(after.as_ref(), limit))?;
        query.page(domains, |(id, domain)| Ok(convert::domain(id, &domain)))
    })
    .await
}

/// `GET /v1/parameters`
pub(super) async fn parameters(State(shared): App) -> Result<Response, ApiError> {
    shared.check_public(PublicReads::Chain)?;
    Ok(json(StatusCode::OK, shared.node.world().parameters().as_ref()))
}

/// `GET /v1/validators`: all of them on one page, for a set has at most a hundred.
pub(super) async fn validators(State(shared): App) -> Result<Response, ApiError> {
    shared.check_public(PublicReads::Chain)?;
    let set = shared.node.world().validators();
    let items = (0..).zip(set.iter()).map(|(index, validator)| Validator {
        index: ValidatorIndex(index),
        name: validator.name.clone(),
        public_key: validator.public_key,
    });
    Ok(json(StatusCode::OK, Page { items: items.collect(), next: None }))
}

fn find_account(shared: &Shared, id: &AccountId) -> Result<Arc<state::Account>, ApiError> {
    stored(shared.node.world().account(id))?.ok_or_else(|| {
        ApiError::unknown(
            "unknown_account",
            format!("there is no account {id}; check the spelling of name and bank"),
        )
    })
}

fn scale_of(shared: &Shared, id: &AssetId) -> Result<u8, ApiError> {
    let asset = stored(shared.node.world().asset(id))?;
    stored(asset.map(|asset| asset.scale).ok_or("a balance in an asset that does not exist"))
}
