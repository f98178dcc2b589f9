//! Opening: everything on disk is read and checked, what the chain has ahead of the state is
//! redone, and the core is made from its log.

use std::path::Path;
use std::sync::Arc;

use parity_scale_codec::Decode;
use tonle_client::keyfile::KeyFile;
use tonle_consensus::{Core, Parent, PeerId, Record, Recovery};
use tonle_model::batch::Batch;
use tonle_model::block::Header;
use tonle_model::genesis::Genesis;
use tonle_model::hash::ChainHash;
use tonle_model::instruction::Instruction;
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::limits;
use tonle_model::number::Height;
use tonle_model::verified::Verified;
use tonle_model::vote::Vote;
use tonle_wsv::aside::{Moved, set_aside_state};
use tonle_wsv::chain::{BlockRecord, ChainLog, FileMark, Loss, OnLoss};
use tonle_wsv::state::{StateError, World, snapshot};
use tonle_wsv::store::{Database, OnFailure, RocksStore, Store, StoreError, WatchedStore};

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
        let world = open_world(state, &genesis, &chain)?;
        Ok(Self { chain_hash: genesis.chain(), genesis, key, chain, world })
    }
}

fn open_world(
    state: Arc<dyn Store>,
    genesis: &Genesis,
    chain: &ChainLog,
) -> Result<World, StateError> {
    let mut world = World::open(state, genesis)?;
    let before = world.committed().height;
    let after = world.catch_up(&chain.reader())?;
    if after > before {
        tracing::info!(%before, %after, "redone from the chain");
    }
    Ok(world)
}

/// The core at the height to decide, and what goes with it.
pub(crate) struct Ready {
    pub core: Core,
    pub peers: PeerBook,
    pub pool: Pool,
    /// Headers of the height to decide, from the log.
    pub headers: Vec<Header>,
    /// The latest votes of others that were seen before.
    pub seen: Vec<(PeerId, Vote)>,
}

/// Reads the genesis and this node's key.
pub(crate) fn read_files(config: &Config) -> Result<(Genesis, KeyPair), NodeError> {
    let path = &config.genesis;
    let text = std::fs::read_to_string(path)
        .map_err(|error| NodeError::Read { path: path.display().to_string(), error })?;
    let genesis = Genesis::from_json(&text)?;
    let passphrase = std::env::var("TONLED_PASSPHRASE").ok().map(zeroize::Zeroizing::new);
    let key =
        KeyFile::read(&config.key_file)?.open(passphrase.as_ref().map(|text| text.as_str()))?;
    if !genesis.demo && has_demo_keys(&genesis, &key) {
        return Err(NodeError::DemoKey);
    }
    Ok((genesis, key))
}

/// Reads and checks everything on disk, and redoes in the state what the chain has ahead of it.
pub(crate) fn open(
    config: &Config,
    genesis: Genesis,
    key: KeyPair,
    on_failure: &OnFailure,
) -> Result<Opened, NodeError> {
    let chain_hash = genesis.chain();
    let directory = &config.data_dir;
    if snapshot::is_unfinished(directory) {
        return Err(NodeError::Unfinished { directory: directory.clone() });
    }
    std::fs::create_dir_all(directory)
        .map_err(|error| NodeError::Read { path: directory.display().to_string(), error })?;
    let on_loss = if config.resume_voting { OnLoss::Forgive } else { OnLoss::Observe };
    let mark = Box::new(FileMark::open(directory)?);
    let store = open_store(directory, Database::Chain, on_failure)?;
    let mut chain = ChainLog::open(store, mark, &chain_hash, on_loss)?;
    let state = open_store(directory, Database::State, on_failure)?;
    // Without the blocks from the genesis on there is nothing to make a state anew from.
    let has_all_blocks = chain.reader().first_height()? == Height(1);
    let world = match open_world(state, &genesis, &chain) {
        Err(StateError::AheadOfChain { state, chain: at }) if has_all_blocks => {
            if on_loss == OnLoss::Observe {
                chain.lose(Loss::StateAhead { state, chain: at })?;
            }
            tracing::error!(%state, chain = %at, "the chain lost blocks that the state is of");
            for Moved { from, to } in set_aside_state(directory)? {
                let (from, to) = (from.display(), to.display());
                tracing::warn!(%from, %to, "set aside, and made anew from the chain");
            }
            open_world(open_store(directory, Database::State, on_failure)?, &genesis, &chain)?
        }
        world => world?,
    };
    Ok(Opened { chain_hash, genesis, key, chain, world })
}

