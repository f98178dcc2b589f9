//! What must hold of a network after whatever it went through, read from every validator's whole
//! chain and from every account, through the HTTP API alone.

use std::collections::BTreeMap;
use std::time::Instant;

use tonle_client::api::BlocksQuery;
use tonle_client::{Client, ClientError};
use tonle_model::hash::BlockHash;
use tonle_model::number::Height;
use tonle_model::receipt::Outcome as Decision;

use super::Outcome;
use super::load::Clients;
use super::network::Network;
use super::people::START;

/// Blocks read at once.
const PAGE: u32 = 100;

/// What was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sound {
    /// Payments, each of which is there once.
    pub payments: usize,
    /// Blocks.
    pub blocks: usize,
}

/// Holds these validators to all promises: one block at each height, the one that was ever shown
/// there, and one state; every payment that was acknowledged, and nothing else, once; every balance
/// what the payments make of it. No node that ever ran may have panicked.
///
/// Call it when all loads have finished: then what was made and what was acknowledged are the same.
pub fn check(network: &Network, indices: &[usize]) -> Outcome<Sound> {
    let agreed = network.agreed(indices)?;
    let mut chain: Option<BTreeMap<Height, BlockHash>> = None;
    for index in indices {
        let named = |error: String| format!("validator {index}: {error}");
        let clients = network.clients();
        let found = network.ask(read(*index, clients, agreed.height));
        let blocks = found.map_err(named)?;
        if *chain.get_or_insert_with(|| blocks.clone()) != blocks {
            return Err(named("other blocks than the first one asked".to_owned()));
        }
        network.ask(balances(&clients.nodes()[*index], clients)).map_err(named)?;
    }
    let chain = chain.unwrap_or_default();
    let book = network.clients().book();
    if let [first, ..] = book.violations() {
        return Err(first.clone());
    }
    // Nothing above had a name when all agreed.
    let names = book.names().filter(|(height, _)| *height <= agreed.height);
    all_there(names, &chain)?;
    no_panic((0..network.count()).map(|index| network.log(index)))?;
    Ok(Sound { payments: book.made().len(), blocks: chain.len() })
}

/// Every block that was ever named must be in the chain that all have in the end.
fn all_there(
    mut names: impl Iterator<Item = (Height, BlockHash)>,
    chain: &BTreeMap<Height, BlockHash>,
) -> Outcome<()> {
    match names.find(|(height, hash)| chain.get(height) != Some(hash)) {
        None => Ok(()),
        Some((height, hash)) => {
            Err(format!("block {hash} was shown at height {height} and is gone"))
        }
    }
}

fn no_panic(mut logs: impl Iterator<Item = String>) -> Outcome<()> {
    match logs.position(|log| log.contains("panicked")) {
        None => Ok(()),
        Some(index) => Err(format!("node {index} panicked")),
    }
}

/// Reads a validator's whole chain, and finds each payment once. The book compares what is in each
/// block with what was shown of it first, before whatever happened.
async fn read(
    index: usize,
    clients: &Clients,
    last: Height,
) -> Outcome<BTreeMap<Height, BlockHash>> {
    let node = &clients.nodes()[index];
    let mut blocks = BTreeMap::new();
    let mut times = vec![0u8; clients.book().made().len()];
    let mut from = Height(1);
    while from <= last {
        let query = BlocksQuery { from: Some(from), limit: Some(PAGE), wait: None };
        let page = node.blocks(&query).await.map_err(words)?;
        for block in &page.items {
            if block.height != from {
                return Err(format!("block {} where {from} should be", block.height));
            }
            from = from.next();
            blocks.insert(block.height, block.hash);
        }
        if page.items.is_empty() {
            return Err(format!("no block {from}, though it has {last}"));
        }
    }
    let mut from = Height(1);
    while from <= last {
        let query = BlocksQuery { from: Some(from), limit: Some(PAGE), wait: None };
        let page = node.receipts(&query).await.map_err(words)?;
        from = page.last().ok_or_else(|| format!("no receipts of {from}"))?.height.next();
        let now = Instant::now();
        page.iter().for_each(|block| clients.book().show(index, block, now));
        for receipt in page.iter().flat_map(|block| &block.receipts) {
            let number = clients.book().number(&receipt.transaction);
            let time = number.and_then(|number| times.get_mut(number));
            let time = time.ok_or_else(|| format!("{} was never made", receipt.transaction))?;
            *time = time.saturating_add(1);
            if receipt.outcome != Decision::Applied {
                return Err(format!("{} came to {:?}", receipt.transaction, receipt.outcome));
            }
        }
    }
    match times.iter().position(|times| *times != 1) {
        None => Ok(blocks),
        Some(number) => Err(format!("payment {number} is there {} times", times[number])),
    }
}

/// Every account has what the payments make of what it began with, and the asset's supply is the
/// sum of that.
async fn balances(node: &Client, clients: &Clients) -> Outcome<()> {
    let asset = &clients.people().asset;
    let accounts: Vec<_> = clients.people().ids().cloned().collect();
    let mut expected = vec![START; accounts.len()];
    for made in clients.book().made() {
        let payment = made.payment;
        expected[usize::from(payment.from)] -= u128::from(payment.amount);
        expected[usize::from(payment.to)] += u128::from(payment.amount);
    }
    let mut sum = 0;
    for (account, expected) in accounts.iter().zip(expected) {
        let balances = node.balances(account).await.map_err(words)?;
        let mut own = balances.iter().filter(|balance| balance.asset == *asset);
        let available = own.next().map(|balance| balance.available.to_amount(0));
        let minor = available.and_then(Result::ok).map_or(0, |amount| amount.minor());
        if minor != expected {
            return Err(format!("{account} has {minor} and should have {expected}"));
        }
        sum += minor;
    }
    let supply = node.asset(asset).await.map_err(words)?.supply;
    match supply.to_amount(0).map(|amount| amount.minor()) {
        Ok(minor) if minor == sum => Ok(()),
        _ => Err(format!("the supply is {supply:?} and the accounts have {sum}")),
    }
}

fn words(error: ClientError) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::hash::Digest256;

    #[test]
    fn a_block_that_was_shown_and_is_not_in_the_chain_is_found() {
        let block = |height, byte| (Height(height), BlockHash(Digest256([byte; 32])));
        let chain = BTreeMap::from([block(1, 1), block(2, 2)]);
        let check = |names: &[(Height, BlockHash)]| all_there(names.iter().copied(), &chain);
        assert_eq!(check(&[block(1, 1), block(2, 2)]), Ok(()));
        assert_eq!(check(&[block(2, 2)]), Ok(()));
        assert!(check(&[block(1, 1), block(2, 3)]).unwrap_err().contains("at height 2"));
        assert!(check(&[block(3, 3)]).unwrap_err().contains("at height 3"));
    }

    #[test]
    fn a_panic_is_found_in_the_log_of_any_node() {
        let check = |logs: &[&str]| no_panic(logs.iter().map(|log| (*log).to_owned()));
        assert_eq!(check(&["opened", ""]), Ok(()));
        let said = "thread 'driver' panicked at node/src/driver";
        assert_eq!(check(&["opened", "", said]), Err("node 2 panicked".to_owned()));
    }
}
