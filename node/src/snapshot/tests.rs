//! Nodes that join from peers of all kinds.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use parity_scale_codec::{Decode, Encode};
use tonle_model::genesis::Genesis;
use tonle_model::hash::{ChainHash, Digest256, TaggedHasher};
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::number::Height;
use tonle_model::{merkle, tags};
use tonle_wsv::chain::{ChainLog, MemoryMark, OnLoss};
use tonle_wsv::memory::MemoryStore;
use tonle_wsv::state::World;
use tonle_wsv::state::snapshot::{Offer, PART_BYTES_MAX, PartId, SnapshotError};
use tonle_wsv::store::StoreError;

use super::joining::{
    Act, DROPPED_MS, Heard, Joining, MEASURED_BYTES_MIN, MEASURED_MS, NOTHING_MS, Outcome, Prepare,
    TOLD_MS,
};
use super::peer::PART_MS;
use super::questions::QUESTIONS_PER_PEER_MAX;
use super::server::{HELD_MAX, IDLE_MAX, OpenSource};
use super::{Question, Requests, Server};
use crate::torii::tests_node::TestNode;
use crate::wire::{RawBytes, SnapshotMessage};

/// Longest that anything may take, in milliseconds of the test's own time.
const PATIENCE_MS: u64 = 300_000;
/// How long a message takes.
const MESSAGE_MS: u64 = 10;
/// Pause between two looks at the time.
const TICK_MS: u64 = 50;

/// What a peer makes of what it would say if it were honest.
type Twist = Box<dyn FnMut(SnapshotMessage) -> Vec<SnapshotMessage>>;

/// A peer that serves a snapshot, honestly or not.
struct Peer {
    server: Server,
    said: Arc<Mutex<VecDeque<SnapshotMessage>>>,
    twist: Twist,
}

impl Peer {
    fn serving(node: &Arc<TestNode>, twist: Twist) -> Self {
        let said = Arc::<Mutex<VecDeque<_>>>::default();
        let (node, heard) = (node.clone(), said.clone());
        let say = Box::new(move |_: &PublicKey, message: &SnapshotMessage| {
            heard.lock().unwrap().push_back(message.clone());
        });
        let open = Box::new(move || node.source());
        Self { server: Server::new(open, say, Box::new(Instant::now)), said, twist }
    }

    fn ask(&mut self, from: &PublicKey, message: &SnapshotMessage) -> Vec<SnapshotMessage> {
        let (requests, questions) = Requests::new();
        requests.put(*from, message);
        if let Ok(Some((from, question))) = questions.take(Duration::ZERO) {
            self.server.answer(&from, question);
        }
        let said: Vec<_> = self.said.lock().unwrap().drain(..).collect();
        said.into_iter().flat_map(&mut self.twist).collect()
    }
}

fn honest() -> Twist {
    Box::new(|message| vec![message])
}

/// Spoils one bit of every part of a kind.
fn spoiling(which: fn(&PartId) -> bool) -> Twist {
    Box::new(move |message| {
        vec![match message {
            SnapshotMessage::Part(height, id, bytes) if which(&id) => {
                let mut bytes = bytes.0.to_vec();
                let middle = bytes.len() / 2;
                bytes[middle] ^= 4;
                SnapshotMessage::Part(height, id, RawBytes(bytes.into()))
            }
            other => other,
        }]
    })
}

/// Says that there is a slot less than there is. Of a manifest with one piece, that number stands
/// before the last 34 bytes.
fn miscounting() -> Twist {
    Box::new(|message| {
        vec![match message {
            SnapshotMessage::Part(height, id @ PartId::Manifest(_), bytes) => {
                let mut bytes = bytes.0.to_vec();
                let at = bytes.len() - 34 - 8;
                bytes[at] -= 1;
                SnapshotMessage::Part(height, id, RawBytes(bytes.into()))
            }
            other => other,
        }]
    })
}

