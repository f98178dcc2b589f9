//! Event streams: what they tell, to whom, and that nothing is missing where one goes on.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpSocket;
use tonle_client::api::{
    Event, EventData, EventKinds, EventsQuery, HistoryQuery, Query, QueryPayload, StreamToken,
    TransactionOutcome,
};
use tonle_client::{ClientError, EventStream};
use tonle_model::id::AccountId;
use tonle_model::key::KeyPair;
use tonle_model::number::Height;
use tonle_model::receipt::RejectionCode;

use super::tests_node::{GENESIS_MS, Net, PATIENCE, start, start_with};
use super::{Node, Settings};

const OPERATOR: &str = "governor@nbc";
const HOUR_MS: u64 = 60 * 60 * 1000;

fn id(text: &str) -> AccountId {
    text.parse().unwrap()
}

fn asked(account: Option<&str>, kinds: Option<&str>, from: Option<u64>) -> EventsQuery {
    let kinds = kinds.map(|kinds| kinds.parse::<EventKinds>().unwrap());
    EventsQuery { account: account.map(id), kinds, from: from.map(Height) }
}

async fn open(net: &Net, query: &EventsQuery, last_id: Option<&str>) -> EventStream {
    net.client.events(query, last_id, None).await.unwrap()
}

/// The next event, which comes.
async fn next(stream: &mut EventStream) -> Event {
    let event = tokio::time::timeout(PATIENCE, stream.next()).await.expect("an event comes");
    event.unwrap().expect("the stream goes on")
}

async fn take(stream: &mut EventStream, count: usize) -> Vec<Event> {
    let mut events = Vec::with_capacity(count);
    for _ in 0..count {
        events.push(next(stream).await);
    }
    events
}

/// Waits for the end of a stream that has nothing more to tell.
async fn ends(stream: &mut EventStream) {
    let end = tokio::time::timeout(PATIENCE, stream.next()).await.expect("the stream ends");
    assert_eq!(end.unwrap(), None);
}

fn ids(events: &[Event]) -> Vec<&str> {
    events.iter().map(|event| event.id.as_str()).collect()
}

/// Two payments by `sok` to `dara`, and one that fails, in two blocks.
async fn paid(net: &Net) {
    let payment = |from, to, amount, nonce| net.node.payment(from, to, amount, nonce);
    net.node.commit(&[payment("sok@aclb", "dara@wing", "20000", 0)]);
    net.node.commit(&[
        payment("sok@aclb", "dara@wing", "5", 1),
        payment("dara@wing", "sok@aclb", "999999", 2),
        payment("dara@wing", "sok@aclb", "3", 3),
    ]);
}

#[tokio::test]
async fn a_block_is_told_after_its_transactions_and_transfers() {
    let net = start().await;
    paid(&net).await;
    let mut stream = open(&net, &asked(Some("dara@wing"), None, Some(1)), None).await;
    let events = take(&mut stream, 9).await;
    let expected =
        ["1.0.0", "1.1.0", "1.2.0", "2.0.0", "2.0.1", "2.0.2", "2.1.0", "2.1.1", "2.2.0"];
    assert_eq!(ids(&events), expected);

    let block = net.client.block(tonle_client::BlockId::Height(Height(2))).await.unwrap();
    let EventData::Block(told) = &events[8].data else { panic!("{events:?}") };
    assert_eq!((told.height, told.hash, told.transactions), (Height(2), block.hash, 3));
    assert_eq!(told.timestamp_ms, GENESIS_MS + 2000);

    let outcomes = block.transactions.unwrap();
    for (index, event) in (0..).zip(&events[3..6]) {
        let EventData::Transaction(told) = &event.data else { panic!("{event:?}") };
        assert_eq!((told.height, told.index), (Height(2), index));
        assert_eq!(told.hash, outcomes[index as usize].hash);
        let code = RejectionCode::InsufficientBalance;
        let expected = match index {
            1 => TransactionOutcome::Rejected { code, step: 0 },
            _ => TransactionOutcome::Committed,
        };
        assert_eq!(told.outcome, expected);
    }

    let history =
        net.client.history(&id("dara@wing"), &HistoryQuery::default()).await.unwrap().items;
    let told = events.iter().filter_map(|event| match &event.data {
        EventData::Transfer(line) => Some(line.clone()),
        _ => None,
    });
    let told: Vec<_> = told.collect();
    assert_eq!(told, history.into_iter().rev().collect::<Vec<_>>(), "oldest first");
}

