//! A small network for tests: a central bank, a bank, four people, two assets.

use std::sync::Arc;

use tonle_model::batch::Batch;
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::genesis::Genesis;
use tonle_model::hash::{ChainHash, ResultHash};
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::Instruction;
use tonle_model::key::KeyPair;
use tonle_model::number::{ValidatorIndex, View};
use tonle_model::receipt::{Outcome, Void};
use tonle_model::transaction::{Payload, SignedTransaction, Step};
use tonle_model::validators::ValidatorSet;
use tonle_model::verified::Verified;
use tonle_model::vote::{Ballot, Certificate, Vote, VoteKind};

use crate::memory::MemoryStore;
use crate::state::{CommittedBlock, World};
use crate::store::Store;

pub const START_MS: u64 = 1_700_000_000_000;
pub const MAX_TTL_MS: u64 = 60_000;

pub fn account(id: &str) -> AccountId {
    id.parse().unwrap()
}

pub fn asset(id: &str) -> AssetId {
    id.parse().unwrap()
}

pub fn genesis() -> Genesis {
    genesis_named("test")
}

pub fn genesis_named(name: &str) -> Genesis {
    let step = |authority: &str, instruction: String| {
        format!(r#"{{"authority":"{authority}","instruction":{instruction}}}"#)
    };
    let domain =
        |owner: &str, id: &str| step(owner, format!(r#"{{"register_domain":{{"id":"{id}"}}}}"#));
    let open = |id: &str, keys: &[(&str, u16)], quorum: u16| {
        let signatories: Vec<_> = keys
            .iter()
            .map(|(name, weight)| {
                let key = KeyPair::demo(name).public_key();
                format!(r#"{{"public_key":"{key}","weight":{weight}}}"#)
            })
            .collect();
        let signatories = signatories.join(",");
        step(
            "nbc@nbc",
            format!(
                r#"{{"register_account":
                    {{"id":"{id}","signatories":[{signatories}],"quorum":{quorum}}}}}"#
            ),
        )
    };
    let alone = |id: &str| open(id, &[(id, 1)], 1);
    let make = |id: &str, scale: u8, cap: &str| {
        step(
            "nbc@nbc",
            format!(r#"{{"register_asset":{{"id":"{id}","scale":{scale},"supply_cap":{cap}}}}}"#),
        )
    };
    let mint = |asset: &str, to: &str, amount: &str| {
        step(
            "nbc@nbc",
            format!(r#"{{"mint":{{"asset":"{asset}","to":"{to}","amount":"{amount}"}}}}"#),
        )
    };
    let steps = [
        domain("nbc@nbc", "nbc"),
        alone("nbc@nbc"),
        domain("bank@aclb", "aclb"),
        alone("bank@aclb"),
        alone("sok@aclb"),
        alone("dara@aclb"),
        open("joint@aclb", &[("a", 1), ("b", 1), ("c", 2)], 3),
        make("khr#nbc", 0, "null"),
        make("usd#nbc", 2, r#""1000.00""#),
        mint("khr#nbc", "sok@aclb", "1000"),
        mint("khr#nbc", "dara@aclb", "500"),
        mint("khr#nbc", "joint@aclb", "300"),
        mint("usd#nbc", "sok@aclb", "12.50"),
    ];
    let validators: Vec<_> = (1..=4)
        .map(|number| {
            let key = KeyPair::demo(&format!("v{number}")).public_key();
            format!(r#"{{"name":"v{number}","public_key":"{key}"}}"#)
        })
        .collect();
    Genesis::from_json(&format!(
        r#"{{"name":"{name}","demo":true,"created_ms":{START_MS},
            "parameters":{{"delta_ms":500,"max_ttl_ms":{MAX_TTL_MS},"public_reads":"all",
                "operator":"nbc@nbc"}},
            "validators":[{}],"steps":[{}]}}"#,
        validators.join(","),
        steps.join(",")
    ))
    .unwrap()
}

/// A transaction under construction: valid around the time of the next block.
#[derive(Clone)]
pub struct Draft {
    pub payload: Payload,
    pub keys: Vec<String>,
}

impl Draft {
    pub fn signed(&self) -> SignedTransaction {
        let keys: Vec<_> = self.keys.iter().map(|name| KeyPair::demo(name)).collect();
        let keys: Vec<_> = keys.iter().collect();
        SignedTransaction::from_transaction(&self.payload.clone().sign(&keys)).unwrap()
    }

    pub fn by(mut self, keys: &[&str]) -> Self {
        self.keys = keys.iter().map(|key| key.to_string()).collect();
        self
    }

    pub fn reference(mut self, reference: &str) -> Self {
        self.payload.reference = Some(reference.parse().unwrap());
        self
    }

    pub fn nonce(mut self, nonce: u64) -> Self {
        self.payload.nonce = nonce;
        self
    }

    pub fn window(mut self, created_ms: u64, expires_ms: u64) -> Self {
        self.payload.created_ms = created_ms;
        self.payload.expires_ms = expires_ms;
        self
    }
}

pub fn pay(from: &str, to: &str, asset_id: &str, amount: &str) -> (String, Instruction) {
    let instruction = Instruction::Transfer {
        asset: asset(asset_id),
        from: None,
        to: account(to),
        amount: amount.parse().unwrap(),
        memo: Default::default(),
        invoice: None,
    };
    (from.to_owned(), instruction)
}

pub fn batch(chain: &ChainHash, seq: u64, members: Vec<SignedTransaction>) -> Arc<Verified<Batch>> {
    let members = members.into_iter().map(Verified::vouch).collect();
    Arc::new(Batch::seal(chain, &KeyPair::demo("v1"), seq, members))
}

pub fn finalization(header: &Header, result: ResultHash) -> Certificate {
    Certificate {
        ballot: Ballot {
            height: header.height,
            view: header.proposed_view,
            kind: VoteKind::Finalize { block: header.hash(), result },
        },
        signers: Default::default(),
        signatures: Default::default(),
    }
}

/// The finalization of a block by some of the validators that decided it.
pub fn finalization_by(
    chain: &ChainHash,
    set: &ValidatorSet,
    block: &CommittedBlock,
    signers: &[&str],
) -> Certificate {
    let ballot = finalization(&block.header, block.result.hash()).ballot;
    let mut votes: Vec<_> = signers
        .iter()
        .map(|name| {
            let key = KeyPair::demo(name);
            let signer = set.index_of(&key.public_key()).unwrap();
            (signer, Vote::sign(ballot, chain, signer, &key).signature)
        })
        .collect();
    votes.sort_by_key(|(signer, _)| *signer);
    Certificate::assemble(ballot, &votes, set.count())
}

/// A header for the next block of a world.
pub fn next_header(world: &World, batches: &[Arc<Verified<Batch>>], timestamp_ms: u64) -> Header {
    let committed = world.committed();
    Header {
        chain: world.reader().chain(),
        height: committed.height.next(),
        parent: committed.block,
        parent_result: committed.result.hash(),
        timestamp_ms,
        proposer: ValidatorIndex(0),
        proposed_view: View(0),
        batches: Bounded::new(batches.iter().map(|batch| batch.reference()).collect()).unwrap(),
    }
}

/// One node's state, growing a block a second.
pub struct Net {
    pub genesis: Genesis,
    pub store: Arc<dyn Store>,
    pub world: World,
    next_seq: u64,
    next_nonce: std::cell::Cell<u64>,
}

impl Net {
    pub fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new()))
    }

    pub fn on(store: Arc<dyn Store>) -> Self {
        let genesis = genesis();
        let world = World::open(store.clone(), &genesis).unwrap();
        Self { genesis, store, world, next_seq: 0, next_nonce: Default::default() }
    }

    pub fn reopen(&mut self) {
        self.world = World::open(self.store.clone(), &self.genesis).unwrap();
    }

    /// Goes on with numbers that another one has not used.
    pub fn follow(&mut self, other: &Self) {
        self.next_seq = other.next_seq + 1_000;
        self.next_nonce.set(other.next_nonce.get() + 1_000);
    }

    pub fn next_ms(&self) -> u64 {
        self.world.committed().timestamp_ms + 1_000
    }

    /// A transaction of these steps, signed by the authorities' own keys.
    pub fn draft(&self, steps: Vec<(String, Instruction)>) -> Draft {
        let mut keys: Vec<_> = steps.iter().map(|(authority, _)| authority.clone()).collect();
        keys.sort();
        keys.dedup();
        let nonce = self.next_nonce.get();
        self.next_nonce.set(nonce + 1);
        let steps = steps
            .into_iter()
            .map(|(authority, instruction)| Step { authority: account(&authority), instruction })
            .collect();
        let now = self.next_ms();
        let payload = Payload {
            chain: self.genesis.chain(),
            created_ms: now,
            expires_ms: now + 30_000,
            nonce,
            reference: None,
            steps: Bounded::new(steps).unwrap(),
        };
        Draft { payload, keys }
    }

    pub fn pay(&self, from: &str, to: &str, asset: &str, amount: &str) -> Draft {
        self.draft(vec![pay(from, to, asset, amount)])
    }

    pub fn batch(&mut self, members: Vec<SignedTransaction>) -> Arc<Verified<Batch>> {
        self.next_seq += 1;
        batch(&self.genesis.chain(), self.next_seq, members)
    }

    /// Executes and commits a block of one batch at the next second.
    pub fn block(&mut self, members: Vec<SignedTransaction>) -> Arc<CommittedBlock> {
        let at = self.next_ms();
        self.block_at(members, at)
    }

    pub fn block_at(&mut self, members: Vec<SignedTransaction>, time: u64) -> Arc<CommittedBlock> {
        let batches = vec![self.batch(members)];
        let header = next_header(&self.world, &batches, time);
        let executed = self.world.execute(&header, &batches).unwrap();
        let committed = self.world.commit(executed).unwrap();
        self.world.reader().audit().unwrap();
        committed
    }

    /// The outcome of one transaction in a block of its own.
    pub fn outcome(&mut self, draft: Draft) -> Outcome {
        let block = self.block(vec![draft.signed()]);
        assert_eq!(block.voids, [], "not void");
        block.receipts[0].outcome
    }

    /// Why one transaction in a block of its own is void.
    pub fn void(&mut self, draft: &Draft) -> Void {
        let before = self.world.committed();
        let block = self.block(vec![draft.signed()]);
        assert_eq!(block.receipts, [], "void");
        assert_eq!(block.voids_per_batch, [1]);
        assert_eq!(block.result.state_root, before.result.state_root);
        let record = self.world.reader().transaction(&draft.signed().hash()).unwrap();
        assert_eq!(record, None, "no trace");
        block.voids[0].1.clone()
    }

    pub fn available(&self, who: &str, of: &str) -> u128 {
        let balance = self.world.reader().balance(&account(who), &asset(of)).unwrap();
        balance.map_or(0, |balance| balance.available.minor())
    }
}
