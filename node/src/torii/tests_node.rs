//! What the tests put behind and in front of Torii: a small node of one validator over a real
//! world in memory, and a real connection to it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonle_client::Client;
use tonle_client::api::{NodeRole, NodeStatus, PoolStatus, TransactionStatus};
use tonle_model::batch::Batch;
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::genesis::Genesis;
use tonle_model::hash::{ChainHash, TransactionHash};
use tonle_model::instruction::Instruction;
use tonle_model::key::KeyPair;
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::receipt::Outcome;
use tonle_model::transaction::{Payload, SignedTransaction, Step, Transaction};
use tonle_model::verified::Verified;
use tonle_model::verify::Verifier;
use tonle_model::vote::{Ballot, Certificate, Vote, VoteKind};
use tonle_wsv::chain::{ChainLog, ChainReader, ChainWrite, EvidenceRow, MemoryMark, OnLoss};
use tonle_wsv::memory::MemoryStore;
use tonle_wsv::state::snapshot::{SnapshotError, Source, read_file, write_file};
use tonle_wsv::state::{World, WorldReader};
use tonle_wsv::store::{Changes, Durability, Store, StoreError};

use super::{Known, Node, Refusal, RefusalClass, Settings, Submitted, serve};

/// Block time of genesis.
pub(super) const GENESIS_MS: u64 = 1_793_491_200_000;
/// No test should need as long.
pub(super) const PATIENCE: Duration = Duration::from_secs(20);
const VALIDATOR: &str = "validator_0";

/// A node of one validator that makes a block when told to.
pub(crate) struct TestNode {
    genesis: Genesis,
    state: Arc<MemoryStore>,
    statuses: Mutex<HashMap<TransactionHash, TransactionStatus>>,
    changed: watch::Sender<()>,
    committed: watch::Sender<Height>,
    ledger: Mutex<(World, ChainLog)>,
    world: WorldReader,
    chain: ChainReader,
    /// What the next submissions are answered, in order; the world's own answer after that.
    pub refusals: Mutex<Vec<Refusal>>,
    /// Whether submissions are decided; they wait while it is false.
    pub open: watch::Sender<bool>,
    /// Why the node is not ready, if it is not.
    pub unready: Mutex<Option<String>>,
    /// How far its clock is ahead of the last block.
    pub ahead_ms: AtomicU64,
    /// Whether it cannot read what became of transactions.
    pub is_damaged: AtomicBool,
}

/// A genesis with two banks, two currencies and three people.
fn genesis(public_reads: &str) -> Genesis {
    let register = |id: &str| {
        let key = KeyPair::demo(id).public_key();
        let signatories = [serde_json::json!({"public_key": key, "weight": 1})];
        let account = serde_json::json!({"id": id, "signatories": signatories, "quorum": 1});
        serde_json::json!({"register_account": account})
    };
    let domain = |id: &str| serde_json::json!({"register_domain": {"id": id}});
    let asset = |id: &str, scale: u8| {
        let asset = serde_json::json!({"id": id, "scale": scale, "supply_cap": null});
        serde_json::json!({"register_asset": asset})
    };
    let mint = |asset: &str, to: &str, amount: &str| {
        let mint = serde_json::json!({"asset": asset, "to": to, "amount": amount});
        serde_json::json!({"mint": mint})
    };
    let steps = [
        domain("nbc"),
        register("governor@nbc"),
        domain("aclb"),
        domain("wing"),
        register("sok@aclb"),
        register("dara@wing"),
        register("bopha@wing"),
        asset("khr#nbc", 0),
        asset("usd#nbc", 2),
        mint("khr#nbc", "sok@aclb", "1000000"),
        mint("usd#nbc", "sok@aclb", "12.50"),
    ];
    let step =
        |instruction| serde_json::json!({"authority": "governor@nbc", "instruction": instruction});
    let validator = KeyPair::demo(VALIDATOR).public_key();
    let json = serde_json::json!({
        "name": "test", "demo": true, "created_ms": GENESIS_MS,
        "parameters": {"delta_ms": 100, "max_ttl_ms": 600_000, "public_reads": public_reads,
            "operator": "governor@nbc"},
        "validators": [{"name": VALIDATOR, "public_key": validator}],
        "steps": steps.map(step),
    });
    Genesis::from_json(&json.to_string()).unwrap()
}

