//! The second story: eight issue tools become three, as GitHub's did.
//!
//! ```text
//!   all tools called ─► the release comes amid four readers ─► reads heal by themselves
//!        writes are held ─► one approval at the admin listener ─► all tools called again
//! ```
//!
//! The two surfaces are the real ones (`fixtures/demo/consolidation`); the server behind them is ours.

mod account;
mod issues;
mod plan;
mod story;

pub use story::play;