#[tokio::test]
async fn genesis_is_told_too() {
    let net = start().await;
    let mut stream = open(&net, &asked(Some("sok@aclb"), None, Some(0)), None).await;
    assert_eq!(ids(&take(&mut stream, 3).await), ["0.1.0", "0.1.1", "0.2.0"]);
}

#[tokio::test]
async fn only_what_was_asked_for_is_told() {
    let net = start().await;
    paid(&net).await;
    for (account, kinds, expected) in [
        (None, None, vec!["1.0.0", "1.2.0", "2.0.0", "2.0.1", "2.0.2", "2.2.0"]),
        (None, Some("block"), vec!["1.2.0", "2.2.0"]),
        (None, Some("transaction"), vec!["1.0.0", "2.0.0", "2.0.1", "2.0.2"]),
        (Some("sok@aclb"), Some("transfer"), vec!["1.1.0", "2.1.0", "2.1.1"]),
        (Some("bopha@wing"), Some("transfer,block"), vec!["1.2.0", "2.2.0"]),
    ] {
        let mut stream = open(&net, &asked(account, kinds, Some(1)), None).await;
        let events = take(&mut stream, expected.len()).await;
        assert_eq!(ids(&events), expected, "{account:?} {kinds:?}");
    }
}

#[tokio::test]
async fn a_stream_goes_on_after_any_event_without_gap_or_repetition() {
    let net = start().await;
    paid(&net).await;
    let queries = [
        (asked(Some("dara@wing"), None, Some(0)), 10),
        (asked(Some("sok@aclb"), Some("transfer"), Some(0)), 5),
        (asked(None, Some("transaction"), Some(1)), 4),
    ];
    let mut wholes = Vec::new();
    for (query, count) in &queries {
        wholes.push(take(&mut open(&net, query, None).await, *count).await);
    }
    // What comes next shows that nothing was left over.
    net.node.commit(&[net.node.payment("sok@aclb", "dara@wing", "7", 9)]);
    for ((query, _), whole) in queries.iter().zip(wholes) {
        for told in 0..whole.len() {
            let mut stream = open(&net, query, Some(&whole[told].id)).await;
            let rest = take(&mut stream, whole.len() - told - 1).await;
            assert_eq!(rest, whole[told + 1..], "after {}", whole[told].id);
            let after = next(&mut stream).await;
            assert!(after.id.starts_with("3."), "{after:?} after {}", whole[told].id);
        }
    }
}

#[tokio::test]
async fn a_block_of_many_pieces_is_told_whole_and_in_order() {
    const PAYMENTS: usize = 1_100;
    let net = start().await;
    let payments: Vec<_> = (0..PAYMENTS as u64)
        .map(|nonce| net.node.payment("sok@aclb", "dara@wing", "1", nonce))
        .collect();
    net.node.commit(&payments);
    let query = asked(Some("dara@wing"), None, Some(1));
    let whole = take(&mut open(&net, &query, None).await, 2 * PAYMENTS + 1).await;
    for (index, (event, payment)) in whole.iter().zip(&payments).enumerate() {
        let EventData::Transaction(told) = &event.data else { panic!("{event:?}") };
        assert_eq!((told.index as usize, told.hash), (index, payment.payload.hash()));
    }
    for (index, (event, payment)) in whole[PAYMENTS..].iter().zip(&payments).enumerate() {
        let EventData::Transfer(line) = &event.data else { panic!("{event:?}") };
        assert_eq!((line.index as usize, line.transaction), (index, payment.payload.hash()));
        assert_eq!(line.balance.to_string(), (index + 1).to_string());
    }
    for told in [0, 499, 500, 1_098, 1_099, 1_100, 1_600, 2_198, 2_199] {
        let mut stream = open(&net, &query, Some(&whole[told].id)).await;
        assert_eq!(take(&mut stream, whole.len() - told - 1).await, whole[told + 1..], "{told}");
    }
}

#[tokio::test]
async fn a_stream_begins_after_the_present_and_waits() {
    let net = start().await;
    paid(&net).await;
    let mut stream = open(&net, &asked(None, None, None), None).await;
    let mut ahead = open(&net, &asked(None, None, Some(4)), None).await;
    let waiting = tokio::spawn(async move { take(&mut stream, 4).await });
    let pay = |nonce| net.node.commit(&[net.node.payment("sok@aclb", "dara@wing", "1", nonce)]);
    pay(10);
    pay(11);
    let events = waiting.await.unwrap();
    assert_eq!(ids(&events), ["3.0.0", "3.2.0", "4.0.0", "4.2.0"]);
    assert_eq!(next(&mut ahead).await.id, "4.0.0");
}

