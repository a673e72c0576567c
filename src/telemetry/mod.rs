//! Seen from outside: numbers, traces, logs, and every name they carry.
//!
//! ```text
//!   proxy, control, wire ── Metrics, PeerMetrics ──► /metrics   (plain atomics on the path)
//!                        ── Tracer, ExchangeSpan ──► OTLP       (nothing where not sampled)
//!                        ── tracing events ────────► stderr     (plain or JSON)
//! ```
//!
//! Never here: a payload, a header value or a credential; a label that a peer can grow; a lock or an
//! allocation on the path of an exchange that is not sampled.

mod histogram;
mod labels;
mod metrics;

pub use labels::{Approval, Dropped, Limit, NegotiationResult, ViolationKind};
pub use metrics::{Metrics, PeerMetrics};
