//! What became of an exchange, and how that is told.

use serde::{Deserialize, Serialize};

use super::{Code, Digest, Millis};

/// What became of a judged reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// It kept its contract and left as the bytes that came.
    Kept,
    /// The routine mended it, and then it kept its contract.
    Mended,
    /// It broke its contract and was let through by mode or rule; a record names it.
    Waived,
    /// It was not delivered.
    Refused,
    /// It is under no contract and passed.
    Passed,
}

impl Verdict {
    /// The word that metrics, records and `_meta` use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kept => "kept",
            Self::Mended => "mended",
            Self::Waived => "waived",
            Self::Refused => "refused",
            Self::Passed => "passed",
        }
    }
}

/// Whether the peer ran the call: an agent that is refused must know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Executed {
    /// The peer answered it.
    Yes,
    /// The peer cannot have run it.
    No,
    /// Bytes were sent and no whole reply came.
    Unknown,
}

impl Executed {
    /// As it stands in JSON: `true`, `false` or `"unknown"`.
    #[must_use]
    pub const fn json(self) -> &'static str {
        match self {
            Self::Yes => "true",
            Self::No => "false",
            Self::Unknown => "\"unknown\"",
        }
    }
}

/// What `_meta["dev.stipula/verdict"]` tells the agent about a reply that was altered or refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerdictNote {
    /// What became of the reply.
    pub verdict: Verdict,
    /// Hash of the contract it was held against.
    pub contract: Option<Digest>,
    /// That contract's version.
    pub version: Option<String>,
    /// The drift event that explains it.
    pub drift: Option<String>,
    /// The refusal, where it is one.
    pub code: Option<Code>,
    /// Whether the peer ran the call.
    pub executed: Executed,
    /// Promised pointers that the reply lacks (waived replies of calls that ran).
    pub missing: Vec<String>,
    /// Promised pointers where something else stands than was promised (as `missing`).
    pub changed: Vec<String>,
    /// How many samples the terms rest on, where they were inferred and not declared.
    pub inferred: Option<u64>,
    /// The age of the reply, where it is the last known good one of a peer that cannot be reached.
    pub stale: Option<Millis>,
}
