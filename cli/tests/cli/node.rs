//! A node of one's own to test commands against: the HTTP API over a ledger in memory, one block
//! for each POST, and faults on demand. It speaks plain HTTP/1.1 on threads.

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::Duration;

use parity_scale_codec::{Decode, Encode};
use serde_json::{Value, json};
use tonle_client::api::{BlockReceipts, SubmitCode};
use tonle_model::amount::Amount;
use tonle_model::hash::{ChainHash, TransactionHash};
use tonle_model::instruction::Instruction;
use tonle_model::number::Height;
use tonle_model::receipt::{Outcome, Receipt, RejectionCode};
use tonle_model::transaction::SignedTransaction;
use tonle_model::verify::Verifier;

/// What the node does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    Nothing,
    /// Takes every hundredth transfer and forgets it.
    Forgets,
    /// Puts every hundredth transfer into two blocks.
    Repeats,
    /// Pays one riel more than asked to a payee of every hundredth transfer.
    Invents,
    /// Says that it is busy at first.
    Busy,
    /// Is not ready for the first few POSTs.
    NotReady,
    /// Puts transfers into blocks, where they fail.
    Rejects,
    /// Keeps transfers to itself.
    Sleeps,
}

#[derive(Default)]
struct Ledger {
    domains: BTreeMap<String, String>,
    assets: BTreeMap<String, (u8, u128, String)>,
    accounts: BTreeMap<String, Value>,
    balances: HashMap<(String, String), u128>,
    blocks: Vec<Vec<Receipt>>,
    known: HashMap<TransactionHash, (Outcome, usize)>,
    transfers: u64,
    posts: u64,
}

/// The node; it serves as long as the test runs.
pub struct Node {
    pub url: String,
    shared: Arc<Shared>,
}

struct Shared {
    ledger: Mutex<Ledger>,
    grown: Condvar,
    fault: Fault,
    verifier: Verifier,
}

impl Node {
    pub fn start(fault: Fault) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let mut ledger = Ledger::default();
        ledger.blocks.push(Vec::new());
        ledger.domains.insert("nbc".into(), "governor@nbc".into());
        ledger.assets.insert("khr#nbc".into(), (0, 500, "governor@nbc".into()));
        for name in ["sok@aclb", "dara@wing"] {
            ledger
                .accounts
                .insert(name.into(), json!({"id": name, "quorum": 1, "signatories": []}));
        }
        ledger.balances.insert(("sok@aclb".into(), "khr#nbc".into()), 500);
        let (grown, verifier) = (Condvar::new(), Verifier::new());
        let shared = Arc::new(Shared { ledger: Mutex::new(ledger), grown, fault, verifier });
        let for_connections = shared.clone();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = for_connections.clone();
                thread::spawn(move || serve(&stream, &shared));
            }
        });
        Self { url, shared }
    }

    pub fn balance(&self, account: &str, asset: &str) -> u128 {
        let ledger = self.shared.ledger.lock().unwrap();
        ledger.balances.get(&(account.into(), asset.into())).copied().unwrap_or(0)
    }
}

struct Answer {
    status: u16,
    body: Vec<u8>,
}

fn ok(value: Value) -> Answer {
    Answer { status: 200, body: value.to_string().into_bytes() }
}

fn problem(status: u16, code: &str, detail: &str) -> Answer {
    let (kind, title) = ("about:blank", "No");
    let mut value =
        json!({"type": kind, "title": title, "status": status, "detail": detail, "code": code});
    if status == 503 {
        value["retry_after_s"] = json!(0);
    }
    Answer { status, body: value.to_string().into_bytes() }
}

fn serve(stream: &TcpStream, shared: &Shared) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut first = String::new();
        reader.read_line(&mut first).ok().filter(|bytes| *bytes > 0)?;
        let (mut length, mut scale) = (0, false);
        loop {
            let mut line = String::new();
            reader.read_line(&mut line).ok().filter(|bytes| *bytes > 0)?;
            let line = line.trim().to_lowercase();
            if line.is_empty() {
                break;
            }
            if let Some(value) = line.strip_prefix("content-length:") {
                length = value.trim().parse().ok()?;
            }
            scale |= line.starts_with("accept:") && line.contains("scale");
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let mut words = first.split_whitespace();
        let (method, target) = (words.next()?, words.next()?.replace("%23", "#"));
        let answer = match method {
            "POST" => shared.post(&body, scale),
            _ => shared.get(&target, scale),
        };
        let head = format!(
            "HTTP/1.1 {} x\r\ncontent-length: {}\r\n\r\n",
            answer.status,
            answer.body.len()
        );
        let mut out = stream;
        out.write_all(&[head.as_bytes(), &answer.body].concat()).ok()?;
    }
}

