//! Event streams: what is committed, told as Server-Sent Events to whoever listens.
//!
//! Events are read from the archive, block after block: a stream waits for a height and then reads
//! it, so a slow reader loses nothing and holds up nobody. What a stream holds is bounded: the
//! receipts of one block, a page of history and [`PIECE_BYTES_MAX`] of text.
//!
//! Of each block come first its transactions, then the transfers of the account that was named,
//! then the block itself. Where an event stands in this order is its id ([`Place`]), whatever kinds
//! were asked for, so that the next stream goes on right after it. Now and then, and at the
//! beginning, an id comes alone: so far there is nothing more to tell.
//!
//! Evidence is of this node and in no block, so it has no place in that order: it is told once, to
//! whoever listens when it is found, under the id of what was told before. It moves no stream on,
//! and what one missed is at `GET /v1/evidence`.
//!
//! | Kind | Shown to everyone under `public_reads` | Otherwise, with a token, if who asked for it |
//! |---|---|---|
//! | `block` | `chain` | was an account |
//! | `transaction` | `all` | holds `read_all_accounts`: who knows a hash may ask for more |
//! | `transfer` | `all` | asked for this account, and may read it |
//! | `evidence` | `chain` | was an account |
//!
//! That is looked up again for every block: a stream ends with the right to it.

use std::convert::Infallible;
use std::fmt::{self, Write};
use std::str::FromStr;
use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures::StreamExt;
use tokio::sync::{OwnedSemaphorePermit, watch};
use tokio::time::Instant;
use tonle_client::api::{
    BlockEvent, EVENTS, EventData, EventKind, EventKinds, EventsQuery, PublicReads,
    TransactionEvent, TransactionOutcome,
};
use tonle_model::id::AccountId;
use tonle_model::number::Height;
use tonle_model::permission::Permission;
use tonle_model::receipt::{Outcome, Receipt};
use tonle_wsv::state::{self, HistoryCursor, HistoryEntry};

use super::negotiate::Query;
use super::problem::{ApiError, stored};
use super::reads::off_thread;
use super::tokens::{Grant, granted};
use super::{App, Shared, answers, convert, evidence, query};

/// A piece of the stream ends with the event that passes this.
const PIECE_BYTES_MAX: usize = 64 * 1024;
/// Lines of history that are read at once.
const PAGE_LINES: usize = 500;

/// `GET /v1/events?account&kinds&from`
pub(super) async fn events(
    State(shared): App,
    headers: HeaderMap,
    Query(query): Query<EventsQuery>,
) -> Result<Response, ApiError> {
    let told = match (last_event_id(&headers)?, query.from) {
        (Some(place), _) => Some(place),
        (None, Some(from)) => from.previous().map(Place::end_of),
        (None, None) => Some(Place::end_of(shared.committed())),
    };
    let grant = granted(&shared, &headers)?;
    let next = told.map_or(Height(0), next_height);
    let admitted = move |shared: &Shared| {
        let listener = Listener::admit(shared, query, grant)?;
        listener.check_held(shared, next)?;
        Ok(listener)
    };
    let listener = off_thread(Arc::clone(&shared), admitted).await?;
    let Ok(permit) = Arc::clone(&shared.streams).try_acquire_owned() else {
        let detail = "the node has as many event streams as it can serve; use one for several \
                      purposes, or ask another node";
        return Err(ApiError::busy("busy", detail));
    };
    let teller = Teller {
        committed: shared.node.committed(),
        listener,
        evidence: shared.node.chain().evidence_count(),
        told,
        telling: None,
        spoke: None,
        shared,
        _permit: permit,
    };
    let pieces = futures::stream::unfold(teller, Teller::next).map(Ok::<_, Infallible>);
    let headers = [(header::CONTENT_TYPE, EVENTS), (header::CACHE_CONTROL, "no-store")];
    Ok((StatusCode::OK, headers, Body::from_stream(pieces)).into_response())
}

