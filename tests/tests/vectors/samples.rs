//! The values that several vectors are made of.

use tonle_model::bounded::Bounded;
use tonle_model::hash::{ChainHash, TaggedHasher};
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::{Instruction, Invoice, Mintability, Signatory};
use tonle_model::key::KeyPair;
use tonle_model::transaction::{Payload, Step, Transaction};
use tonle_model::validators::{Validator, ValidatorSet};

/// A chain that no genesis has.
pub(crate) fn chain() -> ChainHash {
    ChainHash(TaggedHasher::new("tonle.vectors.chain").finish())
}

/// Parses what is known to parse.
pub(crate) fn parse<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().expect("a well-formed sample")
}

/// A list that is known to be short enough.
pub(crate) fn bounded<T, const MAX: usize>(items: Vec<T>) -> Bounded<T, MAX> {
    Bounded::new(items).expect("a short sample")
}

/// The key that demo networks give a name.
pub(crate) fn key(name: &str) -> KeyPair {
    KeyPair::demo(name)
}

/// `count` validators, in canonical order once in a set.
pub(crate) fn validators(count: usize) -> ValidatorSet {
    let all = (0..count).map(|index| Validator {
        name: parse(&format!("validator_{index}")),
        public_key: KeyPair::demo(&format!("validator_{index}")).public_key(),
    });
    ValidatorSet::new(all.collect()).expect("distinct keys")
}

/// The key of the validator at a position of the canonical order.
pub(crate) fn validator_key(set: &ValidatorSet, position: usize) -> KeyPair {
    let validator = set.iter().nth(position).expect("in range");
    KeyPair::demo(validator.name.as_str())
}

fn signatory(name: &str, weight: u16) -> Signatory {
    Signatory { public_key: key(name).public_key(), weight }
}

/// A payment of `amount` from the authority.
pub(crate) fn transfer(asset: &str, to: &str, amount: &str, memo: &str) -> Instruction {
    Instruction::Transfer {
        asset: parse::<AssetId>(asset),
        from: None,
        to: parse::<AccountId>(to),
        amount: parse(amount),
        memo: parse(memo),
        invoice: None,
    }
}

fn registrations() -> Vec<Instruction> {
    let account =
        |id: &str, signatories, quorum, tier: Option<&str>| Instruction::RegisterAccount {
            id: parse(id),
            signatories: bounded(signatories),
            quorum,
            tier: tier.map(parse),
        };
    let asset = |id: &str, scale, supply_cap: Option<&str>, mintability| {
        let supply_cap = supply_cap.map(parse);
        Instruction::RegisterAsset { id: parse(id), scale, supply_cap, mintability }
    };
    let three = vec![signatory("a", 1), signatory("b", 2), signatory("c", 300)];
    vec![
        Instruction::RegisterDomain { id: parse("aclb") },
        account("sok@aclb", vec![signatory("sok@aclb", 1)], 1, None),
        account("treasury@nbc", three, 302, Some("bank")),
        asset("khr#nbc", 0, None, Mintability::Always),
        asset("usd#nbc", 2, Some("1000000000.00"), Mintability::Once),
        asset("medal#nbc", 18, None, Mintability::Never),
    ]
}

fn payments() -> Vec<Instruction> {
    vec![
        Instruction::Mint { asset: parse("usd#nbc"), to: parse("sok@aclb"), amount: parse("0.05") },
        Instruction::Burn { asset: parse("khr#nbc"), amount: parse("1000000000000") },
        transfer("khr#nbc", "dara@wing", "20000", ""),
        transfer("usd#nbc", "coffee@devb", "2.50", "កាហ្វេ, 1 coffee"),
        Instruction::Transfer {
            asset: parse("usd#nbc"),
            from: Some(parse("sok@aclb")),
            to: parse("dara@wing"),
            amount: parse("340282366920938463463374607431768211455"),
            memo: parse("all there can be"),
            invoice: Some(invoice()),
        },
    ]
}

/// A dynamic QR code's MD5, payable for five minutes.
pub(crate) fn invoice() -> Invoice {
    let id = parse("d41d8cd98f00b204e9800998ecf8427e");
    Invoice { id, expires_ms: 1_793_491_500_000 }
}

/// The other instructions, as a client writes them.
const WRITTEN: &str = include_str!("instructions.json");

/// Queries of every kind, as a client writes them.
pub(crate) const QUERIES: &str = include_str!("queries.json");

/// Every instruction, in every shape that its optional fields allow.
pub(crate) fn instructions() -> Vec<Instruction> {
    let written: Vec<Instruction> = serde_json::from_str(WRITTEN).expect("well-formed samples");
    [registrations(), payments(), written].concat()
}

/// One step of an authority.
pub(crate) fn step(authority: &str, instruction: Instruction) -> Step {
    Step { authority: parse(authority), instruction }
}

fn payload(nonce: u64, reference: Option<&str>, steps: Vec<Step>) -> Payload {
    Payload {
        chain: chain(),
        created_ms: 1_793_491_200_000,
        expires_ms: 1_793_491_260_000,
        nonce,
        reference: reference.map(parse),
        steps: bounded(steps),
    }
}

/// A simple payment, one with a reference and a memo, and a payment-versus-payment of two
/// authorities with both signatures.
pub(crate) fn transactions() -> Vec<Transaction> {
    let simple = step("sok@aclb", transfer("khr#nbc", "dara@wing", "20000", ""));
    let coffee = step("bopha@aclb", transfer("usd#nbc", "coffee@devb", "2.50", "two coffees"));
    let riel = step("bank@aclb", transfer("khr#nbc", "bank@wing", "4100000", "pvp"));
    let dollars = step("bank@wing", transfer("usd#nbc", "bank@aclb", "1000.00", "pvp"));
    vec![
        payload(1, None, vec![simple]).sign(&[&key("sok@aclb")]),
        payload(u64::MAX, Some("invoice 2026/117"), vec![coffee]).sign(&[&key("bopha@aclb")]),
        payload(7, None, vec![riel, dollars]).sign(&[&key("bank@aclb"), &key("bank@wing")]),
    ]
}
