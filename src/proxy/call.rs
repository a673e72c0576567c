//! A `tools/call` under contract, with all it takes to try it once more.

use bytes::Bytes;
use http::header::HeaderMap;
use http::request::Parts;

use super::admit::Exchange;
use super::bind::Bond;
use super::crowd::Place;
use super::gateway::Lane;
use super::judge::{Fetched, Manner};
use crate::domain::health::Pass;
use crate::domain::message::{Code, Executed, ToolName, Verdict, VerdictNote};
use crate::domain::policy::Standing;
use crate::live::{Mode, ToolState};
use crate::telemetry::{ExchangeSpan, StepSpan};
use crate::wire::protocol::mcp::{Envelope, Method, Refusal, Refused};
use crate::wire::transport::budget::BodyPermit;

/// A call on its way.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) lane: Lane,
    pub(super) envelope: Envelope,
    pub(super) bond: Bond,
    /// Method and URI; the headers stand apart.
    pub(super) parts: Parts,
    /// The agent's headers as they came.
    pub(super) headers: HeaderMap,
    /// What was sent last.
    pub(super) asked: Option<Asked>,
    /// The peer may be asked once more.
    pub(super) may_repeat: bool,
    /// What went wrong with the last attempt was told when the call was held.
    pub(super) told: bool,
    pub(super) times: Times,
    /// What the attempt under way was let through with, by the tool's breaker and by its peer's.
    pub(super) passes: Option<(Pass, Pass)>,
    /// Attempts before the last one; each of them failed.
    pub(super) retried: u32,
    /// Until when the peer may answer, in monotonic microseconds; `None` for ever, and before it is asked.
    pub(super) until: Option<u64>,
    /// What the head of the last answer told of the caller's access.
    pub(super) standing: Standing,
    /// While the peer works at it.
    pub(super) place: Option<Place>,
    /// It fetches the reply of a call that went on as a task: nothing of it is carried over.
    pub(super) fetched: Option<Fetched>,
    /// Where the exchange is sampled.
    pub(super) span: Option<ExchangeSpan>,
    _permit: BodyPermit,
}

/// What was sent to the peer.
#[derive(Clone, Debug)]
pub(super) struct Asked {
    pub(super) tool: ToolName,
    pub(super) arguments: Option<Bytes>,
    /// The routine carried it over.
    pub(super) mapped: bool,
}

/// Spans of one call, in microseconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// When the request had been read.
    pub(super) read_at: u64,
    /// When it was sent last.
    pub(super) sent_at: u64,
    /// What the last attempt took.
    pub(super) upstream: u64,
    /// What was not ours: attempts and holds.
    pub(super) others: u64,
}

impl Call {
    pub(super) fn new(
        exchange: Exchange,
        envelope: Envelope,
        bond: Bond,
        span: Option<ExchangeSpan>,
    ) -> Self {
        let Exchange { lane, mut parts, permit, read_at, .. } = exchange;
        let headers = std::mem::take(&mut parts.headers);
        let times = Times { read_at, sent_at: read_at, upstream: 0, others: 0 };
        Self {
            lane,
            envelope,
            bond,
            parts,
            headers,
            asked: None,
            may_repeat: true,
            told: false,
            times,
            passes: None,
            retried: 0,
            until: None,
            standing: Standing::default(),
            place: None,
            fetched: None,
            span,
            _permit: permit,
        }
    }

    /// A question for the reply of a call that went on as a task, under what was promised for that call.
    pub(super) fn fetching(exchange: Exchange, envelope: Envelope, bond: Bond) -> Self {
        let whole = envelope.method == Method::TasksResult;
        let mut call = Self::new(exchange, envelope, bond, None);
        call.fetched = Some(if whole { Fetched::Whole } else { Fetched::Inside });
        call.may_repeat = false;
        call
    }

    /// The request's id, as it came; a `tools/call` without one is not admitted.
    pub(super) fn id(&self) -> &str {
        self.envelope.id().unwrap_or("null")
    }

    /// How an answer to it is judged.
    pub(super) fn manner(&self) -> Manner {
        let well = !self.bond.tool.health.is_degraded();
        let sampler = self.bond.tool.sampler.as_ref().filter(|_| well);
        let sampler = sampler.filter(|_| self.fetched.is_none());
        let sampled = sampler.is_some_and(|sampler| sampler.takes(self.times.sent_at));
        let (limits, fetched) = (self.lane.settings().document, self.fetched);
        Manner { limits, sampled, fetched }
    }

    /// A step of this call, as a span; it ends when it is dropped.
    pub(super) fn step(&self, name: &'static str) -> Option<StepSpan> {
        self.span.as_ref().map(|span| span.child(name))
    }

    /// Whether what is found may be mended, held and refused.
    pub(super) fn enforced(&self) -> bool {
        self.bond.tool.mode == Mode::Enforce
    }

    /// A refusal under the contract in force, counted.
    pub(super) fn refused(&self, why: Refusal, executed: Executed) -> Refused {
        let code = why.code();
        self.lane.doors().metrics.refusal(code);
        if let Some(span) = &self.span {
            span.refused(code);
        }
        let mut note = self.bond.note(Verdict::Refused, Some(code), executed);
        if matches!(code, Code::BreakerOpen | Code::Unreachable | Code::Deadline) {
            let health = (&self.bond.tool.health, &self.bond.binding.health);
            let drift = note.drift.take().map(Into::into);
            let drift = drift.or_else(|| health.0.drift()).or_else(|| health.1.drift());
            note.drift = drift.map(|drift| drift.to_string());
        }
        Refused { note, why, retry_after_ms: None }
    }
}

impl Call {
    /// An attempt that was let through does not go, or nobody waits for its end: a probe's place is free
    /// again.
    pub(super) fn give_up(&mut self) {
        if let Some((of_tool, of_peer)) = self.passes.take() {
            self.bond.tool.health.circuit.dropped(of_tool);
            self.bond.binding.health.circuit.dropped(of_peer);
        }
    }
}

impl Drop for Call {
    /// An attempt whose end was not told was given up by its caller.
    fn drop(&mut self) {
        self.give_up();
    }
}

impl Bond {
    /// What the agent is told about a reply under this contract.
    pub(super) fn note(
        &self,
        verdict: Verdict,
        code: Option<Code>,
        executed: Executed,
    ) -> VerdictNote {
        let contract = self.binding.contract.as_ref();
        let drift = match &self.tool.state {
            ToolState::Sound => None,
            ToolState::Healing { drift }
            | ToolState::Waiting { drift, .. }
            | ToolState::Unhealable { drift, .. }
            | ToolState::Broken { drift, .. } => Some(drift.clone()),
        };
        let reported = self.tool.reported.as_ref().map(|reported| reported.drift.clone());
        VerdictNote {
            verdict,
            contract: contract.map(|contract| contract.hash),
            version: contract.map(|contract| contract.version.to_string()),
            drift: drift.or(reported),
            code,
            executed,
            missing: Vec::new(),
            changed: Vec::new(),
            inferred: self.tool.inferred,
            stale: None,
        }
    }
}
