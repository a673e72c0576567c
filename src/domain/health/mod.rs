//! Is a promised tool well, and its peer? Told by what calls take and how they fail.
//!
//! ```text
//!   path:    admit ─► attempt ─► good | bad(fault) ─► Breaker: closed, open, half-open with one probe
//!                        └── Budget, pause: may it be tried again, and when?
//!   control: call ─► Pace (latency) + Errors (share that failed) + breaker ─► Health ─► Turn, Level
//! ```
//!
//! Moments are microseconds of a monotonic clock that the caller reads. Never here: a clock, chance, a
//! lock, memory that grows with traffic.

mod breaker;
mod errors;
mod level;
mod objective;
mod pace;
mod retry;
mod well;

pub use breaker::{Breaker, BreakerRules, BreakerState, Pass, Refusing, Shift};
pub use errors::{Errors, Share};
pub use level::Level;
pub use objective::Objective;
pub use pace::{Pace, PaceTurn};
pub use retry::{Adjustment, Budget, RetryRules, pause};
pub use well::{Health, PerformanceRules, Seen, Trouble, Turn};

/// What went wrong with one attempt to ask a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fault {
    /// No connection, or nothing of the request had left.
    Unreachable,
    /// The connection broke after bytes of the request had left.
    BrokenOff,
    /// HTTP 5xx.
    Status,
    /// No whole answer within the deadline.
    TimedOut,
    /// JSON-RPC -32603.
    Internal,
    /// Another JSON-RPC error by which the peer says that it failed.
    Error,
}

impl Fault {
    /// Every fault.
    pub const ALL: [Self; 6] = [
        Self::Unreachable,
        Self::BrokenOff,
        Self::Status,
        Self::TimedOut,
        Self::Internal,
        Self::Error,
    ];

    /// The word that metrics and records use.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unreachable => "unreachable",
            Self::BrokenOff => "broken_off",
            Self::Status => "status",
            Self::TimedOut => "timed_out",
            Self::Internal => "internal_error",
            Self::Error => "error",
        }
    }

    /// Whether a breaker counts it.
    #[must_use]
    pub const fn trips(self) -> bool {
        !matches!(self, Self::Error)
    }

    /// Whether it is the peer that cannot be reached, and not one of its tools that fails. A tool that
    /// breaks its own connection is that tool's fault.
    #[must_use]
    pub const fn is_of_peer(self) -> bool {
        matches!(self, Self::Unreachable)
    }

    /// Whether the peer answered, in whatever words.
    #[must_use]
    pub const fn was_answered(self) -> bool {
        matches!(self, Self::Status | Self::Internal | Self::Error)
    }

    /// Whether it is told in JSON-RPC: an open event about the tool's shape may explain it.
    #[must_use]
    pub const fn is_json_rpc(self) -> bool {
        matches!(self, Self::Internal | Self::Error)
    }
}

#[cfg(test)]
mod tests;
