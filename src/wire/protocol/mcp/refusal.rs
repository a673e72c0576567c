//! What an agent is told instead of its peer's reply. What a code means, and its status, stands in
//! [`crate::wire::protocol::taxonomy`].

use serde_json::{Value, json};

use super::verdict;
use crate::domain::json::ParseError;
use crate::domain::message::{Code, Era, Executed, Verdict, VerdictNote};
use crate::wire::protocol::taxonomy::{Retry, entry};

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
    /// This caller asks more often than it may.
    #[error("{0}")]
    RateLimited(String),
    /// The peer did not answer in the time that the contract gives it.
    #[error("the peer did not answer within {within_ms} ms")]
    Deadline {
        /// The deadline in milliseconds.
        within_ms: u64,
    },
    /// Stipula itself has no room.
    #[error("{0}")]
    Overloaded(String),
    /// Stipula itself could not judge the reply.
    #[error("the reply could not be judged and was withheld: {0}")]
    Undecided(String),
    /// A part of the request is larger than its own limit.
    #[error("expected {what} of at most {limit}, got {came}")]
    PartTooLarge {
        /// Which part, in words.
        what: &'static str,
        /// The limit, in the unit that `what` names.
        limit: usize,
        /// What came.
        came: usize,
    },
}

impl Refusal {
    /// The code that names it.
    #[must_use]
    pub const fn code(&self) -> Code {
        match self {
            Self::NotJson(_) => Code::NotJson,
            Self::NotAMessage(_) => Code::NotAMessage,
            Self::HeaderMismatch(_) => Code::HeaderMismatch,
            Self::TooLarge { .. } | Self::PartTooLarge { .. } => Code::TooLarge,
            Self::UnknownTool(_) => Code::UnknownTool,
            Self::NotCarried(_) => Code::NoRoutine,
            Self::Drifted { code, .. } => *code,
            Self::ContractInvalid(_) => Code::ContractInvalid,
            Self::Malformed(_) | Self::Broken(_) => Code::ReplyBroken,
            Self::Unreachable(_) => Code::Unreachable,
            Self::RateLimited(_) => Code::RateLimited,
            Self::Deadline { .. } => Code::Deadline,
            Self::Overloaded(_) => Code::Overloaded,
            Self::Undecided(_) => Code::Undecided,
        }
    }

    /// Whether the same request may work later.
    #[must_use]
    pub const fn retryable(&self) -> bool {
        match (entry(self.code()).retry, self) {
            (Retry::Later, _) => true,
            (Retry::AsTold, Self::Drifted { retryable, .. }) => *retryable,
            (Retry::Never | Retry::AsTold, _) => false,
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
    /// When the same request may work, in milliseconds from now, where that is known.
    pub retry_after_ms: Option<u64>,
}

impl Refused {
    /// A refusal of what no contract has a say in.
    #[must_use]
    pub fn plain(why: Refusal, executed: Executed) -> Self {
        let code = Some(why.code());
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
            stale: None,
        };
        Self { why, note, retry_after_ms: None }
    }

    /// The same, with the time after which to try again: `data.retry_after_ms`, and `Retry-After`
    /// where the status is not 200.
    #[must_use]
    pub fn after(self, milliseconds: u64) -> Self {
        Self { retry_after_ms: Some(milliseconds), ..self }
    }

    /// HTTP status of the answer.
    #[must_use]
    pub fn status(&self) -> u16 {
        entry(self.why.code()).http
    }

    /// The JSON-RPC message: an `isError` result where the call ran, an error otherwise. `id` is the
    /// request's own text; without one the member is left out, as the modern revision asks.
    #[must_use]
    pub fn body(&self, id: Option<&str>, era: Era) -> Vec<u8> {
        let code = self.why.code();
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
            told["code"] = Value::from(code.json_rpc());
            told["error"] = Value::from(code.stable());
            told["retryable"] = Value::from(self.why.retryable());
            if let Some(after) = self.retry_after_ms {
                told["retry_after_ms"] = Value::from(after);
            }
            let message = self.why.to_string();
            let error = json!({ "code": code.json_rpc(), "message": message, "data": told });
            out.extend_from_slice(format!("\"error\":{error}}}").as_bytes());
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_may_try_again_is_told_when() {
        let why = Refusal::RateLimited("7 calls in a second, and 5 are allowed".to_owned());
        let refused = Refused::plain(why, Executed::No).after(1_250);
        let told: Value = serde_json::from_slice(&refused.body(Some("7"), Era::Legacy)).unwrap();
        let (error, data) = (&told["error"], &told["error"]["data"]);
        assert_eq!((&told["id"], &error["code"]), (&json!(7), &json!(-31_008)));
        assert_eq!(
            (&data["error"], &data["retryable"]),
            (&json!("STP-RATE-LIMITED"), &json!(true))
        );
        assert_eq!((&data["retry_after_ms"], &data["executed"]), (&json!(1_250), &json!(false)));
        let why = Refusal::NotAMessage("a batch".to_owned());
        let refused = Refused::plain(why, Executed::No);
        let told: Value = serde_json::from_slice(&refused.body(None, Era::Modern)).unwrap();
        assert_eq!(told["error"]["data"]["retryable"], false);
        assert!(told["error"]["data"].get("retry_after_ms").is_none(), "{told}");
    }
}
