//! A world of two blocks in which everything is known: what a proof may say, and honest proofs.

use std::sync::LazyLock;

use parity_scale_codec::Encode;
use serde_json::{Value, json};
use tonle_model::amount::Amount;
use tonle_model::block::{BlockResult, Header};
use tonle_model::bounded::Bounded;
use tonle_model::genesis::Genesis;
use tonle_model::hash::{Digest256, TransactionHash};
use tonle_model::hex::HexBytes;
use tonle_model::key::KeyPair;
use tonle_model::merkle;
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::proof::{
    AppliedProof, BalanceEntry, CertifiedBlock, Claim, Entry, Fact, InvoiceName, Proof, Proven,
    Sibling, StateLeaf, ValidatorChange, ValidatorList, Wanted, path,
};
use tonle_model::receipt::{Outcome, Receipt, RejectionCode};
use tonle_model::transaction::{Payload, Step};
use tonle_model::validators::{Validator, ValidatorSet};
use tonle_model::verify::Verifier;
use tonle_model::vote::{Ballot, Certificate, Vote, VoteKind};

/// Everyone's clock at block 5; block 9 is four seconds later.
const TIME_MS: u64 = 1_000_000;

/// One block, what stands in the state after it, and what became of its transactions.
struct Block {
    certified: CertifiedBlock,
    validators: ValidatorSet,
    changes: Vec<ValidatorChange>,
    balances: Vec<(&'static str, u128)>,
    leaves: Vec<StateLeaf>,
    payload: Payload,
    receipts: Vec<Receipt>,
}

/// The blocks 5 and 9; the validators change after 5.
pub struct World {
    /// What a reader trusts.
    pub genesis: Genesis,
    /// Honest proofs.
    pub proofs: Vec<Proof>,
    /// The same as JSON, and behind them some that are well made and say what is not so.
    pub files: Vec<Value>,
    blocks: Vec<Block>,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    /// The one world.
    pub fn known() -> &'static Self {
        &WORLD
    }

    fn new() -> Self {
        let (before, after) = (keys("abcd"), keys("bcde"));
        let genesis = genesis(&before);
        let accounts = [("bopha@aclb", 5), ("sok@aclb", 20_000)];
        let five = Block::new(&genesis, 5, &before, &after, &accounts, Vec::new());
        let change =
            ValidatorChange { block: five.certified.clone(), next_validators: list(&set(&after)) };
        let accounts = [("bopha@aclb", 5), ("dara@wing", 1_000), ("sok@aclb", 19_000)];
        let nine = Block::new(&genesis, 9, &after, &after, &accounts, vec![change]);
        let blocks = vec![five, nine];
        let proofs: Vec<_> = blocks.iter().flat_map(Block::proofs).collect();
        let json = |proof: &Proof| serde_json::to_value(proof).expect("a proof has a JSON form");
        let files = proofs.iter().chain(&lies(&genesis, &blocks)).map(json).collect();
        Self { genesis, proofs, files, blocks }
    }

    /// Whether it is so.
    pub fn holds(&self, proven: &Proven) -> bool {
        let block = self.blocks.iter().find(|block| block.height() == proven.height);
        block.is_some_and(|block| block.holds(proven))
    }

    /// What the ledger would say of it after block 9.
    pub fn shows_applied(&self, applied: &AppliedProof) -> bool {
        let signed = |block: &Block| {
            let chain = self.genesis.chain();
            applied.height() == block.height()
                && applied.check(&chain, &block.validators, &Verifier::new()).is_ok()
        };
        self.blocks.iter().any(signed)
    }

    /// Whether a transaction was applied.
    pub fn is_paid(&self, transaction: &TransactionHash) -> bool {
        self.blocks.iter().any(|block| block.payload.hash() == *transaction)
    }
}

