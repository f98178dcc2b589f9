//! One core, the words to tell it things, and what it did.

use tonle_consensus::{
    Config, Core, Input, Message, Output, Parent, PeerId, Recipients, Record, Recovery,
};
use tonle_model::block::Header;
use tonle_model::bounded::Bounded;
use tonle_model::hash::{BlockHash, ChainHash, Digest256, ResultHash};
use tonle_model::leader::LeaderMarks;
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::validators::quorum;
use tonle_model::vote::{Ballot, Certificate, Justification, Proposal, Status, Vote, VoteKind};

use crate::common::{batch_ref, result_of, signature, vote};

pub const START_MS: u64 = 1_000_000;
pub const DELTA_MS: u64 = 100;
pub const DRIFT_MS: u64 = 5_000;
/// The height being decided; the leader of view v is (5 + v) mod n.
pub const HEIGHT: Height = Height(5);

/// A core whose own votes and proposals come back to it as a driver would have it.
pub struct Harness {
    pub core: Core,
    pub now_ms: u64,
    pub validators: usize,
    pub me: ValidatorIndex,
    pub log: Vec<Record>,
}

pub fn peer(number: u64) -> PeerId {
    PeerId(number)
}

pub fn parent() -> Parent {
    let hash = BlockHash(Digest256([4; 32]));
    let result = ResultHash(Digest256([5; 32]));
    Parent { height: Height(4), hash, result, timestamp_ms: START_MS - 1_000 }
}

pub fn config(validators: usize, me: Option<u16>) -> Config {
    Config {
        validators: (0..validators as u64).map(PeerId).collect(),
        me: me.map(ValidatorIndex),
        delta_ms: DELTA_MS,
        drift_ms: DRIFT_MS,
        marks: LeaderMarks::default(),
    }
}

impl Harness {
    /// A validator of four, or any other number, that has heard from the others and may vote.
    pub fn voting(validators: usize, me: u16) -> Self {
        let mut harness = Self::starting(validators, me, Vec::new(), Recovery::AskPeers);
        harness.hear_statuses();
        harness
    }

    /// A validator that has heard from nobody.
    pub fn starting(validators: usize, me: u16, log: Vec<Record>, recovery: Recovery) -> Self {
        let config = config(validators, Some(me));
        let core = Core::new(ChainHash::default(), parent(), config, log.clone(), recovery);
        Self { core, now_ms: START_MS, validators, me: ValidatorIndex(me), log }
    }

    /// The same validator after a crash, having heard from the others again.
    pub fn restarted(self) -> Self {
        let mut again = Self::starting(self.validators, self.me.0, self.log, Recovery::AskPeers);
        again.now_ms = self.now_ms + 1;
        again.hear_statuses();
        again
    }

    pub fn hear_statuses(&mut self) -> Vec<Output> {
        let mut outputs = Vec::new();
        for from in self.others() {
            outputs.extend(self.tell(Input::Connected { peer: peer(from.0.into()) }));
            outputs.extend(self.status(from.0, HEIGHT, 0, None));
        }
        outputs
    }

    pub fn others(&self) -> Vec<ValidatorIndex> {
        let all = (0..self.validators as u16).map(ValidatorIndex);
        all.filter(|validator| *validator != self.me).collect()
    }

    pub fn status(&mut self, from: u16, at: Height, view: u32, seen: Option<Vote>) -> Vec<Output> {
        let status = Status { height: at, view: View(view), latest_of_receiver: seen };
        self.tell(Input::Status { from: peer(from.into()), status })
    }

    /// Steps the core; own votes and proposals come back durable.
    pub fn tell(&mut self, input: Input) -> Vec<Output> {
        let mut all = Vec::new();
        let mut inputs = std::collections::VecDeque::from([input]);
        while let Some(input) = inputs.pop_front() {
            let mut outputs = Vec::new();
            self.core.step(self.now_ms, input, &mut outputs);
            for output in &outputs {
                if let Output::Persist(record) = output {
                    self.log.push(record.clone());
                }
                inputs.extend(self.signed(output));
            }
            all.extend(outputs);
        }
        all
    }

    fn signed(&mut self, output: &Output) -> Option<Input> {
        match output {
            Output::SignVote { ballot } => {
                let vote = vote(*ballot, self.me);
                self.log.push(Record::Vote(vote));
                Some(Input::Vote(vote))
            }
            Output::SignProposal { height, view, header, justification } => {
                let (height, view, header) = (*height, *view, header.clone());
                let (justification, signature) = (justification.clone(), signature(self.me));
                let proposal = Proposal { height, view, header, justification, signature };
                self.log.push(Record::Proposal(proposal.clone()));
                Some(Input::Proposal(proposal))
            }
            _ => None,
        }
    }

    /// Lets time pass in one jump.
    pub fn wait(&mut self, ms: u64) -> Vec<Output> {
        self.now_ms += ms;
        self.tell(Input::Tick)
    }

    /// Lets time pass as a driver does: from deadline to deadline.
    pub fn live(&mut self, ms: u64) -> Vec<Output> {
        let until_ms = self.now_ms + ms;
        let mut outputs = Vec::new();
        while let Some(due_ms) = self.core.next_deadline().filter(|due_ms| *due_ms <= until_ms) {
            assert!(due_ms > self.now_ms, "a deadline in the past");
            self.now_ms = due_ms;
            outputs.extend(self.tell(Input::Tick));
        }
        self.now_ms = until_ms;
        outputs.extend(self.tell(Input::Tick));
        outputs
    }

