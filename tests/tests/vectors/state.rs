//! Vectors of the state tree: a key and value of each kind, in the order of keys, with its leaf.
//!
//! Keys and values are laid out here as docs/src/encodings.md has them: one such page for the state
//! to keep to, and one for clients that check proofs.

use parity_scale_codec::{Compact, Encode};
use serde_json::{Value, json};
use tonle_model::bounded::Bounded;
use tonle_model::genesis::{Parameters, PublicReads};
use tonle_model::hash::{Digest256, HoldId, ProposalId, TaggedHasher, TransactionHash};
use tonle_model::id::{AccountId, Name};
use tonle_model::instruction::{Instruction, Mintability, Signatory};
use tonle_model::key::PublicKey;
use tonle_model::permission::Permission;
use tonle_model::{hex, tags};

use crate::samples::{bounded, invoice, key, parse, transfer, validators};

const DAY: u32 = 20_758;
const EXPIRES_MS: u64 = 1_793_577_600_000;

/// A state entry: what it is about, and its value, each for people and as bytes.
struct Entry {
    kind: &'static str,
    about: Value,
    key: Vec<u8>,
    json: Value,
    value: Vec<u8>,
}

/// An entry about names.
fn entry(tag: u8, kind: &'static str, about: &[&str], json: Value, value: impl Encode) -> Entry {
    let key = [vec![tag], about.join("\0").into_bytes()].concat();
    Entry { kind, about: json!(about), key, json, value: value.encode() }
}

fn minor(units: u128) -> Compact<u128> {
    Compact(units)
}

fn hold_id() -> HoldId {
    HoldId::of(&Digest256([0x11; 32]), 0)
}

fn proposal_id() -> ProposalId {
    ProposalId::of(&TransactionHash(Digest256([0x11; 32])), 0)
}

fn signatories(names: &[(&str, u16)]) -> Bounded<Signatory, 32> {
    let one = |(name, weight): &(&str, u16)| Signatory {
        public_key: key(name).public_key(),
        weight: *weight,
    };
    bounded(names.iter().map(one).collect())
}

fn network() -> Vec<Entry> {
    let parameters = Parameters {
        delta_ms: 400,
        max_ttl_ms: 600_000,
        public_reads: PublicReads::Chain,
        operator: parse("governor@nbc"),
        utc_offset_min: 420,
    };
    let json = json!(parameters);
    let set = validators(2);
    let marks = json!([{ "validator": 3, "until": 1_000 }]);
    let mark_bytes = vec![(3u16, 1_000u64)];
    vec![
        entry(1, "parameters", &[], json, parameters),
        entry(2, "validators", &[], json!(set), &set),
        entry(3, "leader_marks", &[], marks, mark_bytes),
        entry(4, "domain", &["aclb"], json!({ "owner": "bank@aclb" }), "bank@aclb"),
    ]
}

fn accounts() -> Vec<Entry> {
    let account =
        |id: &str, keys: &[(&str, u16)], quorum: u16, tier: &str, status, bytes: Vec<u8>| {
            let signatories = signatories(keys);
            let json = json!({
                "signatories": signatories, "quorum": quorum, "tier": tier, "status": status,
            });
            let mut value = (signatories, quorum, tier).encode();
            value.extend(bytes);
            Entry { value, ..entry(5, "account", &[id], json, ()) }
        };
    let frozen = json!({ "frozen": { "incoming": true, "reason": "order 17" } });
    let frozen_bytes = (1u8, true, "order 17").encode();
    let both = [("a", 1), ("b", 300)];
    vec![
        account("bopha@aclb", &both, 301, "partial", json!("active"), vec![0]),
        account("chan@aclb", &[("chan@aclb", 1)], 1, "basic", frozen, frozen_bytes),
        account("dara@wing", &[("dara@wing", 1)], 1, "basic", json!("closed"), vec![2]),
    ]
}

