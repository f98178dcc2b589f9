//! A network of which everything is known: two snapshots of it, all forms that they come in, and
//! what they restore to.

use std::sync::LazyLock;

use parity_scale_codec::Encode;
use serde_json::json;
use tonle_model::genesis::Genesis;
use tonle_model::hash::{Digest256, TaggedHasher};
use tonle_model::{decode, merkle, tags};
use tonle_wsv::state::snapshot::{CertifiedChanges, Offer, PartId, WindowPlace, read_file};
use tonle_wsv::state::{Committed, World as Ledger};

use super::form::{Item, Manifest, items, rows};
use super::node::{Act, Node, START_MS};
use super::stores::{Row, Stores};

/// What a file begins with.
const MARK: &[u8] = b"tonle snapshot 1";

/// The network.
pub struct World {
    /// What whoever restores trusts.
    pub genesis: Genesis,
    /// Of two heights.
    pub snapshots: Vec<Known>,
}

/// A snapshot.
pub struct Known {
    /// What there is to be had; the manifest in one part.
    pub offer: Offer,
    /// Ways to cut the state.
    pub forms: Vec<Form>,
    /// The row of each slot.
    rows: Vec<Vec<u8>>,
    /// The blocks and batches of the window in order.
    items: Vec<(WindowPlace, Vec<u8>)>,
    /// Where the state is.
    committed: Committed,
    /// What it restores to.
    contents: Vec<Row>,
}

/// A way to cut the state, or a lie about that.
pub struct Form {
    /// The whole manifest.
    pub manifest: Vec<u8>,
    /// Whether it says what is so.
    pub is_true: bool,
    /// First slot and level of each piece.
    pieces: Vec<(u64, u8)>,
}

static WORLD: LazyLock<World> = LazyLock::new(World::new);

impl World {
    /// The one world.
    pub fn known() -> &'static Self {
        &WORLD
    }

    fn new() -> Self {
        let mut node = Node::default();
        let notes = json!({ "set_metadata": { "account": "sok@nbc", "key": "n", "value": "x" } });
        let forgets = json!({ "remove_metadata": { "account": "sok@nbc", "key": "n" } });
        let expires_ms = START_MS + 752_000;
        let holds = json!({ "hold": {
            "asset": "khr#nbc", "to": "dara@nbc", "amount": "7", "expires_ms": expires_ms,
        } });
        let rent = Act::pay("sok@nbc", "dara@nbc", "5").named("rent");
        node.block(1_000, &[&[rent, Act::new("sok@nbc", notes)]]);
        let leaves = node.validator_leaves(3);
        node.block(1_000, &[&[leaves]]);
        // Longer than a window. What was noted leaves an empty slot.
        let forgets = Act::new("sok@nbc", forgets);
        node.block(700_000, &[&[forgets, Act::new("sok@nbc", holds)]]);
        let back = |amount: &str| Act::pay("dara@nbc", "sok@nbc", amount);
        let (void, poor) = (back("1").signed_by("sok@nbc"), back("1000000"));
        let again = Act::pay("sok@nbc", "dara@nbc", "2");
        let mixed = node.block(1_000, &[&[back("1"), void, poor], &[again]]);
        assert_eq!((mixed.receipts.len(), mixed.details.len(), mixed.voids.len()), (3, 1, 1));
        let earlier = Known::of(&node);
        node.block(1_000, &[&[Act::pay("sok@nbc", "dara@nbc", "3")]]);
        let later = Known::of(&node);
        Self { genesis: node.genesis, snapshots: vec![earlier, later] }
    }

    /// What was restored is what was certified, with all that belongs to it and nothing else.
    pub fn check(&self, committed: &Committed, stores: &Stores) {
        let known = self.snapshots.iter().find(|known| known.offer.height == committed.height);
        let known = known.expect("a height of which there is a snapshot");
        assert_eq!(*committed, known.committed);
        assert!(stores.contents() == known.contents, "what was restored is something else");
    }
}

impl Known {
    fn of(node: &Node) -> Self {
        let source = node.source();
        let offer = source.offer();
        let part = |id: PartId| source.part(id).expect("readable").expect("there is one");
        let manifest: Manifest = decode::all(&part(PartId::Manifest(0))).expect("a manifest");
        let rows: Vec<_> = source.pieces().flat_map(|id| rows(&part(id))).collect();
        let mut place = WindowPlace { height: offer.height, item: 0 };
        let mut window = Vec::new();
        for item in items(&part(PartId::Window(place))) {
            place = match &item {
                Item::Block(block, _) => WindowPlace { height: block.header.height, item: 0 },
                Item::Batch(_) => WindowPlace { item: place.item + 1, ..place },
            };
            window.push((place, item.encode()));
        }
        let (committed, contents) = restored(node);
        assert_eq!(committed, node.world.committed());
        let forms = forms(manifest, &rows);
        Self { offer, forms, rows, items: window, committed, contents }
    }

