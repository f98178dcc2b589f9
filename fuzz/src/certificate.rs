//! The certificate verifier: it accepts exactly a quorum of distinct validators that signed this.

use std::sync::LazyLock;

use parity_scale_codec::Encode;
use tonle_model::bounded::Bounded;
use tonle_model::decode;
use tonle_model::hash::{BlockHash, ChainHash, Digest256, ResultHash};
use tonle_model::key::{KeyPair, Signature};
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::validators::{Validator, ValidatorSet};
use tonle_model::verify::Verifier;
use tonle_model::vote::{Ballot, Certificate, Vote, VoteKind};

use super::script::Script;

/// Validators of a network, and their keys in canonical order.
struct Net {
    set: ValidatorSet,
    keys: Vec<KeyPair>,
}

impl Net {
    fn new(count: usize) -> Self {
        let mut keys: Vec<_> = (0..count).map(|one| KeyPair::demo(&format!("v{one}"))).collect();
        keys.sort_by_key(KeyPair::public_key);
        let name = |key: &KeyPair| Validator {
            name: "v".parse().expect("a name"),
            public_key: key.public_key(),
        };
        let set = ValidatorSet::new(keys.iter().map(name).collect()).expect("distinct keys");
        Self { set, keys }
    }

    fn sign(&self, ballot: &Ballot, chain: &ChainHash, signer: usize) -> Signature {
        let signer = signer % self.keys.len();
        let index = ValidatorIndex(signer as u16);
        Vote::sign(*ballot, chain, index, &self.keys[signer]).signature
    }

    /// Counts for itself: no code of the verifier, and no signature is verified. ed25519 signs
    /// without chance, and nobody else has the keys, so the one valid signature is the signer's.
    fn is_proven(&self, certificate: &Certificate) -> bool {
        let validators = self.keys.len();
        if certificate.signers.len() != validators.div_ceil(8) {
            return false;
        }
        let mut signatures = certificate.signatures.iter();
        let mut signers = 0;
        for bit in 0..certificate.signers.len() * 8 {
            if certificate.signers[bit / 8] & (1 << (bit % 8)) == 0 {
                continue;
            }
            let genuine = || self.sign(&certificate.ballot, &CHAIN, bit);
            if bit >= validators || signatures.next() != Some(&genuine()) {
                return false;
            }
            signers += 1;
        }
        signatures.next().is_none() && signers == validators - (validators - 1) / 3
    }

    fn check(&self, certificate: &Certificate) -> bool {
        let verified = certificate.verify(&CHAIN, &self.set, &Verifier::new());
        assert_eq!(verified.is_ok(), self.is_proven(certificate), "{verified:?} {certificate:?}");
        verified.is_ok()
    }
}

const CHAIN: ChainHash = ChainHash(Digest256([3; 32]));
const OTHER_CHAIN: ChainHash = ChainHash(Digest256([4; 32]));

/// Quorums of all, of n - f = 2f + 1, and of more.
static NETS: LazyLock<Vec<Net>> =
    LazyLock::new(|| [1, 4, 6, 9].into_iter().map(Net::new).collect());

/// Certificates as they come, and certificates built of votes and then spoilt.
pub fn certificate(bytes: &[u8]) -> bool {
    if let Ok(certificate) = decode::all::<Certificate>(bytes) {
        assert_eq!(certificate.encode(), bytes, "one certificate has one encoding");
        for net in NETS.iter() {
            net.check(&certificate);
        }
    }
    let mut script = Script::new(bytes);
    let net = script.pick(&NETS).expect("there are some");
    let mut parts = Parts::from_votes(net, &mut script);
    while !script.is_over() {
        parts.spoil(net, &mut script);
    }
    parts.certificate().is_some_and(|certificate| net.check(&certificate))
}

/// A certificate before it is put together.
struct Parts {
    ballot: Ballot,
    signers: Vec<u8>,
    signatures: Vec<Signature>,
}

impl Parts {
    /// Votes of those whose bits the script sets.
    fn from_votes(net: &Net, script: &mut Script<'_>) -> Self {
        let ballot = ballot(script);
        let signers: Vec<_> = (0..net.keys.len().div_ceil(8)).map(|_| script.byte()).collect();
        let signed = |signer: &usize| signers[signer / 8] & (1 << (signer % 8)) != 0;
        let signed = (0..net.keys.len()).filter(signed);
        let signatures = signed.map(|signer| net.sign(&ballot, &CHAIN, signer)).collect();
        Self { ballot, signers, signatures }
    }

    fn spoil(&mut self, net: &Net, script: &mut Script<'_>) {
        let choice = script.below(8);
        let bit = script.below(self.signers.len() * 8);
        let at = script.below(self.signatures.len().min(256));
        match (choice, self.signers.get_mut(bit / 8), self.signatures.get_mut(at)) {
            (0, Some(signers), _) => *signers ^= 1 << (bit % 8),
            (1, ..) => self.signers.push(script.byte()),
            (2, ..) => self.signers.truncate(self.signers.len().saturating_sub(1)),
            (3, _, Some(signature)) => signature.0[script.below(64)] ^= 1 << script.below(8),
            (4, _, Some(signature)) => {
                let chain = if script.rarely(4) { OTHER_CHAIN } else { CHAIN };
                let ballot = if script.rarely(4) { ballot(script) } else { self.ballot };
                *signature = net.sign(&ballot, &chain, script.below(16));
            }
            (5, _, Some(_)) => {
                self.signatures.remove(at);
            }
            (6, ..) => self.signatures.push(net.sign(&self.ballot, &CHAIN, script.below(16))),
            (7, ..) => self.ballot = ballot(script),
            _ => {}
        }
    }

    fn certificate(self) -> Option<Certificate> {
        Some(Certificate {
            ballot: self.ballot,
            signers: Bounded::new(self.signers).ok()?,
            signatures: Bounded::new(self.signatures).ok()?,
        })
    }
}

fn ballot(script: &mut Script<'_>) -> Ballot {
    let choice = script.byte();
    let block = BlockHash(Digest256([choice & 1; 32]));
    let kind = match choice >> 1 & 3 {
        0 => VoteKind::Nullify,
        1 => VoteKind::Notarize { block },
        _ => VoteKind::Finalize { block, result: ResultHash(Digest256([choice >> 3 & 1; 32])) },
    };
    Ballot { height: Height((choice >> 4 & 1).into()), view: View((choice >> 5 & 1).into()), kind }
}
