//! Policy: who was refused that was let through before, limits that were advertised and shrank, a peer
//! that names itself otherwise. Nothing of what the peer refuses is blocked by us: it did that.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::access::METADATA;
use super::actor::Peer;
use super::status::Told;
use crate::domain::contract::Role;
use crate::domain::drift::{
    Against, DriftEvent, DriftType, EventState, Evidence, Severity, fingerprint,
};
use crate::domain::message::{Millis, Principal, ToolName, UnixMillis};
use crate::domain::policy::{Advertised, Caller, Denied};
use crate::live::{CallFact, ToolState};
use crate::wire::protocol::mcp::peer::PeerError;

/// The sensor that sees callers refused.
pub(super) const ACCESS: &str = "access";
/// The sensor that sees advertised limits shrink.
pub(super) const QUOTA: &str = "advertised_limit";
/// The sensor that sees a peer name itself otherwise.
pub(super) const IDENTITY: &str = "identity";
/// How long the questions may take together that tell a refused tool from refused access: a peer that
/// refuses everybody at once must not hold up what else the actor does.
const PROBE: Duration = Duration::from_secs(2);
/// A caller that was refused and did not come again in this time is over.
const GONE: Millis = Millis(3_600_000);
/// Callers that are remembered; more are not told apart.
const CALLERS: usize = 1_024;

/// What is known of the callers' access.
#[derive(Debug, Default)]
pub(super) struct Standings {
    /// Callers that were refused just now, to be looked into.
    fresh: Vec<Fresh>,
    /// Callers that an open event is about.
    refused: BTreeMap<Principal, Refused>,
    /// The widest limit that was advertised to each caller of each tool.
    quotas: BTreeMap<(Principal, ToolName), Advertised>,
    /// Limits that shrank: the open event, one a caller, and the limit of now.
    shrunk: BTreeMap<(Principal, ToolName), (Uuid, Advertised)>,
    /// What the peer's origin says of who gives access, and to what.
    pub(super) access: super::access::AccessWatch,
    /// The event about who the peer is, while it names itself otherwise.
    pub(super) other: Option<Uuid>,
    /// A name that a person did not take: it is not asked about again.
    not_taken: Option<String>,
}

#[derive(Debug)]
struct Fresh {
    tool: ToolName,
    denied: Denied,
    caller: Arc<Caller>,
    seen: u64,
}

#[derive(Debug)]
struct Refused {
    event: Uuid,
    tools: BTreeSet<ToolName>,
    last: UnixMillis,
}

impl Peer {
    /// Takes what the head of a call's answer told.
    pub(super) fn note_standing(&mut self, call: &CallFact, at: UnixMillis, seen: u64) {
        let (Some(caller), Some(_)) = (&call.caller, self.chain.head()) else { return };
        if !self.settings.policy.on {
            return;
        }
        let principal = &caller.principal;
        if let Some(denied) = &call.standing.denied {
            if let Some(known) = self.standings.refused.get_mut(principal) {
                known.last = at;
                known.tools.insert(call.tool.clone());
                let event = known.event;
                self.events.sighted(event);
            } else if denied.was_allowed
                && self.standings.fresh.iter().all(|it| it.caller.principal != *principal)
                && self.standings.refused.len() < CALLERS
            {
                let (tool, denied) = (call.tool.clone(), Denied::clone(denied));
                let caller = Arc::clone(caller);
                self.standings.fresh.push(Fresh { tool, denied, caller, seen });
            }
        } else if call.standing.let_through {
            self.note_let_through(&call.tool, principal.clone());
        }
        if let Some(limit) = call.standing.advertised {
            self.note_limit((principal.clone(), call.tool.clone()), limit, seen);
        }
    }

    fn note_let_through(&mut self, tool: &ToolName, principal: Principal) {
        let Some(known) = self.standings.refused.get_mut(&principal) else { return };
        known.tools.remove(tool);
        if known.tools.is_empty() {
            let event = known.event;
            self.standings.refused.remove(&principal);
            let by = "the caller is let through again".to_owned();
            self.move_event(event, EventState::Resolved, Some(by));
        }
    }

    /// Looks into callers that were refused just now: the surface, read as that caller, tells whether
    /// it is the tool or the whole access. Reading it has no effect on anything.
    pub(super) async fn look_into_refusals(&mut self) {
        let until = tokio::time::Instant::now() + PROBE;
        for Fresh { tool, denied, caller, seen } in std::mem::take(&mut self.standings.fresh) {
            let read = self.client.surface_unless(Some(&caller), None);
            let surface = match tokio::time::timeout_at(until, read).await {
                Ok(Ok(_)) => "readable",
                Ok(Err(PeerError::Refused { .. })) => "refused",
                Ok(Err(_)) | Err(_) => "no answer",
            };
            let kind = if surface == "refused" { "access_refused" } else { "tool_refused" };
            let principal = caller.principal.clone();
            let observed = json!({
                "principal": principal, "tool": tool, "status": denied.status,
                "surface": surface, "challenge": denied.challenge,
            });
            let event = self.policy_event(
                (ACCESS, principal.as_str()),
                (json!({ "principal": principal, "access": "let through" }), observed),
                json!([{ "kind": kind, "status": denied.status, "tool": tool }]),
            );
            let what = format!("{principal} is answered HTTP {} now", denied.status);
            let event = self.raise(event, seen, &what);
            let last = self.shared.clock.now();
            let tools = BTreeSet::from([tool]);
            self.standings.refused.insert(principal, Refused { event, tools, last });
        }
    }

