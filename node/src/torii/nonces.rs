//! Which queries were answered lately, so that none is answered twice (ledger.md, Reading).

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tonle_model::id::AccountId;
use tonle_model::query::QUERY_AGE_MS_MAX;

/// How long a nonce is remembered: a query that is a minute ahead of the node's clock is good for
/// two.
const REMEMBERED_MS: u64 = 2 * QUERY_AGE_MS_MAX;

/// Why a query is not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum NonceError {
    /// The account used it before.
    Used,
    /// More would be remembered than there is room for.
    Full,
}

/// The nonces that were used lately, on this node.
pub(super) struct Nonces {
    used: Mutex<Used>,
    total_max: usize,
    account_max: usize,
}

#[derive(Default)]
struct Used {
    by_account: HashMap<AccountId, HashSet<u64>>,
    /// In the order in which they came, with when they are forgotten.
    order: VecDeque<(u64, AccountId, u64)>,
}

impl Nonces {
    /// Room for so many in all, and for so many of one account, lest one take everyone's.
    pub fn with_room(total_max: usize, account_max: usize) -> Self {
        Self { used: Mutex::default(), total_max, account_max }
    }

    /// Uses a nonce up.
    pub fn take(&self, account: &AccountId, nonce: u64, now_ms: u64) -> Result<(), NonceError> {
        let mut used = self.lock();
        used.forget(now_ms);
        let of_account = used.by_account.get(account);
        if of_account.is_some_and(|nonces| nonces.contains(&nonce)) {
            return Err(NonceError::Used);
        }
        let count = of_account.map_or(0, HashSet::len);
        if used.order.len() >= self.total_max || count >= self.account_max {
            return Err(NonceError::Full);
        }
        used.by_account.entry(account.clone()).or_default().insert(nonce);
        used.order.push_back((now_ms.saturating_add(REMEMBERED_MS), account.clone(), nonce));
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, Used> {
        // Nothing panics half-way through a change.
        self.used.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Used {
    fn forget(&mut self, now_ms: u64) {
        while let Some((_, account, nonce)) =
            self.order.pop_front_if(|(forgotten_ms, ..)| *forgotten_ms < now_ms)
        {
            let Some(nonces) = self.by_account.get_mut(&account) else { continue };
            nonces.remove(&nonce);
            if nonces.is_empty() {
                self.by_account.remove(&account);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nonce_is_used_once_by_each_account_until_it_is_forgotten() {
        let nonces = Nonces::with_room(10, 10);
        let [sok, dara] = ["sok@aclb", "dara@wing"].map(|id| id.parse().unwrap());
        assert_eq!(nonces.take(&sok, 1, 0), Ok(()));
        assert_eq!(nonces.take(&sok, 1, REMEMBERED_MS), Err(NonceError::Used));
        assert_eq!(nonces.take(&dara, 1, 0), Ok(()));
        assert_eq!(nonces.take(&sok, 2, 0), Ok(()));
        assert_eq!(nonces.take(&sok, 1, REMEMBERED_MS + 1), Ok(()));
        assert_eq!(nonces.lock().order.len(), 1, "the others are forgotten");
        assert_eq!(nonces.lock().by_account.len(), 1);
    }

    #[test]
    fn memory_is_bounded_for_each_and_for_all() {
        let nonces = Nonces::with_room(3, 2);
        let [sok, dara] = ["sok@aclb", "dara@wing"].map(|id| id.parse().unwrap());
        assert_eq!(nonces.take(&sok, 1, 0), Ok(()));
        assert_eq!(nonces.take(&sok, 2, 0), Ok(()));
        assert_eq!(nonces.take(&sok, 3, 0), Err(NonceError::Full));
        assert_eq!(nonces.take(&dara, 1, 0), Ok(()));
        assert_eq!(nonces.take(&dara, 2, 0), Err(NonceError::Full));
        assert_eq!(nonces.take(&dara, 2, REMEMBERED_MS + 1), Ok(()));
    }
}
