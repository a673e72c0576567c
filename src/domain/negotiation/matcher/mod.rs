//! The deterministic matcher: from two surfaces to candidates, without a model and without a guess.

use super::Candidate;
use crate::domain::contract::Surface;

/// A candidate for every promised tool whose meaning changed or that is gone, where one can be made.
/// What could not be settled stands in [`Candidate::open`].
#[must_use]
pub fn propose(_old: &Surface, _new: &Surface) -> Vec<Candidate> {
    Vec::new()
}
