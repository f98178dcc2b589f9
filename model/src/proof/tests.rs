//! Every way we know to make a file say what did not happen.

use serde_json::Value;

use super::*;
use crate::amount::Amount;
use crate::hex::HexBytes;
use crate::key::KeyPair;
use crate::number::{ValidatorIndex, View};
use crate::receipt::RejectionCode;
use crate::transaction::Step;
use crate::vote::Vote;

const TIME_MS: u64 = 1_000_000;

fn keys(names: &[&str]) -> Vec<KeyPair> {
    names.iter().map(|name| KeyPair::demo(name)).collect()
}

fn set(keys: &[KeyPair]) -> ValidatorSet {
    let validator =
        |key: &KeyPair| Validator { name: "v".parse().unwrap(), public_key: key.public_key() };
    ValidatorSet::new(keys.iter().map(validator).collect()).unwrap()
}

fn list(set: &ValidatorSet) -> ValidatorList {
    Bounded::new(set.iter().cloned().collect()).unwrap()
}

fn genesis(keys: &[KeyPair]) -> Genesis {
    let json = serde_json::json!({
        "name": "test", "demo": true, "created_ms": 1,
        "parameters": {"delta_ms": 100, "max_ttl_ms": 600_000, "public_reads": "all",
            "operator": "governor@nbc"},
        "validators": list(&set(keys)),
        "steps": [],
    });
    Genesis::from_json(&json.to_string()).unwrap()
}

/// A block at a height, certified by these keys, which are all of the set.
fn certified(
    chain: ChainHash,
    height: u64,
    keys: &[KeyPair],
    roots: [Digest256; 3],
) -> CertifiedBlock {
    let [state_root, receipts_root, next_validators] = roots;
    let header = Header { height: Height(height), ..Header::genesis(chain, TIME_MS) };
    let result = BlockResult { state_root, receipts_root, next_validators };
    let kind = VoteKind::Finalize { block: header.hash(), result: result.hash() };
    let finalization = certificate(chain, Height(height), kind, keys);
    CertifiedBlock { header, result, finalization }
}

fn certificate(chain: ChainHash, height: Height, kind: VoteKind, keys: &[KeyPair]) -> Certificate {
    let set = set(keys);
    let ballot = Ballot { height, view: View(2), kind };
    let mut votes: Vec<_> = keys
        .iter()
        .map(|key| {
            let signer = set.index_of(&key.public_key()).unwrap();
            (signer, Vote::sign(ballot, &chain, signer, key).signature)
        })
        .collect();
    votes.sort_by_key(|(signer, _): &(ValidatorIndex, _)| *signer);
    votes.truncate(set.quorum());
    Certificate::assemble(ballot, &votes, set.count())
}

fn balance(account: &str) -> Wanted {
    Wanted::Balance { account: account.parse().unwrap(), asset: "khr#nbc".parse().unwrap() }
}

fn invoice(id: &str, expires_ms: u64) -> Wanted {
    Wanted::Invoice(InvoiceName {
        payee: "sok@aclb".parse().unwrap(),
        id: id.parse().unwrap(),
        asset: "khr#nbc".parse().unwrap(),
        amount_minor: Amount::from_minor(5),
        expires_ms,
    })
}

fn leaf(key: Vec<u8>, next: Vec<u8>) -> StateLeaf {
    let value = BalanceEntry {
        available: Amount::from_minor(20_000),
        held: Amount::ZERO,
        incoming: 0,
        day: 0,
        sent: Amount::ZERO,
    };
    StateLeaf {
        key: HexBytes::new(key).unwrap(),
        value: HexBytes::new(value.encode()).unwrap(),
        next: HexBytes::new(next).unwrap(),
    }
}

/// A network of four, and a state of: nothing in slot 0, bopha, sok, and a last one.
struct Net {
    genesis: Genesis,
    keys: Vec<KeyPair>,
    leaves: Vec<StateLeaf>,
}

fn net() -> Net {
    let keys = keys(&["a", "b", "c", "d"]);
    let [bopha, sok] = ["bopha@aclb", "sok@aclb"].map(|account| balance(account).key());
    let leaves = vec![
        StateLeaf::from_row(&[0, 0, 0]).unwrap(),
        leaf(vec![1], bopha.clone()),
        leaf(bopha, sok.clone()),
        leaf(sok, vec![9]),
        leaf(vec![9], vec![]),
    ];
    Net { genesis: genesis(&keys), keys, leaves }
}