/// Gives a manifest whose nodes hash to the certified root, of a state in one piece: where that is
/// it puts the first half, and the rest behind it.
fn misplacing(node: &TestNode) -> Twist {
    let source = node.source().unwrap();
    let id = source.pieces().next().unwrap();
    let PartId::Piece { level, .. } = id else { panic!("a piece") };
    let part = source.part(id).unwrap().unwrap();
    let (mut rest, mut leaves) = (&part[..], Vec::new());
    while !rest.is_empty() {
        let row = Vec::<u8>::decode(&mut rest).unwrap();
        leaves.push(TaggedHasher::new(tags::STATE_LEAF).part(row).finish());
    }
    let (first, others) = leaves.split_at(1 << (level - 1));
    let pieces = [(level, first), (0, others)];
    let pieces = pieces.map(|(level, leaves)| (level, merkle::root(leaves.to_vec())));
    let slots = (1u64 << level) + 1;
    let lie = (slots, pieces.to_vec()).encode();
    Box::new(move |message| {
        vec![match message {
            SnapshotMessage::Part(height, id @ PartId::Manifest(_), bytes) => {
                // In place of the number of slots and the list of one piece.
                let kept = bytes.0.len() - 8 - 34;
                let bytes = [&bytes.0[..kept], &lie[..]].concat();
                SnapshotMessage::Part(height, id, RawBytes(bytes.into()))
            }
            other => other,
        }]
    })
}

/// Gives its manifest and nothing more, and offers the same again: at once, or when it is asked.
fn withholding(insists: bool) -> Twist {
    let mut offered = None;
    Box::new(move |message| match message {
        SnapshotMessage::Offer(offer) => {
            offered = offer;
            vec![SnapshotMessage::Offer(offer)]
        }
        SnapshotMessage::Part(height, id, _) if !matches!(id, PartId::Manifest(_)) => {
            let mut said = vec![SnapshotMessage::NoPart(height, id)];
            if insists {
                said.push(SnapshotMessage::Offer(offered));
            }
            said
        }
        other => vec![other],
    })
}

/// Offers what it does not have, and sends nothing or something of it.
fn boasting(change: fn(Offer) -> Offer, sends: bool) -> Twist {
    Box::new(move |message| match message {
        SnapshotMessage::Offer(Some(offer)) => {
            vec![SnapshotMessage::Offer(Some(change(offer)))]
        }
        SnapshotMessage::NoPart(height, id) | SnapshotMessage::Part(height, id, _) if sends => {
            vec![SnapshotMessage::Part(height, id, RawBytes(vec![7; 300].into()))]
        }
        _ => Vec::new(),
    })
}

fn higher(offer: Offer) -> Offer {
    Offer { height: Height(u64::MAX), ..offer }
}

