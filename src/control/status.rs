//! What a running sidecar answers when it is asked, and what it tells unasked.

use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use super::advisor::AdvisorsStatus;
use crate::domain::contract::Tool;
use crate::domain::drift::DriftEvent;
use crate::domain::evidence::Record;
use crate::domain::message::{Digest, Generation, PeerId, Principal, UnixMillis};
use crate::domain::negotiation::{Held, Proposal, Rule};
use crate::domain::routine::{Examples, examples};
use crate::live::Mode;

/// The answer to `stipula status`.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// One entry a peer.
    pub peers: Vec<PeerStatus>,
    /// The advisors; null where none is configured.
    pub advisors: Option<AdvisorsStatus>,
}

/// How one peer stands.
#[derive(Clone, Debug, Serialize)]
pub struct PeerStatus {
    /// The configured name.
    pub peer: PeerId,
    /// The mode of tools that have none of their own.
    pub mode: Mode,
    /// Whether the last try to read its surface came through.
    pub reachable: bool,
    /// How far down the degrade ladder its worst tool is: `L0` to `L3`.
    pub level: &'static str,
    /// The breaker of the peer as a whole, which counts calls that do not reach it: `closed`, `open` or
    /// `half_open`.
    pub breaker: &'static str,
    /// The contract in force; `None` until one is sealed.
    pub contract_id: Option<Uuid>,
    /// Its version.
    pub version: Option<String>,
    /// Its hash.
    pub hash: Option<Digest>,
    /// When it expires.
    pub expiry: Option<UnixMillis>,
    /// The snapshot in force.
    pub generation: Generation,
    /// The coherence score of the current window, 0 to 100.
    pub coherence: f64,
    /// Its grade, A to F.
    pub grade: String,
    /// The tools under contract.
    pub tools: Vec<ToolStatus>,
    /// Events that still ask for something.
    pub open_events: Vec<EventStatus>,
    /// Proposals that wait for a person.
    pub waiting: Vec<ApprovalStatus>,
    /// All of them as one; absent where fewer than two wait.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bundle: Option<BundleStatus>,
    /// Routines that run in shadow; absent where none does.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub shadow: Vec<ShadowStatus>,
    /// How often an advisor was asked since the start.
    pub advisor_calls: u64,
}

/// A routine that runs beside the one in force.
#[derive(Clone, Debug, Serialize)]
pub struct ShadowStatus {
    /// The promised tool.
    pub tool: String,
    /// The hash that a decision is bound to.
    pub proposal: Digest,
    /// The event it answers.
    pub drift_id: Uuid,
    /// Exchanges that it must carry.
    pub needed: u32,
    /// Exchanges that it carried.
    pub carried: u32,
    /// Exchanges of which it cannot be told.
    pub untold: u32,
    /// `awaiting`, `passed` or `missed`.
    pub state: &'static str,
    /// The first difference.
    pub difference: Option<String>,
    /// What it waits for, in words.
    pub awaits: String,
}

/// How one promised tool stands.
#[derive(Clone, Debug, Serialize)]
pub struct ToolStatus {
    /// The promised name.
    pub tool: String,
    /// Its mode.
    pub mode: Mode,
    /// `sound`, `healing`, `waiting`, `unhealable` or `broken`.
    pub state: &'static str,
    /// Whether a routine carries it over.
    pub routine: bool,
    /// How far down the degrade ladder it is: `L0` to `L3`.
    pub level: &'static str,
    /// Its breaker: `closed`, `open` or `half_open`.
    pub breaker: &'static str,
}

/// An open event in short.
#[derive(Clone, Debug, Serialize)]
pub struct EventStatus {
    /// Its name, for `stipula why`.
    pub id: Uuid,
    /// The promised tool.
    pub tool: Option<String>,
    /// One of the seven types.
    #[serde(rename = "type")]
    pub drift_type: &'static str,
    /// The severity of the table.
    pub severity: &'static str,
    /// `open`, `healing` or `waiting`.
    pub state: String,
    /// What `stipula approvals approve` and `deny` take where a person decides about the event itself:
    /// approving agrees to what is observed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decision: Option<Digest>,
}

