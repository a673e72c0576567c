//! The slow loop: seals on first use, reads the surface again, heals, seals, swaps, keeps evidence.

mod settings;
mod status;

pub use settings::{Adopt, PeerSettings, SealPolicy, Settings};
pub use status::{ApprovalStatus, EventStatus, PeerStatus, Status, Told, ToolStatus, Why};