/// What is called what, and how it is done.
type Lie = (&'static str, fn() -> Twist);

/// The state and the chain that a node joined with.
type Filled = (Arc<MemoryStore>, Arc<MemoryStore>);

/// A node that joins, and its peers.
struct Lab {
    peers: BTreeMap<PublicKey, Peer>,
    dropped: Vec<PublicKey>,
    filled: Arc<Mutex<Option<Filled>>>,
    attempts: Arc<Mutex<u32>>,
}

fn key(name: &str) -> PublicKey {
    KeyPair::demo(name).public_key()
}

impl Lab {
    fn new(peers: Vec<(&str, Peer)>) -> Self {
        let peers = peers.into_iter().map(|(name, peer)| (key(name), peer)).collect();
        Self { peers, dropped: Vec::new(), filled: Arc::default(), attempts: Arc::default() }
    }

    fn prepare(&self) -> Prepare<'static> {
        let (filled, attempts) = (self.filled.clone(), self.attempts.clone());
        Box::new(move || {
            let stores = (Arc::new(MemoryStore::new()), Arc::new(MemoryStore::new()));
            *filled.lock().unwrap() = Some(stores.clone());
            *attempts.lock().unwrap() += 1;
            Ok((stores.0, stores.1))
        })
    }

    /// Lets the node join; nothing if it does not in time.
    fn join(&mut self, genesis: &Genesis) -> Option<Outcome> {
        let configured = self.peers.keys().copied().collect();
        let mut joining = Joining::new(genesis, configured, self.prepare());
        let connected = self.peers.keys().map(|peer| Heard::Connected(*peer));
        let mut heard: VecDeque<Heard> = connected.collect();
        let (mut now_ms, mut acts) = (0, Vec::new());
        while now_ms < PATIENCE_MS {
            let next = heard.pop_front();
            now_ms += if next.is_none() { TICK_MS } else { MESSAGE_MS };
            let outcome = joining.step(now_ms, next, &mut acts).unwrap();
            for act in acts.drain(..) {
                match act {
                    Act::Drop(peer) => {
                        self.dropped.push(peer);
                        heard.push_back(Heard::Disconnected(peer));
                    }
                    Act::Say(to, message) => {
                        let Some(peer) = self.peers.get_mut(&to) else { continue };
                        let answers = peer.ask(&key("joiner"), &message);
                        heard.extend(answers.into_iter().map(|one| Heard::Said(to, one)));
                    }
                    Act::Waiting { .. } => {}
                }
            }
            if outcome != Outcome::Going {
                assert_eq!(joining.dropped(), self.dropped.len() as u64);
                return Some(outcome);
            }
        }
        None
    }

    /// Lets the node join, which it must, and opens what it has then.
    fn joined(&mut self, node: &TestNode) -> World {
        let outcome = self.join(node.genesis()).expect("it joins in time");
        let Outcome::Joined(committed) = outcome else { panic!("{outcome:?}") };
        let (state, chain) = self.filled.lock().unwrap().take().expect("it was filled");
        let mut world = World::open(Arc::new(state.backup()), node.genesis()).unwrap();
        assert_eq!(world.committed(), *committed);
        let mark = Box::new(MemoryMark::default());
        let network = node.genesis().chain();
        let log = ChainLog::open(Arc::new(chain.backup()), mark, &network, OnLoss::Refuse).unwrap();
        assert_eq!(world.catch_up(&log.reader()).unwrap(), committed.height);
        world
    }
}

/// A node that joins and hears what a test says.
struct Joiner<'a> {
    joining: Joining<'a>,
    now_ms: u64,
    acts: Vec<Act>,
}

impl<'a> Joiner<'a> {
    /// One that is connected to all peers that it is configured with.
    fn new(genesis: &'a Genesis, peers: &[&str]) -> Self {
        let configured = peers.iter().map(|name| key(name)).collect();
        let joining = Joining::new(genesis, configured, Lab::new(Vec::new()).prepare());
        let mut joiner = Self { joining, now_ms: 0, acts: Vec::new() };
        for name in peers {
            joiner.hear(Heard::Connected(key(name)));
        }
        joiner
    }

    fn hear(&mut self, heard: Heard) -> Outcome {
        self.now_ms += MESSAGE_MS;
        self.joining.step(self.now_ms, Some(heard), &mut self.acts).unwrap()
    }

    fn say(&mut self, from: &str, message: SnapshotMessage) -> Outcome {
        self.hear(Heard::Said(key(from), message))
    }

    /// Lets time pass, until something ends if it does.
    fn pass(&mut self, time_ms: u64) -> Outcome {
        let until_ms = self.now_ms + time_ms;
        while self.now_ms < until_ms {
            self.now_ms += TICK_MS;
            let outcome = self.joining.step(self.now_ms, None, &mut self.acts).unwrap();
            if outcome != Outcome::Going {
                return outcome;
            }
        }
        Outcome::Going
    }

    /// What it did since this was asked last.
    fn acts(&mut self) -> Vec<Act> {
        std::mem::take(&mut self.acts)
    }

    /// Whom it asked for which parts since then.
    fn asked(&mut self) -> Vec<(PublicKey, PartId)> {
        let part = |act| match act {
            Act::Say(to, SnapshotMessage::GetPart(_, id)) => Some((to, id)),
            _ => None,
        };
        self.acts().into_iter().filter_map(part).collect()
    }
}

