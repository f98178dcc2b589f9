//! From what happened to what the core is told. Everything a peer signed is checked here; the core
//! is told only what is verified.

use std::collections::BTreeMap;
use std::sync::Arc;

use tonle_consensus::limits::EARLY_HEIGHTS;
use tonle_consensus::{Input, Message};
use tonle_model::batch::Batch;
use tonle_model::block::{BatchRef, Header};
use tonle_model::hash::BlockHash;
use tonle_model::key::PublicKey;
use tonle_model::limits::BATCH_BYTES_MAX;
use tonle_model::number::Height;
use tonle_model::verified::Verified;
use tonle_model::vote::{Proposal, Status, Vote};

use super::fetch::Reason;
use super::turn::Act;
use super::{Driver, Event};
use crate::executor::Advance;
use crate::network::Lane;
use crate::pool::{HeldBatch, Refused, Verdict, spent_before};
use crate::wire::{Announcement, BatchRequest, Wire};

/// Most bytes served in one turn; whoever gets no answer asks again or asks someone else.
const SERVED_BYTES_MAX: usize = 16 * 1024 * 1024;
/// Most blocks served at once, whatever is asked for.
const SERVED_BLOCKS_MAX: u64 = crate::wire::RANGE_BLOCKS_MAX as u64;

impl Driver {
    /// Takes one event in.
    pub(super) fn take(&mut self, event: Event) {
        match event {
            Event::Connected(peer) => {
                self.parts.peers.connect(peer);
                let peer = self.parts.peers.number(&peer);
                self.step(Input::Connected { peer });
            }
            Event::Disconnected(peer) => {
                self.parts.peers.disconnect(&peer);
                let peer = self.parts.peers.number(&peer);
                self.step(Input::Disconnected { peer });
            }
            Event::Message { from, wire } => self.take_message(from, *wire),
            Event::Batch { from, batch } => self.take_batch(from, batch),
            Event::BadBatch { from, error } => self.take_bad_batch(from, &error),
            Event::Useless(digest) => self.fetcher.done_if_announced(&digest),
            Event::Announced { from, announcement } => self.take_announcement(from, &announcement),
            Event::Transactions(transactions) => {
                for batch in self.sealer.add(self.now_ms, transactions) {
                    self.take_own_batch(Arc::new(batch));
                }
            }
            Event::Executed { block, result } => self.step(Input::Executed { block, result }),
            Event::Committed(advance) => self.advance(*advance),
            Event::Paused(paused) => self.step(Input::Paused(paused)),
            // The run loop takes these two before they get here.
            Event::Fatal(_) | Event::Shutdown => {}
        }
    }

    fn take_message(&mut self, from: PublicKey, wire: Wire) {
        match wire {
            Wire::Consensus(message) => self.take_consensus(from, *message),
            // Batches go to the verify pool before they come here.
            Wire::Batch(_) => {}
            Wire::GetBatches(requests) => {
                let distinct: BTreeMap<_, _> =
                    requests.iter().map(|request| (request.digest, request)).collect();
                distinct.values().for_each(|request| self.serve_batch(&from, request));
            }
            Wire::NoBatch(digest) => self.fetcher.not_there(self.now_ms, &digest, &from),
            Wire::GetHeader(block) => self.serve_header(&from, &block),
            Wire::Header(header) if header.height == self.parts.core.height() => {
                self.step(Input::Header(header));
            }
            Wire::Header(_) => {}
            Wire::GetBlocks { from: first, count } => {
                self.serve_blocks(&from, first, count.into());
            }
            Wire::Blocks { from: first, blocks } => self.take_blocks(from, first, &blocks),
            // Questions go to the thread that serves snapshots; a node that runs asks none.
            Wire::Snapshot(_) => {}
            Wire::Announce(list) => {
                for announcement in &list {
                    let known = self.parts.pool.get(&announcement.reference.digest).is_some();
                    if !known && self.is_signed(announcement) {
                        self.take_announcement(from, announcement);
                    }
                }
            }
        }
    }

