//! Validators that come and go, at random.

use tonle_model::hash::Digest256;
use tonle_model::instruction::Instruction;
use tonle_model::key::{PublicKey, Signature};
use tonle_model::number::Height;
use tonle_model::permission::Permission;

use super::instruction::Act;
use super::{Author, Scene};
use crate::reference::world;

impl Author<'_> {
    pub(super) fn validators(&mut self, scene: Scene<'_>) -> Act {
        let suited = self.who_may(scene, &Permission::ManageValidators);
        let now: Vec<PublicKey> = scene.state.validators.keys().copied().collect();
        // Towards one half of the time, so that the last one is reached.
        if self.random.once_in(2) || scene.height < 2 {
            let key = match self.random.once_in(8) {
                true => world::key("stranger"),
                false => self.random.pick(&now),
            };
            return (suited, Instruction::UnregisterValidator { public_key: key });
        }
        let name = self.random.pick(&["v1", "v2", "v3", "v4", "x1", "x2"]);
        let key = match self.random.once_in(16) {
            true => world::weak_key(),
            false => world::validator_key(name).public_key(),
        };
        let height = Height(1 + self.random.below(scene.height as usize - 1) as u64);
        let signer = if self.random.once_in(8) { world::key("stranger") } else { key };
        let joining = scene.archive.joining(height, &signer);
        let Some(mut joining) = joining
            .or_else(|| scene.archive.joining(height, &world::validator_key("x1").public_key()))
        else {
            return (suited, Instruction::UnregisterValidator { public_key: key });
        };
        match self.random.below(12) {
            0 => joining.signature = Signature([7; 64]),
            1 => joining.finalization.ballot.height = Height(height.0 + 1),
            2 => {
                if let tonle_model::vote::VoteKind::Finalize { result, .. } =
                    &mut joining.finalization.ballot.kind
                {
                    result.0 = Digest256([7; 32]);
                }
            }
            _ => {}
        }
        let register = Instruction::RegisterValidator {
            name: world::name(name),
            public_key: key,
            joining: Box::new(joining),
        };
        (suited, register)
    }
}
