//! Tells the control plane what was seen, and the numbers what became of it.

use super::gateway::Lane;
use crate::domain::message::Generation;
use crate::live::{Observation, ObservationKind};
use crate::telemetry::Dropped;

/// Tells an ordinary fact; it is counted where there was no room.
pub(super) fn ordinary(lane: &Lane, generation: Generation, kind: ObservationKind) {
    if !lane.doors().observations.tell(observation(lane, generation, kind)) {
        lane.doors().metrics.observations_dropped(Dropped::Ordinary);
    }
}

/// Tells what a record must name; false where there was no room.
#[must_use]
pub(super) fn reserved(lane: &Lane, generation: Generation, kind: ObservationKind) -> bool {
    let told = lane.doors().observations.tell_reserved(observation(lane, generation, kind));
    if !told {
        lane.doors().metrics.observations_dropped(Dropped::Reserved);
    }
    told
}

fn observation(lane: &Lane, generation: Generation, kind: ObservationKind) -> Observation {
    Observation { peer: lane.id().clone(), at: lane.doors().clock.now(), generation, kind }
}
