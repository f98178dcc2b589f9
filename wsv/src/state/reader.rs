//! Reading the state from any thread.
//!
//! Each answer is committed state. Two answers may be of two heights: whoever needs one of several
//! entries at one moment asks for the page that has them all.

use std::ops::ControlFlow;
use std::sync::{Arc, PoisonError};

use tonle_model::amount::Amount;
use tonle_model::block::BlockResult;
use tonle_model::genesis::Parameters;
use tonle_model::hash::{ChainHash, Digest256, HoldId, ProposalId, TransactionHash};
use tonle_model::id::{AccountId, AssetId, DomainId, Name};
use tonle_model::leader::LeaderMarks;
use tonle_model::number::Height;
use tonle_model::permission::Permission;
use tonle_model::receipt::Receipt;
use tonle_model::validators::ValidatorSet;

use super::commit::{account_key, hold_key};
use super::entries::ReadEntries;
use super::history::{self, Direction, HistoryPage, HistoryQuery};
use super::instruction;
use super::key::{InvoiceKey, Key};
use super::receipts::{self, TransactionRecord};
use super::snapshot::{self, CertifiedChanges, Joined};
use super::totals;
use super::value::{
    Account, Asset, Balance, Domain, Hold, Metadata, PaidInvoice, Proposal, Rights, Role, Value,
};
use super::{Committed, Shared, StateError};
use crate::chain::ChainReader;
use crate::store::{ScanOrder, StoreError, Table};

/// Most assets of one account that a history without an asset looks through.
const HISTORY_ASSETS_MAX: usize = 1_000;

/// A single-use payment: which, and who made or reserved it.
pub type TakenInvoice = (Arc<InvoiceKey>, Arc<PaidInvoice>);

