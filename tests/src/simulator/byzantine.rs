//! A Byzantine member: a whole node like the others, which follows the chain, behind a mouth that
//! says something else. It forges nothing but its own signature.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tonle_consensus::Message;
use tonle_model::batch::Batch;
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::hash::{BlockHash, ChainHash, Digest256, ResultHash};
use tonle_model::key::KeyPair;
use tonle_model::number::ValidatorIndex;
use tonle_model::transaction::{SignedTransaction, Transaction};
use tonle_model::verified::Verified;
use tonle_model::vote::{Ballot, Certificate, Justification, Proposal, Vote, VoteKind};
use tonle_node::driver::Event;
use tonle_node::wire::Wire;

use super::fault::{Fault, Tally};
use super::machine::Running;
use crate::random::Random;

/// Frames kept to be sent again.
const REMEMBERED_MAX: usize = 200;
/// Members of a crafted batch.
const MEMBERS_MAX: usize = 8;

/// The mouth of one.
pub struct Byzantine {
    deeds: Vec<Fault>,
    key: KeyPair,
    chain: ChainHash,
    validators: usize,
    me: usize,
    /// Until when it says nothing.
    pub silent_until_ms: u64,
    remembered: VecDeque<Bytes>,
    notarized: Option<BlockHash>,
    next_seq: u64,
}

/// Frames with whom they are for.
pub type Said = Vec<(usize, Bytes)>;

impl Byzantine {
    /// One that does these deeds.
    pub fn new(
        deeds: Vec<Fault>,
        key: KeyPair,
        chain: ChainHash,
        me: usize,
        validators: usize,
    ) -> Self {
        Self {
            deeds,
            key,
            chain,
            validators,
            me,
            silent_until_ms: 0,
            remembered: VecDeque::new(),
            notarized: None,
            next_seq: u64::MAX / 2,
        }
    }

    fn does(&self, deed: Fault) -> bool {
        self.deeds.contains(&deed)
    }

    /// What it says instead of a frame of its node's for `to`.
    pub fn say(
        &mut self,
        now_ms: u64,
        to: &[usize],
        frame: &Bytes,
        random: &mut Random,
        struck: &mut Tally,
    ) -> Said {
        if now_ms < self.silent_until_ms {
            struck.count(Fault::Silence);
            return Vec::new();
        }
        let mut said = match Wire::from_frame(frame) {
            Ok(Wire::Consensus(message)) => self.say_message(*message, to, random, struck),
            Ok(Wire::Batch(_)) => self.say_batch(to, frame, random, struck),
            // An answer of nothing is no lie.
            Ok(Wire::Blocks { from, blocks })
                if self.does(Fault::LyingSync) && !blocks.is_empty() =>
            {
                struck.count(Fault::LyingSync);
                let mut blocks: Vec<_> = blocks.iter().cloned().collect();
                if let Some((header, finalization)) = blocks.last_mut() {
                    match random.below(3) {
                        0 => header.timestamp_ms += 1,
                        1 => self.spoil(finalization, random),
                        _ => finalization.ballot.kind = VoteKind::Nullify,
                    }
                }
                let blocks = Bounded::new(blocks).unwrap_or_default();
                all(to, &Wire::Blocks { from, blocks }.to_frame())
            }
            _ => all(to, frame),
        };
        if self.does(Fault::StaleReplay)
            && random.permille(300)
            && let Some(old) = self.remember(frame.clone(), random)
        {
            struck.count(Fault::StaleReplay);
            said.push((self.someone(random), old));
        }
        said
    }

