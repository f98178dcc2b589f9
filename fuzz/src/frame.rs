//! The stream of a peer cut into frames: the same ones, however the network cuts it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use futures::AsyncRead;
use tonle_node::network::frame::{FrameError, FrameReader};

use super::script::Script;

/// Longest frame here; one that is longer is refused on its length alone.
const LIMIT: usize = 300;

/// Gives what is left a few bytes at a time.
struct Pieces<'a> {
    bytes: &'a [u8],
    longest: usize,
}

impl AsyncRead for Pieces<'_> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let length = buffer.len().min(self.longest).min(self.bytes.len());
        let (now, later) = self.bytes.split_at(length);
        buffer[..length].copy_from_slice(now);
        self.bytes = later;
        Poll::Ready(Ok(length))
    }
}

/// Frames, until one is too long or the stream ends.
pub fn frame(bytes: &[u8]) -> bool {
    let mut script = Script::new(bytes);
    let longest = 1 + script.below(40);
    let stream = bytes.get(1..).unwrap_or_default();
    let mut reader = FrameReader::new(Pieces { bytes: stream, longest }, LIMIT);
    let mut context = Context::from_waker(Waker::noop());
    let mut expected = stream;
    let mut frames = 0;
    loop {
        let Poll::Ready(read) = reader.poll_frame(&mut context) else {
            panic!("the stream never waits");
        };
        let head = expected.first_chunk().map(|head| u32::from_le_bytes(*head) as usize);
        match (read, head) {
            (Ok(frame), Some(length)) => {
                assert!(length <= LIMIT);
                assert_eq!(Some(&frame[..]), expected.get(4..4 + length));
                expected = &expected[4 + length..];
                frames += 1;
            }
            (Err(FrameError::TooLong { length, limit: LIMIT }), Some(announced)) => {
                assert!(length == announced && length > LIMIT);
                return frames > 0;
            }
            (Err(FrameError::Closed), head) => {
                let whole = |length| length <= LIMIT && expected.len() >= 4 + length;
                assert!(!head.is_some_and(whole), "a whole frame was left");
                return frames > 0;
            }
            (read, head) => panic!("{read:?} where the length is {head:?}"),
        }
    }
}
