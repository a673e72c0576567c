//! What a person tells the actor: decisions, a rollback, a mode, a seal.

use std::collections::BTreeSet;

use serde_json::json;

use super::actor::Peer;
use super::handle::{Command, HandleError, PeerView};
use super::notify::NoticeKind;
use super::status::{EventStatus, PeerStatus, Told, ToolStatus};
use crate::domain::contract::{ProvenanceKind, Sealed};
use crate::domain::evidence::RecordBody;
use crate::domain::message::Digest;
use crate::domain::routine::RoutineDoc;
use crate::live::{Mode, Switchboard, ToolState};

impl Peer {
    /// Does what it was told and answers.
    pub(super) async fn obey(&mut self, command: Command, switchboard: &Switchboard) {
        let (answer, said) = match command {
            Command::Approve { hash, reason, answer } => {
                (answer, self.approve(hash, &reason).await)
            }
            Command::Deny { hash, reason, answer } => (answer, self.deny(hash, &reason).await),
            Command::Rollback { to, answer } => (answer, self.roll_back(to).await),
            Command::SetMode { mode, tool, answer } => (answer, Ok(self.set_mode(mode, tool))),
            Command::Configure { anew, answer } => (answer, Ok(self.configure(*anew))),
            Command::Seal { answer } => (answer, self.seal_now(switchboard).await),
            Command::OpenWindow { answer } => {
                self.window.reset();
                (answer, Ok("a new window has begun".to_owned()))
            }
            Command::Review { answer } => {
                self.review(switchboard).await;
                if !self.talks.is_empty() {
                    self.awaiting_talks.push(answer);
                    return;
                }
                let said = if self.reachable { "read" } else { "not reachable" };
                (answer, Ok(format!("{}: {said}", self.id())))
            }
        };
        self.publish(switchboard);
        // Whoever asked may have gone; what was decided stands all the same.
        let _ = answer.send(said);
    }

    async fn roll_back(&mut self, to: Option<semver::Version>) -> Result<String, HandleError> {
        let target = self.chain.target(to.as_ref()).cloned().ok_or_else(|| {
            HandleError::Refused(match to {
                Some(version) => format!("no version {version} was sealed for {}", self.id()),
                None => format!("{} has no version to go back to", self.id()),
            })
        })?;
        let version = target.version.to_string();
        self.withdraw(&target, "rolled back by a person");
        self.move_to(target, "rollback", None, Vec::new()).await?;
        let (peer, why) = (self.id().clone(), "asked by a person".to_owned());
        self.notify(NoticeKind::RolledBack, None, None, &why);
        self.tell(Told::RolledBack { peer, version: version.clone(), why });
        Ok(format!("{} is back at v{version}", self.id()))
    }

    /// Takes a young patch back that missed too often.
    pub(super) async fn roll_back_patch(&mut self, tool: &str, switchboard: &Switchboard) {
        let Some(target) = self.chain.target(None).cloned() else { return };
        let version = target.version.to_string();
        let why = format!("the routine of {tool} missed in its first exchanges");
        self.withdraw(&target, &why);
        let (peer, what) = (self.id().clone(), why.clone());
        match self.move_to(target, "rollback", None, Vec::new()).await {
            Ok(()) => {
                self.notify(NoticeKind::RolledBack, None, Some(tool), &what);
                self.tell(Told::RolledBack { peer, version, why: what });
            }
            Err(error) => {
                self.tell(Told::Warning { what: format!("{peer}: not rolled back: {error}") });
            }
        }
        self.publish(switchboard);
    }

    /// What the head carries over and `target` does not is withdrawn, under watch or long past it:
    /// its hash is never automatic again, nor is a version that holds it.
    fn withdraw(&mut self, target: &Sealed, reason: &str) {
        let live = self.tools.values_mut().filter_map(|life| life.live.take());
        let mut withdrawn: BTreeSet<Digest> = live.map(|live| live.withdraw(reason).hash).collect();
        if let Some(head) = self.chain.head() {
            let dropped = |routine| holds(head, routine) && !holds(target, routine);
            let carried = self.carried.iter().filter(|(_, routine)| dropped(routine));
            withdrawn.extend(carried.map(|(hash, _)| *hash));
        }
        for hash in withdrawn {
            self.barred.insert(hash);
            let (decision, reason) = ("withdrawn".to_owned(), reason.to_owned());
            let body = RecordBody::Decided { proposal: hash, decision, reason };
            let record = self.shared.scribe.record(self.id(), body);
            self.shared.scribe.later(record);
        }
    }