/// Opens a database whose failures are heard of.
fn open_store(
    directory: &Path,
    database: Database,
    on_failure: &OnFailure,
) -> Result<Arc<dyn Store>, StoreError> {
    let store = RocksStore::open(&directory.join(database.name()), database)?;
    if let Some(cut) = store.cut() {
        let (file, kept, lost) = (&cut.file, cut.kept_bytes, cut.lost_bytes);
        tracing::warn!(%database, file, kept, lost, "the end of a log could not be read");
    }
    Ok(Arc::new(WatchedStore::new(store, on_failure.clone())))
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
    let seen = opened.chain.votes_seen().iter();
    let seen = seen.map(|(signer, vote)| (peers.number(signer), *vote)).collect();
    Ok(Ready { core, peers, pool, headers, seen })
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

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use tonle_model::vote::{Ballot, Certificate, VoteKind};
    use tonle_wsv::chain::ChainWrite;

    use super::*;
    use crate::config::{Join, LogFormat};

    fn start(directory: &Path) -> Result<Opened, NodeError> {
        let config = Config {
            genesis: PathBuf::new(),
            data_dir: directory.into(),
            key_file: PathBuf::new(),
            api: ([127, 0, 0, 1], 0).into(),
            p2p: ([127, 0, 0, 1], 0).into(),
            log: String::new(),
            log_format: LogFormat::default(),
            disk_reserve_bytes: 0,
            peers: Vec::new(),
            observers: Vec::new(),
            join: Join::default(),
            resume_voting: false,
            set_aside: None,
        };
        let genesis = Genesis::from_json(include_str!("../../genesis.json")).unwrap();
        let (on_failure, _failure) = crate::disk::failures();
        open(&config, genesis, KeyPair::demo("validator_0"), &on_failure)
    }

    /// Starts, decides blocks of no batches up to a height, and ends.
    fn decide(directory: &Path, until: Height) {
        let mut opened = start(directory).unwrap();
        while opened.world.committed().height < until {
            let before = opened.world.committed();
            let header = Header {
                height: before.height.next(),
                parent: before.block,
                parent_result: before.result.hash(),
                ..Header::genesis(opened.chain_hash, before.timestamp_ms + 1_000)
            };
            let executed = opened.world.execute(&header, &[]).unwrap();
            let kind = VoteKind::Finalize { block: header.hash(), result: executed.result.hash() };
            let ballot = Ballot { height: header.height, view: header.proposed_view, kind };
            // What is in the log was checked before: nobody looks at the signatures again.
            let finalization =
                Certificate { ballot, signers: Default::default(), signatures: Default::default() };
            let committed = vec![(header, finalization)];
            opened.chain.append(ChainWrite { committed, ..ChainWrite::default() }).unwrap();
            opened.world.commit(executed).unwrap();
        }
    }

    /// Copies the files of a database.
    fn copy(from: &Path, to: &Path) {
        std::fs::create_dir(to).unwrap();
        for entry in std::fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
        }
    }

    /// Whether this process holds a lock on a file that it has open.
    fn is_locked(path: &Path) -> bool {
        let path = path.canonicalize().unwrap();
        std::fs::read_dir("/proc/self/fd").unwrap().any(|entry| {
            let entry = entry.unwrap();
            let is_it = std::fs::read_link(entry.path()).is_ok_and(|opened| opened == path);
            let facts = Path::new("/proc/self/fdinfo").join(entry.file_name());
            is_it && std::fs::read_to_string(facts).is_ok_and(|facts| facts.contains("lock:"))
        })
    }

    /// A validator at height 5 whose chain is gone, or that of an older height, with its mark or
    /// without. Starts it.
    fn start_with_chain_of(height: Height, takes_mark: bool, directory: &Path) -> Opened {
        let path = |name: &str| directory.join(name);
        decide(directory, height);
        copy(&path("chain"), &path("older"));
        std::fs::copy(path("chain.mark"), path("older.mark")).unwrap();
        decide(directory, Height(5));
        std::fs::remove_dir_all(path("chain")).unwrap();
        if takes_mark {
            std::fs::remove_file(path("chain.mark")).unwrap();
        }
        if height > Height(0) {
            std::fs::rename(path("older"), path("chain")).unwrap();
            if takes_mark {
                std::fs::rename(path("older.mark"), path("chain.mark")).unwrap();
            }
        }
        start(directory).unwrap()
    }

    #[test]
    fn a_state_ahead_of_its_chain_is_redone_from_it_by_a_node_that_does_not_vote() {
        for (height, takes_mark) in [(0, false), (0, true), (3, false), (3, true)] {
            let case = format!("at {height}, mark gone too: {takes_mark}");
            let home = tempfile::tempdir().unwrap();
            let path = |name: &str| home.path().join(name);
            let opened = start_with_chain_of(Height(height), takes_mark, home.path());
            assert_eq!(opened.chain.reader().last_height(), Height(height), "{case}");
            assert_eq!(opened.world.committed().height, Height(height), "{case}");
            let ahead = Loss::StateAhead { state: Height(5), chain: Height(height) };
            match opened.chain.loss() {
                Some(Loss::Behind { .. }) => assert!(!takes_mark, "{case}"),
                loss => assert_eq!((loss, takes_mark), (Some(ahead), true), "{case}"),
            }
            assert!(path("state.aside-1").exists() && !path("chain.aside-1").exists(), "{case}");
            assert!(is_locked(&path("chain").join("LOCK")), "{case}: no other process may open it");
            drop(opened);
            // It goes on from there, and still does not vote.
            decide(home.path(), Height(height + 1));
            let opened = start(home.path()).unwrap();
            assert_eq!(opened.world.committed().height, Height(height + 1), "{case}");
            assert!(!opened.chain.is_whole() && !path("state.aside-2").exists(), "{case}");
        }
    }
}