    fn say_message(
        &mut self,
        message: Message,
        to: &[usize],
        random: &mut Random,
        struck: &mut Tally,
    ) -> Said {
        let frame = Wire::Consensus(Box::new(message.clone())).to_frame();
        match message {
            Message::Proposal(proposal) if self.does(Fault::Equivocation) => {
                let other = self.other_proposal(&proposal, random);
                let pick = |to: &usize| {
                    let first = random.permille(500);
                    (*to, if first { frame.clone() } else { other.clone() })
                };
                let said: Said = to.iter().map(pick).collect();
                let is_said = |what: &Bytes| said.iter().any(|(_, one)| one == what);
                if is_said(&frame) && is_said(&other) {
                    struck.count(Fault::Equivocation);
                }
                said
            }
            Message::Vote(vote) => {
                let mut said = all(to, &frame);
                if let Some((fault, other)) = self.other_vote(&vote, random) {
                    let some = to.iter().filter(|_| random.permille(600));
                    let others: Vec<_> = some.map(|to| (*to, other.clone())).collect();
                    if !others.is_empty() {
                        struck.count(fault);
                    }
                    // Either may come first.
                    if random.permille(500) {
                        said.splice(0..0, others);
                    } else {
                        said.extend(others);
                    }
                }
                if self.does(Fault::MalformedCertificate) {
                    struck.count(Fault::MalformedCertificate);
                    let alone = [(ValidatorIndex(self.me as u16), vote.signature)];
                    said.extend(all(to, &self.malformed(vote.ballot, &alone, random)));
                }
                said
            }
            Message::Certificate(mut certificate) if self.does(Fault::MalformedCertificate) => {
                struck.count(Fault::MalformedCertificate);
                self.spoil(&mut certificate, random);
                let message = Message::Certificate(certificate);
                all(to, &Wire::Consensus(Box::new(message)).to_frame())
            }
            _ => all(to, &frame),
        }
    }

    fn say_batch(
        &mut self,
        to: &[usize],
        frame: &Bytes,
        random: &mut Random,
        struck: &mut Tally,
    ) -> Said {
        if self.does(Fault::WithheldBatch) {
            struck.count(Fault::WithheldBatch);
            return Vec::new();
        }
        if self.does(Fault::PrivateBatch) {
            struck.count(Fault::PrivateBatch);
            return vec![(self.someone(random), frame.clone())];
        }
        all(to, frame)
    }

    /// The same leader's other block for the view; perhaps a new one, where the justified one is
    /// to be proposed again, as if nothing had been notarized before.
    fn other_proposal(&self, proposal: &Proposal, random: &mut Random) -> Bytes {
        let mut header = proposal.header.clone();
        let mut justification = proposal.justification.clone();
        header.timestamp_ms += 1;
        if random.permille(500) {
            header.proposer = ValidatorIndex(self.me as u16);
            header.proposed_view = proposal.view;
            justification.notarization = None;
        }
        let (height, view) = (proposal.height, proposal.view);
        let message = Proposal::signing_hash(&self.chain, height, view, &header.hash());
        let signature = self.key.sign(message.as_ref());
        let other = Proposal { height, view, header, justification, signature };
        Wire::Consensus(Box::new(Message::Proposal(other))).to_frame()
    }

    /// When its node finalizes a view and it leads the next one: another block for that, at once,
    /// as if nothing were notarized.
    pub fn usurp(&self, running: &Running, frame: &Bytes, struck: &mut Tally) -> Option<Bytes> {
        let Ok(Wire::Consensus(message)) = Wire::from_frame(frame) else { return None };
        let Message::Vote(Vote { ballot, .. }) = *message else { return None };
        let (height, view) = (ballot.height, ballot.view.next());
        let world = &running.world;
        let me = ValidatorIndex(self.me as u16);
        let leads = world.marks().leader(height, view, self.validators) == me;
        let finalizes = matches!(ballot.kind, VoteKind::Finalize { .. });
        let parent = world.committed();
        let follows = height == parent.height.next();
        if !(self.does(Fault::Equivocation) && finalizes && leads && follows) {
            return None;
        }
        let digest = running.chain.undecided().into_iter().next()?;
        let bytes = running.chain.batch(&digest).ok().flatten()?;
        let reference = Batch::decode(&self.chain, bytes).ok()?.reference();
        let header = Header {
            height,
            parent: parent.block,
            parent_result: parent.result.hash(),
            timestamp_ms: running.assembly.clock.now_ms().max(parent.timestamp_ms + 1),
            proposer: me,
            proposed_view: view,
            batches: Bounded::new(vec![reference]).ok()?,
            ..Header::genesis(self.chain, 0)
        };
        struck.count(Fault::Equivocation);
        let message = Proposal::signing_hash(&self.chain, height, view, &header.hash());
        let signature = self.key.sign(message.as_ref());
        let justification = Justification::default();
        let proposal = Proposal { height, view, header, justification, signature };
        Some(Wire::Consensus(Box::new(Message::Proposal(proposal))).to_frame())
    }

