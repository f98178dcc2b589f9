//! The questions of peers about snapshots, on their way to the thread that answers them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use tonle_model::key::PublicKey;
use tonle_model::number::Height;
use tonle_wsv::state::snapshot::PartId;

use crate::wire::SnapshotMessage;

/// Most questions of one peer that wait: twice what a node that joins has asked at a time. What is
/// past that is dropped, and asked again by whoever waits for it.
pub(super) const QUESTIONS_PER_PEER_MAX: usize = 16;

/// What a peer wants to know.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// What is offered.
    Offer,
    /// A part of the snapshot of a height.
    Part(Height, PartId),
}

/// Who asks what; nothing ends the thread.
pub type Asked = Option<(PublicKey, Question)>;

/// What waits, by who asked it.
type Waiting = Arc<Mutex<BTreeMap<PublicKey, Vec<Question>>>>;

/// The way to the thread that serves snapshots. Never waits.
#[derive(Debug, Clone)]
pub struct Requests {
    questions: Sender<Asked>,
    waiting: Waiting,
}

/// What the thread reads.
#[derive(Debug)]
pub struct Questions {
    asked: Receiver<Asked>,
    waiting: Waiting,
}

impl Requests {
    /// The way in, and what the thread reads.
    pub fn new() -> (Self, Questions) {
        // Bounded by what each peer may have waiting, and by who is let in.
        let (questions, asked) = unbounded();
        let waiting = Waiting::default();
        (Self { questions, waiting: waiting.clone() }, Questions { asked, waiting })
    }

    /// Ends the thread once it has answered what waits.
    pub fn end(&self) {
        let _ended = self.questions.send(None);
    }

    /// Passes a question on. Answers are not for a node that runs.
    pub fn put(&self, from: PublicKey, message: &SnapshotMessage) {
        let question = match message {
            SnapshotMessage::GetOffer => Question::Offer,
            SnapshotMessage::GetPart(height, part) => Question::Part(*height, *part),
            SnapshotMessage::Offer(_) | SnapshotMessage::Part(..) | SnapshotMessage::NoPart(..) => {
                return;
            }
        };
        let mut waiting = lock(&self.waiting);
        let own = waiting.entry(from).or_default();
        // By peer, so that one that asks too much takes no answer away from another. And one that
        // asks again before it was answered gets one answer.
        if own.len() < QUESTIONS_PER_PEER_MAX && !own.contains(&question) {
            own.push(question);
            // Gone: the node ends.
            let _ended = self.questions.send(Some((from, question)));
        }
    }
}

impl Questions {
    /// The next question.
    ///
    /// # Errors
    ///
    /// [`RecvTimeoutError`], if none came in time or nobody can ask any more.
    pub fn take(&self, timeout: Duration) -> Result<Asked, RecvTimeoutError> {
        let asked = self.asked.recv_timeout(timeout)?;
        if let Some((from, question)) = &asked {
            let mut waiting = lock(&self.waiting);
            if let Some(own) = waiting.get_mut(from) {
                own.retain(|one| one != question);
                if own.is_empty() {
                    waiting.remove(from);
                }
            }
        }
        Ok(asked)
    }
}

fn lock(
    waiting: &Mutex<BTreeMap<PublicKey, Vec<Question>>>,
) -> MutexGuard<'_, BTreeMap<PublicKey, Vec<Question>>> {
    waiting.lock().unwrap_or_else(PoisonError::into_inner)
}
