//! Our own MCP client: what the control plane asks a peer itself.
//!
//! ```text
//!   surface ─► greet (modern, else legacy) or the caller's own voice ─► tools/list, every page
//!   call    ─► tools/call, for paired replay
//!   watch   ─► subscriptions/listen or GET ─► one word for each change
//! ```
//!
//! Never here: a request without a deadline, a page read twice, a session of ours left open.

mod greet;
mod line;
mod listing;
mod metadata;
mod watch;
mod words;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use self::greet::Visit;
use self::line::Line;
use self::words::{Ask, Voice};
use crate::domain::message::{Digest, Era};
use crate::domain::policy::Caller;
use crate::wire::transport::stdio::{Child, StdioError};
use crate::wire::transport::upstream::Upstream;

pub use self::listing::{Listing, Reading};

/// How long a question of ours may take, all its pages together.
const DEADLINE: Duration = Duration::from_secs(30);

/// How a call of ours ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CallOutcome {
    /// The peer answered with a result.
    Result {
        /// JSON text of `result`, as it came.
        body: Bytes,
        /// `result.isError` is true.
        is_error: bool,
    },
    /// The peer answered with a JSON-RPC error.
    Error {
        /// `error.code`.
        code: i64,
        /// `error.message`, cut to a bounded length.
        message: String,
    },
}

/// Why a peer gave no usable answer.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// It could not be reached, or the connection broke.
    #[error("the peer cannot be reached: {0}")]
    Unreachable(String),
    /// It did not answer in time.
    #[error("the peer did not answer within {seconds} s")]
    Deadline {
        /// The deadline.
        seconds: u64,
    },
    /// It refused: HTTP status and, where it gave one, the JSON-RPC error.
    #[error("the peer refused (HTTP {status}): {message}")]
    Refused {
        /// HTTP status; 200 over pipes.
        status: u16,
        /// `error.code`.
        code: Option<i64>,
        /// `error.message`, cut to a bounded length.
        message: String,
    },
    /// What it said is not MCP.
    #[error("the peer's answer is not what MCP asks for: {0}")]
    Malformed(String),
    /// A stream of changes ended.
    #[error("the stream of changes ended")]
    StreamEnded,
    /// The peer has no stream of changes.
    #[error("the peer offers no stream of changes")]
    NoStream,
}

/// Asks one peer. Remembers the era that it spoke last.
#[derive(Debug)]
pub struct PeerClient {
    line: Line,
    next_id: AtomicU64,
    /// Over pipes the whole visit: a child is greeted once. Over HTTP only its era is used again.
    known: Mutex<Option<Visit>>,
}

impl PeerClient {
    /// Over HTTP; the endpoint's path is where MCP is spoken.
    #[must_use]
    pub fn over_http(upstream: Upstream) -> Self {
        Self::over(Line::Http(upstream))
    }

    /// Over a child's pipes, which are ours alone.
    #[must_use]
    pub fn over_stdio(child: Child) -> Self {
        Self::over(Line::Stdio(Box::new(tokio::sync::Mutex::new(child))))
    }

    fn over(line: Line) -> Self {
        Self { line, next_id: AtomicU64::new(1), known: Mutex::new(None) }
    }

    /// Reads every page of the peer's surface: as the caller where one is given, else as ourselves.
    /// As a legacy caller, whose session was opened by itself, capabilities are not known (`null`).
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn surface(&self, caller: Option<&Caller>) -> Result<Listing, PeerError> {
        within(DEADLINE, async {
            let visit = self.visit(caller).await?;
            let listing = self.list(&visit).await;
            self.leave(visit).await;
            listing
        })
        .await
    }

    /// As [`PeerClient::surface`], and spares what is needed to make tools of it where it is, byte for
    /// byte, what `known` is the digest of.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn surface_unless(
        &self,
        caller: Option<&Caller>,
        known: Option<Digest>,
    ) -> Result<Reading, PeerError> {
        within(DEADLINE, async {
            let visit = self.visit(caller).await?;
            let reading = self.list_unless(&visit, known).await;
            self.leave(visit).await;
            reading
        })
        .await
    }

    /// What the peer declares that it can do, as it declares it to the caller; to ourselves where none is
    /// given. As a legacy caller, whose session was opened by itself, it is not known (`null`).
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn declared(&self, caller: Option<&Caller>) -> Result<serde_json::Value, PeerError> {
        within(DEADLINE, async {
            let visit = self.visit(caller).await?;
            let declared = visit.about.capabilities.clone();
            self.leave(visit).await;
            Ok(declared)
        })
        .await
    }

    async fn visit(&self, caller: Option<&Caller>) -> Result<Visit, PeerError> {
        match caller {
            Some(caller) => self.visit_of(caller).await,
            None => self.greet().await,
        }
    }

    /// Calls a tool, for paired replay. `arguments` is JSON text; `param_headers` are the whole
    /// `Mcp-Param-*` headers of the call, names and encoded values.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn call(
        &self,
        caller: Option<&Caller>,
        tool: &str,
        arguments: Option<&[u8]>,
        param_headers: Vec<(String, String)>,
    ) -> Result<CallOutcome, PeerError> {
        within(DEADLINE, async {
            let visit = match caller {
                Some(caller) => Visit::without_greeting(Voice::of(caller)),
                None => self.greet().await?,
            };
            let ask = Ask::call(&visit.voice, self.id(), tool, arguments, &param_headers)?;
            let answered = self.line.ask(ask).await;
            self.leave(visit).await;
            outcome(answered)
        })
        .await
    }

    /// Listens for changes of the peer's tools and tells each; returns when the stream ends, or
    /// the receiver is gone. A change that is not yet taken is not told again.
    pub async fn watch(&self, notify: mpsc::Sender<()>) -> PeerError {
        match self.watch_until_end(&notify).await {
            Ok(()) => PeerError::StreamEnded,
            Err(error) => error,
        }
    }

    /// Ends the child, where there is one (`Child::shutdown`).
    ///
    /// # Errors
    /// See [`StdioError`].
    pub async fn close(self) -> Result<(), StdioError> {
        match self.line {
            Line::Http(_) => Ok(()),
            Line::Stdio(child) => child.into_inner().shutdown().await,
        }
    }

    /// Ids of ours cannot be an agent's.
    fn id(&self) -> String {
        format!("\"stipula-{}\"", self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    fn known(&self) -> Option<Visit> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn remember(&self, visit: &Visit) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = Some(visit.clone());
    }
}

async fn within<T>(
    deadline: Duration,
    work: impl Future<Output = Result<T, PeerError>>,
) -> Result<T, PeerError> {
    let seconds = deadline.as_secs();
    tokio::time::timeout(deadline, work).await.unwrap_or(Err(PeerError::Deadline { seconds }))
}

fn outcome(answered: Result<line::Answer, PeerError>) -> Result<CallOutcome, PeerError> {
    match answered {
        Ok(answer) => {
            let is_error = answer.value()?.get("isError") == Some(&true.into());
            Ok(CallOutcome::Result { body: answer.result, is_error })
        }
        Err(PeerError::Refused { code: Some(code), message, .. }) => {
            Ok(CallOutcome::Error { code, message })
        }
        Err(error) => Err(error),
    }
}

/// The newest revision of each era.
const fn revision(era: Era) -> &'static str {
    match era {
        Era::Modern => "2026-07-28",
        Era::Legacy => "2025-11-25",
    }
}
#[cfg(test)]
mod tests;
