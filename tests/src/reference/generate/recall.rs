//! Recalls at random: of a payment that was made, mostly with what proves it.

use tonle_model::amount::Amount;
use tonle_model::bounded::Bounded;
use tonle_model::hash::{Digest256, TransactionHash};
use tonle_model::id::{AccountId, AssetId};
use tonle_model::instruction::Instruction;
use tonle_model::permission::Permission;
use tonle_model::proof::AppliedProof;

use super::instruction::Act;
use super::{Author, Scene};
use crate::reference::world::{account, amount, asset};

/// A transfer that was applied.
struct Paid {
    transaction: TransactionHash,
    step: u16,
    payer: AccountId,
    payee: AccountId,
    asset: AssetId,
    minor: u128,
}

fn payments(scene: Scene<'_>) -> Vec<Paid> {
    let mut found = Vec::new();
    for (hash, payload) in scene.archive.payloads() {
        for (number, step) in (0u16..).zip(&payload.steps) {
            if let Instruction::Transfer { asset, from, to, amount, .. } = &step.instruction {
                let scale = scene.state.assets.get(asset).map_or(0, |asset| asset.scale);
                found.push(Paid {
                    transaction: *hash,
                    step: number,
                    payer: from.as_ref().unwrap_or(&step.authority).clone(),
                    payee: to.clone(),
                    asset: asset.clone(),
                    minor: amount.to_amount(scale).map_or(0, Amount::minor),
                });
            }
        }
    }
    found
}

impl Author<'_> {
    pub(super) fn recall(&mut self, scene: Scene<'_>, by: AccountId) -> Act {
        let paid = payments(scene);
        if paid.is_empty() {
            return self.transfer(scene, by);
        }
        let turn = self.random.below(paid.len());
        let paid = &paid[turn];
        let proof = scene.archive.proof(&paid.transaction).expect("it was applied");
        let recalled = scene.state.recalled.get(&(paid.transaction, paid.step)).copied();
        let left = paid.minor - recalled.unwrap_or(0);
        let minor = match self.random.below(16) {
            0 => left.saturating_add(1),
            1 => 0,
            2..5 => 1,
            _ => left,
        };
        let suited = self.who_may(scene, &Permission::Recall(paid.asset.clone()));
        let reason = self.random.pick(&["", "court"]).parse().expect("a short text");
        let mut recall = Instruction::Recall {
            from: paid.payee.clone(),
            to: paid.payer.clone(),
            asset: paid.asset.clone(),
            amount: self.written(scene.state, &paid.asset, minor),
            transaction: paid.transaction,
            step: paid.step,
            reason,
            proof: Box::new(proof),
        };
        if self.random.once_in(4) {
            self.spoil(scene, &mut recall);
        }
        (suited, recall)
    }

    /// Changes one thing that the proof must show, or the proof.
    fn spoil(&mut self, scene: Scene<'_>, recall: &mut Instruction) {
        let Instruction::Recall {
            from, to, asset: id, amount: much, transaction, step, proof, ..
        } = recall
        else {
            return;
        };
        match self.random.below(8) {
            0 => *from = self.account(scene),
            1 => *to = account("ghost@aclb"),
            2 => *id = asset("usd#nbc"),
            3 => *much = amount("340282366920938463463374607431768211455"),
            4 => *transaction = TransactionHash(Digest256([7; 32])),
            5 => *step = self.random.below(5) as u16,
            6 => self.spoil_proof(scene, proof),
            _ => **proof = self.other_proof(scene, proof),
        }
    }

    fn spoil_proof(&mut self, scene: Scene<'_>, proof: &mut AppliedProof) {
        match self.random.below(4) {
            0 => proof.path = Bounded::default(),
            1 => proof.result.receipts_root = Digest256([7; 32]),
            2 => proof.finalization.signatures = Bounded::default(),
            _ => {
                let other = self.other_proof(scene, proof);
                proof.finalization = other.finalization;
            }
        }
    }

    /// Of another transaction, if there is one.
    fn other_proof(&mut self, scene: Scene<'_>, proof: &AppliedProof) -> AppliedProof {
        let hashes: Vec<_> = scene.archive.payloads().map(|(hash, _)| *hash).collect();
        let other = self.random.pick_if_any(&hashes).and_then(|hash| scene.archive.proof(&hash));
        other.unwrap_or_else(|| proof.clone())
    }
}