    /// A valid new header of the leader of this view.
    pub fn header(&self, view: u32) -> Header {
        Header {
            chain: ChainHash::default(),
            height: HEIGHT,
            parent: parent().hash,
            parent_result: parent().result,
            timestamp_ms: self.now_ms,
            proposer: self.core.leader(View(view)),
            proposed_view: View(view),
            batches: Bounded::new(vec![batch_ref(1), batch_ref(2)]).unwrap(),
        }
    }

    pub fn proposal(&self, view: u32, header: &Header, justification: Justification) -> Proposal {
        let signature = signature(self.core.leader(View(view)));
        let header = header.clone();
        Proposal { height: header.height, view: View(view), header, justification, signature }
    }

    /// The leader of the view proposes; nothing is said about the batches yet.
    pub fn propose(&mut self, view: u32, header: &Header, why: Justification) -> Vec<Output> {
        let proposal = self.proposal(view, header, why);
        self.tell(Input::Proposal(proposal))
    }

    /// The leader of the view proposes a block whose batches are held.
    pub fn propose_held(&mut self, view: u32, header: &Header, why: Justification) -> Vec<Output> {
        let mut outputs = self.propose(view, header, why);
        outputs.extend(self.tell(Input::Available { block: header.hash() }));
        outputs
    }

    /// A certificate signed by others: this node's vote is not needed for it.
    pub fn certificate(&self, view: u32, kind: VoteKind) -> Certificate {
        let ballot = Ballot { height: HEIGHT, view: View(view), kind };
        let signers = self.others().into_iter().take(quorum(self.validators));
        let votes: Vec<_> = signers.map(|signer| (signer, signature(signer))).collect();
        Certificate::assemble(ballot, &votes, self.validators)
    }

    pub fn notarization(&self, view: u32, header: &Header) -> Certificate {
        self.certificate(view, VoteKind::Notarize { block: header.hash() })
    }

    pub fn nullification(&self, view: u32) -> Certificate {
        self.certificate(view, VoteKind::Nullify)
    }

    pub fn finalization(&self, view: u32, header: &Header) -> Certificate {
        let block = header.hash();
        self.certificate(view, VoteKind::Finalize { block, result: result_of(block) })
    }

    pub fn justification(&self, notarized: Option<(u32, &Header)>, nulls: &[u32]) -> Justification {
        let nullifications = nulls.iter().map(|view| self.nullification(*view)).collect();
        Justification {
            notarization: notarized.map(|(view, header)| self.notarization(view, header)),
            nullifications: Bounded::new(nullifications).unwrap(),
        }
    }

    pub fn tell_certificate(&mut self, certificate: Certificate) -> Vec<Output> {
        self.tell(Input::Certificate(certificate))
    }

    /// A vote of another validator for this height.
    pub fn tell_vote(&mut self, signer: u16, view: u32, kind: VoteKind) -> Vec<Output> {
        self.tell_vote_at(HEIGHT, signer, view, kind)
    }

    pub fn tell_vote_at(&mut self, at: Height, by: u16, view: u32, kind: VoteKind) -> Vec<Output> {
        let ballot = Ballot { height: at, view: View(view), kind };
        self.tell(Input::Vote(vote(ballot, ValidatorIndex(by))))
    }

    pub fn executed(&mut self, header: &Header) -> Vec<Output> {
        let block = header.hash();
        self.tell(Input::Executed { block, result: result_of(block) })
    }
}

/// What the core wants signed, by view.
pub fn signed(outputs: &[Output]) -> Vec<(u32, VoteKind)> {
    let ballots = outputs.iter().filter_map(|output| match output {
        Output::SignVote { ballot } => Some((ballot.view.0, ballot.kind)),
        _ => None,
    });
    ballots.collect()
}

pub fn notarize(header: &Header) -> VoteKind {
    VoteKind::Notarize { block: header.hash() }
}

pub fn finalize(header: &Header) -> VoteKind {
    VoteKind::Finalize { block: header.hash(), result: result_of(header.hash()) }
}

/// Proposals that the core wants signed: view and block.
pub fn proposed(outputs: &[Output]) -> Vec<(u32, BlockHash)> {
    let proposals = outputs.iter().filter_map(|output| match output {
        Output::SignProposal { view, header, .. } => Some((view.0, header.hash())),
        _ => None,
    });
    proposals.collect()
}

pub fn built(outputs: &[Output]) -> Option<Header> {
    outputs.iter().find_map(|output| match output {
        Output::Build { template, .. } => Some(template.clone()),
        _ => None,
    })
}

/// Votes, certificates and proposals among what is sent to all.
pub fn resent(outputs: &[Output]) -> Vec<Message> {
    let messages = outputs.iter().filter_map(|output| match output {
        Output::Send { to: Recipients::All, message } => Some(message.clone()),
        _ => None,
    });
    messages.collect()
}

/// What is sent to one peer.
pub fn sent_to(outputs: &[Output], to: u64) -> Vec<Message> {
    let messages = outputs.iter().filter_map(|output| match output {
        Output::Send { to: Recipients::One(peer), message } if *peer == PeerId(to) => {
            Some(message.clone())
        }
        _ => None,
    });
    messages.collect()
}

pub fn position(outputs: &[Output], wanted: impl Fn(&Output) -> bool) -> usize {
    outputs.iter().position(wanted).expect("the output is there")
}

pub fn has(outputs: &[Output], wanted: impl Fn(&Output) -> bool) -> bool {
    outputs.iter().any(wanted)
}
