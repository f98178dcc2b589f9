//! What one turn has gathered: first what to write, then what to do.

use bytes::Bytes;
use parity_scale_codec::Encode;
use tonle_consensus::Record;
use tonle_model::key::PublicKey;
use tonle_model::number::Height;
use tonle_model::planted::{Bug, is_planted};
use tonle_model::vote::Vote;
use tonle_wsv::chain::ChainWrite;

use super::{Driver, DriverError};
use crate::executor::{Gone, Job};
use crate::network::Lane;
use crate::wire::{Announcement, Wire};

/// Something to do once the write is on disk.
pub(super) enum Act {
    /// To one peer.
    Send(PublicKey, Lane, Bytes),
    /// To all.
    Broadcast(Lane, Bytes),
    /// Gossip.
    Announce(Announcement),
    /// To the executor.
    Execute(Job),
    /// Cut a peer off.
    Blame(PublicKey),
}

/// A turn's write and acts.
#[derive(Default)]
pub(super) struct Turn {
    pub(super) write: ChainWrite,
    pub(super) acts: Vec<Act>,
    /// What answers to peers come to.
    pub(super) served_bytes: usize,
}

impl Turn {
    fn has_writes(&self) -> bool {
        // What was seen of others waits for a write that has another reason.
        let ChainWrite { records, batches, committed, evidence, seen: _, view: _ } = &self.write;
        let is_empty = records.is_empty() && batches.is_empty() && committed.is_empty();
        !(is_empty && evidence.is_empty())
    }

    /// Keeps a record of the current height.
    pub(super) fn record(&mut self, height: Height, record: &Record) {
        self.write.records.push((height, record.encode()));
    }

    /// Sends to one peer after the write.
    pub(super) fn send(&mut self, to: &PublicKey, lane: Lane, wire: &Wire) {
        self.acts.push(Act::Send(*to, lane, wire.to_frame()));
    }

    /// Answers a peer after the write.
    pub(super) fn serve(&mut self, to: &PublicKey, frame: Bytes) {
        self.served_bytes += frame.len();
        self.acts.push(Act::Send(*to, Lane::Bulk, frame));
    }

    /// Sends to all after the write.
    pub(super) fn broadcast(&mut self, lane: Lane, wire: &Wire) {
        self.acts.push(Act::Broadcast(lane, wire.to_frame()));
    }
}

impl Driver {
    /// The one synced write, then everything that waited for it.
    pub(super) fn write_then_act(&mut self) -> Result<(), DriverError> {
        let mut turn = std::mem::take(&mut self.turn);
        if is_planted(Bug::AnswerBeforeSync) && !turn.write.committed.is_empty() {
            // The next turn writes it, after the executor may have answered.
            self.turn.write = std::mem::take(&mut turn.write);
        }
        if turn.has_writes() {
            turn.write.view = self.parts.core.view();
            turn.write.seen = self.votes_seen();
            self.parts.chain.append(turn.write)?;
            self.parts.board.count_synced_write();
        }
        for act in turn.acts {
            match act {
                Act::Send(to, lane, frame) => self.parts.outbox.send(&to, lane, frame),
                Act::Broadcast(lane, frame) => self.parts.outbox.broadcast(lane, frame),
                Act::Announce(announcement) => self.parts.outbox.announce(&announcement),
                Act::Blame(peer) => self.parts.outbox.blame(&peer),
                Act::Execute(job) => self.jobs.push_back(job),
            }
        }
        self.hand_over_jobs()
    }

    /// The latest vote seen of each other validator, kept with what is written anyway.
    fn votes_seen(&self) -> Vec<(PublicKey, Vote)> {
        let parts = &self.parts;
        let own = parts.key.public_key();
        let seen = parts.core.votes_seen();
        let of_others = seen.filter_map(|(signer, vote)| Some((*parts.peers.key(signer)?, vote)));
        of_others.filter(|(signer, _)| *signer != own).collect()
    }

    /// Gives the executor what it has room for. The rest follows when it reports, so that the two
    /// never wait for each other.
    fn hand_over_jobs(&mut self) -> Result<(), DriverError> {
        while let Some(job) = self.jobs.pop_front() {
            match self.parts.executor.try_put(job) {
                Ok(None) => {}
                Ok(Some(job)) => {
                    self.jobs.push_front(job);
                    break;
                }
                Err(Gone) => return Err(DriverError::Ended("executor")),
            }
        }
        Ok(())
    }
}
