//! A fuzzer's bytes as a script of choices.
//!
//! Any bytes are some script, and most small changes of the bytes are small changes of the script:
//! that is what lets a fuzzer find its way. A script that is over chooses zeros.

/// What is left of a script.
pub struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    /// The script that these bytes are.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Whether there are no more choices.
    pub fn is_over(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// A number below `bound`, which is at most 256.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    /// All that is left, as it is.
    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }

    /// True once in `odds` values of a byte.
    pub fn rarely(&mut self, odds: u8) -> bool {
        self.byte() % odds == odds - 1
    }

    /// Eight bytes as a number.
    pub fn number(&mut self) -> u64 {
        u64::from_le_bytes([(); 8].map(|()| self.byte()))
    }

    /// One of the items, if there are any.
    pub fn pick<'b, T>(&mut self, items: &'b [T]) -> Option<&'b T> {
        let position = self.below(items.len().min(256));
        items.get(position)
    }
}
