//! What must be true of a network's ledger, read through its HTTP API alone.

use std::collections::{BTreeMap, BTreeSet};

use tonle_client::Client;
use tonle_client::api::{BlockReceipts, BlocksQuery};
use tonle_model::hash::{BlockHash, TransactionHash};
use tonle_model::number::Height;
use tonle_model::receipt::Outcome;

use crate::localnet::Localnet;

/// Blocks read at once.
const PAGE: u32 = 100;

/// Everything one validator says is decided.
#[derive(Debug, Default)]
pub struct Chain {
    /// Blocks by height.
    pub blocks: BTreeMap<Height, BlockHash>,
    /// Every receipt, and how often it is there.
    pub receipts: BTreeMap<TransactionHash, Vec<Outcome>>,
}

/// Reads a validator's whole chain.
pub async fn read_chain(client: &Client) -> Chain {
    let mut chain = Chain::default();
    let mut from = Height(1);
    let last = client.node_status().await.expect("a status").height;
    while from <= last {
        let query = BlocksQuery { from: Some(from), limit: Some(PAGE), wait: None };
        let page = client.blocks(&query).await.expect("a page of blocks");
        let receipts = client.receipts(&query).await.expect("a page of receipts");
        from = page.items.last().expect("blocks up to the last one").height.next();
        chain.blocks.extend(page.items.iter().map(|block| (block.height, block.hash)));
        for BlockReceipts { receipts, .. } in receipts {
            for receipt in receipts {
                chain.receipts.entry(receipt.transaction).or_default().push(receipt.outcome);
            }
        }
    }
    chain
}

/// All riel there are in the demo accounts' hands: what no transfer changes.
pub async fn supply_in_hands(client: &Client) -> u128 {
    let genesis = tonle_model::genesis::Genesis::from_json(include_str!("../../genesis.json"))
        .expect("the demo genesis");
    let mut sum = 0;
    let accounts: BTreeSet<_> = genesis
        .steps
        .iter()
        .filter_map(|step| match &step.instruction {
            tonle_model::instruction::Instruction::RegisterAccount { id, .. } => Some(id.clone()),
            _ => None,
        })
        .collect();
    for account in accounts {
        for balance in client.balances(&account).await.expect("balances") {
            if balance.asset.as_str() == "khr#nbc" {
                sum += balance.available.to_amount(0).expect("whole riel").minor();
            }
        }
    }
    sum
}

/// No two blocks at a height, nothing twice, everything that was acknowledged, nothing made or
/// lost.
pub async fn assert_sound(net: &Localnet, acknowledged: &[TransactionHash], supply: u128) {
    let mut first: Option<Chain> = None;
    for index in 0..net.urls().len() {
        let client = net.client(index);
        assert_eq!(supply_in_hands(&client).await, supply, "validator {index}: riel made or lost");
        let chain = read_chain(&client).await;
        for (hash, outcomes) in &chain.receipts {
            assert_eq!(outcomes.len(), 1, "validator {index}: {hash} is there twice");
        }
        for hash in acknowledged {
            let outcome = chain.receipts.get(hash).and_then(|outcomes| outcomes.first());
            assert_eq!(outcome, Some(&Outcome::Applied), "validator {index}: {hash} was lost");
        }
        let reference = first.get_or_insert_with(|| Chain {
            blocks: chain.blocks.clone(),
            receipts: BTreeMap::new(),
        });
        let shared =
            chain.blocks.iter().filter(|(height, _)| reference.blocks.contains_key(height));
        for (height, hash) in shared {
            assert_eq!(reference.blocks.get(height), Some(hash), "two blocks at height {height}");
        }
    }
}
