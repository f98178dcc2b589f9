//! Frames on a byte stream: a little-endian `u32` length, then that many bytes.
//!
//! Small frames are gathered into one write, because a write costs far more than a frame; large
//! ones are written from where they are. A length is checked before anything is allocated for it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures::{AsyncRead, AsyncWrite};

/// The length field.
pub(super) const HEADER_BYTES: usize = 4;
/// Size of a read, and of a gathered write.
const BUFFER_BYTES: usize = 64 * 1024;
/// A frame from this size on is written from its own memory instead of being gathered.
const GATHER_BYTES_MAX: usize = 8 * 1024;

/// Why no further frame can be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// Longer than is read; nothing was allocated for it.
    #[error("a frame of {length} bytes was announced, the limit is {limit}")]
    TooLong {
        /// What the peer announced, in bytes.
        length: usize,
        /// What is read, in bytes.
        limit: usize,
    },
    /// The stream ended, between frames or in one.
    #[error("the peer closed its stream")]
    Closed,
    /// Reading failed.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Reads frames.
pub struct FrameReader<S> {
    stream: S,
    limit: usize,
    buffer: Box<[u8]>,
    /// `buffer[start..end]` is read but not yet consumed.
    start: usize,
    end: usize,
    /// The frame being filled.
    body: Option<Body>,
}

/// A frame of known length, filled up to `filled`.
struct Body {
    bytes: Vec<u8>,
    filled: usize,
}

impl Body {
    fn missing(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.filled..).unwrap_or_default()
    }
}

impl<S: AsyncRead + Unpin> FrameReader<S> {
    /// Reads from `stream`, refusing frames of more than `limit` bytes.
    pub fn new(stream: S, limit: usize) -> Self {
        let buffer = vec![0; BUFFER_BYTES].into_boxed_slice();
        Self { stream, limit, buffer, start: 0, end: 0, body: None }
    }

    /// Changes the limit from the next frame on.
    pub(super) fn set_limit(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// The next frame.
    pub fn poll_frame(&mut self, cx: &mut Context<'_>) -> Poll<Result<Bytes, FrameError>> {
        loop {
            if self.body.is_none() && !self.open_body()? {
                ready!(self.poll_fill(cx))?;
                continue;
            }
            let held = self.buffer.get(self.start..self.end).unwrap_or_default();
            let Some(body) = self.body.as_mut() else { continue };
            let missing = body.missing();
            let taken = missing.len().min(held.len());
            if let (Some(to), Some(from)) = (missing.get_mut(..taken), held.get(..taken)) {
                to.copy_from_slice(from);
            }
            self.start += taken;
            body.filled += taken;
            let missing = body.missing().len();
            if missing == 0 {
                let bytes = self.body.take().map(|body| body.bytes).unwrap_or_default();
                return Poll::Ready(Ok(Bytes::from(bytes)));
            }
            match missing >= BUFFER_BYTES {
                true => ready!(self.poll_fill_body(cx))?,
                false => ready!(self.poll_fill(cx))?,
            }
        }
    }

    /// Starts the next body if its length is at hand; this is where the limit is kept.
    fn open_body(&mut self) -> Result<bool, FrameError> {
        let held = self.buffer.get(self.start..self.end).unwrap_or_default();
        let Some((header, _)) = held.split_first_chunk::<HEADER_BYTES>() else { return Ok(false) };
        let length = u32::from_le_bytes(*header) as usize;
        if length > self.limit {
            return Err(FrameError::TooLong { length, limit: self.limit });
        }
        self.start += HEADER_BYTES;
        self.body = Some(Body { bytes: vec![0; length], filled: 0 });
        Ok(true)
    }

    /// Reads more into the buffer; what is left in it moves to the front first.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), FrameError>> {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let room = self.buffer.get_mut(self.end..).unwrap_or_default();
        match ready!(Pin::new(&mut self.stream).poll_read(cx, room))? {
            0 => Poll::Ready(Err(FrameError::Closed)),
            count => {
                self.end += count;
                Poll::Ready(Ok(()))
            }
        }
    }

