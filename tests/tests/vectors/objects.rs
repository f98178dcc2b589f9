//! Vectors of what travels and is signed: instructions, transactions, batches, blocks, votes.

use bytes::Bytes;
use parity_scale_codec::Encode;
use serde_json::{Value, json};
use tonle_model::batch::Batch;
use tonle_model::block::{BlockResult, Header};
use tonle_model::genesis::Genesis;
use tonle_model::hash::{Digest256, ResultHash, TaggedHasher};
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::query::{Query, QueryPayload};
use tonle_model::receipt::{Outcome, Receipt, RejectionCode, VoidCode};
use tonle_model::transaction::SignedTransaction;
use tonle_model::validators::ValidatorSet;
use tonle_model::verified::Verified;
use tonle_model::verify::Verifier;
use tonle_model::vote::{Ballot, Certificate, Justification, Proposal, Status, Vote, VoteKind};
use tonle_model::{hex, merkle, tags};

use crate::samples::{bounded, chain, key, validator_key, validators};
use crate::{both, samples, scale, to_json};

fn hash_of(text: &str) -> Digest256 {
    TaggedHasher::new("tonle.vectors").part(text).finish()
}

/// Every instruction in both forms.
pub(crate) fn instructions() -> Value {
    json!(samples::instructions().iter().map(both).collect::<Vec<_>>())
}

fn signed() -> Vec<SignedTransaction> {
    let all = samples::transactions();
    all.iter().map(|one| SignedTransaction::from_transaction(one).expect("well-formed")).collect()
}

/// Payloads, their hashes, and the signed transactions.
pub(crate) fn transactions() -> Value {
    let verifier = Verifier::new();
    let cases = signed().into_iter().map(|one| {
        assert!(one.verify(&verifier));
        json!({
            "json": to_json(one.transaction()),
            "payload_scale": scale(one.payload()),
            "hash": one.hash().to_string(),
            "scale": scale(one.transaction()),
            "batch_leaf": one.leaf().to_string(),
        })
    });
    json!(cases.collect::<Vec<_>>())
}

/// Signed queries: of each kind one, and a history with every filter.
pub(crate) fn queries() -> Value {
    let queries: Vec<Query> = serde_json::from_str(samples::QUERIES).expect("well-formed samples");
    let cases = queries.into_iter().zip(1u64..).map(|(query, nonce)| {
        let payload = QueryPayload {
            chain: chain(),
            account: samples::parse("sok@aclb"),
            created_ms: 1_793_491_200_000,
            nonce,
            query,
        };
        let signed = payload.sign(&[&key("sok@aclb")]);
        assert!(signed.verify(&Verifier::new()));
        let hash = signed.payload.hash().to_string();
        json!({ "json": to_json(&signed), "scale": scale(&signed), "hash": hash })
    });
    json!(cases.collect::<Vec<_>>())
}

fn batch(seq: u64, members: &[SignedTransaction]) -> Batch {
    let verifier = Verifier::new();
    let members: Vec<_> = members.iter().cloned().map(|one| verified(one, &verifier)).collect();
    let sealed = Batch::seal(&chain(), &key("validator_0"), seq, members);
    let bytes = sealed.bytes().clone();
    let decoded = Batch::decode(&chain(), bytes).expect("what was sealed decodes");
    assert_eq!(decoded.digest(), sealed.digest());
    decoded.clone().verify(&chain(), &verifier).expect("what was sealed verifies");
    decoded
}

fn verified(one: SignedTransaction, verifier: &Verifier) -> Verified<SignedTransaction> {
    assert!(one.verify(verifier));
    Verified::vouch(one)
}

