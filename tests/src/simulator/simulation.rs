//! One run: everything that happens, in the order of one queue.

mod standing;
mod strikes;

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use tonle_consensus::Message;
use tonle_model::genesis::Genesis;
use tonle_model::hash::TransactionHash;
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::number::Height;
use tonle_model::transaction::SignedTransaction;
use tonle_model::validators::{Validator, ValidatorSet};
use tonle_node::wire::Wire;
use tonle_wsv::memory::Failure;

use super::byzantine::Byzantine;
use super::check::{Checks, Held, Violation, broken};
use super::clients::Clients;
use super::fault::{Fault, Tally};
use super::links::Links;
use super::machine::{Backup, Left, Machine};
use super::plan::{Plan, ROUGH_MS, Strike};
use super::trace::{Trace, describe};
use crate::panics::caught;
use crate::random::Random;

/// A run covers so much at least.
pub const RUN_MS_MIN: u64 = 60_000;
/// See [`RUN_MS_MIN`].
pub const BLOCKS_MIN: u64 = 20;
/// See [`RUN_MS_MIN`].
pub const APPLIED_MIN: u64 = 500;

/// Once healed, the network has so long to decide everything.
const HEALED_MS_MAX: u64 = 90_000;
/// Links of a healed network.
const HEALED_LATENCY_MS: u64 = 20;
/// With nothing to do, a network may still say what it began to say for so long.
const SETTLE_MS: u64 = 8_000;
/// Then it must be quiet for so long.
const QUIET_MS: u64 = 6_000;
/// A network with a liar in it must be so for once in so many such times: views that a liar leads
/// take longer.
const QUIET_TRIES_MAX: usize = 10;
/// Whoever does one of these may have others talk for as long as it likes: it asks again for what
/// they must answer, or holds payments that nobody promised to anyone.
const DISTURBING: [Fault; 4] =
    [Fault::StaleReplay, Fault::VoidBatch, Fault::InvalidBatch, Fault::StrippedSignatures];
/// Between bursts of payments, about.
const BURST_MS: u64 = 1_500;
/// A node that was cut off for breaking the protocol is let in again after that.
const BLAME_MS: u64 = 1_000;
/// What honest nodes of a healed network may say to each other besides status, for each pair of
/// them: for each block if there is no liar; else for each view and second.
const FRAMES_PER_PAIR_MAX: u64 = 24;

/// Something that is to happen.
enum Happening {
    Frame { from: usize, to: usize, frame: Bytes },
    Announcement { from: usize, to: usize, bytes: Bytes },
    Wake { node: usize, incarnation: u64 },
    Check { node: usize, incarnation: u64 },
    Execute { node: usize, incarnation: u64 },
    Strike(Strike),
    Start { node: usize, power: bool },
    LinkUp { one: usize, other: usize },
    RoomOnDisk { node: usize, incarnation: u64 },
    PaceAgain { node: usize },
    Pay,
}

/// How much was said when, and what had come of it.
struct Talked {
    frames: u64,
    blocks: u64,
    views: u64,
    at_ms: u64,
}

/// A run.
pub struct Simulation {
    /// What struck.
    pub struck: Tally,
    /// What happened.
    pub trace: Trace,
    now_ms: u64,
    start_ms: u64,
    random: Random,
    plan: Plan,
    machines: Vec<Machine>,
    names: Vec<PublicKey>,
    byzantine: BTreeMap<usize, Byzantine>,
    links: Links,
    clients: Clients,
    checks: Checks,
    events: BTreeMap<(u64, u64), Happening>,
    sequence: u64,
    slow_until_ms: Vec<u64>,
    /// Who came back with an old disk. The others' memory makes an observer of it, unless too few
    /// of them heard its votes: so it counts among the f, and may contradict what nobody remembers.
    restored: BTreeSet<usize>,
    /// Copies of disks, and when they were made.
    backups: BTreeMap<usize, (Backup, u64)>,
    gossiped: BTreeSet<(usize, Bytes)>,
    seen: Vec<SignedTransaction>,
    is_rough: bool,
    pays: bool,
    /// Frames from honest nodes to honest nodes other than status.
    talk: u64,
}

