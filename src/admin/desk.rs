//! Answers questions about the control plane and carries decisions to it.

use std::sync::Arc;

use http::{Request, Response, StatusCode};

use super::Token;
use crate::control::Handle;
use crate::live::Switchboard;
use crate::telemetry::Metrics;
use crate::wire::transport::body::Body;
use crate::wire::transport::server::{ConnectionFacts, Handler};

/// The admin listener's handler; cheap to clone.
#[derive(Clone)]
pub struct Desk {
    handle: Handle,
    metrics: Metrics,
    token: Arc<Token>,
    switchboard: Arc<Switchboard>,
}

impl Desk {
    /// A desk in front of the control plane.
    #[must_use]
    pub fn new(
        handle: Handle,
        metrics: Metrics,
        token: Token,
        switchboard: Arc<Switchboard>,
    ) -> Self {
        Self { handle, metrics, token: Arc::new(token), switchboard }
    }
}

impl Handler for Desk {
    async fn handle(self, request: Request<Body>, _facts: ConnectionFacts) -> Response<Body> {
        let _ = (&self.handle, &self.token, &self.switchboard);
        let text = match request.uri().path() {
            "/metrics" => Some(self.metrics.render()),
            "/healthz" => Some("ok\n".to_owned()),
            _ => None,
        };
        match text {
            Some(text) => Response::new(Body::full(text.into())),
            None => {
                let mut response = Response::new(Body::empty());
                *response.status_mut() = StatusCode::NOT_FOUND;
                response
            }
        }
    }
}
