//! From a signal and what the matcher found to an event with the severity of the drift table.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use uuid::Uuid;

use super::{Change, DriftEvent, DriftType, EventState, Evidence, Fingerprint, Severity};
use crate::domain::contract::Violation;
use crate::domain::message::{Digest, UnixMillis};

/// What was noticed about one promised tool.
#[derive(Clone, Copy, Debug)]
pub enum Signal<'a> {
    /// The surface was read and this tool's definition differs; all its changes.
    Surface(&'a [Change]),
    /// The surface was read and the tool is no longer there.
    Gone,
    /// A reply broke the promise.
    Reply(&'a [Violation]),
    /// The peer rejected arguments that fit the promise, while its surface says nothing new.
    Rejected {
        /// The JSON-RPC code, or 0 for an `isError` result.
        code: i64,
    },
}

/// What the matcher and the gate made of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outlook {
    /// A proposal passed the gate.
    Heals,
    /// A proposal waits for a person.
    Waits,
    /// There is no proposal.
    Nothing,
    /// Nothing has to be done: every promised call still means the same.
    Unaffected,
}

/// Where and when it was noticed.
#[derive(Clone, Debug)]
pub struct Sighting<'a> {
    /// A fresh id, for the event if it is a new one.
    pub drift_id: Uuid,
    /// The contract in force.
    pub contract_id: Option<Uuid>,
    /// The promised tool.
    pub tool: &'a str,
    /// When.
    pub at: UnixMillis,
    /// Which sensor.
    pub sensor: &'a str,
    /// Digest of the surface as it is now.
    pub offer: Digest,
    /// As it was promised, for the evidence: structure or digests, never a payload.
    pub baseline: Value,
    /// As it was seen.
    pub observed: Value,
}

/// What two sightings must share, beside contract, tool and type, to be one fault.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Against {
    /// The offer changed: its digest.
    Offer(Digest),
    /// Only replies changed: where they broke.
    Pointers(BTreeSet<String>),
}

/// The fingerprint of a fault.
#[must_use]
pub fn fingerprint(
    contract_id: Option<Uuid>,
    tool: Option<&str>,
    drift_type: DriftType,
    against: &Against,
) -> Fingerprint {
    let against = match against {
        Against::Offer(digest) => json!({ "offer": digest.to_string() }),
        Against::Pointers(pointers) => json!({ "pointers": pointers }),
    };
    // The members stand in a fixed order, so that the text is the same for the same fault.
    let text = json!([contract_id.map(|id| id.to_string()), tool, drift_type.word(), against]);
    Fingerprint(Digest::of(text.to_string().as_bytes()))
}

/// The event that a signal makes, by the drift table (design of drift and patch). It is a new one: the
/// caller joins it to an open event of the same fingerprint.
#[must_use]
pub fn classify(sighting: Sighting<'_>, signal: Signal<'_>, outlook: Outlook) -> DriftEvent {
    let (drift_type, severity) = judge(signal, outlook);
    let against = match signal {
        Signal::Reply(violations) => Against::Pointers(broken(violations)),
        Signal::Surface(_) | Signal::Gone | Signal::Rejected { .. } => {
            Against::Offer(sighting.offer)
        }
    };
    let state = match outlook {
        _ if severity == Severity::Low => EventState::Open,
        Outlook::Heals => EventState::Healing,
        Outlook::Waits => EventState::Waiting,
        Outlook::Nothing | Outlook::Unaffected => EventState::Open,
    };
    let fingerprint = fingerprint(sighting.contract_id, Some(sighting.tool), drift_type, &against);
    DriftEvent {
        drift_id: sighting.drift_id,
        drift_type,
        severity,
        contract_id: sighting.contract_id,
        tool: Some(sighting.tool.to_owned()),
        fingerprint,
        detected_at: sighting.at,
        sensor: sighting.sensor.to_owned(),
        evidence: Evidence {
            baseline: sighting.baseline,
            observed: sighting.observed,
            diff: described(signal),
        },
        occurrences: 1,
        state,
        resolved_by: None,
    }
}

fn judge(signal: Signal<'_>, outlook: Outlook) -> (DriftType, Severity) {
    match signal {
        Signal::Gone => match outlook {
            Outlook::Heals | Outlook::Waits => (DriftType::Capability, Severity::Medium),
            Outlook::Nothing | Outlook::Unaffected => (DriftType::Capability, Severity::Critical),
        },
        Signal::Reply(_) | Signal::Rejected { .. } => (DriftType::Schema, Severity::Medium),
        Signal::Surface(changes) => judge_changes(changes, outlook),
    }
}