impl Net {
    fn state_proof(&self, slot: usize, claim: impl Fn(StateLeaf) -> Claim) -> Proof {
        let hashes: Vec<_> = self.leaves.iter().map(StateLeaf::hash).collect();
        let roots = [merkle::root(hashes.clone()), Digest256([7; 32]), set(&self.keys).hash()];
        self.proof(claim(self.leaves[slot].clone()), path(hashes, slot), roots)
    }

    fn presence(&self, slot: usize, wanted: Wanted) -> Proof {
        self.state_proof(slot, |leaf| Claim::Presence { wanted: wanted.clone(), leaf })
    }

    fn absence(&self, slot: usize, wanted: Wanted) -> Proof {
        self.state_proof(slot, |leaf| Claim::Absence { wanted: wanted.clone(), leaf })
    }

    fn transaction(&self, outcome: Outcome, payload: Option<Payload>) -> Proof {
        let transaction = self.payload().hash();
        let receipt = Receipt { transaction, outcome };
        let hashes = vec![Digest256([1; 32]), Digest256([2; 32]), receipt.leaf()];
        let roots = [Digest256([7; 32]), merkle::root(hashes.clone()), set(&self.keys).hash()];
        self.proof(Claim::Transaction { receipt, payload }, path(hashes, 2), roots)
    }

    fn payload(&self) -> Payload {
        let step = serde_json::json!({
            "authority": "sok@aclb",
            "instruction": {"transfer": {"asset": "khr#nbc", "to": "dara@wing", "amount": "5"}},
        });
        let step: Step = serde_json::from_value(step).unwrap();
        Payload {
            chain: self.genesis.chain(),
            created_ms: 1,
            expires_ms: 2,
            nonce: 3,
            reference: Some("rent".parse().unwrap()),
            steps: Bounded::new(vec![step]).unwrap(),
        }
    }

    fn proof(&self, claim: Claim, path: Vec<Sibling>, roots: [Digest256; 3]) -> Proof {
        let chain = self.genesis.chain();
        Proof {
            chain,
            claim,
            path: Bounded::new(path).unwrap(),
            block: certified(chain, 5, &self.keys, roots),
            validators: list(&set(&self.keys)),
            validator_changes: Bounded::default(),
        }
    }

    fn verify(&self, proof: &Proof) -> Result<Fact, ProofError> {
        let text = serde_json::to_string(proof).unwrap();
        let read = Proof::from_json(&text).unwrap();
        assert_eq!(read, *proof);
        read.verify(&self.genesis).map(|proven| proven.fact)
    }
}

#[test]
fn every_leaf_of_every_tree_reaches_its_root() {
    let leaves: Vec<_> = (0..70u8).map(|number| Digest256([number; 32])).collect();
    for count in 1..=leaves.len() {
        let tree = leaves[..count].to_vec();
        let root = merkle::root(tree.clone());
        for (index, leaf) in tree.iter().enumerate() {
            let path = path(tree.clone(), index);
            assert_eq!(climb(*leaf, &path), root, "{index} of {count}");
            assert_ne!(climb(Digest256([99; 32]), &path), root);
        }
    }
    assert_eq!(path(vec![], 0), []);
}

#[test]
fn what_is_there_is_proven_present_and_what_is_not_absent() {
    let net = net();
    let Ok(Fact::Present(Entry::Balance { account, value, .. })) =
        net.verify(&net.presence(3, balance("sok@aclb")))
    else {
        panic!("sok has a balance");
    };
    assert_eq!((account.as_str(), value.available.minor()), ("sok@aclb", 20_000));
    for (slot, name) in [(1, "aaa@aclb"), (2, "dara@aclb"), (3, "sok@aclc")] {
        let wanted = balance(name);
        assert_eq!(net.verify(&net.absence(slot, wanted.clone())).unwrap(), Fact::Absent(wanted));
    }
    let after_all = invoice("x", TIME_MS);
    assert!(matches!(net.verify(&net.absence(4, after_all)), Ok(Fact::Absent(_))));
}

#[test]
fn a_leaf_answers_for_its_own_place_only() {
    let net = net();
    for (slot, name) in [(2, "sok@aclb"), (3, "bopha@aclb"), (3, "dara@aclb")] {
        let presence = net.verify(&net.presence(slot, balance(name)));
        assert!(matches!(presence, Err(ProofError::OtherLeaf)), "{slot} {name}");
    }
    for (slot, name) in [(2, "bopha@aclb"), (2, "sok@aclb"), (2, "zz@aclb"), (3, "dara@aclb")] {
        let absence = net.verify(&net.absence(slot, balance(name)));
        assert!(matches!(absence, Err(ProofError::OtherLeaf)), "{slot} {name}");
    }
    let other_kind = Wanted::Account { id: "sok@aclb".parse().unwrap() };
    assert!(matches!(net.verify(&net.presence(3, other_kind)), Err(ProofError::OtherLeaf)));
}

