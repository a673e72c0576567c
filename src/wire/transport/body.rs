//! One body for requests and replies of both sides.
//!
//! ```text
//!   nothing · bytes that are there · Incoming with its pace · frames of our own ──► Body
//!                                                   whoever must know of its end ◄── AtEnd
//! ```

use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, Sleep};

use super::budget::BodyPermit;

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection it came over broke, or its framing was wrong.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    /// It came more slowly than its [`Pace`] asks for.
    #[error("the body came too slowly")]
    TooSlow,
    /// Whoever produced it gave up.
    #[error("the body was given up")]
    GivenUp,
}

/// How fast a body must come while somebody waits for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pace {
    /// Each window of waiting must bring `bytes`.
    pub window: Duration,
    /// See `window`.
    pub bytes: u64,
    /// The whole body must be there within this, counted from the first wait.
    pub whole: Option<Duration>,
}

/// Told when a body ended: how a connection goes back to its pool, and how a server counts.
pub(super) trait Ended: Send + Sync + fmt::Debug {
    /// `whole` is false where it was dropped before its end.
    fn ended(&self, key: usize, whole: bool);
}

/// Tells once: at the end, or when it is dropped.
#[derive(Debug)]
pub(super) struct AtEnd {
    whom: Option<Arc<dyn Ended>>,
    key: usize,
}

impl AtEnd {
    pub(super) fn new(whom: Arc<dyn Ended>, key: usize) -> Self {
        Self { whom: Some(whom), key }
    }

    fn tell(&mut self, whole: bool) {
        if let Some(whom) = self.whom.take() {
            whom.ended(self.key, whole);
        }
    }
}

impl Drop for AtEnd {
    fn drop(&mut self) {
        self.tell(false);
    }
}

/// Bytes of a connection that carried a request or a part of one.
#[derive(Debug, Default)]
pub(super) struct Earned(AtomicU64);

