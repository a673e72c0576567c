//! The section `resilience` as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::domain::health::{BreakerRules, PerformanceRules, RetryRules};
use crate::proxy::{HoldRules, StaleRules};

/// What is done where a peer is slow, fails or cannot be reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Resilience {
    /// How long a peer may take to answer a call, all tries together; null: what its contract states,
    /// else for ever.
    #[schemars(range(min = 1))]
    pub(in crate::config) deadline_ms: Option<u64>,
    /// Tries beyond the first, where nothing can happen twice; 0: none.
    #[schemars(range(max = 10))]
    pub(in crate::config) retries: u32,
    /// The pause before the first of them; it doubles with each.
    #[schemars(range(min = 1, max = 60_000))]
    pub(in crate::config) retry_pause_ms: u64,
    /// The longest pause, and the longest `Retry-After` that is waited for.
    #[schemars(range(min = 1, max = 60_000))]
    pub(in crate::config) retry_longest_ms: u64,
    /// Retries as a share of a peer's calls at most.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(in crate::config) retry_budget: f64,
    /// Retries a second that are allowed however few calls there are.
    pub(in crate::config) retry_least_per_second: u32,
    /// When a tool, or a peer that cannot be reached, is left alone.
    pub(in crate::config) breaker: PeerBreaker,
    /// Last known good replies.
    pub(in crate::config) stale: Stale,
    /// When a tool counts as slow or failing.
    pub(in crate::config) performance: Performance,
}

/// When a tool, or a peer that cannot be reached, is left alone.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct PeerBreaker {
    /// Failures in a row that open it.
    #[schemars(range(min = 1))]
    pub(in crate::config) failures: u32,
    /// How long it stays open; then one call tries. It doubles with each one that fails.
    #[schemars(range(min = 1))]
    pub(in crate::config) open_ms: u64,
    /// How long it stays open at most.
    #[schemars(range(min = 1))]
    pub(in crate::config) longest_ms: u64,
    /// How long a call that may run twice waits there for a probe that is near or under way; 0: not at all.
    #[schemars(range(max = 60_000))]
    pub(in crate::config) hold_ms: u64,
    /// Calls of one peer that may wait so.
    pub(in crate::config) queue: u64,
    /// Calls of all peers that may wait so.
    pub(in crate::config) queue_all: u64,
}

/// Last known good replies of tools that only read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Stale {
    /// Whether they are kept, and delivered where the peer cannot be reached.
    pub(in crate::config) enabled: bool,
    /// How old one may be.
    #[schemars(range(min = 1))]
    pub(in crate::config) max_age_ms: u64,
    /// All of them together, in memory.
    pub(in crate::config) bytes: usize,
    /// Those of one principal.
    pub(in crate::config) per_principal_bytes: usize,
}

/// When a tool counts as slow or failing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Performance {
    /// Slow: above this many times the p95 of the last minutes,
    #[schemars(range(min = 1.0))]
    pub(in crate::config) factor: f64,
    /// and above it by this,
    pub(in crate::config) least_ms: u64,
    /// so many calls in a row; as many good ones end it.
    #[schemars(range(min = 1, max = 100))]
    pub(in crate::config) in_row: u32,
    /// Failing: above this share of the calls,
    #[schemars(range(min = 0.0, max = 1.0))]
    pub(in crate::config) error_rate: f64,
    /// in a sliding window of this length,
    #[schemars(range(min = 30))]
    pub(in crate::config) window_ms: u64,
    /// of at least so many calls.
    #[schemars(range(min = 1))]
    pub(in crate::config) least_calls: u64,
    /// Trouble that lasts longer opens the breaker and asks a person.
    #[schemars(range(min = 1))]
    pub(in crate::config) sustained_ms: u64,
}

impl Default for Resilience {
    fn default() -> Self {
        let retry = RetryRules::default();
        Self {
            deadline_ms: None,
            retries: retry.most,
            retry_pause_ms: retry.pause.0,
            retry_longest_ms: retry.longest.0,
            retry_budget: retry.budget,
            retry_least_per_second: retry.least_per_second,
            breaker: PeerBreaker::default(),
            stale: Stale::default(),
            performance: Performance::default(),
        }
    }
}

impl Default for PeerBreaker {
    fn default() -> Self {
        let (room, hold) = (BreakerRules::default(), HoldRules::default());
        Self {
            failures: room.failures,
            open_ms: room.open.0,
            longest_ms: room.longest.0,
            hold_ms: hold.wait.0,
            queue: hold.queue,
            queue_all: hold.queue_all,
        }
    }
}

impl Default for Stale {
    fn default() -> Self {
        let room = StaleRules::default();
        Self {
            enabled: room.enabled,
            max_age_ms: room.max_age.0,
            bytes: room.bytes,
            per_principal_bytes: room.per_principal,
        }
    }
}

impl Default for Performance {
    fn default() -> Self {
        let room = PerformanceRules::default();
        Self {
            factor: room.factor,
            least_ms: room.least.0,
            in_row: room.in_row,
            error_rate: room.error_rate,
            window_ms: room.window.0,
            least_calls: room.least_calls,
            sustained_ms: room.sustained.0,
        }
    }
}
