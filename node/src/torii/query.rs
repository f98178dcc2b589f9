//! Signed queries: who asks, and whether they may know (ledger.md, Reading).
//!
//! | In this order | Otherwise |
//! |---|---|
//! | the body is a signed query | 400 `malformed` |
//! | it is for this network | 422 `wrong_chain` |
//! | its time is within a minute of the node's clock | 401 `query_not_current` |
//! | the account that asks exists and is not closed | 401 `unknown_authority` |
//! | the signatures meet its quorum | 401 `quorum_not_met` |
//! | every signature is valid | 401 `bad_signature` |
//! | the account has not used the nonce before | 401 `nonce_used` |
//! | there is room to remember it | 429 `busy` |
//! | the account may know | 403 `permission_denied` |
//! | there is such a thing | 404 |

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use tonle_client::api::{Query, SignedQuery};
use tonle_model::decode;
use tonle_model::id::AccountId;
use tonle_model::permission::Permission;
use tonle_model::query::QUERY_AGE_MS_MAX;

use super::negotiate::Form;
use super::nonces::NonceError;
use super::problem::{ApiError, stored};
use super::submit::{parse, receive};
use super::{App, Shared, answers, tokens};

/// When to try again if there is no room to remember the nonce.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// `POST /v1/query`
pub(super) async fn query(
    State(shared): App,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let (form, held) = receive(&shared, &headers, body).await?;
    let signed: SignedQuery = match form {
        Form::Json => parse(&held.bytes, "signed query")?,
        Form::Scale => decode::all(&held.bytes)
            .map_err(|error| ApiError::malformed(format!("not a signed query: {error}")))?,
    };
    authenticate(&shared, &signed)?;
    match may_know(&shared, &signed)? {
        true => answered(&shared, &signed),
        false => Err(denied(&signed.payload.account)),
    }
}

/// The answer to a question that may be asked. A token is for whoever asks; all else is the same
/// for everyone.
fn answered(shared: &Shared, signed: &SignedQuery) -> Result<Response, ApiError> {
    match &signed.payload.query {
        Query::Stream { account } => {
            tokens::give(shared, &signed.payload.account, account.as_ref())
        }
        query => answers::answer(shared, query),
    }
}

/// Checks that the account asks, here, now and for the first time.
fn authenticate(shared: &Shared, signed: &SignedQuery) -> Result<(), ApiError> {
    let payload = &signed.payload;
    let chain = shared.genesis.chain;
    if payload.chain != chain {
        return Err(ApiError::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "wrong_chain",
            format!("the query is for network {}, this is {chain}", payload.chain),
        ));
    }
    let now_ms = shared.node.now_ms();
    if now_ms.abs_diff(payload.created_ms) > QUERY_AGE_MS_MAX {
        let detail = format!(
            "created_ms must be within {} s of this node's clock, which is {now_ms}; sign it anew",
            QUERY_AGE_MS_MAX / 1000
        );
        return Err(unauthorized("query_not_current", detail));
    }
    check_quorum(shared, signed)?;
    // Last of what costs time, and before the nonce: strangers use up nobody's.
    if !signed.verify(&shared.verifier) {
        let detail = "a signature does not fit the query and its key: sign the hash of its payload";
        return Err(unauthorized("bad_signature", detail));
    }
    match shared.nonces.take(&payload.account, payload.nonce, now_ms) {
        Ok(()) => Ok(()),
        Err(NonceError::Used) => {
            let detail = "this nonce was used in the last two minutes; take another and sign anew";
            Err(unauthorized("nonce_used", detail))
        }
        Err(NonceError::Full) => {
            let detail = "this node has answered too many queries lately; try again in a while";
            Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail).after(RETRY_AFTER))
        }
    }
}

