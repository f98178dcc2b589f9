//! What a node that joined from a snapshot answers about the time before.

use std::fmt::Debug;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tonle_client::api::{BlocksQuery, HistoryQuery};
use tonle_client::{BlockId, ClientError};
use tonle_model::hash::TransactionHash;
use tonle_model::number::Height;
use tonle_model::transaction::Transaction;

use super::Settings;
use super::tests_node::{Net, TestNode, serve_node};

/// Longer than the window that a snapshot brings.
const LONG_MS: u64 = 700_000;

/// A payment that is valid in the next seconds.
fn payment(node: &TestNode, amount: &str) -> Transaction {
    let now_ms = super::Node::world(node).committed().timestamp_ms;
    let mut payload = node.payment("sok@aclb", "dara@wing", amount, now_ms).payload;
    (payload.created_ms, payload.expires_ms) = (now_ms, now_ms + 300_000);
    payload.sign(&[&tonle_model::key::KeyPair::demo("sok@aclb")])
}

/// Blocks 1 to 3 long ago, 4 and 5 in the window, a snapshot, and 6 after it.
async fn joined() -> (Net, Vec<TransactionHash>) {
    let node = TestNode::new("all");
    let mut hashes = Vec::new();
    for amount in ["1", "2", "3"] {
        let payment = payment(&node, amount);
        hashes.push(payment.payload.hash());
        node.commit(&[payment]);
    }
    node.commit_after(LONG_MS, &[node.payment("sok@aclb", "dara@wing", "9", 9)]);
    let last = payment(&node, "5");
    hashes.push(last.payload.hash());
    node.commit(&[last]);
    let node = node.joined();
    let after = payment(&node, "6");
    hashes.push(after.payload.hash());
    node.commit(&[after]);
    (serve_node(node, Settings::default()).await, hashes)
}

fn block(height: u64) -> BlockId {
    BlockId::Height(Height(height))
}

fn assert_gone<T: Debug>(result: Result<T, ClientError>) {
    let Err(ClientError::Problem(problem)) = result else { panic!("{result:?}") };
    assert_eq!((problem.status, problem.code.as_str()), (410, "not_held"), "{}", problem.detail);
}

#[tokio::test]
async fn older_blocks_are_gone_and_the_list_begins_where_there_are_some() {
    let (net, hashes) = joined().await;
    let all = BlocksQuery { from: None, limit: Some(100), wait: None };
    assert_gone(net.client.block(block(1)).await);
    assert_gone(net.client.block(block(2)).await);
    assert_gone(net.client.blocks(&BlocksQuery { from: Some(Height(2)), ..all }).await);
    assert_eq!(net.client.block(block(3)).await.unwrap().height, Height(3));
    let page = net.client.blocks(&all).await.unwrap();
    let heights: Vec<_> = page.items.iter().map(|block| block.height.0).collect();
    assert_eq!(heights, [3, 4, 5, 6]);
    let held = net.client.block(block(5)).await.unwrap();
    let shown: Vec<_> = held.transactions.unwrap().iter().map(|one| one.hash).collect();
    assert_eq!(shown, [hashes[3]]);
}

#[tokio::test]
async fn what_stands_in_blocks_that_are_here_is_proven() {
    let (net, hashes) = joined().await;
    for hash in &hashes[2..] {
        let proof = net.client.proof_transaction(hash, true).await.unwrap();
        proof.verify(net.node.genesis()).unwrap();
    }
    let khr = "khr#nbc".parse().unwrap();
    let proof = net.client.proof_balance(&"dara@wing".parse().unwrap(), &khr).await.unwrap();
    proof.verify(net.node.genesis()).unwrap();
}

#[tokio::test]
async fn a_history_does_not_end_where_it_only_begins_here() {
    let (net, _) = joined().await;
    let dara = "dara@wing".parse().unwrap();
    let query = HistoryQuery::default();
    let page = net.client.history(&dara, &query).await.unwrap();
    let amounts: Vec<_> = page.items.iter().map(|line| line.amount.to_string()).collect();
    assert_eq!(amounts, ["6"]);
    let cursor = page.next.clone();
    assert!(cursor.is_some(), "there was more before");
    assert_gone(net.client.history(&dara, &HistoryQuery { cursor, ..query.clone() }).await);
    let since = page.items[0].time_ms;
    let recent = HistoryQuery { since: Some(since), ..query };
    assert_eq!(net.client.history(&dara, &recent).await.unwrap().next, None);
}

#[tokio::test]
async fn past_balances_are_told_as_far_as_they_can_be() {
    let (net, _) = joined().await;
    let (dara, khr) = ("dara@wing".parse().unwrap(), "khr#nbc".parse().unwrap());
    let line = net.client.block(block(5)).await.unwrap().header.timestamp_ms;
    let at = |time_ms| net.client.balance_at(&dara, &khr, time_ms);
    assert_gone(at(line - 1).await);
    assert_eq!(at(line).await.unwrap().balance.to_string(), "11");
    assert_eq!(at(line + 999).await.unwrap().balance.to_string(), "11");
    assert_eq!(at(line + 1000).await.unwrap().balance.to_string(), "17");
    // Who neither paid nor was paid since has what it had.
    let nobody = "bopha@wing".parse().unwrap();
    let none = net.client.balance_at(&nobody, &khr, line).await.unwrap();
    assert_eq!(none.balance.to_string(), "0");
}

/// The first line of the answer to a GET, whether or not there is an end to it.
async fn first_line(net: &Net, path: &str) -> String {
    let mut stream = net.connect().await;
    let request = format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut line = String::new();
    BufReader::new(stream).read_line(&mut line).await.unwrap();
    line
}

#[tokio::test]
async fn events_are_not_told_from_before_there_are_any() {
    let (net, _) = joined().await;
    for (path, status) in [
        ("/v1/events?from=2", "410"),
        ("/v1/events?from=3", "200"),
        ("/v1/events?from=5&account=dara%40wing", "410"),
        ("/v1/events?from=6&account=dara%40wing", "200"),
    ] {
        let line = first_line(&net, path).await;
        assert!(line.contains(status), "{path}: {line}");
    }
}
