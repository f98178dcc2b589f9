//! Which batches were announced lately, by whomever: each is announced once.

use std::collections::{HashSet, VecDeque};

use tonle_model::hash::BatchDigest;

/// Most names remembered: what a few seconds of full load announce.
const HEARD_MAX: usize = 8_192;

/// The latest names.
#[derive(Default)]
pub(super) struct Heard {
    names: HashSet<BatchDigest>,
    order: VecDeque<BatchDigest>,
}

impl Heard {
    /// Notes a name; whether it is new.
    pub(super) fn note(&mut self, digest: BatchDigest) -> bool {
        if !self.names.insert(digest) {
            return false;
        }
        self.order.push_back(digest);
        if self.order.len() > HEARD_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.names.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::hash::Digest256;

    #[test]
    fn a_name_is_new_once_until_many_others_came() {
        let name = |number: usize| {
            let mut bytes = [0; 32];
            bytes[..8].copy_from_slice(&(number as u64).to_le_bytes());
            BatchDigest(Digest256(bytes))
        };
        let mut heard = Heard::default();
        assert!(heard.note(name(0)));
        assert!(!heard.note(name(0)));
        (1..=HEARD_MAX).for_each(|number| assert!(heard.note(name(number))));
        assert_eq!(heard.order.len(), HEARD_MAX);
        assert!(heard.note(name(0)), "the oldest is forgotten");
    }
}
