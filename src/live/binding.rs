//! What is in force for one peer: contract, compiled routines, compiled judges.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::domain::contract::{Contract, Schema, Tool, Violation};
use crate::domain::message::{CapabilityMethods, Millis, ToolName, UnixMillis};
use crate::domain::routine::CompiledRoutine;

use super::{PeerHealth, ToolHealth};

/// What Stipula does about what it finds, per peer and per tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Judge and record; never alter, never block.
    Observe,
    /// As observe, and the verdict stands in `_meta`.
    Warn,
    /// Mend, hold, refuse.
    Enforce,
}

/// What is in force for one peer. Immutable, but for the flags that only ever go one way.
#[derive(Debug)]
pub struct Binding {
    /// The sealed contract; `None` until one is sealed.
    pub contract: Option<Arc<Contract>>,
    /// The mode of tools that have none of their own.
    pub mode: Mode,
    /// What is under contract, by promised name.
    pub tools: HashMap<ToolName, Arc<ToolBinding>>,
    /// Names the peer lists that the agent is not shown.
    pub hidden: Vec<ToolName>,
    /// The JSON array of promised definitions, where offer and promise differ or tools are hidden;
    /// `None` lets listings pass as they come.
    pub promised_list: Option<Bytes>,
    /// Raised once the first agent listed or called: the seal on first use is under way.
    pub first_use_told: AtomicBool,
    /// When the contract expires.
    pub expiry: Option<UnixMillis>,
    /// Held exchanges with a ticket up to this one have been reviewed: the surface was read after
    /// their signal and what follows from it is in this binding. A held exchange whose tool is
    /// unchanged here (same `revision`, `ToolState::Sound`) gets the peer's own answer.
    pub reviewed_to: u64,
    /// Names that the peer used to offer and offers otherwise now: the input schema it lists today,
    /// `None` where it is gone. By this an exchange knows whether the call it sent to that name can
    /// have been executed: not where the name is gone, nor where the sent arguments do not fit.
    pub changed_offers: HashMap<ToolName, Option<Arc<Schema>>>,
    /// Whether it can be reached.
    pub health: Arc<PeerHealth>,
    /// How long it may take to answer a call, all attempts together; `None` for ever.
    pub deadline: Option<Millis>,
    /// Methods that the peer declares and does not support: control is to know when it does again.
    pub unsupported: CapabilityMethods,
}

/// A promised input schema that is compiled once, by the first who asks.
#[derive(Debug)]
pub struct RequestSchema {
    tool: Tool,
    compiled: OnceLock<Option<Schema>>,
}

impl RequestSchema {
    /// The schema of this tool's arguments.
    #[must_use]
    pub fn of(tool: &Tool) -> Self {
        Self { tool: tool.clone(), compiled: OnceLock::new() }
    }

    /// The compiled schema; `None` where the tool declares none that passes the cost gate.
    #[must_use]
    pub fn get(&self) -> Option<&Schema> {
        let compile = || Schema::compile(self.tool.input_schema()?).ok();
        self.compiled.get_or_init(compile).as_ref()
    }
}

/// What is in force for one promised tool.
#[derive(Debug)]
pub struct ToolBinding {
    /// The promised name.
    pub name: ToolName,
    /// This tool's mode.
    pub mode: Mode,
    /// The promised output schema, compiled; `None` where none is declared.
    pub reply: Option<Arc<Schema>>,
    /// The promised input schema. Few calls ask for it, so it is compiled when the first one does.
    pub request: RequestSchema,
    /// The offered input schema, compiled; a mapped request must fit it.
    pub offered_request: Option<Arc<Schema>>,
    /// Carries requests and replies over; `None` is the identity.
    pub routine: Option<Arc<CompiledRoutine>>,
    /// `x-mcp-header` of the promised input schema: what a request arrives with (as in `mirrored`).
    pub shown_headers: Vec<(Vec<String>, String)>,
    /// `x-mcp-header` of the offered input schemas that this tool's routine can call, by offered
    /// tool name: (pointer tokens from the arguments' root, header name without `Mcp-Param-`).
    pub mirrored: HashMap<ToolName, Vec<(Vec<String>, String)>>,
    /// Effectively read-only (`design/4`, safety gate).
    pub read_only: bool,
    /// States `readOnlyHint: true`.
    pub read_only_hint: bool,
    /// It may be called twice: it only reads, or states `idempotentHint: true`.
    pub idempotent: bool,
    /// Whether the tool can be called, and if not why.
    pub state: ToolState,
    /// Counts the changes of this tool's routine or state; a held exchange compares it with the one
    /// it ran under to know whether there is something new to try.
    pub revision: u64,
    /// A conforming reply was seen, or this is a later version: the declared terms are promised.
    pub kept: AtomicBool,
    /// Which requests and replies of this tool are sampled, for replay and to learn from; `None` for
    /// none.
    pub sampler: Option<Sampler>,
    /// How many samples the reply terms rest on, where they were inferred and not declared.
    pub inferred: Option<u64>,
    /// What an open event says already of this tool's replies.
    pub reported: Option<Reported>,
    /// Whether it is well; the same one from binding to binding.
    pub health: Arc<ToolHealth>,
}

