//! Performance: calls that take far longer than they did, that fail, or that are no longer made.
//!
//! ```text
//!   CallFact ────► Health of the tool ─► began ─► event (medium), L1
//!   BreakerFact ─► the same, or the peer's      ─► sustained ─► high, breaker held open, a person
//!                                               ─► recovered ─► resolved, breaker let go
//! ```
//!
//! One fault gives one event: whatever else is seen of it joins.

use std::sync::Arc;

use serde_json::{Value, json};
use uuid::Uuid;

use super::actor::Peer;
use super::adjust::adjusted_by;
use super::events::{Events, is_open};
use super::status::Told;
use crate::domain::drift::{
    Against, DriftEvent, DriftType, EventState, Evidence, Severity, fingerprint,
};
use crate::domain::evidence::{Cause, RecordBody, RecordId};
use crate::domain::health::{
    Adjustment, BreakerState, Fault, Health, Level, Objective, PerformanceRules, Seen, Shift,
    Trouble, Turn,
};
use crate::domain::message::{Millis, ToolName};
use crate::live::{BreakerFact, CallFact, ToolHealth};

/// The sensor's name in events.
const SENSOR: &str = "performance";

/// How one tool does, or the peer as a whole.
#[derive(Debug, Default)]
pub(super) struct Performance {
    pub(super) health: Health,
    /// The event that is open about it.
    pub(super) event: Option<Uuid>,
    /// The fault that opened the breaker last.
    opened_by: Option<Fault>,
}

impl Peer {
    /// When a tool counts as slow or failing, by the settings and by what the contract states.
    fn performance_rules(&self) -> PerformanceRules {
        let stated = self.chain.head().and_then(|head| head.constraints.slo).unwrap_or_default();
        let objective = Objective { p95: stated.p95_ms.map(Millis), error_rate: stated.error_rate };
        PerformanceRules { objective, ..self.settings.performance }
    }

    /// A call ended.
    pub(super) fn note_performance(&mut self, call: &CallFact, seen: u64) {
        // Whoever was refused without being asked for tells nothing of the peer.
        if self.chain.head().is_none() || (call.upstream_micros == 0 && call.fault.is_none()) {
            return;
        }
        let rules = self.performance_rules();
        if let Some(explained) = call.fault.and_then(|fault| self.explained(&call.tool, fault)) {
            self.events.sighted(explained);
            return;
        }
        if call.fault != Some(Fault::Unreachable) && self.reach.event.is_some() {
            let turns = self.reach.health.call(seen, Seen::default(), &rules);
            self.turned(None, turns, seen);
        }
        let well = call.fault.is_none() && !call.is_error && call.rejection.is_none();
        let seen_of_it = Seen {
            micros: well.then_some(call.upstream_micros),
            failed: call.fault.is_some(),
            retried: call.retried,
        };
        let performance = self.performance_of(&call.tool);
        let turns = performance.health.call(seen, seen_of_it, &rules);
        let bad = call.fault.is_some() || performance.health.is_slow();
        if let Some(event) = performance.event.filter(|_| bad && turns.is_empty()) {
            self.events.sighted(event);
        }
        self.turned(Some(&call.tool), turns, seen);
        self.adjust(&call.tool);
    }

    /// The open event that a failing call belongs to: a peer that cannot be reached, or a tool that
    /// changed and says so by errors.
    fn explained(&self, tool: &ToolName, fault: Fault) -> Option<Uuid> {
        if fault.is_of_peer() {
            return self.reach.event;
        }
        let about = |event: &&DriftEvent| {
            event.tool.as_deref() == Some(tool.as_str())
                && event.drift_type != DriftType::Performance
                && event.severity > Severity::Low
        };
        let of_tool = self.events.open().find(about);
        of_tool.filter(|_| fault.is_json_rpc()).map(|event| event.drift_id)
    }

    /// A breaker opened or closed.
    pub(super) fn note_breaker(&mut self, fact: &BreakerFact, seen: u64) {
        if self.chain.head().is_none() {
            return;
        }
        let tool = fact.tool.as_ref();
        let performance = match tool {
            Some(tool) => self.performance_of(tool),
            None => &mut self.reach,
        };
        performance.opened_by = fact.opened_by.or(performance.opened_by);
        let turns = performance.health.breaker(seen, fact.opened_by.is_some());
        if let (Some(tool), Some(fault)) = (tool, fact.opened_by)
            && let Some(explained) = self.explained(tool, fault)
        {
            // The tool changed, and says so by errors: that is its fault, and not a second one.
            self.events.sighted(explained);
            self.troubled.insert(tool.clone());
            return;
        }
        self.turned(tool, turns, seen);
    }

