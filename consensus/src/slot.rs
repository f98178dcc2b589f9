//! What is known of one view: votes by signer, certificates, and what this node decided in it.

use std::collections::BTreeMap;

use tonle_model::hash::BlockHash;
use tonle_model::number::ValidatorIndex;
use tonle_model::vote::{Certificate, Proposal, Vote, VoteKind};

/// Votes of one kind in one view: at most one per signer, so nobody counts twice.
#[derive(Debug, Default)]
pub(crate) struct Tally(BTreeMap<ValidatorIndex, Vote>);

impl Tally {
    /// Takes the signer's first vote; gives back a different earlier one.
    pub(crate) fn insert(&mut self, vote: Vote) -> Inserted {
        match self.0.get(&vote.signer) {
            None => {
                self.0.insert(vote.signer, vote);
                Inserted::New
            }
            Some(earlier) if earlier.ballot == vote.ballot => Inserted::Known,
            Some(earlier) => Inserted::Contradicts(*earlier),
        }
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

    fn forget_others(&mut self, me: Option<ValidatorIndex>) {
        self.0.retain(|signer, _| Some(*signer) == me);
    }
}

/// What became of a vote put into a tally.
pub(crate) enum Inserted {
    New,
    Known,
    Contradicts(Vote),
}

/// What this node decided in a view. Set when the vote is handed out for signing, and after a
/// restart from the log; never unset.
#[derive(Debug, Default)]
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
#[derive(Debug, Default)]
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

    /// Takes a vote. A signer contradicts itself by two votes of one kind, or by nullifying a
    /// view and finalizing it.
    pub(crate) fn insert(&mut self, vote: Vote) -> Inserted {
        let excluded = match vote.ballot.kind {
            VoteKind::Notarize { .. } => None,
            VoteKind::Nullify => self.finalize.get(vote.signer),
            VoteKind::Finalize { .. } => self.nullify.get(vote.signer),
        };
        let excluded = excluded.copied();
        let inserted = match vote.ballot.kind {
            VoteKind::Notarize { .. } => self.notarize.insert(vote),
            VoteKind::Nullify => self.nullify.insert(vote),
            VoteKind::Finalize { .. } => self.finalize.insert(vote),
        };
        match (inserted, excluded) {
            (Inserted::New, Some(earlier)) => Inserted::Contradicts(earlier),
            (inserted, _) => inserted,
        }
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

/// The block that a notarization or finalization names.
pub(crate) fn certified_block(certificate: &Certificate) -> Option<BlockHash> {
    match certificate.ballot.kind {
        VoteKind::Notarize { block } | VoteKind::Finalize { block, .. } => Some(block),
        VoteKind::Nullify => None,
    }
}
