//! The section `drift`: what is noticed beside the surface.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::control;
use crate::domain::drift::profile::ProfileSettings;
use crate::domain::message::Millis;

/// What is noticed beside the surface.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Drift {
    /// Replies of the promised shape whose values mean something else.
    pub(super) semantic: Semantic,
    /// Who may call, how often, and who gives access.
    pub(super) policy: Policy,
}

/// Who may call, how often, and who gives access.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Policy {
    /// Whether refused callers, advertised limits and OAuth metadata are followed.
    pub(super) on: bool,
    /// Per cent by which an advertised limit must fall, and more, to be drift.
    #[schemars(range(min = 1, max = 99))]
    pub(super) limit_drop: u32,
    /// How often the OAuth metadata of the peer's own origin are read; only of a peer that is called
    /// with credentials.
    #[schemars(range(min = 100))]
    pub(super) metadata_ms: u64,
}

impl Default for Policy {
    fn default() -> Self {
        let control::PolicySettings { on, limit_drop, metadata_every } =
            control::PolicySettings::default();
        Self { on, limit_drop, metadata_ms: metadata_every.0 }
    }
}

impl Policy {
    /// As the control plane is told.
    pub(super) const fn settings(&self) -> control::PolicySettings {
        control::PolicySettings {
            on: self.on,
            limit_drop: self.limit_drop,
            metadata_every: Millis(self.metadata_ms),
        }
    }
}

/// Replies of the promised shape whose values mean something else.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Semantic {
    /// Whether profiles are kept of what the values of replies are like.
    pub(super) on: bool,
    /// Calls of a batch that is compared.
    #[schemars(range(min = 1, max = 1_000))]
    pub(super) every_calls: u32,
    /// A batch ends after this time, however few its calls are.
    #[schemars(range(min = 100))]
    pub(super) every_ms: u64,
    /// Replies of a tool that its first profile is made of; nothing is compared before.
    #[schemars(range(min = 20, max = 100_000))]
    pub(super) samples: u32,
    /// Points that the profile score (0 to 100) must drop by, and more, to open an event. 2.5 points
    /// stand for a chance that is ten times as small.
    #[schemars(range(min = 1, max = 99))]
    pub(super) drop: u32,
}

impl Default for Semantic {
    fn default() -> Self {
        let control::Semantic { on, profile, every } = control::Semantic::default();
        Self {
            on,
            every_calls: profile.every_calls,
            every_ms: every.0,
            samples: profile.least,
            drop: profile.drop,
        }
    }
}

impl Semantic {
    /// As the control plane is told.
    pub(super) const fn settings(&self) -> control::Semantic {
        control::Semantic {
            on: self.on,
            profile: ProfileSettings {
                every_calls: self.every_calls,
                least: self.samples,
                drop: self.drop,
            },
            every: Millis(self.every_ms),
        }
    }
}
