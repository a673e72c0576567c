//! What an answer's head told of the caller's access.

use serde::{Deserialize, Serialize};

use super::Advertised;

/// What a refusal asks for (RFC 6750, RFC 9728): names only, bounded, and never a credential.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Challenge {
    /// `bearer`, `basic`, ….
    pub scheme: String,
    /// The host that `resource_metadata` names.
    pub metadata_host: Option<String>,
    /// The scopes that are asked for.
    pub scope: Option<String>,
    /// Why, by the peer's word: `invalid_token`, `insufficient_scope`.
    pub error: Option<String>,
}

/// A call that was refused for who made it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    /// 401 or 403.
    pub status: u16,
    /// The same caller was let through to the same tool before.
    pub was_allowed: bool,
    /// What the refusal asks for.
    pub challenge: Option<Challenge>,
}

/// What the head of an answer told beside its reply, where that is news.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// The caller was refused.
    pub denied: Option<Box<Denied>>,
    /// Another limit is advertised than in the answer before.
    pub advertised: Option<Advertised>,
    /// The caller was let through, and somebody was refused of late.
    pub let_through: bool,
}

impl Standing {
    /// Whether the control plane is to know who called.
    #[must_use]
    pub const fn is_news(&self) -> bool {
        self.denied.is_some() || self.advertised.is_some() || self.let_through
    }
}
