//! The driver's way out to the network.

use bytes::Bytes;
use parity_scale_codec::Encode;
use tonle_model::key::PublicKey;
use tonle_model::validators::ValidatorSet;

use crate::driver::Outbox;
use crate::network::{Lane, NetworkHandle};
use crate::wire::Announcement;

/// [`Outbox`] over libp2p.
pub struct NetworkOutbox {
    network: NetworkHandle,
    observers: Vec<PublicKey>,
}

impl NetworkOutbox {
    /// Lets the validators of each height and these observers in.
    pub fn new(network: NetworkHandle, observers: &[PublicKey]) -> Self {
        Self { network, observers: observers.to_vec() }
    }
}

impl Outbox for NetworkOutbox {
    fn send(&self, to: &PublicKey, lane: Lane, frame: Bytes) {
        if let Err(error) = self.network.send(to, lane, frame) {
            // What matters is sent again by rules 7 and 8, or asked for again.
            tracing::debug!(peer = %to, %error, "frame dropped");
        }
    }

    fn broadcast(&self, lane: Lane, frame: Bytes) {
        self.network.broadcast(lane, &frame);
    }

    fn announce(&self, announcement: &Announcement) {
        if let Err(error) = self.network.announce(announcement.encode().into()) {
            // Neighbours are told again when nothing moves (consensus.md rule 7).
            tracing::debug!(%error, "announcement dropped");
        }
    }

    fn set_validators(&self, validators: &ValidatorSet) {
        let keys = validators.iter().map(|validator| validator.public_key);
        self.network.set_allowed(keys.chain(self.observers.iter().copied()).collect());
    }

    fn blame(&self, peer: &PublicKey) {
        self.network.disconnect(peer);
    }
}