impl Simulation {
    /// The run of a seed.
    pub fn new(seed: u64, is_traced: bool) -> Self {
        let mut random = Random::new(seed);
        let plan = Plan::new(&mut random);
        let (genesis, keys) = network(plan.validators);
        let names: Vec<PublicKey> = keys.iter().map(KeyPair::public_key).collect();
        let (chain, start_ms) = (genesis.chain(), genesis.created_ms + 1_000);
        let mut machines: Vec<Machine> =
            keys.iter().map(|key| Machine::new(key.clone(), genesis.clone(), start_ms)).collect();
        let mut struck = Tally::default();
        for (machine, ahead_ms) in machines.iter_mut().zip(&plan.offsets_ms) {
            if machine.clock.put(start_ms, *ahead_ms) != 0 {
                struck.count(Fault::ClockOffset);
            }
        }
        let byzantine = plan.byzantine.iter().map(|(node, deeds)| {
            let (key, deeds) = (keys[*node].clone(), deeds.clone());
            (*node, Byzantine::new(deeds, key, chain, *node, plan.validators))
        });
        let byzantine = byzantine.collect();
        let mut simulation = Self {
            struck,
            trace: Trace::new(is_traced, start_ms),
            now_ms: start_ms,
            start_ms,
            random,
            machines,
            byzantine,
            links: Links::new(plan.weather.clone()),
            clients: Clients::new(chain),
            checks: Checks::new(&genesis, names.clone()),
            names,
            events: BTreeMap::new(),
            sequence: 0,
            slow_until_ms: vec![0; plan.validators],
            restored: BTreeSet::new(),
            backups: BTreeMap::new(),
            gossiped: BTreeSet::new(),
            seen: Vec::new(),
            is_rough: true,
            pays: true,
            talk: 0,
            plan,
        };
        simulation.schedule_all();
        simulation
    }

    fn schedule_all(&mut self) {
        for node in 0..self.machines.len() {
            let delay_ms = self.random.between(0, 800);
            self.after(delay_ms, Happening::Start { node, power: false });
        }
        for (at_ms, strike) in std::mem::take(&mut self.plan.strikes) {
            self.after(at_ms, Happening::Strike(strike));
        }
        self.after(BURST_MS, Happening::Pay);
    }

    /// From the first start to the last silence.
    pub fn run(&mut self) -> Held {
        self.until(self.start_ms + ROUGH_MS)?;
        self.heal();
        let healed_ms = self.now_ms;
        let before = self.talked();
        while !self.is_done() {
            if self.now_ms > healed_ms + HEALED_MS_MAX {
                return broken(format!("no progress after healing: {}", self.standing()));
            }
            self.until(self.now_ms + 500)?;
        }
        self.check_talk(&before)?;
        self.fall_silent()?;
        let faulty = self.byzantine.keys().chain(&self.restored);
        let faulty: Vec<_> = faulty.map(|node| self.names[*node]).collect();
        (0..self.machines.len()).try_for_each(|node| match self.honest(node) {
            Some(running) => self.checks.settled(node, running, &faulty),
            None => Ok(()),
        })
    }

    /// With nothing to do, nothing is said.
    fn fall_silent(&mut self) -> Held {
        self.until(self.now_ms + SETTLE_MS)?;
        let mut deeds = self.plan.byzantine.values().flatten();
        let is_disturbed = deeds.any(|deed| DISTURBING.contains(deed));
        let tries = if self.byzantine.is_empty() { 1 } else { QUIET_TRIES_MAX };
        for _ in 0..tries {
            let talked = self.talk;
            self.until(self.now_ms + QUIET_MS)?;
            if self.talk == talked || is_disturbed {
                return Ok(());
            }
        }
        broken(format!("no silence in an idle network: {}", self.standing()))
    }

    /// How long it was, how many blocks and applied payments there were.
    pub fn extent(&self) -> (u64, u64, u64) {
        (self.now_ms - self.start_ms, self.checks.height(), self.checks.applied())
    }

    fn after(&mut self, delay_ms: u64, happening: Happening) {
        self.sequence += 1;
        self.events.insert((self.now_ms + delay_ms, self.sequence), happening);
    }

    /// Like [`Simulation::after`], but no later than the network heals.
    fn after_at_most(&mut self, delay_ms: u64, happening: Happening) {
        let left_ms = (self.start_ms + ROUGH_MS).saturating_sub(self.now_ms);
        self.after(delay_ms.min(left_ms), happening);
    }

    fn until(&mut self, until_ms: u64) -> Held {
        while let Some(entry) = self.events.first_entry() {
            if entry.key().0 > until_ms {
                break;
            }
            let ((at_ms, _), happening) = entry.remove_entry();
            self.now_ms = at_ms;
            self.trace.at(at_ms);
            self.happen(happening)?;
        }
        self.now_ms = until_ms;
        Ok(())
    }

