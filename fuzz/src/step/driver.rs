//! A driver that keeps its side of the contract and is otherwise at the mercy of a script.

use std::collections::VecDeque;

use tonle_consensus::{
    Alarm, Config, Core, Input, Output, Parent, PeerId, Record, Recovery, limits,
};
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::hash::{BlockHash, ChainHash, Digest256, ResultHash};
use tonle_model::leader::LeaderMarks;
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::validators::quorum;
use tonle_model::vote::{Ballot, Justification, Proposal, Status, Vote, VoteKind};

use super::super::script::Script;
use super::made;
use super::oracle::Oracle;

/// Headers that scripts choose among.
const HEADERS_MAX: usize = 16;
/// Longest gap that a made justification fills.
const GAP_MAX: u32 = 40;
/// How far time goes in one step, in milliseconds.
const PAUSES_MS: [u64; 8] = [0, 1, 10, 99, 300, 1_000, 5_000, 40_000];

/// One validator, or an observer, and all that is around it.
pub struct Driver<'a> {
    script: Script<'a>,
    core: Core,
    oracle: Oracle,
    now_ms: u64,
    parent: Parent,
    config: Config,
    /// Durable.
    log: Vec<Record>,
    headers: VecDeque<Header>,
    /// What the core waits for an answer to.
    asked: Vec<Output>,
}

impl<'a> Driver<'a> {
    /// A fresh node of a network.
    pub fn new(mut script: Script<'a>) -> Self {
        let validators = [4, 4, 4, 1, 2, 5, 7, 10][script.below(8)];
        let me = script.below(validators + 1);
        let config = Config {
            validators: (0..validators as u64).map(PeerId).collect(),
            me: (me < validators).then_some(ValidatorIndex(me as u16)),
            delta_ms: 100,
            drift_ms: 5_000,
            marks: LeaderMarks::default(),
        };
        let (hash, result) = (BlockHash(Digest256([4; 32])), ResultHash(Digest256([5; 32])));
        let parent = Parent { height: Height(4), hash, result, timestamp_ms: 999_000 };
        let core = begin(&parent, &config, &[]);
        Self {
            script,
            core,
            oracle: Oracle::new(quorum(validators)),
            now_ms: 1_000_000,
            parent,
            config,
            log: Vec::new(),
            headers: VecDeque::new(),
            asked: Vec::new(),
        }
    }

    /// Whether the script is.
    pub fn is_over(&self) -> bool {
        self.script.is_over()
    }

    /// Whether a block was committed.
    pub fn has_committed(&self) -> bool {
        self.oracle.has_committed()
    }

    /// One choice of the script.
    pub fn turn(&mut self) {
        match self.script.below(16) {
            0 => self.pass_time(),
            1 => self.connect(),
            2 => self.send_status(),
            3 | 4 => self.send_votes(),
            5 => {
                let ballot = self.ballot();
                let left_out = self.left_out();
                let certificate = made::certificate(ballot, self.count(), left_out);
                self.tell(Input::Certificate(certificate));
            }
            6 | 7 => self.send_proposal(),
            8..=12 => self.answer(),
            13 => self.answer_unasked(),
            14 => self.say_what_goes_on(),
            _ => self.restart(),
        }
    }

    fn count(&self) -> usize {
        self.config.validators.len()
    }

    /// From whom on validators are missing in a certificate: mostly from us, for whoever names us
    /// says that we voted.
    fn left_out(&mut self) -> usize {
        match (self.script.below(8), self.config.me) {
            (1.., Some(me)) => me.position(),
            _ => self.script.below(self.count()),
        }
    }

    fn pass_time(&mut self) {
        let due_ms = self.core.next_deadline().filter(|due_ms| *due_ms < self.now_ms + 60_000);
        self.now_ms = match (self.script.below(9), due_ms) {
            (8, Some(due_ms)) => due_ms,
            (choice, _) => self.now_ms + PAUSES_MS[choice % PAUSES_MS.len()],
        };
        self.tell(Input::Tick);
    }

    fn peer(&mut self) -> PeerId {
        PeerId(self.script.below(self.count() + 2) as u64)
    }

