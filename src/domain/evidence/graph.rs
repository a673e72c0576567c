//! The Memory Graph: which record led to which, and so why something is as it is.
//!
//! An edge stands in an MG record, or follows from what two records name together: a proposal
//! answers a drift event, a decision is bound to a proposal's hash, a head moves to a contract.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::domain::message::Digest;

use super::{Cause, Record, RecordBody, RecordId};

/// Records and what led to them.
#[derive(Debug, Default)]
pub struct Graph<'r> {
    records: BTreeMap<RecordId, (usize, &'r Record)>,
    led_by: BTreeMap<RecordId, BTreeSet<(RecordId, Cause)>>,
    about: BTreeMap<String, RecordId>,
}

/// One record in an answer to "why".
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Reason<'r> {
    /// The record.
    pub record: &'r Record,
    /// What it led to, and how; `None` for the record that was asked about.
    pub led_to: Option<(RecordId, Cause)>,
}

/// The newest record about each thing that records name.
#[derive(Default)]
struct Newest {
    drift: BTreeMap<Uuid, RecordId>,
    proposals: BTreeMap<Digest, RecordId>,
    /// How a routine for the drift did in shadow.
    trials: BTreeMap<Uuid, RecordId>,
    contracts: BTreeMap<Digest, RecordId>,
}

impl<'r> Graph<'r> {
    /// The graph of these records, oldest first. An edge that names a record which is not among
    /// them is left out.
    #[must_use]
    pub fn of(records: &'r [Record]) -> Self {
        let mut graph = Self::default();
        let mut newest = Newest::default();
        for (at, record) in records.iter().enumerate() {
            graph.records.insert(record.id, (at, record));
            graph.name(record.id.0.to_string(), record.id);
            graph.link(record, &mut newest);
        }
        let known = &graph.records;
        graph.led_by.retain(|to, causes| {
            causes.retain(|(from, _)| known.contains_key(from));
            known.contains_key(to)
        });
        graph
    }

    /// The newest record about this: the id of a record, of a drift event or of a contract, or the
    /// hash of a contract or a proposal.
    #[must_use]
    pub fn about(&self, name: &str) -> Option<RecordId> {
        self.about.get(name).copied()
    }

