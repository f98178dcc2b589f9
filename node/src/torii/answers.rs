//! What the committed state says to a [`Query`], whoever asked it and however: signed queries and
//! unsigned reads come here once they are allowed, and so have the same answers.

use std::fmt::Display;
use std::str::FromStr;
use std::sync::Arc;

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;
use tonle_client::api::{self, Page, PastBalance, Query, Validator};
use tonle_model::amount::Amount;
use tonle_model::hash::{HoldId, ProposalId};
use tonle_model::id::{AccountId, AssetId, DomainId, Name};
use tonle_model::number::ValidatorIndex;
use tonle_model::query::{Cursor, InvoiceId};
use tonle_wsv::state;
use tonle_wsv::state::snapshot::Joined;

use super::negotiate::json;
use super::problem::{ApiError, stored};
use super::reads::page_length;
use super::{Shared, convert};

/// Answers a question that may be asked.
pub(super) fn answer(shared: &Shared, query: &Query) -> Result<Response, ApiError> {
    use Query as Q;
    match query {
        Q::Account { id } => shown(
            find_account(shared, id)
                .and_then(|account| whole_account(shared, id.clone(), &account)),
        ),
        Q::Accounts { domain, limit, cursor } => {
            let asked = PageAsked::new(*limit, cursor.as_ref())?;
            match domain {
                None => accounts(shared, &asked),
                Some(domain) => accounts_of(shared, domain, &asked),
            }
        }
        Q::Balances { account, limit, cursor } => {
            balances(shared, account, &PageAsked::new(*limit, cursor.as_ref())?)
        }
        Q::BalanceAt { account, asset, time_ms } => {
            shown(balance_at(shared, account, asset, *time_ms))
        }
        Q::History { .. } => history(shared, query),
        Q::Holds { account, limit, cursor } => {
            holds(shared, account, &PageAsked::new(*limit, cursor.as_ref())?)
        }
        Q::Hold { id } => shown(hold(shared, id)),
        Q::Invoices { payee, id } => shown(invoices(shared, payee, id)),
        Q::Proposals { account } => shown(proposals(shared, account)),
        Q::Proposal { id } => shown(proposal(shared, id)),
        Q::Assets { limit, cursor } => assets(shared, &PageAsked::new(*limit, cursor.as_ref())?),
        Q::Asset { id } => {
            shown(find_asset(shared, id).map(|asset| convert::asset(id.clone(), &asset)))
        }
        Q::Supply { asset: id } => {
            shown(find_asset(shared, id).map(|asset| convert::supply(id.clone(), &asset)))
        }
        Q::Totals { asset, limit, cursor } => {
            totals(shared, asset, &PageAsked::new(*limit, cursor.as_ref())?)
        }
        Q::Domains { limit, cursor } => domains(shared, &PageAsked::new(*limit, cursor.as_ref())?),
        Q::Roles { limit, cursor } => roles(shared, &PageAsked::new(*limit, cursor.as_ref())?),
        Q::Role { id } => shown(role(shared, id)),
        Q::Parameters => shown(Ok(shared.node.world().parameters().as_ref())),
        Q::Validators => shown(Ok(validators(shared))),
        Q::Stream { .. } => Err(ApiError::malformed("a token is for whoever signs the question")),
    }
}

fn shown(value: Result<impl Serialize, ApiError>) -> Result<Response, ApiError> {
    value.map(|value| json(StatusCode::OK, value))
}

/// Which page of a list.
struct PageAsked<'a> {
    length: usize,
    cursor: Option<&'a str>,
}

impl<'a> PageAsked<'a> {
    fn new(limit: Option<u32>, cursor: Option<&'a Cursor>) -> Result<Self, ApiError> {
        Ok(Self { length: page_length(limit)?, cursor: cursor.map(Cursor::as_str) })
    }

    /// The item after which the page begins.
    fn after<T: FromStr<Err: Display>>(&self) -> Result<Option<T>, ApiError> {
        self.cursor.map(parse_cursor).transpose()
    }

    /// How many items to look up: one more than the page holds tells whether it is the last.
    fn looked_up(&self) -> usize {
        self.length + 1
    }

