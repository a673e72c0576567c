//! The proof: does the routine carry every promised request, and every offered reply, over?

use serde_json::Value;

use super::ToolRoutine;
use crate::domain::contract::{Containment, Tool, contains};

/// That every promised request becomes an offered one, and every offered reply a promised one.
/// Only [`prove`] makes one.
#[derive(Clone, Debug, PartialEq)]
pub struct Proven(());

/// Which way a counter-example goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Face {
    /// Promised arguments that do not become offered ones.
    Request,
    /// An offered reply that does not become a promised one.
    Reply,
}

/// An instance that the routine does not carry over.
#[derive(Clone, Debug, PartialEq)]
pub struct CounterExample {
    /// Which way.
    pub face: Face,
    /// The instance before the routine: generated from the schemas, never recorded.
    pub instance: Value,
    /// What goes wrong, in words.
    pub why: String,
}

/// What became of a proof.
#[derive(Clone, Debug, PartialEq)]
pub enum Proof {
    /// It holds.
    Proven(Proven),
    /// It does not.
    Refuted(CounterExample),
    /// Neither was shown; each reason in words.
    Unknown(Vec<String>),
}

impl Proof {
    /// The word that `diff --json` and records use.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Proven(_) => "proven",
            Self::Refuted(_) => "refuted",
            Self::Unknown(_) => "unknown",
        }
    }
}

/// Proves, refutes or leaves open that `routine` carries `promised` over to what `offered` tells of
/// the peer's tools.
pub fn prove<'o>(
    promised: &Tool,
    offered: impl Fn(&str) -> Option<&'o Tool>,
    routine: &ToolRoutine,
) -> Proof {
    let offer = offered(routine.call.as_deref().unwrap_or(promised.name()));
    match (offer.and_then(Tool::input_schema), promised.input_schema()) {
        (Some(outer), Some(inner)) if contains(outer, inner) == Containment::Yes => {
            if routine.request.is_empty() && routine.reply.is_empty() {
                return Proof::Proven(Proven(()));
            }
        }
        _ => {}
    }
    Proof::Unknown(vec!["the proof is not worked out for this routine".to_owned()])
}
