//! The small numbers of the protocol, each a type of its own.

use std::fmt;

use parity_scale_codec::{Decode, Encode, MaxEncodedLen};
use serde::{Deserialize, Serialize};

macro_rules! number_type {
    ($($(#[$doc:meta])* $name:ident($inner:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[derive(Encode, Decode, MaxEncodedLen, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub $inner);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }
    )*};
}

number_type! {
    /// A block's place in the chain; genesis is 0.
    Height(u64);
    /// An attempt at deciding a height; the first is 0.
    View(u32);
    /// A validator's place in the canonical order of its height's set.
    ValidatorIndex(u16);
}

impl Height {
    /// The height after this one. Heights count blocks, so 64 bits do not run out.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The height before this one; genesis has none.
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }
}

impl View {
    /// The view after this one. Time-outs grow to 30 s, so 32 bits outlast any network; a peer's
    /// number may be the last one, hence saturating.
    #[must_use]
    pub fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    /// The view before this one; the first has none.
    pub fn previous(self) -> Option<Self> {
        self.0.checked_sub(1).map(Self)
    }
}

impl ValidatorIndex {
    /// The index as a position in a list of validators.
    pub fn position(self) -> usize {
        usize::from(self.0)
    }
}
