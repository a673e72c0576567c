//! One request: its shape, whose it is, the service, and what an unwinding one leaves.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http::header::{CONNECTION, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Request, Response, StatusCode, Version};
use hyper::body::Incoming;
use tower::ServiceExt as _;

use super::watched::Vital;
use super::{Answering, ConnectionFacts, Counts, Settings};
use crate::domain::message::Code;
use crate::wire::transport::body::{Body, Pace};
use crate::wire::transport::strict::{self, Shape};

/// JSON-RPC's "invalid request".
const INVALID: i32 = -32600;
/// JSON-RPC's "internal error".
const INTERNAL: i32 = -32603;

/// What the requests of a connection share.
#[derive(Clone)]
pub(super) struct Desk<S> {
    pub(super) service: S,
    pub(super) facts: ConnectionFacts,
    pub(super) vital: Arc<Vital>,
    pub(super) settings: Arc<Settings>,
    pub(super) pace: Arc<Pace>,
    pub(super) counts: Arc<Counts>,
}

impl<S: Answering> Desk<S> {
    pub(super) async fn answer(
        self,
        request: Request<Incoming>,
    ) -> Result<Response<Body>, Infallible> {
        let at_end = self.vital.request();
        let (head, incoming) = request.into_parts();
        let refused = match self.vital.fault().map_or_else(|| strict::check(&head), Err) {
            Err(shape) => Some(of_shape(shape)),
            Ok(()) => self.settings.guard.check(&head, self.facts.local).err().map(|stranger| {
                refusal(stranger.status(), Code::Policy.json_rpc(), &stranger.to_string())
            }),
        };
        let response = if let Some(refused) = refused {
            self.counts.refused.fetch_add(1, Ordering::Relaxed);
            refused
        } else {
            // HTTP/1 has nothing between requests that has to be earned. A body that is not read may
            // have filled its window.
            let earned = (head.version == Version::HTTP_2).then(|| {
                let Settings { head_bytes, stream_window, .. } = *self.settings;
                self.vital.earned().add(u64::from(head_bytes) + u64::from(stream_window));
                Arc::clone(self.vital.earned())
            });
            let body = Body::received(incoming, self.pace, earned);
            let answering = self.service.oneshot(Request::from_parts(head, body));
            // A service holds nothing that others see half-changed: its state is its own clone.
            match AssertUnwindSafe(answering).catch_unwind().await {
                Ok(Ok(answer)) => answer,
                Ok(Err(shed)) => {
                    self.counts.shed.fetch_add(1, Ordering::Relaxed);
                    let text = shed.to_string();
                    let mut response = refusal(StatusCode::SERVICE_UNAVAILABLE, INTERNAL, &text);
                    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
                    response
                }
                Err(_unwound) => {
                    self.counts.unwound.fetch_add(1, Ordering::Relaxed);
                    let mut response = Response::new(Body::empty());
                    *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
                    response
                }
            }
        };
        Ok(response.map(|body| body.telling(at_end)))
    }
}

fn of_shape(shape: Shape) -> Response<Body> {
    let status = match shape {
        Shape::TooLong => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        _ => StatusCode::BAD_REQUEST,
    };
    let mut response = refusal(status, INVALID, &shape.to_string());
    // What follows on this connection may be read differently by somebody else.
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    response
}

/// JSON without an id: text would be taken for a server of another era.
fn refusal(status: StatusCode, code: i32, message: &str) -> Response<Body> {
    let message = serde_json::Value::from(message);
    let text = format!(r#"{{"jsonrpc":"2.0","error":{{"code":{code},"message":{message}}}}}"#);
    let mut response = Response::new(Body::full(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}
