//! The four kinds of record.
//!
//! DLR is a Decision Log Record, RS a Reasoning Summary, DS a Drift Signal, MG a Memory Graph edge
//! (which record caused which).

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::contract::Contract;
use crate::domain::drift::{DriftEvent, Severity};
use crate::domain::message::{Digest, PeerId, Principal, UnixMillis};
use crate::domain::negotiation::{Proposal, Relations};

/// Names a record.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct RecordId(pub Uuid);

/// The kind, for readers who filter.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum RecordKind {
    /// Decision Log Record.
    DLR,
    /// Reasoning Summary.
    RS,
    /// Drift Signal.
    DS,
    /// Memory Graph edge.
    MG,
}

/// Why one record led to another.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// The first made the second happen.
    Caused,
    /// The first replaces the second.
    Supersedes,
    /// The first takes the second's force away.
    Invalidates,
    /// The first ends the second.
    Resolves,
}

/// One record, before it is chained into the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Record {
    /// Names it.
    pub id: RecordId,
    /// When it was made.
    pub at: UnixMillis,
    /// The peer it is about; `None` for the sidecar itself.
    pub peer: Option<PeerId>,
    /// What it says.
    #[serde(flatten)]
    pub body: RecordBody,
}

/// What a record says. Heads, approvals and open events are a replay of these.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "what", rename_all = "snake_case")]
pub enum RecordBody {
    /// DLR: a contract was sealed. The whole contract travels in the record.
    Sealed {
        /// The contract, routine included.
        contract: Arc<Contract>,
    },
    /// DLR: the head of the peer's chain moved by compare-and-swap.
    HeadMoved {
        /// The head before; `None` for the first.
        from: Option<Digest>,
        /// The head now.
        to: Digest,
        /// Why: `first-use`, `heal`, `rollback`, `renewal`, `adoption`, `known-surface`,
        /// `inference`, `constraints`.
        why: String,
    },
    /// DLR: exchanges, counted: what was kept, mended, waived and refused since the last such record.
    Exchanges {
        /// Counts by tool and verdict.
        counts: Value,
        /// First and last digest of the batch, to tie it to what was seen.
        digests: Vec<Digest>,
    },
    /// DLR: one reply was waived or refused; it names what broke.
    Exception {
        /// The promised tool.
        tool: String,
        /// `waived` or `refused`.
        verdict: String,
        /// Pointers and kinds of what broke, never values.
        violations: Value,
        /// Digest of the reply's bytes.
        reply: Option<Digest>,
    },
    /// DLR: a first conforming reply was seen: the tool's declared terms are promised from now on.
    TermsKept {
        /// The contract.
        contract: Digest,
        /// The promised tool.
        tool: String,
    },
    /// DLR: earlier replies of a tool showed which of its fields follow from others.
    RelationsLearnt {
        /// The contract.
        contract: Digest,
        /// The promised tool.
        tool: String,
        /// What they showed: places and constant text, no other values.
        relations: Relations,
    },
    /// DLR: what a principal is listed of what is promised, where that is not told by the contract alone.
    Listed {
        /// Whose listing it is.
        principal: Principal,
        /// Promised tools that it was never listed.
        lacks: Vec<String>,
    },
    /// DLR: a person, or the loop, decided about a proposal.
    Decided {
        /// Hash of the proposal the decision is bound to.
        proposal: Digest,
        /// `approved`, `denied`, `expired`, `auto`,
        /// `withdrawn`, `superseded`.
        decision: String,
        /// Who, and the reason given.
        reason: String,
    },
    /// RS: why the loop did what it did.
    Reasoning {
        /// Drift event it is about.
        drift_id: Uuid,
        /// In words, one line a step.
        steps: Vec<String>,
    },
    /// RS: advisors were asked about a tool, and what that cost.
    Negotiated {
        /// Drift event it is about.
        drift_id: Uuid,
        /// The promised tool.
        tool: String,
        /// Whose answers were heard, by the operator's names.
        advisors: Vec<String>,
        /// Rounds that were begun.
        negotiation_rounds: u32,
        /// Requests that were sent.
        calls: u64,
        /// Tokens that were read.
        input_tokens: u64,
        /// Tokens that were written.
        output_tokens: u64,
        /// Money, in millionths of the unit of the prices.
        cost_micros: u64,
        /// How long it took, in milliseconds.
        elapsed_ms: u64,
        /// `applied`, `waiting`, `nothing` or `failed`.
        result: String,
    },
    /// RS: how a routine did that ran in shadow, beside what is in force.
    Shadowed {
        /// Drift event it answers.
        drift_id: Uuid,
        /// Hash of the proposal.
        proposal: Digest,
        /// The promised tool.
        tool: String,
        /// Exchanges that it had to carry.
        needed: u32,
        /// Exchanges that it carried.
        carried: u32,
        /// Exchanges of which it cannot be told.
        untold: u32,
        /// `awaiting`, `passed` or `missed`.
        outcome: String,
        /// The first difference: where, never a value.
        difference: Option<String>,
    },
    /// RS: a proposal, with its proof and the rules that held it.
    Proposed {
        /// Drift event it answers.
        drift_id: Uuid,
        /// Hash that a decision is bound to.
        hash: Digest,
        /// The proposal.
        proposal: Box<Proposal>,
    },
    /// DS: a drift event in its newest state.
    Drift {
        /// The event.
        event: Box<DriftEvent>,
    },
    /// DLR: a person was called: an escalation, an incident, or a version that is kept because the
    /// next one did not come about.
    Incident {
        /// Drift event it is about.
        drift_id: Uuid,
        /// `escalation`, `incident` or `rollback`.
        kind: String,
        /// Severity of the event.
        severity: Severity,
        /// The promised tool; `None` where the whole peer is meant.
        tool: Option<String>,
        /// The contract in force.
        contract: Option<Digest>,
        /// What the contract is worth for this tool since: `invalid` or `degraded`; `None` where it holds.
        standing: Option<String>,
        /// In words.
        detail: String,
    },
    /// DLR: what is done because of a drift event, short of another contract, was changed, or taken back.
    Patch {
        /// Drift event it is about.
        drift_id: Uuid,
        /// The promised tool.
        tool: String,
        /// As it was: settings and their values.
        before: Value,
        /// As it is now.
        after: Value,
        /// In words.
        detail: String,
    },
    /// MG: one record led to another.
    Edge {
        /// From.
        from: RecordId,
        /// To.
        to: RecordId,
        /// How.
        cause: Cause,
    },
    /// DLR: something about the sidecar itself: started, stopped, recovered, mode changed.
    Lifecycle {
        /// What.
        event: String,
        /// In words.
        detail: String,
    },
}

