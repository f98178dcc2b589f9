//! The JSON forms of the HTTP API, written by the node and read by every client.
//!
//! Ids, keys and hashes are texts, amounts decimal strings under their asset's scale, times
//! milliseconds since 1970. Fields are only ever added: whoever reads ignores what it does not
//! know.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use parity_scale_codec::{Decode, Encode};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use tonle_model::amount::Decimal;
use tonle_model::block::{BlockResult, Header};
use tonle_model::hash::{BlockHash, ChainHash, Digest256, TransactionHash};
use tonle_model::id::{AccountId, AssetId, Name};
use tonle_model::key::PublicKey;
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::receipt::{Outcome, Receipt, RejectionCode};
use tonle_model::transaction::Transaction;
use tonle_model::vote::Certificate;

mod events;
mod evidence;
mod ledger;

pub use events::{
    BlockEvent, Event, EventData, EventKind, EventKinds, EventsQuery, StreamToken,
    TransactionEvent, TransactionOutcome,
};
pub use evidence::{Evidence, EvidenceKind, Said, Statement};
pub use ledger::{
    Account, AccountStatus, Asset, Balance, Domain, DomainTotal, Hold, InvoicePayment,
    InvoiceStatus, Limit, PastBalance, Proposal, Role, Supply,
};
pub use tonle_model::genesis::{Parameters, PublicReads};
pub use tonle_model::query::{Direction, Query, QueryPayload, SignedQuery};

/// Media type of SCALE bodies.
pub const SCALE: &str = "application/x-parity-scale";
/// Media type of JSON bodies.
pub const JSON: &str = "application/json";
/// Media type of errors (RFC 9457).
pub const PROBLEM: &str = "application/problem+json";

/// Media type of event streams.
pub const EVENTS: &str = "text/event-stream";

/// Largest body of a POST, in bytes.
pub const BODY_BYTES_MAX: usize = 1024 * 1024;
/// Most transactions in one POST.
pub const TRANSACTIONS_MAX: usize = 4096;
/// Most items in one page.
pub const PAGE_ITEMS_MAX: u32 = 500;
/// Items in a page when the request does not say.
pub const PAGE_ITEMS: u32 = 50;
/// Longest `wait`, in milliseconds.
pub const WAIT_MS_MAX: u64 = 60_000;

/// Where a transaction stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "snake_case")]
pub enum TransactionStatus {
    /// Decoded, verified and accepted by this node, which will try. Nothing is promised yet.
    Queued,
    /// In a block whose finalization is on disk: final whatever f validators do.
    Committed {
        /// The block.
        height: Height,
        /// Its place among the block's receipts.
        index: u32,
    },
    /// In a block, and changed nothing.
    Rejected {
        /// Why.
        code: RejectionCode,
        /// Why, in words.
        detail: String,
        /// The block.
        height: Height,
        /// Its place among the block's receipts.
        index: u32,
        /// The step that failed, from 0.
        step: u16,
    },
    /// Can no longer be committed.
    Expired,
}

impl TransactionStatus {
    /// Whether nothing can change it any more.
    pub fn is_final(&self) -> bool {
        !matches!(self, Self::Queued)
    }
}

/// A transaction and where it stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitReply {
    /// The transaction.
    pub hash: TransactionHash,
    /// Where it stands.
    #[serde(flatten)]
    pub status: TransactionStatus,
}

/// What became of one transaction of an array.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SubmitItem {
    /// The transaction.
    pub hash: TransactionHash,
    /// Taken, known, or refused.
    #[serde(flatten)]
    pub outcome: SubmitOutcome,
}

/// Taken, known, or refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum SubmitOutcome {
    /// Where it stands; anything but `queued` was known before.
    Taken(TransactionStatus),
    /// Not taken.
    Refused(RefusedItem),
}

/// Why one transaction of an array was not taken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedItem {
    /// Always `refused`.
    pub status: RefusedTag,
    /// The stable code.
    pub code: String,
    /// What to do about it.
    pub detail: String,
    /// The HTTP status it would have been answered with alone.
    pub http_status: u16,
}

/// The word `refused`, which no [`TransactionStatus`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RefusedTag {
    /// The word.
    Refused,
}

/// What became of a transaction, as the one byte of a SCALE answer: a list of
/// (hash, [`SubmitCode`]). For clients that send thousands a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Encode, Decode)]
pub enum SubmitCode {
    /// Taken.
    #[codec(index = 0)]
    Queued,
    /// Known: committed before.
    #[codec(index = 1)]
    Committed,
    /// Known: rejected before.
    #[codec(index = 2)]
    Rejected,
    /// Known: expired.
    #[codec(index = 3)]
    Expired,
    /// Refused as HTTP 401 would: a signature is wrong.
    #[codec(index = 65)]
    BadSignature,
    /// Refused as HTTP 422 would: the ledger would not have it.
    #[codec(index = 66)]
    Unprocessable,
    /// Refused as HTTP 429 would: too much at once, try again later.
    #[codec(index = 67)]
    Busy,
    /// Refused as HTTP 503 would: this node is not ready.
    #[codec(index = 68)]
    NotReady,
}