fn check_quorum(shared: &Shared, signed: &SignedQuery) -> Result<(), ApiError> {
    let id = &signed.payload.account;
    let account = stored(shared.node.world().account(id))?;
    let Some(account) = account.filter(|account| !account.is_closed()) else {
        return Err(unauthorized("unknown_authority", format!("there is no account {id} to ask")));
    };
    let weight = account.weight_of(|key| signed.signers().any(|signer| signer == key));
    match weight >= u32::from(account.quorum) {
        true => Ok(()),
        false => {
            let detail = format!("the signatures do not meet the quorum of {id}");
            Err(unauthorized("quorum_not_met", detail))
        }
    }
}

pub(super) fn unauthorized(code: &'static str, detail: impl Into<String>) -> ApiError {
    ApiError::new(StatusCode::UNAUTHORIZED, code, detail)
}

fn denied(asker: &AccountId) -> ApiError {
    ApiError::new(
        StatusCode::FORBIDDEN,
        "permission_denied",
        format!(
            "{asker} may not know this: an account's data is for itself, for the holders of \
             read_accounts of its domain and for those of read_all_accounts"
        ),
    )
}

/// Whether the account that asks may know. What is not there is nobody's secret.
fn may_know(shared: &Shared, signed: &SignedQuery) -> Result<bool, ApiError> {
    use Query as Q;
    let asker = &signed.payload.account;
    let world = shared.node.world();
    let holds = |permission| stored(world.holds_permission(asker, &permission));
    match &signed.payload.query {
        Q::Account { id: account }
        | Q::Balances { account, .. }
        | Q::BalanceAt { account, .. }
        | Q::History { account, .. }
        | Q::Holds { account, .. }
        | Q::Invoices { payee: account, .. }
        | Q::Stream { account: Some(account) } => reads(shared, asker, account),
        Q::Accounts { domain: Some(domain), .. } => holds(Permission::ReadAccounts(domain.clone())),
        Q::Accounts { domain: None, .. } => holds(Permission::ReadAllAccounts),
        Q::Totals { asset, .. } => {
            let is_owner = stored(world.asset(asset))?.is_some_and(|asset| asset.owner == *asker);
            Ok(is_owner || holds(Permission::ReadAllAccounts)?)
        }
        Q::Hold { id } => {
            let Some(hold) = stored(world.hold(id))? else { return Ok(true) };
            let mut parties =
                [Some(&hold.from), Some(&hold.to), hold.arbiter.as_ref()].into_iter().flatten();
            parties.try_fold(false, |allowed, party| Ok(allowed || reads(shared, asker, party)?))
        }
        Q::Proposals { account } => may_approve(shared, signed, account),
        Q::Proposal { id } => {
            let Some(proposal) = stored(world.proposal(id))? else { return Ok(true) };
            let is_proposer = proposal.proposer == *asker;
            Ok(is_proposer || may_approve(shared, signed, &proposal.account)?)
        }
        Q::Assets { .. }
        | Q::Asset { .. }
        | Q::Supply { .. }
        | Q::Domains { .. }
        | Q::Roles { .. }
        | Q::Role { .. }
        | Q::Parameters
        | Q::Validators
        | Q::Stream { account: None } => Ok(true),
    }
}

/// Whether one account may read another, or itself.
pub(super) fn reads(
    shared: &Shared,
    asker: &AccountId,
    account: &AccountId,
) -> Result<bool, ApiError> {
    if asker == account {
        return Ok(true);
    }
    let permission = Permission::ReadAccounts(account.domain());
    stored(shared.node.world().holds_permission(asker, &permission))
}

/// Whether whoever asks may read an account's proposals: its readers, and each of its signatories
/// under an account of their own, for no one of them meets its quorum and all must read what they
/// are to approve.
fn may_approve(
    shared: &Shared,
    signed: &SignedQuery,
    account: &AccountId,
) -> Result<bool, ApiError> {
    if reads(shared, &signed.payload.account, account)? {
        return Ok(true);
    }
    let account = stored(shared.node.world().account(account))?;
    Ok(account.is_some_and(|account| {
        account.weight_of(|key| signed.signers().any(|signer| signer == key)) > 0
    }))
}
