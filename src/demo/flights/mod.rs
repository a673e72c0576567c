//! The first story: a search tool changes its shape; observed first, then healed.
//!
//! ```text
//!   baseline (60 calls) ─► the server changes, observed (60) ─► enforced and healed (60)
//! ```

mod report;
mod server;
mod story;

pub use report::{Phase, Report};
pub use story::play;
