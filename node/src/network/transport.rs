//! TCP, Noise and Yamux, and connections that end whether or not the other end listens.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use libp2p::core::Transport;
use libp2p::core::muxing::{StreamMuxer, StreamMuxerBox, StreamMuxerEvent};
use libp2p::core::transport::Boxed;
use libp2p::core::upgrade::Version;
use libp2p::identity::Keypair;
use libp2p::{PeerId, noise, tcp, yamux};
use tokio::time::Sleep;

/// A handshake takes no longer, or the connection is dropped.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Substreams of one connection: two lanes and gossipsub each way make six.
const STREAMS_MAX: usize = 32;
/// How long a connection may take to say goodbye. Yamux first writes all that waits, and to a peer
/// that is cut off TCP takes no more for a quarter of an hour. Until then the connection counts as
/// one of the few that its peer may have, and the peer could not come back.
const GOODBYE_MAX: Duration = Duration::from_secs(1);

/// What every connection goes through.
///
/// # Errors
///
/// If the key cannot sign for Noise.
pub(super) fn transport(
    identity: &Keypair,
) -> Result<Boxed<(PeerId, StreamMuxerBox)>, noise::Error> {
    let mut multiplexer = yamux::Config::default();
    multiplexer.set_max_num_streams(STREAMS_MAX);
    Ok(tcp::tokio::Transport::new(tcp::Config::default().nodelay(true))
        .upgrade(Version::V1Lazy)
        .authenticate(noise::Config::new(identity)?)
        .multiplex(multiplexer)
        .timeout(HANDSHAKE_TIMEOUT)
        .map(|(peer, muxer), _| (peer, StreamMuxerBox::new(ShortGoodbye { muxer, end: None })))
        .boxed())
}

/// A connection that is dropped when it does not close in time.
struct ShortGoodbye<M> {
    muxer: M,
    end: Option<Pin<Box<Sleep>>>,
}

impl<M: StreamMuxer + Unpin> ShortGoodbye<M> {
    fn muxer(self: Pin<&mut Self>) -> Pin<&mut M> {
        Pin::new(&mut self.get_mut().muxer)
    }
}

impl<M: StreamMuxer + Unpin> StreamMuxer for ShortGoodbye<M> {
    type Substream = M::Substream;
    type Error = M::Error;

    fn poll_inbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        self.muxer().poll_inbound(cx)
    }

    fn poll_outbound(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Substream, Self::Error>> {
        self.muxer().poll_outbound(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        if let Poll::Ready(closed) = self.as_mut().muxer().poll_close(cx) {
            return Poll::Ready(closed);
        }
        let end = self.end.get_or_insert_with(|| Box::pin(tokio::time::sleep(GOODBYE_MAX)));
        end.as_mut().poll(cx).map(Ok)
    }

    fn poll(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<StreamMuxerEvent, Self::Error>> {
        self.muxer().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use futures::io::Cursor;
    use libp2p::core::muxing::StreamMuxerExt;

    use super::*;

    /// A connection whose peer is gone: nothing of it ever comes to an end.
    struct Stuck;

    impl StreamMuxer for Stuck {
        type Substream = Cursor<Vec<u8>>;
        type Error = Infallible;

        fn poll_inbound(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Result<Self::Substream, Infallible>> {
            Poll::Pending
        }

        fn poll_outbound(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Result<Self::Substream, Infallible>> {
            Poll::Pending
        }

        fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
            Poll::Pending
        }

        fn poll(
            self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Result<StreamMuxerEvent, Infallible>> {
            Poll::Pending
        }
    }

    #[tokio::test]
    async fn a_connection_that_cannot_say_goodbye_is_given_up() {
        let close = ShortGoodbye { muxer: Stuck, end: None }.close();
        let closed = tokio::time::timeout(GOODBYE_MAX * 10, close).await;
        assert!(closed.is_ok_and(|result| result.is_ok()));
    }
}
