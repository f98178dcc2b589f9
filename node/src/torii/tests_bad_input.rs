//! What strangers send, and what they hear: the node stays up through all of it.

use std::time::Duration;

use parity_scale_codec::{Compact, Encode};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tonle_client::api::{BODY_BYTES_MAX, JSON, PROBLEM, Problem, SCALE, TRANSACTIONS_MAX};
use tonle_model::bounded::Bounded;
use tonle_model::instruction::Instruction;
use tonle_model::key::KeyPair;
use tonle_model::limits;
use tonle_model::transaction::Transaction;

use super::stall::Unstalled;
use super::tests_node::{Net, PATIENCE, read_to_end, start, start_with};
use super::{BODIES_BYTES_MAX, Settings};

const ROUTE: &str = "/v1/transactions";

/// A request on a connection of its own, and the problem it is answered with.
async fn problem(net: &Net, method: &str, path: &str, media: &str, body: &[u8]) -> Problem {
    let length = body.len();
    let head = format!(
        "{method} {path} HTTP/1.1\r\nhost: x\r\ncontent-type: {media}\r\n\
         content-length: {length}\r\nconnection: close\r\n\r\n"
    );
    parse(&net.raw(&[head.as_bytes(), body].concat()).await)
}

fn parse(answer: &str) -> Problem {
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{answer:?}"));
    assert!(head.contains(&format!("content-type: {PROBLEM}")), "{head}");
    let problem: Problem = serde_json::from_str(body).unwrap();
    assert!(head.starts_with(&format!("HTTP/1.1 {}", problem.status)), "{head}");
    assert!(!problem.detail.is_empty() && !problem.title.is_empty());
    problem
}

async fn refused(net: &Net, media: &str, body: &[u8]) -> (u16, String, String) {
    let problem = problem(net, "POST", ROUTE, media, body).await;
    (problem.status, problem.code, problem.detail)
}

async fn assert_refused(net: &Net, media: &str, body: &[u8], status: u16, code: &str, word: &str) {
    let (got_status, got_code, detail) = refused(net, media, body).await;
    assert_eq!((got_status, got_code.as_str()), (status, code), "{detail}");
    assert!(detail.contains(word), "{detail:?} says {word:?}");
}

#[tokio::test]
async fn malformed_json_is_refused_with_the_place() {
    let net = start().await;
    let good = serde_json::to_string(&net.node.payment("sok@aclb", "dara@wing", "5", 1)).unwrap();
    let extra = good.replacen('{', "{\"surprise\":1,", 1);
    let decimals = good.replace("\"5\"", "\"5.1234567890123456789\"");
    let negative = good.replace("\"5\"", "\"-5\"");
    let number = good.replace("\"5\"", "5");
    let deep = "[".repeat(100_000);
    let bad = ["", "null", "{", "[1]", &extra, &decimals, &negative, &number, &deep, "\u{0}"];
    for body in bad {
        assert_refused(&net, JSON, body.as_bytes(), 400, "malformed", "not the JSON of").await;
    }
    assert_refused(&net, JSON, b"[]", 400, "malformed", "empty").await;
    assert_refused(&net, JSON, b"\xff\xfe", 400, "malformed", "").await;
    let path = "/v1/transactions/encode";
    assert_eq!(problem(&net, "POST", path, JSON, b"{}").await.code, "malformed");
}

#[tokio::test]
async fn malformed_scale_is_refused_with_the_place() {
    let net = start().await;
    let good = net.node.payment("sok@aclb", "dara@wing", "5", 1).encode();
    let truncated = &good[..good.len() - 1];
    assert_refused(&net, SCALE, truncated, 400, "malformed", "not a transaction").await;
    let trailing = [&good[..], &[0]].concat();
    assert_refused(&net, SCALE, &trailing, 400, "malformed", "after the end").await;
    for garbage in [&[][..], &[0], &[0xff; 64], &[4; 100]] {
        let (status, ..) = refused(&net, SCALE, garbage).await;
        assert!(matches!(status, 400 | 413), "{garbage:?}: {status}");
    }
    let second_bad = [&Compact(2u32).encode()[..], &good, truncated].concat();
    assert_refused(&net, SCALE, &second_bad, 400, "malformed", "transaction 1 of").await;
    let one_more = [&Compact(1u32).encode()[..], &good, &good].concat();
    assert_refused(&net, SCALE, &one_more, 400, "malformed", "after the 1 transactions").await;
    let claim = [&Compact(u32::MAX).encode()[..], &good].concat();
    assert_refused(&net, SCALE, &claim, 413, "too_many_transactions", "several arrays").await;
    let too_many = [&Compact(TRANSACTIONS_MAX as u32 + 1).encode()[..], &good].concat();
    assert_refused(&net, SCALE, &too_many, 413, "too_many_transactions", "4096").await;
}