    /// A vote that contradicts its node's, and which deed that is, if it does such deeds.
    fn other_vote(&mut self, vote: &Vote, random: &mut Random) -> Option<(Fault, Bytes)> {
        let mut digest = [0; 32];
        digest[..8].copy_from_slice(&random.number().to_le_bytes());
        let digest = Digest256(digest);
        let (kind, fault) = match vote.ballot.kind {
            VoteKind::Notarize { block } => {
                self.notarized = Some(block);
                (VoteKind::Notarize { block: BlockHash(digest) }, Fault::DoubleVote)
            }
            VoteKind::Finalize { block, .. } if self.does(Fault::WrongResult) => {
                (VoteKind::Finalize { block, result: ResultHash(digest) }, Fault::WrongResult)
            }
            VoteKind::Finalize { .. } => (VoteKind::Nullify, Fault::FinalizeAndNullify),
            VoteKind::Nullify => {
                let (block, result) = (self.notarized?, ResultHash(digest));
                (VoteKind::Finalize { block, result }, Fault::FinalizeAndNullify)
            }
        };
        if !self.does(fault) {
            return None;
        }
        let ballot = Ballot { kind, ..vote.ballot };
        let me = ValidatorIndex(self.me as u16);
        let other = Vote::sign(ballot, &self.chain, me, &self.key);
        Some((fault, Wire::Consensus(Box::new(Message::Vote(other))).to_frame()))
    }

    /// A certificate of one vote: its signature stands for everyone's.
    fn malformed(
        &self,
        ballot: Ballot,
        alone: &[(ValidatorIndex, tonle_model::key::Signature)],
        random: &mut Random,
    ) -> Bytes {
        let mut bits = vec![0u8; self.validators.div_ceil(8)];
        (0..self.validators).for_each(|bit| bits[bit / 8] |= 1 << (bit % 8));
        if random.permille(300) {
            bits.push(1);
        }
        let signatures = alone.iter().map(|(_, signature)| *signature);
        let signatures: Vec<_> = signatures.cycle().take(self.validators).collect();
        let certificate = Certificate {
            ballot,
            signers: Bounded::new(bits).unwrap_or_default(),
            signatures: Bounded::new(signatures).unwrap_or_default(),
        };
        Wire::Consensus(Box::new(Message::Certificate(certificate))).to_frame()
    }

    fn spoil(&self, certificate: &mut Certificate, random: &mut Random) {
        let mut signatures: Vec<_> = certificate.signatures.iter().copied().collect();
        let mut bits: Vec<_> = certificate.signers.iter().copied().collect();
        match random.below(3) {
            0 => signatures.iter_mut().for_each(|signature| signature.0[0] ^= 1),
            1 => signatures.truncate(1),
            _ => bits.push(u8::MAX),
        }
        certificate.signatures = Bounded::new(signatures).unwrap_or_default();
        certificate.signers = Bounded::new(bits).unwrap_or_default();
    }

    fn remember(&mut self, frame: Bytes, random: &mut Random) -> Option<Bytes> {
        let place = random.below(self.remembered.len().max(1));
        let old = self.remembered.get(place).cloned();
        self.remembered.push_back(frame);
        if self.remembered.len() > REMEMBERED_MAX {
            self.remembered.pop_front();
        }
        old
    }

    fn someone(&self, random: &mut Random) -> usize {
        (self.me + 1 + random.below(self.validators - 1)) % self.validators
    }