fn network() -> Arc<TestNode> {
    let node = TestNode::new("all");
    for nonce in 0..5 {
        node.commit(&[node.payment("sok@aclb", "dara@wing", "5", nonce)]);
    }
    Arc::new(node)
}

#[test]
fn a_node_joins_from_an_honest_peer() {
    let node = network();
    let mut lab = Lab::new(vec![("a", Peer::serving(&node, honest()))]);
    let world = lab.joined(&node);
    assert_eq!(world.committed().height, Height(5));
    assert_eq!(lab.dropped, []);
    world.reader().audit().unwrap();
}

#[test]
fn whoever_lies_or_is_silent_is_dropped_and_an_honest_peer_is_enough() {
    let node = network();
    let lies: [Lie; 10] = [
        ("manifest", || spoiling(|id| matches!(id, PartId::Manifest(_)))),
        ("miscounted slots", miscounting),
        ("piece", || spoiling(|id| matches!(id, PartId::Piece { .. }))),
        ("window", || spoiling(|id| matches!(id, PartId::Window(_)))),
        ("a higher offer, then nothing", || boasting(higher, false)),
        ("a higher offer, then rubbish", || boasting(higher, true)),
        ("an endless manifest", || {
            boasting(|offer| Offer { manifest_parts: u32::MAX, ..higher(offer) }, true)
        }),
        ("no manifest", || boasting(|offer| Offer { manifest_parts: 0, ..higher(offer) }, true)),
        ("another network", || {
            boasting(|offer| Offer { chain: ChainHash(Digest256([1; 32])), ..offer }, true)
        }),
        ("silence", || boasting(|offer| offer, false)),
    ];
    for (lie, twist) in lies {
        // Whom a part is asked of first depends on the order of their keys.
        let dropped: Vec<_> = ["a", "b"]
            .map(|liar| {
                let other = if liar == "a" { "b" } else { "a" };
                let peers = vec![
                    (liar, Peer::serving(&node, twist())),
                    (other, Peer::serving(&node, honest())),
                ];
                let mut lab = Lab::new(peers);
                assert_eq!(lab.joined(&node).committed().height, Height(5), "{lie}");
                assert!(lab.dropped.iter().all(|peer| *peer == key(liar)), "{lie}: only the liar");
                lab.dropped.len()
            })
            .into();
        assert!(dropped.contains(&1), "{lie}: nobody was dropped");
    }
}

#[test]
fn a_liar_alone_is_dropped_and_nothing_of_it_kept() {
    let node = network();
    for which in [
        (|id: &PartId| matches!(id, PartId::Manifest(_))) as fn(&PartId) -> bool,
        |id| matches!(id, PartId::Piece { .. }),
        |id| matches!(id, PartId::Window(_)),
    ] {
        let mut lab = Lab::new(vec![("a", Peer::serving(&node, spoiling(which)))]);
        assert_eq!(lab.join(node.genesis()), None);
        assert_eq!(lab.dropped, [key("a")]);
    }
}

#[test]
fn nobody_honest_is_dropped_over_a_manifest_that_lies() {
    let node = network();
    // Who gives the manifest depends on the order of their keys.
    let mut attempts = Vec::new();
    for (liar, other) in [("a", "b"), ("b", "a")] {
        let peers = vec![
            (liar, Peer::serving(&node, misplacing(&node))),
            (other, Peer::serving(&node, honest())),
        ];
        let mut lab = Lab::new(peers);
        assert_eq!(lab.joined(&node).committed().height, Height(5));
        assert!(lab.dropped.iter().all(|peer| *peer == key(liar)), "only the liar");
        attempts.push(*lab.attempts.lock().unwrap());
    }
    assert!(attempts.iter().any(|attempts| *attempts > 1), "it was believed at first");
    let mut lab = Lab::new(vec![("a", Peer::serving(&node, misplacing(&node)))]);
    assert_eq!(lab.join(node.genesis()), None);
    assert_eq!(lab.dropped, [key("a")]);
}

