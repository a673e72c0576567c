//! The section `failing`: what becomes of a reply that cannot be judged, by what is at stake.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::proxy::{self, Failure};

/// What becomes of a reply that Stipula itself cannot judge or record, by what is at stake.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Failing {
    /// The tool promises nothing of its replies.
    pub(super) low: Way,
    /// The tool only reads.
    pub(super) medium: Way,
    /// The tool may write.
    pub(super) high: Way,
    /// The tool says that it destroys.
    pub(super) critical: Way,
}

/// Open or closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub(super) enum Way {
    /// It is delivered as it came, and counted as waived.
    Open,
    /// It is withheld.
    Closed,
}

impl Default for Failing {
    fn default() -> Self {
        let Failure { low, medium, high, critical } = Failure::default();
        let way = |failing| match failing {
            proxy::Failing::Open => Way::Open,
            proxy::Failing::Closed => Way::Closed,
        };
        Self { low: way(low), medium: way(medium), high: way(high), critical: way(critical) }
    }
}

impl Failing {
    pub(super) fn build(&self) -> Failure {
        let of = |way| match way {
            Way::Open => proxy::Failing::Open,
            Way::Closed => proxy::Failing::Closed,
        };
        let Self { low, medium, high, critical } = self;
        Failure { low: of(*low), medium: of(*medium), high: of(*high), critical: of(*critical) }
    }
}
