//! A list whose longest length is part of its type and is checked before anything is allocated.

use std::ops::Deref;

use parity_scale_codec::{Compact, Decode, Encode, Error, Input, Output};
use serde::{Deserialize, Deserializer, Serialize, de};

/// At most `MAX` items. Decoding refuses a longer list on its length alone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct Bounded<T, const MAX: usize>(Vec<T>);

/// A list was longer than its bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} items where at most {max} are allowed")]
pub struct TooLong {
    /// How many there were.
    pub length: usize,
    /// How many there may be.
    pub max: usize,
}

impl<T, const MAX: usize> Bounded<T, MAX> {
    /// Takes the list if it is short enough.
    pub fn new(items: Vec<T>) -> Result<Self, TooLong> {
        match items.len() {
            length if length > MAX => Err(TooLong { length, max: MAX }),
            _ => Ok(Self(items)),
        }
    }

    /// The list.
    pub fn into_vec(self) -> Vec<T> {
        self.0
    }
}

impl<T, const MAX: usize> Default for Bounded<T, MAX> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T, const MAX: usize> Deref for Bounded<T, MAX> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        &self.0
    }
}

impl<T, const MAX: usize> TryFrom<Vec<T>> for Bounded<T, MAX> {
    type Error = TooLong;

    fn try_from(items: Vec<T>) -> Result<Self, TooLong> {
        Self::new(items)
    }
}

impl<'a, T, const MAX: usize> IntoIterator for &'a Bounded<T, MAX> {
    type Item = &'a T;
    type IntoIter = std::slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<T: Encode, const MAX: usize> Encode for Bounded<T, MAX> {
    fn size_hint(&self) -> usize {
        self.0.size_hint()
    }

    fn encode_to<O: Output + ?Sized>(&self, output: &mut O) {
        self.0.encode_to(output);
    }
}

impl<T: Decode, const MAX: usize> Decode for Bounded<T, MAX> {
    fn decode<I: Input>(input: &mut I) -> Result<Self, Error> {
        let length = Compact::<u32>::decode(input)?.0 as usize;
        if length > MAX {
            return Err("list is longer than its bound".into());
        }
        // Lists may hold lists, so that depth is bounded too.
        input.descend_ref()?;
        // No capacity up front: a length within bounds is still only a claim.
        let mut items = Vec::new();
        for _ in 0..length {
            items.push(T::decode(input)?);
        }
        input.ascend_ref();
        Ok(Self(items))
    }
}

impl<'de, T: Deserialize<'de>, const MAX: usize> Deserialize<'de> for Bounded<T, MAX> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(Vec::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_over_its_bound_is_refused_by_every_way_in() {
        let four = vec![1u8, 2, 3, 4];
        assert_eq!(Bounded::<u8, 3>::new(four.clone()), Err(TooLong { length: 4, max: 3 }));
        assert!(Bounded::<u8, 3>::decode(&mut &four.encode()[..]).is_err());
        assert!(serde_json::from_str::<Bounded<u8, 3>>("[1,2,3,4]").is_err());
        assert_eq!(Bounded::<u8, 4>::decode(&mut &four.encode()[..]).unwrap().into_vec(), four);
    }

    #[test]
    fn a_huge_claim_costs_nothing() {
        let claim = Compact(u32::MAX).encode();
        assert!(Bounded::<u64, 1000>::decode(&mut &claim[..]).is_err());
    }
}
