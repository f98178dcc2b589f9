//! One honest node: a core and a small model of the driver around it.

use std::collections::{BTreeMap, BTreeSet};

use tonle_consensus::{Config, Core, Parent, PeerId, Record, Recovery};
use tonle_model::block::Header;
use tonle_model::hash::{BlockHash, ChainHash, ResultHash};
use tonle_model::leader::LeaderMarks;
use tonle_model::number::{Height, ValidatorIndex};
use tonle_model::vote::{Certificate, Proposal};

/// What survives a crash, and a core while the node is up.
pub struct Node {
    pub index: ValidatorIndex,
    pub skew_ms: u64,
    // Durable.
    pub log: Vec<Record>,
    pub chain: Vec<(Header, Certificate)>,
    pub batches: BTreeSet<u64>,
    // Volatile.
    pub core: Option<Core>,
    pub incarnation: u64,
    pub early: BTreeMap<(Height, usize), Proposal>,
    pub checks: BTreeMap<BlockHash, Header>,
    pub synced: BTreeMap<Height, (Header, Certificate)>,
    pub wake_ms: u64,
    pub work: bool,
}

pub const DELTA_MS: u64 = 100;

impl Node {
    pub fn new(index: ValidatorIndex, skew_ms: u64) -> Self {
        Self {
            index,
            skew_ms,
            log: Vec::new(),
            chain: Vec::new(),
            batches: BTreeSet::new(),
            core: None,
            incarnation: 0,
            early: BTreeMap::new(),
            checks: BTreeMap::new(),
            synced: BTreeMap::new(),
            wake_ms: 0,
            work: false,
        }
    }

    /// Starts from what is durable.
    pub fn start(&mut self, validators: usize) {
        let config = self.config(validators);
        let log = self.log.clone();
        let chain = ChainHash::default();
        self.core = Some(Core::new(chain, self.parent(), config, log, Recovery::AskPeers));
        self.wake_ms = 0;
        self.work = false;
    }

    /// Loses everything volatile.
    pub fn crash(&mut self) {
        self.core = None;
        self.incarnation += 1;
        self.early.clear();
        self.checks.clear();
        self.synced.clear();
    }

    pub fn config(&self, validators: usize) -> Config {
        let marks = self.chain.iter().fold(LeaderMarks::default(), |marks, (header, _)| {
            marks.after_commit(header, validators)
        });
        Config {
            validators: (0..validators as u64).map(PeerId).collect(),
            me: Some(self.index),
            delta_ms: DELTA_MS,
            drift_ms: 5_000,
            marks,
        }
    }

    pub fn parent(&self) -> Parent {
        match self.chain.last() {
            None => {
                let hash = BlockHash::default();
                Parent { height: Height(0), hash, result: ResultHash::default(), timestamp_ms: 1 }
            }
            Some((header, _)) => Parent {
                height: header.height,
                hash: header.hash(),
                result: crate::common::result_of(header.hash()),
                timestamp_ms: header.timestamp_ms,
            },
        }
    }

    pub fn committed(&self) -> BTreeSet<u64> {
        self.chain.iter().flat_map(|(h, _)| h.batches.iter().map(|b| b.seq)).collect()
    }

    pub fn open_batches(&self) -> Vec<u64> {
        self.batches.difference(&self.committed()).copied().collect()
    }

    /// A header that the log or the chain holds.
    pub fn find_header(&self, block: BlockHash) -> Option<Header> {
        let logged = self.log.iter().filter_map(|record| match record {
            Record::Header(header) => Some(header),
            _ => None,
        });
        let chain = self.chain.iter().map(|(header, _)| header);
        logged.chain(chain).find(|header| header.hash() == block).cloned()
    }
}
