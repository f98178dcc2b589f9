//! Both ledgers at once: the same blocks, and a word on where they part.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use tonle_model::genesis::Genesis;
use tonle_model::hash::HoldId;
use tonle_model::id::{AccountId, DomainId};
use tonle_model::receipt::Receipt;
use tonle_model::transaction::SignedTransaction;
use tonle_wsv::state::{AccountStatus, StateError, WorldReader};

use super::network::Network;
use super::state::{
    Account, Asset, Balance, Given, Hold, InvoiceKey, PaidInvoice, Proposal, State, Status, by_key,
};
use super::{Fate, Reference};

/// Parameters, validators and leader marks.
const FIXED_ENTRIES: usize = 3;

/// The ledger and its reference.
pub struct Pair {
    /// What should be.
    pub reference: Reference,
    /// What is.
    pub network: Network,
}

impl Pair {
    /// Both at their genesis.
    pub fn new(genesis: &Genesis) -> Result<Self, String> {
        let network = Network::new(genesis).map_err(|error| error.to_string())?;
        let pair = Self { reference: Reference::new(genesis), network };
        pair.compare_states()?;
        Ok(pair)
    }

    /// Executes a block in both and compares everything. Transactions are asked for one at a time,
    /// so that they may depend on what became of those before.
    pub fn block(
        &mut self,
        time_ms: u64,
        mut next: impl FnMut(&Reference) -> Option<SignedTransaction>,
    ) -> Result<Vec<Fate>, String> {
        let validators = self.network.reader().validators();
        let (mut transactions, mut fates) = (Vec::new(), Vec::new());
        self.reference.begin(time_ms);
        while let Some(transaction) = next(&self.reference) {
            fates.push(self.reference.transaction(&transaction));
            transactions.push(transaction);
        }
        self.reference.end();
        let block =
            self.network.block(time_ms, &transactions).map_err(|error| error.to_string())?;
        let (mut receipts, mut voids) = (Vec::new(), Vec::new());
        for (transaction, fate) in transactions.iter().zip(&fates) {
            let transaction = transaction.hash();
            match fate {
                Fate::Void(code, authority) => voids.push((transaction, *code, authority.clone())),
                Fate::Done(outcome) => receipts.push(Receipt { transaction, outcome: *outcome }),
            }
        }
        let found: Vec<_> = block
            .voids
            .iter()
            .map(|(hash, void)| (*hash, void.code, void.authority.clone()))
            .collect();
        same("voids", &found, &voids)?;
        same("receipts", &block.receipts, &receipts)?;
        same("parameters", &*block.parameters, &self.reference.state.parameters)?;
        let next = by_key(&block.next_validators);
        same("validators", &next, &self.reference.state.validators)?;
        self.reference.archive.add(&block, &validators, &transactions);
        self.compare_states()?;
        Ok(fates)
    }

    /// Compares every entry of both states, and checks what is always true of money.
    pub fn compare_states(&self) -> Result<(), String> {
        let expected = &self.reference.state;
        let reader = self.network.reader();
        reader.audit().map_err(|error| error.to_string())?;
        conserved(expected)?;
        let found = observe(&reader, expected).map_err(|error| error.to_string())??;
        same_entries("domains", &found.domains, &expected.domains)?;
        same_entries("accounts", &found.accounts, &expected.accounts)?;
        same_entries("assets", &found.assets, &expected.assets)?;
        same_entries("balances", &found.balances, &expected.balances)?;
        same_entries("holds", &found.holds, &expected.holds)?;
        same_entries("invoices", &found.invoices, &expected.invoices)?;
        same_entries("roles", &found.roles, &expected.roles)?;
        same_entries("rights", &found.given, &expected.given)?;
        same_entries("proposals", &found.proposals, &expected.proposals)?;
        same_entries("open proposals", &found.proposals_of, &expected.proposals_of)?;
        same_entries("metadata", &found.metadata, &expected.metadata)?;
        same_entries("past validators", &found.past_validators, &expected.past_validators)?;
        same_entries("recalls", &found.recalled, &expected.recalled)?;
        same("parameters", &found.next_parameters, &expected.next_parameters)?;
        let count = self.network.entry_count().map_err(|error| error.to_string())?;
        same("number of entries", &count, &entry_count(expected))
    }
}

fn same<T: PartialEq + Debug>(what: &str, found: &T, expected: &T) -> Result<(), String> {
    match found == expected {
        true => Ok(()),
        false => Err(format!("{what}\n   is {found:?}\n  not {expected:?}")),
    }
}

