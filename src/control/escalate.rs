//! What a person is called for: escalations, incidents, a version that is kept because the next one did
//! not come about. Each is a record, an edge from its drift event, and a notice.

use uuid::Uuid;

use super::actor::Peer;
use super::notify::{Notice, NoticeKind};
use crate::domain::drift::{DriftType, Severity};
use crate::domain::evidence::{Cause, RecordBody, RecordId};

/// What became of the contract because of an incident: it cannot work, or not well.
const STANDINGS: (&str, &str) = ("invalid", "degraded");

impl Peer {
    /// Calls a person because of an event, once: `kind` is `escalation`, `incident` or `rollback`.
    pub(super) fn escalate(&mut self, drift_id: Uuid, kind: &str, what: &str) {
        let Some(event) = self.events.get(drift_id).cloned() else { return };
        let events = &self.events;
        self.escalated.retain(|(id, _)| events.get(*id).is_some());
        if !self.escalated.insert((drift_id, kind.to_owned())) {
            return;
        }
        let contract = self.chain.head_hash();
        let standing = match event.drift_type {
            _ if event.severity == Severity::Critical => Some(STANDINGS.0.to_owned()),
            DriftType::Performance => Some(STANDINGS.1.to_owned()),
            _ => None,
        };
        let body = RecordBody::Incident {
            drift_id,
            kind: kind.to_owned(),
            severity: event.severity,
            tool: event.tool.clone(),
            contract,
            standing,
            detail: what.to_owned(),
        };
        let record = self.shared.scribe.record(self.id(), body);
        let (from, to) = (RecordId(drift_id), record.id);
        self.shared.scribe.later(record);
        let edge = self.shared.scribe.edge(self.id(), from, to, Cause::Caused);
        self.shared.scribe.later(edge);
        self.notify(NoticeKind::Incident, Some(drift_id), event.tool.as_deref(), what);
    }

    /// Calls a person where the table says so: high is escalated, critical is an incident.
    pub(super) fn escalate_grave(&mut self, drift_id: Uuid, what: &str) {
        match self.events.get(drift_id).map(|event| event.severity) {
            Some(Severity::Critical) => self.escalate(drift_id, "incident", what),
            Some(Severity::High) => self.escalate(drift_id, "escalation", what),
            Some(Severity::Low | Severity::Medium) | None => {}
        }
    }

    /// Tells whoever the operator named, where there is somebody.
    pub(super) fn notify(
        &self,
        kind: NoticeKind,
        drift_id: Option<Uuid>,
        tool: Option<&str>,
        what: &str,
    ) {
        let notifier = &self.shared.notifier;
        if !notifier.has_receiver() {
            return;
        }
        let event = drift_id.and_then(|id| self.events.get(id));
        let head = self.chain.head();
        notifier.tell(Notice {
            id: self.shared.dice.uuid(),
            kind,
            at: self.shared.clock.now(),
            peer: self.id().clone(),
            tool: tool.map(str::to_owned),
            drift_id,
            drift_type: event.map(|event| event.drift_type.word()),
            severity: event.map(|event| event.severity.word()),
            contract: head.map(|head| head.hash),
            version: head.map(|head| head.version.to_string()),
            what: what.to_owned(),
        });
    }
}