#[test]
fn the_leaf_of_a_removed_entry_proves_nothing() {
    let net = net();
    let absence = net.verify(&net.absence(0, balance("sok@aclb")));
    assert!(matches!(absence, Err(ProofError::OtherLeaf)));
}

#[test]
fn a_forgotten_invoice_is_not_an_unpaid_one() {
    let net = net();
    assert!(net.verify(&net.absence(4, invoice("x", TIME_MS))).is_ok());
    let forgotten = net.verify(&net.absence(4, invoice("x", TIME_MS - 1)));
    assert!(matches!(forgotten, Err(ProofError::Forgotten { .. })));
}

#[test]
fn a_payment_is_proven_only_if_it_was_applied() {
    let net = net();
    let payload = net.payload();
    let proven = net.verify(&net.transaction(Outcome::Applied, Some(payload.clone()))).unwrap();
    assert_eq!(
        proven,
        Fact::Applied { transaction: payload.hash(), payload: Some(payload.clone()) }
    );
    assert!(net.verify(&net.transaction(Outcome::Applied, None)).is_ok());
    let rejected = Outcome::Rejected { code: RejectionCode::AccountFrozen, step: 0 };
    let refused = net.verify(&net.transaction(rejected, Some(payload.clone())));
    assert!(matches!(refused, Err(ProofError::NotApplied("account_frozen"))));
    let other = Payload { nonce: 4, ..payload };
    let refused = net.verify(&net.transaction(Outcome::Applied, Some(other)));
    assert!(matches!(refused, Err(ProofError::OtherPayload)));
}

#[test]
fn only_a_finalization_by_a_quorum_of_the_right_network_counts() {
    let net = net();
    let good = net.presence(3, balance("sok@aclb"));
    let (chain, block) = (net.genesis.chain(), good.block.header.hash());

    let mut notarized = good.clone();
    let kind = VoteKind::Notarize { block };
    notarized.block.finalization = certificate(chain, Height(5), kind, &net.keys);
    assert!(matches!(net.verify(&notarized), Err(ProofError::OtherBlock { .. })));

    let mut of_another_height = good.clone();
    let kind = VoteKind::Finalize { block, result: good.block.result.hash() };
    of_another_height.block.finalization = certificate(chain, Height(6), kind, &net.keys);
    assert!(matches!(net.verify(&of_another_height), Err(ProofError::OtherBlock { .. })));

    let mut few = good.clone();
    few.block.finalization = certificate(chain, Height(5), kind, &net.keys[..2]);
    assert!(matches!(net.verify(&few), Err(ProofError::Certificate(_))));

    let strangers = keys(&["e", "f", "g", "h"]);
    let mut by_strangers = good.clone();
    by_strangers.block.finalization = certificate(chain, Height(5), kind, &strangers);
    assert!(matches!(net.verify(&by_strangers), Err(ProofError::Certificate(_))));
    by_strangers.validators = list(&set(&strangers));
    assert!(matches!(net.verify(&by_strangers), Err(ProofError::Validators { .. })));

    let elsewhere = good.verify(&genesis(&strangers));
    assert!(matches!(elsewhere, Err(ProofError::OtherNetwork { .. })));
}

/// From a to d to those with e, to e to h.
fn moved() -> (Net, Vec<KeyPair>, Proof) {
    let net = net();
    let chain = net.genesis.chain();
    let (second, third) = (keys(&["b", "c", "d", "e"]), keys(&["e", "f", "g", "h"]));
    let change = |height, before: &[KeyPair], after: &[KeyPair]| {
        let roots = [Digest256([1; 32]), Digest256([2; 32]), set(after).hash()];
        let block = certified(chain, height, before, roots);
        ValidatorChange { block, next_validators: list(&set(after)) }
    };
    let changes = vec![change(2, &net.keys, &second), change(4, &second, &third)];
    let mut proof = net.presence(3, balance("sok@aclb"));
    let result = proof.block.result;
    let roots = [result.state_root, result.receipts_root, set(&third).hash()];
    proof.block = certified(chain, 5, &third, roots);
    proof.validators = list(&set(&third));
    proof.validator_changes = Bounded::new(changes).unwrap();
    (net, third, proof)
}