impl TestNode {
    /// A node at its genesis.
    pub fn new(public_reads: &str) -> Self {
        let genesis = genesis(public_reads);
        Self::on(genesis, Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()))
    }

    /// A node on these databases, the state and the chain.
    pub fn on(genesis: Genesis, state: Arc<MemoryStore>, store: Arc<MemoryStore>) -> Self {
        let world = World::open(state.clone(), &genesis).unwrap();
        let mark = Box::new(MemoryMark::default());
        let chain = ChainLog::open(store, mark, &genesis.chain(), OnLoss::Refuse).unwrap();
        Self {
            state,
            statuses: Mutex::default(),
            changed: watch::channel(()).0,
            committed: watch::channel(Height(0)).0,
            world: world.reader(),
            chain: chain.reader(),
            ledger: Mutex::new((world, chain)),
            refusals: Mutex::default(),
            open: watch::channel(true).0,
            unready: Mutex::default(),
            ahead_ms: AtomicU64::new(0),
            is_damaged: AtomicBool::new(false),
            genesis,
        }
    }

    /// A snapshot of what there is now, from copies that stay as they are.
    pub fn source(&self) -> Result<Source, SnapshotError> {
        // What was not synced is part of it.
        self.state.write(&Changes::default(), Durability::Synced).unwrap();
        Source::new(Arc::new(self.state.backup()), self.chain.shared_store())
    }

    /// A node that joined from a snapshot of this one.
    pub fn joined(&self) -> Self {
        let mut file = Vec::new();
        write_file(&self.source().unwrap(), &mut file, &mut |_| {}).unwrap();
        let (state, chain) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
        let stores = (state.clone(), chain.clone());
        read_file(&mut &file[..], &self.genesis, stores.0, stores.1, &mut |_| {}).unwrap();
        Self::on(self.genesis.clone(), state, chain)
    }

    /// What the network began with.
    pub fn genesis(&self) -> &Genesis {
        &self.genesis
    }

    /// A signed payment in riel by `from`, valid in the blocks that this node makes.
    pub fn payment(&self, from: &str, to: &str, amount: &str, nonce: u64) -> Transaction {
        let transfer = Instruction::Transfer {
            asset: "khr#nbc".parse().unwrap(),
            from: None,
            to: to.parse().unwrap(),
            amount: amount.parse().unwrap(),
            memo: "for lunch".parse().unwrap(),
            invoice: None,
        };
        self.payload(from, vec![transfer], nonce).sign(&[&KeyPair::demo(from)])
    }

    /// Makes a block of one transaction in which an account does something, signed with the demo
    /// keys of some names, and that is applied.
    pub fn run(
        &self,
        authority: &str,
        keys: &[&str],
        instructions: &[serde_json::Value],
    ) -> TransactionHash {
        let steps = instructions.iter().map(|json| serde_json::from_value(json.clone()).unwrap());
        let keys: Vec<_> = keys.iter().map(|name| KeyPair::demo(name)).collect();
        let nonce = 1_000 + self.world.committed().height.0;
        let payload = self.payload(authority, steps.collect(), nonce);
        let transaction = payload.sign(&keys.iter().collect::<Vec<_>>());
        let height = self.commit(std::slice::from_ref(&transaction));
        let hash = transaction.payload.hash();
        let status = self.status_of(&hash).unwrap();
        assert_eq!(status, Some(TransactionStatus::Committed { height, index: 0 }));
        hash
    }

    /// A payload for this network.
    pub fn payload(&self, authority: &str, steps: Vec<Instruction>, nonce: u64) -> Payload {
        let authority = authority.parse().unwrap();
        let step = |instruction| Step { authority: Clone::clone(&authority), instruction };
        Payload {
            chain: self.genesis.chain(),
            created_ms: GENESIS_MS,
            expires_ms: GENESIS_MS + 300_000,
            nonce,
            reference: None,
            steps: Bounded::new(steps.into_iter().map(step).collect()).unwrap(),
        }
    }

    /// Those who wait for blocks have not heard of the last one yet.
    pub fn forget_last(&self) {
        self.committed.send_modify(|height| height.0 -= 1);
    }

    /// Makes a block of transactions, one second after the one before.
    pub fn commit(&self, transactions: &[Transaction]) -> Height {
        self.commit_after(1000, transactions)
    }

    /// Makes a block of transactions, so many milliseconds after the one before.
    pub fn commit_after(&self, pause_ms: u64, transactions: &[Transaction]) -> Height {
        let key = KeyPair::demo(VALIDATOR);
        let chain = self.genesis.chain();
        let mut ledger = self.ledger.lock().unwrap();
        let (world, log) = &mut *ledger;
        let before = world.committed();
        let height = before.height.next();
        let members: Vec<_> = transactions
            .iter()
            .map(|member| Verified::vouch(SignedTransaction::from_transaction(member).unwrap()))
            .collect();
        let batch = Arc::new(Batch::seal(&chain, &key, height.0, members));
        let header = Header {
            chain,
            height,
            parent: before.block,
            parent_result: before.result.hash(),
            timestamp_ms: before.timestamp_ms + pause_ms,
            proposer: ValidatorIndex(0),
            proposed_view: View(0),
            batches: Bounded::new(vec![batch.reference()]).unwrap(),
        };
        let executed = world.execute(&header, std::slice::from_ref(&batch)).unwrap();
        let kind = VoteKind::Finalize { block: header.hash(), result: executed.result.hash() };
        let ballot = Ballot { height, view: View(0), kind };
        let vote = Vote::sign(ballot, &chain, ValidatorIndex(0), &key);
        let finalization = Certificate::assemble(ballot, &[(vote.signer, vote.signature)], 1);
        let write = ChainWrite {
            batches: vec![batch],
            committed: vec![(header, finalization)],
            ..ChainWrite::default()
        };
        log.append(write).unwrap();
        let committed = world.commit(executed).unwrap();
        let mut statuses = self.statuses.lock().unwrap();
        for (index, receipt) in (0..).zip(&committed.receipts) {
            let status = match receipt.outcome {
                Outcome::Applied => TransactionStatus::Committed { height, index },
                Outcome::Rejected { code, step } => {
                    let detail = "see the block".to_owned();
                    TransactionStatus::Rejected { code, detail, height, index, step }
                }
            };
            statuses.insert(receipt.transaction, status);
        }
        drop(statuses);
        self.changed.send_replace(());
        self.committed.send_replace(height);
        height
    }

    /// Keeps evidence, as the driver does when it finds some.
    pub fn keep_evidence(&self, evidence: Vec<EvidenceRow>) {
        let write = ChainWrite { evidence, ..ChainWrite::default() };
        self.ledger.lock().unwrap().1.append(write).unwrap();
    }

    /// The network's name.
    pub fn chain_hash(&self) -> ChainHash {
        self.genesis.chain()
    }

    /// How many requests wait for a transaction.
    pub fn waiting(&self) -> usize {
        self.changed.receiver_count()
    }

    fn take(&self, transaction: &SignedTransaction) -> Result<Submitted, Refusal> {
        let refuse = |code, class| {
            let detail = format!("{code}: do something about it");
            Refusal { code, class, detail, retry_after: None }
        };
        let mut refusals = self.refusals.lock().unwrap();
        if !refusals.is_empty() {
            return Err(refusals.remove(0));
        }
        if transaction.payload().chain != self.genesis.chain() {
            return Err(refuse("wrong_chain", RefusalClass::Unprocessable));
        }
        if !transaction.verify(&Verifier::new()) {
            return Err(refuse("invalid_signature", RefusalClass::Signature));
        }
        let hash = transaction.hash();
        let known = self.statuses.lock().unwrap().insert(hash, TransactionStatus::Queued);
        Ok(Submitted { hash, known })
    }
}