impl Earned {
    pub(super) fn add(&self, bytes: u64) {
        self.0.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn total(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Hears what passes, and changes nothing of it.
pub trait Ear: fmt::Debug + Send + Sync {
    /// Some data came; `last` with the last of it, or with none where the end came by itself. A body that
    /// breaks off, or that nobody reads to its end, has no last data.
    fn hears(&mut self, data: &[u8], last: bool);
}

/// What a frame of data costs beside its data, in bytes: a head, and padding within reason.
const FRAME: u64 = 64;

/// A body: nothing, bytes that are there, a stream that comes, or frames of our own.
#[derive(Debug)]
pub struct Body {
    source: Source,
    /// Memory that the bytes were granted; given back when they were sent.
    permit: Option<BodyPermit>,
    /// The place of its exchange; given back with the body.
    place: Option<OwnedSemaphorePermit>,
    /// Set by the server on replies, so that it knows which connections are at work.
    at_end: Option<AtEnd>,
}

#[derive(Debug)]
enum Source {
    Empty,
    Full(Bytes),
    Incoming(Paced),
    Channel(mpsc::Receiver<Result<Bytes, BodyError>>),
    Heard(Box<Heard>),
}

/// A body that somebody listens in on.
#[derive(Debug)]
struct Heard {
    source: Source,
    ear: Option<Box<dyn Ear>>,
}

impl Body {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self::of(Source::Empty)
    }

    /// These bytes, as one frame without a copy.
    #[must_use]
    pub const fn full(bytes: Bytes) -> Self {
        Self::of(Source::Full(bytes))
    }

    /// Frames that the sender hands over one by one; at most `capacity` (at least 1) wait.
    #[must_use]
    pub fn channel(capacity: usize) -> (BodySender, Self) {
        let (sender, frames) = mpsc::channel(capacity.max(1));
        (BodySender { sender }, Self::of(Source::Channel(frames)))
    }

    /// What hyper reads from a connection.
    pub(super) fn incoming(
        incoming: Incoming,
        pace: Option<Arc<Pace>>,
        at_end: Option<AtEnd>,
    ) -> Self {
        let earned = None;
        let paced = Paced { incoming, pace, at_end, earned, waiting: None, since_window: 0 };
        Self::of(Source::Incoming(paced))
    }

    /// What hyper reads from an agent's connection, counted.
    pub(super) fn received(
        incoming: Incoming,
        pace: Arc<Pace>,
        earned: Option<Arc<Earned>>,
    ) -> Self {
        let pace = Some(pace);
        let paced = Paced { incoming, pace, at_end: None, earned, waiting: None, since_window: 0 };
        Self::of(Source::Incoming(paced))
    }

    /// Lets somebody listen in.
    #[must_use]
    pub fn heard_by(mut self, ear: Box<dyn Ear>) -> Self {
        let source = std::mem::replace(&mut self.source, Source::Empty);
        self.source = Source::Heard(Box::new(Heard { source, ear: Some(ear) }));
        self
    }

    /// How many bytes are to come, where that is known.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.source.size_hint().exact()
    }

    /// The same body once more, where its bytes are at hand.
    pub(super) fn again(&self) -> Option<Self> {
        match &self.source {
            Source::Empty => Some(Self::empty()),
            Source::Full(bytes) => Some(Self::full(bytes.clone())),
            Source::Incoming(_) | Source::Channel(_) | Source::Heard(_) => None,
        }
    }

    const fn of(source: Source) -> Self {
        Self { source, permit: None, place: None, at_end: None }
    }

    /// Keeps the memory permit until the body was sent or dropped.
    #[must_use]
    pub fn holding(mut self, permit: BodyPermit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// Keeps the place of its exchange.
    pub(super) fn in_place(mut self, place: Option<OwnedSemaphorePermit>) -> Self {
        self.place = place;
        self
    }

    pub(super) fn telling(mut self, at_end: AtEnd) -> Self {
        self.at_end = Some(at_end);
        self
    }

    /// The next piece of data; `None` at the end. Trailers are skipped.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub async fn next_data(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame = std::future::poll_fn(|cx| self.source.poll(cx)).await;
            match frame.transpose()?.map(Frame::into_data) {
                None => return Ok(None),
                Some(Ok(data)) => return Ok(Some(data)),
                Some(Err(_trailers)) => {}
            }
        }
    }
}

impl Default for Body {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Bytes> for Body {
    fn from(bytes: Bytes) -> Self {
        Self::full(bytes)
    }
}

type Polled = Poll<Option<Result<Frame<Bytes>, BodyError>>>;

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Polled {
        let polled = self.source.poll(cx);
        if matches!(polled, Poll::Ready(None))
            && let Some(at_end) = &mut self.at_end
        {
            at_end.tell(true);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.source.is_at_end()
    }

    fn size_hint(&self) -> SizeHint {
        self.source.size_hint()
    }
}

impl Source {
    fn poll(&mut self, cx: &mut Context<'_>) -> Polled {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                *self = Self::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Self::Incoming(paced) => paced.poll(cx),
            Self::Channel(frames) => {
                frames.poll_recv(cx).map(|frame| frame.map(|data| data.map(Frame::data)))
            }
            Self::Heard(heard) => heard.poll(cx),
        }
    }

    fn is_at_end(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Incoming(paced) => paced.incoming.is_end_stream(),
            Self::Channel(_) => false,
            Self::Heard(heard) => heard.source.is_at_end(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Incoming(paced) => paced.incoming.size_hint(),
            Self::Channel(_) => SizeHint::default(),
            Self::Heard(heard) => heard.source.size_hint(),
        }
    }
}

impl Heard {
    fn poll(&mut self, cx: &mut Context<'_>) -> Polled {
        let polled = self.source.poll(cx);
        let last = match &polled {
            Poll::Pending => return polled,
            Poll::Ready(Some(Err(_))) => {
                self.ear = None;
                return polled;
            }
            Poll::Ready(None) => true,
            Poll::Ready(Some(Ok(_))) => self.source.is_at_end(),
        };
        if let Some(ear) = &mut self.ear {
            let frame = match &polled {
                Poll::Ready(Some(Ok(frame))) => frame.data_ref(),
                _ => None,
            };
            ear.hears(frame.map_or(&[], |data| &data[..]), last);
        }
        if last {
            self.ear = None;
        }
        polled
    }
}

