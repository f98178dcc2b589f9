//! Paths to the certified roots, for proofs that verify without a node (ledger.md, What is
//! certified).
//!
//! The tree's interior belongs to the owner of the state; readers make a path from the rows: the
//! slots of one subtree and the roots of all. Commits go on meanwhile, so the rows may be of two
//! heights. Whether they are is seen from where the path leads: if that is the root that was
//! committed, the leaf and everything on the way are of that height, whenever each was read.

use std::ops::ControlFlow;

use tonle_model::block::BlockResult;
use tonle_model::hash::{Digest256, TransactionHash};
use tonle_model::merkle;
use tonle_model::number::Height;
use tonle_model::proof::{Sibling, StateLeaf, Wanted, climb, path};
use tonle_model::receipt::Receipt;

use super::commit::{Meta, read_meta};
use super::entries::{slot_key, slot_of};
use super::reader::WorldReader;
use super::tree::{self, SUBTREE_SLOTS};
use super::{Committed, StateError, receipts};
use crate::store::{ScanOrder, Store, StoreError, Table, decode_row};

/// How often a path is tried before the reader is told to ask again. Each takes milliseconds, and
/// blocks come tens of times a second at most.
const ATTEMPTS_MAX: usize = 16;

/// A leaf of the state tree and its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StateProof {
    /// As of when; its result has the state root.
    pub committed: Committed,
    /// The entry asked for, or the one before the place where it would be.
    pub leaf: StateLeaf,
    /// From the leaf to the state root.
    pub path: Vec<Sibling>,
}

/// A leaf of the receipts tree and its path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReceiptProof {
    /// The block.
    pub height: Height,
    /// What it came to.
    pub result: BlockResult,
    /// The transaction and what became of it.
    pub receipt: Receipt,
    /// Its place among all transactions of the block's batches, void ones included.
    pub place: u32,
    /// From the receipt to the receipts root.
    pub path: Vec<Sibling>,
}

impl WorldReader {
    /// Proves that the committed state has an entry, or that it has none: the leaf says which.
    /// `None` if blocks were committed faster than the rows could be read.
    pub fn prove_state(&self, wanted: &Wanted) -> Result<Option<StateProof>, StateError> {
        let key = wanted.key();
        for _ in 0..ATTEMPTS_MAX {
            if let Some(proof) = attempt(&*self.shared.store, &key)? {
                return Ok(Some(proof));
            }
        }
        Ok(None)
    }

    /// Proves what became of a transaction; `None` if it is in no block, or void.
    pub fn prove_receipt(
        &self,
        hash: &TransactionHash,
    ) -> Result<Option<ReceiptProof>, StateError> {
        let store = &*self.shared.store;
        let Some(record) = receipts::transaction(store, hash)? else { return Ok(None) };
        let damaged = || StoreError::Row { table: Table::Receipts };
        let block = receipts::receipts(store, record.height)?.ok_or_else(damaged)?;
        let leaves = block.receipts.iter().map(|row| row.receipt.leaf()).collect();
        let path = path(leaves, record.index as usize);
        if climb(record.receipt.leaf(), &path) != block.result.receipts_root {
            return Err(damaged().into());
        }
        Ok(Some(ReceiptProof {
            height: record.height,
            result: block.result,
            receipt: record.receipt,
            place: record.place,
            path,
        }))
    }
}

/// One try; `None` if a block was committed meanwhile.
fn attempt(store: &dyn Store, key: &[u8]) -> Result<Option<StateProof>, StoreError> {
    let damaged = |table| StoreError::Row { table };
    let before = read_meta(store)?.ok_or(damaged(Table::StateMeta))?;
    if let Some(proof) = assemble(store, key, &before)? {
        return Ok(Some(proof));
    }
    // A commit is one atomic write: between two looks at the same height there was none, and rows
    // of one height that do not fit together are damaged.
    let after = read_meta(store)?.ok_or(damaged(Table::StateMeta))?;
    match before.committed.height == after.committed.height {
        true => Err(damaged(Table::Slots)),
        false => Ok(None),
    }
}

