//! Submitting, asking and waiting.

use std::time::Duration;

use parity_scale_codec::{Decode, Encode};
use tonle_client::ClientError;
use tonle_client::api::{
    BlocksQuery, SCALE, SubmitCode, SubmitItem, SubmitOutcome, TransactionStatus, Wait,
};
use tonle_client::encode_array;
use tonle_model::hash::{ChainHash, Digest256, TransactionHash};
use tonle_model::hex;
use tonle_model::key::{KeyPair, Signature};
use tonle_model::number::Height;
use tonle_model::transaction::Transaction;

use super::tests_node::{Net, PATIENCE, start};
use super::{Refusal, RefusalClass};

fn refusal(code: &'static str, class: RefusalClass) -> Refusal {
    Refusal { code, class, detail: "try something else".to_owned(), retry_after: None }
}

/// Sends a body and returns (HTTP status, content type, body).
async fn post(net: &Net, media_type: &str, accept: &str, body: Vec<u8>) -> (u16, String, Vec<u8>) {
    let request = reqwest::Client::new().post(format!("http://{}/v1/transactions", net.address));
    let request = request.header("content-type", media_type).header("accept", accept);
    let response = request.body(body).send().await.unwrap();
    let status = response.status().as_u16();
    let media_type = response.headers()["content-type"].to_str().unwrap().to_owned();
    (status, media_type, response.bytes().await.unwrap().to_vec())
}

fn forged(mut transaction: Transaction) -> Transaction {
    let mut signatures = transaction.signatures.to_vec();
    signatures[0].signature = Signature([1; 64]);
    transaction.signatures = signatures.try_into().unwrap();
    transaction
}

#[tokio::test]
async fn one_transaction_is_taken_in_either_form_and_known_the_second_time() {
    let net = start().await;
    let first = net.node.payment("sok@aclb", "dara@wing", "5", 1);
    let second = net.node.payment("sok@aclb", "dara@wing", "5", 2);

    let body = serde_json::to_vec(&first).unwrap();
    let (status, media_type, body) =
        post(&net, "application/json; charset=utf-8", "*/*", body).await;
    assert_eq!((status, media_type.as_str()), (202, "application/json"));
    let reply: serde_json::Value = serde_json::from_slice(&body).unwrap();
    let hash = first.payload.hash().to_string();
    assert_eq!(reply, serde_json::json!({"hash": hash, "status": "queued"}));

    let (status, media_type, body) = post(&net, SCALE, SCALE, second.encode()).await;
    assert_eq!((status, media_type.as_str()), (202, SCALE));
    let reply = Vec::<(TransactionHash, SubmitCode)>::decode(&mut &body[..]).unwrap();
    assert_eq!(reply, [(second.payload.hash(), SubmitCode::Queued)]);

    assert_eq!(post(&net, SCALE, "*/*", second.encode()).await.0, 200);
    assert_eq!(net.client.submit_json(&first).await.unwrap().status, TransactionStatus::Queued);
}

#[tokio::test]
async fn an_array_is_answered_one_by_one_in_order() {
    let net = start().await;
    let good = net.node.payment("sok@aclb", "dara@wing", "5", 1);
    let bad = forged(net.node.payment("sok@aclb", "dara@wing", "5", 2));
    let other = net.node.payment("sok@aclb", "dara@wing", "5", 3);

    let items = net.client.submit_all(&[good.clone(), bad.clone()]).await.unwrap();
    assert_eq!(items[0].hash, good.payload.hash());
    assert_eq!(items[0].outcome, SubmitOutcome::Taken(TransactionStatus::Queued));
    assert_eq!(items[1].hash, bad.payload.hash());
    let SubmitOutcome::Refused(refused) = &items[1].outcome else { panic!("{items:?}") };
    assert_eq!((refused.code.as_str(), refused.http_status), ("invalid_signature", 401));

    let encoded = [bad.encode(), good.encode(), other.encode()];
    let body = encode_array(encoded.iter().map(Vec::as_slice));
    let codes = net.client.submit_encoded(body).await.unwrap();
    let expected = [
        (bad.payload.hash(), SubmitCode::BadSignature),
        (good.payload.hash(), SubmitCode::Queued),
        (other.payload.hash(), SubmitCode::Queued),
    ];
    assert_eq!(codes, expected);

    let json = serde_json::to_vec(&[&good, &other]).unwrap();
    let (status, _, body) = post(&net, "application/json", "application/json", json).await;
    assert_eq!(status, 200, "both were known");
    assert_eq!(serde_json::from_slice::<Vec<SubmitItem>>(&body).unwrap().len(), 2);

    let array_of_one = encode_array([good.encode().as_slice()].into_iter());
    let (_, _, body) = post(&net, SCALE, "*/*", array_of_one.to_vec()).await;
    assert!(serde_json::from_slice::<Vec<SubmitItem>>(&body).is_ok(), "an array stays one");
}