    fn note_limit(&mut self, whose: (Principal, ToolName), limit: Advertised, seen: u64) {
        let Some(before) = self.standings.quotas.get(&whose).copied() else {
            if self.standings.quotas.len() < CALLERS {
                self.standings.quotas.insert(whose, limit);
            }
            return;
        };
        if limit.fell_by(self.settings.policy.limit_drop, before) {
            let (principal, tool) = &whose;
            let observed = json!({ "principal": principal, "tool": tool, "limit": limit });
            let event = self.policy_event(
                (QUOTA, principal.as_str()),
                (json!({ "principal": principal, "limit": before }), observed),
                json!([{ "kind": "limit_reduced", "before": before, "now": limit }]),
            );
            let what = format!("the advertised limit fell from {before} to {limit}");
            let event = self.raise(event, seen, &what);
            self.standings.shrunk.insert(whose, (event, limit));
            return;
        }
        // What is allowed once is what a later limit is held against.
        if before.is_tighter_than(limit) {
            self.standings.quotas.insert(whose.clone(), limit);
        }
        if let Some((event, _)) = self.standings.shrunk.remove(&whose)
            && self.standings.shrunk.values().all(|(open, _)| *open != event)
        {
            let by = "the advertised limit is back".to_owned();
            self.move_event(event, EventState::Resolved, Some(by));
        }
    }

    /// Callers that were refused and went away.
    pub(super) fn forget_refused(&mut self) {
        let now = self.shared.clock.now();
        let gone = |known: &Refused| known.last.plus(GONE) <= now;
        let over: Vec<Uuid> = {
            let all = self.standings.refused.values();
            all.filter(|known| gone(known)).map(|known| known.event).collect()
        };
        self.standings.refused.retain(|_, known| !gone(known));
        for event in over {
            let by = "the caller did not come again".to_owned();
            self.move_event(event, EventState::Resolved, Some(by));
        }
    }

    /// A peer that names itself otherwise than it was sealed is another one: all its tools wait for a
    /// person, and nothing is carried over to it. True where it is another one.
    pub(super) fn is_another(&mut self) -> bool {
        let Some((sealed, now)) = self.names() else { return self.standings.other.is_some() };
        if sealed == now {
            if let Some(event) = self.standings.other.take() {
                let by = "the peer has its name again".to_owned();
                self.move_event(event, EventState::Resolved, Some(by));
                self.free_all();
            }
            return false;
        }
        if let (Some(event), true) =
            (self.standings.other, self.standings.not_taken.as_ref() == Some(&now))
        {
            self.stop_all(event, "the peer names itself otherwise, and a person did not take that");
            return true;
        }
        let event = self.policy_event(
            (IDENTITY, &now),
            (json!({ "server_name": sealed }), json!({ "server_name": now })),
            json!([{ "kind": "identity_changed", "pointer": "/serverInfo/name" }]),
        );
        let id = event.fingerprint.0;
        let what = format!(
            "the peer was `{sealed}` and names itself `{now}` now; \
             `stipula approvals approve {id}` takes it as the same one"
        );
        let seen = self.shared.clock.monotonic_micros();
        let event = self.raise(event, seen, &what);
        if let Some(before) = self.standings.other.replace(event).filter(|it| *it != event) {
            let by = "the peer names itself otherwise again".to_owned();
            self.move_event(before, EventState::Resolved, Some(by));
        }
        self.move_event(event, EventState::Waiting, None);
        self.stop_all(event, &what);
        true
    }

    /// Tools that could be called wait because of who the peer is; the others keep their own reason.
    fn stop_all(&mut self, event: Uuid, why: &str) {
        for tool in self.promised_names() {
            let life = self.tools.get(tool.as_str());
            if life.is_none_or(|life| life.state == ToolState::Sound) {
                let (drift, why) = (event.to_string(), why.to_owned());
                self.set_state(&tool, ToolState::Waiting { drift, why });
            }
        }
    }

    /// The tools that waited because of who the peer is are looked at anew.
    pub(super) fn free_all(&mut self) {
        for tool in self.promised_names() {
            let Some(life) = self.tools.get_mut(tool.as_str()) else { continue };
            let ToolState::Waiting { drift, .. } = &life.state else { continue };
            let event = drift.parse().ok().and_then(|id| self.events.get(id));
            if event.is_some_and(|event| event.sensor == IDENTITY) {
                life.judged = None;
                self.set_state(&tool, ToolState::Sound);
            }
        }
    }

