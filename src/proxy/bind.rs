//! Which contract? The one place where the switchboard is loaded, once an attempt.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::domain::message::Generation;
use crate::live::{Binding, ObservationKind, Snapshot, ToolBinding};
use crate::wire::protocol::mcp::Envelope;

use super::admit::Exchange;
use super::gateway::Lane;
use super::principal::caller;
use super::report;

/// What is in force for the peer of one attempt.
#[derive(Clone, Debug)]
pub(super) struct InForce {
    pub(super) generation: Generation,
    /// `None` for a peer that nothing is known about yet.
    pub(super) binding: Option<Arc<Binding>>,
}

/// A call whose tool is under contract.
#[derive(Clone, Debug)]
pub(super) struct Bond {
    pub(super) generation: Generation,
    pub(super) binding: Arc<Binding>,
    pub(super) tool: Arc<ToolBinding>,
}

/// What a call's name stands for.
#[derive(Debug)]
pub(super) enum Bound {
    /// Under no contract: it passes and is counted.
    Free,
    /// The agent is not shown it.
    Hidden,
    /// Under contract.
    Tool(Bond),
}

impl InForce {
    fn of(snapshot: &Snapshot, lane: &Lane) -> Self {
        let binding = snapshot.peers.get(lane.id()).cloned();
        Self { generation: snapshot.generation, binding }
    }

    /// Whether something is promised, so that requests have to be read.
    pub(super) fn sealed(&self) -> bool {
        self.binding.as_ref().is_some_and(|binding| binding.contract.is_some())
    }

    /// What this tool name stands for.
    pub(super) fn tool(&self, name: Option<&str>) -> Bound {
        let (Some(binding), Some(name)) = (&self.binding, name) else { return Bound::Free };
        if let Some(tool) = binding.tools.get(name) {
            let (binding, tool) = (Arc::clone(binding), Arc::clone(tool));
            return Bound::Tool(Bond { generation: self.generation, binding, tool });
        }
        let hidden = binding.hidden.iter().any(|hidden| hidden.as_str() == name);
        if hidden { Bound::Hidden } else { Bound::Free }
    }
}

/// What is in force now.
pub(super) fn now(lane: &Lane) -> InForce {
    InForce::of(&lane.doors().switchboard.load(), lane)
}

/// What is in force after `seen`; `None` where nothing newer came within the time.
pub(super) async fn newer(lane: &Lane, seen: Generation, within: Duration) -> Option<InForce> {
    let newer = lane.doors().switchboard.newer_than(seen);
    let snapshot = tokio::time::timeout(within, newer).await.ok()?;
    Some(InForce::of(&snapshot, lane))
}

/// Whether this tool is another one, or stands otherwise, in what is in force now.
pub(super) async fn has_moved(lane: &Lane, bond: &Bond) -> bool {
    let Some(newer) = newer(lane, bond.generation, Duration::ZERO).await else { return false };
    let (before, name) = (&bond.tool, bond.tool.name.as_str());
    match newer.tool(Some(name)) {
        Bound::Tool(now) => {
            let now = now.tool;
            now.revision != before.revision || now.state != before.state || now.mode != before.mode
        }
        Bound::Free | Bound::Hidden => true,
    }
}

/// The first listing or call of an agent seals what it is shown: tells control, and waits for the
/// seal. Who comes while it is under way waits with it; who comes later passes unbound.
pub(super) async fn first_use(
    exchange: &Exchange,
    envelope: &Envelope,
    mut seen: InForce,
) -> InForce {
    let lane = &exchange.lane;
    let Some(binding) = seen.binding.clone() else { return seen };
    if binding.contract.is_some() || !lane.peer().seal_on_first_use {
        return seen;
    }
    lane.doors().metrics.waited_for_contract();
    if !binding.first_use_told.swap(true, Ordering::AcqRel) {
        let kind = ObservationKind::FirstUse(caller(&exchange.parts.headers, envelope));
        if !report::reserved(lane, seen.generation, kind) {
            binding.first_use_told.store(false, Ordering::Release);
            return seen;
        }
        let until = lane.micros() + lane.settings().seal_wait_ms * 1000;
        lane.gate().seal_until.store(until, Ordering::Release);
    }
    loop {
        let left = lane.gate().seal_until.load(Ordering::Acquire).saturating_sub(lane.micros());
        if seen.sealed() || left == 0 {
            return seen;
        }
        match newer(lane, seen.generation, Duration::from_micros(left)).await {
            Some(newer) => seen = newer,
            None => return seen,
        }
    }
}
