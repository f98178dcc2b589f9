//! Every bound and interval of the core, by name.

/// A view's timer never exceeds this (consensus.md, Idle).
pub const TIMER_MS_MAX: u64 = 30_000;
/// A view's timer is this many times Δ·1.5^v; the wait of rule 2 is Δ·1.5^v itself.
pub const TIMER_DELTAS: u64 = 3;
/// With work and without news for this long, what one has is sent again (rule 7).
pub const STANDSTILL_MS: u64 = 1_000;
/// Status goes to every peer this often even when idle (rule 8).
pub const STATUS_MS: u64 = 5_000;
/// A peer's status is answered at most this often (rule 8).
pub const ANSWER_MS: u64 = 500;
/// A node at most this many blocks behind is sent them when its status says so; one further
/// behind is told our status, so that it asks for ranges.
pub const PUSHED_BLOCKS_MAX: u64 = 2;
/// Most blocks in one request (rule 8).
pub const RANGE_BLOCKS_MAX: u64 = 20;
/// Most block requests in flight or not yet worked off.
pub const RANGES_MAX: usize = 4;
/// A block request that brings no progress for this long is given up, and its peer's claim
/// dropped.
pub const RANGE_MS: u64 = 10_000;
/// Most connected nodes that are kept track of.
pub const PEERS_MAX: usize = 512;
/// Votes for views further ahead of ours than this are dropped; certificates bring us there.
pub const VIEWS_AHEAD: u32 = 16;
/// Votes of others are forgotten this many views behind ours; certificates and own votes stay.
pub const VIEWS_BEHIND: u32 = 256;
/// Votes and proposals for so many heights after the one being decided are held. A node whose disk
/// or processor paused for a moment finds there what it would else have to wait a standstill for;
/// with one validator down already, everyone would wait for it.
pub const EARLY_HEIGHTS: u64 = 4;
/// Early votes for a height are held for this many views.
pub const EARLY_VIEWS: u32 = 4;
/// Most headers held at a height that no certificate names.
pub const CANDIDATES_MAX: usize = 16;
/// Most blocks at a height executed before they are notarized.
pub const SPECULATIONS_MAX: usize = 2;
/// Most nullifications sent in one standstill or in one answer; the next continues.
pub const NULLIFICATIONS_SENT_MAX: usize = 64;
/// Most own nullify and finalize votes of past views sent in one standstill; the latest first.
pub const OWN_VOTES_SENT_MAX: usize = 128;