/// The proof as of `meta`, if the rows are still of its height.
fn assemble(store: &dyn Store, key: &[u8], meta: &Meta) -> Result<Option<StateProof>, StoreError> {
    let Some(slot) = slot_at_or_below(store, key)?.filter(|slot| *slot < meta.slots) else {
        return Ok(None);
    };
    let (row, leaves) = subtree_of(store, slot, meta.slots)?;
    let roots = subtree_roots(store)?;
    let Some(leaf) = row.as_deref().and_then(StateLeaf::from_row) else { return Ok(None) };
    let root = merkle::root(leaves.clone());
    let subtree = (slot / SUBTREE_SLOTS) as usize;
    if roots.get(subtree) != Some(&root) {
        return Ok(None);
    }
    let mut path = path(leaves, (slot % SUBTREE_SLOTS) as usize);
    path.extend(tonle_model::proof::path(roots, subtree));
    let reaches = climb(leaf.hash(), &path) == meta.committed.result.state_root;
    let answers = leaf.key[..] == *key || leaf.skips(key);
    let proof = StateProof { committed: meta.committed, leaf, path };
    Ok((reaches && answers).then_some(proof))
}

/// The slot of the largest key that is not above this one. There is one: the smallest key of all
/// is always there.
fn slot_at_or_below(store: &dyn Store, key: &[u8]) -> Result<Option<u64>, StoreError> {
    let mut found = None;
    store.scan(Table::Keys, key, ScanOrder::Descending, &mut |_, slot| {
        found = Some(slot_of(slot));
        ControlFlow::Break(())
    })?;
    found.transpose()
}

/// The row of a slot, and the leaves of its subtree, of a tree of so many slots.
fn subtree_of(
    store: &dyn Store,
    slot: u64,
    slots: u64,
) -> Result<(Option<Vec<u8>>, Vec<Digest256>), StoreError> {
    let first = slot - slot % SUBTREE_SLOTS;
    let length = (slots - first).min(SUBTREE_SLOTS) as usize;
    let mut leaves = Vec::with_capacity(length);
    let mut found = None;
    store.scan(Table::Slots, &slot_key(first), ScanOrder::Ascending, &mut |key, row| {
        if leaves.len() == length {
            return ControlFlow::Break(());
        }
        if key == slot_key(slot) {
            found = Some(row.to_vec());
        }
        leaves.push(tree::leaf(row));
        ControlFlow::Continue(())
    })?;
    Ok((found, leaves))
}

