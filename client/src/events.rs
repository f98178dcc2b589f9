//! Reading an event stream: the lines of Server-Sent Events, within bounds of size and silence.

use std::time::Duration;

use bytes::BytesMut;
use reqwest::Response;
use serde_json::Value;

use crate::api::{Event, EventKind};
use crate::client::Client;
use crate::error::ClientError;

/// Longest line, and longest event. A line of history is below 2 KiB.
const EVENT_BYTES_MAX: usize = 64 * 1024;
/// A node says something every 15 s: after so long without a word it is taken for gone.
const SILENCE_MAX: Duration = Duration::from_secs(45);

/// What [`Client::events`] opened. Dropping it ends it.
#[derive(Debug)]
pub struct EventStream {
    client: Client,
    response: Response,
    lines: Lines,
}

impl EventStream {
    pub(crate) fn new(client: Client, response: Response) -> Self {
        Self { client, response, lines: Lines::default() }
    }

    /// The next event, as soon as there is one; `None` if the node ended the stream. Kinds of
    /// events that this client does not know are passed over.
    pub async fn next(&mut self) -> Result<Option<Event>, ClientError> {
        loop {
            match self.lines.event() {
                Ok(Some(event)) => return Ok(Some(event)),
                Ok(None) => {}
                Err(reason) => return Err(self.client.unexpected(reason)),
            }
            match tokio::time::timeout(SILENCE_MAX, self.response.chunk()).await {
                Ok(Ok(Some(chunk))) => self.lines.buffer.extend_from_slice(&chunk),
                Ok(Ok(None)) => return Ok(None),
                Ok(Err(error)) => return Err(self.client.failed(&error)),
                Err(_) => return Err(ClientError::Timeout { url: self.client.url().to_owned() }),
            }
        }
    }

    /// Up to where everything came that the stream has to tell: the `Last-Event-ID` with which
    /// another stream of the same query, from any node, goes on without gap or repetition. It moves
    /// on in quiet times too.
    pub fn last_id(&self) -> Option<&str> {
        self.lines.last_id.as_deref()
    }
}

/// What of the stream came and is not read yet.
#[derive(Debug, Default)]
struct Lines {
    buffer: BytesMut,
    last_id: Option<String>,
    /// The fields of the event under way.
    id: Option<String>,
    name: String,
    data: String,
}

impl Lines {
    /// The next whole event. The error says what is wrong with the stream.
    fn event(&mut self) -> Result<Option<Event>, String> {
        while let Some(line) = self.line()? {
            if !line.is_empty() {
                self.field(&line)?;
                continue;
            }
            let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
            // An id without data says how far the stream is.
            self.last_id = self.id.take().or(self.last_id.take());
            let known = EventKind::ALL.iter().any(|kind| kind.as_str() == name);
            if known && !data.is_empty() {
                return self.parsed(&name, &data).map(Some);
            }
        }
        Ok(None)
    }

    /// The next whole line, without its end.
    fn line(&mut self) -> Result<Option<String>, String> {
        let end = self.buffer.iter().position(|byte| *byte == b'\n');
        if end.unwrap_or(self.buffer.len()) > EVENT_BYTES_MAX {
            return Err(format!("a line of more than {EVENT_BYTES_MAX} bytes"));
        }
        let Some(end) = end else { return Ok(None) };
        let line = self.buffer.split_to(end + 1);
        let line = line.strip_suffix(b"\n").unwrap_or(&line);
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let text = std::str::from_utf8(line).map_err(|_| "a line that is not UTF-8")?;
        Ok(Some(text.to_owned()))
    }