    /// Whether a version holds what was withdrawn.
    pub(super) fn is_withdrawn(&self, version: &Sealed) -> bool {
        let barred = self.carried.iter().filter(|(hash, _)| self.barred.contains(hash));
        barred.into_iter().any(|(_, routine)| holds(version, routine))
    }

    /// Sets a mode; what a milder mode had left open is taken up.
    fn set_mode(&mut self, mode: Mode, tool: Option<String>) -> String {
        let whose = tool.clone().unwrap_or_else(|| self.id().to_string());
        match tool {
            Some(tool) => {
                self.modes.insert(tool, mode);
            }
            None => self.mode = Some(mode),
        }
        for life in self.tools.values_mut() {
            life.judged = None;
            life.meaning.refused = false;
        }
        self.pending.asked = true;
        let event = "mode".to_owned();
        let detail = format!("{whose}: {}", json!(mode).as_str().unwrap_or_default());
        let record = self
            .shared
            .scribe
            .record(self.id(), RecordBody::Lifecycle { event, detail: detail.clone() });
        self.shared.scribe.later(record);
        detail
    }

    async fn seal_now(&mut self, switchboard: &Switchboard) -> Result<String, HandleError> {
        if let Some(head) = self.chain.head() {
            return Ok(format!("{} is already sealed as v{}", self.id(), head.version));
        }
        self.review(switchboard).await;
        let (sealed, left_out) = self.seal_first("command", ProvenanceKind::Manual).await?;
        let tools = sealed.promised_tools().len();
        let plural = if tools == 1 { "tool" } else { "tools" };
        let mut said = format!("sealed {tools} {plural} of {} as v{}", self.id(), sealed.version);
        for left in left_out {
            said.push_str(&format!("; {} is left out: {}", left.tool, left.why));
        }
        Ok(said)
    }

    /// Shows what is known to whoever asks.
    pub(super) fn show(&mut self) {
        let score = self.window.score(&self.events);
        self.shared.peer_metrics.coherence(score.total.value());
        let head = self.chain.head();
        let sealed = head.is_some();
        let now = self.shared.clock.monotonic_micros();
        let (breakers, worst) = self.degraded();
        self.shared.peer_metrics.degraded(breakers, worst.number());
        let tools = head
            .map(|head| {
                head.promised_tools()
                    .iter()
                    .map(|tool| ToolStatus {
                        tool: tool.name().to_owned(),
                        mode: self.mode_of(tool.name(), sealed),
                        state: self
                            .tools
                            .get(tool.name())
                            .map_or("sound", |life| state_word(&life.state)),
                        routine: head.routine.0.contains_key(tool.name()),
                        level: self.level_of(tool.name(), now).word(),
                        breaker: self
                            .tools
                            .get(tool.name())
                            .map_or("closed", |life| life.health.circuit.state(now).word()),
                    })
                    .collect()
            })
            .unwrap_or_default();
        let status = PeerStatus {
            peer: self.id().clone(),
            mode: self.mode_now(sealed),
            reachable: self.reachable,
            level: worst.word(),
            breaker: self.health.circuit.state(now).word(),
            contract_id: head.map(|head| head.contract_id),
            version: head.map(|head| head.version.to_string()),
            hash: head.map(|head| head.hash),
            expiry: head.map(|head| head.expiry),
            generation: self.generation,
            coherence: score.total.value(),
            grade: score.grade.to_string(),
            tools,
            open_events: self.open_events(),
            waiting: self.waiting_statuses(),
            bundle: self.bundle_status(),
            shadow: self.shadow_statuses(),
            advisor_calls: self.advisor_calls,
        };
        let events = self.events.all().into_iter().cloned().collect();
        self.view.store(Some(std::sync::Arc::new(PeerView { status, events })));
    }

    fn open_events(&self) -> Vec<EventStatus> {
        self.events
            .open()
            .map(|event| EventStatus {
                id: event.drift_id,
                tool: event.tool.clone(),
                drift_type: event.drift_type.word(),
                severity: event.severity.word(),
                state: json!(event.state).as_str().unwrap_or_default().to_owned(),
                decision: self.is_decided_itself(event).then_some(event.fingerprint.0),
            })
            .collect()
    }
}

/// Whether a version carries over just what a routine does.
fn holds(version: &Sealed, routine: &RoutineDoc) -> bool {
    routine.0.iter().all(|(tool, entry)| version.routine.0.get(tool) == Some(entry))
}

fn state_word(state: &ToolState) -> &'static str {
    match state {
        ToolState::Sound => "sound",
        ToolState::Healing { .. } => "healing",
        ToolState::Waiting { .. } => "waiting",
        ToolState::Unhealable { .. } => "unhealable",
        ToolState::Broken { .. } => "broken",
    }
}
