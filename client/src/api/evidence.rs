//! Evidence: what `GET /v1/evidence` tells, and how anyone can check it.

use serde::{Deserialize, Serialize};

use tonle_model::hash::{BlockHash, ChainHash, Digest256, ResultHash};
use tonle_model::id::Name;
use tonle_model::key::{PublicKey, Signature};
use tonle_model::number::{Height, View};
use tonle_model::verify::Verifier;
use tonle_model::vote::{Ballot, Proposal, VoteKind};

/// A validator that signed two things of which no honest one signs both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Evidence {
    /// Where it happened.
    pub height: Height,
    /// In which view.
    pub view: View,
    /// Whose signatures they are.
    pub public_key: PublicKey,
    /// Its name, if it is a validator of the next height.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Name>,
    /// What it signed two of.
    pub kind: EvidenceKind,
    /// The two.
    pub statements: [Statement; 2],
    /// When the node had seen both, by its clock.
    pub seen_ms: u64,
}

/// What there are two of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum EvidenceKind {
    /// Two votes in one view.
    Votes,
    /// Two blocks proposed in one view.
    Proposals,
}

impl EvidenceKind {
    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Votes => "votes",
            Self::Proposals => "proposals",
        }
    }
}

/// What a validator said, and its signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Statement {
    /// What it said.
    #[serde(flatten)]
    pub said: Said,
    /// Over [`Evidence::signing_hash`].
    pub signature: Signature,
}

/// What a validator says in a view.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Said {
    /// As its leader: this is the block.
    Propose {
        /// The block.
        block: BlockHash,
    },
    /// The block is valid.
    Notarize {
        /// The block.
        block: BlockHash,
    },
    /// Let us leave the view.
    Nullify,
    /// The block has this result.
    Finalize {
        /// The block.
        block: BlockHash,
        /// The hash of its result.
        result: ResultHash,
    },
}

impl Said {
    /// Its name in `kind`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Propose { .. } => "propose",
            Self::Notarize { .. } => "notarize",
            Self::Nullify => "nullify",
            Self::Finalize { .. } => "finalize",
        }
    }

    /// The block that it is about.
    pub fn block(self) -> Option<BlockHash> {
        match self {
            Self::Propose { block } | Self::Notarize { block } | Self::Finalize { block, .. } => {
                Some(block)
            }
            Self::Nullify => None,
        }
    }
}

impl From<VoteKind> for Said {
    fn from(kind: VoteKind) -> Self {
        match kind {
            VoteKind::Notarize { block } => Self::Notarize { block },
            VoteKind::Nullify => Self::Nullify,
            VoteKind::Finalize { block, result } => Self::Finalize { block, result },
        }
    }
}

impl Evidence {
    /// Whether both statements bear the validator's signature on this network, and contradict each
    /// other. That the key was a validator's at that height is not in it.
    pub fn is_proven(&self, chain: &ChainHash) -> bool {
        let verifier = Verifier::new();
        let is_signed = |statement: &Statement| {
            let message = self.signing_hash(chain, statement.said);
            verifier.verify(&self.public_key, message.as_ref(), &statement.signature)
        };
        let [one, other] = &self.statements;
        contradict(one.said, other.said) && self.statements.iter().all(is_signed)
    }

    /// What is signed to say this at the height and in the view of the evidence.
    pub fn signing_hash(&self, chain: &ChainHash, said: Said) -> Digest256 {
        let (height, view) = (self.height, self.view);
        let vote = |kind| Ballot { height, view, kind }.signing_hash(chain);
        match said {
            Said::Propose { block } => Proposal::signing_hash(chain, height, view, &block),
            Said::Notarize { block } => vote(VoteKind::Notarize { block }),
            Said::Nullify => vote(VoteKind::Nullify),
            Said::Finalize { block, result } => vote(VoteKind::Finalize { block, result }),
        }
    }
}