    /// The page; `items` come in the order of their ids and are one more than the page holds if
    /// there are that many.
    fn page<I: Display, T, R: Serialize>(
        &self,
        mut items: Vec<(I, T)>,
        convert: impl FnMut((I, T)) -> Result<R, ApiError>,
    ) -> Result<Response, ApiError> {
        let more = items.len() > self.length;
        items.truncate(self.length);
        let next = items.last().filter(|_| more).map(|(id, _)| id.to_string());
        let items = items.into_iter().map(convert).collect::<Result<Vec<_>, _>>()?;
        shown(Ok(Page { items, next }))
    }
}

/// A list that is short enough to be one page.
fn whole_page<T>(items: impl Iterator<Item = Result<T, ApiError>>) -> Result<Page<T>, ApiError> {
    Ok(Page { items: items.collect::<Result<_, _>>()?, next: None })
}

/// Reads a cursor as what the list goes by.
pub(super) fn parse_cursor<T: FromStr<Err: Display>>(cursor: &str) -> Result<T, ApiError> {
    cursor.parse().map_err(|error| {
        ApiError::malformed(format!(
            "the cursor cannot be read ({error}); use `next` of the page before as it came"
        ))
    })
}

fn whole_account(
    shared: &Shared,
    id: AccountId,
    account: &state::Account,
) -> Result<api::Account, ApiError> {
    let world = shared.node.world();
    let rights = stored(world.rights(&id))?;
    let metadata = stored(world.metadata(&id))?;
    Ok(convert::account(id, account, rights.as_deref(), metadata.as_deref()))
}

fn accounts(shared: &Shared, asked: &PageAsked<'_>) -> Result<Response, ApiError> {
    let after = asked.after::<AccountId>()?;
    let accounts = stored(shared.node.world().accounts(after.as_ref(), asked.looked_up()))?;
    asked.page(accounts, |(id, account)| whole_account(shared, id, &account))
}

fn accounts_of(
    shared: &Shared,
    domain: &DomainId,
    asked: &PageAsked<'_>,
) -> Result<Response, ApiError> {
    let after = asked.after::<AccountId>()?;
    let world = shared.node.world();
    let accounts = stored(world.accounts_of(domain, after.as_ref(), asked.looked_up()))?;
    asked.page(accounts, |(id, account)| whole_account(shared, id, &account))
}

fn balances(shared: &Shared, id: &AccountId, asked: &PageAsked<'_>) -> Result<Response, ApiError> {
    let account = find_account(shared, id)?;
    let world = shared.node.world();
    // The day on which the next payment would count.
    let now_ms = shared.node.now_ms().max(world.committed().timestamp_ms);
    let today = state::local_day(now_ms, world.parameters().utc_offset_min);
    let after = asked.after::<AssetId>()?;
    let balances = stored(world.balances(id, after.as_ref(), asked.looked_up()))?;
    asked.page(balances, |(asset_id, balance)| {
        let asset = asset_of(shared, &asset_id)?;
        Ok(convert::balance(asset_id, &balance, &asset, &account.tier, today))
    })
}

/// One read: the newest line of history that is not later says what was owned after it.
fn balance_at(
    shared: &Shared,
    account: &AccountId,
    id: &AssetId,
    time_ms: u64,
) -> Result<PastBalance, ApiError> {
    find_account(shared, account)?;
    let asset = find_asset(shared, id)?;
    let world = shared.node.world();
    // Before the read, so that a block in between makes no answer final that it changes.
    let committed_ms = world.committed().timestamp_ms;
    let newest = state::HistoryQuery {
        account: account.clone(),
        asset: Some(id.clone()),
        direction: None,
        since_ms: None,
        until_ms: Some(time_ms),
        limit: 1,
        cursor: None,
    };
    let line = stored(world.history(&newest))?.entries.into_iter().next();
    let balance = match (&line, world.joined()) {
        (Some(line), _) => line.balance,
        (None, None) => Amount::ZERO,
        (None, Some(joined)) if time_ms < joined.timestamp_ms => {
            return Err(history_begins(joined));
        }
        (None, Some(_)) => {
            let owned = stored(world.owned_at(account, id, time_ms))?;
            stored(owned.ok_or("a line of history does not fit the balances"))?
        }
    };
    Ok(PastBalance {
        asset: id.clone(),
        time_ms,
        balance: balance.to_decimal(asset.scale),
        since_ms: line.map(|line| line.time_ms),
        is_final: time_ms <= committed_ms,
    })
}

