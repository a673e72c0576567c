//! The drift events of one peer: one fault gives one event, further sightings are its count.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::scribe::Scribe;
use crate::domain::drift::{DriftEvent, DriftType, EventState, Fingerprint, Severity};
use crate::domain::evidence::{Record, RecordBody, RecordId};
use crate::domain::message::PeerId;

/// Faults of one peer that are remembered: those that are over give way, the oldest first.
const MOST: usize = 1_000;

/// The events of one peer, newest state of each.
#[derive(Debug, Default)]
pub(super) struct Events {
    by_fingerprint: BTreeMap<Fingerprint, DriftEvent>,
    /// Fingerprints that were opened again after they had ended: they cost points.
    reopened: u32,
}

/// Whether a sighting opened an event or joined one.
pub(super) enum Seen {
    /// It opened one; the record is to be written.
    Opened(Box<DriftEvent>),
    /// It joined an open one.
    Joined(Uuid),
}

impl Events {
    /// Takes up what the ledger says.
    pub(super) fn new(events: impl IntoIterator<Item = DriftEvent>) -> Self {
        let by_fingerprint =
            events.into_iter().map(|event| (event.fingerprint.clone(), event)).collect();
        Self { by_fingerprint, reopened: 0 }
    }

    /// Notes an event: it joins the open one of its fingerprint, or it is one.
    pub(super) fn see(&mut self, event: DriftEvent) -> Seen {
        if let Some(known) = self.by_fingerprint.get_mut(&event.fingerprint) {
            if is_open(known.state) {
                known.occurrences += 1;
                known.severity = known.severity.max(event.severity);
                return Seen::Joined(known.drift_id);
            }
            self.reopened += 1;
        } else if self.by_fingerprint.len() >= MOST {
            let over = self.by_fingerprint.values().filter(|event| !is_open(event.state));
            let oldest = over.min_by_key(|event| (event.detected_at, event.drift_id));
            if let Some(oldest) = oldest.map(|event| event.fingerprint.clone()) {
                self.by_fingerprint.remove(&oldest);
            }
        }
        self.by_fingerprint.insert(event.fingerprint.clone(), event.clone());
        Seen::Opened(Box::new(event))
    }

    /// Counts a further sighting of an event.
    pub(super) fn sighted(&mut self, id: Uuid) {
        if let Some(event) = self.by_fingerprint.values_mut().find(|event| event.drift_id == id) {
            event.occurrences += 1;
        }
    }

    /// Moves an event on; gives its new state to be recorded, or `None` where nothing changed.
    pub(super) fn move_on(
        &mut self,
        id: Uuid,
        state: EventState,
        by: Option<String>,
    ) -> Option<DriftEvent> {
        let event = self.by_fingerprint.values_mut().find(|event| event.drift_id == id)?;
        if event.state == state && event.resolved_by == by {
            return None;
        }
        event.state = state;
        event.resolved_by = by;
        Some(event.clone())
    }

    /// An open event turns out to be worse; gives its new state to be recorded, or `None` where it is
    /// over, or as bad already.
    pub(super) fn escalate(
        &mut self,
        id: Uuid,
        severity: Severity,
        state: EventState,
    ) -> Option<DriftEvent> {
        let event = self.by_fingerprint.values_mut().find(|event| event.drift_id == id)?;
        if !is_open(event.state) || event.severity >= severity {
            return None;
        }
        (event.severity, event.state) = (severity, state);
        Some(event.clone())
    }

    /// The event of this name.
    pub(super) fn get(&self, id: Uuid) -> Option<&DriftEvent> {
        self.by_fingerprint.values().find(|event| event.drift_id == id)
    }

    /// All events, by first sighting.
    pub(super) fn all(&self) -> Vec<&DriftEvent> {
        let mut events: Vec<_> = self.by_fingerprint.values().collect();
        events.sort_by_key(|event| (event.detected_at, event.drift_id));
        events
    }

    /// The open events.
    pub(super) fn open(&self) -> impl Iterator<Item = &DriftEvent> {
        self.by_fingerprint.values().filter(|event| is_open(event.state))
    }

    /// The open events about what a tool is. How it does is told by its own recovery, not by its
    /// definition.
    pub(super) fn open_of(&self, tool: &str) -> Vec<Uuid> {
        self.open()
            .filter(|event| event.tool.as_deref() == Some(tool))
            .filter(|event| event.drift_type != DriftType::Performance)
            .map(|event| event.drift_id)
            .collect()
    }

    /// How many fingerprints re-opened.
    pub(super) fn reopened(&self) -> u32 {
        self.reopened
    }

    /// The record (DS) of an event's state.
    pub(super) fn record(scribe: &Scribe, peer: &PeerId, event: DriftEvent, moved: bool) -> Record {
        // The record of the first sighting bears the event's own name; later states are records of
        // their own, so that nothing in the ledger is said twice under one name.
        let first = !moved;
        let id = event.drift_id;
        let mut record = scribe.record(peer, RecordBody::Drift { event: Box::new(event) });
        if first {
            record.id = RecordId(id);
        }
        record
    }
}

/// Whether an event still asks for something.
pub(super) fn is_open(state: EventState) -> bool {
    matches!(state, EventState::Open | EventState::Healing | EventState::Waiting)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;

    use crate::domain::drift::{Against, Evidence, fingerprint};
    use crate::domain::message::UnixMillis;

    fn event(number: u64) -> DriftEvent {
        let against = Against::Pointers([format!("/{number}")].into());
        DriftEvent {
            drift_id: Uuid::from_u64_pair(1, number),
            drift_type: DriftType::Policy,
            severity: Severity::High,
            contract_id: None,
            tool: None,
            fingerprint: fingerprint(None, None, DriftType::Policy, &against),
            detected_at: UnixMillis(number),
            sensor: "test".to_owned(),
            evidence: Evidence { baseline: Value::Null, observed: Value::Null, diff: Value::Null },
            occurrences: 1,
            state: EventState::Open,
            resolved_by: None,
        }
    }

    #[test]
    fn faults_that_are_over_give_way_and_open_ones_never_do() {
        let mut events = Events::default();
        for number in 0..3 * MOST as u64 {
            let seen = events.see(event(number));
            assert!(matches!(seen, Seen::Opened(_)), "{number}");
            if number % 100 != 0 {
                events.move_on(Uuid::from_u64_pair(1, number), EventState::Resolved, None);
            }
        }
        assert_eq!(events.all().len(), MOST);
        assert_eq!(events.open().count(), 30);
        assert!(events.get(Uuid::from_u64_pair(1, 0)).is_some());
        assert!(events.get(Uuid::from_u64_pair(1, 1)).is_none());
    }
}
