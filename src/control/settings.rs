//! What the control plane is told by configuration.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::domain::contract::{Constraints, Signer};
use crate::domain::drift::profile::ProfileSettings;
use crate::domain::health::{BreakerRules, PerformanceRules, RetryRules};
use crate::domain::message::{Millis, PeerId};
use crate::live::Mode;

/// When a peer's contract is sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum SealPolicy {
    /// When the first agent lists or calls.
    #[default]
    FirstUse,
    /// Only by `stipula seal`.
    Manual,
}

/// Which additions of a peer are sealed and shown by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Adopt {
    /// Read-only tools and optional fields whose text passes rule 5.
    #[default]
    Additions,
    /// Everything.
    All,
    /// Nothing.
    Manual,
}

/// How policy is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PolicySettings {
    /// Whether refused callers, advertised limits and OAuth metadata are followed.
    pub on: bool,
    /// Per cent by which an advertised limit must fall, and more, to be drift.
    pub limit_drop: u32,
    /// How often the OAuth metadata of the configured origin are read, of a peer that is called with
    /// credentials.
    pub metadata_every: Millis,
}

impl Default for PolicySettings {
    fn default() -> Self {
        Self { on: true, limit_drop: 50, metadata_every: Millis(300_000) }
    }
}

/// What holds for one peer. Times in milliseconds.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerSettings {
    /// The name the operator gave it.
    pub id: PeerId,
    /// Origin of its URL, or its command line: half of its identity.
    pub identity: String,
    /// Its mode; where none is set, `observe` until sealed and `enforce` from then on.
    pub mode: Option<Mode>,
    /// Modes of single tools.
    pub tools: BTreeMap<String, Mode>,
    /// When it is sealed.
    pub seal: SealPolicy,
    /// How long a contract lives: 1 h to 30 d.
    pub lifetime: Millis,
    /// Age at which the surface is read again; where none is set, as `design/4` says.
    pub max_age: Option<Millis>,
    /// At most one re-read because of refusals in this span.
    pub reread_slot: Millis,
    /// Whether read-only tools may be asked again for paired replay.
    pub replay_live: bool,
    /// Samples a replay needs where the proof is unknown.
    pub replay_min: usize,
    /// How many recent exchanges of a tool are kept for replay.
    pub recordings: usize,
    /// Replies of a tool that declares no schema for them, from which terms are inferred; 0: none are.
    pub inference_samples: u64,
    /// Exchanges under watch after a swap.
    pub watch_exchanges: u32,
    /// Exchanges that a patch must carry in shadow before it is in force; 0: none.
    pub shadow_exchanges: u32,
    /// Misses in the watch that roll back.
    pub failure_threshold: u32,
    /// Which additions are sealed by themselves.
    pub adopt: Adopt,
    /// Hold replies to their declared terms from the first call on.
    pub terms_declared: bool,
    /// How long a proposal waits for a person.
    pub approval_expiry: Millis,
    /// How long it may take to answer a call; what the contract states where none is set.
    pub deadline: Option<Millis>,
    /// When a tool is left alone.
    pub breaker: BreakerRules,
    /// How often a call is tried again.
    pub retry: RetryRules,
    /// What its contract states; what is absent stays as it was sealed.
    pub constraints: Constraints,
    /// When a tool counts as slow or failing.
    pub performance: PerformanceRules,
    /// How what replies mean is followed.
    pub semantic: Semantic,
    /// How policy is followed.
    pub policy: PolicySettings,
}

/// How what replies mean is followed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Semantic {
    /// Whether it is.
    pub on: bool,
    /// What profiles are held by.
    pub profile: ProfileSettings,
    /// A batch ends after this time, however few its calls are.
    pub every: Millis,
}

impl Default for Semantic {
    fn default() -> Self {
        Self { on: true, profile: ProfileSettings::default(), every: Millis(300_000) }
    }
}

impl PeerSettings {
    /// The shipped defaults for a peer.
    #[must_use]
    pub fn new(id: PeerId, identity: impl Into<String>) -> Self {
        Self {
            id,
            identity: identity.into(),
            mode: None,
            tools: BTreeMap::new(),
            seal: SealPolicy::FirstUse,
            lifetime: Millis(7 * 24 * 3_600_000),
            max_age: None,
            reread_slot: Millis(1_000),
            replay_live: true,
            replay_min: 5,
            recordings: 8,
            inference_samples: 20,
            watch_exchanges: 20,
            shadow_exchanges: 0,
            failure_threshold: 2,
            adopt: Adopt::Additions,
            terms_declared: false,
            approval_expiry: Millis(24 * 3_600_000),
            semantic: Semantic::default(),
            deadline: None,
            breaker: BreakerRules::default(),
            retry: RetryRules::default(),
            constraints: Constraints::default(),
            performance: PerformanceRules::default(),
            policy: PolicySettings::default(),
        }
    }

    /// The mode of a tool of this peer, given whether a contract is sealed.
    #[must_use]
    pub fn mode_of(&self, tool: &str, sealed: bool) -> Mode {
        self.tools.get(tool).copied().unwrap_or_else(|| self.mode_now(sealed))
    }

    /// The mode of tools that have none of their own.
    #[must_use]
    pub fn mode_now(&self, sealed: bool) -> Mode {
        self.mode.unwrap_or(if sealed { Mode::Enforce } else { Mode::Observe })
    }
}

/// What holds for the whole room.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The peers.
    pub peers: Vec<PeerSettings>,
    /// How long counted exchanges wait before they are written to the ledger.
    pub evidence_every: Millis,
    /// Compiled routines kept in memory.
    pub cached_routines: usize,
    /// Who signs what is sealed; contracts carry a hash alone where there is none.
    pub signer: Option<Arc<Signer>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            peers: Vec::new(),
            evidence_every: Millis(250),
            cached_routines: 1_000,
            signer: None,
        }
    }
}