    fn happen(&mut self, happening: Happening) -> Held {
        match happening {
            Happening::Frame { from, to, frame } => self.deliver(from, to, frame),
            Happening::Announcement { from, to, bytes } => self.gossip(from, to, bytes),
            Happening::Wake { node, incarnation } => {
                let due_ms = self.current(node, incarnation).map(|running| running.wake_ms);
                if due_ms == Some(self.now_ms) { self.turn(node) } else { Ok(()) }
            }
            Happening::Check { node, incarnation } => {
                let Some(running) = self.current(node, incarnation) else { return Ok(()) };
                running.checking = false;
                running.check();
                self.turn(node)
            }
            Happening::Execute { node, incarnation } => {
                let Some(running) = self.current(node, incarnation) else { return Ok(()) };
                running.executing = false;
                running.execute();
                self.look_at(node)?;
                self.turn(node)
            }
            Happening::Strike(strike) => self.strike(strike),
            Happening::Start { node, power } => self.start(node, power),
            Happening::LinkUp { one, other } => self.link(one, other, true),
            Happening::RoomOnDisk { node, incarnation } => self.find_room(node, incarnation),
            Happening::PaceAgain { node } => {
                self.machines[node].clock.keep_pace(self.now_ms, 1_000);
                Ok(())
            }
            Happening::Pay => self.pay(),
        }
    }

    /// The process that was meant, if it runs still.
    fn current(&mut self, node: usize, incarnation: u64) -> Option<&mut super::machine::Running> {
        let machine = &mut self.machines[node];
        machine.running.as_mut().filter(|_| machine.incarnation == incarnation)
    }

    /// The process of an honest node.
    fn honest(&self, node: usize) -> Option<&super::machine::Running> {
        match self.byzantine.contains_key(&node) {
            true => None,
            false => self.machines[node].running.as_ref(),
        }
    }

    fn deliver(&mut self, from: usize, to: usize, frame: Bytes) -> Held {
        let name = self.names[from];
        let Some(running) = &self.machines[to].running else { return Ok(()) };
        if !running.frame(&name, frame.clone()) {
            self.after(5, Happening::Frame { from, to, frame });
            return Ok(());
        }
        if !self.byzantine.contains_key(&to)
            && let Ok(Wire::Consensus(message)) = Wire::from_frame(&frame)
            && let Message::Vote(vote) = *message
        {
            self.checks.heard(to, &vote, running.assembly.board.height());
        }
        self.turn(to)
    }

    fn gossip(&mut self, from: usize, to: usize, bytes: Bytes) -> Held {
        let Some(running) = &self.machines[to].running else { return Ok(()) };
        let is_new = self.gossiped.insert((to, bytes.clone()));
        if !is_new || !running.announcement(&self.names[from], bytes.clone()) {
            return Ok(());
        }
        self.announce(to, &bytes);
        self.turn(to)
    }

    fn announce(&mut self, from: usize, bytes: &Bytes) {
        for to in (0..self.machines.len()).filter(|to| *to != from) {
            let (random, struck) = (&mut self.random, &mut self.struck);
            for at_ms in self.links.arrivals((from, to), self.now_ms, random, struck) {
                let bytes = bytes.clone();
                self.after(at_ms - self.now_ms, Happening::Announcement { from, to, bytes });
            }
        }
    }

    /// One turn of a node, and all that follows from it.
    fn turn(&mut self, node: usize) -> Held {
        let now_ms = self.now_ms;
        let machine = &mut self.machines[node];
        let Some(running) = &mut machine.running else { return Ok(()) };
        machine.clock.set(now_ms);
        let turned = running.turn();
        let (left, height) = (running.take_left(), running.assembly.board.height());
        self.send(node, left)?;
        if let Err(error) = turned {
            return self.ended(node, &error);
        }
        if !self.byzantine.contains_key(&node) {
            self.checks.turned(node, height);
        }
        self.arrange(node);
        Ok(())
    }

