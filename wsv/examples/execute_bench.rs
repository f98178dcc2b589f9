//! What one transfer costs to execute and to commit: transfers among 10,000 accounts in blocks of
//! 2,000, on a real database; 50 blocks unless told.
//! `cargo run --release -p tonle-wsv --example execute_bench [BLOCKS]`

use std::sync::Arc;
use std::time::Duration;

use tonle_model::batch::Batch;
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::genesis::Genesis;
use tonle_model::instruction::Instruction;
use tonle_model::key::KeyPair;
use tonle_model::number::{ValidatorIndex, View};
use tonle_model::transaction::{Payload, SignedTransaction, Step};
use tonle_model::verified::Verified;
use tonle_wsv::state::World;
use tonle_wsv::store::{Database, RocksStore};

const ACCOUNTS: usize = 10_000;
const BLOCKS: usize = 50;
const BLOCK_TRANSACTIONS: usize = 2_000;
const BATCH_TRANSACTIONS: usize = 500;
const START_MS: u64 = 1_700_000_000_000;

type Failure = Box<dyn std::error::Error>;

fn main() -> Result<(), Failure> {
    let dir = tempfile::tempdir()?;
    let genesis = genesis()?;
    let store = Arc::new(RocksStore::open(dir.path(), Database::State)?);
    let started = thread_time()?;
    let mut world = World::open(store, &genesis)?;
    println!("genesis of {ACCOUNTS} accounts: {:?}", thread_time()? - started);
    let blocks = std::env::args().nth(1).map_or(Ok(BLOCKS), |blocks| blocks.parse())?;
    let keys: Vec<_> = (0..ACCOUNTS).map(|number| KeyPair::demo(&account(number))).collect();
    let (mut executing, mut committing) = (Duration::ZERO, Duration::ZERO);
    for block in 0..blocks {
        let batches = batches(&genesis, &keys, block)?;
        let header = header(&world, &batches)?;
        let started = thread_time()?;
        let executed = world.execute(&header, &batches)?;
        let executed_at = thread_time()?;
        executing += executed_at - started;
        let committed = world.commit(executed)?;
        committing += thread_time()? - executed_at;
        assert_eq!(committed.receipts.len(), BLOCK_TRANSACTIONS);
        assert!(committed.details.is_empty(), "all applied");
    }
    world.reader().audit()?;
    let each = |total: Duration| total.as_secs_f64() * 1e6 / (blocks * BLOCK_TRANSACTIONS) as f64;
    println!("execute: {:.1} us per transfer", each(executing));
    println!("commit:  {:.1} us per transfer", each(committing));
    println!("both:    {:.1} us per transfer", each(executing + committing));
    println!(
        "on disk: {} bytes per transfer",
        disk_bytes(dir.path())? / (blocks * BLOCK_TRANSACTIONS) as u64
    );
    let status = std::fs::read_to_string("/proc/self/status")?;
    let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("memory:  {peak}");
    Ok(())
}

/// Time that this thread had a processor, so that a busy machine does not count.
fn thread_time() -> Result<Duration, Failure> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")?;
    let nanoseconds = text.split_whitespace().next().ok_or("no schedstat")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}

fn account(number: usize) -> String {
    format!("user{number}@aclb")
}

fn genesis() -> Result<Genesis, Failure> {
    let step =
        |instruction: &str| format!(r#"{{"authority":"nbc@nbc","instruction":{instruction}}}"#);
    let registration = |id: &str| {
        let key = KeyPair::demo(id).public_key();
        step(&format!(
            r#"{{"register_account":
                {{"id":"{id}","signatories":[{{"public_key":"{key}","weight":1}}],"quorum":1}}}}"#
        ))
    };
    let mut steps = vec![
        step(r#"{"register_domain":{"id":"nbc"}}"#),
        registration("nbc@nbc"),
        step(r#"{"register_asset":{"id":"khr#nbc","scale":0,"supply_cap":null}}"#),
        step(r#"{"register_domain":{"id":"aclb"}}"#),
    ];
    for number in 0..ACCOUNTS {
        let id = account(number);
        steps.push(registration(&id));
        steps.push(step(&format!(
            r#"{{"mint":{{"asset":"khr#nbc","to":"{id}","amount":"1000000"}}}}"#
        )));
    }
    let validator = KeyPair::demo("v1").public_key();
    Ok(Genesis::from_json(&format!(
        r#"{{"name":"bench","demo":true,"created_ms":{START_MS},
            "parameters":{{"delta_ms":500,"max_ttl_ms":600000,"public_reads":"all",
                "operator":"nbc@nbc"}},
            "validators":[{{"name":"v1","public_key":"{validator}"}}],
            "steps":[{}]}}"#,
        steps.join(",")
    ))?)
}

fn batches(
    genesis: &Genesis,
    keys: &[KeyPair],
    block: usize,
) -> Result<Vec<Arc<Verified<Batch>>>, Failure> {
    let chain = genesis.chain();
    let author = KeyPair::demo("v1");
    let mut batches = Vec::new();
    for batch in 0..BLOCK_TRANSACTIONS / BATCH_TRANSACTIONS {
        let first = block * BLOCK_TRANSACTIONS + batch * BATCH_TRANSACTIONS;
        let mut transactions = Vec::new();
        for number in first..first + BATCH_TRANSACTIONS {
            // Multiplying by primes scatters payers and payees.
            let from = number * 7919 % ACCOUNTS;
            let to = (number * 104_729 + 1) % ACCOUNTS;
            let to = if to == from { (to + 1) % ACCOUNTS } else { to };
            let step = Step {
                authority: account(from).parse()?,
                instruction: Instruction::Transfer {
                    asset: "khr#nbc".parse()?,
                    from: None,
                    to: account(to).parse()?,
                    amount: "7".parse()?,
                    memo: Default::default(),
                    invoice: None,
                },
            };
            let payload = Payload {
                chain,
                created_ms: START_MS + block as u64 * 200,
                expires_ms: START_MS + block as u64 * 200 + 60_000,
                nonce: number as u64,
                reference: None,
                steps: Bounded::new(vec![step])?,
            };
            let key = keys.get(from).ok_or("no such account")?;
            let transaction = SignedTransaction::from_transaction(&payload.sign(&[key]))?;
            transactions.push(Verified::vouch(transaction));
        }
        batches.push(Arc::new(Batch::seal(&chain, &author, first as u64, transactions)));
    }
    Ok(batches)
}

fn header(world: &World, batches: &[Arc<Verified<Batch>>]) -> Result<Header, Failure> {
    let committed = world.committed();
    Ok(Header {
        chain: world.reader().chain(),
        height: committed.height.next(),
        parent: committed.block,
        parent_result: committed.result.hash(),
        timestamp_ms: committed.timestamp_ms + 200,
        proposer: ValidatorIndex(0),
        proposed_view: View(0),
        batches: Bounded::new(batches.iter().map(|batch| batch.reference()).collect())?,
    })
}

fn disk_bytes(dir: &std::path::Path) -> Result<u64, Failure> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        bytes += entry?.metadata()?.len();
    }
    Ok(bytes)
}