    /// Gives its own node batches that no honest node would make, of transactions that were seen:
    /// it will propose them like any other.
    pub fn craft(
        &mut self,
        running: &Running,
        seen: &[SignedTransaction],
        random: &mut Random,
        struck: &mut Tally,
    ) {
        for deed in [Fault::VoidBatch, Fault::InvalidBatch, Fault::StrippedSignatures] {
            if !self.does(deed) || seen.is_empty() || random.permille(300) {
                continue;
            }
            let first = random.below(seen.len());
            let chosen = seen.iter().skip(first).take(MEMBERS_MAX);
            let members: Vec<_> = chosen.filter_map(|one| disfigured(deed, one)).collect();
            if members.is_empty() {
                continue;
            }
            struck.count(deed);
            self.next_seq += 1;
            let members = members.into_iter().map(Verified::vouch).collect();
            let batch = Batch::seal(&self.chain, &self.key, self.next_seq, members);
            let from = self.key.public_key();
            running.tell(Event::Batch { from, batch: Arc::new(batch) });
        }
    }
}

/// A transaction as the deed has it.
fn disfigured(deed: Fault, transaction: &SignedTransaction) -> Option<SignedTransaction> {
    let whole = transaction.transaction();
    let mut signatures: Vec<_> = whole.signatures.iter().cloned().collect();
    match deed {
        Fault::InvalidBatch => signatures.first_mut()?.signature.0[0] ^= 1,
        Fault::StrippedSignatures => {
            // Somebody else's key, with a signature that is good.
            let stranger = KeyPair::demo("stranger");
            let signature = stranger.sign(whole.payload.hash().as_ref());
            let first = signatures.first_mut()?;
            (first.public_key, first.signature) = (stranger.public_key(), signature);
        }
        _ => {}
    }
    let signatures = Bounded::new(signatures).ok()?;
    let changed = Transaction { payload: whole.payload.clone(), signatures };
    SignedTransaction::from_transaction(&changed).ok()
}

fn all(to: &[usize], frame: &Bytes) -> Said {
    to.iter().map(|to| (*to, frame.clone())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::key::Signature;
    use tonle_model::number::{Height, View};

    fn liar(deed: Fault) -> Byzantine {
        Byzantine::new(vec![deed], KeyPair::demo("liar"), ChainHash::default(), 0, 4)
    }

    fn ballot() -> Ballot {
        let kind = VoteKind::Notarize { block: BlockHash::default() };
        Ballot { height: Height(1), view: View(0), kind }
    }

    #[test]
    fn an_answer_of_nothing_is_no_lie() {
        let (mut random, mut struck) = (Random::new(1), Tally::default());
        let signatures = Bounded::new(vec![Signature([0; 64]); 3]).unwrap();
        let finalization =
            Certificate { ballot: ballot(), signers: Bounded::default(), signatures };
        let block = (Header::genesis(ChainHash::default(), 1), finalization);
        let mut mouth = liar(Fault::LyingSync);
        for (blocks, lies) in [(vec![], 0), (vec![block], 1)] {
            let blocks = Bounded::new(blocks).unwrap();
            let answer = Wire::Blocks { from: Height(1), blocks }.to_frame();
            let said = mouth.say(0, &[1], &answer, &mut random, &mut struck);
            assert_eq!(said != [(1, answer)], lies > 0);
            assert_eq!(struck.of(Fault::LyingSync), lies);
        }
    }

    #[test]
    fn a_second_vote_counts_only_if_somebody_hears_it() {
        let mut random = Random::new(1);
        let mut mouth = liar(Fault::DoubleVote);
        let vote =
            Vote::sign(ballot(), &ChainHash::default(), ValidatorIndex(0), &KeyPair::demo("liar"));
        let vote = Wire::Consensus(Box::new(Message::Vote(vote))).to_frame();
        let hearers: [&[usize]; 3] = [&[], &[1], &[1, 2, 3]];
        for to in hearers {
            for _ in 0..20 {
                let mut struck = Tally::default();
                let said = mouth.say(0, to, &vote, &mut random, &mut struck);
                let is_heard = said.len() > to.len();
                assert_eq!(struck.of(Fault::DoubleVote), u64::from(is_heard), "{to:?}");
            }
        }
    }
}