    fn take_consensus(&mut self, from: PublicKey, message: Message) {
        let height = self.parts.core.height();
        let parts = &self.parts;
        match message {
            Message::Vote(vote) => {
                // From the height before on: who contradicts itself there late is found out too.
                let ahead = vote.ballot.height.next().0.checked_sub(height.0);
                let near = ahead.is_some_and(|ahead| ahead <= EARLY_HEIGHTS + 1);
                if near && vote.verify(&parts.chain_hash, &parts.validators, &parts.verifier) {
                    self.step(Input::Vote(vote));
                }
            }
            Message::Certificate(certificate) => {
                let valid = certificate.ballot.height == height
                    && certificate
                        .verify(&parts.chain_hash, &parts.validators, &parts.verifier)
                        .is_ok();
                if valid {
                    self.step(Input::Certificate(certificate));
                }
            }
            Message::Proposal(proposal) if proposal.height == height => {
                if self.is_proposal_signed(&proposal) {
                    self.step(Input::Proposal(proposal));
                }
            }
            Message::Proposal(proposal) => {
                let ahead = proposal.height.0.saturating_sub(height.0);
                if (1..=EARLY_HEIGHTS).contains(&ahead) {
                    self.early.insert((proposal.height, from), proposal);
                }
            }
            Message::Status(status) => {
                let from = self.parts.peers.number(&from);
                let status = self.own_vote_checked(status);
                self.step(Input::Status { from, status });
            }
        }
    }

    /// Whether the leader signed, and every certificate of the justification holds.
    fn is_proposal_signed(&self, proposal: &Proposal) -> bool {
        let parts = &self.parts;
        let leader = parts.core.leader(proposal.view);
        let Some(leader) = parts.validators.get(leader) else { return false };
        let (height, view) = (proposal.height, proposal.view);
        let block = proposal.header.hash();
        let message = Proposal::signing_hash(&parts.chain_hash, height, view, &block);
        let signed =
            parts.verifier.verify(&leader.public_key, message.as_ref(), &proposal.signature);
        let justification = &proposal.justification;
        let mut certificates =
            justification.notarization.iter().chain(&justification.nullifications);
        signed
            && certificates.all(|certificate| {
                let set = &parts.validators;
                certificate.verify(&parts.chain_hash, set, &parts.verifier).is_ok()
            })
    }

    /// Keeps a peer from telling this validator that it voted when it did not.
    fn own_vote_checked(&self, status: Status) -> Status {
        let parts = &self.parts;
        let own = parts.key.public_key();
        let is_own = |vote: &Vote| {
            let message = vote.ballot.signing_hash(&parts.chain_hash);
            parts.verifier.verify(&own, message.as_ref(), &vote.signature)
        };
        Status { latest_of_receiver: status.latest_of_receiver.filter(is_own), ..status }
    }

    fn is_signed(&self, announcement: &Announcement) -> bool {
        let parts = &self.parts;
        let Announcement { reference, signature } = announcement;
        tonle_model::batch::verify_author(&parts.chain_hash, reference, signature, &parts.verifier)
    }

    fn take_announcement(&mut self, from: PublicKey, announcement: &Announcement) {
        let BatchRef { digest, author, .. } = announcement.reference;
        // What this node made it has, or let go of.
        if !self.is_validator(&author) || author == self.parts.key.public_key() {
            return;
        }
        self.heard.note(digest);
        let pool = &self.parts.pool;
        let is_known = pool.get(&digest).is_some() || pool.is_decided(&digest);
        // Its size is not known yet. What may not fit comes when a block names it.
        if !is_known && pool.room(&author) >= BATCH_BYTES_MAX {
            self.fetcher.want(self.now_ms, digest, Reason::Announced, from);
        }
    }