    fn connect(&mut self) {
        let peer = self.peer();
        match self.script.rarely(8) {
            true => self.tell(Input::Disconnected { peer }),
            false => self.tell(Input::Connected { peer }),
        }
    }

    /// From one peer, or from every validator, about nothing or about a vote of ours.
    fn send_status(&mut self) {
        let from = match self.script.byte() {
            255 => vec![self.peer()],
            _ => self.config.validators.clone(),
        };
        let seen = match self.script.below(32) {
            31 => {
                let ballot = self.ballot();
                self.config.me.map(|me| made::vote(ballot, me))
            }
            0..16 => None,
            _ => self.own_votes().last().copied(),
        };
        let height = self.height();
        let view = self.view();
        for from in from {
            let status = Status { height, view, latest_of_receiver: seen };
            self.tell(Input::Status { from, status });
        }
    }

    fn own_votes(&self) -> Vec<Vote> {
        let votes = self.log.iter().filter_map(|record| match record {
            Record::Vote(vote) => Some(*vote),
            _ => None,
        });
        votes.collect()
    }

    /// Mostly this height, and sometimes one before or behind it.
    fn height(&mut self) -> Height {
        let height = self.core.height().0;
        match self.script.below(32) {
            0 => Height(height - 1),
            choice @ 1..8 => Height(height + choice as u64),
            _ => Height(height),
        }
    }

    /// Mostly a view near the current one.
    fn view(&mut self) -> View {
        let view = self.core.view().0;
        match self.script.below(32) {
            0 => View(0),
            1 => View(u32::MAX),
            2 => View(view.saturating_add(limits::VIEWS_AHEAD)),
            choice @ 3..8 => View(view.saturating_add(choice as u32 - 2)),
            choice @ 8..16 => View(view.saturating_sub(choice as u32 - 7)),
            _ => View(view),
        }
    }

    fn block(&mut self) -> BlockHash {
        let headers: Vec<_> = self.headers.iter().collect();
        made::hash(self.script.pick(&headers).copied())
    }

    fn ballot(&mut self) -> Ballot {
        let (height, view) = (self.height(), self.view());
        let kind = match self.script.below(8) {
            0..2 => VoteKind::Nullify,
            2..5 => VoteKind::Notarize { block: self.block() },
            _ => {
                let block = self.block();
                let outcome = u8::from(self.script.rarely(16));
                VoteKind::Finalize { block, result: made::result(block, outcome) }
            }
        };
        Ballot { height, view, kind }
    }

    /// One ballot from several signers: what this validator voted last, or any.
    fn send_votes(&mut self) {
        let ballot = match (self.script.rarely(2), self.own_votes().last()) {
            (true, Some(own)) => own.ballot,
            _ => self.ballot(),
        };
        let signers = self.script.byte();
        let bits = (0..self.count().min(8)).filter(|bit| signers & (1 << bit) != 0);
        for signer in bits.map(|bit| ValidatorIndex(bit as u16)) {
            // Our own votes come back by themselves; another one would be a lost log.
            if Some(signer) != self.config.me || signers == 0xff {
                self.tell(Input::Vote(made::vote(ballot, signer)));
            }
        }
    }

    /// A header that was there before or a new one, in most cases as it has to be.
    fn header(&mut self, view: View) -> Header {
        let headers: Vec<_> = self.headers.iter().collect();
        if self.script.rarely(2)
            && let Some(header) = self.script.pick(&headers)
        {
            return (*header).clone();
        }
        let batches = (0..1 + self.script.below(2)).map(|_| made::batch(self.script.byte()));
        let batches: Vec<_> = batches.collect();
        let mut header = Header {
            chain: ChainHash::default(),
            height: self.core.height(),
            parent: self.parent.hash,
            parent_result: self.parent.result,
            timestamp_ms: self.now_ms.max(self.parent.timestamp_ms.saturating_add(1)),
            proposer: self.core.leader(view),
            proposed_view: view,
            batches: Bounded::new(batches).expect("few"),
        };
        match self.script.below(64) {
            0 => header.batches = Bounded::default(),
            1 => header.parent = BlockHash::default(),
            2 => header.parent_result = ResultHash::default(),
            3 => header.timestamp_ms = self.parent.timestamp_ms,
            4 => header.timestamp_ms += self.config.drift_ms + 1,
            5 => header.proposer = ValidatorIndex(self.count() as u16),
            6 => header.proposed_view = View(0),
            7 => header.timestamp_ms = u64::MAX / 2,
            8 => {
                // Not kept: no quorum with one honest member names a block of another height.
                header.height = header.height.next();
                return header;
            }
            _ => {}
        }
        self.keep(header.clone());
        header
    }

