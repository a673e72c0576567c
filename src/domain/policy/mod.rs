//! Who may ask: principals and what they present. Time is an argument.
//!
//! Never here: a credential in a `Debug` text, a record or a message.

mod advertised;
mod audience;
mod grants;
mod standing;

use std::fmt;

use bytes::Bytes;

use crate::domain::message::{Era, Principal};

pub use advertised::Advertised;
pub use audience::{Absences, Audience};
pub use grants::{Grants, GrantsChange};
pub use standing::{Challenge, Denied, Standing};

/// Who calls, and with what a request that is made because of that call may travel.
#[derive(Clone)]
pub struct Caller {
    /// Who it is, without its credential.
    pub principal: Principal,
    /// The era it speaks.
    pub era: Era,
    /// Its request headers that authenticate it or tie it to a session (`Authorization`, `Cookie`,
    /// `Mcp-Session-Id`, `MCP-Protocol-Version`), as they came.
    pub headers: http::HeaderMap,
    /// JSON text of its `params._meta` (modern era), as it came.
    pub meta: Option<Bytes>,
}

impl fmt::Debug for Caller {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Caller")
            .field("principal", &self.principal)
            .field("era", &self.era)
            .finish_non_exhaustive()
    }
}
