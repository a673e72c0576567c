//! MCP, bytes and words: what a message is, what its headers mirror, how a refusal is worded.
//!
//! ```text
//!   POST body ──► Posted ──► Envelope (spans)            headers::check, headers::derive
//!   reply     ──► incoming ──► CallResult ──► rewritten   spliced, never re-serialised
//!   Refusal   ──► Code ──► HTTP status and JSON-RPC body
//! ```
//!
//! Never here: a decision about a contract; a type that drops a member it does not know.

mod envelope;
mod headers;
pub mod peer;
mod recoded;
mod refusal;
mod reply;
mod verdict;

pub use envelope::{Envelope, EnvelopeError, META_VERSION, Method, Posted, Shape};
pub use headers::{METHOD, Mirror, NAME, SESSION, VERSION, check, derive, encode};
pub use recoded::recoded;
pub use refusal::{Refusal, Refused};
pub use reply::{
    CallResult, Incoming, Reply, ResultType, equal, incoming, looks_like_rejection,
    may_be_document, result_of_task, rewritten, sole_text, speaks_of_arguments, task_id,
    with_result_of,
};
pub use verdict::KEY as VERDICT_KEY;