/// Batches with digest, signing hash and signature.
pub(crate) fn batches() -> Value {
    let all = signed();
    let cases = [batch(0, &all[..1]), batch(41, &all)].map(|batch| {
        let digest = batch.digest();
        let hasher = TaggedHasher::new(tags::BATCH_SIGNATURE);
        let signing_hash = hasher.part(chain()).part(digest).finish();
        let author = batch.author();
        assert!(Verifier::new().verify(author, signing_hash.as_ref(), batch.signature()));
        let members: Vec<_> =
            batch.transactions().iter().map(|one| to_json(one.transaction())).collect();
        json!({
            "chain": chain().to_string(),
            "author": author.to_string(),
            "seq": batch.reference().seq,
            "transactions": members,
            "scale": hex::encode(batch.bytes()),
            "digest": digest.to_string(),
            "signing_hash": signing_hash.to_string(),
            "signature": batch.signature().to_string(),
            "reference": both(&batch.reference()),
        })
    });
    let mut twice = cases[0]["scale"].as_str().map(crate::bytes_of).expect("hex");
    twice.push(0);
    assert!(Batch::decode(&chain(), Bytes::from(twice)).is_err(), "a byte too many");
    json!(cases)
}

fn header() -> Header {
    let all = signed();
    Header {
        chain: chain(),
        height: Height(12),
        parent: tonle_model::hash::BlockHash(hash_of("parent")),
        parent_result: ResultHash(hash_of("parent result")),
        timestamp_ms: 1_793_491_205_000,
        proposer: ValidatorIndex(3),
        proposed_view: View(1),
        batches: bounded(vec![batch(0, &all[..1]).reference(), batch(41, &all).reference()]),
    }
}

/// Headers and block hashes.
pub(crate) fn blocks() -> Value {
    let headers = [Header::genesis(chain(), 1_793_491_200_000), header()];
    json!(headers.map(|header| {
        let hash = header.hash().to_string();
        json!({ "json": to_json(&header), "scale": scale(&header), "hash": hash })
    }))
}

fn ballot(kind: VoteKind) -> Ballot {
    Ballot { height: Height(12), view: View(1), kind }
}

fn kinds() -> [VoteKind; 3] {
    let block = header().hash();
    let result = block_result().hash();
    [VoteKind::Notarize { block }, VoteKind::Nullify, VoteKind::Finalize { block, result }]
}

fn certificate(ballot: Ballot, set: &ValidatorSet) -> Certificate {
    // The last q of n, so that the bitmap begins with a zero.
    let first = set.count() - set.quorum();
    let votes: Vec<_> = (first..set.count())
        .map(|position| {
            let index = ValidatorIndex(u16::try_from(position).expect("a small set"));
            let vote = Vote::sign(ballot, &chain(), index, &validator_key(set, position));
            (index, vote.signature)
        })
        .collect();
    let certificate = Certificate::assemble(ballot, &votes, set.count());
    certificate.verify(&chain(), set, &Verifier::new()).expect("a quorum signed");
    certificate
}

/// Ballots of each kind with votes, certificates, a proposal and statuses.
pub(crate) fn votes() -> Value {
    let set = validators(4);
    let ballots = kinds().map(|kind| {
        let ballot = ballot(kind);
        let vote = Vote::sign(ballot, &chain(), ValidatorIndex(2), &validator_key(&set, 2));
        assert!(vote.verify(&chain(), &set, &Verifier::new()));
        json!({
            "ballot": both(&ballot),
            "signing_hash": ballot.signing_hash(&chain()).to_string(),
            "vote": both(&vote),
        })
    });
    let sets = [1, 4, 9].map(validators);
    let certificates: Vec<_> = sets
        .iter()
        .map(|set| {
            let [notarize, ..] = kinds();
            json!({
                "validators": to_json_set(set),
                "quorum": set.quorum(),
                "certificate": both(&certificate(ballot(notarize), set)),
            })
        })
        .collect();
    json!({
        "chain": chain().to_string(),
        "validators": to_json_set(&set),
        "ballots": ballots,
        "certificates": certificates,
        "proposal": proposal(&set),
        "statuses": statuses(&set),
    })
}

fn to_json_set(set: &ValidatorSet) -> Value {
    json!({
        "json": serde_json::to_value(set).expect("JSON"),
        "scale": scale(set),
        "hash": set.hash().to_string(),
    })
}

