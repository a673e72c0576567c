//! What sampled replies teach: terms for replies that nothing is declared of, and which fields follow
//! from others. Terms are sealed once, as one patch version for all tools that are ready.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::actor::Peer;
use super::status::Told;
use crate::domain::contract::{
    Generaliser, Next, Provenance, ProvenanceKind, Schema, Sealed, Step, inferred_reply,
    next_version,
};
use crate::domain::evidence::RecordBody;
use crate::domain::message::{ToolName, leave_secrets_out};
use crate::domain::negotiation::{Earlier, Relations};
use crate::live::{Sample, Switchboard, ToolState};

/// Replies that a relation must have held in.
const RELATION_REPLIES: usize = 20;
/// Bytes of a reply above which nothing is learnt from it.
const REPLY_BYTES_MAX: usize = 256 * 1024;

/// What one tool's replies taught so far.
#[derive(Debug, Default)]
pub(super) struct Learning {
    generaliser: Generaliser,
    earlier: Earlier,
    /// Known once there were enough replies.
    pub(super) relations: Option<Arc<Relations>>,
    /// Terms were asked of the generaliser, whatever came of it.
    settled: bool,
}

impl Learning {
    /// Whether more samples would teach something; `infers`: terms are wanted.
    pub(super) fn wants(&self, infers: bool) -> bool {
        self.relations.is_none() || (infers && !self.settled)
    }
}

impl Peer {
    /// Whether terms are inferred for a tool: nothing is declared of its replies.
    fn infers(&self, tool: &str) -> bool {
        let declared = |head: &Arc<Sealed>| head.reply_schema(tool).is_some();
        self.settings.inference_samples > 0 && !self.chain.head().is_some_and(declared)
    }

    /// Learns from one delivered reply.
    pub(super) fn learn(&mut self, tool: &ToolName, sample: &Sample) {
        let Some(text) = sample.structured.as_ref().filter(|it| it.len() <= REPLY_BYTES_MAX) else {
            return;
        };
        let infers = self.infers(tool.as_str());
        let minimum = self.settings.inference_samples;
        let Some(life) = self.tools.get_mut(tool) else { return };
        if !life.learning.wants(infers) {
            return;
        }
        let Ok(mut reply) = serde_json::from_slice::<Value>(text) else { return };
        // What is learnt is written down.
        leave_secrets_out(&mut reply);
        if infers && !life.learning.settled {
            life.learning.generaliser.take(&reply);
            if life.learning.generaliser.samples() >= minimum {
                self.ripe.insert(tool.to_string());
            }
        }
        let mut learnt = None;
        if life.learning.relations.is_none() && reply.is_object() {
            let mut arguments = serde_json::from_slice(&sample.arguments).unwrap_or_default();
            leave_secrets_out(&mut arguments);
            life.learning.earlier.keep(&reply, &arguments);
            if life.learning.earlier.len() >= RELATION_REPLIES {
                let earlier = std::mem::take(&mut life.learning.earlier);
                let relations = Relations::shown_by(&earlier);
                learnt = (!relations.is_empty()).then(|| relations.clone());
                life.learning.relations = Some(Arc::new(relations));
            }
        }
        if !life.learning.wants(infers) {
            self.learnt_enough(tool);
        }
        if let (Some(relations), Some(contract)) = (learnt, self.chain.head_hash()) {
            let tool = tool.to_string();
            let body = RecordBody::RelationsLearnt { contract, tool, relations };
            let record = self.shared.scribe.record(self.id(), body);
            self.shared.scribe.later(record);
        }
    }

    /// Samples of a tool that is not replayed are of no more use.
    fn learnt_enough(&self, tool: &ToolName) {
        if self.follows_meaning() {
            return;
        }
        let binding = self.tools.get(tool).and_then(|life| life.binding.as_ref());
        if let Some(bound) = binding.filter(|bound| !bound.read_only_hint)
            && let Some(sampler) = &bound.sampler
        {
            sampler.stop();
        }
    }

    /// Tools whose terms can be sealed now: nothing is open about them.
    fn ripe_now(&self) -> BTreeSet<String> {
        let sound = |tool: &&String| {
            let life = self.tools.get(tool.as_str());
            life.is_some_and(|life| life.state == ToolState::Sound)
                && self.events.open_of(tool).is_empty()
        };
        self.ripe.iter().filter(sound).cloned().collect()
    }

    /// Seals what was inferred since the last time, as one patch version.
    pub(super) async fn seal_inferred(&mut self, switchboard: &Switchboard) {
        let tools = self.ripe_now();
        let Some(head) = self.chain.head().cloned().filter(|_| !tools.is_empty()) else { return };
        let minimum = self.settings.inference_samples;
        let (mut replies, mut samples) = (Vec::new(), 0);
        for tool in tools {
            self.ripe.remove(&tool);
            let infers = self.infers(&tool) && head.promised(&tool).is_some();
            let Some(life) = self.tools.get_mut(tool.as_str()) else { continue };
            life.learning.settled = true;
            let learner = std::mem::take(&mut life.learning.generaliser);
            let inferred = learner.terms(minimum).filter(|_| infers);
            if !life.learning.wants(false) {
                self.learnt_enough(&ToolName::from(tool.as_str()));
            }
            // What could not be judged within bounds is no term.
            if let Some(inferred) = inferred.filter(|it| Schema::compile(&it.schema).is_ok()) {
                samples = inferred.samples;
                replies.push(inferred_reply(&tool, inferred));
            }
        }
        if replies.is_empty() {
            return;
        }
        let named: Vec<String> = replies.iter().map(|reply| reply.name.clone()).collect();
        let mut draft = next_version(
            &head,
            Next {
                id: self.shared.dice.uuid(),
                at: self.shared.clock.now(),
                lifetime: self.settings.lifetime,
                step: Step::Patch,
                offer: head.offer.clone(),
                routine: head.routine.clone(),
                adopted: Vec::new(),
                dropped: Vec::new(),
                replies,
                provenance: Provenance {
                    r#ref: "inference".to_owned(),
                    kind: ProvenanceKind::Negotiation,
                    timestamp: self.shared.clock.now(),
                    detail: format!(
                        "reply terms of {} inferred from {samples} samples each",
                        named.join(", ")
                    ),
                },
            },
        );
        // A young patch that misses is taken back, and not only what was inferred since.
        if self.tools.values().any(|life| life.live.is_some()) {
            draft.rollback.rollback_to = head.rollback.rollback_to;
        }
        let draft = self.numbered(draft);
        let peer = self.id().clone();
        match self.seal_and_move(draft, "inference", None, Vec::new()).await {
            Ok(sealed) => {
                for tool in &named {
                    // Every sample kept them.
                    self.note_kept(&ToolName::from(tool.as_str()));
                }
                let version = sealed.version.to_string();
                self.publish(switchboard);
                self.tell(Told::Inferred { peer, tools: named, samples, version });
            }
            Err(error) => {
                let what = format!("{peer}: inferred terms are not sealed: {error}");
                self.tell(Told::Warning { what });
            }
        }
    }

    /// Whether inferred terms wait to be sealed.
    pub(super) fn has_ripe(&self) -> bool {
        !self.ripe.is_empty() && !self.ripe_now().is_empty()
    }
}
