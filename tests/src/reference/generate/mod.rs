//! Blocks at random, written with an eye on the state: most of what they ask for is within reach
//! or just beyond it, so that every instruction is applied often and refused often.

mod instruction;
mod recall;
mod validators;

use std::collections::BTreeSet;

use tonle_model::bounded::Bounded;
use tonle_model::id::AccountId;
use tonle_model::instruction::Instruction;
use tonle_model::key::PublicKey;
use tonle_model::limits;
use tonle_model::transaction::{Payload, SignedTransaction, Step};

use super::Reference;
use super::archive::Archive;
use super::network::signed;
use super::state::{DAY_MS, State};
use super::world;
use crate::random::Random;

/// How long a transaction lives that is not meant to be late.
const LIFE_MS: u64 = 30_000;

/// Writes the transactions of one sequence of blocks.
pub struct Author<'a> {
    random: &'a mut Random,
    next_nonce: u64,
    written: Vec<SignedTransaction>,
}

/// What a transaction is written for: the state it will find, and block time.
#[derive(Clone, Copy)]
struct Scene<'a> {
    state: &'a State,
    archive: &'a Archive,
    height: u64,
    time_ms: u64,
}

impl<'a> Author<'a> {
    /// One who has written nothing yet.
    pub fn new(random: &'a mut Random) -> Self {
        Self { random, next_nonce: 0, written: Vec::new() }
    }

    /// The time of a block after one: soon, at midnight, or when something expires or just has.
    pub fn next_time(&mut self, state: &State, now_ms: u64) -> u64 {
        let invoices = state.invoices.keys().map(|key| key.expires_ms);
        let proposals = state.proposals.values().map(|proposal| proposal.expires_ms);
        let holds = state.holds.values().map(|hold| hold.expires_ms);
        let mut ends: Vec<_> = invoices.chain(proposals).chain(holds).collect();
        ends.retain(|end_ms| *end_ms >= now_ms);
        ends.sort_unstable();
        ends.truncate(3);
        let end_ms = self.random.pick_if_any(&ends);
        let offset_ms = i64::from(state.parameters.utc_offset_min) * 60_000;
        let midnight_ms =
            ((u64::from(state.day(now_ms)) + 1) * DAY_MS).saturating_add_signed(-offset_ms);
        let time_ms = match (self.random.below(10), end_ms) {
            (0 | 4, _) => now_ms + 1,
            (1, _) => midnight_ms - self.random.below(2) as u64,
            (2, Some(end_ms)) => end_ms,
            (3, Some(end_ms)) => end_ms + 1,
            _ => now_ms + 1_000,
        };
        time_ms.max(now_ms + 1)
    }

    /// The next transaction.
    pub fn transaction(&mut self, ledger: &Reference, time_ms: u64) -> SignedTransaction {
        if self.random.once_in(40) && !self.written.is_empty() {
            return self.random.pick(&self.written);
        }
        let scene = Scene {
            state: &ledger.state,
            archive: &ledger.archive,
            height: ledger.height,
            time_ms,
        };
        let count = self.random.pick(&[1, 1, 1, 1, 2, 2, 3, 4]);
        let steps: Vec<_> = (0..count).map(|_| self.step(scene)).collect();
        let signers = self.signers(scene, &steps);
        let (created_ms, expires_ms) = self.window(scene);
        let reference = self
            .random
            .once_in(8)
            .then(|| self.random.pick(&["x", "y"]))
            .map(|reference| reference.parse().expect("a short text"));
        let payload = Payload {
            chain: *world::CHAIN,
            created_ms,
            expires_ms,
            nonce: self.next_nonce,
            reference,
            steps: Bounded::new(steps).expect("at most four"),
        };
        self.next_nonce += 1;
        let transaction = signed(payload, &signers);
        self.written.push(transaction.clone());
        transaction
    }

    fn step(&mut self, scene: Scene<'_>) -> Step {
        let (authority, instruction) = self.instruction(scene, None);
        Step { authority, instruction }
    }

    /// From when to when; now and then at an edge or past it.
    fn window(&mut self, scene: Scene<'_>) -> (u64, u64) {
        let Scene { state, time_ms, .. } = scene;
        let longest_ms = u64::from(state.parameters.max_ttl_ms);
        match self.random.below(80) {
            0 => (time_ms - 10, time_ms - 1),
            1 => (time_ms - 10, time_ms),
            2 => (time_ms + limits::DRIFT_MS, time_ms + limits::DRIFT_MS),
            3 => (time_ms + limits::DRIFT_MS + 1, time_ms + limits::DRIFT_MS + 1),
            4 => (time_ms, time_ms + longest_ms),
            5 => (time_ms, time_ms + longest_ms + 1),
            _ => (time_ms, time_ms + LIFE_MS.min(longest_ms)),
        }
    }

    /// Keys that meet the quorum of every authority, most of the time; and some that approve.
    fn signers(&mut self, scene: Scene<'_>, steps: &[Step]) -> Vec<PublicKey> {
        let mut signers = BTreeSet::new();
        let authorities: BTreeSet<_> = steps.iter().map(|step| &step.authority).collect();
        for id in authorities {
            let Some(account) = scene.state.accounts.get(id) else { continue };
            let mut keys: Vec<_> =
                account.signatories.iter().map(|signatory| signatory.public_key).collect();
            let turn = self.random.below(keys.len());
            keys.rotate_left(turn);
            let mut chosen = Vec::new();
            while account.weight_of(&chosen) < u64::from(account.quorum) {
                chosen.extend(keys.pop());
            }
            if self.random.once_in(60) {
                chosen.pop();
            }
            signers.extend(chosen);
        }
        for step in steps {
            let target = match &step.instruction {
                Instruction::Propose { account, .. } => Some(account),
                Instruction::Approve { id } => {
                    scene.state.proposals.get(id).map(|proposal| &proposal.account)
                }
                _ => None,
            };
            let account = target.and_then(|id| scene.state.accounts.get(id));
            for signatory in account.into_iter().flat_map(|account| &account.signatories) {
                if self.random.once_in(2) && signers.len() < limits::SIGNATURES_MAX {
                    signers.insert(signatory.public_key);
                }
            }
        }
        if signers.is_empty() || self.random.once_in(40) {
            signers.insert(world::key("stranger"));
        }
        let mut signers: Vec<_> = signers.into_iter().collect();
        signers.truncate(limits::SIGNATURES_MAX);
        signers
    }

    /// Mostly an open account; sometimes any, sometimes none.
    fn account(&mut self, scene: Scene<'_>) -> AccountId {
        let all: Vec<_> = scene.state.accounts.keys().cloned().collect();
        match self.random.below(80) {
            0 => world::account("ghost@aclb"),
            1 | 2 => self.random.pick(&all),
            _ => self.open_account(scene),
        }
    }

    fn open_account(&mut self, scene: Scene<'_>) -> AccountId {
        let open: Vec<_> = scene.state.accounts.keys().collect();
        let open: Vec<_> =
            open.into_iter().filter(|id| scene.state.open_account(id).is_some()).collect();
        self.random.pick(&open).clone()
    }
}