fn last_event_id(headers: &HeaderMap) -> Result<Option<Place>, ApiError> {
    let Some(value) = headers.get("last-event-id") else { return Ok(None) };
    let place = value.to_str().ok().and_then(|text| text.parse().ok());
    place.map(Some).ok_or_else(|| {
        ApiError::malformed(
            "the Last-Event-ID cannot be read; send the last id of the stream before as it came",
        )
    })
}

/// A place in the order of all events. Text form: three numbers with points between.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    height: Height,
    kind: EventKind,
    /// Counts the events of the kind in the block, from 0.
    index: u32,
}

impl Place {
    /// Where all of a block has been told.
    fn end_of(height: Height) -> Self {
        Self { height, kind: EventKind::Block, index: 0 }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}.{}.{}", self.height, self.kind as u8, self.index)
    }
}

/// The block to tell, or to go on telling, once it was told up to a place.
fn next_height(told: Place) -> Height {
    match told == Place::end_of(told.height) {
        true => told.height.next(),
        false => told.height,
    }
}

/// A text is not the id of an event.
#[derive(Debug, PartialEq, Eq)]
struct PlaceError;

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(text: &str) -> Result<Self, PlaceError> {
        let numbers: Vec<u64> = text.splitn(4, '.').map_while(|text| text.parse().ok()).collect();
        let [height, kind, index] = numbers[..] else { return Err(PlaceError) };
        let kind = usize::try_from(kind).ok().and_then(|kind| EventKind::ALL.get(kind).copied());
        // Evidence is in no block.
        let kind = kind.filter(|kind| *kind <= EventKind::Block).ok_or(PlaceError)?;
        let index = u32::try_from(index).map_err(|_| PlaceError)?;
        let place = Self { height: Height(height), kind, index };
        // No other text stands for the same place.
        match place.to_string() == text {
            true => Ok(place),
            false => Err(PlaceError),
        }
    }
}

/// Who listens, and to what.
struct Listener {
    account: Option<AccountId>,
    kinds: EventKinds,
    grant: Option<Grant>,
}

impl Listener {
    /// Finds out what there is to be told. Who names an account asks for its transfers, and who
    /// names no kinds takes what there is beside.
    fn admit(shared: &Shared, query: EventsQuery, grant: Option<Grant>) -> Result<Self, ApiError> {
        let EventsQuery { account, kinds, .. } = query;
        let has_transfers = |kinds: &EventKinds| kinds.contains(EventKind::Transfer);
        if kinds.as_ref().is_some_and(|kinds| has_transfers(kinds) != account.is_some()) {
            let detail = "`account` says whose transfers to tell: it comes with the kind \
                          `transfer`, and only with it";
            return Err(ApiError::malformed(detail));
        }
        let least = match account {
            Some(_) => EventKind::Transfer,
            None => EventKind::Block,
        };
        let is_open = kinds.is_none();
        let mut listener = Self { account, kinds: kinds.unwrap_or(least.into()), grant };
        listener.check(shared)?;
        for kind in [EventKind::Transaction, EventKind::Block, EventKind::Evidence] {
            if is_open && listener.may_hear(shared, kind)? {
                listener.kinds.insert(kind);
            }
        }
        if let Some(account) = &listener.account {
            answers::find_account(shared, account)?;
        }
        Ok(listener)
    }

    /// Refuses to begin where a snapshot spared this node what there is to tell.
    fn check_held(&self, shared: &Shared, from: Height) -> Result<(), ApiError> {
        let Some(joined) = shared.node.world().joined() else { return Ok(()) };
        let first = match self.kinds.contains(EventKind::Transfer) {
            // They are read from the history.
            true => joined.height.next(),
            false => joined.first,
        };
        match from < first {
            true => Err(ApiError::gone("these events", format_args!("height {first}"))),
            false => Ok(()),
        }
    }