/// What comes over a connection, and how fast it must. The clock is asked only while it waits.
#[derive(Debug)]
struct Paced {
    incoming: Incoming,
    pace: Option<Arc<Pace>>,
    at_end: Option<AtEnd>,
    /// Where its bytes are counted, on HTTP/2.
    earned: Option<Arc<Earned>>,
    /// Made at the first wait: most bodies are there at once and need no timer.
    waiting: Option<Waiting>,
    /// Bytes that came since the window began.
    since_window: u64,
}

#[derive(Debug)]
struct Waiting {
    window: Pin<Box<Sleep>>,
    /// When the whole body must be there.
    whole: Option<Instant>,
}

impl Paced {
    fn poll(&mut self, cx: &mut Context<'_>) -> Polled {
        match Pin::new(&mut self.incoming).poll_frame(cx) {
            Poll::Ready(Some(Ok(frame))) => {
                let bytes = frame.data_ref().map_or(0, Bytes::len) as u64;
                self.since_window += bytes;
                if let Some(earned) = &self.earned {
                    earned.add(bytes + FRAME);
                }
                // A body of known length says that it is over with its last frame, and hyper does
                // not ask it again.
                if self.incoming.is_end_stream() {
                    self.tell(true);
                }
                Poll::Ready(Some(Ok(frame)))
            }
            Poll::Ready(Some(Err(error))) => {
                self.tell(false);
                Poll::Ready(Some(Err(BodyError::Broken(error))))
            }
            Poll::Ready(None) => {
                self.tell(true);
                Poll::Ready(None)
            }
            Poll::Pending => match self.pace.clone() {
                Some(pace) if self.is_late(&pace, cx) => {
                    self.tell(false);
                    Poll::Ready(Some(Err(BodyError::TooSlow)))
                }
                _ => Poll::Pending,
            },
        }
    }

    fn tell(&mut self, whole: bool) {
        if let Some(at_end) = &mut self.at_end {
            at_end.tell(whole);
        }
    }

    fn is_late(&mut self, pace: &Pace, cx: &mut Context<'_>) -> bool {
        let waiting = self.waiting.get_or_insert_with(|| {
            self.since_window = 0;
            let first = pace.whole.map_or(pace.window, |whole| whole.min(pace.window));
            Waiting {
                window: Box::pin(tokio::time::sleep(first)),
                whole: pace.whole.map(|whole| Instant::now() + whole),
            }
        });
        while waiting.window.as_mut().poll(cx).is_ready() {
            let now = Instant::now();
            if self.since_window < pace.bytes || waiting.whole.is_some_and(|whole| now >= whole) {
                return true;
            }
            self.since_window = 0;
            let next = now + pace.window;
            waiting.window.as_mut().reset(waiting.whole.map_or(next, |whole| next.min(whole)));
        }
        false
    }
}

/// Hands frames to a [`Body::channel`]. Dropping it ends the body.
#[derive(Clone, Debug)]
pub struct BodySender {
    sender: mpsc::Sender<Result<Bytes, BodyError>>,
}

/// The reader of a [`Body::channel`] is gone.
#[derive(Debug, thiserror::Error)]
#[error("the reader of the body is gone")]
pub struct ReaderGone;

impl BodySender {
    /// Hands over a frame; waits while the reader is behind.
    ///
    /// # Errors
    /// [`ReaderGone`] when the body was dropped.
    pub async fn send(&self, data: Bytes) -> Result<(), ReaderGone> {
        self.sender.send(Ok(data)).await.map_err(|_| ReaderGone)
    }

    /// Breaks the body off: the reader sees a broken body, never a short valid one.
    pub async fn fail(self) {
        let _ = self.sender.send(Err(BodyError::GivenUp)).await;
    }

    /// Waits until the reader is gone.
    pub async fn closed(&self) {
        self.sender.closed().await;
    }
}