    /// The rows of the node at a place.
    pub fn piece(&self, first: u64, level: u8) -> Vec<u8> {
        self.rows_of(first, level).flat_map(|row| row.encode()).collect()
    }

    /// The hash of the node at a place.
    pub fn root(&self, first: u64, level: u8) -> Digest256 {
        merkle::root(self.rows_of(first, level).map(|row| leaf(row)).collect())
    }

    fn rows_of(&self, first: u64, level: u8) -> impl Iterator<Item = &Vec<u8>> {
        let first = usize::try_from(first).unwrap_or(usize::MAX);
        let width = 1usize.checked_shl(level.into()).unwrap_or(usize::MAX);
        self.rows.iter().skip(first).take(width)
    }

    /// The blocks and batches from a place on downward, so many at most.
    pub fn window(&self, from: WindowPlace, count: usize) -> Vec<u8> {
        let items = self.items.iter().skip_while(|(place, _)| *place != from).take(count);
        items.flat_map(|(_, item)| item.iter().copied()).collect()
    }

    /// A file in this form: the head, then each part after its length, with one block or batch of
    /// the window in a part.
    pub fn file(&self, form: &Form) -> Vec<Vec<u8>> {
        let pieces = form.pieces.iter().map(|(first, level)| self.piece(*first, *level));
        let window = self.items.iter().map(|(_, item)| item.clone());
        let parts = std::iter::once(form.manifest.clone()).chain(pieces).chain(window);
        let offer = self.offer.encode();
        let mut file = vec![[MARK, &offer[..]].concat()];
        file.extend(parts.map(|part| [&(part.len() as u32).to_le_bytes()[..], &part[..]].concat()));
        file
    }
}

/// What a node's own file restores to: a state that a node starts on.
fn restored(node: &Node) -> (Committed, Vec<Row>) {
    let stores = Stores::default();
    let (state, chain) = (stores.state.clone(), stores.chain.clone());
    let file = node.file();
    let read = read_file(&mut &file[..], &node.genesis, state, chain, &mut |_| {});
    let committed = read.expect("a true snapshot is taken");
    let contents = stores.contents();
    let ledger = Ledger::open(stores.state.clone(), &node.genesis).expect("a whole state");
    assert_eq!(ledger.committed(), committed);
    ledger.reader().audit().expect("no money was made or lost");
    (committed, contents)
}

fn leaf(row: &[u8]) -> Digest256 {
    TaggedHasher::new(tags::STATE_LEAF).part(row).finish()
}

/// The manifest as it is, two that cut the state otherwise, and three that lie: about the number of
/// slots, about the place of every node, and about the validators.
fn forms(manifest: Manifest, rows: &[Vec<u8>]) -> Vec<Form> {
    let leaves: Vec<Digest256> = rows.iter().map(|row| leaf(row)).collect();
    let (block, changes, slots, pieces) = manifest;
    assert_eq!(merkle::root(leaves.clone()), block.result.state_root, "the certified state");
    // The last node may have fewer slots than the others, and is at the level that has room for it.
    let level_of = |leaves: &[Digest256]| leaves.len().next_power_of_two().trailing_zeros() as u8;
    let cut = |level: u8| -> Vec<(u8, Digest256)> {
        let nodes = leaves.chunks(1usize << level);
        nodes.map(|leaves| (level_of(leaves), merkle::root(leaves.to_vec()))).collect()
    };
    // One that is at the same level.
    let miscounted = if slots.is_power_of_two() { slots - 1 } else { slots + 1 };
    // Nodes that are said to be a level higher hash to the same root.
    let lifted: Vec<_> = cut(1).into_iter().map(|(level, root)| (level + 1, root)).collect();
    let lifted_slots: u64 = lifted.iter().map(|(level, _)| 1u64 << *level).sum();
    // After the change that is left out the certificates still look well.
    let left_out = CertifiedChanges::default();
    assert_ne!(changes, left_out);
    let all = [
        (&changes, slots, pieces.clone(), true),
        (&changes, slots, cut(4), true),
        (&changes, slots, cut(0), true),
        (&changes, miscounted, pieces.clone(), false),
        (&changes, lifted_slots, lifted, false),
        (&left_out, slots, pieces, false),
    ];
    let form = |(changes, slots, pieces, is_true): (&CertifiedChanges, _, _, _)| {
        Form::new(&(block.clone(), changes.clone(), slots, pieces), is_true)
    };
    all.into_iter().map(form).collect()
}

impl Form {
    fn new(manifest: &Manifest, is_true: bool) -> Self {
        let mut pieces = Vec::new();
        let mut first = 0;
        for (level, _) in &manifest.3 {
            pieces.push((first, *level));
            first += 1u64 << *level;
        }
        Self { manifest: manifest.encode(), is_true, pieces }
    }
}
