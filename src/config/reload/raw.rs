//! The section `reload` as it is written.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a changed configuration is put in force.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(in crate::config) struct Reload {
    /// Put this file in force again whenever it changes; SIGHUP and the admin listener do it too.
    pub(in crate::config) watch: bool,
}

impl Default for Reload {
    fn default() -> Self {
        Self { watch: true }
    }
}
