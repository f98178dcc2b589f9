//! Transactions and batches as strangers send them: what is well-formed, and who is to blame.

use bytes::Bytes;
use parity_scale_codec::{Compact, Encode};
use proptest::prelude::*;
use tonle_model::batch::{Batch, BatchError};
use tonle_model::bounded::Bounded;
use tonle_model::hash::{ChainHash, Digest256};
use tonle_model::instruction::Instruction;
use tonle_model::key::{KeyPair, Signature};
use tonle_model::limits;
use tonle_model::transaction::{
    FormError, Payload, SignedTransaction, Step, Transaction, TransactionSignature,
};
use tonle_model::verified::Verified;
use tonle_model::verify::Verifier;

const CHAIN: ChainHash = ChainHash(Digest256([7; 32]));

fn payload(nonce: u64) -> Payload {
    let instruction = Instruction::Transfer {
        asset: "khr#nbc".parse().unwrap(),
        from: None,
        to: "dara@wing".parse().unwrap(),
        amount: "20000".parse().unwrap(),
        memo: "lunch".parse().unwrap(),
        invoice: None,
    };
    let step = Step { authority: "sok@aclb".parse().unwrap(), instruction };
    let steps = Bounded::new(vec![step]).unwrap();
    Payload { chain: CHAIN, created_ms: 1_000, expires_ms: 61_000, nonce, reference: None, steps }
}

fn signed(nonce: u64) -> Transaction {
    payload(nonce).sign(&[&KeyPair::demo("sok@aclb")])
}

fn verified(nonce: u64) -> Verified<SignedTransaction> {
    Verified::vouch(SignedTransaction::from_transaction(&signed(nonce)).unwrap())
}

fn form_error(transaction: &Transaction) -> FormError {
    SignedTransaction::from_transaction(transaction).unwrap_err()
}

#[test]
fn bytes_are_kept_as_they_came_and_hashes_do_not_depend_on_signatures() {
    let transaction = signed(1);
    let bytes: Bytes = transaction.encode().into();
    let decoded = SignedTransaction::decode(bytes.clone()).unwrap();
    assert_eq!(decoded.bytes(), &bytes);
    assert_eq!(decoded.transaction(), &transaction);
    assert_eq!(decoded.hash(), transaction.payload.hash());
    assert!(decoded.verify(&Verifier::new()));

    let other = payload(1).sign(&[&KeyPair::demo("dara@wing")]);
    let other = SignedTransaction::from_transaction(&other).unwrap();
    assert_eq!(other.hash(), decoded.hash());
    assert_ne!(other.leaf(), decoded.leaf(), "copies with other signatures are other leaves");
}

