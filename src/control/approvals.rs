//! The queue of what waits for a person: what stands in it, and what a decision does.
//!
//! A decision names a proposal by its hash, or a *bundle*: everything that waits for one peer, named by
//! the digest of the hashes in it. A bundle is decided about as one and sealed as one version; where
//! anything in it changes, lapses or is decided about, it is another bundle with another name, so that a
//! person never approves what was not shown.

use serde_json::json;
use uuid::Uuid;

use super::actor::Peer;
use super::handle::HandleError;
use super::heal::{Pass, Patch};
use super::negotiate::promise_of;
use super::settle::held;
use super::status::{ApprovalStatus, BundleStatus};
use crate::domain::contract::{Sealed, Surface};
use crate::domain::drift::{EventState, Severity};
use crate::domain::evidence::RecordBody;
use crate::domain::json::canonical_digest;
use crate::domain::message::{Digest, UnixMillis};
use crate::domain::negotiation::{Decision, Proposal, proposal_hash};
use crate::domain::patch::{Approval, Proposed};
use crate::domain::routine::explain;
use crate::live::ToolState;
use crate::store::PendingProposal;
use crate::telemetry::NegotiationResult;

/// A proposal that waits for a person.
#[derive(Clone, Debug)]
pub(super) struct Waiting {
    pub(super) proposal: Proposal,
    pub(super) drift_id: Uuid,
    pub(super) at: UnixMillis,
}

impl Peer {
    /// A proposal that the gate held, or that runs in shadow, is put in the queue.
    pub(super) fn queue(
        &mut self,
        proposal: Proposal,
        hash: Digest,
        drift_id: Uuid,
        pass: &mut Pass,
    ) {
        let body = RecordBody::Proposed { drift_id, hash, proposal: Box::new(proposal.clone()) };
        pass.records.push(self.shared.scribe.record(self.id(), body));
        self.count_negotiation(proposal.origin, NegotiationResult::Waiting);
        self.stand(hash, Waiting { proposal, drift_id, at: self.shared.clock.now() });
    }

    /// A proposal stands in the queue; the one of the same tool before it is superseded.
    pub(super) fn stand(&mut self, hash: Digest, waiting: Waiting) {
        let tool = waiting.proposal.tool.clone();
        self.supersede(|known, other| *known != hash && other.proposal.tool == tool);
        self.waiting.insert(hash, waiting);
    }

    /// Proposals about what the peer no longer offers so, or that was promised otherwise, leave the
    /// queue: nobody can approve them any more.
    pub(super) fn drop_stale(&mut self, head: &Sealed, offer: &Surface) {
        let promise = promise_of(head, offer);
        self.supersede(|hash, waiting| proposal_hash(&waiting.proposal, &promise, offer) != *hash);
    }

    /// What waits about a tool leaves the queue: another way was found, or none is needed any more.
    pub(super) fn leave_queue(&mut self, tool: &str) {
        self.supersede(|_, waiting| waiting.proposal.tool == tool);
    }

    fn supersede(&mut self, gone: impl Fn(&Digest, &Waiting) -> bool) {
        let stale = self.waiting.iter().filter(|(hash, waiting)| gone(hash, waiting));
        let stale: Vec<Digest> = stale.map(|(hash, _)| *hash).collect();
        for hash in stale {
            let Some(waiting) = self.waiting.remove(&hash) else { continue };
            let tool = waiting.proposal.tool;
            // It is looked at anew; until then its state says what it said.
            if let Some(life) = self.tools.get_mut(tool.as_str()) {
                life.judged = None;
            }
            let (decision, reason) = ("superseded".to_owned(), format!("{tool}: it changed again"));
            let body = RecordBody::Decided { proposal: hash, decision, reason };
            let record = self.shared.scribe.record(self.id(), body);
            self.shared.scribe.later(record);
        }
    }

    /// The name of the bundle of all that waits; `None` where fewer than two do.
    fn bundle(&self) -> Option<Digest> {
        let hashes: Vec<String> = self.waiting.keys().map(ToString::to_string).collect();
        let bound = json!({ "bundle": hashes });
        (hashes.len() > 1).then(|| canonical_digest(&bound).ok()).flatten()
    }

    /// What a decision is about: the proposal, or all in the bundle of this name.
    fn meant(&self, id: Digest) -> Result<Vec<Digest>, HandleError> {
        if self.waiting.contains_key(&id) {
            Ok(vec![id])
        } else if self.bundle() == Some(id) {
            Ok(self.waiting.keys().copied().collect())
        } else {
            Err(HandleError::NoProposal(id.to_string()))
        }
    }