impl Shared {
    fn get(&self, target: &str, scale: bool) -> Answer {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let parts: Vec<_> = path.trim_matches('/').split('/').collect();
        if let ["v1", "blocks"] = &parts[..] {
            let receipts = self.receipts(query);
            return if scale { receipts } else { ok(json!({ "items": [] })) };
        }
        let ledger = self.ledger.lock().unwrap();
        let items = |items: Vec<Value>| ok(json!({ "items": items }));
        match &parts[..] {
            ["status"] => ok(status(ledger.blocks.len() as u64 - 1)),
            ["health", "ready"] => ok(json!({})),
            ["metrics"] => Answer {
                status: 200,
                body: format!(
                    "process_cpu_seconds_total {}\ntonle_disk_bytes {}\n",
                    ledger.transfers,
                    ledger.transfers * 300
                )
                .into_bytes(),
            },
            ["v1", "parameters"] => ok(json!({"delta_ms": 400, "max_ttl_ms": 600_000,
                "public_reads": "all", "operator": "governor@nbc"})),
            ["v1", "domains"] => {
                let domain = |(id, owner): (&String, &String)| json!({"id": id, "owner": owner});
                items(ledger.domains.iter().map(domain).collect())
            }
            ["v1", "assets", id] => match ledger.assets.get(*id) {
                Some((scale, supply, owner)) => ok(json!({"id": id, "scale": scale,
                    "supply": supply.to_string(), "owner": owner})),
                None => problem(404, "not_found", "no such asset"),
            },
            ["v1", "accounts", id] => match ledger.accounts.get(*id) {
                Some(account) => ok(account.clone()),
                None => problem(404, "not_found", "no such account"),
            },
            ["v1", "accounts", id, "balances"] => {
                let of = |((account, asset), amount): (&(String, String), &u128)| {
                    let amount = amount.to_string();
                    (account == id)
                        .then(|| json!({"asset": asset, "available": amount, "held": "0"}))
                };
                items(ledger.balances.iter().filter_map(of).collect())
            }
            ["v1", "transactions", hash] => match ledger.known.get(&hash.parse().unwrap()) {
                Some((outcome, height)) => ok(describe(hash, *outcome, *height)),
                None if self.fault == Fault::Sleeps => {
                    ok(json!({"hash": hash, "status": "queued"}))
                }
                None => problem(404, "not_found", "no such transaction"),
            },
            _ => problem(404, "not_found", "no such route"),
        }
    }

    /// Blocks from a height on; held until it exists.
    fn receipts(&self, query: &str) -> Answer {
        let from = query.split('&').find_map(|pair| pair.strip_prefix("from=")).unwrap();
        let from: usize = from.parse().unwrap();
        let ledger = self.ledger.lock().unwrap();
        let wait = Duration::from_secs(2);
        let until = |ledger: &mut Ledger| ledger.blocks.len() <= from;
        let (ledger, _) = self.grown.wait_timeout_while(ledger, wait, until).unwrap();
        let blocks = ledger.blocks.iter().enumerate().skip(from).take(16);
        let blocks: Vec<_> = blocks
            .map(|(height, receipts)| BlockReceipts {
                height: Height(height as u64),
                receipts: receipts.clone(),
            })
            .collect();
        Answer { status: 200, body: blocks.encode() }
    }

    fn post(&self, body: &[u8], scale: bool) -> Answer {
        let mut ledger = self.ledger.lock().unwrap();
        ledger.posts += 1;
        if self.fault == Fault::NotReady && ledger.posts % 2 == 1 {
            return problem(503, "not_ready", "come again");
        }
        let busy = self.fault == Fault::Busy && ledger.posts % 2 == 1;
        let single = SignedTransaction::decode(body.to_vec().into());
        let is_single = single.is_ok();
        let transactions = single.map(|one| vec![one]).unwrap_or_else(|_| decode_array(body));
        let mut codes = Vec::new();
        let (mut block, mut again) = (Vec::new(), Vec::new());
        for (position, transaction) in transactions.iter().enumerate() {
            let hash = transaction.hash();
            if busy && position % 2 == 0 {
                codes.push((hash, SubmitCode::Busy));
                continue;
            }
            assert!(transaction.verify(&self.verifier), "signed by the account's demo key");
            codes.push((hash, SubmitCode::Queued));
            if self.fault == Fault::Sleeps {
                continue;
            }
            self.execute(&mut ledger, transaction, &mut block, &mut again);
        }
        let height = ledger.blocks.len();
        for receipt in &block {
            ledger.known.insert(receipt.transaction, (receipt.outcome, height));
        }
        for block in [block, again] {
            if !block.is_empty() {
                ledger.blocks.push(block);
            }
        }
        self.grown.notify_all();
        if scale {
            return Answer { status: 202, body: codes.encode() };
        }
        let item = |(hash, code): &(TransactionHash, SubmitCode)| match code {
            SubmitCode::Busy => json!({"hash": hash, "status": "refused", "code": "busy",
                "detail": "come again", "http_status": 429}),
            _ => json!({"hash": hash, "status": "queued"}),
        };
        let items: Vec<_> = codes.iter().map(item).collect();
        match is_single {
            true => ok(items[0].clone()),
            false => ok(json!(items)),
        }
    }

