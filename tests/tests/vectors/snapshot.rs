//! The vector of a snapshot: a file, and what stands in it. The two blocks of its network change
//! the validators and have a transaction that is void.

use std::sync::Arc;

use serde_json::{Value, json};
use tonle_model::batch::Batch;
use tonle_model::hash::{ChainHash, Digest256};
use tonle_model::{decode, hex};
use tonle_wsv::memory::MemoryStore;
use tonle_wsv::state::snapshot::{PartId, WindowPlace, read_file};

use crate::form::{Item, Manifest, items, rows};
use crate::node::{Act, Node};
use crate::to_json;

fn node() -> Node {
    let mut node = Node::default();
    let leaves = node.validator_leaves(0);
    node.block(1_000, &[&[Act::pay("sok@nbc", "dara@nbc", "5").named("rent"), leaves]]);
    let void = Act::pay("dara@nbc", "sok@nbc", "1").signed_by("sok@nbc");
    let back = Act::pay("dara@nbc", "sok@nbc", "2");
    node.block(1_000, &[&[void, back], &[Act::pay("sok@nbc", "dara@nbc", "3")]]);
    node
}

/// A file, its genesis, and its parts: the manifest, the rows of each piece, the window.
pub(crate) fn snapshot() -> Value {
    let node = node();
    let file = node.file();
    let [state, chain] = [(); 2].map(|()| Arc::new(MemoryStore::new()));
    let restored = read_file(&mut &file[..], &node.genesis, state, chain, &mut |_| {});
    assert_eq!(restored.expect("a true snapshot is taken"), node.world.committed());
    let source = node.source();
    let offer = source.offer();
    let part = |id: PartId| source.part(id).expect("readable").expect("there is one");
    let manifest: Manifest = decode::all(&part(PartId::Manifest(0))).expect("a manifest");
    let pieces: Vec<_> = source.pieces().map(|id| piece(&part(id))).collect();
    let top = WindowPlace { height: offer.height, item: 0 };
    let window = items(&part(PartId::Window(top)));
    let window: Vec<_> = window.into_iter().map(|one| item(&offer.chain, one)).collect();
    json!({
        "genesis": node.genesis,
        "offer": {
            "chain": offer.chain,
            "height": offer.height,
            "manifest_parts": offer.manifest_parts,
        },
        "manifest": to_manifest(&manifest),
        "pieces": pieces,
        "window": window,
        "file": hex::encode(&file),
    })
}

fn to_manifest((block, changes, slots, pieces): &Manifest) -> Value {
    let piece = |(level, root): &(u8, Digest256)| json!({ "level": level, "root": root });
    json!({
        "block": to_json(block),
        "changes": to_json(changes),
        "slots": slots,
        "pieces": pieces.iter().map(piece).collect::<Vec<_>>(),
    })
}

fn piece(part: &[u8]) -> Value {
    let row = |row: &Vec<u8>| {
        let (key, value, next): (Vec<u8>, Vec<u8>, Vec<u8>) = decode::all(row).expect("a row");
        json!({
            "key": hex::encode(&key),
            "value": hex::encode(&value),
            "next": hex::encode(&next),
        })
    };
    json!(rows(part).iter().map(row).collect::<Vec<_>>())
}

fn item(chain: &ChainHash, item: Item) -> Value {
    match item {
        Item::Block(block, outcomes) => json!({ "block": to_json(&*block), "outcomes": outcomes }),
        Item::Batch(bytes) => {
            let batch = Batch::decode(chain, bytes.into()).expect("a batch");
            let members = batch.transactions().iter();
            json!({
                "author": batch.author(),
                "seq": batch.reference().seq,
                "transactions": members.map(|one| to_json(one.transaction())).collect::<Vec<_>>(),
                "signature": batch.signature(),
            })
        }
    }
}
