//! The queues of frames that wait to be written to one peer.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use bytes::Bytes;
use futures::task::AtomicWaker;
use tonle_model::key::PublicKey;

use super::{FRAME_BYTES_MAX, Lane, SendError};

/// Frames that may wait for one peer on one lane.
pub(super) const QUEUE_FRAMES_MAX: usize = 4_096;
/// Bytes that may wait for one peer on the consensus lane.
pub(super) const CONSENSUS_QUEUE_BYTES_MAX: usize = 8 * 1024 * 1024;
/// Bytes that may wait for one peer on the bulk lane: as much as one author may have undecided.
pub(super) const BULK_QUEUE_BYTES_MAX: usize = 32 * 1024 * 1024;

/// One connection as its senders see it.
pub(super) struct Link {
    /// Who is at the other end.
    pub(super) peer: PublicKey,
    consensus: Mutex<Queue>,
    bulk: Mutex<Queue>,
    writer: AtomicWaker,
}

struct Queue {
    frames: VecDeque<Bytes>,
    bytes: usize,
    bytes_max: usize,
}

impl Link {
    pub(super) fn new(peer: PublicKey) -> Self {
        let queue = |bytes_max| Mutex::new(Queue { frames: VecDeque::new(), bytes: 0, bytes_max });
        Self {
            peer,
            consensus: queue(CONSENSUS_QUEUE_BYTES_MAX),
            bulk: queue(BULK_QUEUE_BYTES_MAX),
            writer: AtomicWaker::new(),
        }
    }

    /// Queues a frame, or says why not. Never waits.
    pub(super) fn push(&self, lane: Lane, frame: Bytes) -> Result<(), SendError> {
        // An empty frame is the keep-alive, and a peer must close the link on one that is too long.
        if frame.is_empty() || frame.len() > FRAME_BYTES_MAX {
            return Err(SendError::Size);
        }
        let was_empty = {
            let mut queue = self.queue(lane);
            if queue.frames.len() >= QUEUE_FRAMES_MAX || queue.bytes + frame.len() > queue.bytes_max
            {
                return Err(SendError::Full);
            }
            queue.bytes += frame.len();
            queue.frames.push_back(frame);
            queue.frames.len() == 1
        };
        // The writer empties a queue before it sleeps on it, so only the first frame must wake it.
        if was_empty {
            self.writer.wake();
        }
        Ok(())
    }

    /// The next frame to write.
    pub(super) fn pop(&self, lane: Lane) -> Option<Bytes> {
        let mut queue = self.queue(lane);
        let frame = queue.frames.pop_front()?;
        queue.bytes -= frame.len();
        Some(frame)
    }

    /// Has `waker` woken when a frame comes into an empty queue.
    pub(super) fn register(&self, waker: &Waker) {
        self.writer.register(waker);
    }

    fn queue(&self, lane: Lane) -> MutexGuard<'_, Queue> {
        let queue = match lane {
            Lane::Consensus => &self.consensus,
            Lane::Bulk => &self.bulk,
        };
        queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tonle_model::key::KeyPair;

    use super::*;

    #[test]
    fn a_queue_is_bounded_in_frames_and_in_bytes() {
        let link = Link::new(KeyPair::demo("peer").public_key());
        let small = Bytes::from_static(b"vote");
        for _ in 0..QUEUE_FRAMES_MAX {
            assert_eq!(link.push(Lane::Consensus, small.clone()), Ok(()));
        }
        assert_eq!(link.push(Lane::Consensus, small.clone()), Err(SendError::Full));
        assert_eq!(link.pop(Lane::Consensus), Some(small.clone()));
        assert_eq!(link.push(Lane::Consensus, small), Ok(()));

        let large = Bytes::from(vec![0; FRAME_BYTES_MAX]);
        for _ in 0..BULK_QUEUE_BYTES_MAX / FRAME_BYTES_MAX {
            assert_eq!(link.push(Lane::Bulk, large.clone()), Ok(()));
        }
        assert_eq!(link.push(Lane::Bulk, large), Err(SendError::Full));
    }

    #[test]
    fn empty_and_oversized_frames_are_not_queued() {
        let link = Link::new(KeyPair::demo("peer").public_key());
        assert_eq!(link.push(Lane::Bulk, Bytes::new()), Err(SendError::Size));
        let oversized = Bytes::from(vec![0; FRAME_BYTES_MAX + 1]);
        assert_eq!(link.push(Lane::Bulk, oversized), Err(SendError::Size));
    }
}
