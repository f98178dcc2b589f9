//! From what the core wants to what the turn will write and do.

use tonle_consensus::{
    Alarm, Evidence, Input, Message, ObserverReason, Output, PeerId, Recipients, Record,
};
use tonle_model::block::Header;
use tonle_model::hash::{BlockHash, ChainHash, Digest256};
use tonle_model::key::Signature;
use tonle_model::number::{Height, View};
use tonle_model::planted::{Bug, is_planted};
use tonle_model::validators::{Validator, faults};
use tonle_model::vote::{Ballot, Certificate, Justification, Proposal, Vote};
use tonle_wsv::chain::{EVIDENCE_MAX, EvidenceRow, Signed, Statements};

use super::turn::Act;
use super::{Driver, DriverError};
use crate::executor::Job;
use crate::network::Lane;
use crate::pool::HeldBatch;
use crate::wire::{ANNOUNCED_BATCHES_MAX, Announcement, Wire};

impl Driver {
    /// Works the core's outputs off until it is quiet.
    pub(super) fn work_off_outputs(&mut self) -> Result<(), DriverError> {
        while !self.outputs.is_empty() {
            for output in std::mem::take(&mut self.outputs) {
                self.carry_out(output)?;
            }
        }
        Ok(())
    }

    fn carry_out(&mut self, output: Output) -> Result<(), DriverError> {
        match output {
            Output::Persist(record) => self.persist(&record),
            Output::SignVote { ballot } => self.sign_vote(ballot),
            Output::SignProposal { height, view, header, justification } => {
                self.sign_proposal(height, view, header, justification);
            }
            Output::Build { view, template } => {
                self.pace.ask(view, template);
                self.build_due();
            }
            Output::Check { header } => self.judge(&header),
            Output::FetchHeader { block, holders } => self.fetch_header(block, &holders),
            Output::FetchBlocks { peer, from, count } => {
                let count = u32::try_from(count).unwrap_or(u32::MAX);
                self.send(peer, Lane::Consensus, &Wire::GetBlocks { from, count });
            }
            Output::Send { to, message } => self.send_message(to, message),
            Output::SendBlocks { to, from, count } => {
                if let Some(to) = self.parts.peers.key(to).copied() {
                    self.serve_blocks(&to, from, count);
                }
            }
            Output::AnnounceBatches => self.announce_batches(),
            Output::Execute { header } => self.execute(header)?,
            Output::Commit { header, finalization } => self.commit(header, finalization)?,
            Output::Evidence(evidence) => self.keep_evidence(&evidence)?,
            Output::Alarm(alarm) => return self.alarm(alarm),
            Output::Observer(reason) => self.observe(reason),
        }
        Ok(())
    }

    fn persist(&mut self, record: &Record) {
        if let Record::Header(header) = record {
            self.headers.insert(header.hash(), header.clone());
        }
        self.turn.record(self.parts.core.height(), record);
    }

    /// Builds the block that the core asked for, once it is time.
    pub(super) fn build_due(&mut self) {
        let Some((view, template)) = self.pace.due(self.now_ms) else { return };
        let filled = self.parts.pool.fill(&template, &self.parts.world);
        self.step(match filled {
            Some(header) => Input::Built { header },
            None => Input::NothingToBuild { view },
        });
    }

    /// The one place where this node's votes are made. Written with this turn's write, sent after
    /// it, and the core hears of it now: nothing of this turn leaves before the write.
    fn sign_vote(&mut self, ballot: Ballot) {
        let parts = &self.parts;
        let Some(me) = parts.validators.index_of(&parts.key.public_key()) else { return };
        let vote = Vote::sign(ballot, &parts.chain_hash, me, &parts.key);
        self.turn.record(ballot.height, &Record::Vote(vote));
        let wire = Wire::Consensus(Box::new(Message::Vote(vote)));
        if is_planted(Bug::VoteBeforeWrite) {
            self.parts.outbox.broadcast(Lane::Consensus, wire.to_frame());
        }
        self.turn.broadcast(Lane::Consensus, &wire);
        self.step(Input::Vote(vote));
    }

