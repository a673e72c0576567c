//! One body for requests and replies of both sides.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::{Bytes, BytesMut};
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub enum BodyError {
    /// The connection it came over broke, or its framing was wrong.
    #[error("the body broke off")]
    Broken(#[source] hyper::Error),
    /// It came too slowly (`Progress`).
    #[error("the body came more slowly than {bytes} bytes in {seconds} s")]
    TooSlow {
        /// How many bytes were expected in a window.
        bytes: u64,
        /// The window.
        seconds: u64,
    },
    /// Whoever produced it gave up.
    #[error("the body was given up")]
    GivenUp,
}

/// A body: nothing, bytes that are there, a stream that comes, or frames of our own.
#[derive(Debug)]
pub struct Body {
    source: Source,
    permit: Option<BodyPermit>,
}

#[derive(Debug)]
enum Source {
    Empty,
    Full(Bytes),
    Incoming(Incoming),
    Channel(mpsc::Receiver<Result<Bytes, BodyError>>),
}

impl Body {
    /// No body.
    #[must_use]
    pub const fn empty() -> Self {
        Self { source: Source::Empty, permit: None }
    }

    /// These bytes, as one frame without a copy.
    #[must_use]
    pub const fn full(bytes: Bytes) -> Self {
        Self { source: Source::Full(bytes), permit: None }
    }

    /// Frames that the sender hands over one by one; at most `capacity` wait.
    #[must_use]
    pub fn channel(capacity: usize) -> (BodySender, Self) {
        let (sender, frames) = mpsc::channel(capacity);
        (BodySender { sender }, Self { source: Source::Channel(frames), permit: None })
    }

    /// What hyper reads from a connection.
    #[must_use]
    pub const fn incoming(incoming: Incoming) -> Self {
        Self { source: Source::Incoming(incoming), permit: None }
    }

    /// Keeps the memory permit until the body was sent or dropped.
    #[must_use]
    pub fn holding(mut self, permit: BodyPermit) -> Self {
        self.permit = Some(permit);
        self
    }

    /// The next piece of data; `None` at the end. Trailers are skipped.
    ///
    /// # Errors
    /// See [`BodyError`].
    pub async fn next_data(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            let frame = std::future::poll_fn(|cx| Pin::new(&mut *self).poll_frame(cx)).await;
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

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match &mut self.source {
            Source::Empty => Poll::Ready(None),
            Source::Full(bytes) => {
                let bytes = std::mem::take(bytes);
                self.source = Source::Empty;
                Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))))
            }
            Source::Incoming(incoming) => {
                Pin::new(incoming).poll_frame(cx).map_err(BodyError::Broken)
            }
            Source::Channel(frames) => {
                frames.poll_recv(cx).map(|frame| frame.map(|data| data.map(Frame::data)))
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.source {
            Source::Empty => true,
            Source::Full(bytes) => bytes.is_empty(),
            Source::Incoming(incoming) => incoming.is_end_stream(),
            Source::Channel(_) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.source {
            Source::Empty => SizeHint::with_exact(0),
            Source::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Source::Incoming(incoming) => incoming.size_hint(),
            Source::Channel(_) => SizeHint::default(),
        }
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

/// How many bytes of bodies the process may hold at once.
#[derive(Clone, Debug)]
pub struct BodyBudget {
    units: Arc<Semaphore>,
}

/// Bytes that were taken from the [`BodyBudget`]; given back when dropped.
#[derive(Debug)]
pub struct BodyPermit {
    _units: OwnedSemaphorePermit,
}

/// A body that was read to its end, with the memory it was granted.
#[derive(Debug)]
pub struct Collected {
    /// The whole body.
    pub bytes: Bytes,
    /// Give it back by dropping it when the bytes are no longer held.
    pub permit: BodyPermit,
}

/// Why a body was not collected.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// It is longer than the limit.
    #[error("the body is longer than {limit} bytes")]
    TooLarge {
        /// The limit, in bytes.
        limit: usize,
    },
    /// All bodies together would take more memory than is allowed, for too long.
    #[error("no memory for the body came free in time")]
    OverBudget,
    /// It broke off or came too slowly.
    #[error(transparent)]
    Body(#[from] BodyError),
}

/// Reads a body to its end: one frame without a copy, several into one presized buffer.
///
/// # Errors
/// See [`CollectError`].
pub async fn collect(
    mut body: Body,
    limit: usize,
    budget: &BodyBudget,
) -> Result<Collected, CollectError> {
    let mut bytes = BytesMut::new();
    while let Some(data) = body.next_data().await? {
        if bytes.len() + data.len() > limit {
            return Err(CollectError::TooLarge { limit });
        }
        bytes.extend_from_slice(&data);
    }
    let permit = budget.take(bytes.len()).await?;
    Ok(Collected { bytes: bytes.freeze(), permit })
}

impl BodyBudget {
    /// A budget of this many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self { units: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))) }
    }

    async fn take(&self, bytes: usize) -> Result<BodyPermit, CollectError> {
        let units = u32::try_from(bytes).map_err(|_| CollectError::OverBudget)?;
        let taken = Arc::clone(&self.units).acquire_many_owned(units).await;
        taken.map(|units| BodyPermit { _units: units }).map_err(|_| CollectError::OverBudget)
    }
}