    /// Refuses what may not be told, or no more.
    fn check(&self, shared: &Shared) -> Result<(), ApiError> {
        for kind in self.kinds.iter() {
            if !self.may_hear(shared, kind)? {
                return Err(self.refusal(shared, kind));
            }
        }
        Ok(())
    }

    fn may_hear(&self, shared: &Shared, kind: EventKind) -> Result<bool, ApiError> {
        if shared.is_public(shown_from(kind)) {
            return Ok(true);
        }
        let Some(grant) = &self.grant else { return Ok(false) };
        match kind {
            EventKind::Block | EventKind::Evidence => Ok(true),
            EventKind::Transaction => {
                let world = shared.node.world();
                stored(world.holds_permission(&grant.asker, &Permission::ReadAllAccounts))
            }
            EventKind::Transfer => match &self.account {
                Some(account) if grant.account == self.account => {
                    query::reads(shared, &grant.asker, account)
                }
                _ => Ok(false),
            },
        }
    }

    fn refusal(&self, shared: &Shared, kind: EventKind) -> ApiError {
        match (&self.grant, shared.check_public(shown_from(kind))) {
            (None, Err(refusal)) => refusal,
            _ => ApiError::new(
                StatusCode::FORBIDDEN,
                "permission_denied",
                format!(
                    "the token is not for events of kind `{kind}`: transfers are for who asked \
                     for the account's token and may read it, transactions for the holders of \
                     read_all_accounts"
                ),
            ),
        }
    }

    /// Whether the token has expired.
    fn is_over(&self, shared: &Shared) -> bool {
        let now_ms = shared.node.now_ms();
        self.grant.as_ref().is_some_and(|grant| grant.expires_ms <= now_ms)
    }
}

/// What `public_reads` must be at least for strangers to hear it.
fn shown_from(kind: EventKind) -> PublicReads {
    match kind {
        EventKind::Block | EventKind::Evidence => PublicReads::Chain,
        EventKind::Transaction | EventKind::Transfer => PublicReads::All,
    }
}

/// One stream. It ends when the node stops, when what it tells may not be told any more, and when
/// the store cannot be read; whoever listens comes again with its last id.
struct Teller {
    shared: Arc<Shared>,
    listener: Listener,
    committed: watch::Receiver<Height>,
    /// How much evidence there was when the last of it was told, or when the stream began.
    evidence: usize,
    /// Up to here everything was told.
    told: Option<Place>,
    /// The block that is half told.
    telling: Option<Telling>,
    /// When something was last said.
    spoke: Option<Instant>,
    _permit: OwnedSemaphorePermit,
}

