//! Whatever is changed in a snapshot, it is refused.

use std::sync::Arc;

use parity_scale_codec::{Decode, Encode};
use proptest::prelude::*;
use tonle_model::hash::Digest256;
use tonle_model::merkle;

use super::{Node, restore};
use crate::memory::MemoryStore;
use crate::state::snapshot::manifest::Manifest;
use crate::state::snapshot::pieces::{Piece, take_row};
use crate::state::snapshot::{
    FileError, Offer, PartId, Restore, SnapshotError, Source, WindowPlace,
};
use crate::state::tree;
use crate::testing::genesis_named;

fn node() -> Node {
    let mut node = Node::new();
    let named = node.net.pay("sok@aclb", "dara@aclb", "khr#nbc", "2").reference("rent");
    let poor = node.net.pay("dara@aclb", "sok@aclb", "khr#nbc", "1000000");
    let void = node.net.pay("dara@aclb", "sok@aclb", "khr#nbc", "1").by(&["sok@aclb"]);
    node.block(vec![named.signed(), void.signed(), poor.signed()]);
    node.pay("3");
    node
}

fn is_refused(file: &[u8], node: &Node) -> bool {
    match restore(file, &node.net.genesis) {
        Err(FileError::Snapshot(error)) => error.is_invalid(),
        Err(FileError::Io(_)) | Ok(_) => false,
    }
}