#[test]
fn validators_change_by_certificates_of_those_before() {
    let (net, third, proof) = moved();
    assert!(net.verify(&proof).is_ok());
    let with = |changes: Vec<ValidatorChange>| {
        let validator_changes = Bounded::new(changes).unwrap();
        net.verify(&Proof { validator_changes, ..proof.clone() })
    };
    let [first, second] = &proof.validator_changes[..] else { panic!("two changes") };
    assert!(with(vec![]).is_err());
    assert!(with(vec![first.clone()]).is_err());
    assert!(with(vec![second.clone()]).is_err());
    assert!(with(vec![second.clone(), first.clone()]).is_err());
    assert!(with(vec![first.clone(), first.clone(), second.clone()]).is_err());
    assert!(with(vec![first.clone(), second.clone(), second.clone()]).is_err());

    // The set of a block's result is that of the next height, not of its own.
    let mut too_early = proof.clone();
    let result = too_early.block.result;
    let roots = [result.state_root, result.receipts_root, result.next_validators];
    too_early.block = certified(net.genesis.chain(), 4, &third, roots);
    assert!(matches!(net.verify(&too_early), Err(ProofError::Validators { .. })));

    let mut unsorted = proof.clone();
    let mut validators = unsorted.validators.to_vec();
    validators.reverse();
    unsorted.validators = Bounded::new(validators).unwrap();
    assert!(matches!(net.verify(&unsorted), Err(ProofError::Validators { .. })));
}

/// Every copy of a value with one thing in it changed, and where that is.
fn mutations(value: &Value, at: &str) -> Vec<(String, Value)> {
    let here = |value| vec![(at.to_owned(), value)];
    match value {
        Value::Null => vec![],
        Value::Bool(it) => here(Value::Bool(!it)),
        Value::Number(it) => here((it.as_u64().unwrap() ^ 1).into()),
        Value::String(it) => {
            let mut bytes = it.clone().into_bytes();
            let Some(last) = bytes.last_mut() else { return here("00".into()) };
            *last = if *last == b'1' { b'2' } else { b'1' };
            here(String::from_utf8(bytes).unwrap().into())
        }
        Value::Array(items) => {
            let put = |index: usize, item| {
                let mut items = items.clone();
                items[index] = item;
                Value::Array(items)
            };
            let inner = items.iter().enumerate().flat_map(|(index, item)| {
                let changed = mutations(item, &format!("{at}/{index}"));
                changed.into_iter().map(move |(at, item)| (at, put(index, item)))
            });
            let shorter = items.split_last().map(|(_, rest)| (at.to_owned(), rest.to_vec().into()));
            inner.chain(shorter).collect()
        }
        Value::Object(fields) => {
            let put = |name: &str, field| {
                let mut fields = fields.clone();
                fields.insert(name.to_owned(), field);
                Value::Object(fields)
            };
            let inner = fields.iter().flat_map(|(name, field)| {
                let changed = mutations(field, &format!("{at}/{name}"));
                changed.into_iter().map(move |(at, field)| (at, put(name, field)))
            });
            let swapped =
                [("left", "right"), ("right", "left")].into_iter().filter_map(|(a, b)| {
                    let field = fields.get(a)?.clone();
                    Some((at.to_owned(), serde_json::json!({ (b): field })))
                });
            inner.chain(swapped).collect()
        }
    }
}

#[test]
fn no_value_of_a_file_can_be_changed() {
    let (moved_net, _, moved_proof) = moved();
    let net = net();
    let proofs = [
        (&moved_net, moved_proof),
        (&net, net.presence(2, balance("bopha@aclb"))),
        (&net, net.absence(4, invoice("x", TIME_MS))),
        (&net, net.transaction(Outcome::Applied, Some(net.payload()))),
    ];
    for (net, proof) in proofs {
        let value = serde_json::to_value(&proof).unwrap();
        let mutations = mutations(&value, "");
        assert!(mutations.len() > 40);
        for (at, mutation) in mutations {
            let verified = Proof::from_json(&mutation.to_string())
                .and_then(|proof| proof.verify(&net.genesis));
            let is_question =
                at.starts_with("/claim/wanted") && matches!(proof.claim, Claim::Absence { .. });
            match (verified, is_question) {
                (Err(_), _) => {}
                // Another question, and a true answer to it.
                (Ok(proven), true) => assert!(matches!(proven.fact, Fact::Absent(_)), "{at}"),
                (Ok(proven), false) => panic!("{at} changed, and still: {proven:?}"),
            }
        }
    }
}
