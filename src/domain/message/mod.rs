//! The words every room speaks: names, ids, moments, verdicts.
//!
//! Never here: bytes of a transport, headers, anything that one protocol alone knows.

mod ambient;
mod names;
mod verdict;

pub use ambient::{Clock, Dice};
pub use names::{
    Digest, Era, Generation, Millis, PeerId, Principal, RequestId, ToolName, UnixMillis,
};
pub use verdict::{Code, Executed, Verdict, VerdictNote};
