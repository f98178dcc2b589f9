//! Serving snapshots to peers.

use std::time::{Duration, Instant};

use crossbeam_channel::RecvTimeoutError;
use tonle_model::key::PublicKey;
use tonle_model::number::Height;
use tonle_wsv::state::snapshot::{PartId, SnapshotError, Source};

use super::{Question, Questions};
use crate::wire::{RawBytes, SnapshotMessage};

/// A snapshot that nobody has fetched from for this long is let go: it keeps files from being
/// deleted.
pub(super) const IDLE_MAX: Duration = Duration::from_secs(60);
/// So is any snapshot after this, whoever fetches it: the files that it keeps become more, and who
/// joins from it has more blocks to fetch.
pub(super) const HELD_MAX: Duration = Duration::from_secs(60 * 60);
/// Whoever asks for an offer gets one that is no older than this, unless somebody is fetching it.
const AGE_MAX: Duration = Duration::from_secs(60);
/// Somebody is fetching it if a part was given within this time: longer than a node waits before
/// it asks again for a part that was lost.
const IN_USE: Duration = Duration::from_secs(20);

/// Looks at the databases as they are now.
pub type OpenSource = Box<dyn FnMut() -> Result<Source, SnapshotError> + Send>;
/// Says something to a peer.
pub type Say = Box<dyn Fn(&PublicKey, &SnapshotMessage) + Send>;
/// Tells the time.
pub type Now = Box<dyn Fn() -> Instant + Send>;

struct Held {
    source: Source,
    made: Instant,
    /// When a part of it was given last. A question for what it does not have does not keep it.
    fetched: Option<Instant>,
}

/// What answers. It holds one snapshot at a time.
pub struct Server {
    open: OpenSource,
    say: Say,
    now: Now,
    held: Option<Held>,
}

impl Server {
    /// One that holds nothing yet.
    pub fn new(open: OpenSource, say: Say, now: Now) -> Self {
        Self { open, say, now, held: None }
    }

    /// Answers until it is told to end.
    pub fn run(mut self, questions: &Questions) {
        loop {
            match questions.take(IDLE_MAX) {
                Ok(Some((from, question))) => self.answer(&from, question),
                Err(RecvTimeoutError::Timeout) => self.let_go(),
                Ok(None) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Answers one question.
    pub fn answer(&mut self, from: &PublicKey, question: Question) {
        self.let_go();
        let answer = match question {
            Question::Offer => self.offer(),
            Question::Part(height, id) => Some(self.part(height, id)),
        };
        if let Some(answer) = answer {
            (self.say)(from, &answer);
        }
    }

    /// Lets go of a snapshot that nobody fetches, or that was held for too long.
    fn let_go(&mut self) {
        let now = (self.now)();
        let is_over = |held: &Held| {
            let used = held.fetched.unwrap_or(held.made);
            now.duration_since(used) >= IDLE_MAX || now.duration_since(held.made) >= HELD_MAX
        };
        if self.held.as_ref().is_some_and(is_over) {
            self.held = None;
        }
    }

    fn part(&mut self, height: Height, id: PartId) -> SnapshotMessage {
        let none = SnapshotMessage::NoPart(height, id);
        let held = self.held.as_mut().filter(|held| held.source.offer().height == height);
        let Some(held) = held else { return none };
        match held.source.part(id) {
            Ok(Some(bytes)) => {
                held.fetched = Some((self.now)());
                SnapshotMessage::Part(height, id, RawBytes(bytes.into()))
            }
            Ok(None) => none,
            Err(error) => {
                tracing::error!(%error, "cannot read the snapshot that is served");
                self.held = None;
                none
            }
        }
    }

    /// What is offered. A node that cannot tell says nothing: that it has only the genesis would
    /// not be true.
    fn offer(&mut self) -> Option<SnapshotMessage> {
        let now = (self.now)();
        let is_stale = |held: &Held| {
            now.duration_since(held.made) > AGE_MAX
                && held.fetched.is_none_or(|fetched| now.duration_since(fetched) > IN_USE)
        };
        if self.held.as_ref().is_none_or(is_stale) {
            // First, so that two are never held at once.
            self.held = None;
            match (self.open)() {
                Ok(source) => {
                    let offer = source.offer();
                    tracing::info!(height = %offer.height, "serving a snapshot");
                    // Making it may have taken long.
                    let made = (self.now)();
                    self.held = Some(Held { source, made, fetched: None });
                }
                Err(SnapshotError::Nothing) => {}
                Err(error) => {
                    tracing::warn!(%error, "cannot make a snapshot for a peer");
                    return None;
                }
            }
        }
        Some(SnapshotMessage::Offer(self.held.as_ref().map(|held| held.source.offer())))
    }
}
