//! A validator set and its arithmetic: who may vote, and how many are enough.

use parity_scale_codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::bounded::Bounded;
use crate::hash::{Digest256, TaggedHasher};
use crate::key::PublicKey;
use crate::number::ValidatorIndex;
use crate::planted::{Bug, is_planted};
use crate::{limits, tags};

/// One validator: its key is its vote, its network identity and its place in the order.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Validator {
    /// A name for people; it decides nothing.
    pub name: crate::id::Name,
    /// Signs votes, proposals and batches, and is the libp2p identity.
    pub public_key: PublicKey,
}

/// The validators of a height in canonical order: by public key.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Serialize)]
#[serde(transparent)]
pub struct ValidatorSet(Bounded<Validator, { limits::VALIDATORS_MAX }>);

/// Why a list is no validator set.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidatorSetError {
    /// Nobody could decide anything.
    #[error("a validator set needs at least one validator")]
    Empty,
    /// More than [`limits::VALIDATORS_MAX`].
    #[error("a validator set has at most {} validators", limits::VALIDATORS_MAX)]
    TooMany,
    /// Two entries with one key would let one validator vote twice.
    #[error("validator key {0} appears twice")]
    Repeated(PublicKey),
}

impl ValidatorSet {
    /// Sorts the validators into canonical order and checks the set.
    pub fn new(mut validators: Vec<Validator>) -> Result<Self, ValidatorSetError> {
        validators.sort_by_key(|validator| validator.public_key);
        if let Some(pair) =
            validators.windows(2).find(|pair| pair[0].public_key == pair[1].public_key)
        {
            return Err(ValidatorSetError::Repeated(pair[0].public_key));
        }
        if validators.is_empty() {
            return Err(ValidatorSetError::Empty);
        }
        Bounded::new(validators).map(Self).map_err(|_| ValidatorSetError::TooMany)
    }

    /// How many there are; never 0.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many votes decide.
    pub fn quorum(&self) -> usize {
        quorum(self.count())
    }

    /// The validator at an index, if there is one: the index may be a peer's claim.
    pub fn get(&self, index: ValidatorIndex) -> Option<&Validator> {
        self.0.get(index.position())
    }

    /// The index of a key.
    pub fn index_of(&self, key: &PublicKey) -> Option<ValidatorIndex> {
        let position = self.0.binary_search_by_key(key, |validator| validator.public_key).ok()?;
        u16::try_from(position).ok().map(ValidatorIndex)
    }

    /// All validators in canonical order.
    pub fn iter(&self) -> std::slice::Iter<'_, Validator> {
        self.0.iter()
    }

    /// The hash that a result commits to.
    pub fn hash(&self) -> Digest256 {
        TaggedHasher::new(tags::VALIDATORS).part(self.encode()).finish()
    }
}

impl Decode for ValidatorSet {
    fn decode<I: parity_scale_codec::Input>(
        input: &mut I,
    ) -> Result<Self, parity_scale_codec::Error> {
        let validators = Bounded::<Validator, { limits::VALIDATORS_MAX }>::decode(input)?;
        let set = Self::new(validators.to_vec()).map_err(|_| "not a validator set")?;
        match set.0 == validators {
            true => Ok(set),
            false => Err("validators out of canonical order".into()),
        }
    }
}

/// How many of `validators` may be Byzantine: f = floor((n - 1) / 3) (consensus.md).
pub fn faults(validators: usize) -> usize {
    validators.saturating_sub(1) / 3
}

/// How many votes decide: q = n - f. Not 2f + 1: they differ unless n = 3f + 1 (consensus.md).
pub fn quorum(validators: usize) -> usize {
    if is_planted(Bug::SmallQuorum) {
        return 2 * faults(validators);
    }
    validators - faults(validators)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key::KeyPair;

    #[test]
    fn two_quorums_share_an_honest_validator() {
        for validators in 1..=limits::VALIDATORS_MAX {
            let (q, f) = (quorum(validators), faults(validators));
            assert!(2 * q > validators + f, "n = {validators}");
            assert!(q <= validators - f, "the honest alone can decide, n = {validators}");
        }
    }

    #[test]
    fn a_set_is_sorted_and_has_no_twins() {
        let validator = |name: &str| Validator {
            name: name.parse().unwrap(),
            public_key: KeyPair::demo(name).public_key(),
        };
        let set = ValidatorSet::new(vec![validator("a"), validator("b"), validator("c")]).unwrap();
        for (position, member) in set.iter().enumerate() {
            assert_eq!(set.index_of(&member.public_key).unwrap().position(), position);
        }
        let twins = ValidatorSet::new(vec![validator("a"), validator("a")]);
        assert!(matches!(twins, Err(ValidatorSetError::Repeated(_))));
        assert_eq!(ValidatorSet::new(vec![]), Err(ValidatorSetError::Empty));

        let mut reversed = set.0.to_vec();
        reversed.reverse();
        assert!(ValidatorSet::decode(&mut &reversed.encode()[..]).is_err());
        assert_eq!(ValidatorSet::decode(&mut &set.encode()[..]).unwrap(), set);
    }
}
