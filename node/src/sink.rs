//! Where frames from the network go: batches to the verify pool, the rest to the driver.

use std::sync::Arc;

use bytes::Bytes;
use crossbeam_channel::TrySendError;
use tonle_model::decode;
use tonle_model::hash::ChainHash;
use tonle_model::key::PublicKey;
use tonle_model::verify::Verifier;
use tonle_wsv::state::WorldReader;

use crate::board::Board;
use crate::driver::{Event, EventSender};
use crate::network::{Flow, Lane, NetworkSink, Verdict};
use crate::snapshot::Requests;
use crate::verify_pool::VerifyPool;
use crate::wire::{Announcement, Wire};

/// The node's side of the network.
pub struct Sink {
    /// The network's name.
    pub chain: ChainHash,
    /// To the driver.
    pub events: EventSender,
    /// To the workers.
    pub verify: VerifyPool,
    /// Checks announcements, which are few.
    pub verifier: Arc<Verifier>,
    /// Whose batches count.
    pub world: WorldReader,
    /// Counts what is wrong.
    pub board: Arc<Board>,
    /// To the thread that serves snapshots, if there is one.
    pub snapshots: Option<Requests>,
}

impl Sink {
    fn put(&self, event: Event) -> Flow {
        match self.events.try_send(event) {
            Err(TrySendError::Full(_)) => Flow::Busy,
            // After the driver nothing matters any more.
            Ok(()) | Err(TrySendError::Disconnected(_)) => Flow::Accepted,
        }
    }

    /// Connections must not be lost, and there are few of them: a full queue is waited for.
    fn put_surely(&self, event: Event) {
        let _ended = self.events.send(event);
    }
}

impl NetworkSink for Sink {
    fn connected(&self, peer: PublicKey) {
        self.put_surely(Event::Connected(peer));
    }

    fn disconnected(&self, peer: PublicKey) {
        self.put_surely(Event::Disconnected(peer));
    }

    fn frame(&self, peer: PublicKey, _lane: Lane, frame: Bytes) -> Flow {
        match Wire::from_frame(&frame) {
            Ok(Wire::Batch(raw)) => match self.verify.batch(peer, raw.0) {
                Ok(()) => Flow::Accepted,
                Err(_busy) => Flow::Busy,
            },
            Ok(Wire::Snapshot(message)) => {
                if let Some(snapshots) = &self.snapshots {
                    snapshots.put(peer, &message);
                }
                Flow::Accepted
            }
            Ok(wire) => self.put(Event::Message { from: peer, wire: Box::new(wire) }),
            Err(error) => {
                tracing::warn!(%peer, %error, "sent a frame that is no message");
                self.board.count_bad_frame();
                Flow::Accepted
            }
        }
    }

    fn announcement(&self, from: PublicKey, bytes: Bytes) -> Verdict {
        let Ok(announcement) = decode::all::<Announcement>(&bytes) else {
            return Verdict::Reject;
        };
        let Announcement { reference, signature } = &announcement;
        if self.world.validators().index_of(&reference.author).is_none() {
            return Verdict::Ignore;
        }
        let verifier = &self.verifier;
        if !tonle_model::batch::verify_author(&self.chain, reference, signature, verifier) {
            return Verdict::Reject;
        }
        match self.put(Event::Announced { from, announcement }) {
            Flow::Accepted => Verdict::Accept,
            Flow::Busy => Verdict::Ignore,
        }
    }
}
