//! The real ledger on a database in memory, without the network around it.

use std::ops::ControlFlow;
use std::sync::{Arc, LazyLock};

use tonle_model::batch::Batch;
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::genesis::Genesis;
use tonle_model::key::{KeyPair, PublicKey, Signature};
use tonle_model::number::{ValidatorIndex, View};
use tonle_model::transaction::{Payload, SignedTransaction, Transaction, TransactionSignature};
use tonle_model::verified::Verified;
use tonle_wsv::memory::MemoryStore;
use tonle_wsv::state::{CommittedBlock, StateError, World, WorldReader};
use tonle_wsv::store::{ScanOrder, Store, Table};

static AUTHOR: LazyLock<KeyPair> = LazyLock::new(|| KeyPair::demo("v1"));

/// The row of a slot whose entry is gone.
const EMPTY_ROW: &[u8] = &[0, 0, 0];
/// Transactions of one batch: few, so that most blocks have several.
const BATCH_LENGTH: usize = 2;

/// One node's state.
pub struct Network {
    genesis: Genesis,
    store: Arc<MemoryStore>,
    world: World,
    next_seq: u64,
}

impl Network {
    /// A state at its genesis.
    pub fn new(genesis: &Genesis) -> Result<Self, StateError> {
        let store = Arc::new(MemoryStore::new());
        let world = World::open(store.clone(), genesis)?;
        Ok(Self { genesis: genesis.clone(), store, world, next_seq: 1 })
    }

    /// Stops and starts: what is only in memory is gone.
    pub fn reopen(&mut self) -> Result<(), StateError> {
        self.world = World::open(self.store.clone(), &self.genesis)?;
        Ok(())
    }

    /// What readers see.
    pub fn reader(&self) -> WorldReader {
        self.world.reader()
    }

    /// Executes and commits a block.
    pub fn block(
        &mut self,
        time_ms: u64,
        transactions: &[SignedTransaction],
    ) -> Result<Arc<CommittedBlock>, StateError> {
        let batches: Vec<_> =
            transactions.chunks(BATCH_LENGTH).map(|members| self.batch(members)).collect();
        let committed = self.world.committed();
        let header = Header {
            chain: self.world.reader().chain(),
            height: committed.height.next(),
            parent: committed.block,
            parent_result: committed.result.hash(),
            timestamp_ms: time_ms,
            proposer: ValidatorIndex(0),
            proposed_view: View(0),
            batches: Bounded::new(batches.iter().map(|batch| batch.reference()).collect())
                .expect("a block of a test is small"),
        };
        let executed = self.world.execute(&header, &batches)?;
        self.world.commit(executed)
    }

    fn batch(&mut self, members: &[SignedTransaction]) -> Arc<Verified<Batch>> {
        let members = members.iter().cloned().map(Verified::vouch).collect();
        let chain = self.world.reader().chain();
        let batch = Batch::seal(&chain, &AUTHOR, self.next_seq, members);
        self.next_seq += 1;
        Arc::new(batch)
    }

    /// How many entries the state has.
    pub fn entry_count(&self) -> Result<usize, StateError> {
        let mut count = 0;
        self.store.scan(Table::Slots, &[], ScanOrder::Ascending, &mut |_, row| {
            count += usize::from(row != EMPTY_ROW);
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }
}

/// A transaction that says it was signed with some keys. Execution takes that on trust, so nobody
/// need sign: signatures are checked before (`model/tests/signatures.rs`).
pub fn signed(payload: Payload, signers: &[PublicKey]) -> SignedTransaction {
    let signature = Signature([0; 64]);
    let signatures = signers
        .iter()
        .map(|public_key| TransactionSignature { public_key: *public_key, signature })
        .collect();
    let signatures = Bounded::new(signatures).expect("few keys");
    SignedTransaction::from_transaction(&Transaction { payload, signatures })
        .expect("a transaction of a test is well-formed")
}