#[test]
fn json_and_scale_are_two_forms_of_one_thing() {
    let transaction = signed(1);
    let json = serde_json::to_string(&transaction).unwrap();
    assert!(json.contains(r#""amount":"20000""#), "{json}");
    assert_eq!(serde_json::from_str::<Transaction>(&json).unwrap(), transaction);
    let unknown = json.replace(r#""memo""#, r#""mmo""#);
    assert!(serde_json::from_str::<Transaction>(&unknown).is_err(), "misspelt fields are errors");
}

#[test]
fn every_ill_form_has_its_name() {
    let key = KeyPair::demo("sok@aclb");
    let mut nothing_to_do = payload(1);
    nothing_to_do.steps = Bounded::default();
    assert_eq!(form_error(&nothing_to_do.sign(&[&key])), FormError::NoSteps);
    assert_eq!(form_error(&payload(1).sign(&[])), FormError::NoSignatures);
    let twice = payload(1).sign(&[&key, &key]);
    assert_eq!(form_error(&twice), FormError::RepeatedSignature(key.public_key()));
    let mut backwards = payload(1);
    backwards.expires_ms = backwards.created_ms - 1;
    assert_eq!(form_error(&backwards.sign(&[&key])), FormError::EmptyWindow);

    let mut large = payload(1);
    let memo = "x".repeat(limits::MEMO_BYTES_MAX).parse().unwrap();
    let mut step = large.steps[0].clone();
    if let Instruction::Transfer { memo: field, .. } = &mut step.instruction {
        *field = memo;
    }
    let with_steps = |count| Bounded::new(vec![step.clone(); count]);
    assert!(with_steps(limits::STEPS_MAX + 1).is_err(), "257 steps");
    large.steps = with_steps(limits::STEPS_MAX).unwrap();
    assert!(SignedTransaction::from_transaction(&large.sign(&[&key])).is_ok());
}

#[test]
fn a_transaction_past_its_length_is_refused() {
    let transfer = |amount: &str| Instruction::Transfer {
        asset: format!("{0}#{1}", "a".repeat(31), "b".repeat(32)).parse().unwrap(),
        from: Some(format!("{0}@{1}", "a".repeat(31), "b".repeat(32)).parse().unwrap()),
        to: format!("{0}@{1}", "c".repeat(31), "b".repeat(32)).parse().unwrap(),
        amount: amount.parse().unwrap(),
        memo: "m".repeat(limits::MEMO_BYTES_MAX).parse().unwrap(),
        invoice: None,
    };
    let step = Step { authority: "sok@aclb".parse().unwrap(), instruction: transfer("1") };
    let mut long = payload(1);
    long.steps = Bounded::new(vec![step; limits::STEPS_MAX]).unwrap();
    let error = form_error(&long.sign(&[&KeyPair::demo("sok@aclb")]));
    assert!(
        matches!(error, FormError::TooLarge { length } if length > limits::TRANSACTION_BYTES_MAX)
    );
}

#[test]
fn bytes_that_are_not_canonical_or_not_all_of_it_are_refused() {
    let bytes = signed(1).encode();
    for length in 0..bytes.len() {
        let cut = Bytes::copy_from_slice(&bytes[..length]);
        assert!(SignedTransaction::decode(cut).is_err(), "cut at {length}");
    }
    let mut longer = bytes.clone();
    longer.push(0);
    assert!(SignedTransaction::decode(longer.into()).is_err(), "a byte too many");
    // The count of steps, 1, in four bytes instead of one.
    let payload_head = payload(1).chain.encode().len() + 3 * 8 + 1;
    let mut padded = bytes.clone();
    assert_eq!(padded[payload_head], 4);
    padded.splice(payload_head..=payload_head, [6, 0, 0, 0]);
    assert!(SignedTransaction::decode(padded.into()).is_err(), "a padded compact number");
}

#[test]
fn a_batch_is_what_its_author_sealed() {
    let author = KeyPair::demo("validator_0");
    let sealed = Batch::seal(&CHAIN, &author, 9, vec![verified(1), verified(2)]);
    let decoded = Batch::decode(&CHAIN, sealed.bytes().clone()).unwrap();
    assert_eq!(decoded.digest(), sealed.digest());
    assert_eq!(decoded.reference().tx_count, 2);
    assert_eq!(decoded.transactions()[1].hash(), sealed.transactions()[1].hash());
    assert!(decoded.verify(&CHAIN, &Verifier::new()).is_ok());
}

fn batch_bytes(
    author: &KeyPair,
    seq: u64,
    members: &[Transaction],
    signature: &Signature,
) -> Bytes {
    let head = (author.public_key(), seq, Compact(members.len() as u32)).encode();
    let members = members.iter().flat_map(Encode::encode);
    head.into_iter().chain(members).chain(signature.encode()).collect()
}

#[test]
fn every_bad_batch_has_its_name() {
    let author = KeyPair::demo("validator_0");
    let none = Signature([0; 64]);
    let decode = |members: &[Transaction]| {
        Batch::decode(&CHAIN, batch_bytes(&author, 1, members, &none)).map(|batch| batch.digest())
    };
    assert_eq!(decode(&[]), Err(BatchError::Count { count: 0 }));
    assert_eq!(decode(&[signed(1), signed(1)]), Err(BatchError::Repeated { position: 1 }));
    let mut elsewhere = payload(2);
    elsewhere.chain = ChainHash::default();
    let elsewhere = elsewhere.sign(&[&KeyPair::demo("sok@aclb")]);
    assert_eq!(decode(&[signed(1), elsewhere]), Err(BatchError::Chain { position: 1 }));
    let unsigned = payload(3).sign(&[]);
    let error = FormError::NoSignatures;
    assert_eq!(decode(&[unsigned]), Err(BatchError::Transaction { position: 0, error }));
    let large = Bytes::from(vec![0; limits::BATCH_BYTES_MAX + 1]);
    assert!(matches!(Batch::decode(&CHAIN, large), Err(BatchError::TooLarge { .. })));
    assert!(matches!(Batch::decode(&CHAIN, Bytes::new()), Err(BatchError::Malformed(_))));
}

#[test]
fn one_bad_signature_makes_a_batch_invalid() {
    let (author, verifier) = (KeyPair::demo("validator_0"), Verifier::new());
    let sealed = Batch::seal(&CHAIN, &author, 1, vec![verified(1), verified(2)]);
    let check =
        |bytes: Bytes| Batch::decode(&CHAIN, bytes).unwrap().verify(&CHAIN, &verifier).map(|_| ());
    let mut author_flipped = sealed.bytes().to_vec();
    *author_flipped.last_mut().unwrap() ^= 1;
    assert_eq!(check(author_flipped.into()), Err(BatchError::AuthorSignature));

    let mut members = [signed(1), signed(2)];
    let forged = TransactionSignature {
        public_key: members[1].signatures[0].public_key,
        signature: members[0].signatures[0].signature,
    };
    members[1].signatures = Bounded::new(vec![forged]).unwrap();
    let members = members
        .iter()
        .map(|member| Verified::vouch(SignedTransaction::from_transaction(member).unwrap()));
    let lying = Batch::seal(&CHAIN, &author, 1, members.collect());
    assert_eq!(check(lying.bytes().clone()), Err(BatchError::TransactionSignature));
}

#[test]
fn nobody_can_renumber_recount_or_reauthor_a_batch() {
    let author = KeyPair::demo("validator_0");
    let sealed = Batch::seal(&CHAIN, &author, 1, vec![verified(1), verified(2)]);
    let members: Vec<Transaction> =
        sealed.transactions().iter().map(|member| member.transaction().clone()).collect();
    let digest = |key: &KeyPair, seq, members: &[Transaction]| {
        let bytes = batch_bytes(key, seq, members, sealed.signature());
        Batch::decode(&CHAIN, bytes).unwrap().digest()
    };
    assert_eq!(digest(&author, 1, &members), sealed.digest());
    assert_ne!(digest(&author, 2, &members), sealed.digest());
    assert_ne!(digest(&KeyPair::demo("validator_1"), 1, &members), sealed.digest());
    assert_ne!(digest(&author, 1, &members[..1]), sealed.digest());
    let swapped = [members[1].clone(), members[0].clone()];
    assert_ne!(digest(&author, 1, &swapped), sealed.digest());
}

proptest! {
    #[test]
    fn whatever_decodes_encodes_to_the_same_bytes(
        flips in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..4)
    ) {
        let mut bytes = signed(1).encode();
        for (index, value) in flips {
            let position = index.index(bytes.len());
            bytes[position] = value;
        }
        if let Ok(decoded) = SignedTransaction::decode(bytes.clone().into()) {
            prop_assert_eq!(decoded.transaction().encode(), bytes);
        }
    }

    #[test]
    fn garbage_is_refused_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        let _transaction = SignedTransaction::decode(bytes.clone().into());
        let _batch = Batch::decode(&CHAIN, bytes.into());
    }
}
