//! The section `patch`: how a patch that passed its gate comes into force.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a patch that passed its gate comes into force.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Patch {
    /// Exchanges that it must carry in shadow, beside what is in force, without a difference; 0: none.
    #[schemars(range(min = 0, max = 10_000))]
    pub(super) shadow_exchanges: u32,
}