    /// Trouble that lasts too long; breakers that closed unseen.
    pub(super) fn look_at_performance(&mut self, now: u64) {
        let rules = self.performance_rules();
        let reach = self.reach.event.is_some();
        let turns: Vec<Turn> = self.reach.health.tick(now, &rules).into_iter().collect();
        self.turned(None, turns, now);
        let troubled: Vec<ToolName> = self.troubled.iter().cloned().collect();
        // How far a breaker has come is a matter of time.
        self.unshown |= reach || !troubled.is_empty();
        for tool in troubled {
            let turns: Vec<Turn> =
                self.performance_of(&tool).health.tick(now, &rules).into_iter().collect();
            self.turned(Some(&tool), turns, now);
        }
    }

    /// Takes up what was open before a restart.
    pub(super) fn take_up_performance(&mut self) {
        let now = self.shared.clock.monotonic_micros();
        let open: Vec<(Uuid, Option<String>, Adjustment)> = self
            .events
            .open()
            .filter(|event| event.drift_type == DriftType::Performance)
            .map(|event| (event.drift_id, event.tool.clone(), adjusted_by(event)))
            .collect();
        for (id, tool, adjusted) in open {
            let left = Performance {
                health: Health::left_in_trouble(now, adjusted),
                event: Some(id),
                opened_by: None,
            };
            match tool {
                Some(tool) => {
                    let tool = ToolName::from(tool.as_str());
                    *self.performance_of(&tool) = left;
                    self.degrade(&tool, Some(id));
                    // As it was when it was recorded.
                    self.tools.entry(tool).or_default().health.adjust(adjusted);
                }
                None => self.reach = left,
            }
        }
    }

    /// Breakers that are not closed, and how far down the ladder the worst tool is.
    pub(super) fn degraded(&self) -> (usize, Level) {
        let now = self.shared.clock.monotonic_micros();
        let own = self.health.circuit.state(now) != BreakerState::Closed;
        let (mut open, mut worst) =
            (usize::from(own), ToolHealth::default().level(&self.health, now));
        for tool in &self.troubled {
            let Some(life) = self.tools.get(tool) else { continue };
            open += usize::from(life.health.circuit.state(now) != BreakerState::Closed);
            worst = worst.max(life.health.level(&self.health, now));
        }
        (open, worst)
    }

    /// How long it may take to answer a call.
    pub(super) fn deadline(&self) -> Option<Millis> {
        let stated = self.chain.head().and_then(|head| head.constraints.timeout_ms);
        self.settings.deadline.or(stated.map(Millis))
    }

    /// How far down the ladder a tool is.
    pub(super) fn level_of(&self, tool: &str, now: u64) -> Level {
        let level = |health: &ToolHealth| health.level(&self.health, now);
        self.tools
            .get(tool)
            .map_or_else(|| level(&ToolHealth::default()), |life| level(&life.health))
    }

    fn performance_of(&mut self, tool: &ToolName) -> &mut Performance {
        self.tools.entry(tool.clone()).or_default().performance.get_or_insert_default()
    }

    /// Acts on what changed.
    fn turned(&mut self, tool: Option<&ToolName>, turns: Vec<Turn>, seen: u64) {
        for turn in turns {
            match turn {
                Turn::Began(trouble) => self.began(tool, trouble, seen),
                Turn::Sustained => self.sustained(tool),
                Turn::Recovered => self.recovered(tool),
            }
        }
    }