    /// What a node will do next, by itself.
    fn arrange(&mut self, node: usize) {
        let now_ms = self.now_ms;
        let slow = self.slow_until_ms[node] > now_ms;
        let work_ms = if slow { self.random.between(100, 900) } else { self.random.between(1, 5) };
        let machine = &mut self.machines[node];
        let incarnation = machine.incarnation;
        let Some(running) = &mut machine.running else { return };
        let checks = running.has_checks() && !running.checking;
        let jobs = running.has_jobs() && !running.executing;
        running.checking |= checks;
        running.executing |= jobs;
        if slow && (checks || jobs) {
            self.struck.count(Fault::SlowNode);
        }
        let wake_ms = now_ms + machine.clock.until(running.next_turn_ms());
        let wakes = std::mem::replace(&mut running.wake_ms, wake_ms) != wake_ms;
        if checks {
            self.after(work_ms, Happening::Check { node, incarnation });
        }
        if jobs {
            self.after(work_ms, Happening::Execute { node, incarnation });
        }
        if wakes {
            self.after(wake_ms - now_ms, Happening::Wake { node, incarnation });
        }
    }

    fn send(&mut self, node: usize, left: Vec<Left>) -> Held {
        for one in left {
            match one {
                Left::Frame { to, frame, unwritten } => {
                    let to = match to {
                        Some(name) => self.names.iter().position(|one| *one == name),
                        None => None,
                    }
                    .map_or_else(
                        || (0..self.machines.len()).filter(|to| *to != node).collect(),
                        |to| vec![to],
                    );
                    self.send_frame(node, &to, &frame, unwritten)?;
                }
                Left::Announcement(bytes) => self.announce(node, &bytes),
                Left::Blame(name) => {
                    if let Some(other) = self.names.iter().position(|one| *one == name) {
                        self.trace.line(node, format_args!("cuts {other} off"));
                        self.link(node, other, false)?;
                        self.after(BLAME_MS, Happening::LinkUp { one: node, other });
                    }
                }
            }
        }
        Ok(())
    }

    fn send_frame(&mut self, node: usize, to: &[usize], frame: &Bytes, unwritten: bool) -> Held {
        let (random, struck) = (&mut self.random, &mut self.struck);
        let said = match self.byzantine.get_mut(&node) {
            Some(mouth) => {
                let mut said = mouth.say(self.now_ms, to, frame, random, struck);
                let running = self.machines[node].running.as_ref();
                if let Some(usurping) = running.and_then(|one| mouth.usurp(one, frame, struck)) {
                    said.extend(to.iter().map(|to| (*to, usurping.clone())));
                }
                said
            }
            None => {
                self.overhear(node, to, frame, unwritten)?;
                to.iter().map(|to| (*to, frame.clone())).collect()
            }
        };
        for (to, frame) in said {
            let (random, struck) = (&mut self.random, &mut self.struck);
            let arrivals = self.links.arrivals((node, to), self.now_ms, random, struck);
            if self.trace.is_on() {
                let what = Wire::from_frame(&frame).map_or("?".to_owned(), |wire| describe(&wire));
                let lost = if arrivals.is_empty() { "  (lost)" } else { "" };
                self.trace.frame(node, to, &frame, format_args!("{what}{lost}"));
            } else {
                self.trace.frame(node, to, &frame, "");
            }
            for at_ms in arrivals {
                let frame = frame.clone();
                self.after(at_ms - self.now_ms, Happening::Frame { from: node, to, frame });
            }
        }
        Ok(())
    }

    /// Watches what an honest node says.
    fn overhear(&mut self, node: usize, to: &[usize], frame: &Bytes, unwritten: bool) -> Held {
        let wire = Wire::from_frame(frame);
        match &wire {
            Ok(Wire::Consensus(message)) => self.checks.said(node, message, unwritten)?,
            Ok(Wire::Blocks { blocks, .. }) => self.checks.served(node, blocks)?,
            _ => {}
        }
        let is_status = matches!(&wire, Ok(Wire::Consensus(message))
            if matches!(**message, Message::Status(_)));
        if !is_status {
            let honest = to.iter().filter(|to| !self.byzantine.contains_key(*to));
            self.talk += honest.count() as u64;
        }
        Ok(())
    }

    /// After a node may have committed: what it committed, and what it told its clients.
    fn look_at(&mut self, node: usize) -> Held {
        if self.byzantine.contains_key(&node) {
            return Ok(());
        }
        let machine = &self.machines[node];
        let Some(running) = &machine.running else { return Ok(()) };
        self.checks.committed(node, running, &machine.chain_disk, &self.clients)?;
        for told in self.clients.heard(node) {
            self.checks.told(&told, &machine.chain_disk)?;
        }
        Ok(())
    }

