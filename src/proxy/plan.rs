//! What exchanges go by: the settings and the peers, immutable. A reload puts another plan in the place
//! of this one; an exchange keeps the plan that it began with to its end.
//!
//! ```text
//!   reload ─► Gateway::plan (ArcSwap) ─► each thread's Ways: the plan, and its connections ─► Lane
//! ```

use std::sync::Arc;

use super::gateway::{Gate, Gateway, Peer};
use super::quota::Quota;
use super::settings::{Routing, Settings};
use crate::wire::transport::upstream::Upstream;

/// What exchanges go by from now on.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) settings: Settings,
    /// What a path leads to.
    pub(super) seats: Vec<Seat>,
}

/// One peer of a plan.
#[derive(Debug)]
pub(super) struct Seat {
    /// As it is configured in this plan.
    pub(super) peer: Peer,
    /// What is known of it, whatever the plan.
    pub(super) gate: Arc<Gate>,
    /// How often it is asked, and with how much.
    pub(super) quota: Arc<Quota>,
}

impl Plan {
    pub(super) fn routed_by_name(&self) -> bool {
        self.settings.routing == Routing::ByName || self.seats.len() > 1
    }
}

/// One thread's view of a plan, with connections of its own.
#[derive(Debug)]
pub(super) struct Ways {
    pub(super) gateway: Arc<Gateway>,
    pub(super) plan: Arc<Plan>,
    pub(super) upstreams: Vec<Upstream>,
}

impl Ways {
    /// The ways of this plan. A way of `before` whose endpoint stayed keeps its connections.
    pub(super) fn new(gateway: &Arc<Gateway>, plan: Arc<Plan>, before: Option<&Self>) -> Self {
        let way = |seat: &Seat| {
            let endpoint = &seat.peer.endpoint;
            let old = before.and_then(|before| {
                let old = before.plan.seats.iter().zip(&before.upstreams);
                let mut same = old.filter(|(old, _)| Arc::ptr_eq(&old.peer.endpoint, endpoint));
                same.next().map(|(_, upstream)| upstream.clone())
            });
            old.unwrap_or_else(|| Upstream::new(Arc::clone(endpoint)))
        };
        let upstreams = plan.seats.iter().map(way).collect();
        Self { gateway: Arc::clone(gateway), plan, upstreams }
    }
}
