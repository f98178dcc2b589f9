//! One connection: opens both lanes, greets, moves frames between the substreams and the node.
//!
//! Frames go from here straight to the sink and come straight from the [`Link`]; only the fate of
//! the connection passes through the swarm.

use std::convert::Infallible;
use std::future::{Future, Ready, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use libp2p::core::upgrade::{InboundUpgrade, OutboundUpgrade, UpgradeInfo};
use libp2p::swarm::handler::{ConnectionEvent, FullyNegotiatedInbound, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionHandler, ConnectionHandlerEvent, Stream, StreamProtocol, SubstreamProtocol,
};
use tokio::time::{Interval, MissedTickBehavior, Sleep};
use tonle_model::hash::{ChainHash, Digest256};

use super::frame::{FrameError, FrameReader, FrameWriter, HEADER_BYTES};
use super::link::Link;
use super::{FRAME_BYTES_MAX, Flow, Lane, NetworkCounters, NetworkSink};

/// The chain hash, which is all of a greeting.
const GREETING_BYTES: usize = 32;
/// How often a connection looks at itself: a side that wrote nothing since then sends a keep-alive.
const TICK: Duration = Duration::from_secs(1);
/// A link on which nothing was heard for this many ticks is dead, whatever TCP believes: after a cut
/// TCP sleeps as long again as the cut lasted, and a new link is up sooner.
const SILENT_TICKS_MAX: u32 = 4;
/// A link that is not greeted after so many ticks is closed.
const GREETING_TICKS_MAX: u32 = 5;
/// A lane must be negotiated within this time.
const NEGOTIATION_TIMEOUT: Duration = Duration::from_secs(5);
/// How soon a frame that the node did not take is offered again.
const BUSY_RETRY: Duration = Duration::from_millis(2);

impl Lane {
    const fn protocol(self) -> StreamProtocol {
        match self {
            Self::Consensus => StreamProtocol::new("/tonle/consensus/1"),
            Self::Bulk => StreamProtocol::new("/tonle/bulk/1"),
        }
    }
}

/// Why a connection must be closed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("the peer belongs to another network, its chain is {0}")]
    WrongChain(ChainHash),
    #[error("the peer broke the framing: {0}")]
    Frame(#[from] FrameError),
    #[error("the greeting does not have {GREETING_BYTES} bytes")]
    Greeting,
    #[error("the peer opened a lane twice")]
    SecondStream,
    #[error("the peer did not open the {0:?} lane")]
    Refused(Lane),
    #[error("no greeting within {:?}", TICK * GREETING_TICKS_MAX)]
    GreetingTimeout,
    #[error("nothing heard for {:?}", TICK * SILENT_TICKS_MAX)]
    Silent,
}

/// What a connection tells the swarm.
#[derive(Debug)]
pub(super) enum Report {
    /// Both lanes are open and greeted both ways.
    Greeted,
    /// The connection is of no more use.
    Failed(Failure),
}

/// What the swarm tells a connection.
#[derive(Debug)]
pub(super) enum Order {
    /// The node knows of the link: frames may be delivered.
    Deliver,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Greeting,
    Reported,
    Delivering,
    Failed,
}

/// The shared parts of all connections.
#[derive(Clone)]
pub(super) struct Surroundings {
    pub(super) chain: ChainHash,
    pub(super) sink: Arc<dyn NetworkSink>,
    pub(super) counters: Arc<NetworkCounters>,
}

/// See the module.
pub(super) struct Handler {
    link: Arc<Link>,
    surroundings: Surroundings,
    lanes: [LaneStreams; 2],
    stage: Stage,
    failure: Option<Failure>,
    ticks: Interval,
    wrote_since_tick: bool,
    silent_ticks: u32,
    greeting_ticks: u32,
}

/// The two substreams of one lane.
struct LaneStreams {
    lane: Lane,
    requested: bool,
    writer: Option<FrameWriter<Stream>>,
    reader: Option<FrameReader<Stream>>,
    greeted: bool,
    /// A frame that the node did not take yet.
    parked: Option<(Bytes, Pin<Box<Sleep>>)>,
}

impl LaneStreams {
    fn new(lane: Lane) -> Self {
        Self { lane, requested: false, writer: None, reader: None, greeted: false, parked: None }
    }
}

impl Handler {
    /// Must be called inside a tokio runtime.
    pub(super) fn new(link: Arc<Link>, surroundings: Surroundings) -> Self {
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + TICK, TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self {
            link,
            surroundings,
            lanes: Lane::ALL.map(LaneStreams::new),
            stage: Stage::Greeting,
            failure: None,
            ticks,
            wrote_since_tick: false,
            silent_ticks: 0,
            greeting_ticks: 0,
        }
    }

    fn fail(&mut self, failure: Failure) {
        if self.stage != Stage::Failed {
            self.stage = Stage::Failed;
            self.failure = Some(failure);
        }
    }

    fn streams(&mut self, lane: Lane) -> &mut LaneStreams {
        let [consensus, bulk] = &mut self.lanes;
        match lane {
            Lane::Consensus => consensus,
            Lane::Bulk => bulk,
        }
    }

    fn poll_streams(&mut self, cx: &mut Context<'_>) -> Result<(), Failure> {
        while self.ticks.poll_tick(cx).is_ready() {
            self.tick()?;
        }
        self.link.register(cx.waker());
        for lane in Lane::ALL {
            self.poll_write(cx, lane)?;
        }
        for lane in Lane::ALL {
            self.poll_read(cx, lane)?;
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Failure> {
        if self.stage == Stage::Greeting {
            self.greeting_ticks += 1;
            return match self.greeting_ticks >= GREETING_TICKS_MAX {
                true => Err(Failure::GreetingTimeout),
                false => Ok(()),
            };
        }
        // A lane that we ourselves do not read is not a silent one.
        let parked = self.lanes.iter().any(|streams| streams.parked.is_some());
        self.silent_ticks = if parked { 0 } else { self.silent_ticks + 1 };
        if self.silent_ticks >= SILENT_TICKS_MAX {
            return Err(Failure::Silent);
        }
        let wrote = std::mem::take(&mut self.wrote_since_tick);
        if !wrote && let Some(writer) = self.streams(Lane::Consensus).writer.as_mut() {
            writer.keep_alive();
        }
        Ok(())
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, lane: Lane) -> Result<(), Failure> {
        let link = Arc::clone(&self.link);
        let counters = Arc::clone(&self.surroundings.counters);
        let mut wrote = false;
        let next = || {
            let frame = link.pop(lane)?;
            counters.frames_out.add(1);
            counters.bytes_out.add(frame.len() + HEADER_BYTES);
            wrote = true;
            Some(frame)
        };
        let Some(writer) = self.streams(lane).writer.as_mut() else { return Ok(()) };
        let outcome = writer.poll_drain(cx, next);
        self.wrote_since_tick |= wrote;
        match outcome {
            Poll::Ready(Err(error)) => Err(FrameError::Io(error).into()),
            Poll::Ready(Ok(())) | Poll::Pending => Ok(()),
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, lane: Lane) -> Result<(), Failure> {
        loop {
            let delivering = self.stage == Stage::Delivering;
            let streams = self.streams(lane);
            if streams.greeted && !delivering {
                return Ok(());
            }
            if let Some((frame, mut retry)) = streams.parked.take() {
                match retry.as_mut().poll(cx) {
                    Poll::Pending => streams.parked = Some((frame, retry)),
                    Poll::Ready(()) => self.deliver(cx, lane, frame),
                }
                if self.streams(lane).parked.is_some() {
                    return Ok(());
                }
                continue;
            }
            let Some(reader) = streams.reader.as_mut() else { return Ok(()) };
            let Poll::Ready(frame) = reader.poll_frame(cx) else { return Ok(()) };
            let frame = frame?;
            self.silent_ticks = 0;
            if self.streams(lane).greeted {
                self.deliver(cx, lane, frame);
            } else {
                self.greet(lane, &frame)?;
            }
        }
    }

    /// Reads the first frame of a lane: the chain of the peer.
    fn greet(&mut self, lane: Lane, frame: &[u8]) -> Result<(), Failure> {
        let theirs: [u8; GREETING_BYTES] = frame.try_into().map_err(|_| Failure::Greeting)?;
        let theirs = ChainHash(Digest256(theirs));
        if theirs != self.surroundings.chain {
            return Err(Failure::WrongChain(theirs));
        }
        let streams = self.streams(lane);
        streams.greeted = true;
        if let Some(reader) = streams.reader.as_mut() {
            reader.set_limit(FRAME_BYTES_MAX);
        }
        Ok(())
    }

    /// Offers a frame to the node; one that it does not take is parked.
    fn deliver(&mut self, cx: &mut Context<'_>, lane: Lane, frame: Bytes) {
        if frame.is_empty() {
            return;
        }
        let length = frame.len();
        match self.surroundings.sink.frame(self.link.peer, lane, frame.clone()) {
            Flow::Accepted => {
                self.surroundings.counters.frames_in.add(1);
                self.surroundings.counters.bytes_in.add(length + HEADER_BYTES);
            }
            Flow::Busy => {
                let mut retry = Box::pin(tokio::time::sleep(BUSY_RETRY));
                // Polled once so that it wakes this connection; were it ready already, the wake
                // makes up for it.
                if retry.as_mut().poll(cx).is_ready() {
                    cx.waker().wake_by_ref();
                }
                self.streams(lane).parked = Some((frame, retry));
            }
        }
    }

    fn accept(&mut self, stream: Stream, protocol: &StreamProtocol) {
        let Some(lane) = Lane::ALL.into_iter().find(|lane| lane.protocol() == *protocol) else {
            return;
        };
        let streams = self.streams(lane);
        match streams.reader {
            None => streams.reader = Some(FrameReader::new(stream, GREETING_BYTES)),
            Some(_) => self.fail(Failure::SecondStream),
        }
    }

    fn opened(&mut self, stream: Stream, lane: Lane) {
        let greeting = Bytes::copy_from_slice(self.surroundings.chain.as_ref());
        self.streams(lane).writer = Some(FrameWriter::new(stream, greeting));
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = Order;
    type ToBehaviour = Report;
    type InboundProtocol = LaneUpgrade<2>;
    type OutboundProtocol = LaneUpgrade<1>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = Lane;

    fn listen_protocol(&self) -> SubstreamProtocol<LaneUpgrade<2>, ()> {
        SubstreamProtocol::new(LaneUpgrade(Lane::ALL), ()).with_timeout(NEGOTIATION_TIMEOUT)
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<ConnectionHandlerEvent<LaneUpgrade<1>, Lane, Report>> {
        if let Some(streams) = self.lanes.iter_mut().find(|streams| !streams.requested) {
            streams.requested = true;
            let lane = streams.lane;
            let protocol =
                SubstreamProtocol::new(LaneUpgrade([lane]), lane).with_timeout(NEGOTIATION_TIMEOUT);
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest { protocol });
        }
        if self.stage != Stage::Failed
            && let Err(failure) = self.poll_streams(cx)
        {
            self.fail(failure);
        }
        if let Some(failure) = self.failure.take() {
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Report::Failed(failure)));
        }
        let ready = |streams: &LaneStreams| streams.greeted && streams.writer.is_some();
        if self.stage == Stage::Greeting && self.lanes.iter().all(ready) {
            self.stage = Stage::Reported;
            return Poll::Ready(ConnectionHandlerEvent::NotifyBehaviour(Report::Greeted));
        }
        Poll::Pending
    }

    fn on_behaviour_event(&mut self, Order::Deliver: Order) {
        if self.stage == Stage::Reported {
            self.stage = Stage::Delivering;
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<'_, LaneUpgrade<2>, LaneUpgrade<1>, (), Lane>,
    ) {
        match event {
            ConnectionEvent::FullyNegotiatedInbound(FullyNegotiatedInbound {
                protocol: (stream, protocol),
                info: (),
            }) => self.accept(stream, &protocol),
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: (stream, _),
                info: lane,
            }) => self.opened(stream, lane),
            ConnectionEvent::DialUpgradeError(error) => self.fail(Failure::Refused(error.info)),
            _ => {}
        }
    }
}

/// Negotiates one of the given lanes and hands the substream over as it is.
pub(super) struct LaneUpgrade<const COUNT: usize>([Lane; COUNT]);

impl<const COUNT: usize> UpgradeInfo for LaneUpgrade<COUNT> {
    type Info = StreamProtocol;
    type InfoIter = std::array::IntoIter<StreamProtocol, COUNT>;

    fn protocol_info(&self) -> Self::InfoIter {
        self.0.map(Lane::protocol).into_iter()
    }
}

impl<const COUNT: usize> InboundUpgrade<Stream> for LaneUpgrade<COUNT> {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_inbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}

impl<const COUNT: usize> OutboundUpgrade<Stream> for LaneUpgrade<COUNT> {
    type Output = (Stream, StreamProtocol);
    type Error = Infallible;
    type Future = Ready<Result<Self::Output, Infallible>>;

    fn upgrade_outbound(self, stream: Stream, protocol: StreamProtocol) -> Self::Future {
        ready(Ok((stream, protocol)))
    }
}
