//! The words every room speaks: names, ids, moments, verdicts.
//!
//! Never here: bytes of a transport, headers, anything that one protocol alone knows.

mod ambient;
mod capability;
mod code;
mod names;
mod recorded;
mod secret;
mod verdict;

pub use ambient::{Clock, Dice};
pub use capability::{Capability, CapabilityMethod, CapabilityMethods};
pub use code::Code;
pub use names::{
    Digest, Era, Generation, Millis, PeerId, Principal, RequestId, ToolName, UnixMillis,
};
pub use recorded::{holds_secret, leave_secrets_out};
pub use secret::Secret;
pub use verdict::{Executed, Verdict, VerdictNote};