    /// Reads straight into a large body; the buffer is empty then.
    fn poll_fill_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), FrameError>> {
        let Some(body) = self.body.as_mut() else { return Poll::Ready(Ok(())) };
        match ready!(Pin::new(&mut self.stream).poll_read(cx, body.missing()))? {
            0 => Poll::Ready(Err(FrameError::Closed)),
            count => {
                body.filled += count;
                Poll::Ready(Ok(()))
            }
        }
    }
}

/// Writes frames.
pub(super) struct FrameWriter<S> {
    stream: S,
    /// Gathered bytes, of which `sent` are written.
    gathered: Vec<u8>,
    sent: usize,
    /// What is left of a large frame; it follows the gathered bytes.
    body: Bytes,
    /// Something was written that is not flushed yet.
    dirty: bool,
}

impl<S: AsyncWrite + Unpin> FrameWriter<S> {
    /// Writes to `stream`, and `first` before anything else.
    pub(super) fn new(stream: S, first: Bytes) -> Self {
        let gathered = Vec::with_capacity(BUFFER_BYTES);
        let mut writer = Self { stream, gathered, sent: 0, body: Bytes::new(), dirty: false };
        writer.gather(first);
        writer
    }

    /// Writes frames from `next` until there are none, then flushes. Ready when all is flushed.
    pub(super) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        mut next: impl FnMut() -> Option<Bytes>,
    ) -> Poll<io::Result<()>> {
        loop {
            while let Some(rest) = self.gathered.get(self.sent..).filter(|rest| !rest.is_empty()) {
                self.sent += ready!(write_some(&mut self.stream, cx, rest))?;
                self.dirty = true;
            }
            while !self.body.is_empty() {
                let count = ready!(write_some(&mut self.stream, cx, &self.body))?;
                drop(self.body.split_to(count));
                self.dirty = true;
            }
            self.gathered.clear();
            self.sent = 0;
            while self.gathered.len() + GATHER_BYTES_MAX < BUFFER_BYTES && self.body.is_empty() {
                let Some(frame) = next() else { break };
                self.gather(frame);
            }
            if self.gathered.is_empty() {
                break;
            }
        }
        if self.dirty {
            ready!(Pin::new(&mut self.stream).poll_flush(cx))?;
            self.dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Adds an empty frame, unless something is on its way and keeps the link alive itself.
    pub(super) fn keep_alive(&mut self) {
        if self.gathered.is_empty() && self.body.is_empty() {
            self.gather(Bytes::new());
        }
    }

    fn gather(&mut self, frame: Bytes) {
        // Whoever queued the frame kept it within a limit that is far below `u32::MAX`.
        self.gathered.extend_from_slice(&(frame.len() as u32).to_le_bytes());
        match frame.len() < GATHER_BYTES_MAX {
            true => self.gathered.extend_from_slice(&frame),
            false => self.body = frame,
        }
    }
}

/// One write; a stream that takes nothing is an error, not a reason to spin.
fn write_some<S: AsyncWrite + Unpin>(
    stream: &mut S,
    cx: &mut Context<'_>,
    bytes: &[u8],
) -> Poll<io::Result<usize>> {
    match ready!(Pin::new(stream).poll_write(cx, bytes))? {
        0 => Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
        count => Poll::Ready(Ok(count)),
    }
}

#[cfg(test)]
mod tests {
    use futures::executor::block_on;
    use futures::future::poll_fn;
    use futures::io::Cursor;

    use super::*;

    /// Gives and takes at most `chunk` bytes at a time, and is not ready every other time.
    struct Slow<S> {
        inner: S,
        chunk: usize,
        ready: bool,
    }

    impl<S> Slow<S> {
        fn new(inner: S, chunk: usize) -> Self {
            Self { inner, chunk, ready: false }
        }

        fn turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
            self.ready = !self.ready;
            match self.ready {
                true => Poll::Ready(()),
                false => {
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
            }
        }
    }

    impl<S: AsyncRead + Unpin> AsyncRead for Slow<S> {
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &mut [u8],
        ) -> Poll<io::Result<usize>> {
            ready!(self.turn(cx));
            let length = buffer.len().min(self.chunk);
            Pin::new(&mut self.inner).poll_read(cx, &mut buffer[..length])
        }
    }

    impl<S: AsyncWrite + Unpin> AsyncWrite for Slow<S> {
        fn poll_write(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buffer: &[u8],
        ) -> Poll<io::Result<usize>> {
            ready!(self.turn(cx));
            let length = buffer.len().min(self.chunk);
            Pin::new(&mut self.inner).poll_write(cx, &buffer[..length])
        }

        fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_flush(cx)
        }

        fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            Pin::new(&mut self.inner).poll_close(cx)
        }
    }

    fn frames() -> Vec<Bytes> {
        let sizes = [32, 0, 1, GATHER_BYTES_MAX - 1, GATHER_BYTES_MAX, BUFFER_BYTES, 300_000, 7];
        let fill = |(index, size)| Bytes::from(vec![index as u8; size]);
        sizes.into_iter().enumerate().map(fill).collect()
    }

    fn write(frames: &[Bytes], chunk: usize) -> Vec<u8> {
        let mut frames = frames.iter().cloned();
        let first = frames.next().expect("there is a first frame");
        let mut writer = FrameWriter::new(Slow::new(Vec::new(), chunk), first);
        block_on(poll_fn(|cx| writer.poll_drain(cx, || frames.next()))).expect("a Vec takes all");
        writer.stream.inner
    }

    fn read<S: AsyncRead + Unpin>(reader: &mut FrameReader<S>) -> Result<Bytes, FrameError> {
        block_on(poll_fn(|cx| reader.poll_frame(cx)))
    }

    #[test]
    fn what_is_written_is_read_however_it_is_cut() {
        let frames = frames();
        for chunk in [1, 3, 1_000, BUFFER_BYTES, usize::MAX] {
            let bytes = write(&frames, chunk);
            let mut reader = FrameReader::new(Slow::new(Cursor::new(bytes), chunk), 300_000);
            for frame in &frames {
                assert_eq!(&read(&mut reader).expect("a frame"), frame);
            }
            assert!(matches!(read(&mut reader), Err(FrameError::Closed)));
        }
    }

    #[test]
    fn a_frame_over_the_limit_is_refused_by_its_length_alone() {
        for length in [101, u32::MAX] {
            let mut reader = FrameReader::new(Cursor::new(length.to_le_bytes()), 100);
            assert!(matches!(read(&mut reader), Err(FrameError::TooLong { limit: 100, .. })));
            assert!(reader.body.is_none(), "nothing is allocated for it");
        }
    }

    #[test]
    fn a_frame_cut_short_is_an_end_not_a_frame() {
        let mut bytes = write(&[Bytes::from_static(b"vote")], usize::MAX);
        bytes.pop();
        let mut reader = FrameReader::new(Cursor::new(bytes), 100);
        assert!(matches!(read(&mut reader), Err(FrameError::Closed)));
    }

    #[test]
    fn small_frames_go_out_in_one_write() {
        struct Counting(usize);
        impl AsyncWrite for Counting {
            fn poll_write(
                mut self: Pin<&mut Self>,
                _: &mut Context<'_>,
                buffer: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.0 += 1;
                Poll::Ready(Ok(buffer.len()))
            }

            fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }
        }
        let mut votes = std::iter::repeat_n(Bytes::from(vec![7; 200]), 256);
        let mut writer = FrameWriter::new(Counting(0), Bytes::new());
        block_on(poll_fn(|cx| writer.poll_drain(cx, || votes.next()))).expect("it takes all");
        assert_eq!(writer.stream.0, 2, "the first frame, then all that waited");
    }

    #[test]
    fn a_keep_alive_is_an_empty_frame_and_only_when_nothing_is_under_way() {
        let mut writer = FrameWriter::new(Vec::new(), Bytes::from_static(b"hello"));
        writer.keep_alive();
        block_on(poll_fn(|cx| writer.poll_drain(cx, || None))).expect("a Vec takes all");
        assert_eq!(writer.stream.len(), HEADER_BYTES + 5);
        writer.keep_alive();
        block_on(poll_fn(|cx| writer.poll_drain(cx, || None))).expect("a Vec takes all");
        assert_eq!(writer.stream.len(), HEADER_BYTES + 5 + HEADER_BYTES);
    }
}