fn history(shared: &Shared, query: &Query) -> Result<Response, ApiError> {
    let Query::History { account, asset, direction, since_ms, until_ms, limit, cursor } = query
    else {
        return Err(ApiError::malformed("not a question for movements"));
    };
    let query = state::HistoryQuery {
        account: account.clone(),
        asset: asset.clone(),
        direction: direction.map(convert::direction_asked),
        since_ms: *since_ms,
        until_ms: *until_ms,
        limit: page_length(*limit)?,
        cursor: cursor.as_ref().map(|cursor| parse_cursor(cursor.as_str())).transpose()?,
    };
    find_account(shared, account)?;
    let page = whole_history(shared, &query)?;
    let items = page.entries.into_iter().map(|entry| {
        let scale = asset_of(shared, &entry.asset)?.scale;
        Ok(convert::history_entry(entry, scale))
    });
    let items = items.collect::<Result<Vec<_>, ApiError>>()?;
    shown(Ok(Page { items, next: page.next.map(|cursor| cursor.to_string()) }))
}

/// A page of history that does not pass for the end of it where a snapshot spared this node what
/// is older: its cursor then leads to an answer that says so.
fn whole_history(
    shared: &Shared,
    query: &state::HistoryQuery,
) -> Result<state::HistoryPage, ApiError> {
    let world = shared.node.world();
    let mut page = stored(world.history(query))?;
    let Some(joined) = world.joined() else { return Ok(page) };
    let asks_further = query.since_ms.is_none_or(|since_ms| since_ms <= joined.timestamp_ms);
    if !asks_further || page.next.is_some() {
        return Ok(page);
    }
    let end = state::HistoryCursor::end_of(joined.timestamp_ms);
    let is_older = |time_ms: u64| time_ms <= joined.timestamp_ms;
    if query.until_ms.is_some_and(is_older) || query.cursor.is_some_and(|at| at <= end) {
        return Err(history_begins(joined));
    }
    page.next = Some(end);
    Ok(page)
}

fn history_begins(joined: &Joined) -> ApiError {
    ApiError::gone("the history of accounts", format_args!("time {}", joined.timestamp_ms))
}

fn holds(shared: &Shared, id: &AccountId, asked: &PageAsked<'_>) -> Result<Response, ApiError> {
    find_account(shared, id)?;
    let after = asked.after::<HoldId>()?;
    let holds = stored(shared.node.world().holds_of(id, after.as_ref(), asked.looked_up()))?;
    asked.page(holds, |(id, hold)| {
        let scale = asset_of(shared, &hold.asset)?.scale;
        Ok(convert::hold(id, &hold, scale))
    })
}

fn hold(shared: &Shared, id: &HoldId) -> Result<api::Hold, ApiError> {
    let Some(hold) = stored(shared.node.world().hold(id))? else {
        let detail =
            format!("there is no open hold {id}; one that was settled or released is gone");
        return Err(ApiError::unknown("unknown_hold", detail));
    };
    let scale = asset_of(shared, &hold.asset)?.scale;
    Ok(convert::hold(*id, &hold, scale))
}

fn invoices(
    shared: &Shared,
    payee: &AccountId,
    id: &InvoiceId,
) -> Result<Page<api::InvoicePayment>, ApiError> {
    find_account(shared, payee)?;
    let payments = stored(shared.node.world().invoices(payee, id.as_str()))?;
    whole_page(payments.into_iter().map(|(key, paid)| {
        let scale = asset_of(shared, &key.asset)?.scale;
        Ok(convert::invoice_payment(&key, &paid, scale))
    }))
}