#[test]
fn whoever_offers_the_most_and_gives_nothing_is_dropped_in_the_end() {
    let (node, ahead) = (network(), network());
    ahead.commit(&[ahead.payment("sok@aclb", "dara@wing", "5", 5)]);
    for insists in [false, true] {
        let peers = vec![
            ("a", Peer::serving(&ahead, withholding(insists))),
            ("b", Peer::serving(&node, honest())),
        ];
        let mut lab = Lab::new(peers);
        assert_eq!(lab.joined(&node).committed().height, Height(5), "{insists}");
        assert_eq!(lab.dropped, [key("a")], "{insists}");
        assert_eq!(*lab.attempts.lock().unwrap(), 5, "it had its chances: {insists}");
    }
}

#[test]
fn a_peer_that_goes_on_is_asked_for_what_it_has_by_then() {
    let node = network();
    let mut forgets = 3;
    let twist: Twist = Box::new(move |message| match message {
        SnapshotMessage::Part(height, id @ PartId::Window(_), _) if forgets > 0 => {
            forgets -= 1;
            vec![SnapshotMessage::NoPart(height, id)]
        }
        other => vec![other],
    });
    let mut lab = Lab::new(vec![("a", Peer::serving(&node, twist))]);
    assert_eq!(lab.joined(&node).committed().height, Height(5));
    assert_eq!(lab.dropped, [], "nobody is to blame");
}

#[test]
fn a_network_that_has_only_just_begun_has_no_snapshot() {
    let node = Arc::new(TestNode::new("all"));
    let peers = ["a", "b", "c"].map(|name| (name, Peer::serving(&node, honest())));
    let mut lab = Lab::new(peers.into());
    assert_eq!(lab.join(node.genesis()), Some(Outcome::Nothing));
    assert_eq!(*lab.attempts.lock().unwrap(), 0, "nothing was prepared");
}

#[test]
fn two_that_join_at_once_do_not_wait_for_each_other() {
    let node = network();
    let mut joiner = Joiner::new(node.genesis(), &["a", "b"]);
    joiner.acts();
    joiner.say("a", SnapshotMessage::GetOffer);
    assert_eq!(joiner.acts(), [], "a node with nothing does not say that there is nothing");
    joiner.say("b", SnapshotMessage::Offer(Some(node.source().unwrap().offer())));
    assert_eq!(joiner.asked(), [(key("b"), PartId::Manifest(0))]);
}

#[test]
fn there_is_nothing_only_if_enough_peers_say_so() {
    let node = network();
    let names = ["a", "b", "c"];
    // Of three peers and this node one may lie, and three decide.
    for (empty, joining, is_nothing) in
        [(0, 0, false), (1, 0, false), (2, 0, true), (0, 1, false), (0, 2, true), (1, 1, true)]
    {
        let mut joiner = Joiner::new(node.genesis(), &names);
        joiner.hear(Heard::Connected(key("stranger")));
        joiner.say("stranger", SnapshotMessage::Offer(None));
        for name in &names[..empty] {
            joiner.say(name, SnapshotMessage::Offer(None));
        }
        for name in &names[empty..empty + joining] {
            joiner.say(name, SnapshotMessage::GetOffer);
        }
        let expected = if is_nothing { Outcome::Nothing } else { Outcome::Going };
        assert_eq!(joiner.pass(2 * NOTHING_MS), expected, "{empty} empty, {joining} join");
    }
    let mut alone = Joiner::new(node.genesis(), &[]);
    assert_eq!(alone.pass(2 * NOTHING_MS), Outcome::Nothing, "nobody is there to be asked");
}

#[test]
fn whoever_had_a_snapshot_has_not_said_that_there_is_none() {
    let node = network();
    let offer = node.source().unwrap().offer();
    let mut joiner = Joiner::new(node.genesis(), &["a"]);
    joiner.say("a", SnapshotMessage::Offer(Some(offer)));
    joiner.say("a", SnapshotMessage::NoPart(offer.height, PartId::Manifest(0)));
    assert_eq!(joiner.pass(2 * NOTHING_MS), Outcome::Going);
    joiner.say("a", SnapshotMessage::Offer(None));
    assert_eq!(joiner.pass(2 * NOTHING_MS), Outcome::Nothing);
}

