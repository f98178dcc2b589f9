//! Vectors of what everything else is made of: numbers, names, amounts, keys, hashes, trees.

use curve25519_dalek::scalar::Scalar;
use parity_scale_codec::{Compact, Decode, Encode};
use serde_json::{Value, json};
use tonle_model::amount::Decimal;
use tonle_model::hash::{Digest256, HoldId, ProposalId, TaggedHasher, TransactionHash};
use tonle_model::id::{AccountId, AssetId, DomainId};
use tonle_model::key::{KeyPair, PublicKey, Signature};
use tonle_model::preimage::Preimage;
use tonle_model::verify::Verifier;
use tonle_model::{decode, hex, merkle, tags};

use crate::{bytes_of, scale};

/// Compact numbers at every change of form.
pub(crate) fn compact() -> Value {
    let numbers = [
        0u128,
        1,
        63,
        64,
        16_383,
        16_384,
        (1 << 30) - 1,
        1 << 30,
        u64::MAX.into(),
        (u64::MAX as u128) + 1,
        u128::MAX,
    ];
    let valid = numbers.map(|number| {
        json!({ "value": number.to_string(), "scale": hex::encode(&Compact(number).encode()) })
    });
    // The same number in a longer form than it needs is refused.
    let invalid = ["0100", "02000000", "0300000000", "13ffffffff000000", "fe"];
    for bytes in invalid {
        assert!(decode::all::<Compact<u128>>(&bytes_of(bytes)).is_err(), "{bytes}");
    }
    json!({ "valid": valid, "invalid": invalid })
}

fn id<T>(kind: &str, valid: &[&str], invalid: &[&str]) -> Value
where
    T: std::str::FromStr<Err: std::fmt::Debug> + std::fmt::Display,
    T: Encode + Decode + PartialEq + std::fmt::Debug,
{
    let valid: Vec<_> = valid
        .iter()
        .map(|text| {
            let value: T = text.parse().expect("a valid id");
            json!({ "text": value.to_string(), "scale": scale(&value) })
        })
        .collect();
    for text in invalid {
        assert!(text.parse::<T>().is_err(), "{text:?} is no {kind}");
        assert!(T::decode(&mut &text.as_bytes().encode()[..]).is_err(), "{text:?} is no {kind}");
    }
    json!({ "kind": kind, "valid": valid, "invalid": invalid })
}

/// Names of domains, accounts and assets.
pub(crate) fn ids() -> Value {
    let longest = "a".repeat(32);
    let too_long = "a".repeat(33);
    let account = format!("{}@{longest}", "b".repeat(31));
    let account_too_long = format!("{longest}@{longest}");
    json!([
        id::<DomainId>(
            "domain",
            &["nbc", "a", "0_9", &longest],
            &["", "NBC", "a-b", "é", " nbc", &too_long]
        ),
        id::<AccountId>(
            "account",
            &["sok@aclb", "a@b", &account],
            &["sok", "@aclb", "sok@", "sok@a@b", "Sok@aclb", "sok#aclb", &account_too_long]
        ),
        id::<AssetId>("asset", &["khr#nbc", "usd#nbc"], &["khr", "khr@nbc", "khr#", "#nbc"]),
    ])
}

/// Amounts as people write and sign them.
pub(crate) fn decimals() -> Value {
    let texts = ["0", "1", "20000", "0.05", "2.50", "2.5", "0.000000000000000001", "1000000000.00"];
    let largest = u128::MAX.to_string();
    let valid: Vec<_> = texts
        .into_iter()
        .chain([largest.as_str()])
        .map(|text| {
            let decimal: Decimal = text.parse().expect("a valid amount");
            assert_eq!(decimal.to_string(), text);
            json!({ "text": text, "scale": scale(&decimal) })
        })
        .collect();
    let too_large = "340282366920938463463374607431768211456";
    let too_fine = "0.0000000000000000001";
    let invalid =
        ["", ".", "1.", ".5", "-1", "+1", "1e3", "1,000", " 1", "01", too_large, too_fine];
    for text in invalid {
        assert!(text.parse::<Decimal>().is_err(), "{text:?}");
    }
    let minor = [("20000", 0), ("20000", 2), ("2.5", 2), ("2.50", 2), ("0.05", 18)];
    let minor = minor.map(|(text, asset_scale)| {
        let amount = text.parse::<Decimal>().expect("valid").to_amount(asset_scale);
        let minor = amount.expect("within the scale").minor().to_string();
        json!({ "text": text, "asset_scale": asset_scale, "minor": minor })
    });
    json!({ "valid": valid, "invalid": invalid, "minor_units": minor })
}

/// Seeds, keys and signatures; demo keys of names.
pub(crate) fn keys() -> Value {
    let message = b"tonle".as_slice();
    let entry = |name: Value, pair: KeyPair| {
        let key = pair.public_key();
        let signature = pair.sign(message);
        assert!(Verifier::new().verify(&key, message, &signature));
        json!({
            "demo_name": name,
            "seed": hex::encode(pair.seed().as_ref()),
            "public_key": key.to_string(),
            "scale": scale(&key),
            "message": hex::encode(message),
            "signature": signature.to_string(),
        })
    };
    let mut entries = vec![entry(Value::Null, KeyPair::from_seed(&[7; 32]))];
    let names = ["sok@aclb", "dara@wing", "governor@nbc", "validator_0"];
    entries.extend(names.map(|name| entry(json!(name), KeyPair::demo(name))));
    json!(entries)
}

