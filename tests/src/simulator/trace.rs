//! What happened, line by line, for whoever looks into a failing seed.

use std::fmt::Display;

use tonle_consensus::Message;
use tonle_model::vote::VoteKind;
use tonle_node::wire::Wire;

/// Where lines go.
#[derive(Debug, Default)]
pub struct Trace {
    is_on: bool,
    start_ms: u64,
    now_ms: u64,
    /// Of all lines so far: two runs of a seed that differ anywhere differ here.
    digest: u64,
}

impl Trace {
    /// A trace that prints or only sums up.
    pub fn new(is_on: bool, start_ms: u64) -> Self {
        Self { is_on, start_ms, now_ms: start_ms, digest: 0xcbf2_9ce4_8422_2325 }
    }

    /// It is later.
    pub fn at(&mut self, now_ms: u64) {
        self.now_ms = now_ms;
    }

    /// Something happened on a node.
    pub fn line(&mut self, node: usize, what: impl Display) {
        self.print(node, &what);
        self.sum(&self.now_ms.to_le_bytes());
        self.sum(&[node as u8]);
    }

    /// A frame goes from one node to another.
    pub fn frame(&mut self, from: usize, to: usize, frame: &[u8], what: impl Display) {
        self.print(from, format_args!("-> {to}  {what}"));
        self.sum(&[from as u8, to as u8]);
        self.sum(frame);
    }

    fn print(&self, node: usize, what: impl Display) {
        if self.is_on {
            let since_ms = self.now_ms - self.start_ms;
            println!("{:>4}.{:03}  {node}  {what}", since_ms / 1_000, since_ms % 1_000);
        }
    }

    /// What the run came to so far.
    pub fn digest(&self) -> u64 {
        self.digest
    }

    /// Whether lines are printed.
    pub fn is_on(&self) -> bool {
        self.is_on
    }

    /// FNV-1a: it is for finding differences, not for security.
    fn sum(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.digest = (self.digest ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
}

/// A message in a few words.
pub fn describe(wire: &Wire) -> String {
    match wire {
        Wire::Consensus(message) => describe_message(message),
        Wire::Batch(raw) => format!("batch of {} bytes", raw.0.len()),
        Wire::GetBatches(list) => format!("wants {} batches", list.len()),
        Wire::NoBatch(digest) => format!("has no batch {}", short(digest)),
        Wire::GetHeader(block) => format!("wants header {}", short(block)),
        Wire::Header(header) => format!("header {} {}", header.height, short(header.hash())),
        Wire::GetBlocks { from, count } => format!("wants {count} blocks from {from}"),
        Wire::Blocks { from, blocks } => format!("{} blocks from {from}", blocks.len()),
        Wire::Snapshot(_) => "about a snapshot".to_owned(),
        Wire::Announce(list) => format!("announces {} batches", list.len()),
    }
}

fn describe_message(message: &Message) -> String {
    let kind = |kind: &VoteKind| match kind {
        VoteKind::Notarize { block } => format!("notarize {}", short(block)),
        VoteKind::Nullify => "nullify".to_owned(),
        VoteKind::Finalize { block, result } => {
            format!("finalize {} result {}", short(block), short(result))
        }
    };
    match message {
        Message::Vote(vote) => {
            let ballot = vote.ballot;
            format!("vote {}/{} {}", ballot.height, ballot.view, kind(&ballot.kind))
        }
        Message::Certificate(one) => {
            let ballot = one.ballot;
            format!("certificate {}/{} {}", ballot.height, ballot.view, kind(&ballot.kind))
        }
        Message::Proposal(one) => {
            let block = one.header.hash();
            format!("proposal {}/{} {}", one.height, one.view, short(block))
        }
        Message::Status(one) => format!("status {}/{}", one.height, one.view),
    }
}

fn short(hash: impl Display) -> String {
    hash.to_string().chars().take(8).collect()
}
