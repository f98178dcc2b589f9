//! Tokens for event streams: a stream is a GET that stays open, which nobody can sign anew for each
//! event, so whoever signed a question has an hour to listen (ledger.md, Reading).
//!
//! A token says who asked and for which account, not what that shows: this is looked up when it is
//! used, so a right that is taken away is gone at once. The node keeps the hash of a token only.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use tonle_client::api::StreamToken;
use tonle_model::hash::{Digest256, TaggedHasher};
use tonle_model::id::AccountId;
use tonle_model::{hex, tags};

use super::negotiate::json;
use super::problem::{ApiError, stored};
use super::{Shared, answers};

/// How long a token is good.
const TOKEN_MS: u64 = 60 * 60 * 1000;
/// Bytes of a token, so many that nobody guesses one.
const TOKEN_BYTES: usize = 32;
/// When to try again if there is no room for another.
const RETRY_AFTER: Duration = Duration::from_secs(60);

/// What a token stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Grant {
    /// Who asked for it.
    pub asker: AccountId,
    /// Whose transfers it is for.
    pub account: Option<AccountId>,
    /// From when on it is nothing.
    pub expires_ms: u64,
}

/// More tokens would be remembered than there is room for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TokensFull;

/// The tokens that this node gave lately.
pub(super) struct Tokens {
    given: Mutex<Given>,
    total_max: usize,
    account_max: usize,
}

#[derive(Default)]
struct Given {
    by_hash: HashMap<Digest256, Grant>,
    /// How many each account asked for.
    counts: HashMap<AccountId, usize>,
    /// In the order in which they came, with when they are forgotten.
    order: VecDeque<(u64, Digest256)>,
}

impl Tokens {
    /// Room for so many in all, and for so many of one account, lest one take everyone's.
    pub fn with_room(total_max: usize, account_max: usize) -> Self {
        Self { given: Mutex::default(), total_max, account_max }
    }

    fn keep(&self, token: &[u8; TOKEN_BYTES], grant: Grant, now_ms: u64) -> Result<(), TokensFull> {
        let mut given = self.lock();
        given.forget(now_ms);
        let count = given.counts.get(&grant.asker).copied().unwrap_or(0);
        if given.order.len() >= self.total_max || count >= self.account_max {
            return Err(TokensFull);
        }
        let hash = kept_of(token);
        given.counts.insert(grant.asker.clone(), count + 1);
        given.order.push_back((grant.expires_ms, hash));
        given.by_hash.insert(hash, grant);
        Ok(())
    }

    fn find(&self, token: &[u8; TOKEN_BYTES], now_ms: u64) -> Option<Grant> {
        let grant = self.lock().by_hash.get(&kept_of(token)).cloned();
        grant.filter(|grant| now_ms < grant.expires_ms)
    }

    fn lock(&self) -> MutexGuard<'_, Given> {
        // Nothing panics half-way through a change.
        self.given.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Given {
    fn forget(&mut self, now_ms: u64) {
        while let Some((_, hash)) = self.order.pop_front_if(|(ends_ms, _)| *ends_ms <= now_ms) {
            let Some(grant) = self.by_hash.remove(&hash) else { continue };
            match self.counts.get_mut(&grant.asker) {
                Some(count) if *count > 1 => *count -= 1,
                _ => drop(self.counts.remove(&grant.asker)),
            }
        }
    }
}

/// A look-up tells by its time how much of a key was right; of a hash that says nothing.
fn kept_of(token: &[u8; TOKEN_BYTES]) -> Digest256 {
    TaggedHasher::new(tags::STREAM_TOKEN).part(token).finish()
}

/// Gives whoever asks a token; that it may know of the account has been checked.
pub(super) fn give(
    shared: &Shared,
    asker: &AccountId,
    account: Option<&AccountId>,
) -> Result<Response, ApiError> {
    if let Some(account) = account {
        answers::find_account(shared, account)?;
    }
    let mut token = [0; TOKEN_BYTES];
    stored(getrandom::fill(&mut token))?;
    let now_ms = shared.node.now_ms();
    let expires_ms = now_ms.saturating_add(TOKEN_MS);
    let grant = Grant { asker: asker.clone(), account: account.cloned(), expires_ms };
    match shared.tokens.keep(&token, grant, now_ms) {
        Ok(()) => {
            let token = hex::encode(&token);
            Ok(json(StatusCode::OK, StreamToken { token, expires_ms }))
        }
        Err(TokensFull) => {
            let detail = "this node has given too many tokens in the last hour; use one for \
                          several streams, or ask another node";
            Err(ApiError::new(StatusCode::TOO_MANY_REQUESTS, "busy", detail).after(RETRY_AFTER))
        }
    }
}

/// What the token in a request stands for; `None` if there is none.
pub(super) fn granted(shared: &Shared, headers: &HeaderMap) -> Result<Option<Grant>, ApiError> {
    let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(None) };
    let words = value.to_str().ok().and_then(|value| value.split_once(' '));
    let token = words
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .and_then(|(_, token)| hex::decode_array(token));
    let grant = token.and_then(|token| shared.tokens.find(&token, shared.node.now_ms()));
    grant.map(Some).ok_or_else(|| {
        ApiError::new(
            StatusCode::UNAUTHORIZED,
            "unknown_token",
            "this node gave no such token within the last hour; ask it for one with the signed \
             question `stream` and send it as `Authorization: Bearer TOKEN`",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grant(asker: &str, expires_ms: u64) -> Grant {
        Grant { asker: asker.parse().unwrap(), account: None, expires_ms }
    }

    #[test]
    fn a_token_is_good_until_it_expires_and_no_other_is() {
        let tokens = Tokens::with_room(10, 10);
        let sok = grant("sok@aclb", 100);
        assert_eq!(tokens.keep(&[1; 32], sok.clone(), 0), Ok(()));
        assert_eq!(tokens.find(&[1; 32], 99), Some(sok));
        assert_eq!(tokens.find(&[1; 32], 100), None);
        assert_eq!(tokens.find(&[2; 32], 0), None);
        assert!(!tokens.lock().by_hash.contains_key(&Digest256([1; 32])), "its hash is kept");
    }

    #[test]
    fn memory_is_bounded_for_each_and_for_all() {
        let tokens = Tokens::with_room(3, 2);
        assert_eq!(tokens.keep(&[1; 32], grant("sok@aclb", 100), 0), Ok(()));
        assert_eq!(tokens.keep(&[2; 32], grant("sok@aclb", 200), 0), Ok(()));
        assert_eq!(tokens.keep(&[3; 32], grant("sok@aclb", 200), 0), Err(TokensFull));
        assert_eq!(tokens.keep(&[4; 32], grant("dara@wing", 200), 0), Ok(()));
        assert_eq!(tokens.keep(&[5; 32], grant("dara@wing", 200), 0), Err(TokensFull));
        assert_eq!(tokens.keep(&[5; 32], grant("sok@aclb", 200), 100), Ok(()), "one expired");
        assert_eq!(tokens.find(&[1; 32], 0), None, "and is forgotten");
        assert_eq!(tokens.keep(&[6; 32], grant("bopha@wing", 300), 200), Ok(()));
        let given = tokens.lock();
        assert_eq!((given.by_hash.len(), given.counts.len(), given.order.len()), (1, 1, 1));
    }
}