/// Reads the stream as it is until a line comes.
async fn read_until(net: &Net, request: &str, wanted: &str) -> Vec<String> {
    let reading = tokio::time::timeout(PATIENCE, lines_until(net, request, wanted));
    reading.await.expect("the line comes")
}

async fn lines_until(net: &Net, request: &str, wanted: &str) -> Vec<String> {
    let mut stream = BufReader::new(net.connect().await);
    stream.get_mut().write_all(request.as_bytes()).await.unwrap();
    let mut lines = Vec::new();
    let mut seen = false;
    while !seen {
        let mut line = String::new();
        assert!(stream.read_line(&mut line).await.unwrap() > 0, "{lines:?}");
        seen = line.trim_end() == wanted;
        lines.push(line.trim_end().to_ascii_lowercase());
    }
    lines
}

#[tokio::test]
async fn a_quiet_stream_says_that_it_lives_and_how_far_it_is() {
    let settings = Settings { keep_alive: Duration::from_millis(5), ..Settings::default() };
    let net = start_with("all", settings).await;
    let request = "GET /v1/events?account=bopha@wing&kinds=transfer HTTP/1.1\r\nhost: x\r\n\r\n";
    let lines = read_until(&net, request, "id: 0.2.0").await;
    assert!(lines.contains(&"content-type: text/event-stream".to_owned()), "{lines:?}");
    assert!(lines.contains(&"cache-control: no-store".to_owned()), "{lines:?}");

    let reading = async { read_until(&net, request, "id: 2.2.0").await };
    let paying = async { paid(&net).await };
    let (lines, ()) = tokio::join!(reading, paying);
    assert!(!lines.iter().any(|line| line.starts_with("event")), "nothing to tell: {lines:?}");
}

#[tokio::test]
async fn the_first_word_is_where_a_stream_begins() {
    let net = start().await;
    paid(&net).await;
    let mut stream = open(&net, &asked(Some("sok@aclb"), Some("transfer"), None), None).await;
    let first_word = async {
        while stream.last_id().is_none() {
            let _ = tokio::time::timeout(Duration::from_millis(1), stream.next()).await;
        }
    };
    tokio::time::timeout(PATIENCE, first_word).await.expect("it comes at once");
    assert_eq!(stream.last_id(), Some("2.2.0"), "whoever is cut off now misses nothing");
}

#[track_caller]
fn assert_refused(opened: Result<EventStream, ClientError>, status: u16, code: &str) {
    let error = opened.map(|_| "opened").unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(status), Some(code)), "{error}");
}

#[tokio::test]
async fn strangers_hear_what_the_network_shows() {
    let kinds = |account, kinds| asked(account, Some(kinds), None);
    let of_sok = || kinds(Some("sok@aclb"), "transfer");
    for (shown, chain, all) in [("none", false, false), ("chain", true, false), ("all", true, true)]
    {
        let net = start_with(shown, Settings::default()).await;
        for (query, may) in [
            (asked(None, None, None), chain),
            (kinds(None, "block"), chain),
            (kinds(None, "transaction"), all),
            (kinds(None, "transaction,block"), all),
            (asked(Some("sok@aclb"), None, None), all),
            (of_sok(), all),
        ] {
            let opened = net.client.events(&query, None, None).await;
            match may {
                true => drop(opened.unwrap()),
                false => assert_refused(opened, 403, "reads_not_public"),
            }
        }
    }
    let net = start_with("chain", Settings::default()).await;
    paid(&net).await;
    let mut stream = open(&net, &asked(None, None, Some(1)), None).await;
    assert_eq!(ids(&take(&mut stream, 2).await), ["1.2.0", "2.2.0"], "blocks and no hashes");
}

async fn token(net: &Net, asker: &str, account: Option<&str>) -> Result<StreamToken, ClientError> {
    let payload = QueryPayload {
        chain: net.node.world().chain(),
        account: id(asker),
        created_ms: net.node.now_ms(),
        nonce: net.node.world().committed().height.0 * 100 + account.map_or(0, str::len) as u64,
        query: Query::Stream { account: account.map(id) },
    };
    net.client.stream_token(&payload.sign(&[&KeyPair::demo(asker)])).await
}

