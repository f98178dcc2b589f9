//! Snapshots from hostile peers and files: what is taken in is a state that was certified, whole
//! and nothing else; what is refused leaves nothing behind.

mod form;
pub mod node;
mod stores;
mod world;

use std::io::{self, Read};

use tonle_model::hash::Digest256;
use tonle_model::number::Height;
use tonle_wsv::state::snapshot::{
    FileError, MANIFEST_PARTS_MAX, Offer, PART_BYTES_MAX, PartId, Restore, SnapshotError,
    WindowPlace, read_file,
};

use super::script::Script;
use stores::Stores;
use world::{Form, Known, World};

/// Longest script of a peer, in parts that it gives.
const TURNS_MAX: usize = 64;
/// The places for a part that a script chooses from.
const WANTED_MAX: usize = 16;
/// What may be read of a file after its last byte that means something: a part that was announced,
/// and the lengths of the manifest's other parts.
const BEYOND_MAX: usize = PART_BYTES_MAX + 4 * MANIFEST_PARTS_MAX as usize + 64;

/// A peer that mixes lies with what is true, a file that begins as a true one, or a true file with
/// some bytes changed.
pub fn snapshot(bytes: &[u8]) -> bool {
    let world = World::known();
    let mut script = Script::new(bytes);
    match script.below(3) {
        0 => from_peers(world, &mut script),
        1 => from_file(world, &mut script),
        _ => from_spoilt_file(world, &mut script),
    }
}

fn from_peers(world: &World, script: &mut Script<'_>) -> bool {
    let peer = Peer::choose(world, script);
    let offer = Offer { manifest_parts: peer.manifest_parts as u32, ..peer.known.offer };
    let stores = Stores::default();
    let (state, chain) = (stores.state.clone(), stores.chain.clone());
    let restore = Restore::new(&world.genesis, offer, state, chain);
    let restore = restore.expect("there is such a snapshot");
    let mut session = Session { world, peer, restore, stores, has_lied: false };
    for _ in 0..TURNS_MAX {
        if script.is_over() {
            break;
        }
        session.turn(script);
    }
    session.complete()
}

/// Who has a true snapshot, or one of which only the manifest lies.
struct Peer<'a> {
    known: &'a Known,
    form: &'a Form,
    /// In how many parts the manifest comes.
    manifest_parts: usize,
}

impl<'a> Peer<'a> {
    fn choose(world: &'a World, script: &mut Script<'_>) -> Self {
        let known = script.pick(&world.snapshots).expect("there are some");
        let form = script.pick(&known.forms).expect("there are some");
        Self { known, form, manifest_parts: 1 + script.below(4) }
    }

    /// What it has under a name; of the window so many blocks and batches at most.
    fn part(&self, id: PartId, items: usize) -> Vec<u8> {
        match id {
            PartId::Manifest(number) => {
                let manifest = &self.form.manifest;
                let mut parts = manifest.chunks(manifest.len().div_ceil(self.manifest_parts));
                parts.nth(number as usize).unwrap_or_default().to_vec()
            }
            PartId::Piece { first, level, .. } => self.known.piece(first, level),
            PartId::Window(place) => self.known.window(place, items),
        }
    }
}

/// A restore, and whom it asks.
struct Session<'a> {
    world: &'a World,
    peer: Peer<'a>,
    restore: Restore,
    stores: Stores,
    /// Whether a part of the manifest was not the peer's own.
    has_lied: bool,
}

