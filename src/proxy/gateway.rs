//! What all threads share, and what one exchange sees of it.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio_util::sync::CancellationToken;

use super::crowd::Crowd;
use super::hold::Bench;
use super::plan::{Plan, Seat, Ways};
use super::quota::Quota;
use super::rounds::Rounds;
use super::session::Sessions;
use super::settings::Settings;
use super::share::Sharing;
use super::stale::Shelf;
use super::standing::Access;
use crate::domain::message::{Clock, Dice, PeerId};
use crate::live::{Observations, Switchboard};
use crate::telemetry::{Load, Metrics, PeerMetrics, Tracer};
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
    /// Chance.
    pub dice: Arc<dyn Dice>,
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
    /// What an exchange that begins now goes by.
    plan: ArcSwap<Plan>,
    pub(super) doors: Doors,
    pub(super) budget: BodyBudget,
    pub(super) sessions: Sessions,
    pub(super) rounds: Rounds,
    pub(super) shelf: Shelf,
    pub(super) bench: Bench,
    pub(super) places: Places,
    /// The sidecar is told to stop: streams that nobody waits to see the end of, end.
    pub(super) leaving: CancellationToken,
    /// What is in flight is about to be cut: streams that owe a reply say so.
    pub(super) cutting: CancellationToken,
    started: u64,
    called: AtomicBool,
}

/// What is known of one peer, whatever the plan says of it: it outlives a reload.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) id: PeerId,
    pub(super) metrics: PeerMetrics,
    pub(super) load: Arc<Load>,
    /// How many calls it works at, and who waits.
    pub(super) crowd: Arc<Crowd>,
    /// Until when first exchanges wait for the seal, in monotonic microseconds; 0 before the first.
    pub(super) seal_until: AtomicU64,
    /// What its answers said of access.
    pub(super) access: Access,
}

impl Gate {
    fn new(id: &PeerId, doors: &Doors, sharing: Sharing) -> Arc<Self> {
        let load = doors.metrics.load(id);
        Arc::new(Self {
            id: id.clone(),
            metrics: doors.metrics.peer(id),
            crowd: Crowd::new(sharing, Arc::clone(&load), &doors.clock),
            load,
            seal_until: AtomicU64::new(0),
            access: Access::default(),
        })
    }
}

impl Gateway {
    /// Puts the peers behind one listener.
    #[must_use]
    pub fn new(settings: Settings, peers: Vec<Peer>, doors: Doors) -> Arc<Self> {
        let seat = |peer: Peer| {
            let share = settings.share(&peer.id);
            let gate = Gate::new(&peer.id, &doors, share.sharing.clone());
            let quota = Arc::new(Quota::new(share, &doors.clock));
            Seat { gate, quota, peer }
        };
        Arc::new(Self {
            budget: BodyBudget::new(settings.held_bytes, HELD_PATIENCE),
            sessions: Sessions::new(settings.sessions, settings.session_ttl_ms),
            rounds: Rounds::default(),
            shelf: Shelf::default(),
            bench: Bench::default(),
            started: doors.clock.monotonic_micros(),
            places: Places::new(settings.exchanges),
            leaving: CancellationToken::new(),
            cutting: CancellationToken::new(),
            called: AtomicBool::new(false),
            plan: ArcSwap::from_pointee(Plan {
                seats: peers.into_iter().map(seat).collect(),
                settings,
            }),
            doors,
        })
    }

    /// Exchanges that begin from now on go by these settings and peers; those in flight keep what
    /// they began with. How many sessions are remembered, and for how long, stays as it was at the
    /// start. Calls of this must not overlap.
    pub fn reload(&self, settings: Settings, peers: Vec<Peer>) {
        let before = self.plan.load_full();
        let seat = |peer: Peer| {
            let known = before.seats.iter().find(|seat| seat.peer.id == peer.id);
            let share = settings.share(&peer.id);
            let gate = match known {
                Some(seat) => {
                    seat.gate.crowd.adjust(share.sharing.clone());
                    Arc::clone(&seat.gate)
                }
                None => Gate::new(&peer.id, &self.doors, share.sharing.clone()),
            };
            // Rates that stay as they were go on counting.
            let kept = known.map(|seat| &seat.quota).filter(|quota| *quota.share() == share);
            let fresh = || Arc::new(Quota::new(share.clone(), &self.doors.clock));
            let quota = kept.map_or_else(fresh, Arc::clone);
            Seat { gate, quota, peer }
        };
        self.places.resize(before.settings.exchanges, settings.exchanges);
        self.budget.resize(before.settings.held_bytes, settings.held_bytes);
        let seats = peers.into_iter().map(seat).collect();
        self.plan.store(Arc::new(Plan { seats, settings }));
    }

    /// The sidecar is told to stop: streams that have no last reply (notifications, subscriptions) end as
    /// streams end, so that whoever reads them comes back elsewhere.
    pub fn leave(&self) {
        self.leaving.cancel();
    }

    /// What is still in flight is about to be cut: streams that owe a reply end with an error instead.
    pub fn last_words(&self) {
        self.cutting.cancel();
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
    /// Only this thread takes the lock, so nobody ever waits for it.
    ways: Mutex<Arc<Ways>>,
}

impl Proxy {
    /// The data plane of this thread, with connections of its own.
    #[must_use]
    pub fn new(gateway: &Arc<Gateway>) -> Self {
        let ways = Arc::new(Ways::new(gateway, gateway.plan.load_full(), None));
        Self(Arc::new(Thread { gateway: Arc::clone(gateway), ways: Mutex::new(ways) }))
    }

    pub(super) fn gateway(&self) -> &Arc<Gateway> {
        &self.0.gateway
    }

    /// What an exchange that begins now goes by: asked once an exchange.
    pub(super) fn ways(&self) -> Arc<Ways> {
        let plan = self.0.gateway.plan.load();
        let mut ways = self.0.ways.lock().unwrap_or_else(PoisonError::into_inner);
        if !Arc::ptr_eq(&ways.plan, &plan) {
            let plan = Guard::into_inner(plan);
            *ways = Arc::new(Ways::new(&self.0.gateway, plan, Some(&ways)));
        }
        Arc::clone(&ways)
    }
}

/// What one exchange sees: its peer, the way there, the doors, and the settings it began with.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    ways: Arc<Ways>,
    index: usize,
}

impl Lane {
    pub(super) fn new(ways: Arc<Ways>, index: usize) -> Self {
        Self { ways, index }
    }

    pub(super) fn gateway(&self) -> &Arc<Gateway> {
        &self.ways.gateway
    }

    pub(super) fn settings(&self) -> &Settings {
        &self.ways.plan.settings
    }

    pub(super) fn doors(&self) -> &Doors {
        &self.ways.gateway.doors
    }

    fn seat(&self) -> &Seat {
        &self.ways.plan.seats[self.index]
    }

    /// The peer as it is configured.
    pub(super) fn peer(&self) -> &Peer {
        &self.seat().peer
    }

    /// How often the peer is asked, and with how much.
    pub(super) fn quota(&self) -> &Quota {
        &self.seat().quota
    }

    /// What is known of the peer.
    pub(super) fn gate(&self) -> &Gate {
        &self.seat().gate
    }

    pub(super) fn upstream(&self) -> &Upstream {
        &self.ways.upstreams[self.index]
    }

    pub(super) fn id(&self) -> &PeerId {
        &self.gate().id
    }

    pub(super) fn micros(&self) -> u64 {
        self.doors().clock.monotonic_micros()
    }
}
