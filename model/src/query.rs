//! Signed questions about the ledger (ledger.md, Reading).
//!
//! Account data belongs to the account, its domain's readers and the regulator, so a question says
//! who asks, and carries the signatures of that account's quorum like a transaction does. It is
//! good for one node and a minute: the time and the nonce keep whoever overhears it from asking
//! again. Each question but that for a token has a twin among the GET routes, whose JSON is the
//! answer.

use parity_scale_codec::{Decode, Encode};
use serde::{Deserialize, Serialize};

use crate::bounded::Bounded;
use crate::hash::{ChainHash, Digest256, HoldId, ProposalId, TaggedHasher};
use crate::id::{AccountId, AssetId, DomainId, Name};
use crate::key::{KeyPair, PublicKey};
use crate::string::Text;
use crate::transaction::TransactionSignature;
use crate::verify::{Claim, Verifier};
use crate::{limits, tags};

/// Longest cursor, in bytes.
pub const CURSOR_BYTES_MAX: usize = 128;

/// How far a query's time may be from the node's clock, in milliseconds.
pub const QUERY_AGE_MS_MAX: u64 = 60_000;

/// Where a page begins: the `next` of the page before, as it came.
pub type Cursor = Text<CURSOR_BYTES_MAX>;
/// A payee's name for an invoice.
pub type InvoiceId = Text<{ limits::INVOICE_ID_BYTES_MAX }>;

/// Which way money went, seen from the account asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// To the account.
    #[codec(index = 0)]
    In,
    /// From the account.
    #[codec(index = 1)]
    Out,
}

/// What is asked. Lists come in pages of at most `limit` items.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Query {
    /// An account.
    #[codec(index = 0)]
    Account {
        /// Which.
        id: AccountId,
    },
    /// The accounts of a domain, or all.
    #[codec(index = 1)]
    Accounts {
        /// Which domain; every one if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        domain: Option<DomainId>,
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// Where the page begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Cursor>,
    },
    /// What an account has.
    #[codec(index = 2)]
    Balances {
        /// Which.
        account: AccountId,
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// Where the page begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Cursor>,
    },
    /// What an account owned of an asset at a time of the past.
    #[codec(index = 3)]
    BalanceAt {
        /// Which.
        account: AccountId,
        /// Of what.
        asset: AssetId,
        /// When, in milliseconds since 1970.
        time_ms: u64,
    },
    /// An account's movements, newest first.
    #[codec(index = 4)]
    History {
        /// Which.
        account: AccountId,
        /// Only this asset.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        asset: Option<AssetId>,
        /// Only this way.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        direction: Option<Direction>,
        /// Not before this block time, in milliseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        since_ms: Option<u64>,
        /// Not after this block time, in milliseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        until_ms: Option<u64>,
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// Where the page begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Cursor>,
    },
    /// The open holds that concern an account.
    #[codec(index = 5)]
    Holds {
        /// Which.
        account: AccountId,
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// Where the page begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Cursor>,
    },
    /// An open hold.
    #[codec(index = 6)]
    Hold {
        /// Which.
        id: HoldId,
    },
    /// The payments of an invoice.
    #[codec(index = 7)]
    Invoices {
        /// Whose invoice.
        payee: AccountId,
        /// The payee's name for it.
        id: InvoiceId,
    },
    /// What waits for the approval of an account's signatories.
    #[codec(index = 8)]
    Proposals {
        /// Which account.
        account: AccountId,
    },
    /// An open proposal.
    #[codec(index = 9)]
    Proposal {
        /// Which.
        id: ProposalId,
    },
    /// All assets.
    #[codec(index = 20)]
    Assets {
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// Where the page begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Cursor>,
    },
    /// An asset.
    #[codec(index = 21)]
    Asset {
        /// Which.
        id: AssetId,
    },
    /// How much there is of an asset.
    #[codec(index = 22)]
    Supply {
        /// Of what.
        asset: AssetId,
    },
    /// All domains.
    #[codec(index = 23)]
    Domains {
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// Where the page begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Cursor>,
    },
    /// All roles.
    #[codec(index = 24)]
    Roles {
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// Where the page begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Cursor>,
    },
    /// A role.
    #[codec(index = 25)]
    Role {
        /// Which.
        id: Name,
    },
    /// The network's parameters.
    #[codec(index = 26)]
    Parameters,
    /// The validators of the next height.
    #[codec(index = 27)]
    Validators,
    /// How much of an asset the accounts of each domain own together.
    #[codec(index = 28)]
    Totals {
        /// Of what.
        asset: AssetId,
        /// At most so many.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        limit: Option<u32>,
        /// Where the page begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        cursor: Option<Cursor>,
    },
    /// A token with which whoever asks follows events, for an hour, on the node that gives it.
    #[codec(index = 29)]
    Stream {
        /// Whose transfers are to be among them; nobody's if absent.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<AccountId>,
    },
}

