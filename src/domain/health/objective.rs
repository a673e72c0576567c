//! The objective that a contract states: how fast its tools are, and how reliable.

use super::errors::{Errors, Share};
use crate::domain::message::Millis;

/// Of calls that keep a p95, no more than this share takes longer.
const LATE: f64 = 0.05;

/// What a contract states; what is `None` it does not state.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Objective {
    /// No more than a twentieth of the calls takes longer.
    pub p95: Option<Millis>,
    /// No more than this share of the calls fails, 0 to 1.
    pub error_rate: Option<f64>,
}

/// Whether calls come in time, by a contract's p95.
#[derive(Clone, Debug, Default)]
pub(super) struct Punctual {
    calls: Errors,
    late: bool,
    /// Calls in a row that were in time.
    in_time: u32,
}

impl Punctual {
    /// A call that did not fail took this long; true where lateness began with it. `window` in
    /// microseconds.
    pub(super) fn take(&mut self, now: u64, micros: u64, p95: Millis, rules: Rules) -> bool {
        let late = micros > p95.0.saturating_mul(1_000);
        self.calls.count(now, late, rules.window);
        self.in_time = if late { 0 } else { self.in_time.saturating_add(1) };
        let above = self.calls.share(now, rules.window).is_above(LATE, rules.least_calls);
        let began = above && !self.late;
        // As with failures: what is forgotten is not over, calls must be in time too.
        self.late = above || (self.late && self.in_time < rules.in_row);
        began
    }

    /// Whether too many are late.
    pub(super) const fn is_late(&self) -> bool {
        self.late
    }

    /// What was late of how many in the window.
    pub(super) fn share(&mut self, now: u64, window: u64) -> Share {
        self.calls.share(now, window)
    }
}

/// By what calls are counted.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules {
    pub(super) window: u64,
    pub(super) least_calls: u64,
    pub(super) in_row: u32,
}
