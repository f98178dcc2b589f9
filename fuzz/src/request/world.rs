//! A node that shows everything and takes in whatever is well-formed, with enough of most things
//! for a second page.

use std::future::ready;
use std::sync::{Arc, LazyLock};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::json;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::time::Instant;
use tonle_client::api::{NodeRole, NodeStatus, PoolStatus, TransactionStatus};
use tonle_model::block::Header;
use tonle_model::hash::{ChainHash, TransactionHash};
use tonle_model::number::{Height, View};
use tonle_model::receipt::Outcome;
use tonle_model::transaction::SignedTransaction;
use tonle_node::torii::{self, Answer, Call, Direct, Known, Refusal, Submitted};
use tonle_wsv::chain::ChainReader;
use tonle_wsv::state::WorldReader;

use super::super::snapshot::node::{Act, Node, START_MS};

/// Blocks of one payment each: some pages of them.
const PAYMENTS: usize = 12;

/// The routes of the node.
pub struct World {
    direct: Direct,
    /// Answers may be read where they hold up nobody, and have their time.
    runtime: Runtime,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    /// The one world.
    pub fn known() -> &'static Self {
        &WORLD
    }

    fn new() -> Self {
        let mut node = Node::default();
        commit(&mut node, Act::new("nbc@nbc", json!({ "register_domain": { "id": "wing" } })));
        let dollar = json!({ "id": "usd#nbc", "scale": 2, "supply_cap": null });
        commit(&mut node, Act::new("nbc@nbc", json!({ "register_asset": dollar })));
        let mint = json!({ "asset": "usd#nbc", "to": "sok@nbc", "amount": "12.50" });
        commit(&mut node, Act::new("nbc@nbc", json!({ "mint": mint })));
        for name in ["readers", "writers"] {
            let role = json!({ "id": name, "permissions": ["read_all_accounts"] });
            commit(&mut node, Act::new("nbc@nbc", json!({ "register_role": role })));
        }
        for amount in ["7", "8"] {
            let hold = json!({
                "asset": "khr#nbc", "to": "dara@nbc", "amount": amount,
                "expires_ms": START_MS + 3_600_000,
            });
            commit(&mut node, Act::new("sok@nbc", json!({ "hold": hold })));
        }
        let leaves = node.validator_leaves(3);
        commit(&mut node, leaves);
        for _ in 0..PAYMENTS {
            commit(&mut node, Act::pay("sok@nbc", "dara@nbc", "1"));
        }
        let genesis = Header::genesis(node.genesis.chain(), START_MS);
        let direct = Direct::new(Arc::new(Shown::of(&node)), genesis);
        let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime");
        Self { direct, runtime }
    }

    /// What the node says; nothing to what is no request.
    pub fn ask(&self, call: &Call<'_>) -> Option<Answer> {
        self.runtime.block_on(self.direct.answer(call))
    }
}

/// A block of one transaction, which is applied.
fn commit(node: &mut Node, act: Act) {
    let block = node.block(1_000, &[&[act]]);
    let outcomes: Vec<Outcome> = block.receipts.iter().map(|receipt| receipt.outcome).collect();
    assert_eq!(outcomes, [Outcome::Applied]);
}

/// What a node has.
struct Shown {
    chain_hash: ChainHash,
    world: WorldReader,
    chain: ChainReader,
    committed: watch::Sender<Height>,
}

impl Shown {
    fn of(node: &Node) -> Self {
        let world = node.world.reader();
        let (committed, _) = watch::channel(world.committed().height);
        let (chain_hash, chain) = (node.genesis.chain(), node.log.reader());
        Self { chain_hash, world, chain, committed }
    }
}

impl torii::Node for Shown {
    fn submit(
        &self,
        transactions: Vec<SignedTransaction>,
    ) -> BoxFuture<'_, Vec<Result<Submitted, Refusal>>> {
        let taken = |one: &SignedTransaction| Ok(Submitted { hash: one.hash(), known: None });
        let taken: Vec<_> = transactions.iter().map(taken).collect();
        ready(taken).boxed()
    }

    fn status_of(&self, hash: &TransactionHash) -> Known {
        let Some(found) = self.world.transaction(hash)? else { return Ok(None) };
        let (height, index) = (found.height, found.index);
        Ok(Some(match found.receipt.outcome {
            Outcome::Applied => TransactionStatus::Committed { height, index },
            Outcome::Rejected { code, step } => {
                TransactionStatus::Rejected { code, detail: found.detail, height, index, step }
            }
        }))
    }

    fn wait_for(&self, hash: TransactionHash, _deadline: Instant) -> BoxFuture<'_, Known> {
        ready(self.status_of(&hash)).boxed()
    }

    fn node_status(&self) -> NodeStatus {
        let committed = self.world.committed();
        NodeStatus {
            chain: self.chain_hash,
            name: "v1".to_owned(),
            role: NodeRole::Validator,
            not_voting: None,
            height: committed.height,
            hash: committed.block,
            state_root: committed.result.state_root,
            timestamp_ms: committed.timestamp_ms,
            view: View(0),
            peers: 3,
            pool: PoolStatus::default(),
            version: "0.0.0".to_owned(),
            syncing: false,
            sync: None,
            uptime_ms: 1,
            synced_writes: true,
            demo: true,
        }
    }

    fn health(&self) -> Result<(), String> {
        Ok(())
    }

    fn committed(&self) -> watch::Receiver<Height> {
        self.committed.subscribe()
    }

    fn world(&self) -> &WorldReader {
        &self.world
    }

    fn chain(&self) -> &ChainReader {
        &self.chain
    }

    fn now_ms(&self) -> u64 {
        self.world.committed().timestamp_ms
    }

    fn metrics(&self) -> String {
        "# EOF\n".to_owned()
    }
}
