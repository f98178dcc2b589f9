//! Slow links: a proxy per link that passes every byte on, in order, some time after it came.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;

/// Bytes read at once.
const PIECE_BYTES: usize = 64 * 1024;
/// Pieces under way on one link: more than any link here has in a second.
const PIECES_MAX: usize = 4_096;

/// How long what is under way stays under way; shared by all links, and can change at any time.
#[derive(Debug, Clone, Default)]
pub struct Delay(Arc<AtomicU64>);

impl Delay {
    /// From now on.
    pub fn set(&self, delay: Duration) {
        self.0.store(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    fn get(&self) -> Duration {
        Duration::from_millis(self.0.load(Relaxed))
    }
}

/// Takes connections for ever, and makes each one to `target`.
pub async fn forward(listener: TcpListener, target: SocketAddr, delay: Delay) {
    while let Ok((near, _)) = listener.accept().await {
        // Who cannot be reached is not reached through a proxy either.
        let Ok(far) = TcpStream::connect(target).await else { continue };
        let _set = near.set_nodelay(true);
        let _set = far.set_nodelay(true);
        let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
        tokio::spawn(pass_on(near_in, far_out, delay.clone()));
        tokio::spawn(pass_on(far_in, near_out, delay.clone()));
    }
}

/// One direction of a connection, until either end closes it.
async fn pass_on(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, delay: Delay) {
    let (sender, mut receiver) = mpsc::channel::<(Instant, Vec<u8>)>(PIECES_MAX);
    let reading = async move {
        loop {
            let mut piece = vec![0; PIECE_BYTES];
            match from.read(&mut piece).await {
                Ok(0) | Err(_) => return,
                Ok(length) => piece.truncate(length),
            }
            if sender.send((Instant::now() + delay.get(), piece)).await.is_err() {
                return;
            }
        }
    };
    let writing = async move {
        while let Some((due, piece)) = receiver.recv().await {
            tokio::time::sleep_until(due.into()).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _closed = to.shutdown().await;
    };
    // When writing fails the receiver is gone, and reading ends with its next piece.
    tokio::join!(reading, writing);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn bytes_come_late_whole_and_in_order() {
        let echo = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let target = echo.local_addr().unwrap();
        tokio::spawn(async move {
            let (mut stream, _) = echo.accept().await.unwrap();
            let (mut input, mut output) = stream.split();
            tokio::io::copy(&mut input, &mut output).await.unwrap();
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let near = listener.local_addr().unwrap();
        let delay = Delay::default();
        delay.set(Duration::from_millis(50));
        tokio::spawn(forward(listener, target, delay));
        let mut stream = TcpStream::connect(near).await.unwrap();
        let sent: Vec<u8> = (0..200_000u32).map(|number| number.to_le_bytes()[0]).collect();
        let start = Instant::now();
        let (mut input, mut output) = stream.split();
        let mut read = vec![0; sent.len()];
        let (written, echoed) = tokio::join!(output.write_all(&sent), input.read_exact(&mut read));
        written.unwrap();
        echoed.unwrap();
        assert_eq!(read, sent);
        assert!(start.elapsed() >= Duration::from_millis(100), "there and back");
    }
}
