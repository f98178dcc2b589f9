//! What is known of one view: votes by signer, certificates, and what this node decided in it.

use std::collections::BTreeMap;

use tonle_model::hash::BlockHash;
use tonle_model::number::ValidatorIndex;
use tonle_model::vote::{Certificate, Proposal, Vote, VoteKind};

/// Votes of one kind in one view: at most one per signer, so nobody counts twice.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Tally(BTreeMap<ValidatorIndex, Vote>);

impl Tally {
    /// Takes the signer's first vote. False if there is one.
    fn insert(&mut self, vote: Vote) -> bool {
        let is_new = !self.0.contains_key(&vote.signer);
        if is_new {
            self.0.insert(vote.signer, vote);
        }
        is_new
    }

    pub(crate) fn get(&self, signer: ValidatorIndex) -> Option<&Vote> {
        self.0.get(&signer)
    }

    /// The votes that say exactly this, by ascending signer.
    pub(crate) fn of_kind(&self, kind: VoteKind) -> impl Iterator<Item = &Vote> {
        self.0.values().filter(move |vote| vote.ballot.kind == kind)
    }

    /// How many others voted.
    pub(crate) fn others(&self, me: Option<ValidatorIndex>) -> usize {
        self.0.keys().filter(|signer| Some(**signer) != me).count()
    }

    /// How many voted, and how many of them agree on the most popular content.
    pub(crate) fn split(&self) -> (usize, usize) {
        let mut counts: BTreeMap<VoteKind, usize> = BTreeMap::new();
        for vote in self.0.values() {
            *counts.entry(vote.ballot.kind).or_default() += 1;
        }
        (self.0.len(), counts.values().copied().max().unwrap_or(0))
    }

    pub(crate) fn forget_others(&mut self, me: Option<ValidatorIndex>) {
        self.0.retain(|signer, _| Some(*signer) == me);
    }
}

/// What this node decided in a view. Set when the vote is handed out for signing, and after a
/// restart from the log; never unset.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Own {
    pub(crate) proposed: Option<BlockHash>,
    /// The signed proposal, to be sent again.
    pub(crate) proposal: Option<Box<Proposal>>,
    pub(crate) notarized: Option<BlockHash>,
    pub(crate) nullified: bool,
    pub(crate) finalized: Option<VoteKind>,
}

impl Own {
    /// Whether this node decided to cast exactly this vote.
    pub(crate) fn decided(&self, kind: VoteKind) -> bool {
        match kind {
            VoteKind::Notarize { block } => self.notarized == Some(block),
            VoteKind::Nullify => self.nullified,
            VoteKind::Finalize { .. } => self.finalized == Some(kind),
        }
    }

    pub(crate) fn decide(&mut self, kind: VoteKind) {
        match kind {
            VoteKind::Notarize { block } => self.notarized = Some(block),
            VoteKind::Nullify => self.nullified = true,
            VoteKind::Finalize { .. } => self.finalized = Some(kind),
        }
    }
}

/// One view of the height being decided.
#[derive(Debug, Default, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Slot {
    pub(crate) notarize: Tally,
    pub(crate) nullify: Tally,
    pub(crate) finalize: Tally,
    pub(crate) notarization: Option<Certificate>,
    pub(crate) nullification: Option<Certificate>,
    pub(crate) own: Own,
    /// The split of results was reported.
    pub(crate) split_alarmed: bool,
}

impl Slot {
    pub(crate) fn tally(&self, kind: VoteKind) -> &Tally {
        match kind {
            VoteKind::Notarize { .. } => &self.notarize,
            VoteKind::Nullify => &self.nullify,
            VoteKind::Finalize { .. } => &self.finalize,
        }
    }

    /// Takes the signer's first vote of its kind. False if there is one.
    pub(crate) fn insert(&mut self, vote: Vote) -> bool {
        match vote.ballot.kind {
            VoteKind::Notarize { .. } => self.notarize.insert(vote),
            VoteKind::Nullify => self.nullify.insert(vote),
            VoteKind::Finalize { .. } => self.finalize.insert(vote),
        }
    }

    /// The signer's votes of each kind that came by themselves.
    pub(crate) fn votes_of(&self, signer: ValidatorIndex) -> impl Iterator<Item = Vote> {
        let tallies = [&self.notarize, &self.nullify, &self.finalize];
        tallies.into_iter().filter_map(move |tally| tally.get(signer).copied())
    }

    /// The certificates of this view that let one leave it.
    pub(crate) fn certificates(&self) -> impl Iterator<Item = &Certificate> {
        self.notarization.iter().chain(&self.nullification)
    }

    /// The block that a quorum notarized here.
    pub(crate) fn notarized_block(&self) -> Option<BlockHash> {
        self.notarization.as_ref().and_then(certified_block)
    }

    /// Whether there is a certificate that lets one leave this view.
    pub(crate) fn is_certified(&self) -> bool {
        self.notarization.is_some() || self.nullification.is_some()
    }

    /// Old votes of others serve nobody; certificates, own votes and own decisions stay.
    pub(crate) fn forget_votes(&mut self, me: Option<ValidatorIndex>) {
        self.notarize.forget_others(me);
        self.nullify.forget_others(me);
        self.finalize.forget_others(me);
    }
}

/// Whether no honest validator says both in one view: two votes of one kind that differ, or to
/// nullify the view and to finalize it. To notarize and to nullify is allowed (rule 3).
pub(crate) fn contradict(one: VoteKind, other: VoteKind) -> bool {
    use VoteKind::{Finalize, Notarize, Nullify};
    match (one, other) {
        (Notarize { .. }, Notarize { .. }) | (Finalize { .. }, Finalize { .. }) => one != other,
        (Nullify, Finalize { .. }) | (Finalize { .. }, Nullify) => true,
        _ => false,
    }
}

/// The votes that a certificate is made of.
pub(crate) fn votes_in(certificate: &Certificate) -> impl Iterator<Item = Vote> {
    let ballot = certificate.ballot;
    let signed = certificate.signers().zip(&certificate.signatures);
    signed.map(move |(signer, signature)| Vote { ballot, signer, signature: *signature })
}

/// The block that a notarization or finalization names.
pub(crate) fn certified_block(certificate: &Certificate) -> Option<BlockHash> {
    match certificate.ballot.kind {
        VoteKind::Notarize { block } | VoteKind::Finalize { block, .. } => Some(block),
        VoteKind::Nullify => None,
    }
}