/// As [`same`], naming only the entries that differ.
fn same_entries<K: Ord + Debug, V: PartialEq + Debug>(
    what: &str,
    found: &BTreeMap<K, V>,
    expected: &BTreeMap<K, V>,
) -> Result<(), String> {
    let keys: BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    for key in keys {
        same(&format!("{what}: {key:?}"), &found.get(key), &expected.get(key))?;
    }
    Ok(())
}

fn entry_count(state: &State) -> usize {
    FIXED_ENTRIES
        + state.domains.len()
        + state.accounts.len()
        + state.assets.len()
        + state.balances.len()
        + state.holds.len()
        + state.invoices.len()
        + state.roles.len()
        + state.given.len()
        + state.proposals.len()
        + state.proposals_of.len()
        + state.metadata.len()
        + state.recalled.len()
        + state.past_validators.len()
        + usize::from(!state.past_validators.is_empty())
}

/// All that there is of an asset is available to someone or held; and someone owns the network.
fn conserved(state: &State) -> Result<(), String> {
    let operator = &state.parameters.operator;
    same("who owns the network is there", &state.open_account(operator).is_some(), &true)?;
    let mut owned = BTreeMap::new();
    let available = state.balances.iter().map(|((_, asset), balance)| (asset, balance.available));
    let held = state.holds.values().map(|hold| (&hold.asset, hold.amount));
    for (asset, amount) in available.chain(held) {
        let sum: &mut u128 = owned.entry(asset).or_default();
        *sum = sum.checked_add(amount).ok_or(format!("{asset} passes 128 bits"))?;
    }
    for (id, asset) in &state.assets {
        same(&format!("what all own of {id}"), owned.get(id).unwrap_or(&0), &asset.supply)?;
    }
    Ok(())
}

/// Everything that a reader sees, as the reference has it. Of invoices those that the reference
/// knows by payee and id, and of recalls those that it knows: the count of entries says whether
/// there are others.
fn observe(reader: &WorldReader, expected: &State) -> Result<Result<State, String>, StateError> {
    let mut state = State::new((*reader.parameters()).clone(), &reader.validators());
    for last in reader.validator_changes()? {
        state.past_validators.insert(last.0, by_key(&*reader.validators_at(last)?));
    }
    let domains = reader.domains(None, usize::MAX)?;
    state.domains = domains.into_iter().map(|(id, domain)| (id, domain.owner.clone())).collect();
    let roles = reader.roles(None, usize::MAX)?;
    state.roles = roles.into_iter().map(|(id, role)| (id, role.permissions.to_vec())).collect();
    for (id, asset) in reader.assets(None, usize::MAX)? {
        let limits =
            asset.limits.iter().map(|limit| (limit.tier.clone(), limit.per_day.minor())).collect();
        let asset = Asset {
            owner: asset.owner.clone(),
            scale: asset.scale,
            supply: asset.supply.minor(),
            supply_cap: asset.supply_cap.map(|cap| cap.minor()),
            mintability: asset.mintability,
            limits,
        };
        state.assets.insert(id, asset);
    }
    for (id, account) in reader.accounts(None, usize::MAX)? {
        let status = match &account.status {
            AccountStatus::Active => Status::Active,
            AccountStatus::Closed => Status::Closed,
            AccountStatus::Frozen { incoming, reason } => {
                Status::Frozen { incoming: *incoming, reason: reason.as_str().to_owned() }
            }
        };
        let account = Account {
            signatories: account.signatories.to_vec(),
            quorum: account.quorum,
            tier: account.tier.clone(),
            status,
        };
        state.accounts.insert(id.clone(), account);
        observe_account(reader, &id, &mut state)?;
    }
    observe_invoices(reader, expected, &mut state)?;
    for (transaction, step) in expected.recalled.keys() {
        let recalled = reader.recalled(transaction, *step)?.minor();
        state.recalled.insert((*transaction, *step), recalled);
    }
    let counted = check_counters(reader, &state)?.and(check_totals(reader, &state)?);
    Ok(counted.map(|()| state))
}

fn observe_account(
    reader: &WorldReader,
    id: &AccountId,
    state: &mut State,
) -> Result<(), StateError> {
    for (asset, balance) in reader.balances(id, None, usize::MAX)? {
        let (available, sent) = (balance.available.minor(), balance.sent.minor());
        let balance = Balance { available, day: balance.day, sent };
        state.balances.insert((id.clone(), asset), balance);
    }
    if let Some(rights) = reader.rights(id)? {
        let given = Given {
            roles: rights.roles.iter().cloned().collect(),
            permissions: rights.permissions.iter().cloned().collect(),
        };
        state.given.insert(id.clone(), given);
    }
    if let Some(notes) = reader.metadata(id)? {
        let notes = notes.iter().map(|(key, note)| (key.clone(), note.as_str().to_owned()));
        state.metadata.insert(id.clone(), notes.collect());
    }
    for (hold_id, hold) in reader.holds_of(id, None, usize::MAX)? {
        state.holds.insert(hold_id, observed_hold(&hold));
    }
    let open = reader.proposals_of(id)?;
    if !open.is_empty() {
        state.proposals_of.insert(id.clone(), open.iter().map(|(open, _)| *open).collect());
    }
    for (proposal_id, proposal) in open {
        let proposal = Proposal {
            account: proposal.account.clone(),
            proposer: proposal.proposer.clone(),
            instructions: proposal.instructions.to_vec(),
            expires_ms: proposal.expires_ms,
            approvals: proposal.approvals.to_vec(),
        };
        state.proposals.insert(proposal_id, proposal);
    }
    Ok(())
}