#[test]
fn a_slow_peer_is_waited_for_and_a_silent_one_asked_again_and_then_dropped() {
    let node = network();
    let offer = Offer { manifest_parts: 8, ..node.source().unwrap().offer() };
    let mut joiner = Joiner::new(node.genesis(), &["a"]);
    joiner.say("a", SnapshotMessage::Offer(Some(offer)));
    assert_eq!(joiner.asked().len(), 8);
    for number in 0..6 {
        joiner.pass(PART_MS - 1_000);
        let (id, bytes) = (PartId::Manifest(number), RawBytes(vec![7].into()));
        joiner.say("a", SnapshotMessage::Part(offer.height, id, bytes));
    }
    assert_eq!(joiner.acts(), [], "it goes on giving");
    joiner.pass(PART_MS + 200);
    let left = [6, 7].map(|number| (key("a"), PartId::Manifest(number)));
    assert_eq!(joiner.asked(), left, "once more");
    joiner.pass(PART_MS + 200);
    assert!(joiner.acts().contains(&Act::Drop(key("a"))), "not twice");
}

#[test]
fn nobody_is_dropped_over_an_answer_that_was_lost() {
    let node = network();
    let mut lost = Vec::new();
    let twist: Twist = Box::new(move |message| {
        if let SnapshotMessage::Part(_, id, _) = &message
            && !lost.contains(id)
        {
            lost.push(*id);
            return Vec::new();
        }
        vec![message]
    });
    let mut lab = Lab::new(vec![("a", Peer::serving(&node, twist))]);
    assert_eq!(lab.joined(&node).committed().height, Height(5));
    assert_eq!(lab.dropped, []);
    assert_eq!(*lab.attempts.lock().unwrap(), 1);
}

#[test]
fn whoever_was_dropped_may_try_again_when_nobody_else_gives_anything() {
    let node = network();
    let offer = node.source().unwrap().offer();
    let foreign = Offer { chain: ChainHash(Digest256([1; 32])), ..offer };
    let mut joiner = Joiner::new(node.genesis(), &["a"]);
    joiner.say("a", SnapshotMessage::Offer(Some(foreign)));
    assert!(joiner.acts().contains(&Act::Drop(key("a"))));
    joiner.hear(Heard::Disconnected(key("a")));
    joiner.hear(Heard::Connected(key("a")));
    let ask = Act::Say(key("a"), SnapshotMessage::GetOffer);
    joiner.pass(DROPPED_MS / 2);
    assert!(!joiner.acts().contains(&ask), "not at once");
    joiner.pass(DROPPED_MS);
    assert!(joiner.acts().contains(&ask));
    joiner.say("a", SnapshotMessage::Offer(Some(offer)));
    assert_eq!(joiner.asked(), [(key("a"), PartId::Manifest(0))]);
    assert_eq!(joiner.joining.dropped(), 1, "what was counted stays counted");
}

#[test]
fn a_node_that_waits_says_so() {
    let node = network();
    let mut joiner = Joiner::new(node.genesis(), &["a"]);
    joiner.pass(3 * TOLD_MS + 1_000);
    let told = joiner.acts().into_iter().filter(|act| matches!(act, Act::Waiting { .. }));
    assert_eq!(told.collect::<Vec<_>>(), [1, 2, 3].map(|_| Act::Waiting { peers: 1, dropped: 0 }));
}