fn assets() -> Vec<Entry> {
    let limits = json!([
        { "tier": "basic", "per_day": "50000" }, { "tier": "full", "per_day": "1000000" },
    ]);
    let limit_bytes = vec![("basic", minor(50_000)), ("full", minor(1_000_000))];
    let riel = json!({
        "owner": "governor@nbc", "scale": 0, "supply": "0", "supply_cap": null,
        "mintability": "always", "limits": [],
    });
    let dollar = json!({
        "owner": "governor@nbc", "scale": 2, "supply": "66075", "supply_cap": "100000000000",
        "mintability": "never", "limits": limits,
    });
    let none = (None::<Compact<u128>>, Mintability::Always, Vec::<(Name, Compact<u128>)>::new());
    let some = (Some(minor(100_000_000_000)), Mintability::Never, limit_bytes);
    vec![
        entry(6, "asset", &["khr#nbc"], riel, ("governor@nbc", 0u8, minor(0), none)),
        entry(6, "asset", &["usd#nbc"], dollar, ("governor@nbc", 2u8, minor(66_075), some)),
    ]
}

fn balances() -> Vec<Entry> {
    let all = [
        (["bopha@aclb", "khr#nbc"], 1_500_000, 0, 0, 0, 0),
        (["bopha@aclb", "usd#nbc"], 32_050, 250, 1, DAY, 2_250),
        (["sok@aclb", "khr#nbc"], 0, u128::MAX, 70_000, u32::MAX, u128::MAX),
    ];
    let balance = |(about, available, held, incoming, day, sent): (_, _, _, u32, u32, _)| {
        let json = json!({
            "available": minor(available).0.to_string(), "held": minor(held).0.to_string(),
            "incoming": incoming, "day": day, "sent": minor(sent).0.to_string(),
        });
        let numbers = (Compact(incoming), Compact(day));
        let value = (minor(available), minor(held), numbers, minor(sent));
        let about: [&str; 2] = about;
        entry(7, "balance", &about, json, value)
    };
    all.into_iter().map(balance).collect()
}

fn rights() -> Vec<Entry> {
    let given: Vec<Permission> = vec![parse("mint:khr#nbc"), parse("read_all_accounts")];
    let json = json!({ "roles": ["auditor", "teller"], "permissions": given, "owned": 3 });
    let value = (vec!["auditor", "teller"], given.clone(), Compact(3u32));
    vec![
        entry(8, "rights", &["chan@aclb"], json, value),
        entry(9, "role", &["teller"], json!({ "permissions": given }), given),
    ]
}

/// An entry about a hash.
fn named(tag: u8, kind: &'static str, id: Digest256, json: Value, value: impl Encode) -> Entry {
    let key = [&[tag][..], id.as_ref()].concat();
    Entry { kind, about: json!([id]), key, json, value: value.encode() }
}

fn holds() -> Vec<Entry> {
    let lock = Digest256([7; 32]);
    let open = json!({
        "from": "sok@aclb", "to": "hotel@wing", "asset": "khr#nbc", "amount": "400000",
        "expires_ms": EXPIRES_MS, "hash_lock": null, "arbiter": "bank@wing", "invoice": null,
        "day": DAY,
    });
    let locked = json!({
        "from": "sok@aclb", "to": "dara@wing", "asset": "usd#nbc", "amount": "250",
        "expires_ms": EXPIRES_MS, "hash_lock": lock, "arbiter": null, "invoice": invoice(),
        "day": DAY,
    });
    let flow = |to: &'static str, asset: &'static str, units| {
        (("sok@aclb", to, asset, minor(units)), EXPIRES_MS)
    };
    let no_lock = (None::<Digest256>, Some("bank@wing"), None::<u8>, Compact(DAY));
    let with_lock = (Some(lock), None::<AccountId>, Some(invoice()), Compact(DAY));
    let [first, second] = [0, 0xff].map(|byte| Digest256([byte; 32]));
    vec![
        named(10, "hold", first, open, (flow("hotel@wing", "khr#nbc", 400_000), no_lock)),
        named(10, "hold", second, locked, (flow("dara@wing", "usd#nbc", 250), with_lock)),
    ]
}

