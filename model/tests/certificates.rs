//! Votes and certificates: what proves a decision, and what only looks like it.

use tonle_model::bounded::Bounded;
use tonle_model::hash::{BlockHash, ChainHash, Digest256, ResultHash};
use tonle_model::key::{KeyPair, Signature};
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::validators::{Validator, ValidatorSet};
use tonle_model::verify::Verifier;
use tonle_model::vote::{Ballot, Certificate, CertificateError, Vote, VoteKind};

const CHAIN: ChainHash = ChainHash(Digest256([1; 32]));
const BLOCK: BlockHash = BlockHash(Digest256([2; 32]));

fn validators(count: usize) -> (ValidatorSet, Vec<KeyPair>) {
    let names: Vec<String> = (0..count).map(|index| format!("validator_{index}")).collect();
    let validator = |name: &String| Validator {
        name: name.parse().unwrap(),
        public_key: KeyPair::demo(name).public_key(),
    };
    let set = ValidatorSet::new(names.iter().map(validator).collect()).unwrap();
    let mut keys: Vec<KeyPair> = names.iter().map(|name| KeyPair::demo(name)).collect();
    keys.sort_by_key(KeyPair::public_key);
    (set, keys)
}

fn ballot(kind: VoteKind) -> Ballot {
    Ballot { height: Height(5), view: View(1), kind }
}

fn certificate(keys: &[KeyPair], signers: &[u16], kind: VoteKind) -> Certificate {
    let votes: Vec<(ValidatorIndex, Signature)> = signers
        .iter()
        .map(|index| {
            let signer = ValidatorIndex(*index);
            let vote = Vote::sign(ballot(kind), &CHAIN, signer, &keys[signer.position()]);
            (signer, vote.signature)
        })
        .collect();
    Certificate::assemble(ballot(kind), &votes, keys.len())
}

#[test]
fn a_quorum_of_equal_votes_is_a_certificate() {
    let verifier = Verifier::new();
    for count in [1, 4, 7, 10] {
        let (set, keys) = validators(count);
        let signers: Vec<u16> = (0..set.quorum() as u16).collect();
        let certificate = certificate(&keys, &signers, VoteKind::Notarize { block: BLOCK });
        assert_eq!(certificate.verify(&CHAIN, &set, &verifier), Ok(()));
        let back: Vec<u16> = certificate.signers().map(|signer| signer.0).collect();
        assert_eq!(back, signers);
    }
}

#[test]
fn kinds_heights_views_and_networks_do_not_share_signatures() {
    let result = ResultHash::default();
    let kinds = [
        VoteKind::Notarize { block: BLOCK },
        VoteKind::Nullify,
        VoteKind::Finalize { block: BLOCK, result },
    ];
    let mut hashes: Vec<Digest256> =
        kinds.iter().map(|kind| ballot(*kind).signing_hash(&CHAIN)).collect();
    let nullify = ballot(VoteKind::Nullify);
    hashes.push(Ballot { height: Height(6), ..nullify }.signing_hash(&CHAIN));
    hashes.push(Ballot { view: View(2), ..nullify }.signing_hash(&CHAIN));
    hashes.push(nullify.signing_hash(&ChainHash::default()));
    let count = hashes.len();
    hashes.sort();
    hashes.dedup();
    assert_eq!(hashes.len(), count);
}

#[test]
fn what_only_looks_like_a_certificate_is_refused() {
    let (set, keys) = validators(4);
    let verifier = Verifier::new();
    let check = |certificate: &Certificate| certificate.verify(&CHAIN, &set, &verifier);
    let good = certificate(&keys, &[0, 1, 3], VoteKind::Nullify);
    assert_eq!(check(&good), Ok(()));
    let bitmap =
        |bytes: Vec<u8>| Certificate { signers: Bounded::new(bytes).unwrap(), ..good.clone() };
    let refused = Err(CertificateError::NotCanonical);
    assert_eq!(check(&bitmap(vec![0b0001_1011])), refused, "a validator that does not exist");
    assert_eq!(check(&bitmap(vec![0b0000_1011, 0])), refused, "a spare byte");
    assert_eq!(check(&bitmap(vec![])), refused, "no bitmap");
    assert_eq!(check(&bitmap(vec![0b0000_1111])), refused, "a signer without a signature");

    let mut spare = good.signatures.to_vec();
    spare.push(spare[0]);
    let spare = Certificate { signatures: Bounded::new(spare).unwrap(), ..good.clone() };
    assert_eq!(check(&spare), refused, "a signature without a signer");

    let mut swapped = good.signatures.to_vec();
    swapped.swap(0, 1);
    let swapped = Certificate { signatures: Bounded::new(swapped).unwrap(), ..good.clone() };
    assert_eq!(check(&swapped), Err(CertificateError::Signature));
    let other = Certificate { ballot: ballot(VoteKind::Notarize { block: BLOCK }), ..good.clone() };
    assert_eq!(check(&other), Err(CertificateError::Signature));
    assert!(good.verify(&ChainHash::default(), &set, &verifier).is_err());
}

#[test]
fn exactly_a_quorum_signs_not_more_and_not_less() {
    let (set, keys) = validators(4);
    let verifier = Verifier::new();
    let signed = |signers: &[u16]| {
        let vote = |index: &u16| {
            let signer = ValidatorIndex(*index);
            Vote::sign(ballot(VoteKind::Nullify), &CHAIN, signer, &keys[signer.position()])
        };
        let bits = signers.iter().fold(0u8, |bits, signer| bits | 1 << signer);
        Certificate {
            ballot: ballot(VoteKind::Nullify),
            signers: Bounded::new(vec![bits]).unwrap(),
            signatures: Bounded::new(signers.iter().map(|one| vote(one).signature).collect())
                .unwrap(),
        }
    };
    for signers in [&[0, 1][..], &[0, 1, 2, 3]] {
        let error = CertificateError::NotQuorum { signers: signers.len(), quorum: 3 };
        assert_eq!(signed(signers).verify(&CHAIN, &set, &verifier), Err(error));
    }
}

#[test]
fn a_vote_is_its_signers_alone() {
    let (set, keys) = validators(4);
    let verifier = Verifier::new();
    let vote = Vote::sign(ballot(VoteKind::Nullify), &CHAIN, ValidatorIndex(2), &keys[2]);
    assert!(vote.verify(&CHAIN, &set, &verifier));
    assert!(!Vote { signer: ValidatorIndex(1), ..vote }.verify(&CHAIN, &set, &verifier));
    assert!(!Vote { signer: ValidatorIndex(4), ..vote }.verify(&CHAIN, &set, &verifier));
}