#[test]
fn a_snapshot_that_comes_too_slowly_is_given_up_if_there_is_another() {
    let node = network();
    let offer = node.source().unwrap().offer();
    let higher = Offer { height: Height(9), manifest_parts: 64, ..offer };
    let fast_ms = MEASURED_MS * PART_BYTES_MAX as u64 / MEASURED_BYTES_MIN * 2 / 3;
    for (has_another, pause_ms, length, is_dropped) in [
        (true, PART_MS - 5_000, 1, true),
        (false, PART_MS - 5_000, 1, false),
        (true, fast_ms, PART_BYTES_MAX, false),
    ] {
        let mut joiner = Joiner::new(node.genesis(), &["a", "b"]);
        joiner.say("b", SnapshotMessage::Offer(has_another.then_some(offer)));
        joiner.say("a", SnapshotMessage::Offer(Some(higher)));
        let bytes = RawBytes(vec![7; length].into());
        let (mut owed, mut is_gone) = (BTreeSet::new(), false);
        for _ in 0..60 {
            for act in joiner.acts() {
                match act {
                    Act::Say(to, SnapshotMessage::GetPart(_, id)) if to == key("a") => {
                        owed.insert(id);
                    }
                    act => is_gone |= act == Act::Drop(key("a")),
                }
            }
            joiner.pass(pause_ms);
            if let Some(id) = owed.pop_first() {
                joiner.say("a", SnapshotMessage::Part(higher.height, id, bytes.clone()));
            }
        }
        assert!(joiner.now_ms > MEASURED_MS + 10_000, "it was measured");
        assert_eq!(is_gone, is_dropped, "another: {has_another}, bytes: {length}");
    }
}

#[test]
fn of_two_that_offer_the_same_the_one_that_was_slow_is_asked_last() {
    let node = network();
    let source = node.source().unwrap();
    let offer = source.offer();
    let part = |id| {
        let bytes = source.part(id).unwrap().expect("it has it");
        SnapshotMessage::Part(offer.height, id, RawBytes(bytes.into()))
    };
    // Of equals the last by key gives the manifest, and the first is asked for the next part.
    let mut names = ["a", "b"];
    names.sort_by_key(|name| key(name));
    let [slow, fast] = names;
    for way in ["gives it", "does not have it", "leaves and comes back"] {
        let mut joiner = Joiner::new(node.genesis(), &names);
        for name in names {
            joiner.say(name, SnapshotMessage::Offer(Some(offer)));
        }
        assert_eq!(joiner.asked(), [(key(fast), PartId::Manifest(0))]);
        joiner.say(fast, part(PartId::Manifest(0)));
        let asked = joiner.asked();
        let [(first, piece)] = asked[..] else { panic!("one piece: {asked:?}") };
        assert_eq!(first, key(slow), "not known yet");
        joiner.pass(5_000);
        match way {
            "gives it" => joiner.say(slow, part(piece)),
            "does not have it" => joiner.say(slow, SnapshotMessage::NoPart(offer.height, piece)),
            _ => {
                joiner.hear(Heard::Disconnected(key(slow)));
                joiner.hear(Heard::Connected(key(slow)))
            }
        };
        if way != "gives it" {
            assert_eq!(joiner.asked(), [(key(fast), piece)], "{way}");
            joiner.say(slow, SnapshotMessage::Offer(Some(offer)));
            joiner.say(fast, part(piece));
        }
        let asked = joiner.asked();
        let [(next, PartId::Window(_))] = asked[..] else { panic!("{way}: {asked:?}") };
        assert_eq!(next, key(fast), "{way}");
    }
}

#[test]
fn a_peer_that_asks_too_much_takes_no_answer_away_from_another() {
    let (requests, questions) = Requests::new();
    let ask = |height| SnapshotMessage::GetPart(Height(height), PartId::Manifest(0));
    for height in 0..1_000 {
        requests.put(key("a"), &ask(height));
    }
    // Who asks again before it was answered gets one answer.
    (0..2).for_each(|_| requests.put(key("b"), &ask(0)));
    let take = || questions.take(Duration::ZERO).ok().flatten();
    let asked: Vec<_> = std::iter::from_fn(take).collect();
    let of = |name| asked.iter().filter(|(from, _)| *from == key(name)).count();
    assert_eq!((of("a"), of("b")), (QUESTIONS_PER_PEER_MAX, 1));
    for name in ["a", "b"] {
        requests.put(key(name), &ask(0));
        assert_eq!(take(), Some((key(name), Question::Part(Height(0), PartId::Manifest(0)))));
    }
}

