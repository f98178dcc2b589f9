//! The network and its schedule: every event of a run happens here, in the order of one queue.

use std::collections::{BTreeMap, VecDeque};

use tonle_consensus::limits::EARLY_HEIGHTS;
use tonle_consensus::{Evidence, Input, Message, Output, PeerId, Recipients, Record};
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::hash::BlockHash;
use tonle_model::number::{Height, ValidatorIndex};
use tonle_model::validators::{faults, quorum};
use tonle_model::vote::{Certificate, Proposal};

use super::adversary::Adversary;
use super::node::Node;
use super::oracle::Oracle;
use super::random::Random;
use super::{Wire, signer};
use crate::common::{batch_ref, result_of, signature, vote};

/// How rough the run is.
#[derive(Debug, Clone)]
pub struct Weather {
    pub loss_permille: u64,
    /// How many links are cut at a time; others every few seconds.
    pub cut_permille: u64,
    pub latency_ms_max: u64,
    pub crash_permille: u64,
    pub execution_ms_max: u64,
}

impl Weather {
    pub fn calm() -> Self {
        Self {
            loss_permille: 0,
            cut_permille: 0,
            latency_ms_max: 20,
            crash_permille: 0,
            execution_ms_max: 10,
        }
    }
}

/// How long a link stays cut.
const CUT_MS: u64 = 4_000;

#[expect(clippy::large_enum_variant, reason = "a simulation")]
enum Event {
    Deliver { to: usize, from: usize, wire: Wire },
    Wake { node: usize },
    Executed { node: usize, incarnation: u64, block: BlockHash },
    Build { node: usize, incarnation: u64, template: Header },
    Advance { node: usize, incarnation: u64 },
    RetryCheck { node: usize, incarnation: u64, block: BlockHash },
    RangeTimeout { node: usize, incarnation: u64, peer: PeerId, from: Height },
    Restart { node: usize },
    Submit { node: usize, batch: u64 },
}

pub struct Network {
    pub now_ms: u64,
    pub nodes: Vec<Node>,
    pub oracle: Oracle,
    pub adversary: Option<Adversary>,
    pub weather: Weather,
    pub random: Random,
    pub validators: usize,
    pub evidence: Vec<Evidence>,
    /// Messages other than status, and batches, since last reset.
    pub talk: u64,
    pub batches: u64,
    seed: u64,
    events: BTreeMap<(u64, u64), Event>,
    sequence: u64,
}

impl Network {
    /// `validators` members, the last of them the adversary if there is one.
    pub fn new(seed: u64, validators: usize, adversary: bool, weather: Weather) -> Self {
        let mut random = Random::new(seed);
        let honest = validators - usize::from(adversary);
        let nodes = (0..honest as u16)
            .map(|index| Node::new(ValidatorIndex(index), random.between(0, 800)))
            .collect();
        let mut network = Self {
            now_ms: 1_000_000,
            nodes,
            oracle: Oracle::new(quorum(validators), usize::from(adversary)),
            adversary: adversary.then(|| Adversary::new(validators)),
            weather,
            random,
            validators,
            evidence: Vec::new(),
            talk: 0,
            batches: 0,
            seed,
            events: BTreeMap::new(),
            sequence: 0,
        };
        for node in 0..honest {
            network.start(node);
        }
        network
    }

    fn at(&mut self, delay_ms: u64, event: Event) {
        self.sequence += 1;
        self.events.insert((self.now_ms + delay_ms, self.sequence), event);
    }

    /// Gives a batch to one node after a while.
    pub fn submit(&mut self, delay_ms: u64, node: usize) {
        self.batches += 1;
        let batch = self.batches;
        self.at(delay_ms, Event::Submit { node, batch });
    }

