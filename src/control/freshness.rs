//! Freshness: a contract that grows old is renewed ahead of its end, while the peer still offers what
//! it speaks; and one whose constraints the operator states otherwise is sealed anew.

use serde_json::json;

use super::actor::Peer;
use super::status::Told;
use crate::domain::contract::{
    Contract, Next, Provenance, ProvenanceKind, Sealed, Step, Surface, next_version,
};
use crate::domain::drift::{
    Against, DriftEvent, DriftType, EventState, Evidence, Severity, fingerprint,
};
use crate::domain::evidence::RecordId;
use crate::domain::message::UnixMillis;

use super::review::Spoken;

/// How often the age of a contract is looked at, in microseconds.
const EVERY_MICROS: u64 = 60_000_000;

impl Peer {
    /// Asks for the surface where the contract has lived four fifths of its life.
    pub(super) fn look_at_the_expiry(&mut self, now_micros: u64) {
        let looked = self.aged_at_micros;
        if looked.is_some_and(|looked| now_micros.saturating_sub(looked) < EVERY_MICROS) {
            return;
        }
        self.aged_at_micros = Some(now_micros);
        let now = self.shared.clock.now();
        let Some(head) = self.chain.head().cloned().filter(|head| is_old(head, now)) else {
            return;
        };
        self.pending.asked = true;
        let mut records = Vec::new();
        self.see(self.grown_old(&head, now), &mut records, None);
        records.into_iter().for_each(|record| self.shared.scribe.later(record));
    }

    /// Renews an old contract at once where the peer offers what it speaks; tools that wait for a
    /// person, or that nothing carries over, stay as they are.
    pub(super) async fn renew(&mut self) {
        let now = self.shared.clock.now();
        let (Some(head), Some(offer)) = (self.chain.head().cloned(), self.offer.clone()) else {
            return;
        };
        if !is_old(&head, now) || !self.is_settled(&head, &offer) {
            return;
        }
        let mut records = Vec::new();
        let event = self.see(self.grown_old(&head, now), &mut records, None);
        let draft = self.renewed(&head, now, event.to_string());
        match self.seal_and_move(draft, "renewal", Some(RecordId(event)), records).await {
            Ok(sealed) => {
                self.move_event(event, EventState::Resolved, Some(sealed.hash.to_string()));
            }
            Err(error) => {
                let what = format!("{}: the contract is not renewed: {error}", self.id());
                self.tell(Told::Warning { what });
            }
        }
    }

    /// Seals what the operator states of the peer anew, where the contract in force states something else
    /// and the peer offers what it speaks.
    pub(super) async fn restate(&mut self) {
        let (Some(head), Some(offer)) = (self.chain.head().cloned(), self.offer.clone()) else {
            return;
        };
        let same = self.stated(head.constraints.clone()) == head.constraints;
        if same || !self.is_settled(&head, &offer) {
            return;
        }
        let mut draft = self.renewed(&head, self.shared.clock.now(), "configuration".to_owned());
        if let Some(step) = draft.provenance.last_mut() {
            step.kind = ProvenanceKind::Manual;
            step.detail = "restated: its constraints are what the configuration says".to_owned();
        }
        if let Err(error) = self.seal_and_move(draft, "constraints", None, Vec::new()).await {
            let what = format!("{}: its constraints are not restated: {error}", self.id());
            self.tell(Told::Warning { what });
        }
    }

    /// Whether the peer offers what the contract speaks, or nothing more can be done about it by itself.
    fn is_settled(&self, head: &Sealed, offer: &Surface) -> bool {
        let (spoken, offered) = (Spoken::by(head), offer.by_name());
        let settled = |name: &str| {
            spoken.is_offered(name, &offered)
                || self.tools.get(name).is_some_and(|life| life.judged.is_some())
        };
        head.promised_tools().iter().all(|tool| settled(tool.name()))
    }

    fn renewed(&self, head: &Sealed, now: UnixMillis, reference: String) -> Contract {
        let draft = next_version(
            head,
            Next {
                id: self.shared.dice.uuid(),
                at: now,
                lifetime: self.settings.lifetime,
                step: Step::Patch,
                offer: head.offer.clone(),
                routine: head.routine.clone(),
                adopted: Vec::new(),
                dropped: Vec::new(),
                replies: Vec::new(),
                provenance: Provenance {
                    r#ref: reference,
                    kind: ProvenanceKind::Negotiation,
                    timestamp: now,
                    detail: "renewed: the peer offers what the contract speaks".to_owned(),
                },
            },
        );
        let mut draft = self.numbered(draft);
        // It says what the version before says: the way back is that one's, and a young patch in it that
        // misses is taken back still.
        draft.rollback.rollback_to = head.rollback.rollback_to;
        draft
    }

    fn grown_old(&self, head: &Sealed, now: UnixMillis) -> DriftEvent {
        let against = Against::Pointers(std::collections::BTreeSet::new());
        let over = head.expiry <= now;
        DriftEvent {
            drift_id: self.shared.dice.uuid(),
            drift_type: DriftType::Freshness,
            severity: if over { Severity::High } else { Severity::Medium },
            contract_id: Some(head.contract_id),
            tool: None,
            fingerprint: fingerprint(Some(head.contract_id), None, DriftType::Freshness, &against),
            detected_at: now,
            sensor: "expiry".to_owned(),
            evidence: Evidence {
                baseline: json!({ "sealed_at": head.sealed_at, "expiry": head.expiry }),
                observed: json!({ "now": now }),
                diff: json!([{ "kind": if over { "expired" } else { "grows_old" } }]),
            },
            occurrences: 1,
            state: EventState::Open,
            resolved_by: None,
        }
    }
}

/// Four fifths of its life are over.
fn is_old(head: &Sealed, now: UnixMillis) -> bool {
    let life = head.expiry.since(head.sealed_at).0;
    now.since(head.sealed_at).0 >= life - life / 5
}
