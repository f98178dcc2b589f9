//! Which number the core knows a node by, and who is connected.

use std::collections::BTreeMap;

use tonle_consensus::{Config, PeerId};
use tonle_model::genesis::Parameters;
use tonle_model::key::PublicKey;
use tonle_model::leader::LeaderMarks;
use tonle_model::limits;
use tonle_model::validators::ValidatorSet;

/// Keys and their numbers: one key keeps one number for the life of the process. Only validators
/// and listed observers are let in, so the list is bounded by who was ever one of them.
#[derive(Debug, Default)]
pub struct PeerBook {
    keys: Vec<PublicKey>,
    numbers: BTreeMap<PublicKey, PeerId>,
    connected: Vec<PublicKey>,
}

impl PeerBook {
    /// The number of a key, given now if it has none.
    pub fn number(&mut self, key: &PublicKey) -> PeerId {
        *self.numbers.entry(*key).or_insert_with(|| {
            self.keys.push(*key);
            PeerId(self.keys.len() as u64 - 1)
        })
    }

    /// The key of a number.
    pub fn key(&self, number: PeerId) -> Option<&PublicKey> {
        self.keys.get(usize::try_from(number.0).ok()?)
    }

    /// Who is connected, in the order of connecting.
    pub fn connected(&self) -> &[PublicKey] {
        &self.connected
    }

    /// Notes a connection.
    pub fn connect(&mut self, key: PublicKey) {
        if !self.connected.contains(&key) {
            self.connected.push(key);
        }
    }

    /// Notes its end.
    pub fn disconnect(&mut self, key: &PublicKey) {
        self.connected.retain(|peer| peer != key);
    }
}

/// What the core needs to know of a height, from what the state says.
pub fn config_of(
    book: &mut PeerBook,
    own: &PublicKey,
    validators: &ValidatorSet,
    parameters: &Parameters,
    marks: LeaderMarks,
) -> Config {
    Config {
        validators: validators.iter().map(|validator| book.number(&validator.public_key)).collect(),
        me: validators.index_of(own),
        delta_ms: parameters.delta_ms.into(),
        drift_ms: limits::DRIFT_MS,
        marks,
    }
}
