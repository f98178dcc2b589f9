//! From what the core wants to what the turn will write and do.

use tonle_consensus::{Alarm, Input, Message, Output, PeerId, Recipients, Record};
use tonle_model::block::Header;
use tonle_model::hash::BlockHash;
use tonle_model::number::{Height, View};
use tonle_model::validators::faults;
use tonle_model::vote::{Ballot, Certificate, Justification, Proposal, Vote};

use super::turn::Act;
use super::{Driver, DriverError};
use crate::executor::Job;
use crate::network::Lane;
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
            Output::Evidence(evidence) => {
                tracing::error!(?evidence, "a validator broke the protocol");
                self.parts.board.count_evidence();
            }
            Output::Alarm(alarm) => return self.alarm(alarm),
            Output::Observer(reason) => {
                tracing::error!(
                    ?reason,
                    "this validator does not vote: its own past votes are not all known here. \
                     If no other copy of it runs, restart it with --resume-voting"
                );
                self.parts.board.set_observer();
            }
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
        self.turn.broadcast(Lane::Consensus, &Wire::Consensus(Box::new(Message::Vote(vote))));
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
        self.turn.record(height, &Record::Proposal(proposal.clone()));
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
        let announce = |batch: &crate::pool::HeldBatch| Announcement {
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
        match self.parts.pool.all_of(&header) {
            Ok(batches) => {
                self.turn.acts.push(Act::Execute(Job::Execute { header, batches }));
            }
            Err(digest) => return Err(DriverError::BatchGone(digest)),
        }
        Ok(())
    }

    fn commit(&mut self, header: Header, finalization: Certificate) -> Result<(), DriverError> {
        match self.parts.pool.all_of(&header) {
            Ok(batches) => {
                self.turn.write.committed.push((header.clone(), finalization));
                self.turn.acts.push(Act::Execute(Job::Commit { header, batches }));
            }
            Err(digest) => return Err(DriverError::BatchGone(digest)),
        }
        Ok(())
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
