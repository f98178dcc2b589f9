//! The network between validators: who is connected, frames between them, announcements to all.
//!
//! TCP, Noise and Yamux by libp2p; the ed25519 key of a validator is its identity on the wire, so
//! a connection proves who is at the other end. Nothing outside this folder names libp2p: the
//! node speaks of public keys and bytes.
//!
//! # On the wire
//!
//! Each side opens one substream per [`Lane`] and writes frames to it (a little-endian `u32`
//! length, at most [`FRAME_BYTES_MAX`] bytes). The first frame is the greeting: the 32 bytes of
//! the chain hash. An empty frame keeps the link alive and is never given to the node.
//! Announcements travel by gossipsub on a topic that names the chain.
//!
//! # Invariants
//!
//! - Only validators and listed observers are connected; others are refused and counted.
//! - Between two validators the one with the lower key dials. Simultaneous dials under a limit of
//!   one connection per peer can end with none. The other one dials only if nothing came for a
//!   while, which happens when the lower one does not know its address.
//! - Sending never waits: the queue of each peer and lane is bounded in frames and in bytes, and
//!   a frame that does not fit is dropped and counted.
//! - Receiving never drops: while [`NetworkSink::frame`] says [`Flow::Busy`] the substream is not
//!   read, and the peer comes to feel it through Yamux and TCP.
//! - A sink hears `connected` before the first frame of a link and `disconnected` after the last.

mod counters;
mod dialer;
pub mod frame;
mod gossip;
mod handle;
mod handler;
mod identity;
mod link;
mod links;
mod task;
#[cfg(test)]
mod tests;
mod transport;

use std::net::SocketAddr;

use bytes::Bytes;
use tonle_model::hash::ChainHash;
use tonle_model::key::{KeyPair, PublicKey};

pub use counters::{Counter, NetworkCounters};
pub use handle::NetworkHandle;
pub use task::{NetworkTask, start};

/// The longest frame of either lane.
pub const FRAME_BYTES_MAX: usize = 1024 * 1024;
/// The longest announcement.
pub const ANNOUNCEMENT_BYTES_MAX: usize = 64 * 1024 - 1024;

/// What a node needs to join the network.
#[derive(Debug, Clone)]
pub struct NetworkConfig {
    /// The node's own key; its public half is its identity.
    pub key: KeyPair,
    /// The chain; peers of another one are turned away.
    pub chain: ChainHash,
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The validators to connect to. All of them are let in.
    pub peers: Vec<PeerAddress>,
    /// Who is let in besides the validators. A node that is itself in this list does not wait to
    /// be dialed.
    pub observers: Vec<PublicKey>,
}

/// Where a validator can be reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// Who must answer there.
    pub public_key: PublicKey,
    /// `host:port`; a name is looked up again at each attempt.
    pub address: String,
}

/// Two ways to a peer that do not wait for each other, so that a batch never delays a vote.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lane {
    /// Proposals, votes, certificates, status.
    Consensus,
    /// Batches, headers and ranges of blocks.
    Bulk,
}

impl Lane {
    /// Both lanes, the urgent one first.
    pub const ALL: [Self; 2] = [Self::Consensus, Self::Bulk];
}

/// Why a frame was not queued.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// No link to this peer.
    #[error("the peer is not connected")]
    NotConnected,
    /// The peer does not keep up; the frame was dropped and counted.
    #[error("the queue of the peer is full")]
    Full,
    /// Empty, or longer than the limit.
    #[error(
        "a frame has 1 to {FRAME_BYTES_MAX} bytes and an announcement at most \
             {ANNOUNCEMENT_BYTES_MAX}"
    )]
    Size,
}

/// Why the network did not start or ended.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The address is taken or not ours.
    #[error("cannot listen on {address}: {reason}")]
    Listen {
        /// The configured address.
        address: SocketAddr,
        /// What the system said.
        reason: String,
    },
    /// A key that is not an ed25519 point cannot be anyone's identity.
    #[error("{0} is not a valid public key")]
    Key(PublicKey),
    /// A part of libp2p refused its configuration.
    #[error("cannot set up the network: {0}")]
    Setup(String),
    /// The network task panicked or its runtime is gone.
    #[error("the network stopped by itself")]
    Stopped,
}

/// Whether the node took a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// It did.
    Accepted,
    /// Its queue is full: the same frame will be offered again shortly, nothing else is read from
    /// that lane of that peer meanwhile.
    Busy,
}

/// What the node thinks of an announcement.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Valid: relayed to the other peers.
    Accept,
    /// Provably invalid whatever one's state is: not relayed, and the peer that relayed it is
    /// disconnected.
    Reject,
    /// Not relayed, nobody to blame.
    Ignore,
}

/// The node's side of the network. Called from network tasks: nothing here may block.
pub trait NetworkSink: Send + Sync + 'static {
    /// A link to `peer` is up; frames can be sent to it from now on.
    fn connected(&self, peer: PublicKey);
    /// The link to `peer` is gone, and with it whatever waited to be written.
    fn disconnected(&self, peer: PublicKey);
    /// A frame came. Frames of one peer and lane come in the order they were sent.
    fn frame(&self, peer: PublicKey, lane: Lane, frame: Bytes) -> Flow;
    /// An announcement came, relayed by `from_peer` and made by anyone. Equal bytes are given
    /// once in ten seconds at most. It may come shortly before `connected`.
    fn announcement(&self, from_peer: PublicKey, bytes: Bytes) -> Verdict;
}
