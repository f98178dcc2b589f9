//! Evidence: who may see it, that it can be checked with nothing but what is shown, and what a
//! stream tells of it.

use std::time::Duration;

use tonle_client::EventStream;
use tonle_client::api::{
    Event, EventData, EventKind, EventsQuery, Evidence, EvidenceKind, Page, Said,
};
use tonle_model::hash::{BlockHash, Digest256, ResultHash};
use tonle_model::key::KeyPair;
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::vote::{Ballot, Proposal, Vote, VoteKind};
use tonle_wsv::chain::{EvidenceRow, Signed, Statements};

use super::Settings;
use super::tests_node::{Net, PATIENCE, start, start_with};

fn block(byte: u8) -> BlockHash {
    BlockHash(Digest256([byte; 32]))
}

/// A validator finalizes and nullifies one view.
fn votes(net: &Net, height: u64, name: &str) -> EvidenceRow {
    let (key, view) = (KeyPair::demo(name), View(2));
    let result = ResultHash(Digest256([7; 32]));
    let kinds = [VoteKind::Finalize { block: block(1), result }, VoteKind::Nullify];
    let votes = kinds.map(|said| {
        let ballot = Ballot { height: Height(height), view, kind: said };
        let vote = Vote::sign(ballot, &net.node.chain_hash(), ValidatorIndex(0), &key);
        Signed { said, signature: vote.signature }
    });
    let statements = Statements::Votes(votes);
    let validator = key.public_key();
    EvidenceRow { height: Height(height), view, validator, statements, seen_ms: 1_000 + height }
}

/// A leader proposes two blocks in one view.
fn proposals(net: &Net, height: u64, name: &str) -> EvidenceRow {
    let (key, view) = (KeyPair::demo(name), View(0));
    let chain = net.node.chain_hash();
    let proposals = [1, 2].map(block).map(|said| {
        let hash = Proposal::signing_hash(&chain, Height(height), view, &said);
        Signed { said, signature: key.sign(hash.as_ref()) }
    });
    let statements = Statements::Proposals(proposals);
    let validator = key.public_key();
    EvidenceRow { height: Height(height), view, validator, statements, seen_ms: 1_000 + height }
}

#[tokio::test]
async fn evidence_is_shown_so_that_anyone_can_check_it() {
    let net = start().await;
    assert_eq!(net.client.evidence().await.unwrap(), []);
    let rows = vec![votes(&net, 7, "validator_0"), proposals(&net, 300, "gone")];
    net.node.keep_evidence(rows);
    let shown = net.client.evidence().await.unwrap();
    let [proposed, voted] = &shown[..] else { panic!("{shown:?}") };
    let chain = net.client.node_status().await.unwrap().chain;
    assert!(proposed.is_proven(&chain) && voted.is_proven(&chain));

    assert_eq!((voted.height, voted.view, voted.seen_ms), (Height(7), View(2), 1_007));
    assert_eq!(voted.kind, EvidenceKind::Votes);
    assert_eq!(voted.public_key, KeyPair::demo("validator_0").public_key());
    assert_eq!(voted.name.as_ref().map(|name| name.as_str()), Some("validator_0"));
    let result = ResultHash(Digest256([7; 32]));
    let said = voted.statements.map(|statement| statement.said);
    assert_eq!(said, [Said::Finalize { block: block(1), result }, Said::Nullify]);

    assert_eq!((proposed.height, proposed.kind), (Height(300), EvidenceKind::Proposals));
    assert_eq!(proposed.name, None, "it is no validator");
    let said = proposed.statements.map(|statement| statement.said);
    assert_eq!(said, [1, 2].map(|byte| Said::Propose { block: block(byte) }));
}

