//! The face of the core: what goes in, what comes out, and what a core is made from.

use parity_scale_codec::{Decode, Encode};
use tonle_model::block::Header;
use tonle_model::hash::{BlockHash, ResultHash};
use tonle_model::leader::LeaderMarks;
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::validators::{faults, quorum};
use tonle_model::vote::{Ballot, Certificate, Justification, Proposal, Status, Vote};

/// A node of the network, by a number that the driver gives it.
///
/// One public key keeps one number for the life of the process, across connections and validator
/// sets: the core remembers a validator's latest vote by it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub u64);

/// What the state at a committed height says about the height after it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Config {
    /// The validators in canonical order; their number is n. This node is among them if it is a
    /// validator.
    pub validators: Vec<PeerId>,
    /// This node's place in that order; `None` makes it an observer that never votes.
    pub me: Option<ValidatorIndex>,
    /// The on-chain parameter Δ: what a message is expected to take at most.
    pub delta_ms: u64,
    /// How far a leader's clock may be from ours.
    pub drift_ms: u64,
    /// Who failed lately as leader.
    pub marks: LeaderMarks,
}

impl Config {
    /// f: how many validators may be Byzantine.
    pub fn faults(&self) -> usize {
        faults(self.validators.len())
    }

    /// q = n - f: how many votes make a certificate.
    pub fn quorum(&self) -> usize {
        quorum(self.validators.len())
    }
}

/// The last committed block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Parent {
    /// Its place; the core decides the one after.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// The outcome of executing it, which the next header repeats.
    pub result: ResultHash,
    /// Its block time.
    pub timestamp_ms: u64,
}

/// In what shape the log came through the restart (consensus.md, What is durable before what).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovery {
    /// The log passed its checks, or this is a fresh node: vote as soon as q - 1 others told which
    /// vote of ours they saw last.
    AskPeers,
    /// The log is missing where there was one, or failed its checks: never vote until
    /// [`Input::ResumeVoting`].
    LogLost,
}

/// What the log of a height is made of. The driver stores the encoding and gives the records of
/// the current height back, in order, to [`crate::Core::new`].
#[expect(clippy::large_enum_variant, reason = "records are few and live briefly")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Record {
    /// A certificate that this node acted on.
    #[codec(index = 0)]
    Certificate(Certificate),
    /// A header that this node voted for, proposed or found certified.
    #[codec(index = 1)]
    Header(Header),
    /// An own proposal.
    #[codec(index = 2)]
    Proposal(Proposal),
    /// An own vote.
    #[codec(index = 3)]
    Vote(Vote),
}