    /// Runs until `until_ms` or until `done`.
    pub fn run(&mut self, until_ms: u64, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            let Some(((at_ms, _), _)) = self.events.first_key_value() else { break };
            if *at_ms > until_ms {
                break;
            }
            let Some(((at_ms, _), event)) = self.events.pop_first() else { break };
            self.now_ms = at_ms;
            self.happen(event);
        }
        self.now_ms = self.now_ms.max(until_ms.min(self.now_ms));
    }

    /// Every honest node is up, at one height, with every batch committed.
    pub fn is_settled(&self) -> bool {
        let heights = |node: &Node| node.core.as_ref().map(|core| core.height());
        let first = self.nodes.first().and_then(heights);
        self.nodes.iter().all(|node| {
            heights(node).is_some()
                && heights(node) == first
                && node.committed().len() as u64 == self.batches
        })
    }

    fn happen(&mut self, event: Event) {
        let current = |network: &Self, node: usize, incarnation: u64| {
            network.nodes[node].core.is_some() && network.nodes[node].incarnation == incarnation
        };
        match event {
            Event::Deliver { to, from, wire } => self.deliver(to, from, wire),
            Event::Wake { node } => {
                if self.nodes[node].core.is_some() && self.nodes[node].wake_ms <= self.now_ms {
                    self.input(node, Input::Tick);
                }
            }
            Event::Executed { node, incarnation, block } => {
                if current(self, node, incarnation) {
                    self.input(node, Input::Executed { block, result: result_of(block) });
                }
            }
            Event::Build { node, incarnation, template } => {
                if current(self, node, incarnation) {
                    self.build(node, template);
                }
            }
            Event::Advance { node, incarnation } => {
                if current(self, node, incarnation) {
                    self.advance(node);
                }
            }
            Event::RetryCheck { node, incarnation, block } => {
                if current(self, node, incarnation) {
                    self.check(node, block);
                }
            }
            Event::RangeTimeout { node, incarnation, peer, from } => {
                if current(self, node, incarnation) {
                    self.input(node, Input::Fetched { peer, from, count: 0 });
                }
            }
            Event::Restart { node } => self.start(node),
            Event::Submit { node, batch } => self.take_batch(node, batch),
        }
    }

    fn start(&mut self, node: usize) {
        let validators = self.validators;
        self.nodes[node].start(validators);
        for peer in (0..self.validators).filter(|peer| *peer != node) {
            let up = self.nodes.get(peer).is_none_or(|peer| peer.core.is_some());
            if up {
                self.input(node, Input::Connected { peer: PeerId(peer as u64) });
            }
            if self.nodes.get(peer).is_some_and(|peer| peer.core.is_some()) {
                self.input(peer, Input::Connected { peer: PeerId(node as u64) });
            }
        }
        self.update_work(node);
    }

    fn crash(&mut self, node: usize) {
        self.nodes[node].crash();
        for peer in (0..self.nodes.len()).filter(|peer| *peer != node) {
            if self.nodes[peer].core.is_some() {
                self.input(peer, Input::Disconnected { peer: PeerId(node as u64) });
            }
        }
        let downtime_ms = self.random.between(1, 5_000);
        self.at(downtime_ms, Event::Restart { node });
    }

    fn send(&mut self, from: usize, to: usize, wire: Wire) {
        let quiet = matches!(wire, Wire::Message(Message::Status(_)));
        self.talk += u64::from(!quiet);
        let link = (self.now_ms / CUT_MS) << 16 | (from as u64) << 8 | to as u64;
        let cut = Random::new(link ^ self.seed << 40).chance(self.weather.cut_permille);
        if !cut && !self.random.chance(self.weather.loss_permille) {
            let latency_ms = self.random.between(1, self.weather.latency_ms_max);
            self.at(latency_ms, Event::Deliver { to, from, wire });
        }
    }

    fn send_all(&mut self, from: usize, wire: &Wire) {
        for to in (0..self.validators).filter(|to| *to != from) {
            self.send(from, to, wire.clone());
        }
    }

    fn deliver(&mut self, to: usize, from: usize, wire: Wire) {
        if to >= self.nodes.len() {
            return self.deliver_to_adversary(wire);
        }
        if self.nodes[to].core.is_none() {
            return;
        }
        match wire {
            Wire::Message(message) => self.deliver_message(to, from, message),
            Wire::Batch(batch) => self.take_batch(to, batch),
            Wire::BatchRequest(batch) => {
                if self.nodes[to].batches.contains(&batch) {
                    self.send(to, from, Wire::Batch(batch));
                }
            }
            Wire::HeaderRequest(block) => {
                if let Some(header) = self.nodes[to].find_header(block) {
                    self.send(to, from, Wire::Header(header));
                }
            }
            Wire::Header(header) => self.input(to, Input::Header(header)),
            Wire::BlocksRequest { from: height, count } => {
                self.send_blocks(to, from, height, count, true);
            }
            Wire::Blocks { from: height, blocks, asked } => {
                self.take_blocks(to, from, height, blocks, asked);
            }
        }
    }

    fn deliver_message(&mut self, to: usize, from: usize, message: Message) {
        match message {
            Message::Vote(vote) => self.input(to, Input::Vote(vote)),
            Message::Certificate(certificate) => {
                self.input(to, Input::Certificate(certificate));
            }
            Message::Proposal(proposal) => self.deliver_proposal(to, from, proposal),
            Message::Status(status) => {
                self.input(to, Input::Status { from: PeerId(from as u64), status });
            }
        }
    }

    /// The driver's part: the leader's signature, and proposals that come too early.
    fn deliver_proposal(&mut self, to: usize, from: usize, proposal: Proposal) {
        let node = &mut self.nodes[to];
        let Some(core) = &node.core else { return };
        let ahead = proposal.height.0.saturating_sub(core.height().0);
        if (1..=EARLY_HEIGHTS).contains(&ahead) {
            node.early.insert((proposal.height, from), proposal);
        } else if signer(&proposal.signature) == core.leader(proposal.view) {
            self.input(to, Input::Proposal(proposal));
        }
    }

    fn deliver_to_adversary(&mut self, wire: Wire) {
        let Some(mut adversary) = self.adversary.take() else { return };
        let me = self.validators - 1;
        let deeds = adversary.react(&wire, &self.oracle.chain, self.now_ms, &mut self.random);
        self.adversary = Some(adversary);
        for (to, message) in deeds {
            self.send(me, to, Wire::Message(message));
        }
    }

    fn send_blocks(&mut self, node: usize, to: usize, from: Height, count: u64, asked: bool) {
        let chain = self.nodes[node].chain.iter();
        let wanted = chain.filter(|(h, _)| h.height >= from && h.height.0 < from.0 + count);
        let blocks: Vec<_> = wanted.cloned().collect();
        self.send(node, to, Wire::Blocks { from, blocks, asked });
    }

    fn take_blocks(
        &mut self,
        node: usize,
        from: usize,
        height: Height,
        blocks: Vec<(Header, Certificate)>,
        asked: bool,
    ) {
        let count = blocks.len() as u64;
        for (header, certificate) in blocks {
            self.nodes[node].batches.extend(header.batches.iter().map(|batch| batch.seq));
            self.nodes[node].synced.insert(header.height, (header, certificate));
        }
        if asked {
            let peer = PeerId(from as u64);
            self.input(node, Input::Fetched { peer, from: height, count });
        }
        self.feed_synced(node);
        self.update_work(node);
    }

    fn feed_synced(&mut self, node: usize) {
        let Some(core) = &self.nodes[node].core else { return };
        let height = core.height();
        self.nodes[node].synced.retain(|at, _| *at >= height);
        if let Some((header, finalization)) = self.nodes[node].synced.get(&height).cloned() {
            self.input(node, Input::Synced { header, finalization });
        }
    }

    fn take_batch(&mut self, node: usize, batch: u64) {
        if self.nodes[node].batches.insert(batch) {
            // Announced once, so a batch given to one validator reaches all.
            self.send_all(node, &Wire::Batch(batch));
            let open: Vec<BlockHash> = self.nodes[node].checks.keys().copied().collect();
            for block in open {
                self.check(node, block);
            }
            self.update_work(node);
        }
    }

    fn update_work(&mut self, node: usize) {
        let work = !self.nodes[node].open_batches().is_empty();
        if self.nodes[node].core.is_some() && self.nodes[node].work != work {
            self.nodes[node].work = work;
            self.input(node, Input::Work(work));
        }
    }

    fn check(&mut self, node: usize, block: BlockHash) {
        let incarnation = self.nodes[node].incarnation;
        let Some(header) = self.nodes[node].checks.get(&block) else { return };
        let committed = self.nodes[node].committed();
        let wanted: Vec<u64> = header.batches.iter().map(|batch| batch.seq).collect();
        if wanted.iter().any(|batch| committed.contains(batch)) {
            self.nodes[node].checks.remove(&block);
            return self.input(node, Input::Unusable { block });
        }
        let held = &self.nodes[node].batches;
        let missing: Vec<u64> = wanted.into_iter().filter(|batch| !held.contains(batch)).collect();
        if missing.is_empty() {
            self.nodes[node].checks.remove(&block);
            return self.input(node, Input::Available { block });
        }
        for batch in missing {
            self.send_all(node, &Wire::BatchRequest(batch));
        }
        self.at(300, Event::RetryCheck { node, incarnation, block });
    }

    fn build(&mut self, node: usize, template: Header) {
        let view = template.proposed_view;
        let batches: Vec<_> = self.nodes[node].open_batches().into_iter().map(batch_ref).collect();
        if batches.is_empty() {
            return self.input(node, Input::NothingToBuild { view });
        }
        let batches = Bounded::new(batches).unwrap();
        self.input(node, Input::Built { header: Header { batches, ..template } });
    }

    fn advance(&mut self, node: usize) {
        let config = self.nodes[node].config(self.validators);
        self.nodes[node].checks.clear();
        self.input(node, Input::Advance { config });
        self.update_work(node);
        let early = std::mem::take(&mut self.nodes[node].early);
        for ((_, from), proposal) in early {
            self.deliver_proposal(node, from, proposal);
        }
        self.feed_synced(node);
    }

    /// The driver's loop: step, one synced write, then act; a crash may come before or after the
    /// write.
    pub fn input(&mut self, node: usize, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let now_ms = self.now_ms + self.nodes[node].skew_ms;
            let Some(core) = &mut self.nodes[node].core else { return };
            let mut outputs = Vec::new();
            core.step(now_ms, input, &mut outputs);
            let crashes = !outputs.is_empty() && self.random.chance(self.weather.crash_permille);
            if crashes && self.random.chance(500) {
                return self.crash(node);
            }
            self.write(node, &outputs);
            if crashes {
                return self.crash(node);
            }
            for output in outputs {
                self.act(node, output, &mut inputs);
            }
            self.schedule_wake(node);
        }
    }

    fn schedule_wake(&mut self, node: usize) {
        let skew_ms = self.nodes[node].skew_ms;
        let Some(core) = &self.nodes[node].core else { return };
        let Some(due_ms) = core.next_deadline() else { return };
        let due_ms = due_ms - skew_ms;
        assert!(due_ms > self.now_ms, "a deadline in the past makes the driver spin");
        if self.nodes[node].wake_ms <= self.now_ms || due_ms < self.nodes[node].wake_ms {
            self.nodes[node].wake_ms = due_ms;
            self.at(due_ms - self.now_ms, Event::Wake { node });
        }
    }

    /// The synced write of one step. From here on votes count as cast.
    fn write(&mut self, node: usize, outputs: &[Output]) {
        let index = self.nodes[node].index;
        for output in outputs {
            let record = match output {
                Output::Persist(record) => record.clone(),
                Output::SignVote { ballot } => Record::Vote(vote(*ballot, index)),
                Output::SignProposal { height, view, header, justification } => {
                    Record::Proposal(Proposal {
                        height: *height,
                        view: *view,
                        header: header.clone(),
                        justification: justification.clone(),
                        signature: signature(index),
                    })
                }
                Output::Commit { header, finalization } => {
                    self.oracle.commit(header);
                    self.nodes[node].chain.push((header.clone(), finalization.clone()));
                    continue;
                }
                _ => continue,
            };
            if let Record::Vote(vote) = &record {
                self.oracle.cast(vote);
            }
            self.nodes[node].log.push(record);
        }
    }

    fn act(&mut self, node: usize, output: Output, inputs: &mut VecDeque<Input>) {
        let index = self.nodes[node].index;
        let incarnation = self.nodes[node].incarnation;
        match output {
            Output::Persist(_) | Output::AnnounceBatches => {
                if matches!(output, Output::AnnounceBatches) {
                    for batch in self.nodes[node].open_batches() {
                        self.send_all(node, &Wire::Batch(batch));
                    }
                }
            }
            Output::SignVote { ballot } => {
                let vote = vote(ballot, index);
                self.send_all(node, &Wire::Message(Message::Vote(vote)));
                inputs.push_back(Input::Vote(vote));
            }
            Output::SignProposal { height, view, header, justification } => {
                let signature = signature(index);
                let proposal = Proposal { height, view, header, justification, signature };
                self.send_all(node, &Wire::Message(Message::Proposal(proposal.clone())));
                inputs.push_back(Input::Proposal(proposal));
            }
            Output::Build { template, .. } => {
                let delay_ms = self.random.between(0, 3);
                self.at(delay_ms, Event::Build { node, incarnation, template });
            }
            Output::Check { header } => {
                let block = header.hash();
                self.nodes[node].checks.insert(block, header);
                self.at(0, Event::RetryCheck { node, incarnation, block });
            }
            Output::FetchHeader { block, holders } => self.fetch_header(node, block, &holders),
            Output::FetchBlocks { peer, from, count } => {
                self.send(node, peer.0 as usize, Wire::BlocksRequest { from, count });
                self.at(2_000, Event::RangeTimeout { node, incarnation, peer, from });
            }
            Output::Send { to: Recipients::All, message } => {
                self.send_all(node, &Wire::Message(message));
            }
            Output::Send { to: Recipients::One(peer), message } => {
                self.send(node, peer.0 as usize, Wire::Message(message));
            }
            Output::SendBlocks { to, from, count } => {
                self.send_blocks(node, to.0 as usize, from, count, false);
            }
            Output::Execute { header } => {
                let delay_ms = self.random.between(0, self.weather.execution_ms_max);
                let block = header.hash();
                self.at(delay_ms, Event::Executed { node, incarnation, block });
            }
            Output::Commit { .. } => {
                let delay_ms = self.random.between(0, 5);
                self.at(delay_ms, Event::Advance { node, incarnation });
            }
            Output::Evidence(evidence) => self.evidence.push(evidence),
            Output::Alarm(alarm) => panic!("alarm without cause: {alarm:?}"),
            Output::Observer(reason) => panic!("observer without cause: {reason:?}"),
        }
    }

    fn fetch_header(&mut self, node: usize, block: BlockHash, holders: &[PeerId]) {
        assert!(holders.len() > faults(self.validators), "an honest holder is named");
        if let Some(header) = self.nodes[node].find_header(block) {
            return self.input(node, Input::Header(header));
        }
        for holder in holders {
            self.send(node, holder.0 as usize, Wire::HeaderRequest(block));
        }
    }
}
