//! One honest validator: a real core, its log, and what it ever signed.

use std::collections::VecDeque;

use parity_scale_codec::Encode;
use tonle_consensus::{Core, Input, Output, PeerId, Record, Recovery};
use tonle_model::hash::ChainHash;
use tonle_model::number::{ValidatorIndex, View};
use tonle_model::vote::{Certificate, Status, Vote, VoteKind};

use super::letters::Letter;
use super::world::{Crash, HEIGHT, World, parent};
use crate::common::{result_of, vote};

/// The time of every step but time-outs: cores in normal form live in this millisecond.
const PRESENT_MS: u64 = 1;

#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Node {
    pub me: ValidatorIndex,
    /// `None` when the height is decided.
    pub core: Option<Core>,
    /// What is durable, in the order of the encoding: replay sorts for itself.
    pub log: Vec<Record>,
    /// The ballots that it ever signed, by number. No crash takes them back.
    pub votes: u32,
    /// The claims that it ever signed, by number.
    pub claims: u64,
    /// The block that it committed, by number.
    pub committed: Option<usize>,
    /// It raised an alarm or stopped voting, which nothing here gives reason to.
    pub alarmed: bool,
    /// One vote of another made it vote, and neither completed a certificate nor was a nullify
    /// vote.
    pub hasty: bool,
    /// The core is never brought into normal form.
    pub exact: bool,
}

impl Node {
    /// A fresh validator that may vote and has work.
    pub fn new<const HONEST: usize>(world: &World<HONEST>, me: ValidatorIndex) -> Self {
        let mut node = Self {
            me,
            core: None,
            log: Vec::new(),
            votes: 0,
            claims: 0,
            committed: None,
            alarmed: false,
            hasty: false,
            exact: false,
        };
        node.start(world, None);
        node
    }

    /// The view it is in; `None` when the height is decided.
    pub fn view(&self) -> Option<u32> {
        self.core.as_ref().map(|core| core.view().0)
    }

    /// This node after a letter.
    pub fn after<const HONEST: usize>(&self, world: &World<HONEST>, letter: Letter) -> Self {
        let mut node = self.clone();
        let Some(core) = &node.core else { return node };
        let deadline_ms = core.next_deadline();
        let mut others = world.others(self.me);
        match letter {
            Letter::Proposal(number) => {
                node.tell(world, PRESENT_MS, [Input::Proposal(world.proposal(number))]);
            }
            Letter::Certificate(number) => {
                node.tell(world, PRESENT_MS, [Input::Certificate(world.certificate(number))]);
            }
            Letter::Nullifiers(view) => {
                let ballot = world.ballots[world.nullify[view as usize]];
                let votes = [others.next(), others.next()].into_iter().flatten();
                let votes: Vec<_> = votes.map(|other| Input::Vote(vote(ballot, other))).collect();
                node.tell(world, PRESENT_MS, votes);
            }
            Letter::Vote(signer, number) => {
                let ballot = world.ballots[number];
                let before = (node.votes, node.certificates());
                node.tell(world, PRESENT_MS, [Input::Vote(vote(ballot, signer))]);
                let voted = before.0 != node.votes;
                let explained = before.1 != node.certificates() || ballot.kind == VoteKind::Nullify;
                node.hasty |= voted && !explained;
            }
            Letter::TimeOut => {
                let now_ms = deadline_ms.unwrap_or(PRESENT_MS);
                node.tell(world, now_ms, [Input::Tick]);
            }
            Letter::Crash => node.crash(world),
        }
        node.normalize();
        node
    }

    fn crash<const HONEST: usize>(&mut self, world: &World<HONEST>) {
        if world.setup.crash == Crash::Forgets {
            self.log.clear();
            self.start(world, None);
        } else {
            let own = self.log.iter().filter_map(|record| match record {
                Record::Vote(vote) => Some(*vote),
                _ => None,
            });
            let latest = own.max_by_key(|vote| vote.ballot.view);
            self.start(world, latest);
        }
    }