/// Policy before meaning before shape: the gravest kind names the event.
fn judge_changes(changes: &[Change], outlook: Outlook) -> (DriftType, Severity) {
    let worst = |drift_type: DriftType| {
        changes.iter().filter(|c| c.drift_type == drift_type).map(|c| c.severity).max()
    };
    if worst(DriftType::Policy) >= Some(Severity::High) {
        return (DriftType::Policy, Severity::High);
    }
    if changes.iter().any(|c| c.kind == "tool_removed") {
        return judge(Signal::Gone, outlook);
    }
    if worst(DriftType::Semantic) >= Some(Severity::High) && outlook != Outlook::Heals {
        return (DriftType::Semantic, Severity::High);
    }
    let shape = worst(DriftType::Schema).max(worst(DriftType::Semantic));
    match (shape, worst(DriftType::Capability)) {
        // An argument that would be ignored in silence is as bad as a changed meaning, until a
        // routine carries it over.
        (Some(Severity::High | Severity::Critical), _) if outlook != Outlook::Heals => {
            (DriftType::Schema, Severity::High)
        }
        (Some(Severity::Low) | None, Some(severity)) => (DriftType::Capability, severity),
        (Some(Severity::Low) | None, None) => (DriftType::Schema, Severity::Low),
        (Some(_), _) => (DriftType::Schema, Severity::Medium),
    }
}

fn broken(violations: &[Violation]) -> BTreeSet<String> {
    violations.iter().map(Violation::general_place).collect()
}

fn described(signal: Signal<'_>) -> Value {
    match signal {
        Signal::Surface(changes) => json!(changes),
        Signal::Gone => json!([{ "kind": "tool_removed" }]),
        Signal::Reply(violations) => json!(violations),
        Signal::Rejected { code } => json!([{ "kind": "rejected", "code": code }]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::drift::Face;

    fn change(kind: &str, drift_type: DriftType, severity: Severity) -> Change {
        Change {
            tool: "t".to_owned(),
            pointer: String::new(),
            face: Face::Request,
            kind: kind.to_owned(),
            drift_type,
            severity,
            message: String::new(),
        }
    }

    #[test]
    fn the_drift_table_is_followed() {
        use DriftType as T;
        use Outlook as O;
        use Severity as S;
        let required = change("required_added", T::Schema, S::Medium);
        let ignored = change("property_removed", T::Schema, S::High);
        let added = change("property_added", T::Schema, S::Low);
        let hint = change("hint_changed", T::Policy, S::High);
        let meaning = change("default_changed", T::Semantic, S::High);
        let rows: [(Signal<'_>, O, T, S); 10] = [
            (Signal::Gone, O::Heals, T::Capability, S::Medium),
            (Signal::Gone, O::Waits, T::Capability, S::Medium),
            (Signal::Gone, O::Nothing, T::Capability, S::Critical),
            (Signal::Surface(std::slice::from_ref(&required)), O::Heals, T::Schema, S::Medium),
            (Signal::Surface(std::slice::from_ref(&ignored)), O::Heals, T::Schema, S::Medium),
            (Signal::Surface(std::slice::from_ref(&ignored)), O::Waits, T::Schema, S::High),
            (Signal::Surface(&[added]), O::Unaffected, T::Schema, S::Low),
            (Signal::Surface(&[required.clone(), hint]), O::Heals, T::Policy, S::High),
            (Signal::Surface(&[meaning]), O::Waits, T::Semantic, S::High),
            (Signal::Reply(&[]), O::Nothing, T::Schema, S::Medium),
        ];
        for (signal, outlook, drift_type, severity) in rows {
            assert_eq!(judge(signal, outlook), (drift_type, severity), "{signal:?} {outlook:?}");
        }
    }

    #[test]
    fn a_fault_seen_twice_has_one_fingerprint_and_another_tool_has_another() {
        let pointers = Against::Pointers(["/a".to_owned(), "/b".to_owned()].into());
        let print = |tool| fingerprint(None, Some(tool), DriftType::Schema, &pointers);
        assert_eq!(print("a"), print("a"));
        assert_ne!(print("a"), print("b"));
    }
}
