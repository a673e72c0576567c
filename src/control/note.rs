//! What each observation means: counted, sampled, or a reason to read the surface again.

use serde_json::json;

use super::actor::Peer;
use super::reshape::BrokenReply;
use crate::domain::contract::Violation;
use crate::domain::drift::Outlook;
use crate::domain::evidence::RecordBody;
use crate::domain::message::{ToolName, UnixMillis, Verdict};
use crate::domain::patch::{Outcome, Step};
use crate::live::{CallFact, ListingFact, Observation, ObservationKind, ToolState};

use super::settings::SealPolicy;

/// Digests kept for one record of counted exchanges.
const DIGESTS_MAX: usize = 1_024;
/// Listings that are known not to differ from the surface.
const LISTINGS_MAX: usize = 256;

impl Peer {
    /// Notes one observation. Nothing here waits: what must be awaited is left pending.
    pub(super) fn note(&mut self, observation: Observation) {
        self.unshown = true;
        match observation.kind {
            ObservationKind::FirstUse(caller) => {
                if self.chain.head().is_none() && self.settings.seal == SealPolicy::FirstUse {
                    self.pending.first_use = Some(caller);
                }
            }
            ObservationKind::ListChanged => self.pending.asked = true,
            ObservationKind::Breaker(fact) => self.note_breaker(&fact, observation.micros),
            ObservationKind::Capability(fact) => self.note_capability(fact, observation.micros),
            ObservationKind::Listing(listing) => self.note_listing(listing),
            ObservationKind::Call(call) => self.note_call(call, observation.at, observation.micros),
        }
    }

    fn note_listing(&mut self, listing: ListingFact) {
        self.read_at_micros = Some(self.shared.clock.monotonic_micros());
        if self.listings.len() >= LISTINGS_MAX {
            self.listings.clear();
        }
        if self.chain.head().is_none() {
            return;
        }
        let who = &listing.caller.principal;
        match self.listings.get(&listing.digest).cloned() {
            Some(known) => self.listed_alike(who, &known, &listing.body),
            None => {
                self.listings.insert(listing.digest, who.clone());
                self.pending.asked = true;
                self.pending.caller = Some(listing.caller);
            }
        }
    }

    fn note_call(&mut self, call: CallFact, at: UnixMillis, seen: u64) {
        if let Some(ticket) = call.held {
            // The signal of a held call; how it ended is told by a fact of its own.
            self.pending.ticket = self.pending.ticket.max(ticket);
            self.note_signals(&call, seen);
            self.note_watch(&call);
            self.note_shadow(&call, seen);
            return;
        }
        let lawful = self.chain.head().is_some_and(|head| head.expiry > at);
        self.window.count(&call, lawful, at);
        *self.counts.entry((call.tool.to_string(), call.verdict.word())).or_default() += 1;
        if let Some(digest) = call.reply_digest
            && self.digests.len() < DIGESTS_MAX
        {
            self.digests.push(digest);
        }
        if call.first_kept {
            self.note_kept(&call.tool);
        }
        if call.verdict == Verdict::Refused || call.rejection.is_some() {
            self.tools.entry(call.tool.clone()).or_default().failed += 1;
        }
        if let Some(caller) = &call.caller {
            let life = self.tools.entry(call.tool.clone()).or_default();
            life.callers.note(&caller.principal, at);
            self.note_credential(caller);
        }
        self.note_standing(&call, at, seen);
        self.note_exception(&call);
        self.note_performance(&call, seen);
        self.note_signals(&call, seen);
        self.note_watch(&call);
        self.note_shadow(&call, seen);
        let delivered = matches!(call.verdict, Verdict::Kept | Verdict::Mended);
        if let (Some(sample), Some(caller), true) = (call.sample, &call.caller, delivered) {
            self.learn(&call.tool, &sample);
            self.profile(&call.tool, &sample, at, seen);
            if !sample.in_text && self.is_replayed(&call.tool) {
                let keep = self.settings.recordings;
                self.samples.keep(&call.tool, &caller.principal, sample, keep);
            }
        }
    }

    /// Whether recordings of this tool can be of use: it says that it only reads.
    fn is_replayed(&self, tool: &ToolName) -> bool {
        let head = self.chain.head();
        let promised = head.and_then(|head| head.promised(tool.as_str()));
        promised.is_some_and(|tool| tool.hints().read_only == Some(true))
    }