    /// Why: the record itself, then what led to it, then what led to that, back to the first cause;
    /// each record once, those that are equally near newest first. Empty for an unknown record.
    #[must_use]
    pub fn why(&self, id: RecordId) -> Vec<Reason<'r>> {
        let Some((_, first)) = self.records.get(&id) else { return Vec::new() };
        let mut chain = vec![Reason { record: first, led_to: None }];
        let mut seen = BTreeSet::from([id]);
        let mut next = 0;
        while let Some(reason) = chain.get(next) {
            let effect = reason.record.id;
            let causes = self.led_by.get(&effect).into_iter().flatten();
            let mut fresh: Vec<_> = causes
                .filter(|(from, _)| seen.insert(*from))
                .filter_map(|(from, cause)| Some((self.records.get(from)?, *cause)))
                .collect();
            fresh.sort_by_key(|((at, _), _)| std::cmp::Reverse(*at));
            chain.extend(
                fresh
                    .into_iter()
                    .map(|((_, record), cause)| Reason { record, led_to: Some((effect, cause)) }),
            );
            next += 1;
        }
        chain
    }

    fn name(&mut self, name: String, id: RecordId) {
        self.about.insert(name, id);
    }

    fn edge(&mut self, from: Option<RecordId>, to: RecordId, cause: Cause) {
        if let Some(from) = from.filter(|from| *from != to) {
            self.led_by.entry(to).or_default().insert((from, cause));
        }
    }

    fn link(&mut self, record: &Record, newest: &mut Newest) {
        let id = record.id;
        match &record.body {
            RecordBody::Edge { from, to, cause } => self.edge(Some(*from), *to, *cause),
            RecordBody::Drift { event } => {
                let earlier = newest.drift.insert(event.drift_id, id);
                self.edge(earlier, id, Cause::Caused);
                self.edge(newest.trials.get(&event.drift_id).copied(), id, Cause::Caused);
                self.name(event.drift_id.to_string(), id);
            }
            RecordBody::Reasoning { drift_id, .. }
            | RecordBody::Negotiated { drift_id, .. }
            | RecordBody::Patch { drift_id, .. } => {
                self.edge(newest.drift.get(drift_id).copied(), id, Cause::Caused);
            }
            RecordBody::Incident { drift_id, contract, standing, .. } => {
                self.edge(newest.drift.get(drift_id).copied(), id, Cause::Caused);
                let sealed = contract.and_then(|hash| newest.contracts.get(&hash).copied());
                if let (Some(sealed), Some("invalid")) = (sealed, standing.as_deref()) {
                    self.edge(Some(id), sealed, Cause::Invalidates);
                }
            }
            RecordBody::Proposed { drift_id, hash, .. } => {
                self.edge(newest.drift.get(drift_id).copied(), id, Cause::Caused);
                // Made again, it rests on what became of it before.
                let earlier = newest.proposals.insert(*hash, id);
                self.edge(earlier, id, Cause::Caused);
                self.name(hash.to_string(), id);
            }
            RecordBody::Shadowed { drift_id, proposal, .. } => {
                self.edge(newest.drift.get(drift_id).copied(), id, Cause::Caused);
                let earlier = newest.proposals.insert(*proposal, id);
                self.edge(earlier, id, Cause::Caused);
                newest.trials.insert(*drift_id, id);
                self.name(drift_id.to_string(), id);
                self.name(proposal.to_string(), id);
            }
            RecordBody::Decided { proposal, .. } => {
                self.edge(newest.proposals.get(proposal).copied(), id, Cause::Caused);
                self.name(proposal.to_string(), id);
            }
            RecordBody::Sealed { contract } => {
                let drifts = contract.provenance.iter().filter_map(|step| step.r#ref.parse().ok());
                for drift in drifts {
                    self.edge(newest.drift.get(&drift).copied(), id, Cause::Caused);
                }
                newest.contracts.insert(contract.hash, id);
                self.name(contract.contract_id.to_string(), id);
                self.name(contract.hash.to_string(), id);
            }
            RecordBody::HeadMoved { to, .. } => {
                self.edge(newest.contracts.get(to).copied(), id, Cause::Caused);
            }
            RecordBody::TermsKept { contract, .. }
            | RecordBody::RelationsLearnt { contract, .. } => {
                self.edge(newest.contracts.get(contract).copied(), id, Cause::Caused);
            }
            RecordBody::Exchanges { .. }
            | RecordBody::Exception { .. }
            | RecordBody::Listed { .. }
            | RecordBody::Lifecycle { .. } => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::Graph;
    use crate::domain::evidence::{Cause, Record, RecordBody, RecordId};
    use crate::domain::message::{Digest, PeerId, UnixMillis};

    fn id(n: u128) -> RecordId {
        RecordId(Uuid::from_u128(n))
    }

    fn record(n: u128, body: RecordBody) -> Record {
        Record { id: id(n), at: UnixMillis(0), peer: Some(PeerId::from("flights")), body }
    }

    fn said(n: u128) -> Record {
        record(n, RecordBody::Lifecycle { event: n.to_string(), detail: String::new() })
    }

    fn edge(n: u128, from: u128, to: u128) -> Record {
        record(n, RecordBody::Edge { from: id(from), to: id(to), cause: Cause::Caused })
    }

    fn why(records: &[Record], of: u128) -> Vec<u128> {
        Graph::of(records).why(id(of)).iter().map(|reason| reason.record.id.0.as_u128()).collect()
    }

    #[test]
    fn why_goes_back_to_the_first_cause_nearest_first() {
        let records =
            [said(1), said(2), said(3), said(4), edge(5, 1, 2), edge(6, 2, 4), edge(7, 3, 4)];
        assert_eq!(why(&records, 4), [4, 3, 2, 1]);
        assert_eq!(why(&records, 1), [1]);
        assert_eq!(why(&records, 99), [] as [u128; 0]);
    }

    #[test]
    fn a_circle_of_causes_ends() {
        let records =
            [said(1), said(2), edge(3, 1, 2), edge(4, 2, 1), edge(5, 1, 1), edge(6, 77, 1)];
        assert_eq!(why(&records, 1), [1, 2]);
    }

    #[test]
    fn a_decision_follows_from_its_proposal_without_an_edge() {
        let hash = Digest::of(b"proposal");
        let proposal = serde_json::json!({
            "tool": "t", "to_tool": null, "routine": {}, "proof": "proven", "gate": "review",
            "held_by": [], "scope": "all", "origin": "matcher",
        });
        let proposal = serde_json::from_value(proposal).unwrap();
        let records = [
            record(1, RecordBody::Proposed { drift_id: Uuid::nil(), hash, proposal }),
            record(
                2,
                RecordBody::Decided {
                    proposal: hash,
                    decision: "approved".to_owned(),
                    reason: String::new(),
                },
            ),
        ];
        assert_eq!(why(&records, 2), [2, 1]);
        assert_eq!(Graph::of(&records).about(&hash.to_string()), Some(id(2)));
    }
}
