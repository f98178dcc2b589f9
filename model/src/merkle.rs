//! Binary Merkle trees: batches over their transactions, blocks over their receipts.
//!
//! Leaves are hashed by their owners under their own tags, interior nodes under [`tags::NODE`]; an
//! odd node is promoted to the level above unchanged. A batch commits to the number of its leaves;
//! where nothing does, a path shows that a leaf is in the tree but not where ([`crate::proof`]).

use crate::hash::{Digest256, TaggedHasher};
use crate::tags;

/// The parent of two nodes.
pub fn node(left: &Digest256, right: &Digest256) -> Digest256 {
    TaggedHasher::new(tags::NODE).part(left).part(right).finish()
}

/// The root over no leaves.
pub fn empty_root() -> Digest256 {
    TaggedHasher::new(tags::EMPTY).finish()
}

/// The root over leaves in order.
pub fn root(mut level: Vec<Digest256>) -> Digest256 {
    if level.is_empty() {
        return empty_root();
    }
    while level.len() > 1 {
        level = level
            .chunks(2)
            .map(|pair| match pair {
                [left, right] => node(left, right),
                odd => odd[0],
            })
            .collect();
    }
    level[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaf(number: u8) -> Digest256 {
        Digest256([number; 32])
    }

    #[test]
    fn an_odd_node_is_promoted() {
        let (a, b, c) = (leaf(1), leaf(2), leaf(3));
        assert_eq!(root(vec![a]), a);
        assert_eq!(root(vec![a, b]), node(&a, &b));
        assert_eq!(root(vec![a, b, c]), node(&node(&a, &b), &c));
        assert_ne!(root(vec![a, b]), root(vec![b, a]));
        assert_ne!(root(vec![]), root(vec![Digest256::default()]));
    }
}
