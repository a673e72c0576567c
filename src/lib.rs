//! Stipula: `fn(Reply, Contract) -> Kept | Mended | Waived | Refused`, inline, for agents whose
//! tools change.
//!
//! A sidecar proxy between an agent and the MCP servers it calls. It seals what was agreed, holds
//! every reply against it, and when a peer changes, proves a declarative routine that carries calls
//! over before it swaps it in. `docs/ARCHITECTURE.md` is the map; read `domain` first.
//!
//! ```text
//!   agent ──► wire ──► proxy ──► wire ──► peer        every exchange
//!                       │  ▲
//!          observations ▼  │ snapshot (arc-swap)
//!                     control ──► store               only when something drifted
//! ```

pub mod admin;
pub mod app;
pub mod cli;
pub mod config;
pub mod control;
#[cfg(feature = "demo")]
pub mod demo;
pub mod domain;
pub mod live;
pub mod proxy;
pub mod store;
pub mod telemetry;
pub mod wire;
