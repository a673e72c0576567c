//! Our own MCP client: what the control plane asks a peer itself.

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::domain::contract::Surface;
use crate::domain::message::Era;
use crate::domain::policy::Caller;
use crate::wire::transport::stdio::Child;
use crate::wire::transport::upstream::Upstream;

/// What a peer lists.
#[derive(Clone, Debug)]
pub struct Listing {
    /// All pages.
    pub surface: Surface,
    /// The era it was read in.
    pub era: Era,
    /// How long it may be kept, in milliseconds; modern peers say it.
    pub ttl_ms: Option<u64>,
    /// The peer declares `tools.listChanged`.
    pub list_changed: bool,
}

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
        /// `error.message`.
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
        /// HTTP status.
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
pub struct PeerClient {}

impl PeerClient {
    /// Over HTTP; the endpoint's path is where MCP is spoken.
    #[must_use]
    pub fn over_http(upstream: Upstream) -> Self {
        drop(upstream);
        Self {}
    }

    /// Over a child's pipes.
    #[must_use]
    pub fn over_stdio(child: Child) -> Self {
        let _ = child;
        Self {}
    }

    /// Reads every page of the peer's surface: as the caller where one is given, else as ourselves.
    ///
    /// # Errors
    /// See [`PeerError`].
    pub async fn surface(&self, caller: Option<&Caller>) -> Result<Listing, PeerError> {
        let _ = caller;
        Err(PeerError::Unreachable("not connected".to_owned()))
    }

    /// Calls a tool, for paired replay. `arguments` is JSON text; `param_headers` are the whole
    /// `Mcp-Param-*` headers of the call.
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
        let _ = (caller, tool, arguments, param_headers);
        Err(PeerError::Unreachable("not connected".to_owned()))
    }

    /// Listens for changes of the peer's tools and tells each; returns when the stream ends.
    pub async fn watch(&self, notify: mpsc::Sender<()>) -> PeerError {
        let _ = notify;
        PeerError::NoStream
    }
}