impl RecordBody {
    /// Which of the four kinds it is.
    #[must_use]
    pub const fn kind(&self) -> RecordKind {
        match self {
            Self::Sealed { .. }
            | Self::HeadMoved { .. }
            | Self::Exchanges { .. }
            | Self::Exception { .. }
            | Self::TermsKept { .. }
            | Self::RelationsLearnt { .. }
            | Self::Listed { .. }
            | Self::Decided { .. }
            | Self::Incident { .. }
            | Self::Patch { .. }
            | Self::Lifecycle { .. } => RecordKind::DLR,
            Self::Reasoning { .. }
            | Self::Negotiated { .. }
            | Self::Shadowed { .. }
            | Self::Proposed { .. } => RecordKind::RS,
            Self::Drift { .. } => RecordKind::DS,
            Self::Edge { .. } => RecordKind::MG,
        }
    }
}

/// The words that `what` can hold in this version.
const WORDS: &[&str] = &[
    "sealed",
    "head_moved",
    "exchanges",
    "exception",
    "terms_kept",
    "relations_learnt",
    "listed",
    "decided",
    "reasoning",
    "negotiated",
    "shadowed",
    "proposed",
    "drift",
    "incident",
    "patch",
    "edge",
    "lifecycle",
];

impl Record {
    /// Reads a record's JSON text; `None` for a kind that only a newer version knows, so that its
    /// ledgers stay readable.
    ///
    /// # Errors
    /// Where it is no record, or one of a known kind that lacks something.
    pub fn read(text: &str) -> Result<Option<Self>, serde_json::Error> {
        #[derive(Deserialize)]
        struct Kind {
            what: String,
        }
        let kind: Kind = serde_json::from_str(text)?;
        if !WORDS.contains(&kind.what.as_str()) {
            return Ok(None);
        }
        serde_json::from_str(text).map(Some)
    }
}