    fn began(&mut self, tool: Option<&ToolName>, trouble: Trouble, seen: u64) {
        let known = match tool {
            Some(tool) => self.performance_of(tool).event,
            None => self.reach.event,
        };
        if let Some(known) =
            known.filter(|id| self.events.get(*id).is_some_and(|it| is_open(it.state)))
        {
            self.events.sighted(known);
            return;
        }
        let mut records = Vec::new();
        let event = self.performance_event(tool, trouble);
        let id = self.see(event, &mut records, Some(seen));
        let body = RecordBody::Reasoning { drift_id: id, steps: steps(trouble, tool.is_some()) };
        let reasoning = self.shared.scribe.record(self.id(), body);
        let from = RecordId(id);
        records.push(self.shared.scribe.edge(self.id(), from, reasoning.id, Cause::Caused));
        records.push(reasoning);
        records.into_iter().for_each(|record| self.shared.scribe.later(record));
        match tool {
            Some(tool) => {
                self.performance_of(tool).event = Some(id);
                self.degrade(tool, Some(id));
            }
            None => {
                self.reach.event = Some(id);
                self.health.tell(Some(id.to_string().into()));
            }
        }
        let (peer, whose) = (self.id(), tool.map_or("the peer", ToolName::as_str));
        let what = format!("{peer}: {whose}: {}", told(trouble));
        self.tell(Told::Warning { what });
    }

    /// The severity rises, the breaker is held open, a person is asked.
    fn sustained(&mut self, tool: Option<&ToolName>) {
        let now = self.shared.clock.monotonic_micros();
        let performance = match tool {
            Some(tool) => self.performance_of(tool),
            None => &mut self.reach,
        };
        let (event, only_down) = (performance.event, performance.health.is_only_down());
        let Some(id) = event else { return };
        let Some(event) = self.events.escalate(id, Severity::High, EventState::Waiting) else {
            return;
        };
        self.shared.peer_metrics.drift_event(DriftType::Performance, Severity::High);
        let record = Events::record(&self.shared.scribe, self.id(), event, true);
        self.shared.scribe.later(record);
        // One that its own failures opened closes by its own probe.
        let circuit = tool.and_then(|tool| self.tools.get(tool)).map(|life| &life.health.circuit);
        if let Some(circuit) = circuit.filter(|_| !only_down)
            && circuit.hold(now, &self.settings.breaker) == Shift::Opened
        {
            self.shared.peer_metrics.breaker_trip();
        }
        let whose = tool.map_or_else(|| self.id().to_string(), ToString::to_string);
        let why = format!(
            "its performance is broken for more than {} s, so its breaker is open",
            self.settings.performance.sustained.0 / 1_000
        );
        self.escalate(id, "incident", &why);
        let peer = self.id().clone();
        self.tell(Told::Waits { peer, tool: whose, why });
    }

    fn recovered(&mut self, tool: Option<&ToolName>) {
        let event = match tool {
            Some(tool) => self.performance_of(tool).event.take(),
            None => self.reach.event.take(),
        };
        match tool {
            Some(tool) => {
                self.readjust(tool, event, Adjustment::None);
                self.degrade(tool, None);
            }
            None => self.health.tell(None),
        }
        let is_open = |id: &Uuid| self.events.get(*id).is_some_and(|it| is_open(it.state));
        if let Some(id) = event.filter(is_open) {
            self.move_event(id, EventState::Resolved, Some("healthy again".to_owned()));
        }
    }

    /// Whether a person can end an event by taking the pace of now as it is: a tool that is slow or
    /// fails for too long. A breaker that failures opened closes by its own probe.
    pub(super) fn asks_about_pace(&self, event: &DriftEvent) -> bool {
        let life = event.tool.as_deref().and_then(|tool| self.tools.get(tool));
        let performance = life.and_then(|life| life.performance.as_deref());
        performance.is_some_and(|it| {
            event.state == EventState::Waiting
                && it.event == Some(event.drift_id)
                && !it.health.is_only_down()
        })
    }

    /// A person takes the pace of now as it is: it is what calls are held against from now on.
    pub(super) fn accept_pace(&mut self, event: &DriftEvent) -> String {
        let now = self.shared.clock.monotonic_micros();
        let tool = ToolName::from(event.tool.as_deref().unwrap_or_default());
        let performance = self.performance_of(&tool);
        performance.event = None;
        performance.health.accept(now);
        self.readjust(&tool, Some(event.drift_id), Adjustment::None);
        self.degrade(&tool, None);
        self.move_event(
            event.drift_id,
            EventState::Resolved,
            Some("accepted by a person".to_owned()),
        );
        format!("{tool}: its pace of now is what calls are held against; its breaker is closed")
    }

