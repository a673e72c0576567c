//! Asks a peer over HTTP, over connections of a thread's own.
//!
//! ```text
//!   Request<Body> ─► own headers ─► pool (idle at most 4 s) or dial ─► hyper ─► peer
//!   Response<Body> ◄─ hop-by-hop off, pace on ◄──────────────────────── hyper ◄─ peer
//! ```
//!
//! Never here: a redirect followed to another host, a request sent again after a byte of it had left, a connection
//! used again whose answer was not read to its end.

mod dial;
mod endpoint;
mod pool;
mod redirect;

use std::sync::Arc;

use http::header::{ACCEPT_ENCODING, CONTENT_TYPE, EXPECT, HOST};
use http::uri::PathAndQuery;
use http::{HeaderMap, HeaderValue, Request, Response, Uri, Version};
use http_body::Body as _;
use hyper::body::Incoming;

use self::pool::{Connection, Failed, Pool};
use super::body::{AtEnd, Body, Pace};
use super::hop_by_hop;

pub use self::endpoint::{Endpoint, EndpointError, Settings};

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
    pool: Arc<Pool>,
    pace: Arc<Pace>,
}

impl Upstream {
    /// A way without connections; they are made as they are needed, on the runtime that sends.
    #[must_use]
    pub fn new(endpoint: Arc<Endpoint>) -> Self {
        let settings = endpoint.settings();
        let pace =
            Pace { window: settings.progress_window, bytes: settings.progress_bytes, whole: None };
        let pool = Pool::new(settings.keep_idle);
        Self { pool, pace: Arc::new(pace), endpoint }
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
    /// first had left.
    ///
    /// A 307 or 308 from the endpoint's own path to another path of the same host is followed once,
    /// where the body is at hand; every other redirect is an answer.
    ///
    /// # Errors
    /// See [`SendError`].
    pub async fn send(&self, mut request: Request<Body>) -> Result<Response<Body>, SendError> {
        hop_by_hop::strip(request.headers_mut());
        request.headers_mut().remove(EXPECT);
        request.headers_mut().insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if request.uri().path() != self.endpoint.path() {
            return self.sent(request).await;
        }
        let redirects = self.endpoint.redirects();
        let copy = redirects.copy(&request);
        let answer = self.sent(request).await?;
        match redirects.followed(&self.endpoint, copy, &answer) {
            // Boxed: hardly anybody redirects, and every exchange would carry its room.
            Some(instead) => Box::pin(self.sent(instead)).await,
            None => Ok(answer),
        }
    }

    async fn sent(&self, mut request: Request<Body>) -> Result<Response<Body>, SendError> {
        if let Some(pooled) = self.pool.take() {
            match self.try_on(pooled, request).await {
                Ok(response) => return Ok(response),
                // The connection was stale and took nothing: a new one may have the request.
                Err(Failed { unsent: Some(returned), .. }) => request = *returned,
                Err(failed) => return Err(failed.into()),
            }
        }
        // Apart, because few requests dial and all of them would carry the room for it.
        let fresh = Box::pin(dial::dial(&self.endpoint)).await?;
        if let Connection::Http2(sender) = &fresh {
            self.pool.share(sender.clone());
        }
        Ok(self.try_on(fresh, request).await?)
    }

    async fn try_on(
        &self,
        mut connection: Connection,
        mut request: Request<Body>,
    ) -> Result<Response<Body>, Failed> {
        self.address(&mut request, matches!(connection, Connection::Http2(_)));
        let response = connection.send(request).await?;
        Ok(self.answer(connection, response))
    }

    /// The peer's own authority, in the form that the protocol version wants.
    fn address(&self, request: &mut Request<Body>, http2: bool) {
        let path = request.uri().path_and_query().cloned();
        let path = path.unwrap_or_else(|| PathAndQuery::from_static("/"));
        if http2 {
            *request.uri_mut() = self.endpoint.absolute(path);
            *request.version_mut() = Version::HTTP_2;
            request.headers_mut().remove(HOST);
        } else {
            *request.uri_mut() = Uri::from(path);
            *request.version_mut() = Version::HTTP_11;
            request.headers_mut().insert(HOST, self.endpoint.host_header().clone());
        }
    }

    fn answer(&self, connection: Connection, response: Response<Incoming>) -> Response<Body> {
        let (mut head, incoming) = response.into_parts();
        hop_by_hop::strip(&mut head.headers);
        head.version = Version::HTTP_11;
        let pace = (!is_event_stream(&head.headers)).then(|| Arc::clone(&self.pace));
        let body = match connection {
            Connection::Http1(connection) if incoming.is_end_stream() => {
                self.pool.give_back(connection);
                Body::empty()
            }
            Connection::Http1(connection) => {
                let key = self.pool.lend(connection);
                let at_end = AtEnd::new(Arc::clone(&self.pool) as _, key);
                Body::incoming(incoming, pace, Some(at_end))
            }
            Connection::Http2(_) => Body::incoming(incoming, pace, None),
        };
        Response::from_parts(head, body)
    }
}

/// Whether these headers announce an event stream, whatever parameters follow the media type
/// (RFC 9110, section 8.3.1).
#[must_use]
pub fn is_event_stream(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map_or(&b""[..], HeaderValue::as_bytes);
    let end = kind.iter().position(|byte| *byte == b';').unwrap_or(kind.len());
    kind[..end].trim_ascii().eq_ignore_ascii_case(b"text/event-stream")
}

#[cfg(test)]
mod tests;