fn invoices() -> Vec<Entry> {
    let transaction = TransactionHash(Digest256([0x22; 32]));
    let invoice = invoice();
    let paid = |asset: &str, units: u128, hold: Option<HoldId>| {
        let about = json!(["dara@wing", invoice.id, asset, units.to_string(), invoice.expires_ms]);
        let names = ["dara@wing", invoice.id.as_str(), asset, ""].join("\0");
        let numbers = [&units.to_be_bytes()[..], &invoice.expires_ms.to_be_bytes()].concat();
        let key = [vec![11], names.into_bytes(), numbers].concat();
        let json = json!({ "payer": "sok@aclb", "transaction": transaction, "hold": hold });
        let value = ("sok@aclb", transaction, hold).encode();
        Entry { kind: "invoice", about, key, json, value }
    };
    vec![paid("khr#nbc", 10_000, None), paid("usd#nbc", 250, Some(hold_id()))]
}

fn proposals() -> Vec<Entry> {
    let instructions: Vec<Instruction> = vec![transfer("khr#nbc", "bank@aclb", "500000000", "")];
    let approvals: Vec<PublicKey> = vec![key("b").public_key(), key("a").public_key()];
    let json = json!({
        "account": "treasury@nbc", "proposer": "governor@nbc", "instructions": instructions,
        "expires_ms": EXPIRES_MS, "approvals": approvals,
    });
    let value = ("treasury@nbc", "governor@nbc", instructions, EXPIRES_MS, approvals);
    let of_account = [proposal_id()];
    let notes = json!([{ "name": "kyc", "value": "case 1147" }]);
    let note_bytes = vec![("kyc", "case 1147")];
    vec![
        named(12, "proposal", proposal_id().0, json, value),
        entry(13, "proposals", &["treasury@nbc"], json!(of_account), of_account.to_vec()),
        entry(14, "metadata", &["sok@aclb"], notes, note_bytes),
    ]
}

fn recalls() -> Vec<Entry> {
    let transaction = Digest256([0x22; 32]);
    let recalled = |step: u16, units: u128| {
        let key = [&[15][..], transaction.as_ref(), &step.to_be_bytes()].concat();
        let (about, json) = (json!([transaction, step]), json!(units.to_string()));
        Entry { kind: "recalled", about, key, json, value: minor(units).encode() }
    };
    vec![recalled(0, 250), recalled(255, 1), recalled(256, u128::MAX)]
}

fn past_validators() -> Vec<Entry> {
    let set = validators(2);
    let heights: [u64; 2] = [255, 70_000];
    let past = |last: u64| {
        let key = [&[17][..], &last.to_be_bytes()].concat();
        let (about, json, value) = (json!([last]), json!(set), set.encode());
        Entry { kind: "past_validators", about, key, json, value }
    };
    let changes = entry(16, "validator_changes", &[], json!(heights), heights.to_vec());
    std::iter::once(changes).chain(heights.map(past)).collect()
}

fn leaf(key: &[u8], value: &[u8], next: &[u8]) -> Digest256 {
    let row = [key, value, next].map(|part| part.encode()).concat();
    TaggedHasher::new(tags::STATE_LEAF).part(row).finish()
}

/// Entries of every kind with their leaves, and the leaf of a slot whose entry was removed.
pub(crate) fn state() -> Value {
    let groups = [
        network,
        accounts,
        assets,
        balances,
        rights,
        holds,
        invoices,
        proposals,
        recalls,
        past_validators,
    ];
    let entries: Vec<_> = groups.iter().flat_map(|group| group()).collect();
    assert!(entries.is_sorted_by(|left, right| left.key < right.key), "in the order of keys");
    let cases = entries.iter().enumerate().map(|(position, entry)| {
        let Entry { kind, about, key, json, value } = entry;
        let next = entries.get(position + 1).map_or(&[][..], |entry| &entry.key);
        json!({
            "kind": kind,
            "about": about,
            "json": json,
            "key": hex::encode(key),
            "value": hex::encode(value),
            "next": hex::encode(next),
            "leaf": leaf(key, value, next).to_string(),
        })
    });
    json!({
        "entries": cases.collect::<Vec<_>>(),
        "removed": { "leaf": leaf(&[], &[], &[]).to_string() },
    })
}