/// A server, and a clock that a test moves.
struct Serving {
    server: Server,
    said: Arc<Mutex<Vec<SnapshotMessage>>>,
    passed: Arc<Mutex<Duration>>,
}

impl Serving {
    fn new(open: OpenSource) -> Self {
        let said = Arc::<Mutex<Vec<_>>>::default();
        let passed = Arc::<Mutex<Duration>>::default();
        let (heard, clock, start) = (said.clone(), passed.clone(), Instant::now());
        let say = Box::new(move |_: &PublicKey, message: &SnapshotMessage| {
            heard.lock().unwrap().push(message.clone());
        });
        let now = Box::new(move || start + *clock.lock().unwrap());
        Self { server: Server::new(open, say, now), said, passed }
    }

    /// What it answers, if it does.
    fn ask(&mut self, from: &str, question: Question) -> Option<SnapshotMessage> {
        self.server.answer(&key(from), question);
        self.said.lock().unwrap().pop()
    }

    fn offer(&mut self, to: &str) -> Offer {
        let answer = self.ask(to, Question::Offer);
        let Some(SnapshotMessage::Offer(Some(offer))) = answer else { panic!("{answer:?}") };
        offer
    }

    /// Whether it gives a part.
    fn gives(&mut self, height: Height, id: PartId) -> bool {
        match self.ask("a", Question::Part(height, id)) {
            Some(SnapshotMessage::Part(..)) => true,
            Some(SnapshotMessage::NoPart(..)) => false,
            other => panic!("{other:?}"),
        }
    }

    fn pass(&self, time: Duration) {
        *self.passed.lock().unwrap() += time;
    }
}

#[test]
fn a_server_keeps_one_snapshot_for_all_who_ask() {
    let node = network();
    let opened = Arc::new(Mutex::new(0));
    let (count, served) = (opened.clone(), node.clone());
    let mut serving = Serving::new(Box::new(move || {
        *count.lock().unwrap() += 1;
        served.source()
    }));
    let piece = PartId::Piece { first: 0, level: 5, root: Digest256([1; 32]) };
    assert!(!serving.gives(Height(5), piece), "nothing is held before it is asked for");
    node.commit(&[node.payment("sok@aclb", "dara@wing", "1", 99)]);
    for name in ["a", "b", "a"] {
        assert_eq!(serving.offer(name).height, Height(6));
        node.commit(&[node.payment("sok@aclb", "dara@wing", "1", 100)]);
    }
    assert_eq!(*opened.lock().unwrap(), 1);
}

#[test]
fn a_server_holds_a_snapshot_while_it_is_fetched_but_not_for_ever() {
    let node = network();
    let mut serving = Serving::new(Box::new(move || node.source()));
    let height = serving.offer("a").height;
    let (pause, mut held) = (Duration::from_secs(10), Duration::ZERO);
    while serving.gives(height, PartId::Manifest(0)) {
        assert!(held < HELD_MAX, "still held");
        serving.pass(pause);
        held += pause;
    }
    assert_eq!(held, HELD_MAX);
}

#[test]
fn questions_for_what_is_not_there_keep_no_snapshot() {
    let node = network();
    let mut serving = Serving::new(Box::new(move || node.source()));
    let height = serving.offer("a").height;
    let (pause, mut held) = (Duration::from_secs(10), Duration::ZERO);
    while held < IDLE_MAX {
        assert!(!serving.gives(height, PartId::Manifest(u32::MAX)));
        serving.pass(pause);
        held += pause;
    }
    assert!(!serving.gives(height, PartId::Manifest(0)), "nobody fetched it");
}

#[test]
fn a_server_that_fails_does_not_say_that_there_is_nothing() {
    let no_disk = || StoreError::Io("no disk".into());
    let mut failing = Serving::new(Box::new(move || Err(SnapshotError::Fatal(no_disk()))));
    assert_eq!(failing.ask("a", Question::Offer), None);
    let mut begun = Serving::new(Box::new(|| Err(SnapshotError::Nothing)));
    assert_eq!(begun.ask("a", Question::Offer), Some(SnapshotMessage::Offer(None)));
}