impl Block {
    fn new(
        genesis: &Genesis,
        height: u64,
        signing: &[KeyPair],
        next: &[KeyPair],
        balances: &[(&'static str, u128)],
        changes: Vec<ValidatorChange>,
    ) -> Self {
        let chain = genesis.chain();
        let payload = payload(genesis, height);
        let receipts = vec![
            Receipt { transaction: payload.hash(), outcome: Outcome::Applied },
            Receipt {
                transaction: TransactionHash(Digest256([height as u8; 32])),
                outcome: Outcome::Rejected { code: RejectionCode::AccountFrozen, step: 0 },
            },
            Receipt { transaction: TransactionHash::default(), outcome: Outcome::Applied },
        ];
        let leaves = leaves(balances);
        let result = BlockResult {
            state_root: merkle::root(leaves.iter().map(StateLeaf::hash).collect()),
            receipts_root: merkle::root(receipts.iter().map(Receipt::leaf).collect()),
            next_validators: set(next).hash(),
        };
        let timestamp_ms = TIME_MS + 1_000 * height;
        let header = Header { height: Height(height), ..Header::genesis(chain, timestamp_ms) };
        let kind = VoteKind::Finalize { block: header.hash(), result: result.hash() };
        let ballot = Ballot { height: header.height, view: View(2), kind };
        let finalization = certificate(genesis, ballot, signing);
        let certified = CertifiedBlock { header, result, finalization };
        let (validators, balances) = (set(signing), balances.to_vec());
        Self { certified, validators, changes, balances, leaves, payload, receipts }
    }

    fn height(&self) -> Height {
        self.certified.header.height
    }

    fn proofs(&self) -> Vec<Proof> {
        let receipt = self.receipts[0];
        let payments = [Some(self.payload.clone()), None]
            .map(|payload| self.proof(Claim::Transaction { receipt, payload }, 0, true));
        let presences = self.balances.iter().enumerate().map(|(index, (account, _))| {
            let (wanted, leaf) = (balance(account), self.leaves[index + 1].clone());
            self.proof(Claim::Presence { wanted, leaf }, index + 1, false)
        });
        let last = self.leaves.len() - 1;
        let absences = [(1, balance("chan@aclb")), (last, balance("zz@wing")), (last, invoice())];
        let absences = absences.into_iter().map(|(index, wanted)| {
            let leaf = self.leaves[index].clone();
            self.proof(Claim::Absence { wanted, leaf }, index, false)
        });
        payments.into_iter().chain(presences).chain(absences).collect()
    }

    fn proof(&self, claim: Claim, index: usize, is_receipt: bool) -> Proof {
        let hashes: Vec<_> = match is_receipt {
            true => self.receipts.iter().map(Receipt::leaf).collect(),
            false => self.leaves.iter().map(StateLeaf::hash).collect(),
        };
        let siblings: Vec<Sibling> = path(hashes, index);
        Proof {
            chain: self.certified.header.chain,
            claim,
            path: Bounded::new(siblings).expect("a small tree"),
            block: self.certified.clone(),
            validators: list(&self.validators),
            validator_changes: Bounded::new(self.changes.clone()).expect("one change"),
        }
    }

    fn holds(&self, proven: &Proven) -> bool {
        let header = &self.certified.header;
        let about = proven.block == header.hash()
            && proven.timestamp_ms == header.timestamp_ms
            && (proven.signers, proven.validators) == (3, 4);
        let owned = |account: &str| {
            let found = self.balances.iter().find(|(owner, _)| *owner == account);
            found.map(|(_, minor)| *minor)
        };
        about
            && match &proven.fact {
                Fact::Applied { transaction, payload } => {
                    *transaction == self.payload.hash()
                        && payload.as_ref().is_none_or(|payload| *payload == self.payload)
                }
                Fact::Present(Entry::Balance { account, asset, value }) => {
                    asset.as_str() == "khr#nbc"
                        && owned(account.as_str()).map(entry).as_ref() == Some(value)
                }
                Fact::Present(_) => false,
                Fact::Absent(Wanted::Balance { account, asset }) => {
                    asset.as_str() != "khr#nbc" || owned(account.as_str()).is_none()
                }
                Fact::Absent(Wanted::Account { .. }) => true,
                // A later block may have forgotten it.
                Fact::Absent(Wanted::Invoice(name)) => name.expires_ms >= header.timestamp_ms,
            }
    }
}

/// What whoever lies would try: the leaf of a removed entry, another network with the same
/// validators, validators that nobody made such, and ones that were not yet.
fn lies(genesis: &Genesis, blocks: &[Block]) -> Vec<Proof> {
    let five = &blocks[0];
    let (wanted, leaf) = (balance("sok@aclb"), five.leaves[0].clone());
    let removed = five.proof(Claim::Absence { wanted, leaf }, 0, false);
    let (before, after, others) = (keys("abcd"), keys("bcde"), keys("wxyz"));
    let other_network = Genesis { created_ms: 2, ..genesis.clone() };
    let elsewhere = Block::new(&other_network, 5, &before, &after, &five.balances, Vec::new());
    let change =
        ValidatorChange { block: five.certified.clone(), next_validators: list(&set(&others)) };
    let usurped = Block::new(genesis, 9, &others, &others, &five.balances, vec![change]);
    let made = elsewhere.proofs().into_iter().chain(usurped.proofs());
    std::iter::once(removed).chain(made).collect()
}

fn keys(names: &str) -> Vec<KeyPair> {
    names.chars().map(|name| KeyPair::demo(&name.to_string())).collect()
}

fn set(keys: &[KeyPair]) -> ValidatorSet {
    let name = "v".parse::<tonle_model::id::Name>().expect("a name");
    let validator = |key: &KeyPair| Validator { name: name.clone(), public_key: key.public_key() };
    ValidatorSet::new(keys.iter().map(validator).collect()).expect("distinct keys")
}

fn list(set: &ValidatorSet) -> ValidatorList {
    Bounded::new(set.iter().cloned().collect()).expect("few")
}

fn genesis(keys: &[KeyPair]) -> Genesis {
    let json = json!({
        "name": "fuzz", "demo": true, "created_ms": 1,
        "parameters": {"delta_ms": 100, "max_ttl_ms": 600_000, "public_reads": "all",
            "operator": "governor@nbc"},
        "validators": list(&set(keys)),
        "steps": [],
    });
    Genesis::from_json(&json.to_string()).expect("a genesis")
}

fn certificate(genesis: &Genesis, ballot: Ballot, keys: &[KeyPair]) -> Certificate {
    let (chain, set) = (genesis.chain(), set(keys));
    let sign = |key: &KeyPair| {
        let signer = set.index_of(&key.public_key()).expect("of the set");
        (signer, Vote::sign(ballot, &chain, signer, key).signature)
    };
    let mut votes: Vec<_> = keys.iter().map(sign).collect();
    votes.sort_by_key(|(signer, _): &(ValidatorIndex, _)| *signer);
    votes.truncate(set.quorum());
    Certificate::assemble(ballot, &votes, set.count())
}

fn payload(genesis: &Genesis, nonce: u64) -> Payload {
    let step = json!({
        "authority": "sok@aclb",
        "instruction": {"transfer": {"asset": "khr#nbc", "to": "dara@wing", "amount": "5"}},
    });
    let step: Step = serde_json::from_value(step).expect("a step");
    let steps = Bounded::new(vec![step]).expect("one");
    let (created_ms, expires_ms) = (1, 2);
    Payload { chain: genesis.chain(), created_ms, expires_ms, nonce, reference: None, steps }
}

fn balance(account: &str) -> Wanted {
    let account = account.parse().expect("an account");
    Wanted::Balance { account, asset: "khr#nbc".parse().expect("an asset") }
}

/// One that nobody pays.
fn invoice() -> Wanted {
    Wanted::Invoice(InvoiceName {
        payee: "sok@aclb".parse().expect("an account"),
        id: "17".parse().expect("an id"),
        asset: "khr#nbc".parse().expect("an asset"),
        amount_minor: Amount::from_minor(5),
        expires_ms: TIME_MS + 60_000,
    })
}

fn entry(minor: u128) -> BalanceEntry {
    let (available, held) = (Amount::from_minor(minor), Amount::ZERO);
    BalanceEntry { available, held, incoming: 0, day: 0, sent: Amount::ZERO }
}

/// The slot of a removed entry, then the balances in the order of their keys.
fn leaves(balances: &[(&str, u128)]) -> Vec<StateLeaf> {
    let keys: Vec<_> = balances.iter().map(|(account, _)| balance(account).key()).collect();
    let bytes = |bytes| HexBytes::new(bytes).expect("short");
    let leaf = |key: Vec<u8>, value: Vec<u8>, next: Vec<u8>| StateLeaf {
        key: bytes(key),
        value: HexBytes::new(value).expect("short"),
        next: bytes(next),
    };
    let removed = leaf(vec![], vec![], vec![]);
    let live = balances.iter().enumerate().map(|(index, (_, minor))| {
        let next = keys.get(index + 1).cloned().unwrap_or_default();
        leaf(keys[index].clone(), entry(*minor).encode(), next)
    });
    std::iter::once(removed).chain(live).collect()
}