impl Node for TestNode {
    fn submit(
        &self,
        transactions: Vec<SignedTransaction>,
    ) -> BoxFuture<'_, Vec<Result<Submitted, Refusal>>> {
        let mut open = self.open.subscribe();
        async move {
            open.wait_for(|open| *open).await.unwrap();
            transactions.iter().map(|transaction| self.take(transaction)).collect()
        }
        .boxed()
    }

    fn status_of(&self, hash: &TransactionHash) -> Known {
        match self.is_damaged.load(Ordering::Relaxed) {
            true => Err(StoreError::Io("a flipped bit".into()).into()),
            false => Ok(self.statuses.lock().unwrap().get(hash).cloned()),
        }
    }

    fn wait_for(&self, hash: TransactionHash, deadline: Instant) -> BoxFuture<'_, Known> {
        let mut changed = self.changed.subscribe();
        async move {
            let is_final = |known: Known| known.unwrap().is_some_and(|status| status.is_final());
            let decided = changed.wait_for(|()| is_final(self.status_of(&hash)));
            let _ = tokio::time::timeout_at(deadline, decided).await;
            self.status_of(&hash)
        }
        .boxed()
    }

    fn node_status(&self) -> NodeStatus {
        let committed = self.world.committed();
        NodeStatus {
            chain: self.genesis.chain(),
            name: VALIDATOR.to_owned(),
            role: NodeRole::Validator,
            not_voting: None,
            height: committed.height,
            hash: committed.block,
            state_root: committed.result.state_root,
            timestamp_ms: committed.timestamp_ms,
            view: View(0),
            peers: 0,
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
        self.unready.lock().unwrap().clone().map_or(Ok(()), Err)
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

    /// The time of the last block, so that tests do not depend on when they run.
    fn now_ms(&self) -> u64 {
        self.world.committed().timestamp_ms + self.ahead_ms.load(Ordering::Relaxed)
    }

    fn metrics(&self) -> String {
        "# TYPE tonle_height gauge\ntonle_height 0\n# EOF\n".to_owned()
    }
}

/// A served node.
pub(super) struct Net {
    /// What is behind.
    pub node: Arc<TestNode>,
    /// How to reach it.
    pub client: Client,
    /// `127.0.0.1:port`.
    pub address: String,
    /// Tells the server to stop.
    pub stop: watch::Sender<bool>,
    /// The server.
    pub server: JoinHandle<()>,
}

/// Serves a node that shows everything.
pub(super) async fn start() -> Net {
    start_with("all", Settings::default()).await
}

/// Serves a node.
pub(super) async fn start_with(public_reads: &str, settings: Settings) -> Net {
    serve_node(TestNode::new(public_reads), settings).await
}

/// Serves this node.
pub(super) async fn serve_node(node: TestNode, settings: Settings) -> Net {
    let node = Arc::new(node);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let client = Client::new(&format!("http://{address}")).unwrap();
    let (stop, stopping) = watch::channel(false);
    let genesis = Header::genesis(node.genesis.chain(), GENESIS_MS);
    let server = tokio::spawn(serve(listener, node.clone(), genesis, settings, stopping));
    Net { node, client, address, stop, server }
}

impl Net {
    /// Opens a connection of its own.
    pub async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.unwrap()
    }

    /// Writes bytes as they are and reads until the node closes the connection.
    pub async fn raw(&self, request: &[u8]) -> String {
        let mut stream = self.connect().await;
        // The node may answer and close before it has read all.
        let _ = stream.write_all(request).await;
        read_to_end(&mut stream).await
    }
}

/// What the node says until it closes the connection.
pub(super) async fn read_to_end(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut answer));
    let _ = read.await.expect("the node closes the connection");
    String::from_utf8(answer).unwrap()
}