fn proposals(shared: &Shared, id: &AccountId) -> Result<Page<api::Proposal>, ApiError> {
    let account = find_account(shared, id)?;
    let proposals = stored(shared.node.world().proposals_of(id))?;
    let proposals = proposals.into_iter();
    whole_page(proposals.map(|(id, proposal)| Ok(convert::proposal(id, &proposal, &account))))
}

fn proposal(shared: &Shared, id: &ProposalId) -> Result<api::Proposal, ApiError> {
    let Some(proposal) = stored(shared.node.world().proposal(id))? else {
        let detail =
            format!("there is no open proposal {id}; one that ran or was withdrawn is gone");
        return Err(ApiError::unknown("unknown_proposal", detail));
    };
    let account = find_account(shared, &proposal.account)?;
    Ok(convert::proposal(*id, &proposal, &account))
}

fn assets(shared: &Shared, asked: &PageAsked<'_>) -> Result<Response, ApiError> {
    let after = asked.after::<AssetId>()?;
    let assets = stored(shared.node.world().assets(after.as_ref(), asked.looked_up()))?;
    asked.page(assets, |(id, asset)| Ok(convert::asset(id, &asset)))
}

fn totals(shared: &Shared, id: &AssetId, asked: &PageAsked<'_>) -> Result<Response, ApiError> {
    let asset = find_asset(shared, id)?;
    let after = asked.after::<DomainId>()?;
    let totals = stored(shared.node.world().totals(id, after.as_ref(), asked.looked_up()))?;
    asked.page(totals, |(domain, amount)| {
        Ok(api::DomainTotal { domain, amount: amount.to_decimal(asset.scale) })
    })
}

fn domains(shared: &Shared, asked: &PageAsked<'_>) -> Result<Response, ApiError> {
    let after = asked.after::<DomainId>()?;
    let domains = stored(shared.node.world().domains(after.as_ref(), asked.looked_up()))?;
    asked.page(domains, |(id, domain)| Ok(convert::domain(id, &domain)))
}

fn roles(shared: &Shared, asked: &PageAsked<'_>) -> Result<Response, ApiError> {
    let after = asked.after::<Name>()?;
    let roles = stored(shared.node.world().roles(after.as_ref(), asked.looked_up()))?;
    asked.page(roles, |(id, role)| Ok(convert::role(id, &role)))
}

fn role(shared: &Shared, id: &Name) -> Result<api::Role, ApiError> {
    match stored(shared.node.world().role(id))? {
        Some(role) => Ok(convert::role(id.clone(), &role)),
        None => Err(ApiError::unknown(
            "unknown_role",
            format!("there is no role {id}; GET /v1/roles lists them"),
        )),
    }
}

/// All of them on one page, for a set has at most a hundred.
fn validators(shared: &Shared) -> Page<Validator> {
    let set = shared.node.world().validators();
    let items = (0..).zip(set.iter()).map(|(index, validator)| Validator {
        index: ValidatorIndex(index),
        name: validator.name.clone(),
        public_key: validator.public_key,
    });
    Page { items: items.collect(), next: None }
}

pub(super) fn find_account(
    shared: &Shared,
    id: &AccountId,
) -> Result<Arc<state::Account>, ApiError> {
    stored(shared.node.world().account(id))?.ok_or_else(|| {
        ApiError::unknown(
            "unknown_account",
            format!("there is no account {id}; check the spelling of name and bank"),
        )
    })
}

fn find_asset(shared: &Shared, id: &AssetId) -> Result<Arc<state::Asset>, ApiError> {
    stored(shared.node.world().asset(id))?.ok_or_else(|| {
        ApiError::unknown(
            "unknown_asset",
            format!("there is no asset {id}; GET /v1/assets lists them, and # is written %23"),
        )
    })
}

/// The asset that something in the ledger is of: it exists.
pub(super) fn asset_of(shared: &Shared, id: &AssetId) -> Result<Arc<state::Asset>, ApiError> {
    let asset = stored(shared.node.world().asset(id))?;
    stored(asset.ok_or("the ledger has something of an asset that does not exist"))
}
