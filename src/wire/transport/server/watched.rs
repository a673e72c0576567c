//! What stands between a socket and hyper: the timers that hyper does not have, and the raw head.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::Settings;
use crate::wire::transport::body::{AtEnd, Ended};
use crate::wire::transport::strict::{At, Follower, Shape};

/// What the socket's side and the requests' side of a connection tell each other.
#[derive(Debug, Default)]
pub(super) struct Vital {
    /// Requests whose answers have not ended.
    in_flight: AtomicUsize,
    /// The raw bytes were wrong: nothing that comes over this connection is carried.
    fault: OnceLock<Shape>,
    /// A timer closed it.
    late: AtomicBool,
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
            timer: Box::pin(tokio::time::sleep_until(now + settings.first_byte)),
            settings,
        }
    }

    fn saw(&mut self, bytes: &[u8]) {
        self.last = Instant::now();
        self.silent &= bytes.is_empty();
        let before = self.follower.at();
        if let Err(shape) = self.follower.follow(bytes) {
            // The first fault stays.
            let _ = self.vital.fault.set(shape);
        }
        if self.follower.at() == At::Head && before != At::Head {
            self.since = self.last;
        }
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
        if polled.is_ready() {
            self.last = Instant::now();
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
