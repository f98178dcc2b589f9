//! Opening: everything on disk is read and checked, what the chain has ahead of the state is
//! redone, and the core is made from its log.

use std::sync::Arc;

use parity_scale_codec::Decode;
use tonle_client::keyfile::KeyFile;
use tonle_consensus::{Core, Parent, Record, Recovery};
use tonle_model::batch::Batch;
use tonle_model::block::Header;
use tonle_model::genesis::Genesis;
use tonle_model::hash::ChainHash;
use tonle_model::instruction::Instruction;
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::limits;
use tonle_model::number::Height;
use tonle_model::verified::Verified;
use tonle_wsv::chain::{BlockRecord, ChainLog, OnLoss};
use tonle_wsv::state::World;
use tonle_wsv::store::{Database, RocksStore, Store};

use crate::config::Config;
use crate::driver::{PeerBook, config_of};
use crate::node::NodeError;
use crate::pool::Pool;

/// What a node stands on once its disk is read.
pub struct Opened {
    /// The network's name.
    pub chain_hash: ChainHash,
    /// What the network began with.
    pub genesis: Genesis,
    /// This node's key.
    pub key: KeyPair,
    /// The log.
    pub chain: ChainLog,
    /// The state, as far as the chain.
    pub world: World,
}

impl Opened {
    /// Opens the state, and redoes in it what the chain has ahead of it.
    pub fn new(
        genesis: Genesis,
        key: KeyPair,
        chain: ChainLog,
        state: Arc<dyn Store>,
    ) -> Result<Self, NodeError> {
        let mut world = World::open(state, &genesis)?;
        let before = world.committed().height;
        let after = world.catch_up(&chain.reader())?;
        if after > before {
            tracing::info!(%before, %after, "redone from the chain");
        }
        Ok(Self { chain_hash: genesis.chain(), genesis, key, chain, world })
    }
}

/// The core at the height to decide, and what goes with it.
pub(crate) struct Ready {
    pub core: Core,
    pub peers: PeerBook,
    pub pool: Pool,
    /// Headers of the height to decide, from the log.
    pub headers: Vec<Header>,
}

/// Reads and checks everything on disk, and redoes in the state what the chain has ahead of it.
pub(crate) fn open(config: &Config) -> Result<Opened, NodeError> {
    let path = &config.genesis;
    let text = std::fs::read_to_string(path)
        .map_err(|error| NodeError::Read { path: path.display().to_string(), error })?;
    let genesis = Genesis::from_json(&text)?;
    let chain_hash = genesis.chain();
    let passphrase = std::env::var("TONLED_PASSPHRASE").ok().map(zeroize::Zeroizing::new);
    let key =
        KeyFile::read(&config.key_file)?.open(passphrase.as_ref().map(|text| text.as_str()))?;
    if !genesis.demo && has_demo_keys(&genesis, &key) {
        return Err(NodeError::DemoKey);
    }
    let directory = &config.data_dir;
    std::fs::create_dir_all(directory)
        .map_err(|error| NodeError::Read { path: directory.display().to_string(), error })?;
    let on_loss = if config.resume_voting { OnLoss::Forgive } else { OnLoss::Observe };
    let chain = ChainLog::open_dir(directory, &chain_hash, on_loss)?;
    let state_store = RocksStore::open(&directory.join("state"), Database::State)?;
    Opened::new(genesis, key, chain, Arc::new(state_store))
}

/// Whether this node, a validator or an account of the genesis has a key that everyone can
/// compute.
fn has_demo_keys(genesis: &Genesis, key: &KeyPair) -> bool {
    let is_demo = |name: &str, key: &PublicKey| KeyPair::demo(name).public_key() == *key;
    let own = key.public_key();
    let of_validators = genesis.validators.iter().any(|validator| {
        let name = validator.name.as_str();
        is_demo(name, &own) || is_demo(name, &validator.public_key)
    });
    let of_accounts = genesis.steps.iter().any(|step| match &step.instruction {
        Instruction::RegisterAccount { id, signatories, .. } => {
            signatories.iter().any(|signatory| is_demo(id.as_str(), &signatory.public_key))
        }
        _ => false,
    });
    of_validators || of_accounts
}

/// The core at the height to decide, with its log replayed and the pool filled.
pub(crate) fn make_ready(opened: &Opened) -> Result<Ready, NodeError> {
    let world = opened.world.reader();
    let committed = world.committed();
    let parameters = world.parameters();
    let mut peers = PeerBook::default();
    let own = opened.key.public_key();
    let marks = (*world.marks()).clone();
    let config = config_of(&mut peers, &own, &world.validators(), &parameters, marks);
    let parent = Parent {
        height: committed.height,
        hash: committed.block,
        result: committed.result.hash(),
        timestamp_ms: committed.timestamp_ms,
    };
    let window_ms = u64::from(parameters.max_ttl_ms) + 2 * limits::DRIFT_MS;
    let window_start_ms = committed.timestamp_ms.saturating_sub(window_ms);
    let pool = fill_pool(opened, window_start_ms, parameters.max_ttl_ms.into())?;
    let records = opened.chain.records(committed.height.next())?;
    let log: Option<Vec<Record>> =
        records.iter().map(|bytes| Record::decode(&mut &bytes[..]).ok()).collect();
    let damaged = !opened.chain.is_whole() || log.is_none();
    let recovery = if damaged { Recovery::LogLost } else { Recovery::AskPeers };
    let log = log.unwrap_or_default();
    let headers = log.iter().filter_map(|record| match record {
        Record::Header(header) => Some(header.clone()),
        Record::Certificate(_) | Record::Proposal(_) | Record::Vote(_) => None,
    });
    let headers = headers.collect();
    let core = Core::new(opened.chain_hash, parent, config, log, recovery);
    Ok(Ready { core, peers, pool, headers })
}

/// Undecided batches of before, and the names of those decided within the window.
fn fill_pool(opened: &Opened, window_start_ms: u64, max_ttl_ms: u64) -> Result<Pool, NodeError> {
    let mut pool = Pool::default();
    let reader = opened.chain.reader();
    let mut height = Some(reader.last_height());
    while let Some(current) = height.filter(|height| *height > Height(0)) {
        let Some(BlockRecord { header, .. }) = reader.block(current)? else { break };
        if header.timestamp_ms < window_start_ms {
            break;
        }
        pool.decide(&header, max_ttl_ms);
        height = current.previous();
    }
    for digest in reader.undecided() {
        // Its signatures were checked before it was written.
        let bytes = reader.batch(&digest)?.unwrap_or_default();
        if let Ok(batch) = Batch::decode(&opened.chain_hash, bytes) {
            let _known_or_full = pool.insert(Arc::new(Verified::vouch(batch)));
        }
    }
    Ok(pool)
}