/// Most payments of one invoice id that are listed.
const INVOICES_MAX: usize = 1_000;

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

    /// Accounts of a domain in order of name, after one, at most `limit`.
    pub fn accounts_of(
        &self,
        domain: &DomainId,
        after: Option<&AccountId>,
        limit: usize,
    ) -> Result<Vec<(AccountId, Arc<Account>)>, StateError> {
        let prefix = account_key(domain, "");
        let start = account_key(domain, after.map_or("", AccountId::as_str));
        let mut ids = Vec::new();
        let store = &self.shared.store;
        store.scan(Table::Accounts, &start, ScanOrder::Ascending, &mut |row, _| match row
            .strip_prefix(&prefix[..])
        {
            Some(id) if ids.len() < limit => {
                let id = std::str::from_utf8(id).ok().and_then(|id| id.parse().ok());
                ids.extend(Some(id).filter(|id| id.as_ref() != after || after.is_none()));
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        })?;
        let damaged = || StoreError::Row { table: Table::Accounts };
        let mut accounts = Vec::with_capacity(ids.len());
        for id in ids {
            let id: AccountId = id.ok_or_else(damaged)?;
            let account = self.account(&id)?.ok_or_else(damaged)?;
            accounts.push((id, account));
        }
        Ok(accounts)
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
        let prefix = Key::balances(account);
        let after = after.map(|asset| Key::Balance(account.clone(), asset.clone()));
        self.list(&prefix, after, limit, |entry| match entry {
            (Key::Balance(_, asset), Value::Balance(balance)) => Some((asset, balance)),
            _ => None,
        })
    }

    /// What the accounts of each domain own of an asset together, in order of name, after one, at
    /// most `limit`.
    pub fn totals(
        &self,
        asset: &AssetId,
        after: Option<&DomainId>,
        limit: usize,
    ) -> Result<Vec<(DomainId, Amount)>, StateError> {
        Ok(totals::totals(&*self.shared.store, asset, after, limit)?)
    }

    /// What an account may do beyond its own; `None` if it was given nothing.
    pub fn rights(&self, id: &AccountId) -> Result<Option<Arc<Rights>>, StateError> {
        Ok(self.shared.entries.rights(id)?)
    }

    /// Whether an account holds a right: by ownership, directly, or by a role.
    pub fn holds_permission(
        &self,
        id: &AccountId,
        permission: &Permission,
    ) -> Result<bool, StateError> {
        Ok(instruction::holds(&self.shared.entries, &self.parameters(), id, permission)?)
    }

    /// What was noted with an account.
    pub fn metadata(&self, id: &AccountId) -> Result<Option<Arc<Metadata>>, StateError> {
        Ok(self.shared.entries.metadata(id)?)
    }

    /// How much of the payment of a step was recalled.
    pub fn recalled(&self, transaction: &TransactionHash, step: u16) -> Result<Amount, StateError> {
        let recalled = self.shared.entries.recalled(transaction, step)?;
        Ok(recalled.unwrap_or_default().amount)
    }

    /// The heights after which others validated, ascending.
    pub fn validator_changes(&self) -> Result<Vec<Height>, StateError> {
        Ok(instruction::changes(&self.shared.entries)?.to_vec())
    }

    /// The validators of a height, of the past or the next.
    pub fn validators_at(&self, height: Height) -> Result<Arc<ValidatorSet>, StateError> {
        Ok(instruction::validators_at(&self.shared.entries, height)?)
    }

    /// How the validators of a height came to follow those of the genesis.
    pub fn certified_changes(
        &self,
        chain: &ChainReader,
        until: Height,
    ) -> Result<CertifiedChanges, StateError> {
        let shared = &self.shared;
        let chain = chain.shared_store();
        Ok(snapshot::certified_changes(&shared.entries, &*shared.store, &*chain, until)?)
    }

    /// The snapshot that brought this state; `None` if all was executed from the genesis.
    pub fn joined(&self) -> Option<&Joined> {
        self.shared.joined.as_ref()
    }

    /// A role.
    pub fn role(&self, id: &Name) -> Result<Option<Arc<Role>>, StateError> {
        Ok(self.shared.entries.role(id)?)
    }

    /// Roles in order of name, after one, at most `limit`.
    pub fn roles(
        &self,
        after: Option<&Name>,
        limit: usize,
    ) -> Result<Vec<(Name, Arc<Role>)>, StateError> {
        self.list(&[Key::ROLE], after.cloned().map(Key::Role), limit, |entry| match entry {
            (Key::Role(id), Value::Role(role)) => Some((id, role)),
            _ => None,
        })
    }

    /// A hold that was neither settled nor released.
    pub fn hold(&self, id: &HoldId) -> Result<Option<Arc<Hold>>, StateError> {
        Ok(match self.shared.entries.value(&Key::Hold(*id))? {
            Some(Value::Hold(hold)) => Some(hold),
            _ => None,
        })
    }

    /// The holds that an account is a party of, in order of id, after one, at most `limit`; fewer
    /// only at the end.
    pub fn holds_of(
        &self,
        party: &AccountId,
        after: Option<&HoldId>,
        limit: usize,
    ) -> Result<Vec<(HoldId, Arc<Hold>)>, StateError> {
        let mut after = after.copied();
        let mut holds = Vec::new();
        loop {
            let ids = self.hold_ids(party, after.as_ref(), limit - holds.len())?;
            after = ids.last().copied();
            for id in &ids {
                // One that was settled since its id was read is left out.
                holds.extend(self.hold(id)?.map(|hold| (*id, hold)));
            }
            if ids.is_empty() || holds.len() >= limit {
                return Ok(holds);
            }
        }
    }

    fn hold_ids(
        &self,
        party: &AccountId,
        after: Option<&HoldId>,
        limit: usize,
    ) -> Result<Vec<HoldId>, StateError> {
        let prefix = hold_key(party, None);
        let start = hold_key(party, after);
        let mut ids = Vec::new();
        let store = &self.shared.store;
        store.scan(Table::Holds, &start, ScanOrder::Ascending, &mut |row, _| {
            let id = row.strip_prefix(&prefix[..]).and_then(|id| id.try_into().ok());
            match id.map(|id| HoldId(Digest256(id))) {
                Some(id) if ids.len() < limit => {
                    ids.extend(Some(id).filter(|id| Some(id) != after));
                    ControlFlow::Continue(())
                }
                _ => ControlFlow::Break(()),
            }
        })?;
        Ok(ids)
    }

    /// The payments that a payee's invoice id was used for, and that have not been forgotten.
    pub fn invoices(&self, payee: &AccountId, id: &str) -> Result<Vec<TakenInvoice>, StateError> {
        self.list(&Key::invoices(payee, id), None, INVOICES_MAX, |entry| match entry {
            (Key::Invoice(key), Value::Invoice(paid)) => Some((key, paid)),
            _ => None,
        })
    }

    /// A proposal that was neither run nor withdrawn.
    pub fn proposal(&self, id: &ProposalId) -> Result<Option<Arc<Proposal>>, StateError> {
        Ok(match self.shared.entries.value(&Key::Proposal(*id))? {
            Some(Value::Proposal(proposal)) => Some(proposal),
            _ => None,
        })
    }

    /// The open proposals of an account, in the order in which they were made.
    pub fn proposals_of(
        &self,
        id: &AccountId,
    ) -> Result<Vec<(ProposalId, Arc<Proposal>)>, StateError> {
        let ids = match self.shared.entries.value(&Key::Proposals(id.clone()))? {
            Some(Value::Proposals(ids)) => ids,
            _ => return Ok(Vec::new()),
        };
        let mut proposals = Vec::with_capacity(ids.len());
        for id in ids.iter() {
            proposals.extend(self.proposal(id)?.map(|proposal| (*id, proposal)));
        }
        Ok(proposals)
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

    /// What an account owned of an asset at a time, told from what came after it: for a node whose
    /// history begins in the middle.
    pub fn owned_at(
        &self,
        account: &AccountId,
        asset: &AssetId,
        time_ms: u64,
    ) -> Result<Option<Amount>, StateError> {
        // The balance first: what changes it meanwhile has a line.
        let now = self.balance(account, asset)?.unwrap_or_default();
        let line = history::first_after(&*self.shared.store, account, asset, time_ms)?;
        Ok(match line {
            None => now.available.checked_add(now.held),
            Some(line) => match line.direction {
                Direction::In => line.balance.checked_sub(line.amount),
                Direction::Out => line.balance.checked_add(line.amount),
            },
        })
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
