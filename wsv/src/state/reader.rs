//! Reading the state from any thread.
//!
//! Each answer is committed state. Two answers may be of two heights: whoever needs one of several
//! entries at one moment asks for the page that has them all.

use std::sync::{Arc, PoisonError};

use tonle_model::block::BlockResult;
use tonle_model::genesis::Parameters;
use tonle_model::hash::{ChainHash, TransactionHash};
use tonle_model::id::{AccountId, AssetId, DomainId};
use tonle_model::leader::LeaderMarks;
use tonle_model::number::Height;
use tonle_model::receipt::Receipt;
use tonle_model::validators::ValidatorSet;

use super::entries::ReadEntries;
use super::history::{self, HistoryPage, HistoryQuery};
use super::key::{Key, SEPARATOR};
use super::receipts::{self, TransactionRecord};
use super::value::{Account, Asset, Balance, Domain, Value};
use super::{Committed, Shared, StateError};

/// Most assets of one account that a history without an asset looks through.
const HISTORY_ASSETS_MAX: usize = 1_000;

/// A cheap handle for reading the state from any thread.
#[derive(Clone)]
pub struct WorldReader {
    pub(super) shared: Arc<Shared>,
}

impl WorldReader {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The network.
    pub fn chain(&self) -> ChainHash {
        self.shared.chain
    }

    /// Where the state is.
    pub fn committed(&self) -> Committed {
        self.shared.head().committed
    }

    /// The validators of the next height.
    pub fn validators(&self) -> Arc<ValidatorSet> {
        self.shared.head().validators.clone()
    }

    /// The parameters of the next height.
    pub fn parameters(&self) -> Arc<Parameters> {
        self.shared.head().parameters.clone()
    }

    /// The leader marks of the next height.
    pub fn marks(&self) -> Arc<LeaderMarks> {
        self.shared.head().marks.clone()
    }

    /// How many transactions are remembered as used, for metrics.
    pub fn used_count(&self) -> usize {
        self.shared.window.read().unwrap_or_else(PoisonError::into_inner).count()
    }

    /// A domain.
    pub fn domain(&self, id: &DomainId) -> Result<Option<Arc<Domain>>, StateError> {
        Ok(self.shared.entries.domain(id)?)
    }

    /// Domains in order of name, after one, at most `limit`.
    pub fn domains(
        &self,
        after: Option<&DomainId>,
        limit: usize,
    ) -> Result<Vec<(DomainId, Arc<Domain>)>, StateError> {
        self.list(&[Key::DOMAIN], after.cloned().map(Key::Domain), limit, |entry| match entry {
            (Key::Domain(id), Value::Domain(domain)) => Some((id, domain)),
            _ => None,
        })
    }

    /// An account.
    pub fn account(&self, id: &AccountId) -> Result<Option<Arc<Account>>, StateError> {
        Ok(self.shared.entries.account(id)?)
    }

    /// Accounts in order of name, after one, at most `limit`.
    pub fn accounts(
        &self,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Arc<Account>)>, StateError> {
        self.list(&[Key::ACCOUNT], after.cloned().map(Key::Account), limit, |entry| match entry {
            (Key::Account(id), Value::Account(account)) => Some((id, account)),
            _ => None,
        })
    }

    /// An asset.
    pub fn asset(&self, id: &AssetId) -> Result<Option<Arc<Asset>>, StateError> {
        Ok(self.shared.entries.asset(id)?)
    }

    /// Assets in order of name, after one, at most `limit`.
    pub fn assets(
        &self,
        after: Option<&AssetId>,
        limit: usize,
    ) -> Result<Vec<(AssetId, Arc<Asset>)>, StateError> {
        self.list(&[Key::ASSET], after.cloned().map(Key::Asset), limit, |entry| match entry {
            (Key::Asset(id), Value::Asset(asset)) => Some((id, asset)),
            _ => None,
        })
    }

    /// What an account has of an asset; `None` if it never had any.
    pub fn balance(
        &self,
        account: &AccountId,
        asset: &AssetId,
    ) -> Result<Option<Balance>, StateError> {
        Ok(self.shared.entries.balance(account, asset)?)
    }

    /// What an account has, in order of asset, after one, at most `limit`.
    pub fn balances(
        &self,
        account: &AccountId,
        after: Option<&AssetId>,
        limit: usize,
    ) -> Result<Vec<(AssetId, Balance)>, StateError> {
        let mut prefix = vec![Key::BALANCE];
        prefix.extend_from_slice(account.as_str().as_bytes());
        prefix.push(SEPARATOR);
        let after = after.map(|asset| Key::Balance(account.clone(), asset.clone()));
        self.list(&prefix, after, limit, |entry| match entry {
            (Key::Balance(_, asset), Value::Balance(balance)) => Some((asset, balance)),
            _ => None,
        })
    }

    /// A page of an account's history.
    pub fn history(&self, query: &HistoryQuery) -> Result<HistoryPage, StateError> {
        let assets = match &query.asset {
            Some(asset) => vec![asset.clone()],
            None => {
                let balances = self.balances(&query.account, None, HISTORY_ASSETS_MAX)?;
                balances.into_iter().map(|(asset, _)| asset).collect()
            }
        };
        Ok(history::page(&*self.shared.store, query, &assets)?)
    }

    /// Where a transaction is and what became of it; `None` if it is in no block, or void.
    pub fn transaction(
        &self,
        hash: &TransactionHash,
    ) -> Result<Option<TransactionRecord>, StateError> {
        Ok(receipts::transaction(&*self.shared.store, hash)?)
    }

    /// What became of the transactions of a block.
    pub fn receipts(&self, height: Height) -> Result<Option<Vec<Receipt>>, StateError> {
        let row = receipts::receipts(&*self.shared.store, height)?;
        Ok(row.map(|row| row.receipts.into_iter().map(|row| row.receipt).collect()))
    }

    /// What a block came to.
    pub fn result(&self, height: Height) -> Result<Option<BlockResult>, StateError> {
        Ok(receipts::receipts(&*self.shared.store, height)?.map(|row| row.result))
    }

    fn list<T>(
        &self,
        prefix: &[u8],
        after: Option<Key>,
        limit: usize,
        pick: impl Fn((Key, Value)) -> Option<T>,
    ) -> Result<Vec<T>, StateError> {
        let after = after.map(|key| key.to_bytes());
        let rows = self.shared.entries.list(prefix, after.as_deref(), limit)?;
        Ok(rows.into_iter().filter_map(|(key, entry)| pick((key, entry.value))).collect())
    }
}