#[tokio::test]
async fn each_class_of_refusal_has_its_status_and_says_when_to_retry() {
    let net = start().await;
    let payment = net.node.payment("sok@aclb", "dara@wing", "5", 1);
    let classes = [
        (RefusalClass::Signature, 401, None),
        (RefusalClass::Unprocessable, 422, None),
        (RefusalClass::Busy, 429, Some(1)),
        (RefusalClass::NotReady, 503, Some(1)),
    ];
    for (class, status, retry_after_s) in classes {
        net.node.refusals.lock().unwrap().push(refusal("some_code", class));
        let Err(ClientError::Problem(problem)) = net.client.submit(&payment).await else {
            panic!("{class:?} is a problem");
        };
        assert_eq!(problem.status, status);
        assert_eq!(problem.code, "some_code");
        assert_eq!(problem.kind, "urn:tonle:problem:some_code");
        assert_eq!(problem.detail, "try something else");
        assert_eq!(problem.retry_after_s, retry_after_s);
    }
    let slow = Refusal {
        retry_after: Some(Duration::from_millis(2500)),
        ..refusal("pool_full", RefusalClass::Busy)
    };
    net.node.refusals.lock().unwrap().push(slow);
    let error = net.client.submit(&payment).await.unwrap_err();
    assert_eq!(error.retry_after(), Some(Duration::from_secs(3)), "whole seconds, upward");
}

#[tokio::test]
async fn an_array_of_which_nothing_was_taken_is_a_problem_that_time_may_cure() {
    let net = start().await;
    let payments = [1, 2].map(|nonce| net.node.payment("sok@aclb", "dara@wing", "5", nonce));
    let refuse_both = || {
        net.node.refusals.lock().unwrap().extend([
            refusal("expired", RefusalClass::Unprocessable),
            refusal("pool_full", RefusalClass::Busy),
        ]);
    };
    refuse_both();
    let Err(ClientError::Problem(problem)) = net.client.submit_all(&payments).await else {
        panic!("nothing was taken");
    };
    assert_eq!((problem.status, problem.code.as_str()), (429, "pool_full"));
    assert_eq!(problem.results.len(), 2);

    refuse_both();
    let encoded = payments.each_ref().map(Encode::encode);
    let body = encode_array(encoded.iter().map(Vec::as_slice));
    let error = net.client.submit_encoded(body).await.unwrap_err();
    assert_eq!(error.status(), Some(429));
}

#[tokio::test]
async fn a_transaction_for_another_network_is_told_so_in_either_shape() {
    let net = start().await;
    let mut payload = net.node.payment("sok@aclb", "dara@wing", "5", 1).payload;
    payload.chain = ChainHash(Digest256([7; 32]));
    let stranger = payload.sign(&[&KeyPair::demo("sok@aclb")]);
    for result in [
        net.client.submit(&stranger).await.map(drop),
        net.client.submit_json(&stranger).await.map(drop),
        net.client.submit_all(std::slice::from_ref(&stranger)).await.map(drop),
    ] {
        let error = result.unwrap_err();
        assert_eq!((error.status(), error.code()), (Some(422), Some("wrong_chain")), "{error}");
    }
}

/// "There is no such transaction" is a claim; a node that cannot read has none to make.
#[tokio::test]
async fn a_transaction_that_cannot_be_read_is_not_called_unknown() {
    let net = start().await;
    net.node.is_damaged.store(true, std::sync::atomic::Ordering::Relaxed);
    let hash = net.node.payment("sok@aclb", "dara@wing", "5", 1).payload.hash();
    for wait in [None, Some(Duration::from_millis(1))] {
        let error = net.client.status(&hash, wait).await.unwrap_err();
        assert_eq!((error.status(), error.code()), (Some(500), Some("internal")));
    }
}

