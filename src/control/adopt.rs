//! A person's decision about an event that has no routine: what is observed is adopted as a major
//! version, or the event is dismissed. Bound to the event's fingerprint, and so to what was offered.

use semver::Version;

use super::actor::Peer;
use super::capability::{ACCEPTED, UNSUPPORTED};
use super::handle::HandleError;
use super::policy::IDENTITY;
use crate::domain::contract::{Contract, Role, Sealed, Surface, left_out};
use crate::domain::drift::{DriftEvent, DriftType, EventState};
use crate::domain::evidence::{Cause, Record, RecordBody, RecordId};
use crate::domain::message::Digest;
use crate::live::ToolState;

impl Peer {
    /// The event that a decision of this name is about: open, and without a routine that could be
    /// approved instead.
    pub(super) fn undecided(&self, id: Digest) -> Option<DriftEvent> {
        let mut open = self.events.open();
        open.find(|event| event.fingerprint.0 == id && self.is_decided_itself(event)).cloned()
    }

    /// Whether a person decides about the event itself.
    pub(super) fn is_decided_itself(&self, event: &DriftEvent) -> bool {
        if event.drift_type == DriftType::Performance {
            return self.asks_about_pace(event);
        }
        let proposed = || self.waiting.values().any(|it| it.drift_id == event.drift_id);
        let stopped = |tool: &str| {
            let state = self.tools.get(tool).map(|life| &life.state);
            matches!(state, Some(ToolState::Unhealable { .. } | ToolState::Broken { .. }))
        };
        match &event.tool {
            None => event.drift_type == DriftType::Policy || event.sensor == UNSUPPORTED,
            Some(tool) => stopped(tool) && !proposed(),
        }
    }

    /// Takes what was observed as what is agreed from now on.
    pub(super) async fn adopt(
        &mut self,
        event: DriftEvent,
        reason: &str,
    ) -> Result<String, HandleError> {
        let (Some(head), Some(offer)) = (self.chain.head().cloned(), self.offer.clone()) else {
            return Err(HandleError::Refused("the peer's surface is not known yet".to_owned()));
        };
        let id = event.drift_id;
        let decided = self.decided(&event, "approved", reason);
        if event.drift_type == DriftType::Performance {
            self.shared.scribe.now(decided).await?;
            return Ok(self.accept_pace(&event));
        }
        let Some(tool) = event.tool.clone() else {
            return self.accept(&event, &head, &offer, decided).await;
        };
        let draft = self.adopting(&head, &offer, &tool, &id.to_string())?;
        let gone = offer.tool(&tool).is_none();
        let sealed = self.seal_and_move(draft, "adoption", Some(RecordId(id)), decided).await?;
        for other in self.events.open_of(&tool) {
            self.move_event(other, EventState::Resolved, Some(sealed.hash.to_string()));
        }
        self.set_state(&tool, ToolState::Sound);
        if gone {
            self.tools.remove(tool.as_str());
        }
        self.pending.asked = true;
        let what = if gone { "is promised no longer" } else { "is promised as it is offered now" };
        Ok(format!("{tool} {what}: v{}", sealed.version))
    }

    /// An event about the whole peer: what it says is agreed to.
    async fn accept(
        &mut self,
        event: &DriftEvent,
        head: &Sealed,
        offer: &Surface,
        decided: Vec<Record>,
    ) -> Result<String, HandleError> {
        let by = if event.sensor == IDENTITY {
            let draft = self.renamed(head, offer, &event.drift_id.to_string());
            let cause = Some(RecordId(event.drift_id));
            let sealed = self.seal_and_move(draft, "adoption", cause, decided).await?;
            self.free_all();
            self.pending.asked = true;
            sealed.hash.to_string()
        } else {
            self.shared.scribe.now(decided).await?;
            ACCEPTED.to_owned()
        };
        self.accept_standing(event);
        self.capability_decided(event);
        self.move_event(event.drift_id, EventState::Resolved, Some(by));
        Ok(format!("{}: accepted as it is now", self.id()))
    }

    /// A person does not take it: the event is over, and what was refused because of it stays so.
    pub(super) async fn dismiss(
        &mut self,
        event: &DriftEvent,
        reason: &str,
    ) -> Result<String, HandleError> {
        let decided = self.decided(event, "denied", reason);
        self.shared.scribe.now(decided).await?;
        self.refuse_standing(event);
        self.capability_decided(event);
        self.move_event(event.drift_id, EventState::Dismissed, Some("denied".to_owned()));
        let what = event.tool.clone().unwrap_or_else(|| self.id().to_string());
        Ok(format!("{what}: denied; nothing changes"))
    }

    fn decided(&self, event: &DriftEvent, decision: &str, reason: &str) -> Vec<Record> {
        let body = RecordBody::Decided {
            proposal: event.fingerprint.0,
            decision: decision.to_owned(),
            reason: format!("a person: {reason}"),
        };
        let record = self.shared.scribe.record(self.id(), body);
        let from = RecordId(event.drift_id);
        let edge = self.shared.scribe.edge(self.id(), from, record.id, Cause::Caused);
        vec![record, edge]
    }

    /// The next major version, with one tool as it is offered now, or without it.
    fn adopting(
        &self,
        head: &Sealed,
        offer: &Surface,
        tool: &str,
        reference: &str,
    ) -> Result<Contract, HandleError> {
        let now = offer.tool(tool).cloned();
        if let Some(left) = now.as_ref().and_then(left_out) {
            let why = format!("{tool} cannot be sealed as it is offered now: {}", left.why);
            return Err(HandleError::Refused(why));
        }
        let gone = now.is_none();
        let adopted = now.into_iter().collect();
        let mut draft = self.draft(head, offer, &[], &[tool], adopted, reference);
        draft.routine.0.remove(tool);
        if gone {
            draft.message_types.retain(|message| message.name != tool);
            draft.intents.retain(|intent| intent.name != tool);
            if let Some(spoken) = &mut draft.offer {
                spoken.gone.retain(|name| name != tool);
            }
        }
        draft.offer = draft.offer.filter(|it| !it.tools.is_empty() || !it.gone.is_empty());
        Ok(self.major(draft))
    }

    /// The next major version, with the peer's name of now.
    fn renamed(&self, head: &Sealed, offer: &Surface, reference: &str) -> Contract {
        let name = offer.server_name.clone().unwrap_or_default();
        let spoken = head.offer.clone();
        let mut draft = self.draft(head, offer, &[], &[], Vec::new(), reference);
        // Nothing else is said anew: what changed beside the name is looked at afterwards.
        (draft.offer, draft.routine) = (spoken, head.routine.clone());
        let peer = draft.participants.iter_mut().find(|it| it.role == Role::Responder);
        if let Some(peer) = peer {
            peer.id = format!("{} {name}", self.settings.identity);
        }
        self.major(draft)
    }

    fn major(&self, mut draft: Contract) -> Contract {
        let highest = self.chain.highest().map_or(0, |top| top.version.major);
        draft.version = Version::new(highest.max(draft.version.major) + 1, 0, 0);
        draft
    }
}
