//! The share of calls that failed, in a sliding window of fixed memory.

/// Slots of a window: it slides by a thirtieth of itself.
const SLOTS: usize = 30;

/// Calls and how many of them failed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Share {
    /// Calls in the window.
    pub calls: u64,
    /// Those that failed.
    pub failed: u64,
}

impl Share {
    /// Whether more than this share of at least so many calls failed.
    #[must_use]
    pub fn is_above(self, rate: f64, least_calls: u64) -> bool {
        self.calls >= least_calls.max(1) && self.failed as f64 > rate * self.calls as f64
    }
}

/// A window of calls.
#[derive(Clone, Debug)]
pub struct Errors {
    slots: [Share; SLOTS],
    /// The number of the newest slot, counted from the clock's beginning.
    newest: u64,
    sum: Share,
}

impl Default for Errors {
    fn default() -> Self {
        Self::new()
    }
}

impl Errors {
    /// An empty one.
    #[must_use]
    pub const fn new() -> Self {
        let nothing = Share { calls: 0, failed: 0 };
        Self { slots: [nothing; SLOTS], newest: 0, sum: nothing }
    }

    /// Counts a call. `window` is in microseconds.
    pub fn count(&mut self, now: u64, failed: bool, window: u64) {
        self.slide(now, window);
        let slot = &mut self.slots[self.newest as usize % SLOTS];
        for share in [slot, &mut self.sum] {
            share.calls += 1;
            share.failed += u64::from(failed);
        }
    }

    /// What the window holds now.
    pub fn share(&mut self, now: u64, window: u64) -> Share {
        self.slide(now, window);
        self.sum
    }

    fn slide(&mut self, now: u64, window: u64) {
        let slot = now / (window / SLOTS as u64).max(1);
        // A clock that is asked out of order moves nothing back.
        let gone = slot.saturating_sub(self.newest).min(SLOTS as u64);
        for _ in 0..gone {
            self.newest += 1;
            let old = std::mem::take(&mut self.slots[self.newest as usize % SLOTS]);
            self.sum.calls -= old.calls;
            self.sum.failed -= old.failed;
        }
        if slot > self.newest {
            // The window is empty: where it stands is all there is to remember.
            self.newest = slot;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// The window holds what came within it, to within a slot.
        #[test]
        fn the_window_holds_what_came_within_it(
            calls in prop::collection::vec((0u64..40_000_000, any::<bool>()), 1..200)
        ) {
            const WINDOW: u64 = 300_000_000;
            let (mut errors, mut all, mut now) = (Errors::new(), VecDeque::new(), 7_000_000_000);
            for (later, failed) in calls {
                now += later;
                errors.count(now, failed, WINDOW);
                all.push_back((now, failed));
                let within = |span: u64| {
                    let held = all.iter().filter(|(at, _)| now - at < span);
                    let failed = held.clone().filter(|(_, failed)| *failed).count() as u64;
                    Share { calls: held.count() as u64, failed }
                };
                let (found, slot) = (errors.share(now, WINDOW), WINDOW / SLOTS as u64);
                let (least, most) = (within(WINDOW - slot), within(WINDOW));
                prop_assert!((least.calls..=most.calls).contains(&found.calls));
                prop_assert!((least.failed..=most.failed).contains(&found.failed));
            }
        }
    }
}
