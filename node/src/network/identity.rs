//! Tonle's keys as libp2p's identities and back.

use libp2p::PeerId;
use libp2p::identity::{self, Keypair};
use tonle_model::key::{KeyPair, PublicKey};

/// The identity of a key, if the key is a point at all.
pub(super) fn peer_id(key: &PublicKey) -> Option<PeerId> {
    let key = identity::ed25519::PublicKey::try_from_bytes(&key.0).ok()?;
    Some(PeerId::from_public_key(&key.into()))
}

/// The key of an identity, which carries it in full if it is an ed25519 one.
pub(super) fn public_key(peer: &PeerId) -> Option<PublicKey> {
    let key = identity::PublicKey::try_decode_protobuf(peer.as_ref().digest()).ok()?;
    Some(PublicKey(key.try_into_ed25519().ok()?.to_bytes()))
}

/// The node's own key.
pub(super) fn key_pair(key: &KeyPair) -> Option<Keypair> {
    let mut seed = key.seed();
    Keypair::ed25519_from_bytes(seed.as_mut_slice()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_and_identities_convert_both_ways() {
        let key = KeyPair::demo("validator");
        let public = key.public_key();
        let own = key_pair(&key).map(|pair| pair.public().to_peer_id());
        assert_eq!(peer_id(&public), own);
        assert_eq!(own.and_then(|peer| public_key(&peer)), Some(public));
        assert_eq!(public_key(&PeerId::random()), None, "a random hash carries no key");
    }
}
