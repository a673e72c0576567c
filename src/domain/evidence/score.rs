//! The coherence score: one number for how far a peer can be relied on, from counts alone.
//!
//! All arithmetic is in whole hundredths, so that the same records give the same score on every
//! machine.

use std::fmt;

use serde::{Serialize, Serializer};

use crate::domain::drift::Severity;

/// What was counted over a window of exchanges (an agent's `tools/call`s).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Window {
    /// All exchanges.
    pub exchanges: u64,
    /// Those under a valid, unexpired contract and an allowed principal.
    pub lawful: u64,
    /// Those that succeeded: a reply came, and it was not `isError`.
    pub succeeded: u64,
    /// Those whose reply was held against the promise and came out kept or mended; an `isError`
    /// reply is exempt from the promise and counts for neither.
    pub honoured: u64,
    /// Those with complete evidence.
    pub evidenced: u64,
    /// Drift events that are open at the window's end, by severity.
    pub open: OpenEvents,
    /// Fingerprints that re-opened.
    pub reopened: u64,
}

/// Open drift events by severity.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenEvents {
    /// Informational ones.
    pub low: u64,
    /// Functional ones.
    pub medium: u64,
    /// Those that a person decides.
    pub high: u64,
    /// Those under which nothing works.
    pub critical: u64,
}

impl OpenEvents {
    /// Counts one more event of this severity.
    pub const fn count(&mut self, severity: Severity) {
        match severity {
            Severity::Low => self.low += 1,
            Severity::Medium => self.medium += 1,
            Severity::High => self.high += 1,
            Severity::Critical => self.critical += 1,
        }
    }

    /// What they take from 100 points: their weight, and 2 for each that is open.
    const fn penalty(self) -> u64 {
        let all = self.low.saturating_add(self.medium).saturating_add(self.high);
        let weight = self.medium.saturating_mul(10).saturating_add(self.high.saturating_mul(15));
        weight
            .saturating_add(self.critical.saturating_mul(40))
            .saturating_add(all.saturating_add(self.critical).saturating_mul(2))
    }
}

/// Points from 0 to 100 with two decimals; in JSON a number, as text `92.00`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Points(u32);

impl Points {
    /// The points as a number, for gauges.
    #[must_use]
    pub fn value(self) -> f64 {
        f64::from(self.0) / 100.0
    }

    /// `weighted / of` in hundredths, rounded half up. Both count exchanges, so the quotient is at
    /// most the sum of the weights.
    fn quotient(weighted: u128, of: u64) -> u128 {
        let of = u128::from(of);
        (weighted + of / 2) / of
    }

    fn hundredths(hundredths: u128) -> Self {
        Self(u32::try_from(hundredths).unwrap_or(Self::FULL.0).min(Self::FULL.0))
    }

    const FULL: Self = Self(10_000);
}

impl fmt::Display for Points {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:02}", self.0 / 100, self.0 % 100)
    }
}

impl Serialize for Points {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.value())
    }
}

/// The grade that a score earns.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Grade {
    /// From 90.
    A,
    /// From 75.
    B,
    /// From 60.
    C,
    /// From 40.
    D,
    /// Below 40.
    F,
}

impl Grade {
    const fn of(total: Points) -> Self {
        match total.0 {
            9_000.. => Self::A,
            7_500.. => Self::B,
            6_000.. => Self::C,
            4_000.. => Self::D,
            _ => Self::F,
        }
    }
}

impl fmt::Display for Grade {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// The score with its four parts, each 0 to 100.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Score {
    /// 0.25 policy + 0.30 outcome + 0.25 drift + 0.20 memory.
    pub total: Points,
    /// What the total earns.
    pub grade: Grade,
    /// Share of exchanges that were lawful.
    pub policy: Points,
    /// Six tenths the share that succeeded, four tenths the share that was honoured.
    pub outcome: Points,
    /// 100 less what open and re-opened events take away.
    pub drift: Points,
    /// Share of exchanges with complete evidence.
    pub memory: Points,
}