    /// A person approved what waits: it is sealed as one version on top of the head of now.
    pub(super) async fn approve(
        &mut self,
        id: Digest,
        reason: &str,
    ) -> Result<String, HandleError> {
        if let Some(event) = self.undecided(id) {
            return self.adopt(event, reason).await;
        }
        let hashes = self.meant(id)?;
        let (Some(head), Some(offer)) = (self.chain.head().cloned(), self.offer.clone()) else {
            return Err(HandleError::Refused("the peer's surface is not known yet".to_owned()));
        };
        let promise = promise_of(&head, &offer);
        let by = format!("a person: {reason}");
        let (mut patches, mut decided) = (Vec::new(), Vec::new());
        for hash in &hashes {
            let Some(Waiting { proposal, drift_id, .. }) = self.waiting.get(hash).cloned() else {
                continue;
            };
            if proposal_hash(&proposal, &promise, &offer) != *hash {
                return Err(HandleError::Refused(format!(
                    "{} changed since this was proposed; `stipula approvals list` tells what waits now",
                    proposal.tool
                )));
            }
            let tool = proposal.tool.clone();
            let approved = Proposed::new(proposal, *hash)
                .prove()
                .map_err(|withdrawn| HandleError::Refused(withdrawn.reason))?
                .approve(Approval { hash: *hash, by: by.clone() })
                .map_err(|stopped| HandleError::Refused(stopped.to_string()))?;
            let (decision, reason) = ("approved".to_owned(), by.clone());
            let body = RecordBody::Decided { proposal: *hash, decision, reason };
            decided.push(self.shared.scribe.record(self.id(), body));
            patches.push(Patch { tool, approved, drift_id });
        }
        let cause = decided.first().map(|record| record.id);
        let about = patches.first().map(|patch| patch.drift_id.to_string()).unwrap_or_default();
        let draft = self.draft(&head, &offer, &patches, &[], Vec::new(), &about);
        let sealed = self.seal_and_move(draft, "heal", cause, decided).await?;
        let tools: Vec<String> = patches.iter().map(|patch| patch.tool.clone()).collect();
        for patch in patches {
            let hash = patch.approved.hash();
            if patch.approved.proposal().adopts.is_some() {
                self.meaning_adopted(&patch.tool, patch.drift_id, sealed.hash.to_string());
                continue;
            }
            // What a person takes up again is no longer withdrawn.
            self.barred.remove(&hash);
            self.denied.remove(&hash);
            self.carried.insert(hash, patch.approved.proposal().routine.clone());
            self.patched(patch, &sealed, None);
        }
        let are = if tools.len() == 1 { "is" } else { "are" };
        Ok(format!("{} {are} carried over as v{}", tools.join(", "), sealed.version))
    }

    /// A person denied what waits.
    pub(super) async fn deny(&mut self, id: Digest, reason: &str) -> Result<String, HandleError> {
        if let Some(event) = self.undecided(id) {
            return self.dismiss(&event, reason).await;
        }
        let mut tools = Vec::new();
        for hash in self.meant(id)? {
            let Some(waiting) = self.waiting.get(&hash).cloned() else { continue };
            let tool = waiting.proposal.tool.clone();
            self.barred.insert(hash);
            self.denied.insert(hash);
            let (decision, told) = ("denied".to_owned(), format!("{tool}: {reason}"));
            let body = RecordBody::Decided { proposal: hash, decision, reason: told };
            let record = self.shared.scribe.record(self.id(), body);
            self.shared.scribe.now(vec![record]).await?;
            self.waiting.remove(&hash);
            self.move_event(waiting.drift_id, EventState::Dismissed, Some("denied".to_owned()));
            self.refuse_meaning(&waiting.proposal);
            let why = format!("a person denied the proposal: {reason}");
            let drift = waiting.drift_id.to_string();
            self.set_state(&tool, ToolState::Unhealable { drift, why });
            tools.push(tool);
        }
        let tools = tools.join(", ");
        Ok(format!("{tools}: denied; calls are refused until the peer changes again"))
    }