    /// A process begins with the log as it is. Before it votes, it hears from q - 1 others which
    /// vote of its own they saw last.
    fn start<const HONEST: usize>(&mut self, world: &World<HONEST>, latest: Option<Vote>) {
        let config = world.config(self.me);
        let log = self.log.clone();
        let core = Core::new(ChainHash::default(), parent(), config, log, Recovery::AskPeers);
        self.core = Some(core);
        let status = Status { height: HEIGHT, view: View(0), latest_of_receiver: latest };
        let others = world.others(self.me).take(2);
        let from = others.map(|other| PeerId(u64::from(other.0)));
        let mut inputs: Vec<_> = from.map(|from| Input::Status { from, status }).collect();
        inputs.push(Input::Work(true));
        self.tell(world, PRESENT_MS, inputs);
        self.normalize();
    }

    /// Steps the core, and answers at once what it asks of its driver.
    fn tell<const HONEST: usize>(
        &mut self,
        world: &World<HONEST>,
        now_ms: u64,
        inputs: impl IntoIterator<Item = Input>,
    ) {
        let mut inputs: VecDeque<_> = inputs.into_iter().collect();
        while let Some(input) = inputs.pop_front() {
            let Some(core) = &mut self.core else { return };
            let mut outputs = Vec::new();
            core.step(now_ms, input, &mut outputs);
            for output in outputs {
                inputs.extend(self.answer(world, output));
            }
        }
    }

    fn answer<const HONEST: usize>(
        &mut self,
        world: &World<HONEST>,
        output: Output,
    ) -> Option<Input> {
        match output {
            Output::Persist(record) => {
                self.log.push(record);
                None
            }
            Output::SignVote { ballot } => {
                self.votes |= 1 << world.number_of(&ballot);
                let vote = vote(ballot, self.me);
                self.log.push(Record::Vote(vote));
                Some(Input::Vote(vote))
            }
            // The boundary: nothing is proposed beyond.
            Output::SignProposal { view, .. } | Output::Build { view, .. }
                if view.0 >= world.setup.views =>
            {
                None
            }
            Output::SignProposal { view, header, justification, .. } => {
                let number = world.claim_of(view, &header, &justification);
                self.claims |= 1 << number;
                let proposal = world.proposal(number);
                self.log.push(Record::Proposal(proposal.clone()));
                Some(Input::Proposal(proposal))
            }
            Output::Build { view, .. } => {
                Some(Input::Built { header: world.new_block(view.0).header.clone() })
            }
            Output::Check { header } => Some(Input::Available { block: header.hash() }),
            Output::FetchHeader { block, .. } => {
                Some(Input::Header(world.blocks[world.block_of(block)].header.clone()))
            }
            Output::Execute { header } => {
                let block = header.hash();
                Some(Input::Executed { block, result: result_of(block) })
            }
            Output::Commit { header, .. } => {
                self.committed = Some(world.block_of(header.hash()));
                None
            }
            Output::Alarm(_) | Output::Observer(_) => {
                self.alarmed = true;
                None
            }
            // What is sent stands in `votes` and `claims`, and certificates follow from votes.
            Output::Send { .. }
            | Output::SendBlocks { .. }
            | Output::FetchBlocks { .. }
            | Output::AnnounceBatches
            | Output::Evidence(_) => None,
        }
    }

    fn certificates(&self) -> usize {
        self.log.iter().filter(|record| matches!(record, Record::Certificate(_))).count()
    }

    /// Leaves out what makes no difference to any vote that may come.
    fn normalize(&mut self) {
        if self.committed.is_some() {
            // Nothing of this height is left to do.
            self.core = None;
            self.log.clear();
        }
        if self.exact {
            return;
        }
        self.core = self.core.take().map(Core::into_normal_form);
        for record in &mut self.log {
            if let Record::Certificate(Certificate { signers, signatures, .. }) = record {
                *signers = Default::default();
                *signatures = Default::default();
            }
        }
        self.log.sort_by_cached_key(Encode::encode);
        self.log.dedup();
    }
}
