//! A node in memory whose blocks a quorum of four validators decides. The fuzzer spoils its
//! snapshots and asks one for what it has; the conformance vectors have one of the snapshots.

use std::sync::Arc;

use serde_json::{Value, json};
use tonle_model::batch::Batch;
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::genesis::Genesis;
use tonle_model::hash::ChainHash;
use tonle_model::key::KeyPair;
use tonle_model::number::{ValidatorIndex, View};
use tonle_model::transaction::{Payload, SignedTransaction};
use tonle_model::validators::ValidatorSet;
use tonle_model::verified::Verified;
use tonle_model::vote::{Ballot, Certificate, Vote, VoteKind};
use tonle_wsv::chain::{ChainLog, ChainWrite, MemoryMark, OnLoss};
use tonle_wsv::memory::MemoryStore;
use tonle_wsv::state::snapshot::{Source, write_file};
use tonle_wsv::state::{CommittedBlock, World};

/// The time of the genesis.
pub const START_MS: u64 = 1_700_000_000_000;
/// Who holds every right.
const OPERATOR: &str = "nbc@nbc";

/// A transaction of one step.
pub struct Act {
    authority: &'static str,
    signer: &'static str,
    reference: Option<&'static str>,
    instruction: Value,
}

impl Act {
    /// What an account does, signed with its key.
    pub fn new(authority: &'static str, instruction: Value) -> Self {
        Self { authority, signer: authority, reference: None, instruction }
    }

    /// A payment of riel.
    pub fn pay(from: &'static str, to: &str, amount: &str) -> Self {
        let transfer = json!({ "asset": "khr#nbc", "to": to, "amount": amount });
        Self::new(from, json!({ "transfer": transfer }))
    }

    /// With a reference.
    pub fn named(self, reference: &'static str) -> Self {
        Self { reference: Some(reference), ..self }
    }

    /// With somebody else's signature, which makes it void.
    pub fn signed_by(self, signer: &'static str) -> Self {
        Self { signer, ..self }
    }

    fn signed(&self, chain: ChainHash, nonce: u64, now_ms: u64) -> SignedTransaction {
        let payload = json!({
            "chain": chain,
            "created_ms": now_ms,
            "expires_ms": now_ms + 30_000,
            "nonce": nonce,
            "reference": self.reference,
            "steps": [{ "authority": self.authority, "instruction": self.instruction }],
        });
        let payload: Payload = serde_json::from_value(payload).expect("a payload");
        let transaction = payload.sign(&[&KeyPair::demo(self.signer)]);
        SignedTransaction::from_transaction(&transaction).expect("a well-formed transaction")
    }
}

/// A chain, and the state that it comes to.
pub struct Node {
    /// Where it began.
    pub genesis: Genesis,
    /// The state.
    pub world: World,
    /// The blocks.
    pub log: ChainLog,
    state: Arc<MemoryStore>,
    chain: Arc<MemoryStore>,
    /// The last number that was given to a transaction or a batch.
    last: u64,
}

impl Default for Node {
    /// A node at its genesis.
    fn default() -> Self {
        let genesis = genesis();
        let (state, chain) = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
        let world = World::open(state.clone(), &genesis).expect("a state");
        let mark = Box::new(MemoryMark::default());
        let log = ChainLog::open(chain.clone(), mark, &genesis.chain(), OnLoss::Refuse);
        let log = log.expect("a chain");
        Self { genesis, world, log, state, chain, last: 0 }
    }
}

impl Node {
    /// One of the four validators leaves. After the first the others have other numbers; after the
    /// last they do not, and what these three sign looks like a certificate of all four.
    pub fn validator_leaves(&self, number: usize) -> Act {
        let validator = self.genesis.validators.iter().nth(number).expect("there are four");
        let leaves = json!({ "public_key": validator.public_key });
        Act::new(OPERATOR, json!({ "unregister_validator": leaves }))
    }