/// A proposal that waits.
#[derive(Clone, Debug, Serialize)]
pub struct ApprovalStatus {
    /// The hash that a decision is bound to.
    pub id: Digest,
    /// Whose peer.
    pub peer: PeerId,
    /// The promised tool.
    pub tool: String,
    /// The event's severity.
    pub severity: &'static str,
    /// The rules that held it back.
    pub held_by: Vec<Held>,
    /// When it lapses.
    pub expires_at: UnixMillis,
    /// The event it answers.
    pub drift_id: Uuid,
    /// The bundle it is in; null where it waits alone.
    pub bundle: Option<Digest>,
    /// The proposal itself.
    pub proposal: Proposal,
    /// The routine in sentences.
    pub explained: String,
    /// What approving does, in words.
    pub if_approved: String,
    /// Who called the tool of late, newest first: calls that were refused or recorded.
    pub affected: Vec<Affected>,
    /// The promised tool; told by [`ApprovalShown`] only.
    #[serde(skip)]
    pub promised: Option<Tool>,
    /// What is offered for it; told by [`ApprovalShown`] only.
    #[serde(skip)]
    pub offered: Option<Tool>,
}

/// A caller of a tool that waits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Affected {
    /// Who: a digest of what it authenticates with, or `anonymous`.
    pub principal: Principal,
    /// Calls that were told with their caller.
    pub calls: u64,
    /// The newest of them.
    pub last: UnixMillis,
}

/// All that waits for one peer: decided about as one, sealed as one version.
#[derive(Clone, Debug, Serialize)]
pub struct BundleStatus {
    /// The digest that a decision is bound to; anything else that waits makes another one.
    pub id: Digest,
    /// Whose peer.
    pub peer: PeerId,
    /// The promised tools.
    pub tools: Vec<String>,
    /// The proposals in it.
    pub approvals: Vec<Digest>,
    /// When the first of them lapses.
    pub expires_at: UnixMillis,
    /// What approving does, in words.
    pub if_approved: String,
}

/// A proposal with all that is needed to decide: the answer to `stipula approvals show`.
#[derive(Clone, Debug, Serialize)]
pub struct ApprovalShown {
    /// What the list tells.
    #[serde(flatten)]
    pub status: ApprovalStatus,
    /// The tool as it was promised.
    pub promised: Option<Value>,
    /// What the peer offers for it; null where the routine chooses among several.
    pub offered: Option<Value>,
    /// The rules that hold it, what each demands.
    pub rules: Vec<RuleShown>,
    /// What the routine does to calls, and to replies where it touches them. Generated from the schemas,
    /// never recorded traffic.
    pub examples: Examples,
}

/// A rule of the gate in words.
#[derive(Clone, Debug, Serialize)]
pub struct RuleShown {
    /// Its number, 1 to 9.
    pub number: u8,
    /// The word that `held_by` uses.
    pub rule: Rule,
    /// What it demands.
    pub demands: &'static str,
}

impl ApprovalShown {
    pub(super) fn of(status: ApprovalStatus) -> Self {
        let routine = status.proposal.routine.0.get(&status.tool);
        let shown = status.promised.as_ref().zip(routine);
        let examples =
            shown.map(|(promised, routine)| examples(promised, status.offered.as_ref(), routine));
        let mut rules: Vec<Rule> = status.held_by.iter().map(|held| held.rule).collect();
        rules.dedup();
        let told = |rule: Rule| RuleShown { number: rule.number(), rule, demands: rule.demands() };
        Self {
            promised: status.promised.as_ref().map(|tool| tool.definition().clone()),
            offered: status.offered.as_ref().map(|tool| tool.definition().clone()),
            rules: rules.into_iter().map(told).collect(),
            examples: examples.unwrap_or_default(),
            status,
        }
    }
}

