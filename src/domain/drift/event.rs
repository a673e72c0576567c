//! Changes and drift events, as they are recorded and published.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use crate::domain::message::{Digest, UnixMillis};

/// The seven kinds of drift.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum DriftType {
    /// Shape of requests or replies.
    Schema,
    /// Same shape, other meaning.
    Semantic,
    /// Tools come, go or are renamed.
    Capability,
    /// Access, effect, identity, instruction-like text.
    Policy,
    /// Slower or failing.
    Performance,
    /// The contract grows old.
    Freshness,
    /// Renegotiation does not converge.
    Negotiation,
}

impl DriftType {
    /// The word in JSON, metrics and records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Schema => "schema",
            Self::Semantic => "semantic",
            Self::Capability => "capability",
            Self::Policy => "policy",
            Self::Performance => "performance",
            Self::Freshness => "freshness",
            Self::Negotiation => "negotiation",
        }
    }
}

/// How bad: of a change (its impact if nothing is done) or of an event (what the table says).
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Informational.
    Low,
    /// Functional; recovered without a person.
    Medium,
    /// Silent corruption possible; a person decides.
    High,
    /// Cannot work.
    Critical,
}

impl Severity {
    /// The word in JSON, metrics and records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Which face of a tool a change is on.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Face {
    /// Arguments.
    Request,
    /// `structuredContent`.
    Reply,
    /// The tool itself: name, text, annotations.
    Surface,
}

/// One difference between two surfaces, as `stipula diff` prints it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
pub struct Change {
    /// The promised tool's name (for an added tool its own).
    pub tool: String,
    /// JSON Pointer into the tool's definition.
    pub pointer: String,
    /// Which face.
    pub face: Face,
    /// Finer than the drift type: `property_removed`, `required_added`, `tool_renamed`, ….
    pub kind: String,
    /// One of the seven.
    pub drift_type: DriftType,
    /// The impact on a caller if nothing is done.
    pub severity: Severity,
    /// In words.
    pub message: String,
}

/// What makes two sightings one fault: contract, promised tool, drift type, and the digest of the
/// offer (reply-only drift: of the set of broken pointers).
#[derive(
    Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
pub struct Fingerprint(pub Digest);

/// Where an event stands.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum EventState {
    /// Noticed.
    Open,
    /// A proposal is being proven.
    Healing,
    /// A person must decide.
    Waiting,
    /// Over: healed, adopted, or the peer went back.
    Resolved,
    /// Denied by a person, or nothing to do.
    Dismissed,
}

/// What an event rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Evidence {
    /// As it was promised.
    pub baseline: Value,
    /// As it was seen.
    pub observed: Value,
    /// The changes or violations between the two.
    pub diff: Value,
}

/// The record of what a sensor noticed (DS); its schema is `docs/drift.schema.json`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct DriftEvent {
    /// Names the event.
    pub drift_id: Uuid,
    /// One of the seven.
    #[serde(rename = "type")]
    pub drift_type: DriftType,
    /// The severity of the drift table.
    pub severity: Severity,
    /// The contract that was in force.
    pub contract_id: Option<Uuid>,
    /// The promised tool; `None` where the whole peer is meant.
    pub tool: Option<String>,
    /// What makes further sightings the same event.
    pub fingerprint: Fingerprint,
    /// First sighting.
    pub detected_at: UnixMillis,
    /// Which sensor noticed it.
    pub sensor: String,
    /// What it rests on.
    pub evidence: Evidence,
    /// How often it was seen.
    pub occurrences: u64,
    /// Where it stands.
    pub state: EventState,
    /// The hash of the contract or the decision that ended it.
    pub resolved_by: Option<String>,
}
