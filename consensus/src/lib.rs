//! The BFT core of Tonle: Simplex (Chan and Pass, 2023), one height at a time, as a pure state
//! machine.
//!
//! A height decides exactly one block before the next one starts. Every block carries its own
//! certificate, there is no chain of undecided blocks, and a new validator set simply starts at
//! the next height. n validators, f = ⌊(n-1)/3⌋ of them Byzantine, quorum q = n - f; partial
//! synchrony. This page and the modules are the specification; the book tells the same with the
//! reasons.
//!
//! # Purity
//!
//! The core has no clock, thread, randomness, file, key or hash map. What it is told
//! ([`Input`]) was verified before; time comes with every [`Core::step`]. What it wants done
//! ([`Output`]) comes in an order that is the contract: *what is to be persisted is durable
//! before anything after it is acted upon*. So the same type runs in the node and in a seeded
//! simulation, and one seed is one run.
//!
//! # Words
//!
//! A validator *notarizes*, *nullifies* or *finalizes* a view; q such votes of equal content are
//! a *notarization*, a *nullification*, a *finalization*. A notarization of view u for block B
//! says that no other block is notarized in u. A nullification of u says that nothing was or will
//! be final in u. A finalization of any view decides the height.
//!
//! # Rules
//!
//! 1. **Move.** A notarization or nullification of a view w at or above ours moves us to w + 1.
//!    Older ones are kept too. A finalization of any view decides the height.
//! 2. **Propose**, once per view, as its leader. With w the highest view whose notarization we
//!    hold (none: a new block), we must hold the nullification of every view since; then we
//!    propose w's block again, same header, same hash. A leader who came by a notarization first
//!    gives the finalization Δ·1.5^v.
//! 3. **Notarize**, once per view, only in the current one, if the leader signed, the
//!    justification has no gap, the header is the justified one or (if none is) a valid new one,
//!    and all batches are held and durable. A block time ahead of our clock by more than the
//!    drift waits. An own nullify vote for the view is no obstacle.
//! 4. **Finalize**, once per view: the notarization of any view of this height binds us to it
//!    unless we nullified that view. The vote goes out when the block is executed, even if we
//!    left the view.
//! 5. **Nullify**, once per view, unless rule 4 bound us: when the timer fires; on an invalid
//!    proposal or two different ones; as a leader whose timer runs and who cannot build; when f+1
//!    others nullified this view, or an earlier one that we hold no certificate for.
//! 6. **Commit** on a finalization, after our own execution gave the certified result. Another
//!    result halts the core with [`Alarm::Divergence`]; results so split that none can reach q
//!    raise [`Alarm::Split`].
//! 7. **Standstill.** With work, and a second without news: send again the highest notarization,
//!    the nullifications above it, our proposal and votes of this view, our finalize votes, our
//!    nullify votes of views without a certificate; announce batches.
//! 8. **Status** goes to a peer on connection, to all with every standstill and every 5 s. Who is
//!    ahead answers it, at most so often. Who sees a higher height asks for ranges of blocks.
//!
//! Votes for the next few heights ([`limits::EARLY_HEIGHTS`]) are held until those begin: who
//! paused for a moment then needs no standstill to go on. When to build a block is the driver's
//! choice: the answer to [`Output::Build`] may take its time.
//!
//! Leaders are [`tonle_model::leader::LeaderMarks::leader`], a function of committed headers.
//!
//! **Why two blocks are never final.** Two quorums share an honest validator, so a view has at
//! most one notarized block (3), and never both a finalization and a nullification (4, 5). A
//! proposal above a finalized view v needs v's notarization or its nullification; the latter
//! cannot exist, so it repeats v's block or one notarized later, which by induction is v's block.
//!
//! **Idle.** A view's timer runs only while there is *work*: transactions in the pool, a proposal
//! of the current view not given up, a notarization of this height, or votes for this or a later
//! view from f + 1 others. Without work, only status is sent and no block is made.
//!
//! # Restart
//!
//! [`Core::new`] replays the log of the current height: votes are taken as they are, never made
//! again. Before its first vote a validator hears from q - 1 others which vote of its own they
//! saw last. One that the log does not hold means that the log is not the whole truth: the
//! validator observes and votes no more ([`Output::Observer`]) until [`Input::ResumeVoting`].
//!
//! # Bounds
//!
//! Everything keyed by a peer's number has a bound in [`limits`]: a window of views, one vote per
//! signer, view and kind, a few headers that no certificate names. What grows with the views of
//! one height (certificates and own votes) grows only as fast as honest validators move.
mod certify;
mod core;
mod face;
mod finalize;
mod idle;
pub mod limits;
mod normal;
mod notarize;
mod nullify;
mod peers;
mod propose;
mod recovery;
mod round;
mod slot;
mod standstill;

pub use crate::core::Core;
pub use crate::face::{
    Alarm, Config, Evidence, Input, Message, ObserverReason, Output, Parent, PeerId, Recipients,
    Record, Recovery,
};
