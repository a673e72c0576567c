//! Bytes on one side, messages on the other: transports carry, protocols read.
//!
//! ```text
//!   agent ══► server ─ strict ─ guard ─► Request<Body> ─► (proxy) ─► Upstream ══► peer
//!   agent ◄══ Body  ◄──────────────────  Response<Body> ◄──────────  Body     ◄══ peer
//!                      protocol::mcp: envelope, headers, refusals, our own client
//! ```
//!
//! Never here: a verdict on what a message says, a contract, a header value or a body in a log.

pub mod protocol;
pub mod transport;
