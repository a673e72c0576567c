//! What changed between two surfaces, and what each change does to a caller if nothing is done.

use serde::{Deserialize, Serialize};

use super::Change;
use crate::domain::contract::Surface;

/// The verdict over all changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Compatibility {
    /// Nothing that a caller could notice.
    Compatible,
    /// Only more than before.
    Additive,
    /// Some promised call or reply no longer means what it did.
    Breaking,
}

/// All changes between two surfaces, ordered by tool, face and pointer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Diff {
    /// The verdict.
    pub verdict: Compatibility,
    /// The changes.
    pub changes: Vec<Change>,
}

/// Compares what was promised with what is offered now.
#[must_use]
pub fn diff(_old: &Surface, _new: &Surface) -> Diff {
    Diff { verdict: Compatibility::Compatible, changes: Vec::new() }
}
