//! Certificates prove what they say: whatever certificate an honest node shows or sends, exactly
//! n - f different validators signed it.

use std::collections::BTreeSet;

use ed25519_dalek::{Signature, Verifier, VerifyingKey};
use parity_scale_codec::Encode;
use tonle_model::hash::{ChainHash, Digest256, TaggedHasher};
use tonle_model::key::PublicKey;
use tonle_model::number::View;
use tonle_model::vote::{Ballot, Certificate, Justification, Proposal, VoteKind};

use super::{Held, broken};

/// What was found good, so that nothing is checked twice: the same votes stand in many
/// certificates, and the same certificates in many messages.
pub struct Certificates {
    network: ChainHash,
    validators: Vec<VerifyingKey>,
    certificates: BTreeSet<Vec<u8>>,
    /// By the validator's number.
    votes: BTreeSet<(usize, Ballot, [u8; 64])>,
}

impl Certificates {
    /// Of these validators, in the order of their set.
    pub fn new(network: ChainHash, validators: &[PublicKey]) -> Self {
        let key = |name: &PublicKey| VerifyingKey::from_bytes(&name.0).expect("a validator's key");
        Self {
            network,
            validators: validators.iter().map(key).collect(),
            certificates: BTreeSet::new(),
            votes: BTreeSet::new(),
        }
    }

    /// A certificate that a node shows.
    pub fn check(&mut self, node: usize, certificate: &Certificate) -> Held {
        let bytes = certificate.encode();
        if self.certificates.contains(&bytes) {
            return Ok(());
        }
        if let Err(wrong) = self.look(certificate) {
            let ballot = certificate.ballot;
            return broken(format!("node {node} has a certificate with {wrong}: {ballot:?}"));
        }
        self.certificates.insert(bytes);
        Ok(())
    }

    /// What a leader shows for its proposal: a notarization of that very block in an earlier view
    /// or none, and the nullification of every view since. No height has more views than fit.
    pub fn check_proposal(&mut self, node: usize, proposal: &Proposal) -> Held {
        let Justification { notarization, nullifications } = &proposal.justification;
        let mut shown = notarization.iter().chain(nullifications);
        shown.try_for_each(|certificate| self.check(node, certificate))?;
        let (height, notarized) = (proposal.height, notarization.as_ref().map(|one| one.ballot));
        let kind = VoteKind::Notarize { block: proposal.header.hash() };
        let is_its_own = notarized.is_none_or(|one| one == Ballot { height, kind, ..one });
        let first = notarized.map_or(View(0), |one| one.view.next());
        let since = (first.0..proposal.view.0).map(View);
        let since = since.map(|view| Ballot { height, view, kind: VoteKind::Nullify });
        let is_whole = nullifications.iter().map(|one| one.ballot).eq(since);
        match is_its_own && first <= proposal.view && is_whole {
            true => Ok(()),
            false => broken(format!("node {node} has no reason for {proposal:?}")),
        }
    }

    /// What is wrong with a certificate, if anything.
    fn look(&mut self, certificate: &Certificate) -> Result<(), String> {
        let Certificate { ballot, signers, signatures } = certificate;
        let count = self.validators.len();
        let needed = count - (count - 1) / 3;
        let is_set = |place: &usize| signers[place / 8] >> (place % 8) & 1 == 1;
        let places: Vec<usize> = (0..8 * signers.len()).filter(is_set).collect();
        if signers.len() != count.div_ceil(8) || places.iter().any(|place| *place >= count) {
            return Err(format!("signers in {} bytes of {count} validators", signers.len()));
        }
        if places.len() != needed || signatures.len() != needed {
            let (signers, signatures) = (places.len(), signatures.len());
            return Err(format!("{signers} signers of {needed} and {signatures} signatures"));
        }
        let mut signed = places.iter().zip(signatures);
        match signed.find(|(place, signature)| !self.is_signed(**place, *ballot, signature.0)) {
            Some((place, _)) => Err(format!("a false signature of {place}")),
            None => Ok(()),
        }
    }

    fn is_signed(&mut self, place: usize, ballot: Ballot, signature: [u8; 64]) -> bool {
        let vote = (place, ballot, signature);
        if self.votes.contains(&vote) {
            return true;
        }
        let message = signed_hash(&self.network, &ballot);
        let signature = Signature::from_bytes(&signature);
        let is_good = self.validators[place].verify(message.as_ref(), &signature).is_ok();
        if is_good {
            self.votes.insert(vote);
        }
        is_good
    }
}

