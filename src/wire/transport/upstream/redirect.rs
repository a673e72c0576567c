//! 307 and 308 from where MCP is spoken: followed once, to the same host, with method and body kept.
//! Frameworks answer so where a slash is missing, and an agent that followed by itself would leave the
//! sidecar (or lose its credentials on the way). The peer has not run what it redirects.

use std::sync::atomic::{AtomicBool, Ordering};

use http::header::LOCATION;
use http::uri::PathAndQuery;
use http::{Request, Response, StatusCode, Uri};

use super::Endpoint;
use crate::wire::transport::body::Body;

/// Whether a peer redirects, as far as it is known. Only then is a copy of a request kept: copying the
/// headers of every request would cost more than most peers are worth.
#[derive(Debug)]
pub(super) struct Redirects(AtomicBool);

impl Default for Redirects {
    /// It may, until it answered otherwise.
    fn default() -> Self {
        Self(AtomicBool::new(true))
    }
}

impl Redirects {
    /// A copy of a request, if it may be needed.
    pub(super) fn copy(&self, request: &Request<Body>) -> Option<Box<Request<Body>>> {
        if !self.0.load(Ordering::Relaxed) {
            return None;
        }
        let mut copy = Box::new(Request::new(request.body().again()?));
        copy.method_mut().clone_from(request.method());
        copy.uri_mut().clone_from(request.uri());
        copy.headers_mut().clone_from(request.headers());
        Some(copy)
    }

    /// What to ask instead, after this answer to a request to where MCP is spoken. The first redirect of
    /// a peer that had answered before finds no copy, and is the agent's.
    pub(super) fn followed(
        &self,
        endpoint: &Endpoint,
        copy: Option<Box<Request<Body>>>,
        answer: &Response<Body>,
    ) -> Option<Request<Body>> {
        let target = target(endpoint, answer);
        if target.is_some() != self.0.load(Ordering::Relaxed) {
            self.0.store(target.is_some(), Ordering::Relaxed);
        }
        let (mut copy, target) = (copy?, target?);
        *copy.uri_mut() = Uri::from(target);
        Some(*copy)
    }
}

/// Where an answer redirects to, if that is on the same host. The scheme does not matter: it is asked
/// the way the operator said.
fn target(endpoint: &Endpoint, answer: &Response<Body>) -> Option<PathAndQuery> {
    if !matches!(answer.status(), StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT) {
        return None;
    }
    let location = answer.headers().get(LOCATION)?;
    let location = Uri::try_from(location.as_bytes()).ok()?.into_parts();
    let here = location
        .authority
        .is_none_or(|host| host.as_str().eq_ignore_ascii_case(endpoint.authority()));
    location.path_and_query.filter(|path| here && path.as_str().starts_with('/'))
}