    /// The one place where this node's proposals are made.
    fn sign_proposal(
        &mut self,
        height: Height,
        view: View,
        header: Header,
        justification: Justification,
    ) {
        let parts = &self.parts;
        let message = Proposal::signing_hash(&parts.chain_hash, height, view, &header.hash());
        let signature = parts.key.sign(message.as_ref());
        let proposal = Proposal { height, view, header, justification, signature };
        if !is_planted(Bug::ForgetProposals) {
            self.turn.record(height, &Record::Proposal(proposal.clone()));
        }
        let wire = Wire::Consensus(Box::new(Message::Proposal(proposal.clone())));
        self.turn.broadcast(Lane::Consensus, &wire);
        self.step(Input::Proposal(proposal));
    }

    fn fetch_header(&mut self, block: BlockHash, holders: &[PeerId]) {
        let connected = self.parts.peers.connected();
        let keys = holders.iter().filter_map(|holder| self.parts.peers.key(*holder));
        // Of f + 1 signers at least one is honest and has it.
        let enough = faults(self.parts.validators.count()) + 1;
        let asked: Vec<_> =
            keys.filter(|key| connected.contains(key)).take(enough).copied().collect();
        for key in asked {
            self.turn.send(&key, Lane::Consensus, &Wire::GetHeader(block));
        }
    }

    fn send(&mut self, to: PeerId, lane: Lane, wire: &Wire) {
        if let Some(to) = self.parts.peers.key(to) {
            self.turn.send(to, lane, wire);
        }
    }

    fn send_message(&mut self, to: Recipients, message: Message) {
        let wire = Wire::Consensus(Box::new(message));
        match to {
            Recipients::All => self.turn.broadcast(Lane::Consensus, &wire),
            Recipients::One(peer) => self.send(peer, Lane::Consensus, &wire),
        }
    }

    /// Tells neighbours what is undecided here, gossip having forgotten or lost it (rule 7).
    fn announce_batches(&mut self) {
        let authors: Vec<_> = self.parts.validators.iter().map(|one| one.public_key).collect();
        let pool = &self.parts.pool;
        let held = authors.iter().flat_map(|author| pool.of_author(author));
        let announce = |batch: &HeldBatch| Announcement {
            reference: batch.reference(),
            signature: *batch.signature(),
        };
        let list: Vec<_> = held.take(ANNOUNCED_BATCHES_MAX).map(announce).collect();
        if list.is_empty() {
            return;
        }
        if let Ok(list) = list.try_into() {
            self.turn.broadcast(Lane::Consensus, &Wire::Announce(list));
        }
    }

    fn execute(&mut self, header: Header) -> Result<(), DriverError> {
        let batches = self.batches_of(&header)?;
        self.turn.acts.push(Act::Execute(Job::Execute { header, batches }));
        Ok(())
    }

    fn commit(&mut self, header: Header, finalization: Certificate) -> Result<(), DriverError> {
        let batches = self.batches_of(&header)?;
        self.turn.write.committed.push((header.clone(), finalization));
        self.turn.acts.push(Act::Execute(Job::Commit { header, batches }));
        Ok(())
    }

    /// A block's batches in its order, which the core was told are held.
    fn batches_of(&self, header: &Header) -> Result<Vec<HeldBatch>, DriverError> {
        let mut batches = self.parts.pool.all_of(header).map_err(DriverError::BatchGone)?;
        if is_planted(Bug::ArrivalOrder) {
            let chain = self.parts.chain.reader();
            batches.sort_by_key(|batch| chain.arrival(&batch.digest()));
        }
        Ok(batches)
    }