#[tokio::test]
async fn evidence_comes_in_pages() {
    let net = start().await;
    let rows = (1..=5).flat_map(|height| ["validator_0", "gone"].map(|name| (height, name)));
    net.node.keep_evidence(rows.map(|(height, name)| votes(&net, height, name)).collect());
    let whole = net.client.evidence().await.unwrap();
    assert_eq!(whole.len(), 10);
    assert!(whole.is_sorted_by_key(|row| std::cmp::Reverse(row.height)));
    let mut pages = Vec::new();
    let mut query = "limit=3".to_owned();
    loop {
        let url = format!("http://{}/v1/evidence?{query}", net.address);
        let page: Page<Evidence> = reqwest::get(&url).await.unwrap().json().await.unwrap();
        pages.push(page.items);
        let Some(next) = page.next else { break };
        query = format!("limit=3&cursor={next}");
    }
    assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [3, 3, 3, 1]);
    assert_eq!(pages.concat(), whole);
    for bad in ["limit=0", "limit=501", "cursor=7", "height=7"] {
        let url = format!("http://{}/v1/evidence?{bad}", net.address);
        assert_eq!(reqwest::get(&url).await.unwrap().status().as_u16(), 400, "{bad}");
    }
}

#[tokio::test]
async fn evidence_is_of_the_chain_for_who_may_see_it() {
    for (shown, code) in [("none", Some("reads_not_public")), ("chain", None), ("all", None)] {
        let net = start_with(shown, Settings::default()).await;
        let evidence = net.client.evidence().await;
        assert_eq!(evidence.err().map(|error| error.code().unwrap().to_owned()).as_deref(), code);
        let query = EventsQuery { kinds: Some(EventKind::Evidence.into()), ..Default::default() };
        let stream = net.client.events(&query, None, None).await;
        assert_eq!(stream.err().map(|error| error.code().unwrap().to_owned()).as_deref(), code);
    }
}

async fn next(stream: &mut EventStream) -> Event {
    let event = tokio::time::timeout(PATIENCE, stream.next()).await.expect("an event comes");
    event.unwrap().expect("the stream goes on")
}

/// The height of the evidence that comes next, and its id.
async fn next_evidence(stream: &mut EventStream) -> (u64, String) {
    let Event { id, data } = next(stream).await;
    let EventData::Evidence(evidence) = data else { panic!("{data:?}") };
    (evidence.height.0, id)
}

#[tokio::test]
async fn evidence_is_told_once_to_who_listens_and_moves_no_stream_on() {
    let settings = Settings { keep_alive: Duration::from_millis(20), ..Settings::default() };
    let net = start_with("all", settings).await;
    net.node.keep_evidence(vec![votes(&net, 1, "validator_0")]);
    let mut stream = net.client.events(&EventsQuery::default(), None, None).await.unwrap();
    // In quiet times too, and in the order in which it was found.
    net.node.keep_evidence(vec![votes(&net, 9, "validator_0")]);
    assert_eq!(next_evidence(&mut stream).await, (9, "0.2.0".to_owned()));
    net.node.keep_evidence(vec![votes(&net, 8, "validator_0")]);
    assert_eq!(next_evidence(&mut stream).await, (8, "0.2.0".to_owned()));
    net.node.commit(&[net.node.payment("sok@aclb", "dara@wing", "5", 1)]);
    let events = [next(&mut stream).await, next(&mut stream).await];
    assert_eq!(events.map(|event| event.id), ["1.0.0", "1.2.0"]);

    // A stream that goes on after evidence goes on after what was told before it.
    let again = net.client.events(&EventsQuery::default(), Some("0.2.0"), None).await;
    let mut again = again.unwrap();
    assert_eq!(next(&mut again).await.id, "1.0.0");
}

#[tokio::test]
async fn a_stream_of_evidence_alone_tells_nothing_else() {
    let settings = Settings { keep_alive: Duration::from_millis(20), ..Settings::default() };
    let net = start_with("chain", settings).await;
    let kinds = Some(EventKind::Evidence.into());
    let query = EventsQuery { kinds, from: Some(Height(0)), ..EventsQuery::default() };
    let mut stream = net.client.events(&query, None, None).await.unwrap();
    net.node.commit(&[net.node.payment("sok@aclb", "dara@wing", "5", 1)]);
    net.node.keep_evidence(vec![votes(&net, 2, "validator_0")]);
    assert_eq!(next_evidence(&mut stream).await.0, 2);
}