/// What an open event says of a tool's replies: another reply that breaks in the same places is no
/// news, and is not held for a heal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reported {
    /// The drift event.
    pub drift: String,
    /// Where replies break ([`Violation::general_place`]).
    pub places: BTreeSet<String>,
}

/// Lets the first calls of a tool be sampled and then a few each second: a replay needs recent
/// exchanges, and a copy of every reply would be paid by every call.
#[derive(Debug, Default)]
pub struct Sampler {
    /// When the next sample would be due if none had come early, in monotonic microseconds.
    due: AtomicU64,
    /// Nothing is sampled any more.
    stopped: AtomicBool,
}

impl Sampler {
    /// Microseconds between two samples in the long run.
    const EVERY: u64 = 10_000;
    /// Samples that may come early.
    const EARLY: u64 = 64;

    /// Whether the call at this moment is sampled (a leaky bucket). Two threads that ask at once may
    /// both be told yes, which does no harm.
    pub fn takes(&self, micros: u64) -> bool {
        if self.stopped.load(Ordering::Relaxed) {
            return false;
        }
        let due = self.due.load(Ordering::Relaxed).max(micros);
        let takes = due - micros < Self::EARLY * Self::EVERY;
        if takes {
            self.due.store(due + Self::EVERY, Ordering::Relaxed);
        }
        takes
    }

    /// Enough is known: nothing is sampled any more.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// Whether a promised tool can be called, and if not, what the agent is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ToolState {
    /// In force.
    Sound,
    /// An event is open and being worked on.
    Healing {
        /// The drift event.
        drift: String,
    },
    /// A person must decide (-31007).
    Waiting {
        /// The drift event.
        drift: String,
        /// What waits, in words.
        why: String,
    },
    /// Nothing carries it over (-31004).
    Unhealable {
        /// The drift event.
        drift: String,
        /// Why, in words.
        why: String,
    },
    /// The breaker is open (-31006).
    Broken {
        /// The drift event.
        drift: String,
        /// Why, in words.
        why: String,
    },
}

impl ToolBinding {
    /// Whether the document of a reply may stand in its text: nothing is declared of it, and it is
    /// judged by what was inferred, or sampled.
    #[must_use]
    pub fn reads_text(&self, sampled: bool) -> bool {
        self.inferred.is_some() || (sampled && self.reply.is_none())
    }

    /// Whether all of this is known already: an open event says it, or the patch in force names it as
    /// gone.
    #[must_use]
    pub fn knows(&self, violations: &[Violation]) -> bool {
        let places = self.reported.as_ref().map(|reported| &reported.places);
        let known = |violation: &Violation| {
            self.names_as_gone(violation)
                || places.is_some_and(|places| places.contains(&violation.general_place()))
        };
        violations.iter().all(known)
    }

    /// Whether the patch in force names this as gone.
    #[must_use]
    pub fn names_as_gone(&self, violation: &Violation) -> bool {
        let gone = self.routine.as_ref().map_or(&[][..], |routine| &routine.source().gone);
        violation.is_missing() && gone.contains(&violation.general_place())
    }

    /// Marks the terms as kept; true for the first to do so, who reports it.
    pub fn mark_kept(&self) -> bool {
        !self.kept.load(Ordering::Relaxed) && !self.kept.swap(true, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_calls_are_sampled_and_then_one_every_ten_milliseconds() {
        let sampler = Sampler::default();
        let taken = |micros, calls| (0..calls).filter(|_| sampler.takes(micros)).count();
        assert_eq!(taken(1_000, 1_000), 64);
        for slot in 1..5 {
            assert_eq!(taken(1_000 + slot * Sampler::EVERY, 1_000), 1, "slot {slot}");
        }
        // After a rest the first ones are taken again, and no more than those.
        assert_eq!(taken(1_000_000_000, 1_000), 64);
        sampler.stop();
        assert_eq!(taken(2_000_000_000, 1_000), 0);
    }
}