fn observed_hold(hold: &tonle_wsv::state::Hold) -> Hold {
    let invoice = hold.invoice.as_ref();
    Hold {
        from: hold.from.clone(),
        to: hold.to.clone(),
        asset: hold.asset.clone(),
        amount: hold.amount.minor(),
        expires_ms: hold.expires_ms,
        hash_lock: hold.hash_lock,
        arbiter: hold.arbiter.clone(),
        invoice: invoice.map(|invoice| (invoice.id.as_str().to_owned(), invoice.expires_ms)),
        day: hold.day,
    }
}

fn observe_invoices(
    reader: &WorldReader,
    expected: &State,
    state: &mut State,
) -> Result<(), StateError> {
    let known: BTreeSet<_> =
        expected.invoices.keys().map(|key| (key.payee.clone(), key.id.clone())).collect();
    for (payee, id) in known {
        for (key, paid) in reader.invoices(&payee, &id)? {
            let key = InvoiceKey {
                payee: key.payee.clone(),
                id: key.id.as_str().to_owned(),
                asset: key.asset.clone(),
                amount: key.amount.minor(),
                expires_ms: key.expires_ms,
            };
            let paid = PaidInvoice {
                payer: paid.payer.clone(),
                transaction: paid.transaction,
                hold: paid.hold,
            };
            state.invoices.insert(key, paid);
        }
    }
    Ok(())
}

/// What the ledger counts beside its entries is what they come to.
fn check_counters(reader: &WorldReader, state: &State) -> Result<Result<(), String>, StateError> {
    let mut parties: BTreeMap<&AccountId, BTreeSet<HoldId>> = BTreeMap::new();
    for (id, hold) in &state.holds {
        for party in [Some(&hold.from), Some(&hold.to), hold.arbiter.as_ref()].into_iter().flatten()
        {
            parties.entry(party).or_default().insert(*id);
        }
    }
    for account in state.accounts.keys() {
        let owned = reader.rights(account)?.map_or(0, |rights| rights.owned as usize);
        if owned != state.owned(account) {
            return Ok(Err(format!("{account} owns {}, not {owned}", state.owned(account))));
        }
        let holds = reader.holds_of(account, None, usize::MAX)?;
        let holds: BTreeSet<_> = holds.into_iter().map(|(id, _)| id).collect();
        let expected = parties.remove(account).unwrap_or_default();
        if let Err(difference) = same(&format!("holds of {account}"), &holds, &expected) {
            return Ok(Err(difference));
        }
    }
    for (account, asset) in state.balances.keys() {
        let balance = reader.balance(account, asset)?.unwrap_or_default();
        let found = (balance.held.minor(), balance.incoming as usize);
        let expected = (state.held(account, asset), state.incoming(account, asset));
        let what = format!("what {account} holds and awaits of {asset}");
        if let Err(difference) = same(&what, &found, &expected) {
            return Ok(Err(difference));
        }
    }
    Ok(Ok(()))
}

/// What the accounts of each domain own together is what it is said to be.
fn check_totals(reader: &WorldReader, state: &State) -> Result<Result<(), String>, StateError> {
    for asset in state.assets.keys() {
        let mut expected: BTreeMap<DomainId, u128> = BTreeMap::new();
        for (account, of) in state.balances.keys().filter(|(_, of)| of == asset) {
            let owned = state.balance(account, of).available + state.held(account, of);
            *expected.entry(account.domain()).or_default() += owned;
        }
        expected.retain(|_, total| *total > 0);
        let found = reader.totals(asset, None, usize::MAX)?.into_iter();
        let found = found.map(|(domain, total)| (domain, total.minor()));
        let found: BTreeMap<_, _> = found.filter(|(_, total)| *total > 0).collect();
        if let Err(difference) = same(&format!("totals of {asset}"), &found, &expected) {
            return Ok(Err(difference));
        }
    }
    Ok(Ok(()))
}