/// Answer to `POST /v1/transactions/encode`: what to sign.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EncodeReply {
    /// Names the transaction, and is what its signatures sign.
    pub hash: TransactionHash,
    /// The SCALE payload in hex.
    pub payload: String,
}

/// A page of a longer list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// The `cursor` of the next page; absent on the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// One movement on an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryEntry {
    /// The block.
    pub height: Height,
    /// The transaction's place among the block's receipts.
    pub index: u32,
    /// The step of the transaction, from 0.
    pub step: u16,
    /// Block time.
    pub time_ms: u64,
    /// The transaction.
    pub transaction: TransactionHash,
    /// Which way.
    pub direction: Direction,
    /// What.
    pub asset: AssetId,
    /// The other party; the asset's owner when money was made or unmade.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterparty: Option<AccountId>,
    /// How much.
    pub amount: Decimal,
    /// What the account owned of the asset after it.
    pub balance: Decimal,
    /// For the parties to read.
    #[serde(default)]
    pub memo: String,
}

/// Which movements to list; newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HistoryQuery {
    /// Only this asset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub asset: Option<AssetId>,
    /// Only this way.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub direction: Option<Direction>,
    /// Not before this block time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<u64>,
    /// Not after this block time, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<u64>,
    /// At most so many, up to [`PAGE_ITEMS_MAX`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where the page before ended: its `next`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
}

/// A validator of the next height.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Validator {
    /// Its place in the canonical order.
    pub index: ValidatorIndex,
    /// A name for people.
    pub name: Name,
    /// Signs its votes.
    pub public_key: PublicKey,
}

/// One line about a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockBrief {
    /// Its place.
    pub height: Height,
    /// Its name.
    pub hash: BlockHash,
    /// Block time.
    pub timestamp_ms: u64,
    /// Who built it.
    pub proposer: ValidatorIndex,
    /// The view it was decided in; absent for genesis, which nobody decided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<View>,
    /// How many transactions its batches name, those included that left no receipt.
    pub transactions: u32,
}

/// A block with all that proves it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Block {
    /// Its place.
    pub height: Height,
    /// Its name: the hash of its header.
    pub hash: BlockHash,
    /// What was decided.
    pub header: Header,
    /// The quorum that decided it; absent for genesis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finalization: Option<Certificate>,
    /// What executing it came to; absent if this node does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<BlockResult>,
    /// Applied and rejected transactions in order; absent if the parameter `public_reads` does
    /// not show them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transactions: Option<Vec<BlockTransaction>>,
}

/// A transaction in a block.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockTransaction {
    /// Its name.
    pub hash: TransactionHash,
    /// What became of it.
    pub outcome: Outcome,
    /// Why it was rejected, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The transaction; absent for what genesis did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub transaction: Option<Transaction>,
}

/// A block's receipts in order, voids left out. `GET /v1/blocks` in SCALE is a list of these: what
/// it takes to follow commits.
#[derive(Debug, Clone, PartialEq, Eq, Encode, Decode)]
pub struct BlockReceipts {
    /// The block.
    pub height: Height,
    /// What became of its transactions.
    pub receipts: Vec<Receipt>,
}

/// Which blocks to list, upward.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BlocksQuery {
    /// The first height; the latest `limit` blocks if absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Height>,
    /// At most so many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Holds the answer until block `from` exists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
}

/// Whether to hold the answer until the status is final.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StatusQuery {
    /// For how long at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wait: Option<Wait>,
}

/// What a node does on its network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeRole {
    /// It votes.
    Validator,
    /// It follows.
    Observer,
    /// It is a validator whose log was lost: it follows until it may vote again (consensus.md,
    /// What is durable before what).
    Recovering,
}

/// What waits to be put into blocks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolStatus {
    /// How many transactions.
    pub transactions: u64,
    /// How many bytes.
    pub bytes: u64,
}

/// A node about itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeStatus {
    /// The network.
    pub chain: ChainHash,
    /// The node's name for people; a validator's as the ledger has it.
    pub name: String,
    /// What it does.
    pub role: NodeRole,
    /// Why a validator of the ledger does not vote, if it does not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_voting: Option<String>,
    /// The last committed block.
    pub height: Height,
    /// Its hash.
    pub hash: BlockHash,
    /// The root of the state after it.
    pub state_root: Digest256,
    /// Its block time.
    pub timestamp_ms: u64,
    /// The view of the height being decided.
    pub view: View,
    /// How many nodes it is connected to.
    pub peers: u32,
    /// What waits.
    pub pool: PoolStatus,
    /// The program's version.
    pub version: String,
    /// Whether it is behind and fetching blocks.
    pub syncing: bool,
    /// How far it is with that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sync: Option<SyncProgress>,
    /// Since it was started.
    pub uptime_ms: u64,
    /// Whether votes and blocks are on disk before they count. Always, in production.
    pub synced_writes: bool,
    /// Whether the network allows keys that everyone can compute.
    pub demo: bool,
}

