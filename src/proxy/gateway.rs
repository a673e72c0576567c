//! What all threads share: the peers, the doors to the other rooms, the budgets.

use std::sync::Arc;

use http::{Request, Response};

use super::settings::Settings;
use crate::domain::message::{Clock, PeerId};
use crate::live::{Observations, Switchboard};
use crate::telemetry::Metrics;
use crate::wire::transport::body::Body;
use crate::wire::transport::server::{ConnectionFacts, Handler};
use crate::wire::transport::upstream::Endpoint;

/// A peer that is proxied.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Its name; the first part of its path where there are several.
    pub id: PeerId,
    /// Where it is. Its path is where MCP is spoken.
    pub endpoint: Arc<Endpoint>,
    /// Its surface is sealed when the first agent lists or calls.
    pub seal_on_first_use: bool,
}

/// The doors to the other rooms.
#[derive(Clone, Debug)]
pub struct Doors {
    /// What is in force.
    pub switchboard: Arc<Switchboard>,
    /// Where facts are told.
    pub observations: Observations,
    /// The clock.
    pub clock: Arc<dyn Clock>,
    /// The numbers.
    pub metrics: Metrics,
}

/// What all threads share.
#[derive(Debug)]
pub struct Gateway {
    settings: Settings,
    peers: Vec<Peer>,
    doors: Doors,
}

impl Gateway {
    /// Puts the peers behind one listener.
    #[must_use]
    pub fn new(settings: Settings, peers: Vec<Peer>, doors: Doors) -> Arc<Self> {
        Arc::new(Self { settings, peers, doors })
    }
}

/// The data plane on one thread: make one a thread, clone it for each request.
#[derive(Clone, Debug)]
pub struct Proxy {
    gateway: Arc<Gateway>,
}

impl Proxy {
    /// The data plane of this thread, with connections of its own.
    #[must_use]
    pub fn new(gateway: &Arc<Gateway>) -> Self {
        Self { gateway: Arc::clone(gateway) }
    }
}

impl Handler for Proxy {
    async fn handle(self, _request: Request<Body>, _facts: ConnectionFacts) -> Response<Body> {
        let _ = (&self.gateway.settings, &self.gateway.peers, &self.gateway.doors);
        Response::new(Body::empty())
    }
}