    /// A process ended by itself: because of its disk, or because something is wrong.
    fn ended(&mut self, node: usize, error: &dyn std::fmt::Display) -> Held {
        self.trace.line(node, format_args!("ends: {error}"));
        let machine = &self.machines[node];
        let of_disk = machine.chain_disk.is_broken() || machine.state_disk.is_broken();
        if !of_disk && !self.byzantine.contains_key(&node) {
            return broken(format!("node {node} ended: {error}"));
        }
        self.stop(node)?;
        if !of_disk {
            // A Byzantine node's own lies may end it.
            self.after(500, Happening::Start { node, power: false });
        }
        Ok(())
    }

    /// Kills a process, if it runs.
    fn kill(&mut self, node: usize) -> Held {
        if self.machines[node].running.is_some() {
            self.struck.count(Fault::Crash);
        }
        self.stop(node)
    }

    fn stop(&mut self, node: usize) -> Held {
        let machine = &mut self.machines[node];
        machine.running = None;
        for disk in [&machine.chain_disk, &machine.state_disk] {
            match disk.take_failure() {
                Some(Failure::Error) => self.struck.count(Fault::DiskError),
                Some(Failure::PowerLost) => self.struck.count(Fault::TornWrite),
                None => {}
            }
        }
        self.checks.emptied(node);
        (0..self.machines.len()).try_for_each(|other| self.tell_link(other, node, false))
    }

    /// Starts a node; what still ran of it is killed. Disks are as good as new.
    fn start(&mut self, node: usize, power: bool) -> Held {
        if self.machines[node].running.is_some() {
            self.kill(node)?;
        }
        let now_ms = self.now_ms;
        let seed = self.random.number();
        let machine = &mut self.machines[node];
        machine.chain_disk.repair();
        machine.state_disk.repair();
        if power {
            let lost = machine.chain_disk.crash(seed) + machine.state_disk.crash(seed ^ 1);
            (0..lost).for_each(|_| self.struck.count(Fault::LostWrites));
        }
        self.trace.line(node, "starts");
        // What others remember of its lies does not silence a liar.
        let vouched = self.byzantine.contains_key(&node).then_some(Height(u64::MAX));
        if let Err(error) = machine.start(now_ms, vouched) {
            return broken(format!("node {node} does not start: {error}"));
        }
        if let Some(running) = &machine.running
            && !self.byzantine.contains_key(&node)
        {
            self.checks.restarted(node, running);
        }
        self.look_at(node)?;
        for other in (0..self.machines.len()).filter(|other| *other != node) {
            self.link(node, other, true)?;
        }
        self.turn(node)
    }

    fn link(&mut self, one: usize, other: usize, is_up: bool) -> Held {
        self.tell_link(one, other, is_up)?;
        self.tell_link(other, one, is_up)
    }

    fn tell_link(&mut self, node: usize, peer: usize, is_up: bool) -> Held {
        let peer_runs = self.machines[peer].running.is_some();
        let name = self.names[peer];
        let Some(running) = &self.machines[node].running else { return Ok(()) };
        if node == peer || (is_up && !peer_runs) {
            return Ok(());
        }
        running.link(&name, is_up);
        self.turn(node)
    }

    /// A burst of payments; a few of them through two nodes.
    fn pay(&mut self) -> Held {
        let count = if self.is_rough { self.random.between(8, 24) } else { 60 };
        let runs = |node: &usize| self.honest(*node).is_some();
        let gates: Vec<usize> = (0..self.machines.len()).filter(runs).collect();
        if !gates.is_empty() {
            let payments: Vec<_> =
                (0..count).map(|_| self.clients.pay(self.now_ms, &mut self.random)).collect();
            let node = self.random.pick(&gates);
            let is_open = self.submit(node, &payments)?;
            // Whom one node refuses, another one may take in.
            let again = if is_open { payments.len() / 8 } else { payments.len() };
            let other = self.random.pick(&gates);
            self.submit(other, &payments[..again])?;
            self.seen.extend(payments);
        }
        for (node, mouth) in &mut self.byzantine {
            if let Some(running) = &self.machines[*node].running {
                mouth.craft(running, &self.seen, &mut self.random, &mut self.struck);
            }
        }
        if self.pays {
            let delay_ms = self.random.between(BURST_MS - 300, BURST_MS + 300);
            self.after(delay_ms, Happening::Pay);
        }
        Ok(())
    }