impl Teller {
    /// The next piece of the stream.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        loop {
            let now = Instant::now();
            let silent_until = self.spoke.map_or(now, |spoke| spoke + self.shared.keep_alive);
            if silent_until <= now {
                return Some(self.say(String::new()));
            }
            let height = self.height();
            let is_there = tokio::select! {
                biased;
                () = self.shared.stopping() => return None,
                reached = self.committed.wait_for(|committed| *committed >= height) => {
                    reached.ok()?;
                    true
                }
                () = tokio::time::sleep_until(silent_until) => false,
            };
            if self.listener.is_over(&self.shared) {
                return None;
            }
            if is_there || self.has_evidence() {
                let shared = Arc::clone(&self.shared);
                let reading = off_thread(shared, move |shared| {
                    let mut text = self.read_evidence(shared)?;
                    if is_there {
                        text += &self.read(shared)?;
                    }
                    Ok((text, self))
                });
                let (text, teller) = reading.await.ok()?;
                self = teller;
                if !text.is_empty() {
                    return Some(self.say(text));
                }
            }
        }
    }

    /// The block to tell, or to go on telling.
    fn height(&self) -> Height {
        self.told.map_or(Height(0), next_height)
    }

    /// Events; or, if there are none, that the stream lives and how far it is.
    fn say(mut self, events: String) -> (Bytes, Self) {
        self.spoke = Some(Instant::now());
        let text = match (events.is_empty(), self.told) {
            (false, _) => events,
            (true, Some(place)) => format!(":\nid: {place}\n\n"),
            (true, None) => ":\n\n".to_owned(),
        };
        (text.into(), self)
    }

    /// Whether there is evidence to tell, and an id to tell it under.
    fn has_evidence(&self) -> bool {
        let is_asked = self.listener.kinds.contains(EventKind::Evidence) && self.told.is_some();
        is_asked && self.shared.node.chain().evidence_count() > self.evidence
    }

    /// The evidence that was found since it was last told.
    fn read_evidence(&mut self, shared: &Shared) -> Result<String, ApiError> {
        let mut text = String::new();
        let Some(told) = self.told.filter(|_| self.has_evidence()) else { return Ok(text) };
        self.listener.check(shared)?;
        let validators = shared.node.world().validators();
        let rows = stored(shared.node.chain().evidence_since(self.evidence))?;
        self.evidence += rows.len();
        for row in &rows {
            let event = EventData::Evidence(Box::new(evidence::shown(row, &validators)));
            write(&mut text, told, &event)?;
        }
        Ok(text)
    }

    /// The next events of the block that is there. It takes the disk's time.
    fn read(&mut self, shared: &Shared) -> Result<String, ApiError> {
        let mut telling = match self.telling.take() {
            Some(telling) => telling,
            None => {
                self.listener.check(shared)?;
                Telling::begin(shared, &self.listener, self.height())?
            }
        };
        let mut text = String::new();
        while text.len() < PIECE_BYTES_MAX {
            let Some((place, event)) = telling.next(shared)? else {
                self.told = Some(Place::end_of(telling.height));
                return Ok(text);
            };
            // A stream that goes on in the middle of a block has told its beginning before.
            if self.told < Some(place) {
                write(&mut text, place, &event)?;
                self.told = Some(place);
            }
        }
        self.telling = Some(telling);
        Ok(text)
    }
}

fn write(text: &mut String, place: Place, event: &EventData) -> Result<(), ApiError> {
    let data = stored(match event {
        EventData::Transaction(transaction) => serde_json::to_string(transaction),
        EventData::Transfer(line) => serde_json::to_string(line),
        EventData::Block(block) => serde_json::to_string(block),
        EventData::Evidence(evidence) => serde_json::to_string(evidence),
    })?;
    // Writing to a string cannot fail.
    let _ = write!(text, "id: {place}\nevent: {}\ndata: {data}\n\n", event.kind());
    Ok(())
}

/// What is left to tell of a block.
struct Telling {
    height: Height,
    receipts: std::iter::Zip<std::ops::RangeFrom<u32>, std::vec::IntoIter<Receipt>>,
    transfers: Option<Transfers>,
    block: Option<BlockEvent>,
}

impl Telling {
    fn begin(shared: &Shared, listener: &Listener, height: Height) -> Result<Self, ApiError> {
        let (header, _) = shared.decided(height)?;
        let receipts = match listener.kinds.contains(EventKind::Transaction) {
            true => shared.receipts(height)?,
            false => Vec::new(),
        };
        let account = listener.account.as_ref();
        let transfers =
            account.map(|account| Transfers::begin(shared, account, header.timestamp_ms));
        let block = listener.kinds.contains(EventKind::Block).then(|| BlockEvent {
            height,
            hash: header.hash(),
            timestamp_ms: header.timestamp_ms,
            transactions: u32::try_from(header.transaction_count()).unwrap_or(u32::MAX),
        });
        let receipts = (0..).zip(receipts);
        Ok(Self { height, receipts, transfers: transfers.transpose()?, block })
    }