fn proposal(set: &ValidatorSet) -> Value {
    let at = |view: u32, kind: VoteKind| Ballot { height: Height(12), view: View(view), kind };
    let header = header();
    let [notarize, nullify, _] = kinds();
    let justification = Justification {
        notarization: Some(certificate(at(1, notarize), set)),
        nullifications: bounded(vec![certificate(at(2, nullify), set)]),
    };
    let view = View(3);
    let signing_hash = Proposal::signing_hash(&chain(), header.height, view, &header.hash());
    let signature = validator_key(set, 1).sign(signing_hash.as_ref());
    let notarization = to_json(justification.notarization.as_ref().expect("just made"));
    let nullifications: Vec<_> = justification.nullifications.iter().map(to_json).collect();
    let header_json = to_json(&header);
    let proposal = Proposal { height: header.height, view, header, justification, signature };
    json!({
        "height": proposal.height,
        "view": view,
        "header": header_json,
        "notarization": notarization,
        "nullifications": nullifications,
        "signer": validator_key(set, 1).public_key().to_string(),
        "signature": signature.to_string(),
        "scale": scale(&proposal),
        "signing_hash": signing_hash.to_string(),
    })
}

fn statuses(set: &ValidatorSet) -> Value {
    let [notarize, ..] = kinds();
    let vote = Vote::sign(ballot(notarize), &chain(), ValidatorIndex(0), &validator_key(set, 0));
    let cases = [None, Some(vote)].map(|latest_of_receiver| {
        let status = Status { height: Height(13), view: View(0), latest_of_receiver };
        json!({
            "height": status.height,
            "view": status.view,
            "latest_of_receiver": latest_of_receiver.as_ref().map(to_json),
            "scale": scale(&status),
        })
    });
    json!(cases)
}

fn receipt_list() -> Vec<Receipt> {
    let rejected = |code, step| Outcome::Rejected { code, step };
    let outcomes = [
        Outcome::Applied,
        rejected(RejectionCode::InsufficientBalance, 0),
        rejected(RejectionCode::Internal, 258),
    ];
    let all = signed();
    let pairs = all.iter().zip(outcomes);
    pairs.map(|(one, outcome)| Receipt { transaction: one.hash(), outcome }).collect()
}

fn block_result() -> BlockResult {
    BlockResult {
        state_root: hash_of("state"),
        receipts_root: merkle::root(receipt_list().iter().map(Receipt::leaf).collect()),
        next_validators: validators(4).hash(),
    }
}

/// Outcomes, receipts, their root, the result, and every code with its byte.
pub(crate) fn receipts() -> Value {
    let receipts = receipt_list();
    let cases: Vec<_> = receipts
        .iter()
        .map(|receipt| {
            json!({
                "json": to_json(receipt),
                "scale": scale(receipt),
                "leaf": receipt.leaf().to_string(),
            })
        })
        .collect();
    let result = block_result();
    json!({
        "rejection_codes": RejectionCode::ALL.iter().map(both).collect::<Vec<_>>(),
        "void_codes": VoidCode::ALL.iter().map(both).collect::<Vec<_>>(),
        "receipts": cases,
        "result": {
            "json": to_json(&result),
            "scale": scale(&result),
            "hash": result.hash().to_string(),
        },
    })
}

/// A small genesis in full, and the chain hash of the demo network.
pub(crate) fn genesis() -> Value {
    let small = json!({
        "name": "vectors",
        "demo": true,
        "created_ms": 1_793_491_200_000u64,
        "parameters": {
            "delta_ms": 400,
            "max_ttl_ms": 600_000,
            "public_reads": "all",
            "operator": "governor@nbc",
            "utc_offset_min": -210,
        },
        "validators": validators(4),
        "steps": [
            { "authority": "governor@nbc", "instruction": { "register_domain": { "id": "nbc" } } },
        ],
    });
    let genesis = Genesis::from_json(&small.to_string()).expect("a valid genesis");
    let demo = Genesis::from_json(include_str!("../../../genesis.json")).expect("valid");
    json!({
        "json": small,
        "scale": scale(&genesis),
        "chain": genesis.chain().to_string(),
        "demo_chain": demo.chain().to_string(),
        "demo_bytes": demo.encode().len(),
    })
}
