//! Capabilities that a peer declares, and whose methods it answers with "there is no such method". It
//! passes as it came and blocks nothing: a person is told, once for each capability.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::actor::Peer;
use crate::domain::drift::{
    Against, DriftEvent, DriftType, EventState, Evidence, Severity, fingerprint,
};
use crate::domain::message::{Capability, CapabilityMethod, CapabilityMethods};
use crate::domain::policy::Caller;
use crate::live::CapabilityFact;

/// The sensor that hears it.
pub(super) const UNSUPPORTED: &str = "unsupported";
/// What ends an event that a person takes as it is.
pub(super) const ACCEPTED: &str = "accepted by a person";
/// How long the peer may take to say what it declares: it must not hold up what else the actor does.
const PROBE: Duration = Duration::from_secs(2);
/// What was not supported, is answered and is not supported again, must be answered twice as often to be
/// believed, so that replicas that disagree do not fill the ledger; no more than 2 to this often.
const DOUBLINGS: u32 = 10;

/// What is known of what a peer declares and does.
#[derive(Debug, Default)]
pub(super) struct Capabilities {
    /// What it declares, as it was read last; `None` where nobody was told.
    declared: Option<Value>,
    /// Methods that it said it does not know, to be looked into.
    fresh: BTreeMap<CapabilityMethod, Fresh>,
    /// When it was asked last what it declares, on the monotonic clock.
    asked_at: Option<u64>,
    /// What is declared and not supported.
    lacking: BTreeMap<Capability, Lacking>,
    /// How often one was back.
    recoveries: BTreeMap<Capability, u32>,
    /// The path is to know of other methods than it does.
    changed: bool,
}

#[derive(Debug)]
struct Fresh {
    caller: Arc<Caller>,
    seen: u64,
    times: u64,
}

#[derive(Debug, Default)]
struct Lacking {
    /// The open event; `None` where a person has decided about it.
    event: Option<Uuid>,
    methods: CapabilityMethods,
    /// How often one of the methods was answered since it was not.
    answered: u32,
}

impl Capabilities {
    /// The methods that are declared and not supported.
    pub(super) fn unsupported(&self) -> CapabilityMethods {
        let all = self.lacking.values().map(|lacking| lacking.methods);
        all.fold(CapabilityMethods::default(), CapabilityMethods::and)
    }

    /// What the peer says of a capability, where it declares it.
    fn says(&self, capability: Capability) -> Option<&Value> {
        capability.declared_in(self.declared.as_ref()?)
    }
}

impl Peer {
    /// Takes what was answered to a method of a capability.
    pub(super) fn note_capability(&mut self, fact: CapabilityFact, seen: u64) {
        if self.chain.head().is_none() {
            return;
        }
        let CapabilityFact { method, caller, supported } = fact;
        if supported {
            return self.note_supported(method);
        }
        let known = &mut self.capabilities;
        if let Some(lacking) = known.lacking.get_mut(&method.capability()) {
            lacking.answered = 0;
            match lacking.event {
                // A person knows that it does not do what it declares.
                None => return,
                Some(event) => {
                    known.changed |= lacking.methods.insert(method);
                    return self.events.sighted(event);
                }
            }
        }
        // What it does not declare it need not do.
        if known.declared.is_none() || known.says(method.capability()).is_some() {
            known.fresh.entry(method).or_insert(Fresh { caller, seen, times: 0 }).times += 1;
        }
    }

    fn note_supported(&mut self, method: CapabilityMethod) {
        let capability = method.capability();
        let known = &mut self.capabilities;
        let recoveries = known.recoveries.entry(capability).or_default();
        let Some(lacking) = known.lacking.get_mut(&capability) else { return };
        if !lacking.methods.contains(method) {
            return;
        }
        lacking.answered += 1;
        if lacking.answered < 1 << (*recoveries).min(DOUBLINGS) {
            return;
        }
        lacking.methods.remove(method);
        if !lacking.methods.is_empty() {
            return;
        }
        *recoveries += 1;
        self.no_longer_lacking(capability, &format!("{} is answered again", method.word()));
    }

    fn no_longer_lacking(&mut self, capability: Capability, by: &str) {
        let lacking = self.capabilities.lacking.remove(&capability);
        if let Some(event) = lacking.and_then(|lacking| lacking.event) {
            self.move_event(event, EventState::Resolved, Some(by.to_owned()));
        }
    }