    fn execute(
        &self,
        ledger: &mut Ledger,
        transaction: &SignedTransaction,
        block: &mut Vec<Receipt>,
        again: &mut Vec<Receipt>,
    ) {
        let mut outcome = Outcome::Applied;
        for step in &transaction.payload().steps {
            let authority = step.authority.to_string();
            match &step.instruction {
                Instruction::RegisterDomain { id } => {
                    ledger.domains.insert(id.to_string(), authority);
                }
                Instruction::RegisterAsset { id, scale, .. } => {
                    ledger.assets.insert(id.to_string(), (*scale, 0, authority));
                }
                Instruction::RegisterAccount { id, signatories, quorum, .. } => {
                    let account = json!({"id": id, "quorum": quorum, "signatories": signatories});
                    ledger.accounts.insert(id.to_string(), account);
                }
                Instruction::Mint { asset, to, amount } => {
                    let amount = amount.to_amount(0).map(Amount::minor).unwrap();
                    ledger.assets.get_mut(asset.as_str()).unwrap().1 += amount;
                    ledger.credit(to.as_str(), asset.as_str(), amount);
                }
                Instruction::Transfer { asset, to, amount, .. } => {
                    ledger.transfers += 1;
                    let amount = amount.to_amount(0).map(Amount::minor).unwrap();
                    let marked = ledger.transfers % 100 == 50;
                    if marked && self.fault == Fault::Forgets {
                        return;
                    }
                    let payer = (authority, asset.to_string());
                    let left = ledger.balances.get(&payer).copied().unwrap_or(0);
                    match left.checked_sub(amount).filter(|_| self.fault != Fault::Rejects) {
                        Some(left) => {
                            ledger.balances.insert(payer, left);
                            let more = u128::from(marked && self.fault == Fault::Invents);
                            ledger.credit(to.as_str(), asset.as_str(), amount + more);
                        }
                        None => {
                            let code = RejectionCode::InsufficientBalance;
                            outcome = Outcome::Rejected { code, step: 0 };
                        }
                    }
                    if marked && self.fault == Fault::Repeats {
                        again.push(Receipt { transaction: transaction.hash(), outcome });
                    }
                }
                // What changes nothing that is asked for.
                _ => {}
            }
        }
        block.push(Receipt { transaction: transaction.hash(), outcome });
    }
}

impl Ledger {
    fn credit(&mut self, account: &str, asset: &str, amount: u128) {
        *self.balances.entry((account.into(), asset.into())).or_default() += amount;
    }
}

fn decode_array(mut body: &[u8]) -> Vec<SignedTransaction> {
    let count = parity_scale_codec::Compact::<u32>::decode(&mut body).unwrap().0;
    let mut rest = bytes::Bytes::copy_from_slice(body);
    let all = (0..count).map(|_| SignedTransaction::decode_first(&mut rest).unwrap()).collect();
    assert!(rest.is_empty());
    all
}

fn describe(hash: &str, outcome: Outcome, height: usize) -> Value {
    match outcome {
        Outcome::Applied => {
            json!({"hash": hash, "status": "committed", "height": height, "index": 0})
        }
        Outcome::Rejected { code, step } => json!({"hash": hash, "status": "rejected",
            "code": code, "detail": "not enough", "height": height, "index": 0, "step": step}),
    }
}

fn status(height: u64) -> Value {
    let zero = "0".repeat(64);
    json!({"chain": ChainHash::default(), "name": "validator_0", "role": "validator",
        "height": height, "hash": zero, "state_root": zero, "timestamp_ms": 0, "view": 0,
        "peers": 0, "pool": {"transactions": 0, "bytes": 0}, "version": "0.1.0",
        "syncing": false, "uptime_ms": 1, "synced_writes": true, "demo": true})
}