    /// The tool's terms are promised from now on; a restart remembers it.
    pub(super) fn note_kept(&mut self, tool: &ToolName) {
        let Some(contract) = self.chain.head_hash() else { return };
        let life = self.tools.entry(tool.clone()).or_default();
        if life.kept {
            return;
        }
        life.kept = true;
        let body = RecordBody::TermsKept { contract, tool: tool.to_string() };
        let record = self.shared.scribe.record(self.id(), body);
        self.shared.scribe.later(record);
    }

    /// Nothing is waived or refused that no record names.
    fn note_exception(&mut self, call: &CallFact) {
        if !matches!(call.verdict, Verdict::Waived | Verdict::Refused) {
            return;
        }
        let body = RecordBody::Exception {
            tool: call.tool.to_string(),
            verdict: call.verdict.word().to_owned(),
            violations: match call.stale {
                Some(age) => json!([{ "kind": "stale", "age_ms": age }]),
                None => json!(call.violations),
            },
            reply: call.reply_digest,
        };
        let record = self.shared.scribe.record(self.id(), body);
        self.shared.scribe.later(record);
    }

    /// A rejection, or a broken promise, asks for the surface; a faulty declaration does not.
    fn note_signals(&mut self, call: &CallFact, seen: u64) {
        if self.chain.head().is_none() {
            return;
        }
        if call.violations.is_empty() {
            self.note_recovery(call);
        } else if !call.violations.iter().all(Violation::is_undecided) {
            // What we could not decide says nothing of the peer.
            self.note_broken(call, seen);
        }
        // A refusal of ours too: the peer may be as it was, and only a listing shows that.
        let refused = call.verdict == Verdict::Refused
            && self.tools.get(&call.tool).is_some_and(|life| life.state != ToolState::Sound);
        if call.rejection.is_some() || call.held.is_some() || refused {
            self.ask_again_for(call, seen);
        }
    }

    fn note_broken(&mut self, call: &CallFact, seen: u64) {
        let kept = self.tools.get(&call.tool).is_some_and(|life| life.kept);
        if kept || self.settings.terms_declared {
            if self.is_reported(call) {
                // Nobody is told what it was: the peer may be another one by now.
                if call.verdict == Verdict::Refused {
                    self.ask_again_for(call, seen);
                }
                return;
            }
            // An open event explains it, and what is read next may be another peer: no news of its own.
            if self.tools.get(&call.tool).is_some_and(|life| life.state != ToolState::Sound) {
                for event in self.events.open_of(call.tool.as_str()) {
                    self.events.sighted(event);
                }
                self.ask_again_for(call, seen);
                return;
            }
            let broken = self.pending.broken.entry(call.tool.to_string()).or_default();
            if broken.came.is_none() {
                *broken = BrokenReply::of(call);
            }
            self.ask_again_for(call, seen);
            return;
        }
        // A declared term that was never kept is a faulty declaration: low, and said once.
        let event = self.reply_event(call.tool.as_str(), &call.violations, Outlook::Unaffected);
        let Some(mut event) = event else { return };
        event.severity = crate::domain::drift::Severity::Low;
        event.sensor = "faulty_declaration".to_owned();
        let mut records = Vec::new();
        self.see(event, &mut records, None);
        records.into_iter().for_each(|record| self.shared.scribe.later(record));
    }

    fn ask_again_for(&mut self, call: &CallFact, seen: u64) {
        self.pending.refused = true;
        if let Some(caller) = &call.caller {
            self.pending.caller = Some(std::sync::Arc::clone(caller));
        }
        let since = self.pending.since_micros.get_or_insert(seen);
        *since = seen.min(*since);
    }

    /// A young patch is watched: a routine that misses early is taken back.
    fn note_watch(&mut self, call: &CallFact) {
        let Some(life) = self.tools.get_mut(&call.tool) else { return };
        let Some(live) = &mut life.live else { return };
        if call.mended_by.is_none_or(|generation| generation < live.generation()) {
            return;
        }
        let outcome = match call.verdict {
            Verdict::Kept | Verdict::Mended if !call.is_error && call.rejection.is_none() => {
                Outcome::Good
            }
            // The patch itself says that these are gone.
            _ if call.foretold => Outcome::Good,
            _ if call.rejection.is_some() || !call.violations.is_empty() => Outcome::Miss,
            _ => Outcome::Unrelated,
        };
        match live.watching().note(outcome) {
            Step::Continue => {}
            Step::Passed => life.live = None,
            Step::RollBack => self.pending.roll_back = Some(call.tool.to_string()),
        }
    }
}
