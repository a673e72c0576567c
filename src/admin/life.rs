//! How the process lives: whether it is leaving, and how its configuration stands. Told by who wires it,
//! asked by the desk.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use serde::Serialize;
use tokio::sync::{mpsc, oneshot};

use crate::domain::message::UnixMillis;

/// How the configuration stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Standing {
    /// The file; null where there is none.
    pub file: Option<String>,
    /// Since when the one in force is.
    pub since: UnixMillis,
    /// Whether the one in force is what the file said when it was last read.
    pub current: bool,
    /// Why it is not, each with file, line and column.
    pub faults: Vec<String>,
}

/// Somebody asks that the configuration is read again.
#[derive(Debug)]
pub struct ReloadAsked {
    /// Who, for the log.
    pub cause: &'static str,
    /// Where it is answered: what changed in words, or all that stands against it.
    pub answer: oneshot::Sender<Result<String, Vec<String>>>,
}

/// How the process lives. Clones share it.
#[derive(Clone, Debug)]
pub struct Life(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    leaving: AtomicBool,
    /// How long what is in flight may take at the end, in milliseconds.
    drain: AtomicU64,
    standing: ArcSwap<Standing>,
    asks: mpsc::Sender<ReloadAsked>,
}

impl Life {
    /// A process whose configuration came from this file, in force since `now`; and what is asked of
    /// whoever can read it again.
    #[must_use]
    pub fn new(file: Option<String>, now: UnixMillis) -> (Self, mpsc::Receiver<ReloadAsked>) {
        let standing = Standing { file, since: now, current: true, faults: Vec::new() };
        let (asks, asked) = mpsc::channel(4);
        let standing = ArcSwap::from_pointee(standing);
        let (leaving, drain) = (AtomicBool::new(false), AtomicU64::new(0));
        (Self(Arc::new(Inner { leaving, drain, standing, asks })), asked)
    }

    /// How long what is in flight may take once the process is told to stop.
    #[must_use]
    pub fn drain(&self) -> Duration {
        Duration::from_millis(self.0.drain.load(Ordering::Relaxed))
    }

    /// Sets [`Life::drain`].
    pub fn set_drain(&self, span: Duration) {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        self.0.drain.store(millis, Ordering::Relaxed);
    }

    /// From now on no exchange is begun.
    pub fn leave(&self) {
        self.0.leaving.store(true, Ordering::Release);
    }

    /// Whether the process is about to end.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.0.leaving.load(Ordering::Acquire)
    }

    /// How the configuration stands.
    #[must_use]
    pub fn standing(&self) -> Arc<Standing> {
        self.0.standing.load_full()
    }

    /// Tells how the configuration stands from now on.
    pub fn tell(&self, standing: Standing) {
        self.0.standing.store(Arc::new(standing));
    }

    /// Reads the configuration again and puts it in force, all of it or nothing; tells in words what
    /// changed.
    ///
    /// # Errors
    /// All that stands against it, each with its place; what was in force stays so.
    pub async fn reload(&self, cause: &'static str) -> Result<String, Vec<String>> {
        let gone = || vec!["the sidecar is stopping".to_owned()];
        let (answer, answered) = oneshot::channel();
        self.0.asks.send(ReloadAsked { cause, answer }).await.map_err(|_| gone())?;
        answered.await.unwrap_or_else(|_| Err(gone()))
    }
}
