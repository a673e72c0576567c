//! The stable codes of what Stipula refuses.

use serde::{Deserialize, Serialize};

/// Stipula's own refusals: one stable code, one JSON-RPC number each. What each of them means, and how
/// it is told over other protocols, stands in one table: `wire::protocol::taxonomy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// -31001: policy.
    Policy,
    /// -31002: the peer's reply is malformed or broke its promise.
    ReplyBroken,
    /// -31003: the contract is expired or was tampered with.
    ContractInvalid,
    /// -31004: no routine for a drifted shape.
    NoRoutine,
    /// -31005: the peer is unreachable.
    Unreachable,
    /// -31006: the breaker is open.
    BreakerOpen,
    /// -31007: a decision is waiting for a person.
    Waiting,
    /// -31008: this caller asks too often.
    RateLimited,
    /// -31009: the peer did not answer within the deadline of the contract.
    Deadline,
    /// -32603: Stipula itself has no room.
    Overloaded,
    /// -32603: Stipula itself could not judge the reply.
    Undecided,
    /// -32600 under HTTP 413: more than the limit.
    TooLarge,
    /// -32700: not one strict JSON text.
    NotJson,
    /// -32600: not a message that can be carried.
    NotAMessage,
    /// -32020: headers differ from the body.
    HeaderMismatch,
    /// -32602: the agent is not shown a tool of this name.
    UnknownTool,
}

impl Code {
    /// Every code: ours in the order of their JSON-RPC numbers, then those that the protocol names.
    pub const ALL: [Self; 16] = [
        Self::Policy,
        Self::ReplyBroken,
        Self::ContractInvalid,
        Self::NoRoutine,
        Self::Unreachable,
        Self::BreakerOpen,
        Self::Waiting,
        Self::RateLimited,
        Self::Deadline,
        Self::Overloaded,
        Self::Undecided,
        Self::TooLarge,
        Self::NotJson,
        Self::NotAMessage,
        Self::HeaderMismatch,
        Self::UnknownTool,
    ];

    /// The JSON-RPC error code.
    #[must_use]
    pub const fn json_rpc(self) -> i32 {
        match self {
            Self::Policy => -31001,
            Self::ReplyBroken => -31002,
            Self::ContractInvalid => -31003,
            Self::NoRoutine => -31004,
            Self::Unreachable => -31005,
            Self::BreakerOpen => -31006,
            Self::Waiting => -31007,
            Self::RateLimited => -31008,
            Self::Deadline => -31009,
            Self::Overloaded | Self::Undecided => -32603,
            Self::TooLarge | Self::NotAMessage => -32600,
            Self::NotJson => -32700,
            Self::HeaderMismatch => -32020,
            Self::UnknownTool => -32602,
        }
    }

    /// The stable code of `docs/errors.md`; also the label of `stipula_refusals_total`.
    #[must_use]
    pub const fn stable(self) -> &'static str {
        match self {
            Self::Policy => "STP-POLICY",
            Self::ReplyBroken => "STP-REPLY-BROKEN",
            Self::ContractInvalid => "STP-CONTRACT-INVALID",
            Self::NoRoutine => "STP-NO-ROUTINE",
            Self::Unreachable => "STP-UNREACHABLE",
            Self::BreakerOpen => "STP-BREAKER-OPEN",
            Self::Waiting => "STP-WAITING",
            Self::RateLimited => "STP-RATE-LIMITED",
            Self::Deadline => "STP-DEADLINE",
            Self::Overloaded => "STP-OVERLOADED",
            Self::Undecided => "STP-UNDECIDED",
            Self::TooLarge => "STP-TOO-LARGE",
            Self::NotJson => "STP-NOT-JSON",
            Self::NotAMessage => "STP-NOT-A-MESSAGE",
            Self::HeaderMismatch => "STP-HEADER-MISMATCH",
            Self::UnknownTool => "STP-UNKNOWN-TOOL",
        }
    }
}