    fn field(&mut self, line: &str) -> Result<(), String> {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => self.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.name),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // A comment, or what a later version says.
            _ => {}
        }
        match self.data.len() > EVENT_BYTES_MAX {
            true => Err(format!("an event of more than {EVENT_BYTES_MAX} bytes")),
            false => Ok(()),
        }
    }

    fn parsed(&self, name: &str, data: &str) -> Result<Event, String> {
        let id = self.last_id.clone().ok_or("an event without an id")?;
        let data: Value = serde_json::from_str(data).map_err(|error| error.to_string())?;
        let event = serde_json::json!({"id": id, "event": name, "data": data});
        serde_json::from_value(event).map_err(|error| format!("the event {id}: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::EventData;

    fn block(id: &str) -> String {
        let hash = "0".repeat(64);
        let numbers = r#""timestamp_ms":1,"transactions":2"#;
        let data = format!(r#"{{"height":7,"hash":"{hash}",{numbers}}}"#);
        format!("id: {id}\nevent: block\ndata: {data}\n\n")
    }

    /// All events of a text that comes in pieces of some length, and the last id.
    fn read(text: &str, piece: usize) -> Result<(Vec<Event>, Option<String>), String> {
        let mut lines = Lines::default();
        let mut events = Vec::new();
        for chunk in text.as_bytes().chunks(piece) {
            lines.buffer.extend_from_slice(chunk);
            while let Some(event) = lines.event()? {
                events.push(event);
            }
        }
        Ok((events, lines.last_id))
    }

    #[test]
    fn events_come_however_the_bytes_are_cut() {
        let text = format!(": \nid: 6.2.0\n\n{}{}", block("7.2.0"), block("8.2.0"));
        for piece in [1, 2, 7, 100, text.len()] {
            for text in [text.clone(), text.replace('\n', "\r\n")] {
                let (events, last_id) = read(&text, piece).unwrap();
                let ids: Vec<_> = events.iter().map(|event| event.id.as_str()).collect();
                assert_eq!(ids, ["7.2.0", "8.2.0"], "pieces of {piece}");
                assert_eq!(last_id.as_deref(), Some("8.2.0"));
                let EventData::Block(block) = &events[0].data else { panic!("{events:?}") };
                assert_eq!((block.height.0, block.transactions), (7, 2));
            }
        }
    }

    #[test]
    fn an_id_alone_says_how_far_the_stream_is() {
        let (events, last_id) = read(&format!("{}: \nid: 9.2.0\n\n", block("7.2.0")), 9).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(last_id.as_deref(), Some("9.2.0"));
        let (events, last_id) = read("id: 9.2.0\n", 9).unwrap();
        assert_eq!((events, last_id), (Vec::new(), None), "the blank line is what counts");
    }

    #[test]
    fn what_a_later_version_says_is_passed_over() {
        let text = format!("retry: 5\nid: 7.1.0\nevent: weather\ndata: rain\n\n{}", block("7.2.0"));
        let (events, _) = read(&text, 5).unwrap();
        assert_eq!(events.len(), 1);
        assert_eq!(events[0].id, "7.2.0");
        let parted = block("7.2.0").replace(",\"hash\"", "\ndata: ,\"hash\"");
        assert_eq!(read(&parted, 5).unwrap().0, events, "data in two lines is one");
    }

    /// It is in no block, so it has no place of its own: to go on after it is to go on after what
    /// came before it.
    #[test]
    fn evidence_comes_under_the_id_before_it() {
        let statement = format!(r#"{{"kind":"nullify","signature":"{}"}}"#, "0".repeat(128));
        let key = format!("ed0120{}", "0".repeat(64));
        let data =
            format!(r#"{{"height":7,"view":0,"public_key":"{key}","kind":"votes","seen_ms":1,"#)
                + &format!(r#""statements":[{statement},{statement}]}}"#);
        let text = format!("{}id: 7.2.0\nevent: evidence\ndata: {data}\n\n", block("7.2.0"));
        let (events, last_id) = read(&text, 50).unwrap();
        assert_eq!((events.len(), last_id.as_deref()), (2, Some("7.2.0")));
        assert_eq!((events[1].id.as_str(), events[1].data.kind()), ("7.2.0", EventKind::Evidence));
    }

    #[test]
    fn a_stream_that_is_none_is_an_error() {
        let long = "x".repeat(EVENT_BYTES_MAX + 1);
        let many = format!("data: {}\n", "x".repeat(1000)).repeat(EVENT_BYTES_MAX / 1000 + 1);
        let no_id = block("7").replace("id: 7\n", "");
        let no_json = block("7").replace('{', "");
        let no_block = block("7").replace("height", "depth");
        for bad in [long.clone(), long + "\n", many, no_id, no_json, no_block] {
            assert!(read(&bad, 1000).is_err(), "{:?}", bad.get(..80));
        }
        let mut lines = Lines { buffer: BytesMut::from(&b"\xff\n"[..]), ..Lines::default() };
        assert!(lines.event().is_err());
    }
}