    /// Looks into methods that the peer said it does not know: it is asked what it declares, before an
    /// event says that it declares it. True where something is told otherwise to the path.
    pub(super) async fn look_into_capabilities(&mut self) -> bool {
        let now = self.shared.clock.monotonic_micros();
        let slot = self.settings.reread_slot.0 * 1_000;
        let known = &self.capabilities;
        let early = known.asked_at.is_some_and(|asked| now.saturating_sub(asked) < slot);
        if known.fresh.is_empty() || early {
            return std::mem::take(&mut self.capabilities.changed);
        }
        let fresh = std::mem::take(&mut self.capabilities.fresh);
        self.capabilities.asked_at = Some(now);
        let caller = fresh.values().next().map(|it| Arc::clone(&it.caller));
        let asked = tokio::time::timeout(PROBE, self.declared(caller.as_deref())).await;
        // Of a peer that does not say what it declares, nothing is claimed.
        let Ok(Some(declared)) = asked else { return false };
        self.capabilities.declared = Some(declared);
        for (method, Fresh { seen, times, .. }) in fresh {
            let said = self.capabilities.says(method.capability()).cloned();
            if let Some(said) = said {
                self.lacks(method, said, seen, times);
            }
        }
        true
    }

    /// What the peer declares: to the caller where it says so without a session of its own, else to
    /// ourselves.
    async fn declared(&self, caller: Option<&Caller>) -> Option<Value> {
        let said = |declared: Value| declared.is_object().then_some(declared);
        if let Ok(declared) = self.client.declared(caller).await
            && let Some(declared) = said(declared)
        {
            return Some(declared);
        }
        self.client.declared(None).await.ok().and_then(said)
    }

    fn lacks(&mut self, method: CapabilityMethod, said: Value, seen: u64, times: u64) {
        let capability = method.capability();
        let word = capability.word();
        let event = self.unsupported_event(capability, method, said);
        let what = format!(
            "it declares {word} and answers {} as a method it does not know",
            method.word()
        );
        let lacking = self.capabilities.lacking.entry(capability).or_default();
        lacking.methods.insert(method);
        lacking.answered = 0;
        let event = self.raise(event, seen, &what);
        (1..times).for_each(|_| self.events.sighted(event));
        if let Some(lacking) = self.capabilities.lacking.get_mut(&capability) {
            lacking.event = Some(event);
        }
    }

    fn unsupported_event(
        &self,
        capability: Capability,
        method: CapabilityMethod,
        said: Value,
    ) -> DriftEvent {
        let contract_id = self.chain.head().map(|head| head.contract_id);
        let (word, method) = (capability.word(), method.word());
        let against = Against::Pointers([UNSUPPORTED.to_owned(), word.to_owned()].into());
        let drift_type = DriftType::Capability;
        let pointer = format!("/capabilities/{}", word.replace('.', "/"));
        DriftEvent {
            drift_id: self.shared.dice.uuid(),
            drift_type,
            severity: Severity::Medium,
            contract_id,
            tool: None,
            fingerprint: fingerprint(contract_id, None, drift_type, &against),
            detected_at: self.shared.clock.now(),
            sensor: UNSUPPORTED.to_owned(),
            evidence: Evidence {
                baseline: json!({ "capability": word, "declared": said }),
                observed: json!({ "capability": word, "method": method, "code": -32_601 }),
                diff: json!([{ "kind": "unsupported", "pointer": pointer, "method": method }]),
            },
            occurrences: 1,
            state: EventState::Open,
            resolved_by: None,
        }
    }

    /// The surface was read: what the peer no longer declares, it need not do.
    pub(super) fn settle_capabilities(&mut self) {
        let declared = self.offer.as_ref().map(|offer| &offer.capabilities);
        let Some(declared) = declared.filter(|declared| declared.is_object()) else { return };
        let all = self.capabilities.lacking.keys();
        let gone: Vec<Capability> =
            all.filter(|capability| capability.declared_in(declared).is_none()).copied().collect();
        self.capabilities.declared = Some(declared.clone());
        for capability in gone {
            let by = format!("the peer no longer declares {}", capability.word());
            self.no_longer_lacking(capability, &by);
        }
    }

    /// A person has decided: it is not asked about again, until it was answered in between.
    pub(super) fn capability_decided(&mut self, event: &DriftEvent) {
        let mut all = self.capabilities.lacking.values_mut();
        if let Some(lacking) = all.find(|lacking| lacking.event == Some(event.drift_id)) {
            lacking.event = None;
        }
    }

    /// Takes up what events say, after a restart: the open ones, and those that a person decided about.
    pub(super) fn take_up_capabilities(&mut self) {
        let decided = |event: &DriftEvent| {
            event.state == EventState::Dismissed || event.resolved_by.as_deref() == Some(ACCEPTED)
        };
        let events = self.events.all().into_iter().filter(|event| event.sensor == UNSUPPORTED);
        for event in events {
            let open = super::events::is_open(event.state);
            let method = event.evidence.observed["method"].as_str();
            let Some(method) = method.and_then(CapabilityMethod::of) else { continue };
            if open || decided(event) {
                let mut lacking =
                    Lacking { event: open.then_some(event.drift_id), ..Lacking::default() };
                lacking.methods.insert(method);
                self.capabilities.lacking.insert(method.capability(), lacking);
            }
        }
    }
}
