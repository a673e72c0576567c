//! How long calls take, against how long they took: a p95 over the last minutes, in fixed memory.
//!
//! A call above the baseline's bound is not learnt from before the row it stands in has ended: five
//! slow calls in a row are drift, fewer are a tail that belongs to the baseline.

/// Sub-buckets of an octave: a value is known to within a sixteenth.
const SUB: u32 = 8;
/// Buckets: up to 2^36 microseconds, 19 hours.
const BUCKETS: usize = 34 * SUB as usize + SUB as usize;
/// Samples without which there is no baseline.
const LEAST_SAMPLES: u64 = 20;
/// Samples after which the p95 is computed again.
const STALE_AFTER: u64 = 32;

/// Counts of latencies in buckets that grow with the value.
#[derive(Clone, PartialEq, Eq)]
struct Sketch {
    counts: Box<[u32; BUCKETS]>,
    total: u64,
}

impl std::fmt::Debug for Sketch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} samples", self.total)
    }
}

impl Sketch {
    fn new() -> Self {
        Self { counts: Box::new([0; BUCKETS]), total: 0 }
    }

    fn add(&mut self, micros: u64) {
        let count = &mut self.counts[bucket(micros)];
        *count = count.saturating_add(1);
        self.total += 1;
    }
}

fn bucket(micros: u64) -> usize {
    if micros < u64::from(SUB) {
        return micros as usize;
    }
    let octave = 63 - micros.leading_zeros();
    let sub = (micros >> (octave - 3)) & 7;
    ((octave - 2) as usize * SUB as usize + sub as usize).min(BUCKETS - 1)
}

/// The middle of a bucket.
fn value(bucket: usize) -> u64 {
    let (octave, sub) = (bucket / SUB as usize, bucket as u64 % u64::from(SUB));
    if octave == 0 {
        return sub;
    }
    let width = 1u64 << (octave - 1);
    (u64::from(SUB) + sub) * width + width / 2
}

/// What one more latency did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PaceTurn {
    /// So many in a row were slow.
    Slowed,
    /// As many in a row were not.
    Recovered,
}

/// What counts as slow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct PaceRules {
    pub(super) factor: f64,
    pub(super) least: u64,
    pub(super) in_row: u32,
    pub(super) window: u64,
}

/// The pace of one tool.
#[derive(Clone, Debug)]
pub struct Pace {
    current: Sketch,
    previous: Sketch,
    turned_at: Option<u64>,
    /// Slow calls in a row that may still be a tail.
    row: Vec<u64>,
    slow: bool,
    good: u32,
    p95: Option<u64>,
    p95_at: u64,
}

impl Default for Pace {
    fn default() -> Self {
        Self::new()
    }
}

impl Pace {
    /// Nothing is known yet.
    #[must_use]
    pub fn new() -> Self {
        Self {
            current: Sketch::new(),
            previous: Sketch::new(),
            turned_at: None,
            row: Vec::new(),
            slow: false,
            good: 0,
            p95: None,
            p95_at: 0,
        }
    }

    /// The p95 that calls are held against, in microseconds; none before there are enough samples.
    #[must_use]
    pub const fn baseline(&self) -> Option<u64> {
        self.p95
    }

    /// How many samples it rests on.
    #[must_use]
    pub const fn samples(&self) -> u64 {
        self.current.total + self.previous.total
    }

    /// Whether it is slow now.
    #[must_use]
    pub const fn is_slow(&self) -> bool {
        self.slow
    }

    /// The last slow calls in a row, oldest first, in microseconds.
    #[must_use]
    pub fn row(&self) -> &[u64] {
        &self.row
    }

