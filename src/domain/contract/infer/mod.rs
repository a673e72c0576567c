//! Terms for replies that their tool declares no schema for: what all samples have in common.
//!
//! ```text
//!   reply document ──► Generaliser::take ──► Shape (what was seen, place by place)
//!                                              └── enough samples ──► Inferred (a JSON Schema)
//! ```
//!
//! One sample is merged at a time and none is kept. The world stays open: a term says what a place
//! held whenever it was there, never that nothing else may stand beside it. Ranges, lengths and
//! magnitudes are no terms.
//!
//! Never here: more memory than the bounds below; a value of a payload in a term, save the constants
//! of a list that is clearly closed.

mod shape;
mod text;

use serde_json::Value;

use shape::{Budget, Shape};

/// Places that are followed in one tool's replies; what comes later stays open.
const PLACES: usize = 2_000;
/// Containers inside one another that are followed.
const DEPTH: usize = 16;

/// What was seen in the replies of one tool so far.
#[derive(Clone, Debug, Default)]
pub struct Generaliser {
    root: Shape,
    samples: u64,
    places: usize,
}

/// Terms that rest on samples alone.
#[derive(Clone, Debug, PartialEq)]
pub struct Inferred {
    /// The JSON Schema (2020-12) that every sample conforms to.
    pub schema: Value,
    /// How many samples it rests on.
    pub samples: u64,
}

impl Inferred {
    /// How sure a term is, 0 to 1: with the confidence of 95 %, at least this share of all replies
    /// keeps it, given that every sample did.
    #[must_use]
    pub fn confidence(&self) -> f64 {
        confidence(self.samples)
    }
}

/// As [`Inferred::confidence`], for terms that rest on so many samples.
#[must_use]
pub fn confidence(samples: u64) -> f64 {
    let samples = u32::try_from(samples).unwrap_or(u32::MAX);
    if samples == 0 { 0.0 } else { 0.05_f64.powf(1.0 / f64::from(samples)) }
}

impl Generaliser {
    /// Takes one reply document: `structuredContent`, the JSON that a text holds, or the text itself
    /// as a string where it holds none.
    pub fn take(&mut self, sample: &Value) {
        self.samples += 1;
        let mut budget =
            Budget { sample: self.samples, places: PLACES.saturating_sub(self.places) };
        let before = budget.places;
        self.root.take(sample, DEPTH, &mut budget);
        self.places += before - budget.places;
    }

    /// How many samples were taken.
    #[must_use]
    pub const fn samples(&self) -> u64 {
        self.samples
    }

    /// The terms, where there are enough samples and something can be said: replies that are plain
    /// text alone, or that have nothing in common, give none. Of a place that stood in fewer than half
    /// of the least samples nothing is said: it may come otherwise the next time.
    #[must_use]
    pub fn terms(&self, minimum: u64) -> Option<Inferred> {
        if self.samples < minimum.max(1) || !self.root.holds_containers() {
            return None;
        }
        let schema = self.root.schema(None, minimum.div_ceil(2));
        says_something(&schema).then_some(Inferred { schema, samples: self.samples })
    }
}

/// Whether a schema says more of a document than that it is one.
fn says_something(schema: &Value) -> bool {
    ["required", "properties", "items", "additionalProperties"]
        .iter()
        .any(|keyword| schema.get(*keyword).is_some())
}

#[cfg(test)]
mod tests;
