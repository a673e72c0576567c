//! Out of the house: answers with the heads and bodies that leave.

use bytes::Bytes;
use http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, HeaderMap, HeaderName, HeaderValue,
    RETRY_AFTER,
};
use http::response::Parts;
use http::{Response, StatusCode};

use crate::domain::message::{Era, Executed};
use crate::wire::protocol::mcp::{Envelope, Refusal, Refused};
use crate::wire::protocol::taxonomy::entry;
use crate::wire::transport::body::Body;
use crate::wire::transport::budget::BodyPermit;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const DIGESTS: [HeaderName; 3] = [
    HeaderName::from_static("digest"),
    HeaderName::from_static("content-digest"),
    HeaderName::from_static("content-md5"),
];

/// A refusal of the request with this id.
pub(super) fn refusal(refused: &Refused, id: Option<&str>, era: Era) -> Response<Body> {
    let mut response = Response::new(Body::full(refused.body(id, era).into()));
    // The table's statuses are all valid.
    *response.status_mut() = StatusCode::from_u16(refused.status()).unwrap_or_default();
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    if let Some(after) = refused.retry_after_ms {
        // Whole seconds, and never too soon.
        response.headers_mut().insert(RETRY_AFTER, after.div_ceil(1_000).into());
    }
    response
}

/// As [`refusal`], for a request that was not read: with no id to answer, its HTTP status tells.
pub(super) fn unread(refused: &Refused) -> Response<Body> {
    let mut response = refusal(refused, None, Era::Modern);
    let status = StatusCode::from_u16(entry(refused.why.code()).bare_http);
    *response.status_mut() = status.unwrap_or_default();
    response
}

/// A reply that Stipula holds itself: the peer gave none.
pub(super) fn own(text: Bytes) -> Response<Body> {
    let mut response = Response::new(Body::full(text));
    response.headers_mut().insert(CONTENT_TYPE, JSON);
    response
}

/// A refusal inside an answer whose head is the peer's: the session's headers stay.
pub(super) fn refused_reply(mut head: Parts, body: Vec<u8>) -> Response<Body> {
    head.status = StatusCode::OK;
    forget_body(&mut head.headers);
    head.headers.insert(CONTENT_TYPE, JSON);
    Response::from_parts(head, Body::full(body.into()))
}

/// A reply as it came.
pub(super) fn kept(head: Parts, text: Bytes, permit: BodyPermit) -> Response<Body> {
    Response::from_parts(head, Body::full(text).holding(permit))
}

/// A reply with other bytes than came.
pub(super) fn altered(mut head: Parts, text: Bytes, permit: BodyPermit) -> Response<Body> {
    forget_body(&mut head.headers);
    Response::from_parts(head, Body::full(text).holding(permit))
}

/// What was said about bytes that do not leave.
pub(super) fn forget_body(headers: &mut HeaderMap) {
    for name in [CONTENT_LENGTH, CONTENT_ENCODING, ETAG].into_iter().chain(DIGESTS) {
        headers.remove(name);
    }
}

/// Text for those whom no JSON-RPC error helps: no id to answer, or one that they would read as
/// "an older server".
pub(super) fn plain(status: StatusCode, text: &'static str) -> Response<Body> {
    let mut response = Response::new(Body::full(Bytes::from_static(text.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

/// A reply that was no call's and did not come to its end.
pub(super) fn broken_off(envelope: &Envelope) -> Response<Body> {
    let why = Refusal::Malformed("it broke off, or is longer than the limit".to_owned());
    let refused = Refused::plain(why, Executed::Unknown);
    refusal(&refused, envelope.id(), envelope.era)
}