    /// One more attempt that was answered took this long.
    pub(super) fn take(&mut self, now: u64, micros: u64, rules: &PaceRules) -> Option<PaceTurn> {
        self.turn(now, rules);
        let Some(p95) = self.p95 else {
            self.learn(micros);
            return None;
        };
        let is_slow =
            micros as f64 > p95 as f64 * rules.factor && micros > p95.saturating_add(rules.least);
        if is_slow {
            return self.slowed(micros, rules);
        }
        if !self.slow {
            for tail in std::mem::take(&mut self.row) {
                self.learn(tail);
            }
        }
        self.learn(micros);
        self.good = self.good.saturating_add(1);
        if !self.slow || self.good < rules.in_row {
            return None;
        }
        self.slow = false;
        self.row.clear();
        Some(PaceTurn::Recovered)
    }

    /// What is slow now is the pace from now on: everything is learnt anew.
    pub(super) fn forget(&mut self) {
        *self = Self::new();
    }

    fn slowed(&mut self, micros: u64, rules: &PaceRules) -> Option<PaceTurn> {
        self.good = 0;
        let most = rules.in_row.clamp(1, 100) as usize;
        if self.row.len() >= most {
            self.row.remove(0);
        }
        self.row.push(micros);
        let begins = !self.slow && self.row.len() >= most;
        self.slow |= begins;
        begins.then_some(PaceTurn::Slowed)
    }

    fn learn(&mut self, micros: u64) {
        self.current.add(micros);
        let samples = self.samples();
        let due = samples < 4 * LEAST_SAMPLES || self.p95_at.abs_diff(samples) >= STALE_AFTER;
        if samples >= LEAST_SAMPLES && due {
            self.settle();
        }
    }

    fn settle(&mut self) {
        let samples = self.samples();
        let mut left = samples - samples * 95 / 100;
        for at in (0..BUCKETS).rev() {
            let here = u64::from(self.current.counts[at]) + u64::from(self.previous.counts[at]);
            if here >= left {
                self.p95 = Some(value(at));
                break;
            }
            left -= here;
        }
        self.p95_at = samples;
    }

    /// The older half gives way, once the newer one can stand alone.
    fn turn(&mut self, now: u64, rules: &PaceRules) {
        let since = *self.turned_at.get_or_insert(now);
        if now.saturating_sub(since) < rules.window || self.current.total < LEAST_SAMPLES {
            return;
        }
        self.turned_at = Some(now);
        self.previous = std::mem::replace(&mut self.current, Sketch::new());
        self.settle();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const RULES: PaceRules =
        PaceRules { factor: 2.0, least: 50_000, in_row: 5, window: 300_000_000 };

    #[test]
    fn every_value_falls_into_a_bucket_whose_middle_is_near_it() {
        for micros in (0..10_000).chain((10..36).map(|power| (1 << power) + 12_345)) {
            let middle = value(bucket(micros)) as f64;
            let far = (middle - micros as f64).abs();
            assert!(far <= 1.0 + micros as f64 / 15.0, "{micros}: {middle}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    proptest! {
        /// The sketch's p95 lies within a bucket of the true one.
        #[test]
        fn the_baseline_is_the_p95_of_what_was_learnt(
            calls in prop::collection::vec(1u64..5_000_000, 20..79)
        ) {
            let mut pace = Pace::new();
            calls.iter().for_each(|micros| pace.learn(*micros));
            let mut sorted = calls.clone();
            sorted.sort_unstable();
            let rank = sorted.len() - (sorted.len() - sorted.len() * 95 / 100);
            let (found, exact) = (pace.baseline().unwrap() as f64, sorted[rank] as f64);
            prop_assert!((found - exact).abs() <= 1.0 + exact / 15.0, "{found} {exact}");
        }

        /// However slow single calls are, a tool whose calls are not slow in a row is not slow.
        #[test]
        fn a_tail_is_no_drift(slow in prop::collection::vec(1_000_000u64..9_000_000, 1..60)) {
            let mut pace = Pace::new();
            let mut now = 0;
            for micros in slow {
                for _ in 0..20 {
                    now += 1_000;
                    prop_assert_eq!(pace.take(now, 10_000, &RULES), None);
                }
                for _ in 0..4 {
                    prop_assert_eq!(pace.take(now, micros, &RULES), None);
                }
            }
        }
    }
}