    /// Offers payments to a node. Whether it takes anything in now.
    fn submit(&mut self, node: usize, payments: &[SignedTransaction]) -> Result<bool, Violation> {
        let machine = &mut self.machines[node];
        machine.clock.set(self.now_ms);
        let Some(running) = &machine.running else { return Ok(false) };
        let taken = self.clients.submit((node, machine.incarnation), running, payments);
        let (count, offered) = (taken.unwrap_or(0), payments.len());
        self.trace.line(node, format_args!("takes {count} of {offered} payments"));
        self.checks.took(node, count)?;
        self.turn(node)?;
        Ok(taken.is_some())
    }

    fn heal(&mut self) {
        self.trace.line(0, "heals");
        self.is_rough = false;
        self.links.heal(HEALED_LATENCY_MS);
        self.slow_until_ms.fill(0);
    }

    /// Enough was paid, and everything that was promised is decided everywhere. Payments end when
    /// there are enough.
    fn is_done(&mut self) -> bool {
        let (run_ms, blocks, applied) = self.extent();
        let long_enough = run_ms + SETTLE_MS + QUIET_MS >= RUN_MS_MIN;
        if self.pays {
            self.pays = !(long_enough && blocks >= BLOCKS_MIN && applied >= APPLIED_MIN);
            return false;
        }
        let mut honest = (0..self.machines.len()).filter(|node| !self.byzantine.contains_key(node));
        let at_top = |node: usize| {
            let running = self.machines[node].running.as_ref();
            running.is_some_and(|one| one.world.committed().height.0 == self.checks.height())
        };
        honest.all(at_top) && self.open().is_empty()
    }

    /// Payments that are promised and not decided.
    fn open(&self) -> Vec<TransactionHash> {
        let runs = |node: usize, incarnation: u64| {
            self.honest(node).is_some() && self.machines[node].incarnation == incarnation
        };
        self.clients.open(runs, |hash| self.checks.is_decided(hash))
    }

    fn talked(&self) -> Talked {
        let Self { checks, now_ms, talk, .. } = self;
        Talked { frames: *talk, blocks: checks.height(), views: checks.views(), at_ms: *now_ms }
    }

    /// Nodes said no more than what they did since asks for.
    fn check_talk(&self, before: &Talked) -> Held {
        let now = self.talked();
        let (frames, blocks) = (now.frames - before.frames, now.blocks - before.blocks);
        let (views, ms) = (now.views - before.views, now.at_ms - before.at_ms);
        let rounds = if self.byzantine.is_empty() { blocks } else { views + ms / 1_000 };
        let honest = (self.machines.len() - self.byzantine.len()) as u64;
        let most = (rounds + 10) * honest * (honest - 1) * FRAMES_PER_PAIR_MAX;
        match frames <= most {
            true => Ok(()),
            false => broken(format!("{frames} frames for {blocks} blocks in {views} views")),
        }
    }

    /// What the plan was.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }
}

/// The demonstration network with so many validators, and their keys in the order of the set.
fn network(validators: usize) -> (Genesis, Vec<KeyPair>) {
    let text = include_str!("../../../genesis.json");
    let mut genesis = Genesis::from_json(text).expect("the demonstration genesis");
    let named = |number: usize| {
        let name = format!("validator_{number}");
        let key = KeyPair::demo(&name);
        (Validator { public_key: key.public_key(), name: name.parse().expect("a name") }, key)
    };
    let (members, keys): (Vec<_>, Vec<_>) = (0..validators).map(named).unzip();
    genesis.validators = ValidatorSet::new(members).expect("a set of validators");
    let key_of = |validator: &Validator| {
        let found = keys.iter().find(|key| key.public_key() == validator.public_key);
        found.expect("the key of a member").clone()
    };
    let ordered = genesis.validators.iter().map(key_of).collect();
    (genesis, ordered)
}

/// What a run came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// Of which seed.
    pub seed: u64,
    /// How long it was, on virtual time.
    pub virtual_ms: u64,
    /// Blocks.
    pub blocks: u64,
    /// Applied payments.
    pub applied: u64,
    /// What struck.
    pub struck: Tally,
    /// The sum of all that was said.
    pub digest: u64,
    /// What was wrong, if anything.
    pub violation: Option<Violation>,
}

/// Runs a seed. A panic of whatever runs in it is a violation like any other.
pub fn run(seed: u64, is_traced: bool) -> Outcome {
    let mut simulation = Simulation::new(seed, is_traced);
    let violation = caught(|| simulation.run()).unwrap_or_else(broken).err();
    let (virtual_ms, blocks, applied) = simulation.extent();
    let (struck, digest) = (simulation.struck.clone(), simulation.trace.digest());
    Outcome { seed, virtual_ms, blocks, applied, struck, digest, violation }
}
