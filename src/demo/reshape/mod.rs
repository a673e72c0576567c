//! The third story: a tool goes on listing what it listed and starts to answer less.
//!
//! ```text
//!   create_issue called ─► terms inferred from its replies ─► it answers {"id","url"} from now on
//!        drift with the first reply ─► html_url and number carried over, title and state named
//! ```
//!
//! The definition is GitHub's real one (`fixtures/demo/consolidation`); the server behind it is ours.

mod server;
mod story;

pub use story::play;
