//! A node whose disk is full votes and proposes nothing new: whatever it says of that kind was on
//! its disk before.

use std::collections::{BTreeMap, BTreeSet};

use tonle_consensus::Message;
use tonle_wsv::memory::MemoryStore;
use tonle_wsv::store::Table;

use super::super::machine::record_of;
use super::{Held, broken};

/// Nodes whose disks are full, with the records that were there when they filled.
#[derive(Debug, Default)]
pub struct FullDisks {
    records: BTreeMap<usize, BTreeSet<Vec<u8>>>,
}

impl FullDisks {
    /// A node was told that its disk is full.
    pub fn filled(&mut self, node: usize, disk: &MemoryStore) {
        let records = disk.durable_values(Table::Records, &[]);
        self.records.insert(node, records.into_iter().collect());
    }

    /// There is room again, or the process is gone.
    pub fn emptied(&mut self, node: usize) {
        self.records.remove(&node);
    }

    /// A node says something.
    pub fn said(&self, node: usize, message: &Message) -> Held {
        let Some(records) = self.records.get(&node) else { return Ok(()) };
        match record_of(message) {
            Some((_, record)) if !records.contains(&record) => {
                broken(format!("node {node} has a full disk and makes {message:?}"))
            }
            _ => Ok(()),
        }
    }

    /// A node took so many payments in.
    pub fn took(&self, node: usize, payments: usize) -> Held {
        match self.records.contains_key(&node) && payments > 0 {
            true => broken(format!("node {node} has a full disk and takes {payments} payments in")),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::hash::ChainHash;
    use tonle_model::key::KeyPair;
    use tonle_model::number::{Height, ValidatorIndex, View};
    use tonle_model::vote::{Ballot, Status, Vote, VoteKind};
    use tonle_wsv::store::{Changes, Durability, Store};

    fn vote(view: u32) -> Message {
        let ballot = Ballot { height: Height(1), view: View(view), kind: VoteKind::Nullify };
        let key = KeyPair::demo("validator");
        Message::Vote(Vote::sign(ballot, &ChainHash::default(), ValidatorIndex(0), &key))
    }

    #[test]
    fn a_full_disk_keeps_a_node_from_new_votes_and_payments_alone() {
        let disk = MemoryStore::new();
        let mut changes = Changes::default();
        let (height, record) = record_of(&vote(0)).unwrap();
        changes.put(Table::Records, &height.0.to_be_bytes(), &record);
        disk.write(&changes, Durability::Synced).unwrap();
        let mut full = FullDisks::default();
        assert_eq!(full.said(0, &vote(1)), Ok(()));
        full.filled(0, &disk);
        let status = Status { height, view: View(0), latest_of_receiver: None };
        assert_eq!(full.said(0, &Message::Status(status)), Ok(()));
        assert_eq!(full.said(0, &vote(0)), Ok(()), "made before");
        assert!(full.said(0, &vote(1)).is_err());
        assert_eq!(full.said(1, &vote(1)), Ok(()), "another node");
        assert_eq!(full.took(0, 0), Ok(()));
        assert!(full.took(0, 1).is_err());
        full.emptied(0);
        assert_eq!(full.said(0, &vote(1)), Ok(()));
        assert_eq!(full.took(0, 1), Ok(()));
    }
}
