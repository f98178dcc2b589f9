//! Snapshots of a small network, taken, spoiled and restored.

#[cfg(feature = "disk")]
mod directory;
mod round_trip;
mod spoiled;
mod window;

use std::sync::Arc;

use tonle_model::batch::Batch;
use tonle_model::bounded::Bounded;
use tonle_model::genesis::Genesis;
use tonle_model::instruction::{Instruction, Signatory};
use tonle_model::key::KeyPair;
use tonle_model::transaction::SignedTransaction;
use tonle_model::verified::Verified;

use super::{FileError, Source, read_file, write_file};
use crate::chain::{ChainLog, ChainWrite, MemoryMark, OnLoss};
use crate::memory::MemoryStore;
use crate::state::{Committed, CommittedBlock, World};
use crate::store::Store;
use crate::testing::{Draft, Net, account, finalization_by, next_header};

/// A node with a chain and a state, whose blocks three validators decide.
struct Node {
    net: Net,
    chain: ChainLog,
    chain_store: Arc<dyn Store>,
}

impl Node {
    fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()))
    }

    fn on(state: Arc<dyn Store>, chain_store: Arc<dyn Store>) -> Self {
        let net = Net::on(state);
        let chain = open_chain(&net.genesis, chain_store.clone());
        Self { net, chain, chain_store }
    }

    /// Decides and commits a block of these batches at a time.
    fn decide(&mut self, batches: Vec<Arc<Verified<Batch>>>, at_ms: u64) -> Arc<CommittedBlock> {
        let validators = self.net.world.reader().validators();
        let header = next_header(&self.net.world, &batches, at_ms);
        let executed = self.net.world.execute(&header, &batches).unwrap();
        let signers = ["v1", "v2", "v3", "v4"]
            .into_iter()
            .filter(|name| validators.index_of(&KeyPair::demo(name).public_key()).is_some());
        let signers: Vec<_> = signers.take(validators.quorum()).collect();
        let network = self.net.genesis.chain();
        let finalization = finalization_by(&network, &validators, &executed, &signers);
        let committed = vec![(header, finalization)];
        self.chain.append(ChainWrite { batches, committed, ..Default::default() }).unwrap();
        self.net.world.commit(executed).unwrap()
    }

    fn block(&mut self, members: Vec<SignedTransaction>) -> Arc<CommittedBlock> {
        let at_ms = self.net.next_ms();
        let batches = vec![self.net.batch(members)];
        self.decide(batches, at_ms)
    }

    fn pay(&mut self, amount: &str) -> Draft {
        let draft = self.net.pay("sok@aclb", "dara@aclb", "khr#nbc", amount);
        self.block(vec![draft.signed()]);
        draft
    }

    fn unregister(&mut self, name: &str) {
        let public_key = KeyPair::demo(name).public_key();
        let step = ("nbc@nbc".to_owned(), Instruction::UnregisterValidator { public_key });
        let draft = self.net.draft(vec![step]);
        assert_eq!(self.block(vec![draft.signed()]).details, []);
    }

    /// Opens so many accounts, a hundred a block.
    fn open_accounts(&mut self, count: usize) {
        let numbers: Vec<usize> = (0..count).collect();
        for numbers in numbers.chunks(100) {
            let steps = numbers.iter().map(|number| {
                let public_key = KeyPair::demo("x").public_key();
                let signatories = Bounded::new(vec![Signatory { public_key, weight: 1 }]).unwrap();
                let id = account(&format!("user{number}@aclb"));
                let (quorum, tier) = (1, None);
                let open = Instruction::RegisterAccount { id, signatories, quorum, tier };
                ("bank@aclb".to_owned(), open)
            });
            let draft = self.net.draft(steps.collect());
            let block = self.block(vec![draft.signed()]);
            assert_eq!(block.details, [], "opened");
        }
    }

    fn source(&self) -> Source {
        Source::new(self.net.store.clone(), self.chain_store.clone()).unwrap()
    }

    fn file(&self) -> Vec<u8> {
        let mut file = Vec::new();
        write_file(&self.source(), &mut file, &mut |_| {}).unwrap();
        file
    }

    /// This node's successor on other databases, which go on where it is.
    fn joined(&self, taken: &Taken) -> Self {
        let mut net = Net::on(taken.state.clone());
        assert_eq!(net.world.committed(), self.net.world.committed());
        net.follow(&self.net);
        let chain = open_chain(&net.genesis, taken.chain.clone());
        Self { net, chain, chain_store: taken.chain.clone() }
    }
}

fn open_chain(genesis: &Genesis, store: Arc<dyn Store>) -> ChainLog {
    let mark = Box::new(MemoryMark::default());
    ChainLog::open(store, mark, &genesis.chain(), OnLoss::Refuse).unwrap()
}

/// What a file was restored into.
struct Taken {
    state: Arc<MemoryStore>,
    chain: Arc<MemoryStore>,
    committed: Committed,
}

fn restore(file: &[u8], genesis: &Genesis) -> Result<Taken, FileError> {
    let (state, chain) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
    let mut input = file;
    let committed = read_file(&mut input, genesis, state.clone(), chain.clone(), &mut |_| {})?;
    // It must last without anything else being written.
    let taken =
        Taken { state: Arc::new(state.backup()), chain: Arc::new(chain.backup()), committed };
    assert_eq!(World::open(taken.state.clone(), genesis).unwrap().committed(), committed);
    Ok(taken)
}
