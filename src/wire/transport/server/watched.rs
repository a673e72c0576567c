//! What stands between a socket and hyper: the timers that hyper does not have, and the raw head.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::Settings;
use crate::wire::transport::body::{AtEnd, Earned, Ended};
use crate::wire::transport::strict::{At, Follower, Shape};

/// Bytes that an HTTP/2 connection may bring for nothing, beside what its window lets wait unread.
const FREE: u64 = 256 * 1024;
/// One byte in for so many bytes out: room for window updates, not for a ping for each answer to one.
const WRITTEN: u64 = 2;
/// Bytes a second: the pings of an agent that is merely alive.
const EACH_SECOND: u64 = 1024;

/// What the socket's side and the requests' side of a connection tell each other.
#[derive(Debug, Default)]
pub(super) struct Vital {
    /// Requests whose answers have not ended.
    in_flight: AtomicUsize,
    /// The raw bytes were wrong: nothing that comes over this connection is carried.
    fault: OnceLock<Shape>,
    /// A timer closed it.
    late: AtomicBool,
    /// It carried too much beside requests.
    flooded: AtomicBool,
    earned: Arc<Earned>,
}

impl Vital {
    /// Counts a request until the value is dropped, or told of the end by its answer.
    pub(super) fn request(self: &Arc<Self>) -> AtEnd {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        AtEnd::new(Arc::clone(self) as _, 0)
    }

    pub(super) fn fault(&self) -> Option<Shape> {
        self.fault.get().copied()
    }

    pub(super) fn was_late(&self) -> bool {
        self.late.load(Ordering::Relaxed)
    }

    pub(super) fn was_flooded(&self) -> bool {
        self.flooded.load(Ordering::Relaxed)
    }

    /// Bytes that it may have carried for its requests.
    pub(super) const fn earned(&self) -> &Arc<Earned> {
        &self.earned
    }
}

impl Ended for Vital {
    fn ended(&self, _: usize, _: bool) {
        self.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A socket that is watched.
pub(super) struct Watched<S> {
    stream: S,
    vital: Arc<Vital>,
    settings: Arc<Settings>,
    follower: Follower,
    /// When the wait under way began: for the first byte, or for the rest of a head.
    since: Instant,
    /// Nothing was read yet.
    silent: bool,
    /// The last byte, either way.
    last: Instant,
    opened: Instant,
    /// Bytes that came, and bytes that left.
    came: u64,
    left: u64,
    /// One timer for all waits. It is left to fire early and set again then, so that a request
    /// that comes whole costs no timer.
    timer: Pin<Box<Sleep>>,
}

impl<S> Watched<S> {
    pub(super) fn new(stream: S, vital: Arc<Vital>, settings: Arc<Settings>) -> Self {
        let now = Instant::now();
        Self {
            stream,
            vital,
            follower: Follower::new(settings.head_bytes),
            since: now,
            silent: true,
            last: now,
            opened: now,
            came: 0,
            left: 0,
            timer: Box::pin(tokio::time::sleep_until(now + settings.first_byte)),
            settings,
        }
    }

    fn saw(&mut self, bytes: &[u8]) {
        self.last = Instant::now();
        self.silent &= bytes.is_empty();
        self.came += bytes.len() as u64;
        let before = self.follower.at();
        if let Err(shape) = self.follower.follow(bytes) {
            // The first fault stays.
            let _ = self.vital.fault.set(shape);
        }
        if self.follower.at() == At::Head && before != At::Head {
            self.since = self.last;
        }
    }

    /// Whether an HTTP/2 connection brought more than its requests and answers account for. Pings,
    /// settings, priorities and unknown frames cost the agent little and have no limit in h2.
    fn is_flooded(&self) -> bool {
        if self.follower.at() != At::Elsewhere {
            return false;
        }
        let free = u64::from(self.settings.connection_window) + FREE;
        let allowed = self.vital.earned.total()
            + self.left / WRITTEN
            + self.last.duration_since(self.opened).as_secs() * EACH_SECOND;
        self.came > free + allowed
    }

    /// When what is waited for must have come; `None` while a request is at work.
    fn deadline(&self) -> Option<Instant> {
        match self.follower.at() {
            _ if self.silent => Some(self.since + self.settings.first_byte),
            At::Head => Some(self.since + self.settings.head),
            _ if self.vital.in_flight.load(Ordering::Relaxed) > 0 => None,
            _ => Some(self.last + self.settings.idle),
        }
    }

    fn poll_late(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<io::Error> {
        if self.timer.deadline() > deadline {
            self.timer.as_mut().reset(deadline);
        }
        while self.timer.as_mut().poll(cx).is_ready() {
            if Instant::now() >= deadline {
                self.vital.late.store(true, Ordering::Relaxed);
                return Poll::Ready(io::ErrorKind::TimedOut.into());
            }
            self.timer.as_mut().reset(deadline);
        }
        Poll::Pending
    }

    fn written(
        &mut self,
        polled: Poll<io::Result<usize>>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if let Poll::Ready(written) = &polled {
            self.last = Instant::now();
            self.left += written.as_ref().map_or(0, |bytes| *bytes as u64);
            return polled;
        }
        // The agent does not read its answer.
        self.poll_late(self.last + self.settings.idle, cx).map(Err)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Watched<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(cx, buffer) {
            Poll::Ready(Ok(())) => {
                this.saw(&buffer.filled()[before..]);
                if this.is_flooded() {
                    this.vital.flooded.store(true, Ordering::Relaxed);
                    return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
                }
                Poll::Ready(Ok(()))
            }
            Poll::Pending => match this.deadline() {
                Some(deadline) => this.poll_late(deadline, cx).map(Err),
                None => Poll::Pending,
            },
            failed => failed,
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Watched<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write(cx, bytes);
        self.written(polled, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        self.written(polled, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