    fn keep(&mut self, header: Header) {
        if self.headers.len() == HEADERS_MAX {
            self.headers.pop_front();
        }
        self.headers.push_back(header);
    }

    fn send_proposal(&mut self) {
        let view = self.view();
        let leader = self.core.leader(view);
        if Some(leader) == self.config.me && !self.script.rarely(32) {
            return;
        }
        let header = self.header(view);
        let justification = self.justification(view, &header);
        let height = self.core.height();
        let signature = made::signature(leader);
        self.tell(Input::Proposal(Proposal { height, view, header, justification, signature }));
    }

    /// Why this header may be proposed, with a hole in it now and then.
    fn justification(&mut self, view: View, header: &Header) -> Justification {
        let height = self.core.height();
        let fresh = header.proposed_view == view;
        let notarized = match self.script.below(4) {
            0 if fresh => self.script.below(4).checked_sub(1),
            _ if fresh => None,
            _ => Some(self.script.below(4)),
        };
        let notarized = notarized.map(|back| View(view.0.saturating_sub(1 + back as u32)));
        let block = match self.script.rarely(32) || header.height != height {
            true => self.block(),
            false => header.hash(),
        };
        let mut certified = |view, kind| {
            let left_out = self.left_out();
            made::certificate(Ballot { height, view, kind }, self.count(), left_out)
        };
        let notarization = notarized.map(|view| certified(view, VoteKind::Notarize { block }));
        let first = notarized.map_or(0, |view| view.0.saturating_add(1));
        let first = first.max(view.0.saturating_sub(GAP_MAX));
        let mut nullifications: Vec<_> =
            (first..view.0).map(|view| certified(View(view), VoteKind::Nullify)).collect();
        if self.script.rarely(16) && !nullifications.is_empty() {
            nullifications.remove(self.script.below(nullifications.len()));
        }
        let nullifications = Bounded::new(nullifications).expect("at most so many");
        Justification { notarization, nullifications }
    }

    /// An answer to one of the core's questions.
    fn answer(&mut self) {
        let Some(position) = self.asked.len().checked_sub(1) else { return };
        let position = position - self.script.below(self.asked.len().min(256));
        let odd = self.script.rarely(16);
        let answer = match self.asked.remove(position) {
            Output::Build { view, .. } if odd => Input::NothingToBuild { view },
            Output::Build { template, .. } => {
                let batches = vec![made::batch(self.script.byte())];
                let batches = Bounded::new(batches).expect("one");
                let header = Header { batches, ..template };
                self.keep(header.clone());
                Input::Built { header }
            }
            Output::Check { header } if odd => Input::Unusable { block: header.hash() },
            Output::Check { header } => Input::Available { block: header.hash() },
            Output::FetchHeader { block, .. } => {
                let header = self.headers.iter().find(|header| header.hash() == block);
                let Some(header) = header.cloned() else { return };
                Input::Header(header)
            }
            Output::FetchBlocks { peer, from, count } => {
                let count = if odd { 0 } else { count };
                Input::Fetched { peer, from, count }
            }
            Output::Execute { header } => {
                let block = header.hash();
                Input::Executed { block, result: made::result(block, odd.into()) }
            }
            Output::Commit { header, finalization } => {
                let VoteKind::Finalize { block, result } = finalization.ballot.kind else {
                    panic!("committed by {finalization:?}");
                };
                let (height, timestamp_ms) = (header.height, header.timestamp_ms);
                self.parent = Parent { height, hash: block, result, timestamp_ms };
                self.config.marks = self.config.marks.after_commit(&header, self.count());
                self.asked.clear();
                self.headers.clear();
                Input::Advance { config: self.config.clone() }
            }
            other => panic!("{other:?} is no question"),
        };
        self.tell(answer);
    }