    fn next(&mut self, shared: &Shared) -> Result<Option<(Place, EventData)>, ApiError> {
        let height = self.height;
        let at = |kind, index| Place { height, kind, index };
        if let Some((index, receipt)) = self.receipts.next() {
            let event = transaction(height, index, &receipt);
            return Ok(Some((at(EventKind::Transaction, index), EventData::Transaction(event))));
        }
        if let Some(transfers) = &mut self.transfers
            && let Some((index, line)) = transfers.next(shared)?
        {
            let scale = answers::asset_of(shared, &line.asset)?.scale;
            let event = EventData::Transfer(convert::history_entry(line, scale));
            return Ok(Some((at(EventKind::Transfer, index), event)));
        }
        Ok(self.block.take().map(|block| (Place::end_of(height), EventData::Block(block))))
    }
}

fn transaction(height: Height, index: u32, receipt: &Receipt) -> TransactionEvent {
    let outcome = match receipt.outcome {
        Outcome::Applied => TransactionOutcome::Committed,
        Outcome::Rejected { code, step } => TransactionOutcome::Rejected { code, step },
    };
    TransactionEvent { hash: receipt.transaction, height, index, outcome }
}

/// An account's movements in one block, oldest first. The history goes the other way, so the pages
/// are looked through to the oldest, remembering where each begins, and told from there.
struct Transfers {
    query: state::HistoryQuery,
    /// Where the newer pages begin, the newest first.
    pages: Vec<Option<HistoryCursor>>,
    /// What is left of the page at hand, the newest first.
    lines: Vec<HistoryEntry>,
    /// How many were told.
    count: u32,
}

impl Transfers {
    /// The time of a block is that of no other.
    fn begin(shared: &Shared, account: &AccountId, time_ms: u64) -> Result<Self, ApiError> {
        let mut query = state::HistoryQuery {
            account: account.clone(),
            asset: None,
            direction: None,
            since_ms: Some(time_ms),
            until_ms: Some(time_ms),
            limit: PAGE_LINES,
            cursor: None,
        };
        let mut pages = Vec::new();
        loop {
            let page = stored(shared.node.world().history(&query))?;
            let Some(next) = page.next else {
                return Ok(Self { query, pages, lines: page.entries, count: 0 });
            };
            pages.push(query.cursor.replace(next));
        }
    }

    fn next(&mut self, shared: &Shared) -> Result<Option<(u32, HistoryEntry)>, ApiError> {
        while self.lines.is_empty() {
            let Some(cursor) = self.pages.pop() else { return Ok(None) };
            self.query.cursor = cursor;
            self.lines = stored(shared.node.world().history(&self.query))?.entries;
        }
        let index = self.count;
        self.count += 1;
        Ok(self.lines.pop().map(|line| (index, line)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_stand_in_the_order_of_events_and_read_back() {
        let texts = ["0.0.0", "7.0.0", "7.0.9", "7.0.10", "7.1.0", "7.1.3", "7.2.0", "10.0.0"];
        let places = texts.map(|text| text.parse::<Place>().unwrap());
        assert!(places.is_sorted());
        assert_eq!(places.map(|place| place.to_string()), texts);
        assert_eq!(Place::end_of(Height(7)).to_string(), "7.2.0");
    }

    #[test]
    fn nothing_else_is_an_id() {
        let far = format!("{}.2.0", u64::MAX);
        assert!(far.parse::<Place>().is_ok());
        for bad in [
            "",
            "7",
            "7.",
            "7.2",
            "7.2.",
            "7.3.0",
            "7.2.0.0",
            "-7.2.0",
            "+7.2.0",
            "7.02.0",
            "07.2.0",
            " 7.2.0",
            "7.2.0 ",
            "7.0.4294967296",
            "18446744073709551616.2.0",
            "x.2.0",
            "..",
            "7.block.0",
        ] {
            assert_eq!(bad.parse::<Place>(), Err(PlaceError), "{bad:?}");
        }
    }
}