pub(super) fn subtree_roots(store: &dyn Store) -> Result<Vec<Digest256>, StoreError> {
    let mut roots = Vec::new();
    store.scan(Table::Subtrees, &[], ScanOrder::Ascending, &mut |_, row| {
        roots.push(decode_row(Table::Subtrees, row));
        ControlFlow::Continue(())
    })?;
    roots.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    use parity_scale_codec::{Decode, Encode};
    use tonle_model::amount::Amount;
    use tonle_model::bounded::Bounded;
    use tonle_model::hash::HoldId;
    use tonle_model::instruction::Signatory;
    use tonle_model::key::KeyPair;
    use tonle_model::proof::{AccountEntry, BalanceEntry, InvoiceEntry, InvoiceName};
    use tonle_model::receipt::Outcome;

    use super::*;
    use crate::memory::MemoryStore;
    use crate::state::key::{InvoiceKey, Key};
    use crate::state::value::{Account, AccountStatus, Balance, PaidInvoice};
    use crate::store::{Changes, Durability};
    use crate::testing::{Net, account, asset};

    fn balance(who: &str, of: &str) -> Wanted {
        Wanted::Balance { account: account(who), asset: asset(of) }
    }

    fn checked(reader: &WorldReader, wanted: &Wanted) -> StateProof {
        let proof = reader.prove_state(wanted).unwrap().expect("few blocks");
        let root = climb(proof.leaf.hash(), &proof.path);
        assert_eq!(root, proof.committed.result.state_root);
        let key = wanted.key();
        assert!(proof.leaf.key[..] == key || proof.leaf.skips(&key), "{wanted:?}");
        proof
    }

    #[test]
    fn what_is_there_and_what_is_not_has_a_leaf_that_says_so() {
        let mut net = Net::new();
        for amount in ["1", "2", "3"] {
            let draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", amount);
            assert_eq!(net.outcome(draft), Outcome::Applied);
        }
        let reader = net.world.reader();
        for who in ["sok@aclb", "dara@aclb", "joint@aclb", "bank@aclb", "a@a", "zz@zz"] {
            let wanted = balance(who, "khr#nbc");
            let proof = checked(&reader, &wanted);
            assert_eq!(proof.committed, net.world.committed());
            let held = reader.balance(&account(who), &asset("khr#nbc")).unwrap();
            let leaf = (proof.leaf.key[..] == wanted.key())
                .then(|| Balance::decode(&mut &proof.leaf.value[..]).unwrap());
            assert_eq!(leaf, held, "{who}");
            checked(&reader, &Wanted::Account { id: account(who) });
        }
    }

    #[test]
    fn every_receipt_of_a_block_has_a_path() {
        let mut net = Net::new();
        let drafts: Vec<_> = ["1", "2000000", "3"]
            .map(|amount| net.pay("sok@aclb", "dara@aclb", "khr#nbc", amount).signed())
            .into();
        let hashes: Vec<_> = drafts.iter().map(|draft| draft.hash()).collect();
        let block = net.block(drafts);
        for (hash, receipt) in hashes.iter().zip(&block.receipts) {
            let proof = net.world.reader().prove_receipt(hash).unwrap().unwrap();
            assert_eq!((proof.height, &proof.receipt), (block.header.height, receipt));
            assert_eq!(climb(receipt.leaf(), &proof.path), block.result.receipts_root);
        }
        let unknown = TransactionHash(Digest256([9; 32]));
        assert_eq!(net.world.reader().prove_receipt(&unknown).unwrap(), None);
    }

    #[test]
    fn proofs_made_while_blocks_are_committed_are_of_one_height() {
        let mut net = Net::new();
        let reader = net.world.reader();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let prover = scope.spawn(|| {
                let mut proven = 0;
                while !done.load(Ordering::Relaxed) || proven == 0 {
                    if reader.prove_state(&balance("sok@aclb", "khr#nbc")).unwrap().is_some() {
                        checked(&reader, &balance("zz@zz", "khr#nbc"));
                        proven += 1;
                    }
                }
            });
            for _ in 0..100 {
                let draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1");
                net.block(vec![draft.signed()]);
            }
            done.store(true, Ordering::Relaxed);
            prover.join().unwrap();
        });
    }

    /// A state of `slots` domains, `d00000` and so on, in the order of their slots.
    fn wide(slots: u64) -> (MemoryStore, Meta) {
        let name = |slot: u64| format!("\u{4}d{slot:05}").into_bytes();
        let store = MemoryStore::new();
        let mut changes = Changes::default();
        let mut leaves = Vec::new();
        for slot in 0..slots {
            let next = if slot + 1 < slots { name(slot + 1) } else { Vec::new() };
            let row = (name(slot), b"value".to_vec(), next).encode();
            changes.put(Table::Keys, &name(slot), &slot_key(slot));
            changes.put(Table::Slots, &slot_key(slot), &row);
            leaves.push(tree::leaf(&row));
        }
        for (number, subtree) in (0..).zip(leaves.chunks(SUBTREE_SLOTS as usize)) {
            let root = merkle::root(subtree.to_vec());
            changes.put(Table::Subtrees, &slot_key(number), root.as_ref());
        }
        let mut committed = Net::new().world.committed();
        committed.result.state_root = merkle::root(leaves);
        let meta = Meta { chain: Default::default(), committed, slots };
        store.write(&changes, Durability::Unsynced).unwrap();
        (store, meta)
    }

    #[test]
    fn a_path_leads_through_its_subtree_and_those_above() {
        for slots in [1, 2, 1023, 1024, 1025, 2048, 2049, 3500] {
            let (store, meta) = wide(slots);
            for slot in [0, 1, 1022, 1023, 1024, 1025, 2047, 2048, slots - 1] {
                if slot < slots {
                    let key = format!("\u{4}d{slot:05}").into_bytes();
                    let proof = assemble(&store, &key, &meta).unwrap().expect("it is there");
                    assert_eq!(proof.leaf.key[..], key[..]);
                    let after = [&key[..], b"0"].concat();
                    let proof = assemble(&store, &after, &meta).unwrap().expect("it is not");
                    assert!(proof.leaf.skips(&after), "{slot} of {slots}");
                }
            }
        }
    }

    #[test]
    fn rows_of_another_height_make_no_proof() {
        let (store, meta) = wide(1500);
        let key = b"\x04d00007";
        assert!(assemble(&store, key, &meta).unwrap().is_some());
        let mut changes = Changes::default();
        let row = (key.to_vec(), b"other".to_vec(), b"\x04d00008".to_vec()).encode();
        changes.put(Table::Slots, &slot_key(7), &row);
        store.write(&changes, Durability::Unsynced).unwrap();
        assert_eq!(assemble(&store, key, &meta).unwrap(), None);
        assert_eq!(assemble(&store, b"\x04d00009", &meta).unwrap(), None);
        assert!(assemble(&store, b"\x04d01400", &meta).unwrap().is_some(), "another subtree");
    }

    #[test]
    fn proofs_name_and_read_entries_as_the_ledger_writes_them() {
        let (who, of) = (account("sok@aclb"), asset("khr#nbc"));
        let invoice = InvoiceKey {
            payee: who.clone(),
            id: "a b".parse().unwrap(),
            asset: of.clone(),
            amount: Amount::from_minor(u128::MAX - 1),
            expires_ms: 7,
        };
        let name = InvoiceName {
            payee: who.clone(),
            id: invoice.id.clone(),
            asset: of.clone(),
            amount_minor: invoice.amount,
            expires_ms: 7,
        };
        let keys = [
            (balance("sok@aclb", "khr#nbc"), Key::Balance(who.clone(), of)),
            (Wanted::Account { id: who.clone() }, Key::Account(who.clone())),
            (Wanted::Invoice(name), Key::Invoice(Arc::new(invoice))),
        ];
        for (wanted, key) in keys {
            assert_eq!(wanted.key(), key.to_bytes());
        }

        let [available, held, sent] = [1_000_000, 2, 3].map(Amount::from_minor);
        let value = Balance { available, held, incoming: 4, day: 20_000, sent };
        let read = BalanceEntry::decode(&mut &value.encode()[..]).unwrap();
        assert_eq!((read.available, read.held, read.incoming), (available, held, 4));
        assert_eq!(read.encode(), value.encode());

        let public_key = KeyPair::demo("a").public_key();
        let signatories = Bounded::new(vec![Signatory { public_key, weight: 3 }]).unwrap();
        let frozen = AccountStatus::Frozen { incoming: true, reason: "court".parse().unwrap() };
        for status in [AccountStatus::Active, frozen, AccountStatus::Closed] {
            let tier = "basic".parse().unwrap();
            let value = Account { signatories: signatories.clone(), quorum: 3, tier, status };
            let read = AccountEntry::decode(&mut &value.encode()[..]).unwrap();
            assert_eq!((&read.signatories, read.quorum), (&signatories, 3));
            assert_eq!(read.encode(), value.encode());
        }
        for hold in [None, Some(HoldId(Digest256([5; 32])))] {
            let transaction = TransactionHash(Digest256([6; 32]));
            let value = PaidInvoice { payer: who.clone(), transaction, hold };
            let read = InvoiceEntry::decode(&mut &value.encode()[..]).unwrap();
            assert_eq!((read.transaction, read.hold), (transaction, hold));
            assert_eq!(read.encode(), value.encode());
        }
    }
}