#[tokio::test]
async fn a_token_is_for_what_its_asker_may_read() {
    let net = start_with("none", Settings::default()).await;
    paid(&net).await;
    let error = token(&net, "dara@wing", Some("sok@aclb")).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(403), Some("permission_denied")));
    let error = token(&net, OPERATOR, Some("nobody@aclb")).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(404), Some("unknown_account")));

    let own = token(&net, "sok@aclb", Some("sok@aclb")).await.unwrap();
    assert_eq!((own.token.len(), own.expires_ms), (64, net.node.now_ms() + HOUR_MS));
    let plain = token(&net, "sok@aclb", None).await.unwrap();
    let of_operator = token(&net, OPERATOR, Some("sok@aclb")).await.unwrap();
    let [block, transaction] = ["block", "transaction"].map(|kind| asked(None, Some(kind), None));
    let of = |account| asked(Some(account), Some("transfer"), None);
    for (query, token, may) in [
        (&block, &own, true),
        (&block, &plain, true),
        (&of("sok@aclb"), &own, true),
        (&of("sok@aclb"), &plain, false),
        (&of("dara@wing"), &own, false),
        (&transaction, &own, false),
        (&transaction, &plain, false),
        (&transaction, &of_operator, true),
        (&of("sok@aclb"), &of_operator, true),
        (&of("dara@wing"), &of_operator, false),
    ] {
        let opened = net.client.events(query, None, Some(token)).await;
        match may {
            true => drop(opened.unwrap()),
            false => assert_refused(opened, 403, "permission_denied"),
        }
    }
    let open = asked(Some("sok@aclb"), None, Some(1));
    let mut stream = net.client.events(&open, None, Some(&own)).await.unwrap();
    let events = take(&mut stream, 5).await;
    assert_eq!(ids(&events), ["1.1.0", "1.2.0", "2.1.0", "2.1.1", "2.2.0"]);
    let mut stream = net.client.events(&open, None, Some(&of_operator)).await.unwrap();
    assert_eq!(ids(&take(&mut stream, 2).await), ["1.0.0", "1.1.0"]);
}

#[tokio::test]
async fn a_token_that_is_none_is_refused_even_where_none_is_needed() {
    let net = start().await;
    let good = token(&net, "sok@aclb", None).await.unwrap();
    let url = format!("http://{}/v1/events", net.address);
    let digit = if good.token.ends_with('0') { "1" } else { "0" };
    let other = format!("{}{digit}", &good.token[..63]);
    for (header, status) in [
        (format!("Bearer {}", good.token), 200),
        (format!("bearer {}", good.token), 200),
        (format!("Bearer {other}"), 401),
        (format!("Bearer {}", &good.token[..62]), 401),
        (format!("Basic {}", good.token), 401),
        (good.token.clone(), 401),
        ("Bearer".to_owned(), 401),
    ] {
        let request = reqwest::Client::new().get(&url).header("authorization", &header);
        assert_eq!(request.send().await.unwrap().status().as_u16(), status, "{header}");
    }
    let other = StreamToken { token: other, ..good };
    let opened = net.client.events(&asked(None, None, None), None, Some(&other)).await;
    assert_refused(opened, 401, "unknown_token");
}

#[tokio::test]
async fn a_stream_ends_with_its_token() {
    let settings = Settings { keep_alive: Duration::from_millis(5), ..Settings::default() };
    let net = start_with("none", settings).await;
    let token = token(&net, "sok@aclb", Some("sok@aclb")).await.unwrap();
    let query = asked(Some("sok@aclb"), None, None);
    let mut stream = net.client.events(&query, None, Some(&token)).await.unwrap();
    net.node.ahead_ms.store(HOUR_MS - 1001, Ordering::Relaxed);
    net.node.commit(&[net.node.payment("sok@aclb", "dara@wing", "1", 1)]);
    assert_eq!(ids(&take(&mut stream, 2).await), ["1.1.0", "1.2.0"], "a millisecond is left");
    net.node.ahead_ms.fetch_add(1, Ordering::Relaxed);
    ends(&mut stream).await;
    let opened = net.client.events(&query, None, Some(&token)).await;
    assert_refused(opened, 401, "unknown_token");
}

