//! What all threads share, and what one exchange sees of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use super::rounds::Rounds;
use super::session::Sessions;
use super::settings::{Routing, Settings};
use crate::domain::message::{Clock, PeerId};
use crate::live::{Observations, Switchboard};
use crate::telemetry::{Metrics, PeerMetrics, Tracer};
use crate::wire::transport::budget::BodyBudget;
use crate::wire::transport::places::Places;
use crate::wire::transport::pressure::Pressure;
use crate::wire::transport::upstream::{Endpoint, Upstream};

/// How long a body waits for memory before it is refused.
const HELD_PATIENCE: Duration = Duration::from_secs(5);

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
    /// The spans.
    pub tracer: Tracer,
    /// How short memory is; no exchange begins where it is critical.
    pub pressure: Pressure,
}

/// What all threads share.
#[derive(Debug)]
pub struct Gateway {
    pub(super) settings: Settings,
    pub(super) doors: Doors,
    pub(super) peers: Vec<Gate>,
    pub(super) budget: BodyBudget,
    pub(super) sessions: Sessions,
    pub(super) rounds: Rounds,
    pub(super) places: Places,
    started: u64,
    called: AtomicBool,
}

/// One peer as the path sees it.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) peer: Peer,
    pub(super) metrics: PeerMetrics,
    /// Until when first exchanges wait for the seal, in monotonic microseconds; 0 before the first.
    pub(super) seal_until: AtomicU64,
}

impl Gateway {
    /// Puts the peers behind one listener.
    #[must_use]
    pub fn new(settings: Settings, peers: Vec<Peer>, doors: Doors) -> Arc<Self> {
        let gate = |peer: Peer| Gate {
            metrics: doors.metrics.peer(&peer.id),
            seal_until: AtomicU64::new(0),
            peer,
        };
        Arc::new(Self {
            peers: peers.into_iter().map(gate).collect(),
            budget: BodyBudget::new(settings.held_bytes, HELD_PATIENCE),
            sessions: Sessions::new(settings.sessions, settings.session_ttl_ms),
            rounds: Rounds::default(),
            started: doors.clock.monotonic_micros(),
            places: Places::new(settings.exchanges),
            called: AtomicBool::new(false),
            settings,
            doors,
        })
    }

    pub(super) fn routed_by_name(&self) -> bool {
        self.settings.routing == Routing::ByName || self.peers.len() > 1
    }

    /// Tells the time to the first answered call, once.
    pub(super) fn answered(&self, now: u64) {
        if !self.called.load(Ordering::Relaxed) && !self.called.swap(true, Ordering::Relaxed) {
            self.doors.metrics.first_call(now.saturating_sub(self.started));
        }
    }
}

/// The data plane on one thread: make one a thread, clone it for each request. The count of its clones
/// is the thread's own, so that threads do not wait for one another's.
#[derive(Clone, Debug)]
pub struct Proxy(Arc<Thread>);

#[derive(Debug)]
struct Thread {
    gateway: Arc<Gateway>,
    upstreams: Vec<Upstream>,
}

impl Proxy {
    /// The data plane of this thread, with connections of its own.
    #[must_use]
    pub fn new(gateway: &Arc<Gateway>) -> Self {
        let way = |gate: &Gate| Upstream::new(Arc::clone(&gate.peer.endpoint));
        let upstreams = gateway.peers.iter().map(way).collect();
        Self(Arc::new(Thread { gateway: Arc::clone(gateway), upstreams }))
    }

    pub(super) fn gateway(&self) -> &Arc<Gateway> {
        &self.0.gateway
    }
}

/// What one exchange sees: its peer, the way there, the doors.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    proxy: Proxy,
    index: usize,
}

impl Lane {
    pub(super) fn new(proxy: Proxy, index: usize) -> Self {
        Self { proxy, index }
    }

    pub(super) fn gateway(&self) -> &Arc<Gateway> {
        self.proxy.gateway()
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.proxy.gateway().settings
    }

    pub(super) fn doors(&self) -> &Doors {
        &self.proxy.gateway().doors
    }

    pub(super) fn gate(&self) -> &Gate {
        &self.proxy.gateway().peers[self.index]
    }

    pub(super) fn upstream(&self) -> &Upstream {
        &self.proxy.0.upstreams[self.index]
    }

    pub(super) fn id(&self) -> &PeerId {
        &self.gate().peer.id
    }

    pub(super) fn micros(&self) -> u64 {
        self.doors().clock.monotonic_micros()
    }
}
