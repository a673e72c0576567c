//! Connections of one thread to one peer: idle, lent out, shared.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::{http1, http2};
use tokio::time::Instant;

use super::{SendError, Sent};
use crate::wire::transport::body::{Body, Ended};

/// A connection that can take a request.
#[derive(Debug)]
pub(super) enum Connection {
    Http1(Http1),
    Http2(http2::SendRequest<Body>),
}

#[derive(Debug)]
pub(super) struct Http1 {
    pub(super) sender: http1::SendRequest<Body>,
    /// Bytes written to the socket since it was opened.
    pub(super) written: Arc<AtomicU64>,
}

/// A request that got no answer; it is given back where no byte of it had left.
#[derive(Debug)]
pub(super) struct Failed {
    pub(super) unsent: Option<Box<Request<Body>>>,
    sent: Sent,
    error: hyper::Error,
}

impl From<Failed> for SendError {
    fn from(failed: Failed) -> Self {
        Self { sent: failed.sent, why: told(&failed.error), unreachable: false }
    }
}

/// The chain of causes; hyper's errors carry no payload.
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl Connection {
    pub(super) async fn send(
        &mut self,
        request: Request<Body>,
    ) -> Result<Response<Incoming>, Failed> {
        match self {
            Self::Http1(Http1 { sender, written }) => {
                let before = written.load(Ordering::Relaxed);
                sender.try_send_request(request).await.map_err(|mut error| {
                    let unsent = error.take_message().map(Box::new);
                    let nothing = unsent.is_some() || written.load(Ordering::Relaxed) == before;
                    let sent = if nothing { Sent::Nothing } else { Sent::Something };
                    Failed { unsent, sent, error: error.into_error() }
                })
            }
            // Others write on the same connection: what had left of this one cannot be told.
            Self::Http2(sender) => sender.try_send_request(request).await.map_err(|mut error| {
                let unsent = error.take_message().map(Box::new);
                let sent = if unsent.is_some() { Sent::Nothing } else { Sent::Unknown };
                Failed { unsent, sent, error: error.into_error() }
            }),
        }
    }

    fn is_usable(&self) -> bool {
        match self {
            Self::Http1(connection) => !connection.sender.is_closed(),
            Self::Http2(sender) => !sender.is_closed(),
        }
    }
}

/// Idle connections, newest last; those whose answers are being read; the one that is shared.
#[derive(Debug)]
pub(super) struct Pool {
    state: Mutex<State>,
    keep_idle: Duration,
    /// For the task that closes what was idle too long.
    me: Weak<Self>,
}

#[derive(Debug, Default)]
struct State {
    idle: Vec<(Http1, Instant)>,
    /// By key. Empty places are listed in `places`.
    lent: Vec<Option<Http1>>,
    places: Vec<usize>,
    shared: Option<http2::SendRequest<Body>>,
    /// A task is closing what was idle too long.
    reaping: bool,
}

impl Pool {
    pub(super) fn new(keep_idle: Duration) -> Arc<Self> {
        Arc::new_cyclic(|me| Self { state: Mutex::default(), keep_idle, me: me.clone() })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection that looks alive: the shared one, else the one that was used last.
    pub(super) fn take(&self) -> Option<Connection> {
        let mut state = self.state();
        if let Some(sender) = &state.shared {
            let shared = Connection::Http2(sender.clone());
            if shared.is_usable() {
                return Some(shared);
            }
            state.shared = None;
        }
        let oldest = Instant::now().checked_sub(self.keep_idle);
        while let Some((connection, since)) = state.idle.pop() {
            let connection = Connection::Http1(connection);
            if oldest.is_none_or(|oldest| since > oldest) && connection.is_usable() {
                return Some(connection);
            }
        }
        None
    }

    /// Lets others use an HTTP/2 connection too.
    pub(super) fn share(&self, sender: http2::SendRequest<Body>) {
        self.state().shared = Some(sender);
    }

    /// Keeps a connection while its answer is read.
    pub(super) fn lend(&self, connection: Http1) -> usize {
        let mut state = self.state();
        if let Some(key) = state.places.pop() {
            state.lent[key] = Some(connection);
            key
        } else {
            state.lent.push(Some(connection));
            state.lent.len() - 1
        }
    }

    /// Keeps a connection for the next request.
    pub(super) fn give_back(&self, connection: Http1) {
        // Without a runtime (it is shutting down) nobody could close it later.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let mut state = self.state();
        state.idle.push((connection, Instant::now()));
        if !state.reaping {
            state.reaping = true;
            runtime.spawn(reap(Weak::clone(&self.me), self.keep_idle));
        }
    }

    /// Closes what was idle too long; true while something is left.
    fn close_stale(&self) -> bool {
        let mut state = self.state();
        let oldest = Instant::now().checked_sub(self.keep_idle);
        state.idle.retain(|(_, since)| oldest.is_none_or(|oldest| *since > oldest));
        state.reaping = !state.idle.is_empty();
        state.reaping
    }
}

async fn reap(pool: Weak<Pool>, every: Duration) {
    loop {
        tokio::time::sleep(every).await;
        if !pool.upgrade().is_some_and(|pool| pool.close_stale()) {
            return;
        }
    }
}

impl Ended for Pool {
    /// A connection whose answer was not read to its end is not used again: dropping its sender
    /// closes it.
    fn ended(&self, key: usize, whole: bool) {
        let mut state = self.state();
        let connection = state.lent.get_mut(key).and_then(Option::take);
        state.places.push(key);
        drop(state);
        if let Some(connection) = connection
            && whole
        {
            self.give_back(connection);
        }
    }
}
