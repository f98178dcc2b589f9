//! What a transaction makes that is named by the transaction's hash: holds and proposals. Whoever
//! made them wants to know their ids.

use serde::Serialize;
use tonle_model::hash::{Digest256, HoldId, ProposalId};
use tonle_model::instruction::Instruction;
use tonle_model::transaction::Payload;

/// What a transaction makes.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub struct Made {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    holds: Vec<MadeHold>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    proposals: Vec<ProposalId>,
}

#[derive(Debug, PartialEq, Eq, Serialize)]
struct MadeHold {
    id: HoldId,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash_lock: Option<Digest256>,
}

impl Made {
    /// What a transaction with this payload makes if it is applied.
    pub fn by(payload: &Payload) -> Self {
        let hash = payload.hash();
        let mut made = Self::default();
        for (place, step) in (0u16..).zip(&payload.steps) {
            match &step.instruction {
                Instruction::Hold { hash_lock, .. } => {
                    let id = HoldId::of(&hash.0, place);
                    made.holds.push(MadeHold { id, hash_lock: *hash_lock });
                }
                Instruction::Propose { .. } => {
                    made.proposals.push(ProposalId::of(&hash, place));
                }
                _ => {}
            }
        }
        made
    }

    /// For people: a line for each, each on a line of its own.
    pub fn describe(&self) -> String {
        let holds = self.holds.iter().map(|hold| match hold.hash_lock {
            Some(lock) => format!("\nhold {}\nlock {lock}", hold.id),
            None => format!("\nhold {}", hold.id),
        });
        let proposals = self.proposals.iter().map(|id| format!("\nproposal {id}"));
        holds.chain(proposals).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonle_model::bounded::Bounded;
    use tonle_model::hash::ChainHash;
    use tonle_model::transaction::Step;

    fn step(json: &str) -> Step {
        let instruction = serde_json::from_str(json).unwrap();
        Step { authority: "sok@aclb".parse().unwrap(), instruction }
    }

    #[test]
    fn ids_count_the_steps() {
        let hold = r#"{"hold": {"asset": "khr#nbc", "to": "dara@wing", "amount": "1",
            "expires_ms": 9}}"#;
        let propose =
            r#"{"propose": {"account": "sok@aclb", "instructions": [], "expires_ms": 9}}"#;
        let payload = Payload {
            chain: ChainHash::default(),
            created_ms: 1,
            expires_ms: 2,
            nonce: 3,
            reference: None,
            steps: Bounded::new(vec![step(propose), step(hold)]).unwrap(),
        };
        let made = Made::by(&payload);
        let hash = payload.hash();
        assert_eq!(made.holds, [MadeHold { id: HoldId::of(&hash.0, 1), hash_lock: None }]);
        assert_eq!(made.proposals, [ProposalId::of(&hash, 0)]);
        assert!(made.describe().contains(&format!("\nhold {}", HoldId::of(&hash.0, 1))));
    }
}