    /// Proposals that nobody decided in time lapse; their hash is offered again at the next sighting.
    pub(super) fn lapse_proposals(&mut self) {
        let now = self.shared.clock.now();
        let lapsed: Vec<(Digest, Waiting)> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.at.plus(self.settings.approval_expiry) <= now)
            // What runs in shadow waits for exchanges.
            .filter(|(hash, _)| !self.runs_in_shadow(hash))
            .map(|(hash, waiting)| (*hash, waiting.clone()))
            .collect();
        for (hash, waiting) in lapsed {
            self.waiting.remove(&hash);
            let (tool, drift) = (waiting.proposal.tool, waiting.drift_id.to_string());
            let (decision, reason) = ("expired".to_owned(), format!("{tool}: nobody decided"));
            let body = RecordBody::Decided { proposal: hash, decision, reason };
            let record = self.shared.scribe.record(self.id(), body);
            self.shared.scribe.later(record);
            let why = "the approval lapsed; it is asked for again at the next sighting".to_owned();
            self.set_state(&tool, ToolState::Unhealable { drift, why });
            if let Some(life) = self.tools.get_mut(tool.as_str()) {
                life.judged = None;
            }
        }
    }

    /// Takes up the proposals that the ledger knows as waiting or barred.
    pub(super) fn take_up_proposals(&mut self, proposals: Vec<PendingProposal>) {
        for known in proposals {
            let PendingProposal { hash, drift_id, proposal, at, decision, withdrawn, .. } = known;
            let adopts = proposal.adopts.is_some();
            if withdrawn {
                self.barred.insert(hash);
            }
            match decision.as_deref() {
                // It ran in shadow: it is proposed anew, and begins anew.
                None if proposal.gate == Decision::Auto && !withdrawn => {}
                None => {
                    let drift = drift_id.to_string();
                    let why = held(&proposal);
                    self.set_state(&proposal.tool.clone(), ToolState::Waiting { drift, why });
                    self.waiting.insert(hash, Waiting { proposal, drift_id, at });
                }
                Some("denied") => {
                    self.barred.insert(hash);
                    self.denied.insert(hash);
                    self.refuse_meaning(&proposal);
                }
                Some("withdrawn") => {
                    self.barred.insert(hash);
                    self.carried.insert(hash, proposal.routine);
                }
                Some("approved") if adopts => self.forget_meaning(&proposal.tool),
                Some("auto" | "approved") => {
                    self.carried.insert(hash, proposal.routine);
                }
                Some(_) => {}
            }
        }
    }

    /// What waits, one by one.
    pub(super) fn waiting_statuses(&self) -> Vec<ApprovalStatus> {
        let (bundle, head) = (self.bundle(), self.chain.head());
        let status = |(hash, waiting): (&Digest, &Waiting)| {
            let proposal = &waiting.proposal;
            let event = self.events.get(waiting.drift_id);
            let target = proposal.to_tool.as_deref().unwrap_or(&proposal.tool);
            ApprovalStatus {
                id: *hash,
                peer: self.id().clone(),
                tool: proposal.tool.clone(),
                severity: event.map_or(Severity::Medium, |event| event.severity).word(),
                held_by: proposal.held_by.clone(),
                expires_at: waiting.at.plus(self.settings.approval_expiry),
                drift_id: waiting.drift_id,
                bundle,
                if_approved: match proposal.adopts {
                    Some(_) => self.if_meaning_approved(&proposal.tool),
                    None => self.if_approved(&proposal.tool),
                },
                affected: self
                    .tools
                    .get(proposal.tool.as_str())
                    .map(|life| life.callers.all())
                    .unwrap_or_default(),
                explained: explain(&proposal.routine),
                proposal: proposal.clone(),
                promised: head.and_then(|head| head.promised(&proposal.tool)).cloned(),
                offered: self.offer.as_ref().and_then(|offer| offer.tool(target)).cloned(),
            }
        };
        self.waiting.iter().map(status).collect()
    }

    /// All that waits as one, where more than one does.
    pub(super) fn bundle_status(&self) -> Option<BundleStatus> {
        let expiry = self.settings.approval_expiry;
        let tools: Vec<String> =
            self.waiting.values().map(|waiting| waiting.proposal.tool.clone()).collect();
        Some(BundleStatus {
            id: self.bundle()?,
            peer: self.id().clone(),
            if_approved: self.if_approved(&tools.join(", ")),
            tools,
            approvals: self.waiting.keys().copied().collect(),
            expires_at: self.waiting.values().map(|it| it.at.plus(expiry)).min()?,
        })
    }

    /// What approving does, in words.
    fn if_approved(&self, tools: &str) -> String {
        let (peer, watched) = (self.id(), self.settings.watch_exchanges);
        format!(
            "A new version of the contract of {peer} is sealed and in force at once: calls of {tools}, \
             refused with -31007 until then, are sent as told above. The first {watched} exchanges of \
             each tool are watched; where its routine misses, the version before is back by itself. \
             `stipula rollback {peer}` goes back at any time."
        )
    }
}
