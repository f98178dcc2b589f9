//! What peers and clients send in SCALE or JSON: whatever is taken has one encoding, and says the
//! same in the other form.

use std::fmt::Debug;
use std::sync::LazyLock;

use bytes::Bytes;
use parity_scale_codec::{Compact, Decode, Encode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tonle_model::batch::{Batch, verify_author};
use tonle_model::block::BatchRef;
use tonle_model::decode;
use tonle_model::genesis::Genesis;
use tonle_model::hash::{BatchDigest, ChainHash, Digest256};
use tonle_model::key::KeyPair;
use tonle_model::query::SignedQuery;
use tonle_model::transaction::{SignedTransaction, Transaction};
use tonle_model::verify::{Claim, Verifier};
use tonle_node::wire::{Announcement, Wire};

/// The network of the conformance vectors, from which the seeds come.
static CHAIN: LazyLock<ChainHash> = LazyLock::new(|| {
    let hash = "2c2d05ffbbafd1b5b1bfeed6a524ce537de72c5ba9033b7efa193b1b2c65a150";
    hash.parse().expect("64 digits")
});

/// A value's JSON reads as that value.
fn json_keeps<T: Serialize + DeserializeOwned + PartialEq + Debug>(value: &T) {
    let json = serde_json::to_string(value).expect("every value has a JSON form");
    assert_eq!(&serde_json::from_str::<T>(&json).expect("what was written reads"), value);
}

/// What is taken from bytes has those bytes and no others.
fn decoded<T: Decode + Encode>(bytes: &[u8]) -> Option<T> {
    let value = decode::all::<T>(bytes).ok()?;
    assert_eq!(value.encode(), bytes, "one value has one encoding");
    Some(value)
}

/// Signatures checked together are valid exactly if each is alone.
fn all_alone(claims: &[Claim<'_>]) -> bool {
    let verifier = Verifier::new();
    let alone = |one: &Claim<'_>| verifier.verify(one.public_key, one.message, one.signature);
    let invalid: Vec<_> = (0..claims.len()).filter(|at| !alone(&claims[*at])).collect();
    let together = verifier.verify_batch(claims);
    assert_eq!(together.err().unwrap_or_default(), invalid, "the batch blames who is to blame");
    invalid.is_empty()
}

/// Transactions, one or a list, as Torii takes them.
pub fn transaction(bytes: &[u8]) -> bool {
    let scale = SignedTransaction::decode(Bytes::copy_from_slice(bytes)).ok();
    if let Some(signed) = &scale {
        assert_eq!(signed.transaction().encode(), bytes, "one transaction has one encoding");
        assert_eq!(signed.bytes(), bytes);
        assert_eq!(signed.hash(), signed.payload().hash());
        assert_eq!(
            all_alone(&signed.claims().collect::<Vec<_>>()),
            signed.verify(&Verifier::new())
        );
        json_keeps(signed.transaction());
    }
    let json = serde_json::from_slice::<Transaction>(bytes).ok();
    if let Some(transaction) = &json {
        json_keeps(transaction);
        if let Ok(signed) = SignedTransaction::from_transaction(transaction) {
            assert_eq!(signed.transaction(), transaction);
        }
    }
    // One after the other, as in a list: they take up all of what they are taken from.
    let mut rest = Bytes::copy_from_slice(bytes);
    let mut taken = Vec::new();
    while let Ok(signed) = SignedTransaction::decode_first(&mut rest) {
        taken.extend_from_slice(signed.bytes());
    }
    assert_eq!([&taken[..], &rest[..]].concat(), bytes);
    scale.is_some() || json.is_some()
}

/// Batches of other validators.
pub fn batch(bytes: &[u8]) -> bool {
    let Ok(batch) = Batch::decode(&CHAIN, Bytes::copy_from_slice(bytes)) else { return false };
    let members = batch.transactions();
    let mut again = (batch.author(), batch.reference().seq).encode();
    Compact(members.len() as u32).encode_to(&mut again);
    members.iter().for_each(|member| again.extend_from_slice(&member.transaction().encode()));
    batch.signature().encode_to(&mut again);
    assert_eq!(again, bytes, "one batch has one encoding");
    assert!(members.iter().all(|member| member.payload().chain == *CHAIN));
    let mut leaves: Vec<_> = members.iter().map(SignedTransaction::leaf).collect();
    leaves.sort_unstable();
    leaves.dedup();
    assert_eq!(leaves.len(), members.len(), "nothing stands in it twice");
    let reference = batch.reference();
    assert_eq!((reference.author, reference.digest), (*batch.author(), batch.digest()));
    assert_eq!(reference.tx_count as usize, members.len());
    let verifier = Verifier::new();
    let author = verify_author(&CHAIN, &reference, batch.signature(), &verifier);
    let claims: Vec<_> = members.iter().flat_map(SignedTransaction::claims).collect();
    let valid = author && all_alone(&claims);
    assert_eq!(batch.clone().verify(&CHAIN, &verifier).is_ok(), valid);
    true
}

/// Frames between nodes.
pub fn wire(bytes: &[u8]) -> bool {
    let frame = Bytes::copy_from_slice(bytes);
    let Ok(wire) = Wire::from_frame(&frame) else { return false };
    assert_eq!(wire.to_frame(), frame, "one message has one frame");
    assert_eq!(Wire::from_frame(&wire.to_frame()), Ok(wire));
    true
}

/// What is gossiped: no bit of a signed name can be changed by whoever relays it.
pub fn announcement(bytes: &[u8]) -> bool {
    let raw = decoded::<Announcement>(bytes);
    let key = KeyPair::demo("validator_0");
    let (author, digest) = (key.public_key(), BatchDigest(Digest256([7; 32])));
    let batch = tonle_model::tags::BATCH_SIGNATURE;
    let message = tonle_model::hash::TaggedHasher::new(batch).part(*CHAIN).part(digest).finish();
    let reference = BatchRef { digest, author, seq: 3, tx_count: 5 };
    let honest = Announcement { reference, signature: key.sign(message.as_ref()) };
    let mask = bytes.iter().copied().chain(std::iter::repeat(0));
    let relayed: Vec<_> = honest.encode().iter().zip(mask).map(|(one, bit)| one ^ bit).collect();
    let relayed = decoded::<Announcement>(&relayed).expect("its fields are of fixed length");
    let valid = verify_author(&CHAIN, &relayed.reference, &relayed.signature, &Verifier::new());
    // Another author may sign what it likes. Number and count are under the digest, where they are
    // checked once the batch is there.
    if relayed.reference.author == author {
        let same = relayed.reference.digest == digest && relayed.signature == honest.signature;
        assert_eq!(valid, same, "signed is what was signed");
    }
    raw.is_some()
}

/// Signed questions to Torii.
pub fn query(bytes: &[u8]) -> bool {
    let json = serde_json::from_slice::<SignedQuery>(bytes).ok();
    let scale = decoded::<SignedQuery>(bytes);
    let Some(query) = json.or(scale) else { return false };
    json_keeps(&query);
    assert_eq!(decode::all::<SignedQuery>(&query.encode()).as_ref(), Ok(&query));
    let hash = query.payload.hash();
    let claim = |signed: &'_ tonle_model::transaction::TransactionSignature| {
        (signed.public_key, signed.signature)
    };
    let signed: Vec<_> = query.signatures.iter().map(claim).collect();
    let claims: Vec<_> = signed
        .iter()
        .map(|(public_key, signature)| Claim { public_key, message: hash.as_ref(), signature })
        .collect();
    let valid = !claims.is_empty() && all_alone(&claims);
    assert_eq!(query.verify(&Verifier::new()), valid);
    true
}

/// The file that names a network.
pub fn genesis(bytes: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(bytes) else { return false };
    let Ok(genesis) = Genesis::from_json(text) else { return false };
    let json = serde_json::to_string(&genesis).expect("every genesis has a JSON form");
    let again = Genesis::from_json(&json).expect("what was written reads");
    assert_eq!(again, genesis);
    assert_eq!(again.chain(), genesis.chain(), "one genesis names one network");
    assert_eq!(Genesis::decode(&mut &genesis.encode()[..]).as_ref(), Ok(&genesis));
    let keys: Vec<_> = genesis.validators.iter().map(|validator| validator.public_key).collect();
    assert!(!keys.is_empty() && keys.windows(2).all(|pair| pair[0] < pair[1]));
    true
}