/// Whether no honest validator says both in one view (consensus.md, Evidence).
fn contradict(one: Said, other: Said) -> bool {
    use Said::{Finalize, Notarize, Nullify, Propose};
    match (one, other) {
        (Propose { .. }, Propose { .. })
        | (Notarize { .. }, Notarize { .. })
        | (Finalize { .. }, Finalize { .. }) => one != other,
        (Nullify, Finalize { .. }) | (Finalize { .. }, Nullify) => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use tonle_model::key::KeyPair;

    use super::*;

    fn block(byte: u8) -> BlockHash {
        BlockHash(Digest256([byte; 32]))
    }

    /// Evidence of two things that a validator did sign.
    fn signed(said: [Said; 2]) -> Evidence {
        let key = KeyPair::demo("validator_1");
        let evidence = Evidence {
            height: Height(7),
            view: View(2),
            public_key: key.public_key(),
            name: Some("bank_b".parse().unwrap()),
            kind: EvidenceKind::Votes,
            statements: said.map(|said| Statement { said, signature: Signature([0; 64]) }),
            seen_ms: 9,
        };
        let sign = |said| {
            let message = evidence.signing_hash(&ChainHash::default(), said);
            Statement { said, signature: key.sign(message.as_ref()) }
        };
        Evidence { statements: said.map(sign), ..evidence.clone() }
    }

    #[test]
    fn what_is_signed_twice_against_the_rules_is_proven() {
        let chain = ChainHash::default();
        let result = |byte| ResultHash(Digest256([byte; 32]));
        let finalize = |byte| Said::Finalize { block: block(1), result: result(byte) };
        for (one, other, proves) in [
            (Said::Propose { block: block(1) }, Said::Propose { block: block(2) }, true),
            (Said::Notarize { block: block(1) }, Said::Notarize { block: block(2) }, true),
            (finalize(1), finalize(2), true),
            (finalize(1), Said::Nullify, true),
            (Said::Nullify, finalize(1), true),
            (Said::Notarize { block: block(1) }, Said::Nullify, false),
            (Said::Notarize { block: block(1) }, finalize(1), false),
            (Said::Propose { block: block(1) }, Said::Notarize { block: block(2) }, false),
            (finalize(1), finalize(1), false),
        ] {
            assert_eq!(signed([one, other]).is_proven(&chain), proves, "{one:?}, {other:?}");
        }
        let good = signed([finalize(1), Said::Nullify]);
        assert!(!good.is_proven(&ChainHash(Digest256([1; 32]))), "another network");
        let stranger = KeyPair::demo("validator_2").public_key();
        assert!(!Evidence { public_key: stranger, ..good.clone() }.is_proven(&chain));
        assert!(!Evidence { view: View(3), ..good.clone() }.is_proven(&chain));
        assert!(!Evidence { height: Height(8), ..good.clone() }.is_proven(&chain));
        let mut forged = good;
        forged.statements[1].signature.0[0] ^= 1;
        assert!(!forged.is_proven(&chain));
    }

    #[test]
    fn evidence_has_all_that_it_takes_to_check_it() {
        let result = ResultHash(Digest256([3; 32]));
        let evidence = signed([Said::Finalize { block: block(1), result }, Said::Nullify]);
        let json = serde_json::to_value(&evidence).unwrap();
        let signature = |index: usize| evidence.statements[index].signature;
        let expected = serde_json::json!({
            "height": 7, "view": 2, "public_key": evidence.public_key, "name": "bank_b",
            "kind": "votes", "seen_ms": 9,
            "statements": [
                {"kind": "finalize", "block": "01".repeat(32), "result": "03".repeat(32),
                    "signature": signature(0)},
                {"kind": "nullify", "signature": signature(1)},
            ],
        });
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<Evidence>(json).unwrap(), evidence);
        let gone = Evidence { name: None, ..evidence };
        assert_eq!(serde_json::to_value(&gone).unwrap().get("name"), None);
    }
}