    fn take_batch(&mut self, from: PublicKey, batch: HeldBatch) {
        let digest = batch.digest();
        let wanted = self.fetcher.done(&digest);
        match wanted {
            Some(Reason::Proposed | Reason::Decided(..)) => {
                self.parts.pool.insert_wanted(batch.clone());
            }
            // Shares are per validator: batches of anyone else are nobody's.
            Some(Reason::Announced) | None if !self.is_validator(batch.author()) => return,
            Some(Reason::Announced) | None if batch.expires_ms() < spent_before(self.now_ms) => {
                return;
            }
            Some(Reason::Announced) | None => match self.parts.pool.insert(batch.clone()) {
                Ok(()) => {}
                Err(Refused::Known) => {
                    self.parts.interest.hold(digest);
                    return;
                }
                Err(Refused::Full) => {
                    tracing::debug!(peer = %from, %digest, "no room for a batch");
                    return;
                }
            },
        }
        self.keep_batch(&batch);
        if !matches!(wanted, Some(Reason::Decided(..))) && self.heard.note(digest) {
            // Nobody announced it here: it may have been given to this node alone, and so all
            // hear of it (consensus.md, Idle).
            self.announce(&batch);
        }
        self.judge_unchecked();
        self.try_sync();
    }

    fn is_validator(&self, author: &PublicKey) -> bool {
        self.parts.validators.index_of(author).is_some()
    }

    fn take_bad_batch(&mut self, from: PublicKey, error: &tonle_model::batch::BatchError) {
        tracing::warn!(peer = %from, %error, "sent an invalid batch");
        self.parts.board.count_bad_batch();
        self.turn.acts.push(Act::Blame(from));
    }

    /// Takes in a batch that this node sealed and sends it to everyone.
    pub(super) fn take_own_batch(&mut self, batch: Arc<Verified<Batch>>) {
        // The gate stops taking transactions in long before an author's share is used up.
        self.parts.pool.insert_wanted(batch.clone());
        self.heard.note(batch.digest());
        self.keep_batch(&batch);
        self.turn.acts.push(Act::Broadcast(Lane::Bulk, Wire::batch_frame(&batch)));
        self.announce(&batch);
    }

    fn keep_batch(&mut self, batch: &HeldBatch) {
        self.parts.interest.hold(batch.digest());
        self.turn.write.batches.push(batch.clone());
        // Said again, so that a leader that found nothing to build looks once more.
        self.work = None;
    }

    fn announce(&mut self, batch: &HeldBatch) {
        let announcement =
            Announcement { reference: batch.reference(), signature: *batch.signature() };
        self.turn.acts.push(Act::Announce(announcement));
    }

    /// Judges the headers whose batches were missing.
    pub(super) fn judge_unchecked(&mut self) {
        let unchecked: Vec<Header> = self.unchecked.values().cloned().collect();
        unchecked.iter().for_each(|header| self.judge(header));
    }

    /// Tells the core of a header's batches, or asks for those that are missing.
    pub(super) fn judge(&mut self, header: &Header) {
        let block = header.hash();
        match self.parts.pool.check(header) {
            Verdict::Available => {
                self.unchecked.remove(&block);
                self.step(Input::Available { block });
            }
            Verdict::Unusable(reason) => {
                tracing::warn!(%block, height = %header.height, reason, "unusable block");
                self.unchecked.remove(&block);
                // What it lacks is not worth fetching: a header may name more than fits a block.
                header.batches.iter().for_each(|reference| {
                    self.fetcher.done_if_proposed(&reference.digest);
                });
                self.step(Input::Unusable { block });
                // Other headers may lack the same batches.
                self.judge_unchecked();
            }
            Verdict::Missing(digests) => {
                let proposer = self.parts.validators.get(header.proposer);
                let proposer = proposer.map(|validator| validator.public_key);
                for digest in digests {
                    if let Some(holder) = proposer {
                        self.fetcher.want(self.now_ms, digest, Reason::Proposed, holder);
                    }
                }
                self.unchecked.insert(block, header.clone());
            }
        }
    }