    /// Counts what a validator signed against the rules, and keeps it for whoever asks.
    fn keep_evidence(&mut self, evidence: &Evidence) -> Result<(), DriverError> {
        self.parts.board.count_evidence();
        let parts = &self.parts;
        let Disclosed { height, view, statements, signed } = disclose(evidence, &parts.chain_hash);
        // The set may have changed in this very turn, and a proposal names no signer: the key is
        // the one that both signatures are of.
        let set = parts.world.validators_at(height)?;
        let signed_both = |validator: &&Validator| {
            let key = &validator.public_key;
            signed
                .iter()
                .all(|(hash, signature)| parts.verifier.verify(key, hash.as_ref(), signature))
        };
        let Some(Validator { name, public_key }) = set.iter().find(signed_both) else {
            tracing::error!(?evidence, "evidence without an author");
            return Ok(());
        };
        tracing::error!(%name, %public_key, %height, %view, ?statements, "a validator broke the rules");
        if parts.chain.reader().evidence_count() >= EVIDENCE_MAX {
            tracing::warn!("there is no room for more evidence: it is counted and not kept");
        }
        let (validator, seen_ms) = (*public_key, self.now_ms);
        let row = EvidenceRow { height, view, validator, statements, seen_ms };
        self.turn.write.evidence.push(row);
        Ok(())
    }

    /// An operator vouches for what is not known here: it is no reason any more.
    pub(super) fn forgive(&mut self) {
        self.outputs.retain(|output| {
            let Output::Observer(reason) = output else { return true };
            tracing::warn!(?reason, "votes all the same: an operator vouches for it");
            false
        });
    }

    /// Says why this validator does not vote any more.
    fn observe(&self, reason: ObserverReason) {
        let elsewhere = "that its log does not hold";
        let reason = match (reason, self.parts.chain.loss()) {
            (ObserverReason::LogLost, Some(loss)) => loss.to_string(),
            (ObserverReason::LogLost, None) => "a record of the log cannot be read".to_owned(),
            (ObserverReason::LogInconsistent, _) => {
                "the log holds votes that its certificates do not explain".to_owned()
            }
            (ObserverReason::UnknownOwnVote(Ballot { height, view, .. }), _) => format!(
                "another node holds a vote of this validator for height {height}, view {view}, \
                 {elsewhere}"
            ),
            (ObserverReason::UnknownOwnProposal(height, view), _) => format!(
                "another node holds a proposal of this validator for height {height}, view {view}, \
                 {elsewhere}"
            ),
        };
        tracing::error!(
            reason,
            "this validator does not vote: its own past votes are not all known here. If no other \
             copy of it runs, restart it with --resume-voting"
        );
        self.parts.board.set_observer(reason);
    }

    fn alarm(&mut self, alarm: Alarm) -> Result<(), DriverError> {
        match alarm {
            Alarm::Divergence { height, own, certified, .. } => {
                // What was voted so far is kept; the operator and the others may need it.
                self.write_then_act()?;
                Err(DriverError::Divergence { height: height.0, own, certified })
            }
            Alarm::Split { height, view } => {
                tracing::error!(%height, %view, "validators disagree on the result of a block");
                self.parts.board.count_alarm();
                Ok(())
            }
            Alarm::Unusable { height, block } => {
                tracing::error!(%height, %block, "the quorum accepted a block that is unusable here");
                self.parts.board.count_alarm();
                Ok(())
            }
        }
    }
}

/// Evidence as it is kept, and what its two signatures sign.
struct Disclosed {
    height: Height,
    view: View,
    statements: Statements,
    signed: [(Digest256, Signature); 2],
}

/// Leaves out what nobody needs to check it: the block behind a hash, a place in the set.
fn disclose(evidence: &Evidence, chain: &ChainHash) -> Disclosed {
    match evidence {
        Evidence::Votes(first, second) => {
            let Ballot { height, view, .. } = first.ballot;
            let votes = [first, second];
            let statement =
                |vote: &Vote| Signed { said: vote.ballot.kind, signature: vote.signature };
            Disclosed {
                height,
                view,
                statements: Statements::Votes(votes.map(statement)),
                signed: votes.map(|vote| (vote.ballot.signing_hash(chain), vote.signature)),
            }
        }
        Evidence::Proposals(first, second) => {
            let (height, view) = (first.height, first.view);
            let proposals = [first, second]
                .map(|one| Signed { said: one.header.hash(), signature: one.signature });
            let hash = |block: &BlockHash| Proposal::signing_hash(chain, height, view, block);
            Disclosed {
                height,
                view,
                statements: Statements::Proposals(proposals),
                signed: proposals.map(|one| (hash(&one.said), one.signature)),
            }
        }
    }
}