impl Session<'_> {
    /// Gives one part.
    fn turn(&mut self, script: &mut Script<'_>) {
        let wanted = self.restore.wanted(WANTED_MAX);
        let named = if script.rarely(8) { None } else { script.pick(&wanted).copied() };
        let id = named.unwrap_or_else(|| any_name(script));
        let part = self.maybe_spoilt(id, &wanted, script);
        let is_of_manifest = matches!(id, PartId::Manifest(_));
        self.has_lied |= is_of_manifest && part != self.peer.part(id, usize::MAX);
        let (writes, left) = (self.stores.writes(), self.restore.wanted(usize::MAX));
        if let Err(error) = self.restore.take(id, &part) {
            assert!(error.is_invalid(), "no disk failed: {error}");
            assert_eq!(self.stores.writes(), writes, "{id:?} was refused and written");
            // Nobody can tell which part of a manifest is the wrong one, so it starts over.
            let is_left = is_of_manifest || self.restore.wanted(usize::MAX) == left;
            assert!(is_left, "{id:?} was refused and is not asked for again");
        }
    }

    /// What the peer has under a name, changed or exchanged as the script says.
    fn maybe_spoilt(&self, id: PartId, wanted: &[PartId], script: &mut Script<'_>) -> Vec<u8> {
        let items = 1 + script.below(8);
        let mut part = self.peer.part(id, items);
        match script.below(6) {
            0 => {}
            1 => {
                let (at, mask) = (place(script, part.len()), script.byte());
                if let Some(byte) = part.get_mut(at) {
                    *byte ^= mask;
                }
            }
            2 => part.truncate(place(script, part.len())),
            3 => {
                let length = script.below(64);
                part.extend((0..length).map(|_| script.byte()));
            }
            4 => {
                let other = script.pick(wanted).copied().unwrap_or(id);
                part = self.peer.part(other, items);
            }
            _ => part = Peer::choose(self.world, script).part(id, items),
        }
        part
    }

    /// Whatever was given before, what is true is taken and completes the state; true if it does.
    fn complete(mut self) -> bool {
        let mut may_be_spoilt = self.has_lied;
        while let Some(id) = self.restore.wanted(1).first().copied() {
            let part = self.peer.part(id, usize::MAX);
            match self.restore.take(id, &part) {
                Ok(()) => {}
                // Parts of another manifest were kept; now all of it is asked for.
                Err(_) if may_be_spoilt && matches!(id, PartId::Manifest(_)) => {
                    may_be_spoilt = false;
                }
                Err(error) if self.is_misled(id, &error) => {
                    assert!(error.is_invalid(), "no disk failed: {error}");
                    return false;
                }
                Err(error) => panic!("{id:?} is true and was refused: {error}"),
            }
        }
        let committed = self.restore.finish().expect("nothing is missing");
        self.world.check(&committed, &self.stores);
        true
    }

    /// Whether a manifest that lies stands in the way of a part as it is. Who is honest has nothing
    /// under a name that lies about the place of a node; the rest is never taken for the lie of who
    /// gave a piece. About the window a manifest cannot lie any more when it is asked for.
    fn is_misled(&self, id: PartId, error: &SnapshotError) -> bool {
        let may_lie = !self.peer.form.is_true || self.has_lied;
        match id {
            PartId::Manifest(_) => !self.peer.form.is_true,
            PartId::Piece { first, level, root } => {
                let is_there = self.peer.known.root(first, level) == root;
                may_lie && (!is_there || matches!(error, SnapshotError::FalseManifest))
            }
            PartId::Window(_) => false,
        }
    }
}

/// A name that a part may have, or none has.
fn any_name(script: &mut Script<'_>) -> PartId {
    let number = if script.rarely(4) { script.number() } else { script.byte().into() };
    match script.below(3) {
        0 => PartId::Manifest(number as u32),
        1 => {
            let (level, root) = (script.byte(), Digest256([script.byte(); 32]));
            PartId::Piece { first: number, level, root }
        }
        _ => PartId::Window(WindowPlace { height: Height(number), item: script.byte().into() }),
    }
}

/// A place in so many bytes.
fn place(script: &mut Script<'_>, length: usize) -> usize {
    let at = script.below(256) << 8 | script.below(256);
    at % length.max(1)
}

/// The first parts of a true file, and then whatever the script is.
fn from_file(world: &World, script: &mut Script<'_>) -> bool {
    let Peer { known, form, .. } = Peer::choose(world, script);
    let file = known.file(form);
    let kept = script.below(file.len() + 1);
    let is_endless = script.rarely(2);
    let mut bytes = file[..kept].concat();
    bytes.extend_from_slice(script.rest());
    read(world, &bytes, is_endless)
}

fn from_spoilt_file(world: &World, script: &mut Script<'_>) -> bool {
    let Peer { known, form, .. } = Peer::choose(world, script);
    let mut bytes = known.file(form).concat();
    while !script.is_over() {
        let at = place(script, bytes.len());
        bytes[at] ^= script.byte();
    }
    read(world, &bytes, false)
}

fn read(world: &World, bytes: &[u8], is_endless: bool) -> bool {
    let stores = Stores::default();
    let (state, chain) = (stores.state.clone(), stores.chain.clone());
    let mut input = Input { rest: bytes, is_endless, beyond: 0 };
    let read = read_file(&mut input, &world.genesis, state, chain, &mut |_| {});
    assert!(input.beyond <= BEYOND_MAX, "{} bytes were read for nothing", input.beyond);
    match read {
        Ok(committed) => {
            world.check(&committed, &stores);
            true
        }
        Err(FileError::Snapshot(error)) => {
            assert!(error.is_invalid(), "no disk failed: {error}");
            false
        }
        Err(FileError::Io(error)) => panic!("reading does not fail: {error}"),
    }
}

/// A file that ends, or goes on with zeros for ever.
struct Input<'a> {
    rest: &'a [u8],
    is_endless: bool,
    /// How many of those zeros were read.
    beyond: usize,
}

impl Read for Input<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.rest.is_empty() || !self.is_endless {
            return self.rest.read(buffer);
        }
        buffer.fill(0);
        self.beyond += buffer.len();
        Ok(buffer.len())
    }
}
