//! The one table of what Stipula refuses: who must act, whether to try again, and how each protocol
//! says it. `docs/errors.md` is this table, written out.

use crate::domain::message::Code;

/// Who must act.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The peer broke its word.
    Peer,
    /// The caller sent what cannot be carried.
    Caller,
    /// A rule, a mode or a pending decision.
    Configured,
    /// Stipula.
    Ours,
}

impl Blame {
    /// The word in `docs/errors.md`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Caller => "caller",
            Self::Configured => "operator",
            Self::Ours => "Stipula",
        }
    }
}

/// Whether the same request may work later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retry {
    /// Not without a change.
    Never,
    /// It may; `data.retry_after_ms` says when, where that is known.
    Later,
    /// `data.retryable` of the answer says.
    AsTold,
}

impl Retry {
    /// The word in `docs/errors.md`.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Never => "no",
            Self::Later => "later",
            Self::AsTold => "as `retryable` says",
        }
    }
}

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The code.
    pub code: Code,
    /// Who must act.
    pub blame: Blame,
    /// Whether to try again.
    pub retry: Retry,
    /// HTTP status of the answer to an MCP request: 200 wherever the protocol does not demand
    /// otherwise, because many clients lose the message, and some their session, on any other.
    pub http: u16,
    /// HTTP status where there is no JSON-RPC message to carry the code.
    pub bare_http: u16,
    /// The gRPC status.
    pub grpc: Grpc,
    /// What happened.
    pub meaning: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

/// The gRPC statuses that are used, by their numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Grpc {
    /// `INVALID_ARGUMENT`.
    InvalidArgument = 3,
    /// `DEADLINE_EXCEEDED`.
    DeadlineExceeded = 4,
    /// `NOT_FOUND`.
    NotFound = 5,
    /// `PERMISSION_DENIED`.
    PermissionDenied = 7,
    /// `RESOURCE_EXHAUSTED`.
    ResourceExhausted = 8,
    /// `FAILED_PRECONDITION`.
    FailedPrecondition = 9,
    /// `INTERNAL`.
    Internal = 13,
    /// `UNAVAILABLE`.
    Unavailable = 14,
}

impl Grpc {
    /// The name of the status.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::NotFound => "NOT_FOUND",
            Self::PermissionDenied => "PERMISSION_DENIED",
            Self::ResourceExhausted => "RESOURCE_EXHAUSTED",
            Self::FailedPrecondition => "FAILED_PRECONDITION",
            Self::Internal => "INTERNAL",
            Self::Unavailable => "UNAVAILABLE",
        }
    }
}

/// What is said of a code.
#[must_use]
pub const fn entry(code: Code) -> Entry {
    let (blame, retry, http, bare_http, grpc) = told(code);
    let (meaning, remedy) = explained(code);
    Entry { code, blame, retry, http, bare_http, grpc, meaning, remedy }
}

const fn told(code: Code) -> (Blame, Retry, u16, u16, Grpc) {
    use Blame::{Caller, Configured, Ours, Peer};
    use Retry::{AsTold, Later, Never};
    match code {
        Code::Policy => (Configured, Never, 403, 403, Grpc::PermissionDenied),
        Code::ReplyBroken => (Peer, Never, 200, 502, Grpc::Internal),
        Code::ContractInvalid => (Configured, Never, 200, 503, Grpc::FailedPrecondition),
        Code::NoRoutine => (Peer, AsTold, 200, 502, Grpc::FailedPrecondition),
        Code::Unreachable => (Peer, Later, 200, 502, Grpc::Unavailable),
        Code::BreakerOpen => (Peer, Later, 200, 503, Grpc::Unavailable),
        Code::Waiting => (Configured, Later, 200, 503, Grpc::FailedPrecondition),
        Code::RateLimited => (Caller, Later, 200, 429, Grpc::ResourceExhausted),
        Code::Deadline => (Peer, AsTold, 200, 504, Grpc::DeadlineExceeded),
        Code::Overloaded => (Ours, Later, 200, 503, Grpc::Unavailable),
        Code::Undecided => (Ours, Never, 200, 500, Grpc::Internal),
        Code::TooLarge => (Caller, Never, 413, 413, Grpc::ResourceExhausted),
        Code::NotJson | Code::NotAMessage | Code::HeaderMismatch => {
            (Caller, Never, 400, 400, Grpc::InvalidArgument)
        }
        Code::UnknownTool => (Caller, Never, 200, 404, Grpc::NotFound),
    }
}

const fn explained(code: Code) -> (&'static str, &'static str) {
    match code {
        Code::Policy => {
            ("The caller may not do this.", "Change the policy, or call as somebody else.")
        }
        Code::ReplyBroken => (
            "The peer's reply is malformed or broke its promise.",
            "`stipula what-drifted`; the call ran, do not repeat a write.",
        ),
        Code::ContractInvalid => (
            "The contract is expired or was tampered with.",
            "`stipula ledger verify DIR`, then seal again.",
        ),
        Code::NoRoutine => (
            "The tool changed and nothing carries the call over, or not yet (`retryable: true`).",
            "Try again where it is retryable; else `stipula why ID`.",
        ),
        Code::Unreachable => ("The peer does not answer.", "Check the peer and its URL."),
        Code::BreakerOpen => (
            "The breaker is open: the peer fails, or the tool is gone.",
            "Wait, or mend the peer; `stipula why ID` tells which.",
        ),
        Code::Waiting => ("A person must decide.", "`stipula approvals list`."),
        Code::RateLimited => (
            "This caller asks this tool more often than it may.",
            "Wait for `retry_after_ms`, or raise its limit.",
        ),
        Code::Deadline => (
            "The peer did not answer within the deadline of the contract.",
            "`executed` says whether it may have run; do not repeat a write.",
        ),
        Code::Overloaded => (
            "Stipula has no room for this exchange.",
            "Wait for `retry_after_ms`; raise the limit that `stipula_limits_total` names.",
        ),
        Code::Undecided => (
            "Stipula itself could not judge the reply, and withheld it (`failing`).",
            "The call ran, do not repeat a write; the log tells why, please report it.",
        ),
        Code::TooLarge => (
            "The request, or one argument of it, is larger than the limit.",
            "Send less, or raise the limit that `stipula_limits_total` names.",
        ),
        Code::NotJson => ("The body is not one strict JSON text.", "Mend the caller."),
        Code::NotAMessage => (
            "The body is JSON, and no message that can be carried.",
            "Mend the caller; requests under contract are sent one by one, not in a batch.",
        ),
        Code::HeaderMismatch => {
            ("The headers of a request differ from its body.", "Mend the caller.")
        }
        Code::UnknownTool => {
            ("The agent is not shown a tool of this name.", "List the tools again.")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn ours_are_told_apart_and_stand_outside_the_protocols_range() {
        let names: BTreeSet<&str> = Code::ALL.iter().map(|code| code.stable()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        let ours = Code::ALL.map(Code::json_rpc).into_iter().filter(|code| *code > -32_000);
        let ours: Vec<i32> = ours.collect();
        assert_eq!(ours, (-31_009..=-31_001).rev().collect::<Vec<_>>());
    }

    #[test]
    fn only_a_callers_fault_or_a_policy_changes_the_status_of_a_message() {
        for entry in Code::ALL.map(entry) {
            assert!(
                entry.http == 200 || matches!(entry.blame, Blame::Caller | Blame::Configured),
                "{entry:?}"
            );
            assert!((400..600).contains(&entry.bare_http), "{entry:?}");
        }
    }
}