/// What a node that is behind fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SyncPhase {
    /// The state, from a snapshot of its peers.
    Snapshot,
    /// Blocks, which it executes.
    Blocks,
}

/// How far a node that is behind is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncProgress {
    /// With what.
    pub phase: SyncPhase,
    /// Pieces of the state that are here, or the last committed height.
    pub done: u64,
    /// Of how many, or the height that others have reached; 0 while that is not known.
    pub of: u64,
    /// State entries, or transactions, that came in a second of late.
    pub per_second: u64,
    /// How long it will take at this rate, in seconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub left_s: Option<u64>,
}

/// An error as RFC 9457 has it. `code` is stable; words may be improved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Where the code is documented.
    #[serde(rename = "type", default = "about_blank")]
    pub kind: String,
    /// The code in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here and what to do about it.
    pub detail: String,
    /// The stable code that programs match on.
    pub code: String,
    /// When it is worth trying again, in seconds; also in `Retry-After`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after_s: Option<u64>,
    /// For an array of which nothing was taken: why, each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub results: Vec<SubmitItem>,
}

fn about_blank() -> String {
    "about:blank".to_owned()
}

/// How long to wait, as texts say it: `5s` or `500ms`. At most [`WAIT_MS_MAX`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wait {
    milliseconds: u64,
}

/// Why a text is not a [`Wait`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a wait is written like 5s or 500ms, at most {}s", WAIT_MS_MAX / 1000)]
pub struct WaitError;

impl Wait {
    /// As long as asked for, or as long as allowed.
    pub fn at_most(duration: Duration) -> Self {
        let milliseconds = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        Self { milliseconds: milliseconds.min(WAIT_MS_MAX) }
    }

    /// How long.
    pub fn duration(self) -> Duration {
        Duration::from_millis(self.milliseconds)
    }
}

impl fmt::Display for Wait {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}ms", self.milliseconds)
    }
}

impl FromStr for Wait {
    type Err = WaitError;

    fn from_str(text: &str) -> Result<Self, WaitError> {
        let (digits, factor) = match text.strip_suffix("ms") {
            Some(digits) => (digits, 1),
            None => (text.strip_suffix('s').ok_or(WaitError)?, 1000),
        };
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        let number = digits.parse::<u64>().ok().filter(|_| plain).ok_or(WaitError)?;
        match number.checked_mul(factor) {
            Some(milliseconds) if milliseconds <= WAIT_MS_MAX => Ok(Self { milliseconds }),
            _ => Err(WaitError),
        }
    }
}

impl Serialize for Wait {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Wait {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_bounded_and_have_units() {
        assert_eq!("5s".parse::<Wait>().unwrap().duration(), Duration::from_secs(5));
        assert_eq!("500ms".parse::<Wait>().unwrap().duration(), Duration::from_millis(500));
        for bad in ["", "5", "s", "ms", "-1s", "+1s", "61s", "99999999999999999999s", "1m"] {
            assert_eq!(bad.parse::<Wait>(), Err(WaitError), "{bad:?}");
        }
        let longest = Wait::at_most(Duration::MAX);
        assert_eq!(longest.to_string().parse(), Ok(longest));
    }

    #[test]
    fn a_reply_is_one_flat_object() {
        let reply = SubmitReply {
            hash: TransactionHash::default(),
            status: TransactionStatus::Committed { height: Height(7), index: 3 },
        };
        let json = serde_json::to_value(&reply).unwrap();
        let hash = "0".repeat(64);
        let flat =
            serde_json::json!({"hash": hash, "status": "committed", "height": 7, "index": 3});
        assert_eq!(json, flat);
        assert_eq!(serde_json::from_value::<SubmitReply>(json).unwrap(), reply);
    }

    #[test]
    fn items_of_an_array_say_taken_or_refused() {
        let refused = SubmitOutcome::Refused(RefusedItem {
            status: RefusedTag::Refused,
            code: "pool_full".to_owned(),
            detail: "later".to_owned(),
            http_status: 429,
        });
        let rejected = SubmitOutcome::Taken(TransactionStatus::Rejected {
            code: RejectionCode::ZeroAmount,
            detail: "the amount is zero".to_owned(),
            height: Height(1),
            index: 0,
            step: 2,
        });
        let queued = SubmitOutcome::Taken(TransactionStatus::Queued);
        for (outcome, word) in [(refused, "refused"), (rejected, "rejected"), (queued, "queued")] {
            let item = SubmitItem { hash: TransactionHash::default(), outcome };
            let json = serde_json::to_value(&item).unwrap();
            assert_eq!(json["status"], word);
            assert_eq!(serde_json::from_value::<SubmitItem>(json).unwrap(), item);
        }
    }

    #[test]
    fn queries_read_back_what_they_wrote() {
        let query = BlocksQuery {
            from: Some(Height(3)),
            limit: None,
            wait: Some(Wait::at_most(Duration::from_secs(2))),
        };
        let json = serde_json::to_string(&query).unwrap();
        assert_eq!(json, r#"{"from":3,"wait":"2000ms"}"#);
        assert_eq!(serde_json::from_str::<BlocksQuery>(&json).unwrap(), query);
    }
}
