//! What is known about a candidate beside the two surfaces.

use crate::domain::drift::Severity;
use crate::domain::negotiation::ReplayResult;

/// What paired replay, recordings and the profile showed. What is not known is left at its default,
/// and then holds.
#[derive(Clone, Debug, PartialEq)]
pub struct GateEvidence {
    /// Whether the peer is the one that was sealed: origin, verified name, `serverInfo.name`.
    pub same_peer: bool,
    /// What paired replay showed, where it ran.
    pub replay: Option<ReplayResult>,
    /// JSON Pointers of the promised arguments that the replayed requests carried: paired replay
    /// shows nothing about the others.
    pub replayed_arguments: Vec<String>,
    /// Whether two recordings of one request exist and agree, so that paired replay could compare.
    pub recordings_agree: bool,
    /// Recorded requests that were mapped and are valid under the offer.
    pub replay_samples_ok: usize,
    /// How many of them an undecided proof needs.
    pub replay_min: usize,
    /// Recorded requests or replies that were mapped and are not valid.
    pub replay_samples_bad: usize,
    /// What the profile knows of fields that follow from others.
    pub derived_relations: Vec<DerivedRelation>,
    /// Promised reply fields that a reply was seen to lack: only these may be named as gone.
    pub seen_gone: Vec<String>,
    /// The severity of the drift event.
    pub severity: Severity,
}

impl GateEvidence {
    /// The same peer at medium severity, and nothing shown yet.
    #[must_use]
    pub const fn for_same_peer() -> Self {
        Self {
            same_peer: true,
            replay: None,
            replayed_arguments: Vec::new(),
            recordings_agree: false,
            replay_samples_ok: 0,
            replay_min: 5,
            replay_samples_bad: 0,
            derived_relations: Vec::new(),
            seen_gone: Vec::new(),
            severity: Severity::Medium,
        }
    }
}

/// A reply field that followed from other fields of the same reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DerivedRelation {
    /// JSON Pointer of the field.
    pub at: String,
    /// How it followed.
    pub from: Derivation,
    /// Over how many earlier replies; fewer than 20 are no evidence.
    pub replies: usize,
}

/// How a field followed from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Derivation {
    /// The text of a `template` operation; `{/pointer}` alone is a copy.
    Template(String),
    /// The first group of a pattern in one field.
    Pattern {
        /// JSON Pointer of that field.
        from: String,
        /// The pattern of an `extract` operation.
        pattern: String,
    },
}