/// What the core is told. Signatures and certificates have been verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Time passed: [`crate::Core::next_deadline`] is due.
    Tick,
    /// A proposal for the height being decided, signed by `core.leader(proposal.view)`, all
    /// certificates of its justification verified for this height's set. Our own comes this way
    /// too once it is durable. Who leads the next height is known only after the commit: the
    /// driver keeps early proposals (one per peer for each of the next
    /// [`crate::limits::EARLY_HEIGHTS`]) and checks them then.
    Proposal(Proposal),
    /// A vote for the height being decided or one of the next [`crate::limits::EARLY_HEIGHTS`],
    /// verified with the current set (the core drops early ones if the set changes), or for the
    /// height before, which may contradict what its signer said there. Our own comes this way too
    /// once it is durable.
    Vote(Vote),
    /// A certificate of the height being decided.
    Certificate(Certificate),
    /// The latest vote of a validator that was seen before the restart, as
    /// [`crate::Core::votes_seen`] told it. Given before anything else.
    Seen {
        /// Whose.
        signer: PeerId,
        /// The vote.
        vote: Vote,
    },
    /// Where a peer is. `latest_of_receiver` was checked to be signed by this node's own key, and
    /// removed if not.
    Status {
        /// Who says so.
        from: PeerId,
        /// What it says.
        status: Status,
    },
    /// A peer can be sent to.
    Connected {
        /// Which.
        peer: PeerId,
    },
    /// A peer is gone.
    Disconnected {
        /// Which.
        peer: PeerId,
    },
    /// The answer to [`Output::FetchHeader`].
    Header(Header),
    /// The answer to [`Output::Build`]: the template with batches.
    Built {
        /// The new header.
        header: Header,
    },
    /// The answer to [`Output::Build`]: there is nothing to put into a block.
    NothingToBuild {
        /// The view that asked.
        view: View,
    },
    /// The answer to [`Output::Check`]: every batch is held and verified, and durable with the
    /// next synced write at the latest; none is in the chain, none is outside limits or without a
    /// transaction in its time window.
    Available {
        /// The block.
        block: BlockHash,
    },
    /// The answer to [`Output::Check`]: a batch breaks a rule, whoever holds it.
    Unusable {
        /// The block.
        block: BlockHash,
    },
    /// Whether the pool has work (consensus.md, Idle). May be repeated.
    Work(bool),
    /// The answer to [`Output::Execute`].
    Executed {
        /// The block.
        block: BlockHash,
        /// Its outcome on this node.
        result: ResultHash,
    },
    /// A block of the height being decided with its verified finalization, from block sync. All
    /// its batches are held, and durable with the next synced write at the latest.
    Synced {
        /// The block.
        header: Header,
        /// Its certificate.
        finalization: Certificate,
    },
    /// A block request ended: answered, refused or failed. The driver keeps the blocks and gives
    /// each as [`Input::Synced`] when its height comes.
    Fetched {
        /// Who was asked.
        peer: PeerId,
        /// From where.
        from: Height,
        /// How many blocks came.
        count: u64,
    },
    /// The block of [`Output::Commit`] is in the state; this is what it says about the next
    /// height. What the commit did to the pool is told before, by [`Input::Work`], or the leader
    /// asks to build from work that is gone.
    Advance {
        /// The next height's configuration.
        config: Config,
    },
    /// The node cannot keep what it promises, such as for want of disk space: no votes and no
    /// proposals until `Paused(false)`.
    Paused(bool),
    /// An operator vouches for this validator although it does not know all its own votes.
    ResumeVoting {
        /// For its votes up to this height, or to the one at hand, or to the highest that it was
        /// told of; whichever is highest.
        up_to: Height,
    },
}

/// Whom a message is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Recipients {
    /// Every connected node.
    All,
    /// One node.
    One(PeerId),
}

/// What nodes send each other about a height.
#[expect(clippy::large_enum_variant, reason = "messages live briefly")]
#[derive(Debug, Clone, PartialEq, Eq, Hash, Encode, Decode)]
pub enum Message {
    /// A vote of the sender.
    #[codec(index = 0)]
    Vote(Vote),
    /// A certificate, whoever made it.
    #[codec(index = 1)]
    Certificate(Certificate),
    /// A proposal of the sender.
    #[codec(index = 2)]
    Proposal(Proposal),
    /// Where the sender is.
    #[codec(index = 3)]
    Status(Status),
}

/// A signer who contradicts itself: two signed statements that no honest validator makes both.
/// They came by themselves or in certificates.
#[expect(clippy::large_enum_variant, reason = "evidence is rare")]
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Evidence {
    /// Two votes of one signer in one view.
    Votes(Vote, Vote),
    /// Two headers that one leader signed for one view; the justifications are left out.
    Proposals(Box<Proposal>, Box<Proposal>),
}

