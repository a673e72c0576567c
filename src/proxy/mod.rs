//! The data plane: every exchange in a straight line, from the agent to its peer and back.
//!
//! ```text
//!   entry ─► admit ─► bind ─► mend ─► forward ─► judge ─► degrade ─► release
//!                      ▲                            │
//!                 switchboard                 observation ─► control
//! ```
//!
//! Never here: a disk, a model, a wait without a bound, a reply re-serialised that kept its promise.

mod admit;
mod ask;
mod bind;
mod call;
mod capability;
mod crowd;
mod degrade;
mod entry;
mod events;
mod failing;
mod forward;
mod gateway;
mod hold;
mod judge;
mod listing;
mod mend;
mod opening;
mod plan;
mod principal;
mod quota;
mod relay;
mod release;
mod report;
mod resilience;
mod rounds;
mod session;
mod settings;
mod share;
mod stack;
mod stale;
mod standing;
mod tape;
mod traced;

pub use failing::{Failing, Failure};
pub use gateway::{Doors, Gateway, Peer, Proxy};
pub use hold::HoldRules;
pub use settings::{Resilience, Routing, Settings};
pub use share::{Rate, Rates, Share, Sharing, Sizes, ToolShare};
pub use stale::StaleRules;