#[test]
fn every_flipped_bit_is_noticed() {
    let node = node();
    let file = node.file();
    restore(&file, &node.net.genesis).unwrap();
    // After the mark and the offer, and after its length.
    let (head, manifest) = (16 + 44, 16 + 44 + 4);
    let length = u32::from_le_bytes(file[head..manifest].try_into().unwrap()) as usize;
    // Every byte, each with another bit; of the manifest, which nothing else hashes, every bit.
    for at in 0..file.len() {
        let is_of_manifest = (manifest..manifest + length).contains(&at);
        let bits = if is_of_manifest { 0..8 } else { at % 8..at % 8 + 1 };
        for bit in bits {
            let mut spoiled = file.clone();
            spoiled[at] ^= 1 << bit;
            assert!(is_refused(&spoiled, &node), "bit {bit} of byte {at} of {}", file.len());
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]
    #[test]
    fn any_other_change_is_noticed(
        at in any::<prop::sample::Index>(),
        bytes in prop::collection::vec(any::<u8>(), 0..40),
        removed in 0..40usize,
    ) {
        let node = node();
        let file = node.file();
        let at = at.index(file.len());
        let end = (at + removed).min(file.len());
        let spoiled = [&file[..at], &bytes, &file[end..]].concat();
        prop_assume!(spoiled != file);
        prop_assert!(is_refused(&spoiled, &node));
    }
}

#[test]
fn a_file_that_ends_too_early_or_too_late_is_refused() {
    let node = node();
    let mut file = node.file();
    for end in (0..file.len()).step_by(97).chain([file.len() - 1]) {
        assert!(is_refused(&file[..end], &node), "cut at {end}");
    }
    file.push(0);
    assert!(is_refused(&file, &node), "a byte more");
}

#[test]
fn another_network_is_told_apart() {
    let file = node().file();
    let error = restore(&file, &genesis_named("other")).err().unwrap();
    assert!(matches!(error, FileError::Snapshot(SnapshotError::OtherNetwork { .. })));
}

/// A restore whose manifest is here, and the source that it came from.
fn begun(node: &Node) -> (Restore, Source) {
    let source = node.source();
    let mut restore = begin(node, source.offer()).unwrap();
    for id in restore.wanted(usize::MAX) {
        restore.take(id, &source.part(id).unwrap().unwrap()).unwrap();
    }
    (restore, source)
}

fn begin(node: &Node, offer: Offer) -> Result<Restore, SnapshotError> {
    let empty = || Arc::new(MemoryStore::new());
    Restore::new(&node.net.genesis, offer, empty(), empty())
}

#[test]
fn a_lying_part_is_refused_and_the_true_one_taken_after_it() {
    let mut node = node();
    node.open_accounts(1_100);
    let (mut restore, source) = begun(&node);
    while let Some(id) = restore.wanted(1).first().copied() {
        let part = source.part(id).unwrap().unwrap();
        let other = restore.wanted(2).pop().filter(|other| *other != id);
        let other = other.and_then(|other| source.part(other).unwrap());
        let lies = [other.unwrap_or_default(), Vec::new(), part[..part.len() - 1].to_vec()];
        for lie in lies {
            assert!(restore.take(id, &lie).unwrap_err().is_invalid(), "{id:?}");
            assert_eq!(restore.wanted(1), [id], "it is asked for again");
        }
        restore.take(id, &part).unwrap();
        assert!(restore.take(id, &part).unwrap_err().is_invalid(), "twice");
    }
    assert_eq!(restore.finish().unwrap(), node.net.world.committed());
}

#[test]
fn the_window_is_taken_when_all_of_the_state_is_here() {
    let node = node();
    let (mut restore, source) = begun(&node);
    let id = PartId::Window(WindowPlace { height: source.offer().height, item: 0 });
    let part = source.part(id).unwrap().unwrap();
    assert!(restore.take(id, &part).unwrap_err().is_invalid(), "too early");
    for piece in source.pieces() {
        restore.take(piece, &source.part(piece).unwrap().unwrap()).unwrap();
    }
    assert_eq!(restore.wanted(usize::MAX), [id]);
    restore.take(id, &part).unwrap();
}

#[test]
fn what_is_not_complete_is_not_finished() {
    let (restore, _) = begun(&node());
    assert!(restore.finish().unwrap_err().is_invalid());
}

#[test]
fn an_offer_without_bounds_is_refused() {
    let node = node();
    let offer = node.source().offer();
    for manifest_parts in [0, 65, u32::MAX] {
        assert!(begin(&node, Offer { manifest_parts, ..offer }).is_err());
    }
}

fn manifest_of(source: &Source) -> Manifest {
    let part = source.part(PartId::Manifest(0)).unwrap().unwrap();
    Manifest::decode(&mut &part[..]).unwrap()
}

/// Changes the manifest and gives it as it is.
fn with_manifest(
    node: &Node,
    change: impl FnOnce(&mut Manifest),
) -> Result<(Restore, Source), SnapshotError> {
    let source = node.source();
    let mut manifest = manifest_of(&source);
    change(&mut manifest);
    let height = manifest.block.header.height;
    let mut restore = begin(node, Offer { height, ..source.offer() })?;
    restore.take(PartId::Manifest(0), &manifest.encode())?;
    Ok((restore, source))
}

#[test]
fn a_miscount_of_slots_is_the_manifests_lie_and_not_the_pieces() {
    let node = node();
    let honest = manifest_of(&node.source());
    let [Piece { level, .. }] = honest.pieces[..] else { panic!("one piece") };
    // All counts that the level has room for.
    let most = 1u64 << level;
    for slots in (most / 2 + 1..=most).filter(|slots| *slots != honest.slots) {
        let lie = with_manifest(&node, |manifest| manifest.slots = slots);
        let (mut restore, source) = lie.unwrap();
        let id = restore.wanted(1)[0];
        let error = restore.take(id, &source.part(id).unwrap().unwrap()).unwrap_err();
        assert!(matches!(error, SnapshotError::FalseManifest), "{error}");
    }
}

#[test]
fn a_change_of_validators_that_was_left_out_is_the_manifests_lie_too() {
    let mut node = Node::new();
    // The three that are left, who sign all blocks from then on, look like a quorum of four.
    let validators = node.net.world.reader().validators();
    node.unregister(validators.iter().next_back().unwrap().name.as_str());
    node.pay("1");
    let file = node.file();
    restore(&file, &node.net.genesis).unwrap();
    let lie = with_manifest(&node, |manifest| {
        assert_eq!(manifest.changes.len(), 1);
        manifest.changes = Default::default();
    });
    let (mut restore, source) = lie.expect("the certificates do not show it");
    let wanted = restore.wanted(usize::MAX);
    let (last, others) = wanted.split_last().unwrap();
    for id in others {
        restore.take(*id, &source.part(*id).unwrap().unwrap()).unwrap();
    }
    let error = restore.take(*last, &source.part(*last).unwrap().unwrap()).unwrap_err();
    assert!(matches!(error, SnapshotError::FalseManifest), "{error}");
    assert!(restore.finish().unwrap_err().is_invalid());
}

/// Puts every node of a manifest a level above its own, the first one in halves: they hash to the
/// same root, and the halves are said to be where other nodes are.
fn misplace(manifest: &mut Manifest, source: &Source) {
    let part = source.part(source.pieces().next().unwrap()).unwrap().unwrap();
    let mut rest = &part[..];
    let mut leaves = Vec::new();
    while let Some(row) = take_row(&mut rest) {
        leaves.push(tree::leaf(row));
    }
    let level = manifest.pieces[0].level;
    let halves = leaves.chunks(leaves.len() / 2);
    let halves = halves.map(|half| Piece { level, root: merkle::root(half.to_vec()) });
    let others = manifest.pieces[1..].iter();
    let others = others.map(|piece| Piece { level: piece.level + 1, root: piece.root });
    let pieces: Vec<_> = halves.chain(others).collect();
    manifest.slots = pieces.iter().map(|piece| 1u64 << piece.level).sum();
    manifest.pieces = pieces.try_into().unwrap();
}

#[test]
fn whoever_is_honest_has_nothing_under_a_false_name() {
    let mut node = node();
    node.open_accounts(1_200);
    let source = node.source();
    let lie = with_manifest(&node, |manifest| misplace(manifest, &source));
    let (restore, _) = lie.expect("its nodes hash to the certified root");
    let place = |id: &PartId| match id {
        PartId::Piece { first, level, .. } => (*first, *level),
        other => panic!("{other:?}"),
    };
    let places: Vec<_> = source.pieces().map(|id| place(&id)).collect();
    let wanted = restore.wanted(usize::MAX);
    assert!(wanted.iter().any(|id| places.contains(&place(id))), "another node is there");
    for id in wanted {
        assert!(source.part(id).unwrap().is_none(), "{id:?}");
    }
}

#[test]
fn a_manifest_says_only_what_is_certified() {
    let node = node();
    assert!(with_manifest(&node, |_| {}).is_ok());
    let refused = |change: &dyn Fn(&mut Manifest)| {
        let error = with_manifest(&node, change).err().expect("it is refused");
        assert!(error.is_invalid(), "{error}");
    };
    refused(&|manifest| manifest.slots = u64::MAX);
    refused(&|manifest| manifest.pieces = Default::default());
    refused(&|manifest| manifest.block.result.state_root = Digest256([1; 32]));
    refused(&|manifest| manifest.block.header.timestamp_ms += 1);
    refused(&|manifest| {
        let mut pieces = manifest.pieces.to_vec();
        pieces[0].level = u8::MAX;
        manifest.pieces = pieces.try_into().unwrap();
    });
    refused(&|manifest| {
        let mut pieces = manifest.pieces.to_vec();
        pieces.last_mut().unwrap().level += 1;
        manifest.pieces = pieces.try_into().unwrap();
    });
    refused(&|manifest| {
        let mut pieces = manifest.pieces.to_vec();
        pieces.push(pieces[0]);
        manifest.pieces = pieces.try_into().unwrap();
    });
    // The certificate of another block.
    let mut later = super::Node::new();
    later.pay("1");
    let other = later.chain.reader().block(tonle_model::number::Height(1)).unwrap().unwrap();
    refused(&|manifest| manifest.block.finalization = other.finalization.clone());
}
