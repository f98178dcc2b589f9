//! Event streams: what `GET /v1/events` tells, and the tokens for it.

use std::collections::BTreeSet;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use tonle_model::hash::{BlockHash, TransactionHash};
use tonle_model::id::AccountId;
use tonle_model::number::Height;
use tonle_model::receipt::RejectionCode;

use super::{Evidence, HistoryEntry};

/// What kind of thing an event tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventKind {
    /// What became of a transaction.
    Transaction,
    /// A movement on the account that was named.
    Transfer,
    /// A block: the last event about its height.
    Block,
    /// What a validator signed against the rules, as far as the node saw it: in no block.
    Evidence,
}

impl EventKind {
    /// All kinds, in their order in a block; what is in none comes after.
    pub const ALL: [Self; 4] = [Self::Transaction, Self::Transfer, Self::Block, Self::Evidence];

    /// Its name in a stream and in `kinds`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transaction => "transaction",
            Self::Transfer => "transfer",
            Self::Block => "block",
            Self::Evidence => "evidence",
        }
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

/// Some kinds of events, at least one. Text form: their names with commas between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventKinds(BTreeSet<EventKind>);

impl EventKinds {
    /// Adds a kind.
    pub fn insert(&mut self, kind: EventKind) {
        self.0.insert(kind);
    }

    /// Whether a kind is among them.
    pub fn contains(&self, kind: EventKind) -> bool {
        self.0.contains(&kind)
    }

    /// They, in their order in a block.
    pub fn iter(&self) -> impl Iterator<Item = EventKind> {
        self.0.iter().copied()
    }
}

impl From<EventKind> for EventKinds {
    fn from(kind: EventKind) -> Self {
        Self(BTreeSet::from([kind]))
    }
}

/// A text does not name kinds of events.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "kinds of events are `transaction`, `transfer`, `block` and `evidence`, with commas between"
)]
pub struct EventKindsError;

impl fmt::Display for EventKinds {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(EventKind::as_str).collect();
        formatter.write_str(&names.join(","))
    }
}

impl FromStr for EventKinds {
    type Err = EventKindsError;

    fn from_str(text: &str) -> Result<Self, EventKindsError> {
        let kind = |name: &str| EventKind::ALL.into_iter().find(|kind| kind.as_str() == name);
        let kinds: Option<BTreeSet<_>> = text.split(',').map(kind).collect();
        kinds.map(Self).ok_or(EventKindsError)
    }
}

impl Serialize for EventKinds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventKinds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

/// Which events to follow.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EventsQuery {
    /// Whose transfers; without it there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub account: Option<AccountId>,
    /// Only these; all that may be seen if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub kinds: Option<EventKinds>,
    /// From this height on; from the next one on if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Height>,
}

/// An event as it came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// Where in the stream it is: what comes after it comes with this as `Last-Event-ID`. Evidence
    /// has no place of its own and comes with that of what was told before.
    pub id: String,
    /// What it tells.
    #[serde(flatten)]
    pub data: EventData,
}

/// What an event tells. The stream has the name in `event:` and the rest in `data:`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", content = "data", rename_all = "snake_case")]
pub enum EventData {
    /// What became of a transaction.
    Transaction(TransactionEvent),
    /// A movement on the account that was named: a line of its history.
    Transfer(HistoryEntry),
    /// A block, after all else that there is about it.
    Block(BlockEvent),
    /// What a validator signed against the rules.
    Evidence(Box<Evidence>),
}

impl EventData {
    /// Its kind.
    pub fn kind(&self) -> EventKind {
        match self {
            Self::Transaction(_) => EventKind::Transaction,
            Self::Transfer(_) => EventKind::Transfer,
            Self::Block(_) => EventKind::Block,
            Self::Evidence(_) => EventKind::Evidence,
        }
    }
}

/// What became of a transaction that a block recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TransactionEvent {
    /// The transaction.
    pub hash: TransactionHash,
    /// The block.
    pub height: Height,
    /// Its place among the block's receipts.
    pub index: u32,
    /// What became of it.
    #[serde(flatten)]
    pub outcome: TransactionOutcome,
}

/// What became of it, in the words of [`super::TransactionStatus`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TransactionOutcome {
    /// Every step took effect.
    Committed,
    /// Nothing did.
    Rejected {
        /// Why.
        code: RejectionCode,
        /// The step that failed, from 0.
        step: u16,
    },
}

/// A block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockEvent {
    /// Its place.
    pub height: Height,
    /// Its name.
    pub hash: BlockHash,
    /// Block time.
    pub timestamp_ms: u64,
    /// How many transactions its batches name, those included that left no receipt.
    pub transactions: u32,
}

/// What lets an account follow events on the node that gave it. A secret: whoever has it sees what
/// the account may see.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamToken {
    /// For the header `Authorization: Bearer …`.
    pub token: String,
    /// Until when, by the node's clock; a stream ends with its token.
    pub expires_ms: u64,
}

impl fmt::Debug for StreamToken {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("StreamToken").field("expires_ms", &self.expires_ms).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_named_with_commas_between() {
        let some: EventKinds = "block,transfer,block".parse().unwrap();
        assert_eq!(some.to_string(), "transfer,block");
        assert!(some.contains(EventKind::Block) && !some.contains(EventKind::Transaction));
        for bad in ["", ",", "block,", "blocks", "Block", "block, transfer"] {
            assert_eq!(bad.parse::<EventKinds>(), Err(EventKindsError), "{bad:?}");
        }
        let json = r#"{"account":"sok@aclb","kinds":"transfer,block","from":3}"#;
        let query: EventsQuery = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_string(&query).unwrap(), json);
        let mut kinds = EventKinds::from(EventKind::Block);
        kinds.insert(EventKind::Transfer);
        assert_eq!(kinds, some);
    }

    #[test]
    fn an_event_says_what_it_is() {
        let outcome = TransactionOutcome::Rejected { code: RejectionCode::ZeroAmount, step: 2 };
        let hash = TransactionHash::default();
        let transaction = TransactionEvent { hash, height: Height(7), index: 3, outcome };
        let event =
            Event { id: "7.0.3".to_owned(), data: EventData::Transaction(transaction.clone()) };
        let json = serde_json::to_value(&event).unwrap();
        let data = serde_json::json!({"hash": "0".repeat(64), "height": 7, "index": 3,
            "status": "rejected", "code": "zero_amount", "step": 2});
        let expected = serde_json::json!({"id": "7.0.3", "event": "transaction", "data": data});
        assert_eq!(json, expected);
        assert_eq!(serde_json::from_value::<Event>(json).unwrap(), event);
        let committed = TransactionEvent { outcome: TransactionOutcome::Committed, ..transaction };
        let json = serde_json::to_value(&committed).unwrap();
        assert_eq!((&json["status"], json.get("code")), (&"committed".into(), None));
    }

    #[test]
    fn a_token_is_not_printed() {
        let token = StreamToken { token: "c0ffee".to_owned(), expires_ms: 1 };
        assert!(!format!("{token:?}").contains("c0ffee"));
    }
}