#[tokio::test]
async fn a_status_can_be_waited_for() {
    let net = start().await;
    let payment = net.node.payment("sok@aclb", "dara@wing", "5", 1);
    let hash = payment.payload.hash();

    let error = net.client.status(&hash, None).await.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(404), Some("unknown_transaction")));
    net.client.submit(&payment).await.unwrap();
    assert_eq!(net.client.status(&hash, None).await.unwrap(), TransactionStatus::Queued);
    let short = Some(Duration::from_millis(20));
    assert_eq!(net.client.status(&hash, short).await.unwrap(), TransactionStatus::Queued);

    let client = net.client.clone();
    let waiting = tokio::spawn(async move { client.status(&hash, Some(PATIENCE)).await });
    let height = net.node.commit(&[payment]);
    let status = waiting.await.unwrap().unwrap();
    assert_eq!(status, TransactionStatus::Committed { height, index: 0 });
}

#[tokio::test]
async fn blocks_can_be_waited_for() {
    let net = start().await;
    let query =
        |wait| BlocksQuery { from: Some(Height(1)), limit: None, wait: Some(Wait::at_most(wait)) };
    let none = net.client.receipts(&query(Duration::from_millis(20))).await.unwrap();
    assert_eq!(none, [], "the time is up");

    let client = net.client.clone();
    let waiting = tokio::spawn(async move { client.receipts(&query(PATIENCE)).await });
    let payment = net.node.payment("sok@aclb", "dara@wing", "5", 1);
    let hash = payment.payload.hash();
    net.node.commit(&[payment]);
    let blocks = waiting.await.unwrap().unwrap();
    assert_eq!(blocks[0].height, Height(1));
    assert_eq!(blocks[0].receipts[0].transaction, hash);
}

#[tokio::test]
async fn a_client_without_scale_learns_what_to_sign() {
    let net = start().await;
    let payload = net.node.payment("sok@aclb", "dara@wing", "5", 1).payload;
    let reply = net.client.encode(&payload).await.unwrap();
    assert_eq!(reply.hash, payload.hash());
    assert_eq!(reply.payload, hex::encode(&payload.encode()));
}

#[tokio::test]
async fn health_says_why_a_node_is_not_ready() {
    let net = start().await;
    net.client.health().await.unwrap();
    *net.node.unready.lock().unwrap() = Some("fetching blocks, 12 to go".to_owned());
    let Err(ClientError::Problem(problem)) = net.client.health().await else {
        panic!("the node is not ready");
    };
    assert_eq!((problem.status, problem.code.as_str()), (503, "not_ready"));
    assert_eq!(problem.detail, "fetching blocks, 12 to go");
    let live = net.raw(b"GET /health/live HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").await;
    assert!(live.starts_with("HTTP/1.1 200 OK"), "{live}");
}

#[tokio::test]
async fn metrics_end_once_and_count_requests() {
    let net = start().await;
    let unknown = TransactionHash::default();
    net.client.status(&unknown, None).await.unwrap_err();
    let text = net.client.metrics().await.unwrap();
    assert!(text.contains("tonle_height 0\n"), "{text}");
    assert!(text.contains("tonle_http_requests_total{answer=\"client_error\"} 1\n"), "{text}");
    assert_eq!(text.matches("# EOF").count(), 1);
    assert!(text.ends_with("# EOF\n"));
}

#[tokio::test]
async fn a_stop_gives_held_answers_and_ends() {
    let net = start().await;
    let payment = net.node.payment("sok@aclb", "dara@wing", "5", 1);
    let hash = payment.payload.hash();
    net.client.submit(&payment).await.unwrap();
    let client = net.client.clone();
    let waiting = tokio::spawn(async move { client.status(&hash, Some(PATIENCE * 2)).await });
    // The request is under way once the node watches for it.
    while net.node.waiting() == 0 {
        tokio::task::yield_now().await;
    }
    net.stop.send_replace(true);
    tokio::time::timeout(PATIENCE, net.server).await.expect("the server ends").unwrap();
    assert_eq!(waiting.await.unwrap().unwrap(), TransactionStatus::Queued);
    let error = net.client.node_status().await.unwrap_err();
    assert!(matches!(error, ClientError::Unreachable { .. }), "{error}");
}
