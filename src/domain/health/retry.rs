//! May a call be tried again, and after what pause?

use crate::domain::message::Millis;

/// A token, in thousandths.
const TOKEN: u64 = 1_000;
/// How many seconds of the least rate may be saved up.
const SAVED_SECONDS: u64 = 10;

/// How often a call is tried again.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RetryRules {
    /// Tries beyond the first; 0: none.
    pub most: u32,
    /// The pause before the first of them; it doubles with each.
    pub pause: Millis,
    /// The longest pause.
    pub longest: Millis,
    /// Retries as a share of a peer's calls at most, 0 to 1.
    pub budget: f64,
    /// Retries a second that are allowed however few calls there are.
    pub least_per_second: u32,
}

impl Default for RetryRules {
    fn default() -> Self {
        Self {
            most: 3,
            pause: Millis(100),
            longest: Millis(2_000),
            budget: 0.2,
            least_per_second: 3,
        }
    }
}

/// How retries of a tool in trouble differ from what is configured: never more, and never sooner.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Adjustment {
    /// Not at all.
    #[default]
    None,
    /// The tool fails: the pauses are four times as long, up to the longest.
    Slower,
    /// The tool is slow: to be asked again would make it slower.
    Off,
}

impl RetryRules {
    /// These rules while a tool is in trouble.
    #[must_use]
    pub fn adjusted(self, by: Adjustment) -> Self {
        match by {
            Adjustment::None => self,
            Adjustment::Slower => {
                let pause = self.pause.0.saturating_mul(4).min(self.longest.0.max(self.pause.0));
                Self { pause: Millis(pause), ..self }
            }
            Adjustment::Off => Self { most: 0, ..self },
        }
    }
}

/// The pause before a try, in microseconds: doubled with each, and between half of it and all of it, by
/// `chance`. `tried` counts the tries before, from 0.
#[must_use]
pub fn pause(tried: u32, chance: u64, rules: &RetryRules) -> u64 {
    let whole = rules.pause.0.saturating_mul(1 << tried.min(20)).min(rules.longest.0);
    let half = whole.saturating_mul(500);
    half + chance % (half + 1)
}

/// Keeps retries to a share of a peer's calls, so that they do not bury a peer that comes back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Budget {
    /// In thousandths of a retry.
    saved: u64,
    /// Calls and moment of the last look; none before the first.
    seen: Option<(u64, u64)>,
}

impl Budget {
    /// Takes one retry out, where there is one. `calls` counts all calls of the peer so far.
    pub fn take(&mut self, now: u64, calls: u64, rules: &RetryRules) -> bool {
        let least = u64::from(rules.least_per_second);
        let most = (least * SAVED_SECONDS).max(1) * TOKEN;
        let (calls_before, before) = self.seen.unwrap_or((calls, now));
        let of_calls = calls.saturating_sub(calls_before) as f64 * rules.budget.clamp(0.0, 1.0);
        let of_time = now.saturating_sub(before).saturating_mul(least) / 1_000;
        let earned = (of_calls * TOKEN as f64) as u64 + of_time;
        self.saved = match self.seen {
            None => most,
            Some(_) => self.saved.saturating_add(earned).min(most),
        };
        self.seen = Some((calls, now));
        let may = self.saved >= TOKEN;
        if may {
            self.saved -= TOKEN;
        }
        may
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn pauses_double_and_stay_between_half_and_whole() {
        let rules = RetryRules::default();
        let rows = [(0, 50_000, 100_000), (1, 100_000, 200_000), (2, 200_000, 400_000)];
        for (tried, least, most) in rows {
            let all: Vec<u64> = (0..1_000).map(|it| pause(tried, it * 7_919, &rules)).collect();
            assert!(all.iter().all(|it| (least..=most).contains(it)), "{tried}: {all:?}");
            assert!(all.iter().any(|it| *it < least + 10_000));
            assert!(all.iter().any(|it| *it > most - 10_000));
        }
        assert_eq!(pause(60, 1_000_000, &rules), 2_000_000);
    }

    proptest! {
        /// However calls come, retries stay within their share, the least rate, and what was saved.
        #[test]
        fn retries_never_outgrow_their_budget(
            steps in prop::collection::vec((0u64..200_000, 0u64..20), 1..300)
        ) {
            let (rules, mut budget) = (RetryRules::default(), Budget::default());
            let (mut now, mut calls, mut took) = (5_000_000u64, 0u64, 0u64);
            for (later, more) in steps {
                now += later;
                calls += more;
                took += u64::from(budget.take(now, calls, &rules));
                let seconds = (now - 5_000_000) as f64 / 1e6;
                let most = 30.0 + 0.2 * calls as f64 + 3.0 * seconds;
                prop_assert!(took as f64 <= most + 0.001, "{took} of {most}");
            }
        }
    }
}
