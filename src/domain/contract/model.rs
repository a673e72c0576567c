//! The contract's fields (seed: `ProtocolContract`), as they are written and published.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::Tool;
use crate::domain::message::{Digest, UnixMillis};
use crate::domain::routine::RoutineDoc;

/// A contract before or after sealing; a sealed one travels as `Sealed`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Contract {
    /// Names this version of the contract.
    pub contract_id: Uuid,
    /// Semantic version: patch = renewed or text, minor = the peer changed and the promise holds,
    /// major = the promise changed.
    #[schemars(with = "String")]
    pub version: semver::Version,
    /// SHA-256 of the RFC 8785 canonical form of everything but `hash` and `signing.signature`.
    pub hash: Digest,
    /// When it was sealed.
    pub sealed_at: UnixMillis,
    /// When it expires.
    pub expiry: UnixMillis,
    /// The `contract_id` of the version before this one.
    pub supersedes: Option<Uuid>,
    /// Initiator first, responder second.
    pub participants: Vec<Participant>,
    /// What is promised to the agent, request and reply of each tool.
    pub message_types: Vec<MessageType>,
    /// What the tools are for; a first-use seal has one a tool, its trigger the tool's name.
    pub intents: Vec<Intent>,
    /// What the peer's error codes mean.
    pub error_codes: Vec<ErrorMeaning>,
    /// Limits and objectives.
    pub constraints: Constraints,
    /// Where this version comes from.
    pub provenance: Vec<Provenance>,
    /// How it is sealed.
    pub signing: Signing,
    /// Set once this version should no longer be used.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deprecation: Option<Value>,
    /// Notes for whoever moves to the next version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub migration: Option<Value>,
    /// The way back.
    pub rollback: Rollback,
    /// What is told about exchanges under it.
    pub telemetry: TelemetryTerms,
    /// What the peer speaks, where it differs from the promise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offer: Option<Offer>,
    /// Maps promise to offer, tool by tool; empty in v1.0.0.
    #[serde(default, skip_serializing_if = "RoutineDoc::is_empty")]
    pub routine: RoutineDoc,
    /// What semantic drift is measured against.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub profile: Option<Value>,
}

/// One side of a contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Participant {
    /// `agent`, or the peer's identity: origin of its URL (or command line) and `serverInfo.name`.
    pub id: String,
    /// Which side.
    pub role: Role,
    /// `mcp`.
    pub protocol: String,
    /// Declared capabilities, verbatim.
    pub capabilities: Value,
}

/// Which side of a contract a participant is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Who calls.
    Initiator,
    /// Who is called.
    Responder,
}

/// One promised message: a tool's request or its reply.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MessageType {
    /// The tool's name.
    pub name: String,
    /// Request or reply.
    pub direction: Direction,
    /// The JSON Schema (draft-07 or 2020-12) of arguments or of `structuredContent`.
    pub schema: Value,
    /// The schema's top-level `required`, repeated for readers.
    pub required_fields: Vec<String>,
    /// Where the schema comes from.
    pub source: TermSource,
    /// How many samples an inferred schema rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// The tool's definition as it was listed; on requests only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<Value>")]
    pub definition: Option<Tool>,
}

/// Which way a message goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Agent to peer.
    Request,
    /// Peer to agent.
    Reply,
}

/// Where a term comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum TermSource {
    /// The peer declares it.
    Declared,
    /// It was inferred from traffic.
    Inferred,
    /// A person approved it.
    Approved,
}

/// What a tool is for.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Intent {
    /// Short name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// Tool names that serve it.
    pub triggers: Vec<String>,
    /// What it ends in.
    pub outcomes: Vec<String>,
}

/// What one of the peer's errors means.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ErrorMeaning {
    /// The code as the peer writes it.
    pub code: String,
    /// In words.
    pub meaning: String,
    /// Whether trying again can help.
    pub retryable: bool,
    /// What to do.
    pub suggested_action: String,
}

/// Limits and objectives of a contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Constraints {
    /// Requests a minute, and how many at once above it; carried, not applied: rates are the operator's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<Value>,
    /// Largest call, in bytes of its JSON-RPC message; a larger one is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_payload_bytes: Option<u64>,
    /// Deadline of a call, in milliseconds; none unless stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout_ms: Option<u64>,
    /// Whether calls must carry an idempotency key; carried, not applied: MCP has no such key.
    #[serde(default)]
    pub idempotency_required: bool,
    /// Scopes a tool needs; carried, not applied: tokens are opaque to the sidecar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool_scopes: Option<Value>,
    /// How fast its tools are, and how reliable: what performance is measured against beside the pace of
    /// the last minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slo: Option<Slo>,
}

/// The objective of each tool of a contract.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slo {
    /// No more than a twentieth of the calls takes longer, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub p95_ms: Option<u64>,
    /// No more than this share of the calls fails.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub error_rate: Option<f64>,
}

/// One step of a contract's history.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provenance {
    /// What it refers to: a drift event, a file, `first-use`.
    pub r#ref: String,
    /// What kind of step.
    #[serde(rename = "type")]
    pub kind: ProvenanceKind,
    /// When.
    pub timestamp: UnixMillis,
    /// In words.
    pub detail: String,
}

/// How a version came about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProvenanceKind {
    /// By the loop, on first use or after drift.
    Negotiation,
    /// By an operator's command.
    Manual,
    /// From an older format.
    Migration,
    /// A person approved it.
    HumanApproval,
}

/// How a contract is sealed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Signing {
    /// The digest alone, or a signature over it.
    pub algorithm: SigningAlgorithm,
    /// Ed25519 public key, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public_key: Option<String>,
    /// Ed25519 signature, hexadecimal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<String>,
}

/// The seal's algorithm.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SigningAlgorithm {
    /// The digest alone.
    Sha256,
    /// Ed25519 (RFC 8032) over a domain-separated digest.
    Ed25519,
}

/// The way back from a contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Rollback {
    /// Hash of the version to return to.
    pub rollback_to: Option<Digest>,
    /// Whether the loop may return by itself.
    pub auto_rollback: bool,
    /// Misses in the watch that make it return.
    pub failure_threshold: u32,
}

/// What is told about exchanges under a contract.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TelemetryTerms {
    /// `w3c`, `b3` or `none`.
    pub trace_propagation: String,
    /// `error`, `warn`, `info` or `debug`.
    pub log_level: String,
}

/// What the peer speaks where it differs from the promise.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Offer {
    /// Digest of the whole surface as it was read.
    pub surface: Digest,
    /// The offered tools that differ from the promise, as they were listed.
    #[schemars(with = "Vec<Value>")]
    pub tools: Vec<Tool>,
    /// Names of promised tools that the peer no longer lists.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gone: Vec<String>,
}