#[tokio::test]
async fn a_stream_ends_with_the_right_to_it() {
    let net = start().await;
    let mut public = open(&net, &asked(None, None, None), None).await;
    let hide = json!({"set_parameter": {"public_reads": "none"}});
    net.node.run(OPERATOR, &[OPERATOR], &[hide]);
    ends(&mut public).await;

    let grant = json!({"grant": {"permission": "read_accounts:aclb", "account": "dara@wing"}});
    net.node.run(OPERATOR, &[OPERATOR], &[grant]);
    let token = token(&net, "dara@wing", Some("sok@aclb")).await.unwrap();
    let query = asked(Some("sok@aclb"), None, None);
    let mut stream = net.client.events(&query, None, Some(&token)).await.unwrap();
    net.node.commit(&[net.node.payment("sok@aclb", "dara@wing", "1", 1)]);
    assert_eq!(ids(&take(&mut stream, 2).await), ["3.1.0", "3.2.0"]);
    let revoke = json!({"revoke": {"permission": "read_accounts:aclb", "account": "dara@wing"}});
    net.node.run(OPERATOR, &[OPERATOR], &[revoke]);
    ends(&mut stream).await;
    let opened = net.client.events(&query, None, Some(&token)).await;
    assert_refused(opened, 403, "permission_denied");
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let net = start().await;
    let status = |path: &str, last_id: &str| {
        let request = reqwest::Client::new().get(format!("http://{}/v1/{path}", net.address));
        let request = request.header("last-event-id", last_id);
        async move { request.send().await.unwrap().status().as_u16() }
    };
    assert_eq!(status("events", "7.2.0").await, 200, "it may be another node's");
    for bad in ["", "7", "7.3.0", "7.2.0.0", "7.2.-1", "next"] {
        assert_eq!(status("events", bad).await, 400, "{bad:?}");
    }
    for bad in [
        "events?kinds=",
        "events?kinds=blocks",
        "events?kinds=transfer",
        "events?account=sok@aclb&kinds=block",
        "events?account=Sok",
        "events?from=-1",
        "events?form=1",
    ] {
        assert_eq!(status(bad, "7.2.0").await, 400, "{bad}");
    }
    assert_eq!(status("events?account=nobody@aclb", "7.2.0").await, 404);
}

#[tokio::test]
async fn streams_are_bounded_and_make_room_when_they_end() {
    let settings = Settings { streams_max: 1, keep_alive: PATIENCE * 2, ..Settings::default() };
    let net = start_with("all", settings).await;
    let query = asked(None, None, None);
    let first = open(&net, &query, None).await;
    let refused = net.client.events(&query, None, None).await;
    let retry_after = refused.as_ref().err().and_then(ClientError::retry_after);
    assert!(retry_after.is_some());
    assert_refused(refused, 503, "busy");
    net.client.node_status().await.expect("everything else is answered");
    drop(first);
    let again = async {
        while net.client.events(&query, None, None).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, again).await.expect("the place comes free");
}

#[tokio::test]
async fn tokens_are_bounded() {
    let settings = Settings { tokens_max: 1, ..Settings::default() };
    let net = start_with("none", settings).await;
    token(&net, "sok@aclb", None).await.unwrap();
    let error = token(&net, "dara@wing", None).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(429), Some("busy")));
    assert!(error.retry_after().is_some());
    net.node.ahead_ms.store(HOUR_MS, Ordering::Relaxed);
    let later = token(&net, "bopha@wing", None).await;
    assert!(later.is_ok(), "an hour later there is room again");
}

#[tokio::test]
async fn a_stop_ends_streams() {
    let net = start().await;
    let mut stream = open(&net, &asked(None, None, None), None).await;
    net.stop.send_replace(true);
    ends(&mut stream).await;
    tokio::time::timeout(PATIENCE, net.server).await.expect("the server ends").unwrap();
}

#[tokio::test]
async fn a_reader_that_takes_nothing_makes_room_for_another() {
    let stall_max = Duration::from_millis(50);
    let settings = Settings { streams_max: 1, stall_max, ..Settings::default() };
    let net = start_with("all", settings).await;
    // More than the system keeps between the two.
    for block in 0..16 {
        let payments: Vec<_> = (0..1_000)
            .map(|nonce| net.node.payment("sok@aclb", "dara@wing", "1", block * 1_000 + nonce))
            .collect();
        net.node.commit(&payments);
    }
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut reader = socket.connect(net.address.parse().unwrap()).await.unwrap();
    let request = b"GET /v1/events?account=dara@wing&from=0 HTTP/1.1\r\nhost: x\r\n\r\n";
    reader.write_all(request).await.unwrap();
    reader.readable().await.unwrap();
    let query = asked(None, None, None);
    assert_refused(net.client.events(&query, None, None).await, 503, "busy");
    let freed = async {
        while net.client.events(&query, None, None).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("the place comes free");
    drop(reader);
}
