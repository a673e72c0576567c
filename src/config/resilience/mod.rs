//! From the section `resilience` to what both planes are told by it.

pub(super) mod raw;

use self::raw::Resilience;
use crate::domain::health::{BreakerRules, PerformanceRules, RetryRules};
use crate::domain::message::Millis;
use crate::proxy;

/// What the data plane is told.
pub(super) fn path(raw: &Resilience) -> proxy::Resilience {
    proxy::Resilience {
        retry: RetryRules {
            most: raw.retries,
            pause: Millis(raw.retry_pause_ms),
            longest: Millis(raw.retry_longest_ms),
            budget: raw.retry_budget,
            least_per_second: raw.retry_least_per_second,
        },
        breaker: breaker(raw),
        hold: proxy::HoldRules {
            wait: Millis(raw.breaker.hold_ms),
            queue: raw.breaker.queue,
            queue_all: raw.breaker.queue_all,
        },
        stale: proxy::StaleRules {
            enabled: raw.stale.enabled,
            max_age: Millis(raw.stale.max_age_ms),
            bytes: raw.stale.bytes,
            per_principal: raw.stale.per_principal_bytes,
        },
    }
}

/// When a breaker opens.
pub(super) fn breaker(raw: &Resilience) -> BreakerRules {
    BreakerRules {
        failures: raw.breaker.failures,
        open: Millis(raw.breaker.open_ms),
        longest: Millis(raw.breaker.longest_ms),
    }
}

/// When a tool counts as slow or failing.
pub(super) fn performance(raw: &Resilience) -> PerformanceRules {
    let raw = &raw.performance;
    PerformanceRules {
        factor: raw.factor,
        least: Millis(raw.least_ms),
        in_row: raw.in_row,
        error_rate: raw.error_rate,
        window: Millis(raw.window_ms),
        least_calls: raw.least_calls,
        sustained: Millis(raw.sustained_ms),
        ..PerformanceRules::default()
    }
}