#[tokio::test]
async fn ill_formed_transactions_have_codes_of_their_own() {
    let net = start().await;
    let node = &net.node;
    let key = KeyPair::demo("sok@aclb");
    let good = node.payment("sok@aclb", "dara@wing", "5", 1);
    let twice = [good.signatures.to_vec(), good.signatures.to_vec()].concat();
    let repeated = Transaction { signatures: Bounded::new(twice).unwrap(), ..good.clone() };
    let unsigned = Transaction { signatures: Bounded::default(), ..good.clone() };
    let idle = node.payload("sok@aclb", vec![], 1).sign(&[&key]);
    let mut backward = good.payload.clone();
    backward.expires_ms = backward.created_ms - 1;
    let backward = backward.sign(&[&key]);
    let step = Instruction::Transfer {
        asset: "khr#nbc".parse().unwrap(),
        from: Some(format!("{}@{}", "a".repeat(31), "b".repeat(32)).parse().unwrap()),
        to: format!("{}@{}", "c".repeat(31), "d".repeat(32)).parse().unwrap(),
        amount: "5".parse().unwrap(),
        memo: "m".repeat(limits::MEMO_BYTES_MAX).parse().unwrap(),
        invoice: None,
    };
    let long = node.payload("sok@aclb", vec![step; limits::STEPS_MAX], 1).sign(&[&key]);
    assert!(long.encode().len() > limits::TRANSACTION_BYTES_MAX);
    let cases = [
        (repeated, 401, "repeated_signature"),
        (unsigned, 401, "no_signatures"),
        (idle, 400, "no_steps"),
        (backward, 400, "empty_window"),
        (long, 413, "transaction_too_large"),
    ];
    for (transaction, status, code) in cases {
        let json = serde_json::to_vec(&transaction).unwrap();
        assert_refused(&net, JSON, &json, status, code, "").await;
        assert_refused(&net, SCALE, &transaction.encode(), status, code, "").await;
    }
}