    fn serve_batch(&mut self, to: &PublicKey, request: &BatchRequest) {
        if self.turn.served_bytes > SERVED_BYTES_MAX {
            return;
        }
        let frame = match self.parts.pool.get(&request.digest) {
            Some(batch) => Some(Wire::batch_frame(batch)),
            None => self
                .stored_batch(request)
                .map(|bytes| Wire::Batch(crate::wire::RawBytes(bytes)).to_frame()),
        };
        match frame {
            Some(frame) => self.turn.serve(to, frame),
            None => self.turn.send(to, Lane::Consensus, &Wire::NoBatch(request.digest)),
        }
    }

    /// A batch of a decided block: by its place, or, for a peer that is still at a height which
    /// is decided here, by its name.
    fn stored_batch(&self, request: &BatchRequest) -> Option<bytes::Bytes> {
        let reader = self.parts.chain.reader();
        let Some((height, position)) = request.decided else {
            return reader.batch(&request.digest).ok()?;
        };
        let position = usize::from(position);
        let block = reader.block(height).ok()??;
        let named = block.header.batches.get(position)?;
        if named.digest != request.digest {
            return None;
        }
        reader.batch_at(height, position).ok()?
    }

    fn serve_header(&mut self, to: &PublicKey, block: &BlockHash) {
        let header = self.headers.get(block).cloned().or_else(|| self.decided_header(block));
        if let Some(header) = header {
            self.turn.send(to, Lane::Consensus, &Wire::Header(header));
        }
    }

    /// A peer may have counted the votes of a block that it never saw, at a height which is
    /// decided here.
    fn decided_header(&self, block: &BlockHash) -> Option<Header> {
        let reader = self.parts.chain.reader();
        let height = reader.height_of(block).ok()??;
        Some(reader.block(height).ok()??.header)
    }

    /// Sends finalized blocks, as many as there are.
    pub(super) fn serve_blocks(&mut self, to: &PublicKey, first: Height, count: u64) {
        if self.turn.served_bytes > SERVED_BYTES_MAX {
            return;
        }
        let reader = self.parts.chain.reader();
        let last = first.0.saturating_add(count.min(SERVED_BLOCKS_MAX));
        let blocks: Vec<_> = (first.0..last)
            .map_while(|height| reader.block(Height(height)).ok().flatten())
            .map(|block| (block.header, block.finalization))
            .collect();
        if let Ok(blocks) = blocks.try_into() {
            self.turn.serve(to, Wire::Blocks { from: first, blocks }.to_frame());
        }
    }

    /// A block is in the state: the next height begins.
    fn advance(&mut self, advance: Advance) {
        let parts = &mut self.parts;
        parts.pool.decide(&advance.header, advance.parameters.max_ttl_ms.into());
        self.catch_up.committed(&advance.header);
        self.pace.committed(advance.header.transaction_count(), self.now_ms);
        parts.pool.count_voids(&advance.header, &advance.voids);
        let block_time_ms = advance.header.timestamp_ms;
        let dropped = parts.pool.drop_dead(block_time_ms, self.now_ms, &parts.world);
        dropped.forgotten.iter().for_each(|digest| parts.interest.release(digest));
        self.let_go(&dropped.dead);
        self.swept_ms = self.now_ms;
        let parts = &mut self.parts;
        if parts.validators != advance.validators {
            parts.validators = advance.validators;
            parts.outbox.set_validators(&parts.validators);
            self.recheck_ranges();
        }
        let parts = &mut self.parts;
        let config = super::config_of(
            &mut parts.peers,
            &parts.key.public_key(),
            &parts.validators,
            &advance.parameters,
            (*advance.marks).clone(),
        );
        self.fetcher.height_decided();
        self.unchecked.clear();
        self.headers.clear();
        // Before the next height begins: its leader must not build for work that is done.
        self.update_work();
        self.step(Input::Advance { config });
        let height = self.parts.core.height();
        let mut early = std::mem::take(&mut self.early);
        early.retain(|(of, _), _| *of >= height);
        for ((of, from), proposal) in early {
            if of > height {
                self.early.insert((of, from), proposal);
            } else if self.is_proposal_signed(&proposal) {
                self.step(Input::Proposal(proposal));
            }
        }
        self.try_sync();
    }
}
