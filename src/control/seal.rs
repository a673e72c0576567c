//! Sealing: on first use, by command, and every later version. Log first, then the switchboard.

use std::sync::Arc;

use super::actor::Peer;
use super::handle::HandleError;
use super::review::Spoken;
use super::status::Told;
use crate::domain::contract::{
    Constraints, Contract, FirstVersion, LeftOut, ProvenanceKind, Sealed, Surface, Tool,
    first_version, seal,
};
use crate::domain::evidence::{Cause, Record, RecordBody, RecordId};
use crate::domain::message::Digest;
use crate::telemetry::HealStage;

impl Peer {
    /// Seals the surface that was just read as version 1.0.0, and tells what is left out of it.
    pub(super) async fn seal_first(
        &mut self,
        reference: &str,
        kind: ProvenanceKind,
    ) -> Result<(Arc<Sealed>, Vec<LeftOut>), HandleError> {
        let Some(surface) = self.offer.clone().filter(|_| self.reachable) else {
            return Err(HandleError::Refused("the peer's surface could not be read".to_owned()));
        };
        let identity = match &surface.server_name {
            Some(name) => format!("{} {name}", self.settings.identity),
            None => self.settings.identity.clone(),
        };
        let (draft, left_out) = first_version(FirstVersion {
            id: self.shared.dice.uuid(),
            peer_identity: identity,
            surface: &surface,
            at: self.shared.clock.now(),
            lifetime: self.settings.lifetime,
            reference: reference.to_owned(),
            kind,
        });
        for left in &left_out {
            self.leave_out(left, &surface);
        }
        let sealed = self.seal_and_move(draft, "first-use", None, Vec::new()).await?;
        self.sealed_for_whom();
        let tools = sealed.promised_tools().len();
        let (peer, version) = (self.id().clone(), sealed.version.to_string());
        self.tell(Told::Sealed { peer, tools, version });
        Ok((sealed, left_out))
    }

    /// Says once about each definition that no version holds it.
    pub(super) fn leave_out(&mut self, left: &LeftOut, offer: &Surface) {
        let definition = offer.tool(&left.tool).map(Tool::digest);
        if definition.is_some_and(|definition| self.left_out.insert(definition)) {
            let (peer, tool, why) = (self.id().clone(), left.tool.clone(), left.why.clone());
            self.tell(Told::LeftOut { peer, tool, why });
        }
    }

    /// Seals a draft and moves the head to it: durable when this returns. `cause` is the record that
    /// led here; `also` travels in the same group.
    pub(super) async fn seal_and_move(
        &mut self,
        mut draft: Contract,
        why: &str,
        cause: Option<RecordId>,
        also: Vec<Record>,
    ) -> Result<Arc<Sealed>, HandleError> {
        draft.constraints = self.stated(draft.constraints);
        let sealed = seal(draft, self.shared.signer.as_deref())
            .map(Arc::new)
            .map_err(|faults| HandleError::Refused(faults.to_string()))?;
        let contract = sealed.shared();
        let record = self.shared.scribe.record(self.id(), RecordBody::Sealed { contract });
        let mut group = also;
        if let Some(cause) = cause {
            group.push(self.shared.scribe.edge(self.id(), cause, record.id, Cause::Caused));
        }
        let id = record.id;
        group.push(record);
        self.move_to(Arc::clone(&sealed), why, Some(id), group).await?;
        Ok(sealed)
    }

    /// These constraints, with what the operator states in their place.
    pub(super) fn stated(&self, before: Constraints) -> Constraints {
        let stated = &self.settings.constraints;
        Constraints {
            timeout_ms: stated.timeout_ms.or(before.timeout_ms),
            max_payload_bytes: stated.max_payload_bytes.or(before.max_payload_bytes),
            slo: stated.slo.or(before.slo),
            ..before
        }
    }

    /// Moves the head to a version by compare-and-swap: durable when this returns.
    pub(super) async fn move_to(
        &mut self,
        to: Arc<Sealed>,
        why: &str,
        cause: Option<RecordId>,
        mut group: Vec<Record>,
    ) -> Result<(), HandleError> {
        let from: Option<Digest> = self.chain.head_hash();
        let body = RecordBody::HeadMoved { from, to: to.hash, why: why.to_owned() };
        let moved = self.shared.scribe.record(self.id(), body);
        if let Some(cause) = cause {
            group.push(self.shared.scribe.edge(self.id(), cause, moved.id, Cause::Caused));
        }
        group.push(moved);
        self.lap(HealStage::Decide);
        let sealed = self.shared.scribe.seal(self.id(), from, group).await;
        self.lap(HealStage::Seal);
        sealed?;
        self.shared.peer_metrics.expiry(to.expiry);
        let before = self.chain.head().cloned();
        self.chain.move_head(Arc::clone(&to));
        // A tool of which both versions say the same keeps its judge, and its held calls.
        let (before, after) = (before.as_deref().map(Spoken::by), Spoken::by(&to));
        for (name, life) in &mut self.tools {
            if !before.as_ref().is_some_and(|before| before.says_the_same(&after, name.as_str())) {
                life.revision += 1;
            }
        }
        Ok(())
    }
}