#[tokio::test]
async fn a_body_of_ten_megabytes_hears_413() {
    let net = start().await;
    let body = vec![b'x'; 10 * 1024 * 1024];
    assert_refused(&net, JSON, &body, 413, "body_too_large", "1048576").await;
    // Whoever sends all before it listens hears it too.
    let head = format!(
        "POST {ROUTE} HTTP/1.1\r\nhost: x\r\ncontent-type: {JSON}\r\nconnection: close\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let mut stream = net.connect().await;
    stream.write_all(&[head.as_bytes(), &body].concat()).await.expect("the node reads on");
    assert_eq!(parse(&read_to_end(&mut stream).await).code, "body_too_large");

    let path = "/v1/nothing";
    assert_eq!(problem(&net, "POST", path, JSON, &body).await.code, "unknown_route");

    let head = format!(
        "POST {ROUTE} HTTP/1.1\r\nhost: x\r\ncontent-type: {JSON}\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    let chunk = [format!("{:x}\r\n", 1 << 20).as_bytes(), &body[..1 << 20], b"\r\n"].concat();
    let chunked = [head.as_bytes(), &chunk.repeat(10), b"0\r\n\r\n"].concat();
    assert_eq!(parse(&net.raw(&chunked).await).code, "body_too_large");

    let just_fits = vec![b' '; BODY_BYTES_MAX];
    assert_refused(&net, JSON, &just_fits, 400, "malformed", "").await;
    net.client.health().await.unwrap();
}

#[tokio::test]
async fn what_is_not_there_is_a_problem_too() {
    let net = start().await;
    let nowhere = problem(&net, "GET", "/v1/nothing", JSON, b"").await;
    assert_eq!((nowhere.status, nowhere.code.as_str()), (404, "unknown_route"));
    for (method, path) in [("DELETE", ROUTE), ("POST", "/status"), ("PUT", "/v1/blocks")] {
        let wrong = problem(&net, method, path, JSON, b"").await;
        assert_eq!((wrong.status, wrong.code.as_str()), (405, "method_not_allowed"));
    }
    let answer = net.raw(b"PUT /status HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(answer.contains("allow: GET"), "{answer}");
    for media in ["text/plain", "application/x-www-form-urlencoded", ""] {
        let wrong = problem(&net, "POST", ROUTE, media, b"{}").await;
        assert_eq!((wrong.status, wrong.code.as_str()), (415, "unsupported_media_type"));
    }
}

#[tokio::test]
async fn what_cannot_be_read_in_an_address_is_named() {
    let net = start().await;
    let bad = [
        "/v1/transactions/abc",
        "/v1/transactions/%ff",
        "/v1/accounts/Sok@aclb",
        "/v1/accounts/sok",
        "/v1/assets/khr",
        "/v1/blocks/-1",
        "/v1/blocks/99999999999999999999999",
        "/v1/blocks?limit=0",
        "/v1/blocks?limit=501",
        "/v1/blocks?from=x",
        "/v1/blocks?from=1&wait=5",
        "/v1/blocks?form=1",
        "/v1/accounts/sok@aclb/transactions?direction=up",
        "/v1/accounts/sok@aclb/transactions?cursor=!",
        "/v1/accounts/sok@aclb/transactions?amount=5",
        "/v1/assets?cursor=KHR",
    ];
    for path in bad {
        let problem = problem(&net, "GET", path, JSON, b"").await;
        assert_eq!((problem.status, problem.code.as_str()), (400, "malformed"), "{path}");
    }
}

fn impatient() -> Settings {
    let short = Duration::from_millis(100);
    Settings { header_max: short, body_max: short, stall_max: short, ..Settings::default() }
}

#[tokio::test]
async fn slow_and_half_open_connections_are_let_go() {
    let net = start_with("all", impatient()).await;
    let mut silent = net.connect().await;
    let mut half = net.connect().await;
    half.write_all(b"GET /status HTTP/1.1\r\nhost:").await.unwrap();
    assert!(!read_to_end(&mut silent).await.contains("200 OK"));
    assert!(!read_to_end(&mut half).await.contains("200 OK"));

    let head = format!(
        "POST {ROUTE} HTTP/1.1\r\nhost: x\r\ncontent-type: {JSON}\r\ncontent-length: 1000\r\n\r\n{{"
    );
    let late = parse(&net.raw(head.as_bytes()).await);
    assert_eq!((late.status, late.code.as_str()), (408, "body_too_slow"));
    net.client.health().await.unwrap();
}

#[tokio::test]
async fn a_reader_that_takes_nothing_is_let_go() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (stream, _) = listener.accept().await.unwrap();
    let mut writer = Unstalled::new(stream, Duration::from_millis(50));
    let mountain = vec![0; 64 * 1024 * 1024];
    let written = tokio::time::timeout(PATIENCE, writer.write_all(&mountain)).await;
    let error = written.expect("it gives up").unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    drop(reader);
}

#[tokio::test]
async fn one_connection_too_many_is_told_to_come_later() {
    let settings = Settings { connections_max: 1, ..Settings::default() };
    let net = start_with("all", settings).await;
    let mut first = net.connect().await;
    let ask = b"GET /health/live HTTP/1.1\r\nhost: x\r\n\r\n";
    first.write_all(ask).await.unwrap();
    let mut byte = [0];
    first.read_exact(&mut byte).await.unwrap();

    let second = parse(&net.raw(ask).await);
    assert_eq!((second.status, second.code.as_str()), (503, "too_many_connections"));
    assert_eq!(second.retry_after_s, Some(1));

    drop(first);
    let freed = async {
        while net.client.node_status().await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("the place comes free");
}

#[tokio::test]
async fn memory_for_bodies_is_bounded() {
    let net = start().await;
    let head = format!(
        "POST {ROUTE} HTTP/1.1\r\nhost: x\r\ncontent-type: {JSON}\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    let mut open = Vec::new();
    for _ in 0..BODIES_BYTES_MAX / BODY_BYTES_MAX {
        let mut stream = net.connect().await;
        stream.write_all(head.as_bytes()).await.unwrap();
        open.push(stream);
    }
    let filled = async {
        loop {
            match refused(&net, JSON, b"{}").await {
                (503, code, _) => return code,
                (400, ..) => tokio::task::yield_now().await,
                other => panic!("{other:?}"),
            }
        }
    };
    let code = tokio::time::timeout(PATIENCE, filled).await.expect("the memory is all given");
    assert_eq!(code, "busy");
    drop(open);
    let freed = async {
        while refused(&net, JSON, b"{}").await.0 != 400 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, freed).await.expect("the memory is given back");
}

#[tokio::test]
async fn garbage_instead_of_http_is_dropped_and_counted() {
    let net = start().await;
    net.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").await;
    net.raw(&[b"GET / HTTP/1.1\r\nx: ", &[b'a'; 300_000][..], b"\r\n\r\n"].concat()).await;
    let counted = async {
        while !net.client.metrics().await.unwrap().contains("connections_broken_total 2\n") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("both are counted");
}

#[tokio::test]
async fn what_a_client_sent_is_decided_even_if_it_hangs_up() {
    let net = start().await;
    net.node.open.send_replace(false);
    let payment = net.node.payment("sok@aclb", "dara@wing", "5", 1);
    let (hash, body) = (payment.payload.hash(), payment.encode());
    let head = format!(
        "POST {ROUTE} HTTP/1.1\r\nhost: x\r\ncontent-type: {SCALE}\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut hasty = net.connect().await;
    hasty.write_all(&[head.as_bytes(), &body].concat()).await.unwrap();
    while net.node.open.receiver_count() == 0 {
        tokio::task::yield_now().await;
    }
    drop(hasty);
    let gone = async {
        while !net.client.metrics().await.unwrap().contains("tonle_http_connections 1\n") {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, gone).await.expect("the node notices");
    net.node.open.send_replace(true);
    let decided = async {
        while net.client.status(&hash, None).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, decided).await.expect("the transaction was taken");
}