/// What ZIP-215 accepts and refuses, where ed25519 libraries differ.
pub(crate) fn signatures() -> Value {
    let pair = KeyPair::from_seed(&[7; 32]);
    let (key, message) = (pair.public_key(), b"20000 khr".as_slice());
    let good = pair.sign(message);
    let identity = small_order_identity(0x01, 0x00);
    let odd_identity = small_order_identity(0xee, 0xff);
    let with = |change: &dyn Fn(&mut [u8; 64])| {
        let mut bytes = good.0;
        change(&mut bytes);
        Signature(bytes)
    };
    let mut zero_s = [0u8; 64];
    zero_s[..32].copy_from_slice(&identity);
    let mut odd_zero_s = zero_s;
    odd_zero_s[..32].copy_from_slice(&odd_identity);
    let cases = [
        ("one bit of R", key, with(&|bytes| bytes[0] ^= 1)),
        ("one bit of S", key, with(&|bytes| bytes[32] ^= 1)),
        ("S + L is not canonical", key, with(&add_order)),
        ("small order key and R", PublicKey(identity), Signature(zero_s)),
        ("key in non-canonical form", PublicKey(odd_identity), Signature(zero_s)),
        ("R in non-canonical form", PublicKey(identity), Signature(odd_zero_s)),
        ("key that is no point", PublicKey(not_a_point()), good),
        ("valid", key, good),
    ];
    let verifier = Verifier::new();
    let cases = cases.map(|(name, key, signature)| {
        json!({
            "case": name,
            "public_key": key.to_string(),
            "message": hex::encode(message),
            "signature": signature.to_string(),
            "valid": verifier.verify(&key, message, &signature),
            "registrable": key.check_registrable().is_ok(),
        })
    });
    let valid: Vec<_> = cases.iter().map(|case| case["valid"] == true).collect();
    assert_eq!(valid, [false, false, false, true, true, true, false, true]);
    json!(cases)
}

/// y = 1 (the identity), or y = 1 + p with the sign bit set: the same point, not canonical.
fn small_order_identity(first: u8, rest: u8) -> [u8; 32] {
    let mut bytes = [rest; 32];
    bytes[0] = first;
    bytes
}

fn not_a_point() -> [u8; 32] {
    let mut bytes = [0; 32];
    bytes[0] = 2;
    assert!(curve25519_dalek::edwards::CompressedEdwardsY(bytes).decompress().is_none());
    bytes
}

/// S + L: the same scalar, written with a number it should have been reduced by.
fn add_order(bytes: &mut [u8; 64]) {
    let order_minus_one = (-Scalar::ONE).to_bytes();
    let mut carry = 1u16;
    for (byte, order) in bytes[32..].iter_mut().zip(order_minus_one) {
        let sum = u16::from(*byte) + u16::from(order) + carry;
        *byte = (sum & 0xff) as u8;
        carry = sum >> 8;
    }
    assert_eq!(carry, 0, "S + L is below 2^256");
}

/// Tagged hashes.
pub(crate) fn hashes() -> Value {
    let all = [
        tags::CHAIN,
        tags::TRANSACTION,
        tags::QUERY,
        tags::REFERENCE,
        tags::HOLD,
        tags::GENESIS_STEP,
        tags::ACCOUNT_PROPOSAL,
        tags::BATCH_LEAF,
        tags::BATCH,
        tags::BATCH_SIGNATURE,
        tags::BLOCK,
        tags::VOTE,
        tags::PROPOSAL,
        tags::RESULT,
        tags::VALIDATORS,
        tags::RECEIPT,
        tags::STATE_LEAF,
        tags::NODE,
        tags::EMPTY,
        tags::DEMO_KEY,
    ];
    let cases = all.into_iter().flat_map(|tag| {
        ["", "746f6e6c65"].map(|input| {
            let hash = TaggedHasher::new(tag).part(bytes_of(input)).finish();
            json!({ "tag": tag, "input": input, "hash": hash.to_string() })
        })
    });
    json!(cases.collect::<Vec<_>>())
}

/// Ids of holds and proposals, and what opens a hash lock.
pub(crate) fn derived() -> Value {
    let origins = [(0x11, 0), (0xa5, 258)].map(|(byte, place)| (Digest256([byte; 32]), place));
    let holds = origins.map(|(origin, place)| {
        let id = HoldId::of(&origin, place).to_string();
        json!({ "origin": origin.to_string(), "place": place, "id": id })
    });
    let proposals = origins.map(|(origin, step)| {
        let id = ProposalId::of(&TransactionHash(origin), step).to_string();
        json!({ "transaction": origin.to_string(), "step": step, "id": id })
    });
    let preimages = [&[0; 32][..], &[7; 32], &[7; 31], &[7; 33], &[]].map(|bytes| {
        let preimage = Preimage::new(bytes).expect("short enough");
        let lock = preimage.lock();
        json!({
            "preimage": preimage.to_string(),
            "scale": scale(&preimage),
            "sha256": lock.to_string(),
            "opens": preimage.opens(&lock),
        })
    });
    json!({ "holds": holds, "preimages": preimages, "proposals": proposals })
}

/// Merkle roots of 0 to 9 leaves.
pub(crate) fn merkle() -> Value {
    let cases = (0..10u8).map(|count| {
        let leaves: Vec<_> = (1..=count).map(|number| Digest256([number; 32])).collect();
        let texts: Vec<_> = leaves.iter().map(Digest256::to_string).collect();
        json!({ "leaves": texts, "root": merkle::root(leaves).to_string() })
    });
    json!(cases.collect::<Vec<_>>())
}