impl Score {
    /// The score of a window. In a window without exchanges nothing went amiss: its shares are
    /// whole, and only drift can lower it.
    #[must_use]
    pub fn of(window: &Window) -> Self {
        let Window { exchanges, lawful, succeeded, honoured, evidenced, .. } = *window;
        let penalty = window.open.penalty().saturating_add(window.reopened.saturating_mul(10));
        let drift = u128::from(100_u64.saturating_sub(penalty));
        let share = |weighted: &[(u64, u128)]| {
            if exchanges == 0 {
                return weighted.iter().map(|(_, weight)| weight).sum();
            }
            let sum = weighted.iter().map(|(n, weight)| u128::from(*n.min(&exchanges)) * weight);
            Points::quotient(sum.sum(), exchanges)
        };
        let counted =
            share(&[(lawful, 2_500), (succeeded, 1_800), (honoured, 1_200), (evidenced, 2_000)]);
        let total = Points::hundredths(counted + drift * 25);
        Self {
            total,
            grade: Grade::of(total),
            policy: Points::hundredths(share(&[(lawful, 10_000)])),
            outcome: Points::hundredths(share(&[(succeeded, 6_000), (honoured, 4_000)])),
            drift: Points::hundredths(drift * 100),
            memory: Points::hundredths(share(&[(evidenced, 10_000)])),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::{OpenEvents, Score, Window};

    fn calls(exchanges: u64, good: u64) -> Window {
        Window {
            exchanges,
            lawful: exchanges,
            succeeded: good,
            honoured: good,
            evidenced: exchanges,
            ..Window::default()
        }
    }

    fn row(window: Window) -> String {
        let score = Score::of(&window);
        format!("{} {}", score.total, score.grade)
    }

    #[test]
    fn the_demo_s_three_phases_score_as_the_design_says() {
        let one_medium = OpenEvents { medium: 1, ..OpenEvents::default() };
        assert_eq!(row(calls(60, 44)), "92.00 A");
        assert_eq!(row(Window { open: one_medium, ..calls(60, 15) }), "74.50 C");
        assert_eq!(row(calls(60, 44)), "92.00 A");
    }

    #[test]
    fn each_part_weighs_what_the_formula_gives_it() {
        let rows = [
            (calls(0, 0), "100.00 A"),
            (calls(8, 8), "100.00 A"),
            (Window { lawful: 0, ..calls(8, 8) }, "75.00 B"),
            (Window { succeeded: 0, ..calls(8, 8) }, "82.00 B"),
            (Window { honoured: 0, ..calls(8, 8) }, "88.00 B"),
            (Window { evidenced: 0, ..calls(8, 8) }, "80.00 B"),
            (Window { reopened: 1, ..calls(8, 8) }, "97.50 A"),
            (Window { reopened: 1000, ..calls(8, 8) }, "75.00 B"),
            (Window { exchanges: 3, ..Window::default() }, "25.00 F"),
            (calls(3, 1), "80.00 B"),
        ];
        for (window, wanted) in rows {
            assert_eq!(row(window), wanted, "{window:?}");
        }
    }

    #[test]
    fn open_events_weigh_by_severity_and_two_points_each() {
        let rows = [
            (OpenEvents { low: 1, ..OpenEvents::default() }, "98.00"),
            (OpenEvents { medium: 1, ..OpenEvents::default() }, "88.00"),
            (OpenEvents { high: 1, ..OpenEvents::default() }, "83.00"),
            (OpenEvents { critical: 1, ..OpenEvents::default() }, "58.00"),
            (OpenEvents { critical: 3, ..OpenEvents::default() }, "0.00"),
            (OpenEvents { low: u64::MAX, medium: 9, high: 9, critical: 9 }, "0.00"),
        ];
        for (open, wanted) in rows {
            assert_eq!(Score::of(&Window { open, ..calls(4, 4) }).drift.to_string(), wanted);
        }
    }

    proptest! {
        #[test]
        fn every_window_scores_between_nought_and_a_hundred(
            exchanges in any::<u64>(), counts in any::<[u64; 4]>(), open in any::<[u64; 4]>(), reopened in any::<u64>(),
        ) {
            let [lawful, succeeded, honoured, evidenced] = counts;
            let [low, medium, high, critical] = open;
            let open = OpenEvents { low, medium, high, critical };
            let score = Score::of(&Window { exchanges, lawful, succeeded, honoured, evidenced, open, reopened });
            for part in [score.total, score.policy, score.outcome, score.drift, score.memory] {
                assert!((0.0..=100.0).contains(&part.value()), "{score:?}");
            }
        }
    }
}