/// What a vote signs, byte by byte as the chapter on encodings has it.
fn signed_hash(network: &ChainHash, ballot: &Ballot) -> Digest256 {
    let mut bytes = network.0.0.to_vec();
    bytes.extend(ballot.height.0.to_le_bytes());
    bytes.extend(ballot.view.0.to_le_bytes());
    match ballot.kind {
        VoteKind::Notarize { block } => {
            bytes.push(0);
            bytes.extend(block.0.0);
        }
        VoteKind::Nullify => bytes.push(1),
        VoteKind::Finalize { block, result } => {
            bytes.push(2);
            bytes.extend(block.0.0);
            bytes.extend(result.0.0);
        }
    }
    TaggedHasher::new("tonle.vote.v1").part(bytes).finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::block::Header;
    use tonle_model::bounded::Bounded;
    use tonle_model::hash::{BlockHash, ResultHash};
    use tonle_model::key::KeyPair;
    use tonle_model::number::{Height, ValidatorIndex};
    use tonle_model::vote::Vote;

    const VALIDATORS: u16 = 4;

    fn key(number: u16) -> KeyPair {
        KeyPair::demo(&format!("validator_{number}"))
    }

    fn certificates() -> Certificates {
        let names: Vec<_> = (0..VALIDATORS).map(|number| key(number).public_key()).collect();
        Certificates::new(ChainHash::default(), &names)
    }

    fn certificate(kind: VoteKind) -> Certificate {
        certificate_of(2, kind)
    }

    /// Signed by validators 0, 1 and 3.
    fn certificate_of(view: u32, kind: VoteKind) -> Certificate {
        let ballot = Ballot { height: Height(7), view: View(view), kind };
        let vote = |signer: u16| {
            let index = ValidatorIndex(signer);
            Vote::sign(ballot, &ChainHash::default(), index, &key(signer)).signature
        };
        Certificate {
            ballot,
            signers: Bounded::new(vec![0b1011]).unwrap(),
            signatures: Bounded::new([0, 1, 3].map(vote).to_vec()).unwrap(),
        }
    }

    #[test]
    fn a_quorum_of_signatures_of_any_kind_holds() {
        let (block, result) = (BlockHash(Digest256([1; 32])), ResultHash(Digest256([2; 32])));
        let mut certificates = certificates();
        for kind in
            [VoteKind::Notarize { block }, VoteKind::Nullify, VoteKind::Finalize { block, result }]
        {
            assert_eq!(certificates.check(0, &certificate(kind)), Ok(()), "{kind:?}");
        }
        assert_eq!(certificates.votes.len(), 9);
        assert_eq!(certificates.check(1, &certificate(VoteKind::Nullify)), Ok(()), "known");
    }

    #[test]
    fn what_is_no_quorum_does_not_hold() {
        let good = certificate(VoteKind::Nullify);
        let with = |bits: &[u8], places: &[usize]| Certificate {
            signers: Bounded::new(bits.to_vec()).unwrap(),
            signatures: Bounded::new(places.iter().map(|place| good.signatures[*place]).collect())
                .unwrap(),
            ..good.clone()
        };
        let mut certificates = certificates();
        assert_eq!(certificates.check(0, &with(&[0b1011], &[0, 1, 2])), Ok(()));
        for (bad, why) in [
            (with(&[0b0011], &[0, 1]), "too few"),
            (with(&[0b1011], &[0, 1]), "a signer without a signature"),
            (with(&[0b0011], &[0, 1, 2]), "a signature without a signer"),
            (with(&[0b1011], &[0, 1, 1]), "one who stands for another"),
            (with(&[0b1111], &[0, 1, 2, 2]), "too many"),
            (with(&[0b0010_0011], &[0, 1, 2]), "a stranger"),
            (with(&[0b1011, 0], &[0, 1, 2]), "a byte to spare"),
        ] {
            assert!(certificates.check(0, &bad).is_err(), "{why}");
        }
        let ballot = Ballot { height: Height(8), ..good.ballot };
        assert!(certificates.check(0, &Certificate { ballot, ..good }).is_err(), "another height");
    }

    #[test]
    fn a_proposal_shows_its_block_and_every_view_since() {
        let header = Header::genesis(ChainHash::default(), 1);
        let block = header.hash();
        let notarized = |block| Some(certificate_of(1, VoteKind::Notarize { block }));
        let mut certificates = certificates();
        for (view, notarization, nullified, holds) in [
            (0, None, vec![], true),
            (2, None, vec![0, 1], true),
            (2, None, vec![1], false),
            (2, None, vec![1, 0], false),
            (4, notarized(block), vec![2, 3], true),
            (4, notarized(block), vec![3], false),
            (4, notarized(BlockHash::default()), vec![2, 3], false),
            (1, notarized(block), vec![], false),
            (2, Some(certificate_of(1, VoteKind::Nullify)), vec![], false),
        ] {
            let nullifications =
                nullified.iter().map(|view| certificate_of(*view, VoteKind::Nullify));
            let nullifications = Bounded::new(nullifications.collect()).unwrap();
            let proposal = Proposal {
                height: Height(7),
                view: View(view),
                header: header.clone(),
                justification: Justification { notarization, nullifications },
                signature: tonle_model::key::Signature([0; 64]),
            };
            let held = certificates.check_proposal(0, &proposal);
            assert_eq!(held.is_ok(), holds, "{view} {nullified:?}");
        }
    }
}