    fn promised_names(&self) -> Vec<String> {
        let promised = self.chain.head().map(|head| head.promised_tools());
        promised.into_iter().flatten().map(|tool| tool.name().to_owned()).collect()
    }

    /// The peer's name as it was sealed and as it is now, where both are known.
    fn names(&self) -> Option<(String, String)> {
        let now = self.offer.as_ref()?.server_name.clone()?;
        let head = self.chain.head()?;
        let sealed = head.participants.iter().find(|it| it.role == Role::Responder)?;
        // A seal from a file may name another origin: the name is what stands behind the last blank.
        let sealed = sealed.id.strip_prefix(&self.settings.identity)?.strip_prefix(' ')?;
        Some((sealed.to_owned(), now))
    }

    pub(super) fn policy_event(
        &self,
        (sensor, whose): (&str, &str),
        (baseline, observed): (Value, Value),
        diff: Value,
    ) -> DriftEvent {
        let contract_id = self.chain.head().map(|head| head.contract_id);
        let against = Against::Pointers([sensor.to_owned(), whose.to_owned()].into());
        DriftEvent {
            drift_id: self.shared.dice.uuid(),
            drift_type: DriftType::Policy,
            severity: Severity::High,
            contract_id,
            tool: None,
            fingerprint: fingerprint(contract_id, None, DriftType::Policy, &against),
            detected_at: self.shared.clock.now(),
            sensor: sensor.to_owned(),
            evidence: Evidence { baseline, observed, diff },
            occurrences: 1,
            state: EventState::Open,
            resolved_by: None,
        }
    }

    /// Opens an event about policy, or joins it, and tells a person once.
    pub(super) fn raise(&mut self, event: DriftEvent, seen: u64, what: &str) -> Uuid {
        let fresh = event.drift_id;
        let mut records = Vec::new();
        let id = self.see(event, &mut records, Some(seen));
        records.into_iter().for_each(|record| self.shared.scribe.later(record));
        if id == fresh {
            self.tell(Told::Warning { what: format!("{}: {what}", self.id()) });
            self.escalate(id, "escalation", what);
        }
        id
    }

    /// Takes up what open events say, after a restart.
    pub(super) fn take_up_standings(&mut self) {
        let open: Vec<DriftEvent> = self.events.open().cloned().collect();
        let last = self.shared.clock.now();
        for event in open {
            let said = |place: &Value, name: &str| place.get(name).cloned().unwrap_or_default();
            let (baseline, observed) = (&event.evidence.baseline, &event.evidence.observed);
            let principal = said(observed, "principal");
            let principal = Principal::new(principal.as_str().unwrap_or_default());
            match event.sensor.as_str() {
                ACCESS => {
                    let tool = said(observed, "tool");
                    let tools = tool.as_str().map(ToolName::from).into_iter().collect();
                    let refused = Refused { event: event.drift_id, tools, last };
                    self.standings.refused.insert(principal, refused);
                }
                QUOTA => {
                    let tool = said(observed, "tool");
                    let whose = (principal, ToolName::from(tool.as_str().unwrap_or_default()));
                    let limit = |place| serde_json::from_value(said(place, "limit"));
                    if let (Ok(before), Ok(now)) = (limit(baseline), limit(observed)) {
                        self.standings.quotas.insert(whose.clone(), before);
                        self.standings.shrunk.insert(whose, (event.drift_id, now));
                    }
                }
                METADATA => self.take_up_grants(&event),
                IDENTITY => self.standings.other = Some(event.drift_id),
                _ => {}
            }
        }
        if let Some(other) = self.standings.other {
            self.stop_all(other, "the peer names itself otherwise than it was sealed");
        }
    }

    /// A person did not take what an event about policy says: it is not asked about again.
    pub(super) fn refuse_standing(&mut self, event: &DriftEvent) {
        match event.sensor.as_str() {
            IDENTITY => {
                let name = event.evidence.observed["server_name"].as_str();
                self.standings.not_taken = name.map(str::to_owned);
            }
            METADATA => self.refuse_grants(),
            _ => {}
        }
    }

    /// A person takes what an event about policy says as it is now.
    pub(super) fn accept_standing(&mut self, event: &DriftEvent) {
        let principal = event.evidence.observed["principal"].as_str().map(Principal::new);
        if let Some(principal) = principal {
            let standings = &mut self.standings;
            let (shrunk, quotas) = (&mut standings.shrunk, &mut standings.quotas);
            shrunk.retain(|whose, (open, now)| {
                let taken = *open == event.drift_id;
                if taken {
                    quotas.insert(whose.clone(), *now);
                }
                !taken
            });
            self.standings.refused.remove(&principal);
        }
        if event.sensor == IDENTITY {
            self.standings.other = None;
        }
        if event.sensor == METADATA {
            self.accept_grants();
        }
    }
}
