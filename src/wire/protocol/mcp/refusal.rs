//! What an agent is told instead of its peer's reply: one table from a refusal to HTTP and JSON-RPC.
//!
//! A refusal of a request is HTTP 200 with the request's id wherever the protocol does not demand
//! otherwise: many clients lose the message, and some their whole session, on any other status.

use serde_json::{Value, json};

use super::verdict;
use crate::domain::json::ParseError;
use crate::domain::message::{Code, Era, Executed, Verdict, VerdictNote};

/// Why an exchange does not end with the peer's reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The body is not one strict JSON text.
    #[error("expected one JSON text with unique keys: {0}")]
    NotJson(ParseError),
    /// The body is JSON, but not a message that can be carried.
    #[error("{0}")]
    NotAMessage(String),
    /// A modern request's headers differ from its body.
    #[error("{0}")]
    HeaderMismatch(String),
    /// The request is larger than the limit.
    #[error("the request is larger than {limit} bytes")]
    TooLarge {
        /// The limit in bytes.
        limit: usize,
    },
    /// The agent is not shown a tool of this name.
    #[error("Unknown tool: {0}")]
    UnknownTool(String),
    /// The routine does not carry these arguments over.
    #[error("this call cannot be carried over to what the peer offers now: {0}")]
    NotCarried(String),
    /// A tool that changed, and what that means for this call.
    #[error("{why}")]
    Drifted {
        /// [`Code::NoRoutine`], [`Code::Waiting`] or [`Code::BreakerOpen`].
        code: Code,
        /// Why, in words.
        why: String,
        /// Whether the same call may work in a moment.
        retryable: bool,
    },
    /// The contract cannot be relied on.
    #[error("{0}")]
    ContractInvalid(String),
    /// What came is no reply to this request: malformed, cut, or another's.
    #[error("the peer's reply is malformed and was withheld: {0}")]
    Malformed(String),
    /// The peer answered and the answer breaks its promise.
    #[error("{0}")]
    Broken(String),
    /// No whole reply came.
    #[error("the peer could not be reached: {0}")]
    Unreachable(String),
    /// Stipula itself has no room.
    #[error("{0}")]
    Overloaded(String),
}

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

/// A row of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// Who must act.
    pub blame: Blame,
    /// HTTP status.
    pub status: u16,
    /// JSON-RPC error code.
    pub code: i32,
    /// The stable code of `docs/errors.md`.
    pub stable: &'static str,
    /// Ours, where it is one of the refusals that the verdict names.
    pub own: Option<Code>,
    /// Whether the same request may work later.
    pub retryable: bool,
}

impl Refusal {
    /// The row of the table.
    #[must_use]
    pub fn row(&self) -> Row {
        let caller = |status, code, stable| Row {
            blame: Blame::Caller,
            status,
            code,
            stable,
            own: None,
            retryable: false,
        };
        let own = |blame, code: Code, retryable| Row {
            blame,
            status: 200,
            code: code.json_rpc(),
            stable: code.stable(),
            own: Some(code),
            retryable,
        };
        match self {
            Self::NotJson(_) => caller(400, -32700, "STP-NOT-JSON"),
            Self::NotAMessage(_) => caller(400, -32600, "STP-NOT-A-MESSAGE"),
            Self::HeaderMismatch(_) => caller(400, -32020, "STP-HEADER-MISMATCH"),
            Self::TooLarge { .. } => caller(413, -32600, "STP-TOO-LARGE"),
            Self::UnknownTool(_) => caller(200, -32602, "STP-UNKNOWN-TOOL"),
            Self::NotCarried(_) => own(Blame::Peer, Code::NoRoutine, false),
            Self::Drifted { code: Code::Waiting, .. } => {
                own(Blame::Configured, Code::Waiting, true)
            }
            Self::Drifted { code, retryable, .. } => own(Blame::Peer, *code, *retryable),
            Self::ContractInvalid(_) => own(Blame::Configured, Code::ContractInvalid, false),
            Self::Malformed(_) | Self::Broken(_) => own(Blame::Peer, Code::ReplyBroken, false),
            Self::Unreachable(_) => own(Blame::Peer, Code::Unreachable, true),
            Self::Overloaded(_) => Row {
                blame: Blame::Ours,
                status: 200,
                code: -32603,
                stable: "STP-OVERLOADED",
                own: None,
                retryable: true,
            },
        }
    }
}

/// A refusal with all that its answer says.
#[derive(Clone, Debug)]
pub struct Refused {
    /// Why.
    pub why: Refusal,
    /// The contract in force, the drift, and whether the peer ran the call.
    pub note: VerdictNote,
}

impl Refused {
    /// A refusal of what no contract has a say in.
    #[must_use]
    pub fn plain(why: Refusal, executed: Executed) -> Self {
        let code = why.row().own;
        let note = VerdictNote {
            verdict: Verdict::Refused,
            contract: None,
            version: None,
            drift: None,
            code,
            executed,
            missing: Vec::new(),
            changed: Vec::new(),
            inferred: None,
        };
        Self { why, note }
    }

    /// HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        self.why.row().status
    }

    /// The JSON-RPC message: an `isError` result where the call ran, an error otherwise. `id` is the
    /// request's own text; without one the member is left out, as the modern revision asks.
    #[must_use]
    pub fn body(&self, id: Option<&str>, era: Era) -> Vec<u8> {
        let row = self.why.row();
        let mut out = b"{\"jsonrpc\":\"2.0\",".to_vec();
        match (id, era) {
            (Some(id), _) => out.extend_from_slice(format!("\"id\":{id},").as_bytes()),
            (None, Era::Legacy) => out.extend_from_slice(b"\"id\":null,"),
            (None, Era::Modern) => {}
        }
        let mut told = verdict::value(&self.note);
        if self.note.executed == Executed::Yes {
            let mut result = json!({
                "content": [{ "type": "text", "text": self.why.to_string() }],
                "isError": true,
                "_meta": { verdict::KEY: told },
            });
            if era == Era::Modern {
                result["resultType"] = Value::from("complete");
            }
            out.extend_from_slice(format!("\"result\":{result}}}").as_bytes());
        } else {
            told["code"] = Value::from(row.code);
            told["error"] = Value::from(row.stable);
            told["retryable"] = Value::from(row.retryable);
            let error = json!({ "code": row.code, "message": self.why.to_string(), "data": told });
            out.extend_from_slice(format!("\"error\":{error}}}").as_bytes());
        }
        out
    }
}