    /// What nobody asked for, or did not ask for now.
    fn answer_unasked(&mut self) {
        let block = self.block();
        let view = self.view();
        let input = match self.script.below(6) {
            0 => Input::Available { block },
            1 => Input::Executed { block, result: made::result(block, 0) },
            2 => Input::NothingToBuild { view },
            3 => Input::Header(self.header(view)),
            4 => {
                let (peer, from) = (self.peer(), self.height());
                Input::Fetched { peer, from, count: self.script.number() }
            }
            _ => {
                let header = self.header(view);
                let block = header.hash();
                let kind = VoteKind::Finalize { block, result: made::result(block, 0) };
                let ballot = Ballot { height: header.height, view, kind };
                let finalization = made::certificate(ballot, self.count(), 0);
                Input::Synced { header, finalization }
            }
        };
        self.tell(input);
    }

    fn say_what_goes_on(&mut self) {
        let input = match self.script.below(16) {
            0 => Input::Work(false),
            1 => Input::Paused(true),
            2..5 => Input::Paused(false),
            5 => Input::ResumeVoting { up_to: Height(0) },
            _ => Input::Work(true),
        };
        self.tell(input);
    }

    /// The process ends and begins again with its log.
    fn restart(&mut self) {
        if self.script.rarely(4) {
            self.asked.clear();
            self.oracle.restarted();
            self.core = begin(&self.parent, &self.config, &self.log);
        }
    }

    /// Steps the core; its own votes and proposals come back durable, as a driver must see to.
    fn tell(&mut self, input: Input) {
        let mut inputs = VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            self.oracle.told(&self.config, &input);
            let mut outputs = Vec::new();
            self.core.step(self.now_ms, input, &mut outputs);
            for output in outputs {
                inputs.extend(self.carry_out(output));
            }
            let in_time = self.core.next_deadline().is_none_or(|due_ms| due_ms > self.now_ms);
            assert!(in_time, "a deadline in the past");
            assert_eq!(self.core.height(), self.parent.height.next());
        }
    }

    /// Does what the core wants, in its order.
    fn carry_out(&mut self, output: Output) -> Option<Input> {
        let Self { core, oracle, log, .. } = self;
        match &output {
            Output::Observer(_) => oracle.stops(),
            Output::Alarm(Alarm::Divergence { .. }) => oracle.diverges(),
            Output::Persist(record) => log.push(record.clone()),
            Output::SignVote { ballot } => {
                oracle.signs(core, self.now_ms, log, *ballot);
                let vote = made::vote(*ballot, self.config.me?);
                log.push(Record::Vote(vote));
                return Some(Input::Vote(vote));
            }
            Output::SignProposal { height, view, header, justification } => {
                oracle.proposes(core, log, *view, header);
                let signature = made::signature(core.leader(*view));
                let (height, view, header) = (*height, *view, header.clone());
                let justification = justification.clone();
                let proposal = Proposal { height, view, header, justification, signature };
                log.push(Record::Proposal(proposal.clone()));
                return Some(Input::Proposal(proposal));
            }
            Output::Send { message, .. } => oracle.sends(self.config.me, log, message),
            Output::Execute { header } => oracle.executes(header),
            Output::Commit { header, finalization } => {
                oracle.commits(&self.parent, log, header, finalization);
            }
            Output::Evidence(evidence) => oracle.accuses(evidence),
            Output::FetchBlocks { from, count, .. } => oracle.asks(core, *from, *count),
            _ => {}
        }
        if is_question(&output) {
            self.asked.push(output);
        }
        None
    }
}

fn is_question(output: &Output) -> bool {
    matches!(
        output,
        Output::Build { .. }
            | Output::Check { .. }
            | Output::FetchHeader { .. }
            | Output::FetchBlocks { .. }
            | Output::Execute { .. }
            | Output::Commit { .. }
    )
}

fn begin(parent: &Parent, config: &Config, log: &[Record]) -> Core {
    let (chain, log) = (ChainHash::default(), log.to_vec());
    Core::new(chain, *parent, config.clone(), log, Recovery::AskPeers)
}