/// Something an operator must hear of (consensus.md rule 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Alarm {
    /// The quorum certified another result than this node's own. The core votes and commits no
    /// more; the driver reports both and ends the process.
    Divergence {
        /// The height.
        height: Height,
        /// The block.
        block: BlockHash,
        /// What this node got.
        own: ResultHash,
        /// What the quorum signed.
        certified: ResultHash,
    },
    /// Validators signed results so different that none can reach a quorum in this view.
    Split {
        /// The height.
        height: Height,
        /// The view.
        view: View,
    },
    /// A quorum notarized a block whose batches break a rule in this node's eyes.
    Unusable {
        /// The height.
        height: Height,
        /// The block.
        block: BlockHash,
    },
}

/// Why a validator of this height does not vote any more (until [`Input::ResumeVoting`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ObserverReason {
    /// The driver found the log missing or broken.
    LogLost,
    /// The log holds votes that its certificates do not explain.
    LogInconsistent,
    /// Someone holds this vote of ours, which our log does not.
    UnknownOwnVote(Ballot),
    /// Someone holds a proposal of ours for this height and view, which our log does not.
    UnknownOwnProposal(Height, View),
}

/// What the core wants done. **The order is the contract**: everything a [`Output::Persist`] names
/// is in one synced write before any later output of the same or a later step is acted upon.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Output {
    /// Put this into the log.
    Persist(Record),
    /// Sign the ballot, persist it as [`Record::Vote`], then broadcast it and feed it back as
    /// [`Input::Vote`]. It comes once per ballot, and no contradicting one ever does.
    SignVote {
        /// What to sign.
        ballot: Ballot,
    },
    /// Sign, persist as [`Record::Proposal`], then broadcast and feed back as [`Input::Proposal`].
    /// The header and the justification's certificates were persisted before.
    SignProposal {
        /// The height.
        height: Height,
        /// The view.
        view: View,
        /// The block.
        header: Header,
        /// Why it may be proposed.
        justification: Justification,
    },
    /// Fill `template.batches` and answer [`Input::Built`], or [`Input::NothingToBuild`].
    Build {
        /// The view that the block is for.
        view: View,
        /// The header without its batches.
        template: Header,
    },
    /// Get what is missing of this header's batches and judge them: [`Input::Available`] when all
    /// are held, or [`Input::Unusable`]. Keep at it until the height is decided.
    Check {
        /// The block.
        header: Header,
    },
    /// A certificate names a block whose header the core does not hold. Answer with
    /// [`Input::Header`], from the own log if it is there. Asked again with every standstill.
    FetchHeader {
        /// The block.
        block: BlockHash,
        /// The certificate's signers: each promised to hold it.
        holders: Vec<PeerId>,
    },
    /// Ask a peer for `count` finalized blocks. Answer with [`Input::Fetched`].
    FetchBlocks {
        /// Whom to ask.
        peer: PeerId,
        /// The first height.
        from: Height,
        /// How many, at most [`crate::limits::RANGE_BLOCKS_MAX`].
        count: u64,
    },
    /// Send a message. Votes and proposals among them are re-sent, byte for byte.
    Send {
        /// To whom.
        to: Recipients,
        /// What.
        message: Message,
    },
    /// Send finalized blocks to a node that is behind. It takes them although it did not ask.
    SendBlocks {
        /// To whom.
        to: PeerId,
        /// The first height.
        from: Height,
        /// How many.
        count: u64,
    },
    /// Announce the digests of own batches that are work.
    AnnounceBatches,
    /// Execute on top of the last committed state, off to the side, and answer
    /// [`Input::Executed`]. All batches are held. The driver may forget all but the last few
    /// outcomes of a height: it executes again on commit.
    Execute {
        /// The block.
        header: Header,
    },
    /// The block is final and its result is the one we got. Once this step's write is synced: put
    /// it into the state, tell clients, answer [`Input::Advance`].
    Commit {
        /// The block.
        header: Header,
        /// Its certificate.
        finalization: Certificate,
    },
    /// A validator broke the rules provably. At most once per validator and height.
    Evidence(Evidence),
    /// An operator must hear of this.
    Alarm(Alarm),
    /// This validator stops voting.
    Observer(ObserverReason),
}