    /// Decides and commits a block of these batches.
    pub fn block(&mut self, pause_ms: u64, batches: &[&[Act]]) -> Arc<CommittedBlock> {
        let chain = self.genesis.chain();
        let before = self.world.committed();
        let timestamp_ms = before.timestamp_ms + pause_ms;
        let batches: Vec<_> = batches.iter().map(|acts| self.batch(acts, timestamp_ms)).collect();
        let references = batches.iter().map(|batch| batch.reference()).collect();
        let header = Header {
            chain,
            height: before.height.next(),
            parent: before.block,
            parent_result: before.result.hash(),
            timestamp_ms,
            proposer: ValidatorIndex(0),
            proposed_view: View(0),
            batches: Bounded::new(references).expect("few batches"),
        };
        let validators = self.world.reader().validators();
        let executed = self.world.execute(&header, &batches).expect("it follows");
        let kind = VoteKind::Finalize { block: header.hash(), result: executed.result.hash() };
        let ballot = Ballot { height: header.height, view: View(0), kind };
        let committed = vec![(header, certificate(&chain, ballot, &validators))];
        let write = ChainWrite { batches, committed, ..ChainWrite::default() };
        self.log.append(write).expect("memory does not fail");
        self.world.commit(executed).expect("memory does not fail")
    }

    fn batch(&mut self, acts: &[Act], now_ms: u64) -> Arc<Verified<Batch>> {
        let chain = self.genesis.chain();
        let mut members = Vec::new();
        for act in acts {
            self.last += 1;
            members.push(Verified::vouch(act.signed(chain, self.last, now_ms)));
        }
        self.last += 1;
        Arc::new(Batch::seal(&chain, &KeyPair::demo("v1"), self.last, members))
    }

    /// A snapshot of the state as it is.
    pub fn source(&self) -> Source {
        Source::new(self.state.clone(), self.chain.clone()).expect("there is a block")
    }

    /// The file of that snapshot.
    pub fn file(&self) -> Vec<u8> {
        let mut file = Vec::new();
        write_file(&self.source(), &mut file, &mut |_| {}).expect("memory does not fail");
        file
    }
}

/// The first validators that are a quorum say it.
fn certificate(chain: &ChainHash, ballot: Ballot, validators: &ValidatorSet) -> Certificate {
    let members = (0..).map(ValidatorIndex).zip(validators.iter()).take(validators.quorum());
    let votes: Vec<_> = members
        .map(|(signer, member)| {
            let key = KeyPair::demo(member.name.as_str());
            (signer, Vote::sign(ballot, chain, signer, &key).signature)
        })
        .collect();
    Certificate::assemble(ballot, &votes, validators.count())
}

fn genesis() -> Genesis {
    let key = |name: &str| KeyPair::demo(name).public_key();
    let step = |instruction: Value| json!({ "authority": OPERATOR, "instruction": instruction });
    let open = |id: &str| {
        let signatories = json!([{ "public_key": key(id), "weight": 1 }]);
        let account = json!({ "id": id, "signatories": signatories, "quorum": 1 });
        step(json!({ "register_account": account }))
    };
    let mint = |to: &str, amount: &str| {
        step(json!({ "mint": { "asset": "khr#nbc", "to": to, "amount": amount } }))
    };
    let asset = json!({ "id": "khr#nbc", "scale": 0, "supply_cap": null });
    let steps = vec![
        step(json!({ "register_domain": { "id": "nbc" } })),
        open(OPERATOR),
        open("sok@nbc"),
        open("dara@nbc"),
        step(json!({ "register_asset": asset })),
        mint("sok@nbc", "1000"),
        mint("dara@nbc", "500"),
    ];
    let validators = ["v1", "v2", "v3", "v4"];
    let json = json!({
        "name": "snapshots",
        "demo": true,
        "created_ms": START_MS,
        "parameters": {
            "delta_ms": 500,
            "max_ttl_ms": 60_000,
            "public_reads": "all",
            "operator": OPERATOR,
        },
        "validators": validators.map(|name| json!({ "name": name, "public_key": key(name) })),
        "steps": steps,
    });
    Genesis::from_json(&json.to_string()).expect("a genesis")
}
