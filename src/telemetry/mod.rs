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

mod families;
mod histogram;
mod labels;
mod load;
mod logs;
mod metrics;
pub mod names;
mod otlp;
mod trace;

pub use labels::{
    AdvisorOutcome, Approval, Dropped, HealStage, Held, Limit, NegotiationResult, Reloaded,
    Retried, Shadow, Shed, ViolationKind, Webhook,
};
pub use load::Load;
pub use logs::{LogFormat, Settings, change_filter, check_filter, start_logs};
pub use metrics::{Metrics, PeerMetrics};
pub use otlp::TraceError;
pub use trace::{ExchangeSpan, StepSpan, Tracer};