    /// What both planes know of a tool's trouble.
    fn degrade(&mut self, tool: &ToolName, event: Option<Uuid>) {
        let life = self.tools.entry(tool.clone()).or_default();
        life.health.degrade(event.is_some());
        life.health.tell(event.map(|id| Arc::from(id.to_string())));
        if event.is_some() {
            self.troubled.insert(tool.clone());
        } else {
            life.health.circuit.release_held();
            self.troubled.remove(tool);
        }
    }

    fn performance_event(&mut self, tool: Option<&ToolName>, trouble: Trouble) -> DriftEvent {
        let (now, rules) = (self.shared.clock.monotonic_micros(), self.performance_rules());
        let contract_id = self.chain.head().map(|head| head.contract_id);
        let failures = self.settings.breaker.failures;
        let performance = match tool {
            Some(tool) => self.performance_of(tool),
            None => &mut self.reach,
        };
        let (baseline, observed) = evidence(performance, trouble, failures, now, &rules);
        let against = Against::Pointers(std::collections::BTreeSet::new());
        let name = tool.map(ToolName::as_str);
        DriftEvent {
            drift_id: self.shared.dice.uuid(),
            drift_type: DriftType::Performance,
            severity: Severity::Medium,
            contract_id,
            tool: name.map(str::to_owned),
            fingerprint: fingerprint(contract_id, name, DriftType::Performance, &against),
            detected_at: self.shared.clock.now(),
            sensor: SENSOR.to_owned(),
            evidence: Evidence { baseline, observed, diff: json!([{ "kind": trouble.word() }]) },
            occurrences: 1,
            state: EventState::Open,
            resolved_by: None,
        }
    }
}

/// As it was, and as it was seen: figures, never a payload.
fn evidence(
    performance: &mut Performance,
    trouble: Trouble,
    failures: u32,
    now: u64,
    rules: &PerformanceRules,
) -> (Value, Value) {
    let millis = |micros: u64| (micros as f64 / 1_000.0).round();
    match trouble {
        Trouble::Slow => {
            let pace = performance.health.pace();
            let row: Vec<f64> = pace.row().iter().map(|micros| millis(*micros)).collect();
            let p95 = pace.baseline().map(millis);
            (json!({ "p95_ms": p95, "samples": pace.samples() }), json!({ "latencies_ms": row }))
        }
        Trouble::Late => {
            let share = performance.health.late_share(now, rules);
            let p95 = rules.objective.p95.map(|p95| p95.0);
            let stated = json!({ "slo": { "p95_ms": p95 }, "window_ms": rules.window.0 });
            (stated, json!({ "calls": share.calls, "late": share.failed }))
        }
        Trouble::Failing => {
            let share = performance.health.share(now, rules);
            let observed = json!({ "calls": share.calls, "failed": share.failed });
            (json!({ "error_rate": rules.failing_above(), "window_ms": rules.window.0 }), observed)
        }
        Trouble::Down => {
            let fault = performance.opened_by.map(Fault::word);
            (json!({}), json!({ "failures_in_a_row": failures, "last": fault }))
        }
    }
}

/// What happens because of it, for the record.
fn steps(trouble: Trouble, of_tool: bool) -> Vec<String> {
    let whose = if of_tool { "the tool's" } else { "the peer's" };
    let done = match trouble {
        Trouble::Slow => {
            "L1: sampling is skipped, and nothing is tried again, until calls are as fast as they were"
                .to_owned()
        }
        Trouble::Late => {
            "L1: sampling is skipped, and nothing is tried again, until calls are in time".to_owned()
        }
        Trouble::Failing => {
            "L1: sampling is skipped; what cannot have run, or only reads, is tried again after \
             longer pauses"
                .to_owned()
        }
        Trouble::Down => {
            format!("L3: {whose} breaker is open; calls are refused until a probe comes back")
        }
    };
    vec![told(trouble).to_owned(), done]
}

const fn told(trouble: Trouble) -> &'static str {
    match trouble {
        Trouble::Slow => "calls take far longer than they did",
        Trouble::Late => "more than a twentieth of the calls take longer than the contract states",
        Trouble::Failing => "too many calls fail",
        Trouble::Down => "calls fail one after another, so the breaker is open",
    }
}