/// The signed part of a query.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryPayload {
    /// The network it is for.
    pub chain: ChainHash,
    /// Who asks.
    pub account: AccountId,
    /// When, in milliseconds since 1970; within [`QUERY_AGE_MS_MAX`] of the node's clock.
    pub created_ms: u64,
    /// Used once by the account within that time.
    pub nonce: u64,
    /// What is asked.
    pub query: Query,
}

impl QueryPayload {
    /// What signatures sign. The payload begins with the chain hash, and the tag is that of
    /// queries: a signature is good for no other network and for no transaction.
    pub fn hash(&self) -> Digest256 {
        TaggedHasher::new(tags::QUERY).part(self.encode()).finish()
    }

    /// Signs for every key given.
    pub fn sign(self, keys: &[&KeyPair]) -> SignedQuery {
        let hash = self.hash();
        let signatures = keys.iter().map(|key| TransactionSignature {
            public_key: key.public_key(),
            signature: key.sign(hash.as_ref()),
        });
        // More keys than fit are refused like any other bad form, where the query is checked.
        let signatures = signatures.take(limits::SIGNATURES_MAX).collect();
        SignedQuery { payload: self, signatures: Bounded::new(signatures).unwrap_or_default() }
    }
}

/// A query and the signatures of whoever asks.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedQuery {
    /// What is signed.
    pub payload: QueryPayload,
    /// By whom, over the payload's hash.
    pub signatures: Bounded<TransactionSignature, { limits::SIGNATURES_MAX }>,
}

impl SignedQuery {
    /// The keys that signed.
    pub fn signers(&self) -> impl Iterator<Item = &PublicKey> {
        self.signatures.iter().map(|signed| &signed.public_key)
    }

    /// Whether there are signatures and every one is valid.
    pub fn verify(&self, verifier: &Verifier) -> bool {
        let hash = self.payload.hash();
        let claims = self.signatures.iter().map(|signed| Claim {
            public_key: &signed.public_key,
            message: hash.as_ref(),
            signature: &signed.signature,
        });
        let claims: Vec<_> = claims.collect();
        !claims.is_empty() && verifier.verify_batch(&claims).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decode;
    use crate::key::Signature;

    fn payload(query: Query) -> QueryPayload {
        QueryPayload {
            chain: ChainHash::default(),
            account: "sok@aclb".parse().unwrap(),
            created_ms: 1_793_491_200_000,
            nonce: 7,
            query,
        }
    }

    fn account() -> Query {
        Query::Account { id: "sok@aclb".parse().unwrap() }
    }

    #[test]
    fn the_forms_read_back_what_they_wrote() {
        let history = Query::History {
            account: "sok@aclb".parse().unwrap(),
            asset: Some("khr#nbc".parse().unwrap()),
            direction: Some(Direction::In),
            since_ms: Some(1),
            until_ms: None,
            limit: Some(10),
            cursor: Some("00ff".parse().unwrap()),
        };
        let invoices =
            Query::Invoices { payee: "a@b".parse().unwrap(), id: "INV 7".parse().unwrap() };
        let key = KeyPair::demo("sok@aclb");
        for query in [account(), history, invoices, Query::Parameters] {
            let signed = payload(query).sign(&[&key]);
            assert_eq!(decode::all::<SignedQuery>(&signed.encode()).unwrap(), signed);
            let json = serde_json::to_string(&signed).unwrap();
            assert_eq!(serde_json::from_str::<SignedQuery>(&json).unwrap(), signed);
        }
        let json = serde_json::to_value(account()).unwrap();
        assert_eq!(json, serde_json::json!({"account": {"id": "sok@aclb"}}));
        let misspelt = r#"{"balances": {"account": "sok@aclb", "limt": 3}}"#;
        assert!(serde_json::from_str::<Query>(misspelt).is_err());
    }

    #[test]
    fn a_signature_is_good_for_this_question_only() {
        let verifier = Verifier::new();
        let key = KeyPair::demo("sok@aclb");
        let signed = payload(account()).sign(&[&key]);
        assert!(signed.verify(&verifier));
        assert!(!payload(account()).sign(&[]).verify(&verifier), "nobody signed");
        let mut other = signed.clone();
        other.payload.nonce += 1;
        assert!(!other.verify(&verifier));
        let mut forged = payload(account()).sign(&[&key, &KeyPair::demo("dara@wing")]);
        let mut signatures = forged.signatures.to_vec();
        signatures[1].signature = Signature([1; 64]);
        forged.signatures = signatures.try_into().unwrap();
        assert!(!forged.verify(&verifier), "every signature counts");
    }
}