/// A bundle with all that is needed to decide.
#[derive(Clone, Debug, Serialize)]
pub struct BundleShown {
    /// What it is.
    #[serde(flatten)]
    pub status: BundleStatus,
    /// Each proposal in it.
    pub shown: Vec<ApprovalShown>,
}

/// The answer to `stipula why`.
#[derive(Clone, Debug, Serialize)]
pub struct Why {
    /// The event, where the id names one.
    pub event: Option<DriftEvent>,
    /// The records that led to it and followed from it, oldest first.
    pub records: Vec<Record>,
}

/// What a person at the terminal is told, as it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// A contract was sealed on first use.
    Sealed {
        /// The peer.
        peer: PeerId,
        /// How many tools.
        tools: usize,
        /// As which version.
        version: String,
    },
    /// A tool was left out of a contract.
    LeftOut {
        /// The peer.
        peer: PeerId,
        /// Which tool.
        tool: String,
        /// Why.
        why: String,
    },
    /// A tool changed and was healed.
    Healed {
        /// The peer.
        peer: PeerId,
        /// Which tool.
        tool: String,
        /// The contract's new version.
        version: String,
        /// From the first sighting to the swap.
        micros: u64,
        /// Calls of the tool that failed meanwhile.
        failed: u64,
        /// Promised reply fields that nothing stands for.
        gone: Vec<String>,
    },
    /// Terms were inferred for replies that nothing is declared of.
    Inferred {
        /// The peer.
        peer: PeerId,
        /// Whose replies.
        tools: Vec<String>,
        /// How many samples they rest on.
        samples: u64,
        /// The contract's new version.
        version: String,
    },
    /// A tool changed and a person must decide.
    Waits {
        /// The peer.
        peer: PeerId,
        /// Which tool.
        tool: String,
        /// Which rule asks, in words.
        why: String,
    },
    /// A tool changed and nothing carries it over.
    Unhealable {
        /// The peer.
        peer: PeerId,
        /// Which tool.
        tool: String,
        /// Why.
        why: String,
    },
    /// The contract went back.
    RolledBack {
        /// The peer.
        peer: PeerId,
        /// To which version.
        version: String,
        /// Why.
        why: String,
    },
    /// Something needs an operator's eye.
    Warning {
        /// In words.
        what: String,
    },
}

impl std::fmt::Display for Told {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sealed { peer, tools, version } => {
                let plural = if *tools == 1 { "tool" } else { "tools" };
                write!(f, "{peer}: sealed {tools} {plural} as v{version}")
            }
            Self::LeftOut { peer, tool, why } => write!(f, "{peer}: {tool} is left out: {why}"),
            Self::Healed { peer, tool, version, micros, failed, gone } => {
                let millis = micros.div_ceil(1_000);
                let calls = if *failed == 1 { "call" } else { "calls" };
                write!(
                    f,
                    "{peer}: healed {tool} as v{version} in {millis} ms, {failed} failed {calls}"
                )?;
                match gone.as_slice() {
                    [] => Ok(()),
                    gone => write!(f, "; gone from its replies: {}", gone.join(", ")),
                }
            }
            Self::Inferred { peer, tools, samples, version } => {
                let tools = tools.join(", ");
                write!(
                    f,
                    "{peer}: inferred reply terms of {tools} from {samples} samples, as v{version}"
                )
            }
            Self::Waits { peer, tool, why } => write!(f, "{peer}: {tool} waits for you: {why}"),
            Self::Unhealable { peer, tool, why } => {
                write!(f, "{peer}: {tool} changed and cannot be carried over: {why}")
            }
            Self::RolledBack { peer, version, why } => {
                write!(f, "{peer}: went back to v{version}: {why}")
            }
            Self::Warning { what } => f.write_str(what),
        }
    }
}
