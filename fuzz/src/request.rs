//! Requests of HTTP clients: whatever stands in path, query string, headers and body, a node
//! answers it, and keeps to what it says.

mod world;

use serde_json::Value;
use tonle_client::api::{
    BlockReceipts, EVENTS, EncodeReply, JSON, PAGE_ITEMS_MAX, PROBLEM, Problem, SCALE,
};
use tonle_model::transaction::Payload;
use tonle_model::{decode, hex};
use tonle_node::torii::{Answer, Call};

use world::World;

/// One line with method and target, one for each header, an empty one, and the body.
pub fn request(bytes: &[u8]) -> bool {
    let end = bytes.windows(2).position(|pair| pair == b"\n\n").unwrap_or(bytes.len());
    let (head, body) = (&bytes[..end], bytes.get(end + 2..).unwrap_or_default());
    let mut lines = head.split(|byte| *byte == b'\n');
    let first = lines.next().and_then(|line| std::str::from_utf8(line).ok());
    let Some((method, target)) = first.and_then(|line| line.split_once(' ')) else { return false };
    let Some(headers) = lines.map(header).collect::<Option<Vec<_>>>() else { return false };
    let call = Call { method, target, headers: &headers, body };
    let world = World::known();
    let Some(answer) = world.ask(&call) else { return false };
    check(world, &call, &answer);
    (200..300).contains(&answer.status)
}

fn header(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = std::str::from_utf8(&line[..colon]).ok()?;
    Some((name, line[colon + 1..].trim_ascii()))
}

fn check(world: &World, call: &Call<'_>, answer: &Answer) {
    // Nothing here is out of order, and nobody else asks.
    assert!(answer.status < 500, "{call:?}: {answer:?}");
    if call.method == "HEAD" {
        return;
    }
    if answer.status >= 400 {
        let problem: Problem = json(answer);
        assert_eq!((problem.status, &*answer.media_type), (answer.status, PROBLEM), "{problem:?}");
        assert!(!problem.code.is_empty() && !problem.detail.is_empty(), "{problem:?}");
        return;
    }
    let path = call.target.split(['?', '#']).next().unwrap_or_default();
    match (call.method, path) {
        ("POST", "/v1/transactions/encode") => check_encoded(call, &json(answer)),
        ("GET", "/v1/events") => check_events(call, answer),
        ("GET", "/v1/blocks") if answer.media_type == SCALE => {
            let blocks = decode::all::<Vec<BlockReceipts>>(&answer.body).expect("receipts");
            assert!(blocks.len() <= PAGE_ITEMS_MAX as usize);
        }
        ("GET", _) if answer.media_type == JSON => check_page(world, call, path, &json(answer)),
        _ => {}
    }
}

fn json<T: serde::de::DeserializeOwned>(answer: &Answer) -> T {
    let read = serde_json::from_slice(&answer.body);
    read.unwrap_or_else(|error| panic!("{error}: {answer:?}"))
}

/// What shall be signed is what was sent.
fn check_encoded(call: &Call<'_>, reply: &EncodeReply) {
    let bytes = hex::decode(&reply.payload).expect("hex");
    let payload: Payload = decode::all(&bytes).expect("a payload");
    assert_eq!(payload.hash(), reply.hash);
    let scale = decode::all::<Payload>(call.body).ok();
    let sent = scale.or_else(|| serde_json::from_slice(call.body).ok());
    assert_eq!(sent.as_ref(), Some(&payload));
    let text = serde_json::to_string(&payload).expect("every payload has a JSON form");
    assert_eq!(serde_json::from_str::<Payload>(&text).ok(), Some(payload));
}

/// A stream begins by saying after what it goes on: what it was told, if that was said.
fn check_events(call: &Call<'_>, answer: &Answer) {
    assert_eq!(answer.media_type, EVENTS);
    let said = std::str::from_utf8(&answer.body).expect("text");
    assert!(said.starts_with(":\n") && said.ends_with("\n\n"), "{said:?}");
    let is_id = |(name, _): &&(&str, &[u8])| name.eq_ignore_ascii_case("last-event-id");
    if let Some((_, id)) = call.headers.iter().find(is_id) {
        let id = std::str::from_utf8(id).expect("an id is a text");
        assert_eq!(said, format!(":\nid: {id}\n\n"));
    }
}

/// A list that has a next page has it: with something on it, and nothing of this one.
fn check_page(world: &World, call: &Call<'_>, path: &str, page: &Value) {
    let (items, next) = (page["items"].as_array(), page["next"].as_str());
    let Some(items) = items else { return };
    assert!(items.len() <= PAGE_ITEMS_MAX as usize);
    let Some(target) = next.and_then(|next| following(call.target, path, next)) else { return };
    let answer = world.ask(&Call { target: &target, ..*call }).expect("a request");
    assert_eq!(answer.status, 200, "{target}: {answer:?}");
    let after: Value = json(&answer);
    let after = after["items"].as_array().expect("a page");
    assert!(!after.is_empty(), "{target}: the page before promised more");
    assert!(after.iter().all(|item| !items.contains(item)), "{target}: {after:?}");
}

/// The same list from there on; nothing if the target must be decoded to tell what is asked.
fn following(target: &str, path: &str, next: &str) -> Option<String> {
    let target = target.split('#').next().filter(|target| target.starts_with('/'))?;
    let query = target.split_once('?').map_or("", |(_, query)| query);
    let place = if path == "/v1/blocks" { "from" } else { "cursor" };
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let key = pair.split('=').next()?;
        if key.contains(['%', '+']) {
            return None;
        }
        if key != place {
            pairs.push(pair.to_owned());
        }
    }
    let escaped = |byte: u8| match byte.is_ascii_alphanumeric() {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    pairs.push(format!("{place}={}", next.bytes().map(escaped).collect::<String>()));
    Some(format!("{path}?{}", pairs.join("&")))
}
