//! What the contract of a peer states beside its tools.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::contract;

/// What the contract of a peer states beside its tools; absent: what the version in force states.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Constraints {
    /// How long an answer may take, where no `deadline_ms` says so.
    #[schemars(range(min = 1))]
    pub(super) timeout_ms: Option<u64>,
    /// Largest call, in bytes of its JSON-RPC message.
    #[schemars(range(min = 1))]
    pub(super) max_payload_bytes: Option<u64>,
    /// How fast its tools are, and how reliable.
    pub(super) slo: Slo,
}

/// How fast the tools of a peer are, and how reliable.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Slo {
    /// No more than a twentieth of a tool's calls takes longer.
    #[schemars(range(min = 1))]
    pub(super) p95_ms: Option<u64>,
    /// No more than this share of a tool's calls fails.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(super) error_rate: Option<f64>,
}

impl Constraints {
    /// As a contract states them.
    pub(super) fn stated(&self) -> contract::Constraints {
        let Slo { p95_ms, error_rate } = self.slo;
        let slo = contract::Slo { p95_ms, error_rate };
        contract::Constraints {
            timeout_ms: self.timeout_ms,
            max_payload_bytes: self.max_payload_bytes,
            slo: (slo != contract::Slo::default()).then_some(slo),
            ..contract::Constraints::default()
        }
    }
}
