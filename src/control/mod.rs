//! The slow loop: seals on first use, reads the surface again, heals, seals, swaps, keeps evidence.
//!
//! ```text
//!   observations ──► intake ──► one actor a peer ──► review: read the surface, compare
//!                                   │                   │ something differs
//!                                   │                   ▼
//!                                   │       open event ─ propose ─ gate ─ prove ─ replay
//!                                   │                   ▼
//!                                   └──► scribe (ledger, log first) ──► seal ──► switchboard
//! ```
//!
//! Where the matcher leaves something open, advisors are asked beside the actor (`negotiate`).
//!
//! Never here: an exchange that waits for this room (it waits for a snapshot, in `live`); a swap
//! whose seal is not durable; two things done to one peer at the same time.

mod access;
mod actor;
mod adjust;
mod adopt;
pub mod advisor;
mod approvals;
mod audience;
mod beside;
mod bindings;
mod callers;
mod capability;
mod chain;
mod configure;
mod escalate;
mod events;
mod freshness;
mod handle;
mod heal;
mod intake;
mod lag;
mod laps;
mod learn;
mod meaning;
mod negotiate;
mod note;
pub mod notify;
mod obey;
mod performance;
mod policy;
mod replay;
mod reshape;
mod review;
mod samples;
mod scribe;
mod seal;
mod settings;
mod settle;
mod shadow;
mod status;
mod window;

pub use configure::Anew;
pub use handle::{Handle, HandleError};
pub use intake::{Control, Parts, PeerParts, Running};
pub use settings::{Adopt, PeerSettings, PolicySettings, SealPolicy, Semantic, Settings};
pub use status::{
    Affected, ApprovalShown, ApprovalStatus, BundleShown, BundleStatus, EventStatus, PeerStatus,
    RuleShown, ShadowStatus, Status, Told, ToolStatus, Why,
};
